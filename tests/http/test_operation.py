"""What operators rely on: logs, traces, key files, default prompts, calibration, overload, models that cannot be loaded."""
import concurrent.futures
import http.server
import json
import os
import subprocess
import tempfile
import threading
import unittest

from serve_case import BINARY, MODEL, TESTS, Server, bits, offline

PROMPTS = os.path.join(TESTS, "golden", "pipeline", "prompts")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


class Collector(http.server.BaseHTTPRequestHandler):
    bodies = []

    def do_POST(self):
        Collector.bodies.append((self.path, json.loads(self.rfile.read(int(self.headers["content-length"])))))
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *arguments):
        pass


class OperationTest(unittest.TestCase):
    def test_traces_and_json_logs(self):
        collector = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        server = Server("--log-format", "json", "--otlp-endpoint", f"http://127.0.0.1:{collector.server_port}",
                        "--otlp-service-name", "test")
        self.assertIn("listening on http://", json.loads(server.first_line)["message"])
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "x-request-id": "r1"}
        self.assertEqual(server.request("POST", "/embed", {"inputs": ["a", "b"]}, headers)[0], 200)
        server.request("POST", "/embed", {"inputs": 1}, {"traceparent": f"00-{TRACE}-{PARENT}-00"})  # not sampled
        self.assertEqual(server.stop(), 0)
        collector.shutdown()
        collector.server_close()
        path, body = Collector.bodies[0]
        self.assertEqual(path, "/v1/traces")
        resource = body["resourceSpans"][0]
        self.assertEqual(resource["resource"]["attributes"][0]["value"], {"stringValue": "test"})
        spans = [span for _, one in Collector.bodies for span in one["resourceSpans"][0]["scopeSpans"][0]["spans"]]
        self.assertEqual(len(spans), 1)
        self.assertEqual((spans[0]["traceId"], spans[0]["parentSpanId"], spans[0]["name"]), (TRACE, PARENT, "POST /embed"))
        self.assertRegex(spans[0]["spanId"], "^[0-9a-f]{16}$")
        self.assertLess(int(spans[0]["startTimeUnixNano"]), int(spans[0]["endTimeUnixNano"]))
        lines = [json.loads(line) for line in server.log.splitlines()]
        self.assertEqual((lines[0]["request_id"], lines[0]["trace_id"], lines[0]["status"], lines[0]["texts"]), ("r1", TRACE, 200, 2))
        self.assertGreater(lines[0]["tokens"], 2)
        self.assertEqual(lines[1]["status"], 422)
        self.assertIn("inputs", lines[1]["error"])

    def test_key_file(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("first\n\nsecond\r\n")
            file.flush()
            server = Server("--api-key-file", file.name, "--metrics", "key")
        for key, status in (("first", 200), ("second", 200), ("", 401), ("third", 401)):
            headers = {"authorization": "Bearer " + key}
            self.assertEqual(server.request("POST", "/embed", {"inputs": "a"}, headers)[0], status, key)
            self.assertEqual(server.request("GET", "/metrics", headers=headers)[0], status, key)
        self.assertEqual(server.stop(), 0)

    def test_default_prompt(self):
        server = Server("--default-prompt-name", "red", models=(PROMPTS,))
        plain = server.request("POST", "/v1/embeddings", {"input": "a cat"})[1]["data"][0]["embedding"]
        own = server.request("POST", "/v1/embeddings", {"input": "a cat", "prompt_name": "query"})[1]["data"][0]["embedding"]
        self.assertEqual(server.stop(), 0)
        self.assertEqual(bits(plain), offline(["a cat"], "--prompt-name", "red", model=PROMPTS)[0])
        self.assertEqual(bits(own), offline(["a cat"], "--prompt-name", "query", model=PROMPTS)[0])

    def test_calibration(self):
        texts = ["one cat", "two dogs", "three birds", "the sea"]
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "c.npy")
            subprocess.run([BINARY, "embed", MODEL, "--output", file, "--", *texts], check=True, capture_output=True)
            expected = subprocess.run([BINARY, "embed", MODEL, "--precision", "int8", "--calibration", file, "--", *texts],
                                      check=True, capture_output=True, text=True).stdout
            server = Server("--calibration", file)
            reply = server.request("POST", "/v2/embed", {"texts": texts, "embedding_types": ["int8", "uint8"]})[1]
            self.assertEqual(server.stop(), 0)
        want = [json.loads(line)["embedding"] for line in expected.splitlines()]
        self.assertEqual(reply["embeddings"]["int8"], want)
        self.assertEqual(reply["embeddings"]["uint8"], [[value + 128 for value in row] for row in want])

    def test_names_what_it_computes_in(self):
        server = Server("--dtype", "bfloat16")
        self.assertEqual(server.request("GET", "/info")[1]["model_dtype"], "bfloat16")
        tag = server.request("GET", "/api/tags")[1]["models"][0]
        self.assertEqual(tag["details"]["quantization_level"], "BF16")
        self.assertEqual(server.stop(), 0)

    def test_overload(self):
        server = Server("--max-queue", "40", "--threads", "1")
        text = "word " * 60

        def ask(i):
            status, _, headers = server.request("POST", "/embed", {"inputs": [f"{i} " + text] * 10})
            return status, headers.get("retry-after"), headers.get("retry-after-ms")
        with concurrent.futures.ThreadPoolExecutor(48) as pool:
            replies = list(pool.map(ask, range(400)))
        statuses = {status for status, _, _ in replies}
        self.assertEqual(server.request("POST", "/embed", {"inputs": "after"})[0], 200)
        self.assertEqual(server.stop(), 0)
        self.assertEqual(statuses, {200, 429})
        for status, seconds, milliseconds in replies:
            if status == 429:
                self.assertGreaterEqual(int(seconds), 1)
                self.assertGreaterEqual(int(seconds) * 1000, int(milliseconds))

    def test_request_timeout(self):
        server = Server("--request-timeout", "0.001", "--threads", "1")
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            statuses = set(pool.map(lambda _: server.request("POST", "/embed", {"inputs": ["word " * 100] * 40})[0], range(32)))
        self.assertEqual(server.stop(), 0)
        self.assertTrue(statuses <= {200, 504} and 504 in statuses, statuses)

    def test_models_that_cannot_be_loaded(self):
        for arguments, code in (([os.path.join(TESTS, "http")], 3), ([], 2), ([MODEL, MODEL], 2),
                                ([MODEL, "--calibration", __file__], 4), ([MODEL, "--port", "70000"], 2)):
            run = subprocess.run([BINARY, "serve", "--port", "0", *arguments], capture_output=True, text=True, timeout=60)
            self.assertEqual(run.returncode, code, (arguments, run.stderr))
            self.assertEqual(run.stdout, "")


if __name__ == "__main__":
    unittest.main()
