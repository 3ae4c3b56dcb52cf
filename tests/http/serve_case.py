"""A running `truevec serve` for a test class, and ways to talk to it."""
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
GOLDEN = os.environ["TRUEVEC_GOLDEN"]
MODEL = os.path.join(GOLDEN, "model")
TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def bits(vector):
    return struct.pack(f"<{len(vector)}f", *vector)


def offline(texts, *options, model=MODEL):
    """The float32 bits of `truevec embed`, per text."""
    run = subprocess.run([BINARY, "embed", model, *options, "--", *texts], capture_output=True, check=True)
    return [bits(json.loads(line)["embedding"]) for line in run.stdout.splitlines()]


class Server:
    def __init__(self, *options, models=(MODEL,), env=None):
        self.process = subprocess.Popen([BINARY, "serve", *models, "--port", "0", *options], stderr=subprocess.PIPE,
                                        text=True, env={**os.environ, **(env or {})})
        line = self.process.stderr.readline().strip()
        match = re.search(r":(\d+)\"?", line.split("listening on", 1)[-1].replace("://", "  "))
        self.port = int(match[1]) if match else None
        self.first_line = line

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(180)  # a sanitizer build is slow
        self.log = self.process.stderr.read()
        self.process.stderr.close()
        return code

    def request(self, method, path, body=None, headers=(), raw=None):
        """Status, body (parsed when JSON), headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        data = raw if raw is not None else None if body is None else json.dumps(body)
        connection.request(method, path, data, dict(headers))
        response = connection.getresponse()
        content = response.read()
        connection.close()
        if response.headers.get("content-type", "").startswith("application/json"):
            content = json.loads(content)
        return response.status, content, response.headers

    def raw(self, data, half_close=True, timeout=20):
        """Sends bytes, returns all bytes until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
        return received


class ServeCase(unittest.TestCase):
    """Starts one server for the class; `options` and `models` say which."""
    options = ()
    models = (MODEL,)

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.options, models=cls.models)

    @classmethod
    def tearDownClass(cls):
        assert cls.server.stop() == 0, cls.server.log

    def post(self, path, body=None, raw=None, headers=(), expect=200):
        status, reply, reply_headers = self.server.request("POST", path, body, headers, raw)
        self.assertEqual(status, expect, (path, reply))
        self.headers = reply_headers
        return reply

    def get(self, path, headers=(), expect=200):
        status, reply, reply_headers = self.server.request("GET", path, headers=headers)
        self.assertEqual(status, expect, (path, reply))
        self.headers = reply_headers
        return reply

    def assert_close(self, got, expected, tolerance=1e-5):
        self.assertEqual(len(got), len(expected))
        self.assertLess(max(abs(a - b) for a, b in zip(got, expected)), tolerance)
