"""What the client tests share: a server with a real-shaped model, texts, and the reference's vectors."""
import json
import os
import re
import signal
import subprocess
import unittest

BINARY = os.environ["TRUEVEC_BINARY"]
TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
GOLDEN = os.path.join(TESTS, "golden", "pipeline")
DENSE, CROSS = (os.path.join(GOLDEN, name) for name in ("normalize", "cross_one_label"))
KEY = "a-secret-key"
TOLERANCE = 1e-5


def cases(folder):
    with open(os.path.join(folder, "golden.json"), encoding="utf-8") as file:
        return json.load(file)["cases"]


def start_server(*options):
    process = subprocess.Popen([BINARY, "serve", DENSE, CROSS, "--served-model-name", "dense", "--served-model-name", "cross",
                                "--port", "0", *options], stderr=subprocess.PIPE, text=True)
    return process, int(re.search(r":(\d+)$", process.stderr.readline().strip())[1])


def stop_server(process):
    process.send_signal(signal.SIGTERM)
    code = process.wait(30)
    process.stderr.close()
    return code


def dense_cases():
    """Texts that every client sends as they are, with the reference's vectors (float64, unit length)."""
    plain = [case for case in cases(DENSE) if set(case) <= {"text", "ids", "expected"}]
    plain = [case for case in plain if case["text"].strip() == case["text"] != "" and "\n" not in case["text"]]
    return [case["text"] for case in plain], [case["expected"] for case in plain]


def rerank_case():
    """A query, documents, and the reference's scores."""
    scored = [case for case in cases(CROSS) if not set(case) - {"text", "pair", "ids", "expected"}]
    query = scored[0]["text"]
    scored = [case for case in scored if case["text"] == query]
    return query, [case["pair"] for case in scored], [case["expected"][0] for case in scored]


class ClientCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.process, port = start_server("--api-key", KEY)
        cls.url = f"http://127.0.0.1:{port}"
        cls.open_process, port = start_server()
        cls.open_url = f"http://127.0.0.1:{port}"  # for clients that send no key
        cls.texts, cls.expected = dense_cases()
        cls.query, cls.documents, cls.scores = rerank_case()

    @classmethod
    def tearDownClass(cls):
        assert stop_server(cls.process) == 0
        assert stop_server(cls.open_process) == 0

    def check(self, vectors, expected=None):
        expected = self.expected if expected is None else expected
        self.assertEqual(len(vectors), len(expected))
        for got, want in zip(vectors, expected):
            self.assertEqual(len(got), len(want))
            self.assertLess(max(abs(float(a) - b) for a, b in zip(got, want)), TOLERANCE)

    def check_scores(self, by_index):
        """{index: score}"""
        self.assertEqual(set(by_index), set(range(len(self.documents))))
        for index, score in by_index.items():
            self.assertAlmostEqual(score, self.scores[index], delta=TOLERANCE)
