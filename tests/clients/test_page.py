"""The page at / and Swagger UI at /docs in headless Chromium, without a network, with the keyboard."""
import os
import tempfile
import unittest

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from client_case import KEY, ClientCase

TEXTS = ["hello world", "The cat sat on the mat.", "word " * 600]


class PageTest(ClientCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,1700",
                         "--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        cls.profile = tempfile.TemporaryDirectory()
        options.add_argument("--user-data-dir=" + cls.profile.name)
        cls.browser = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))

    @classmethod
    def tearDownClass(cls):
        cls.browser.quit()
        cls.profile.cleanup()
        super().tearDownClass()

    def setUp(self):
        self.browser.get_log("browser")  # what earlier tests left

    def find(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def wait(self, condition, message):
        WebDriverWait(self.browser, 60).until(lambda _: condition(), message)

    def no_errors(self):
        log = self.browser.get_log("browser")
        self.assertEqual([entry for entry in log if entry["level"] == "SEVERE" and "favicon" not in entry["message"]], [])

    def test_page_with_the_keyboard(self):
        self.browser.get(self.open_url + "/")
        self.wait(lambda: self.find("#settings tbody tr"), "settings")
        texts = self.find("#texts")
        texts.clear()
        texts.send_keys(TEXTS[0], Keys.ENTER, TEXTS[1], Keys.ENTER, TEXTS[2])
        texts.send_keys(Keys.CONTROL, Keys.ENTER)
        self.wait(lambda: "vectors of" in self.find("#status").text, "vectors")
        self.assertIn("1 texts were truncated", self.find("#status").text)
        rows = self.browser.find_elements(By.CSS_SELECTOR, "#matrix tbody tr")
        cells = [[float(cell.text) for cell in row.find_elements(By.TAG_NAME, "td")] for row in rows]
        self.assertEqual([len(row) for row in cells], [3, 3, 3])
        by_text = dict(zip(self.texts, self.expected))
        cosine = sum(a * b for a, b in zip(by_text[TEXTS[0]], by_text[TEXTS[1]]))
        self.assertAlmostEqual(cells[0][1], cosine, delta=6e-5)
        self.assertEqual(len(self.browser.find_elements(By.CSS_SELECTOR, "#tokens li")), 3)
        self.assertGreater(len(self.browser.find_elements(By.CSS_SELECTOR, "#tokens .token.special")), 3)
        self.assertIn("Truncated", self.find("#tokens .cut").text)
        self.assertIn("seen by this page", self.find("#latency").text)
        settings = self.find("#settings").text
        self.assertIn("pooling", settings)
        self.assertIn("1_Pooling/config.json", settings)
        # Everything can be reached with Tab.
        reached = set()
        self.browser.execute_script("document.activeElement.blur()")
        for _ in range(14):
            self.browser.switch_to.active_element.send_keys(Keys.TAB)
            reached.add(self.browser.switch_to.active_element.get_attribute("id"))
        self.assertTrue({"texts", "models", "prompt", "dimensions", "key", "run"} <= reached, reached)
        if os.environ.get("TRUEVEC_SCREENSHOT"):
            self.browser.save_screenshot(os.environ["TRUEVEC_SCREENSHOT"])
        self.no_errors()

    def test_errors_are_shown(self):
        self.browser.get(self.url + "/")
        self.wait(lambda: "401" in self.find("#status").text, "key asked for")
        self.find("#key").send_keys(KEY, Keys.TAB)
        self.wait(lambda: self.browser.find_elements(By.CSS_SELECTOR, "#settings tbody tr"), "settings with the key")
        self.find("#dimensions").send_keys("999")
        self.find("#run").click()
        self.wait(lambda: "dimensions" in self.find("#status").text, "error of the field")
        self.assertEqual(self.find("#status").get_attribute("class"), "error")

    def test_swagger(self):
        self.browser.get(self.open_url + "/docs")
        self.wait(lambda: len(self.browser.find_elements(By.CSS_SELECTOR, ".opblock")) > 30, "operations")
        self.no_errors()


if __name__ == "__main__":
    unittest.main()
