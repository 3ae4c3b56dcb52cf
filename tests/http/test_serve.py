"""truevec serve over real sockets: vectors bit-equal to `truevec embed`, errors, limits, drain."""
import base64
import concurrent.futures
import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import unittest

BINARY = os.environ["TRUEVEC_BINARY"]
MODEL = os.path.join(os.environ["TRUEVEC_GOLDEN"], "model")
TEXTS = [f"text number {i} " + "word " * (i % 17) for i in range(120)] + ["", "héllo wörld", "日本"]


def bits(vector):
    return struct.pack(f"<{len(vector)}f", *vector)


class ServeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = subprocess.Popen([BINARY, "serve", MODEL, "--port", "0", "--served-model-name", "m", "--max-body",
                                       "200000", "--api-key", "secret"], stderr=subprocess.PIPE, text=True)
        cls.port = int(re.search(r":(\d+)$", cls.server.stderr.readline().strip())[1])
        offline = subprocess.run([BINARY, "embed", MODEL, "--", *TEXTS], capture_output=True, check=True)
        cls.offline = [bits(json.loads(line)["embedding"]) for line in offline.stdout.splitlines()]

    @classmethod
    def tearDownClass(cls):
        cls.server.send_signal(signal.SIGTERM)
        assert cls.server.wait(20) == 0
        cls.server.stderr.close()

    def call(self, path, body=None, key="secret", raw=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        data = raw if raw is not None else None if body is None else json.dumps(body)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        connection.request("GET" if data is None else "POST", path, data, headers)
        response = connection.getresponse()
        result = response.status, json.loads(response.read()), response.headers
        connection.close()
        return result

    def test_openai_bits_concurrent(self):
        def ask(i):
            chosen = [(i * 7 + k) % len(TEXTS) for k in range(1 + i % 9)]
            form = "base64" if i % 2 else "float"
            status, reply, headers = self.call("/v1/embeddings", {"model": "m", "encoding_format": form,
                                                                  "input": [TEXTS[k] for k in chosen]})
            self.assertEqual(status, 200)
            self.assertTrue(headers["x-truevec-fingerprint"].startswith("tv1:"))
            for k, row in zip(chosen, reply["data"], strict=True):
                got = base64.b64decode(row["embedding"]) if form == "base64" else bits(row["embedding"])
                self.assertEqual(got, self.offline[k])
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(ask, range(200)))

    def test_tei_embed(self):
        status, reply, _ = self.call("/embed", {"inputs": TEXTS[:3], "normalize": False, "truncate": True})
        self.assertEqual((status, len(reply)), (200, 3))
        status, reply, _ = self.call("/embed", {"inputs": "word " * 5000})
        self.assertEqual((status, reply["error_type"]), (422, "Validation"))

    def test_errors(self):
        for raw in ("{", "[" * 5000, '{"input":"\xff"}'.encode("latin-1"), '{"input":1}', '{"input":[]}', "null",
                    '{"input":[[1,2]]}', '{"input":"a","dimensions":0}', '{"input":"a","dimensions":1e999}',
                    '{"input":"a","encoding_format":"x"}', '{"input":NaN}'):
            status, reply, _ = self.call("/v1/embeddings", raw=raw)
            self.assertEqual((status, reply["error"]["type"]), (400, "invalid_request_error"), raw[:40])
        self.assertEqual(self.call("/v1/embeddings", {"input": "a"}, key="secreT")[0], 401)
        self.assertEqual(self.call("/embed", {"inputs": "a"}, key=None)[0], 401)
        self.assertEqual(self.call("/v1/embeddings", {"input": "a", "model": "other"})[0], 404)
        self.assertEqual(self.call("/nowhere", {})[0], 404)
        self.assertEqual(self.call("/v1/embeddings")[0], 405)
        self.assertEqual(self.call("/v1/embeddings", {"input": "a" * 300000})[0], 413)
        self.assertEqual(self.call("/v1/models", key=None)[1]["data"][0]["id"], "m")
        self.assertEqual(self.call("/health", key=None)[0], 200)

    def raw(self, data):
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
        return received

    def test_raw_sockets(self):
        self.assertIn(b" 400 ", self.raw(b"nonsense\r\n\r\n").split(b"\r\n")[0])
        self.assertIn(b" 431 ", self.raw(b"GET / HTTP/1.1\r\nx: " + b"a" * 20000 + b"\r\n\r\n").split(b"\r\n")[0])
        two = self.raw(b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n" * 2)  # pipelined, then half-closed
        self.assertEqual(two.count(b"HTTP/1.1 200 OK"), 2)


if __name__ == "__main__":
    unittest.main()
