"""The HTTP layer: raw sockets, limits, codings, slow clients, Unix socket, TLS, CORS, drain."""
import gzip
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest
import zlib

from serve_case import BINARY, MODEL, ServeCase, Server, bits, offline


def post(path, body, extra=b""):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return (b"POST %s HTTP/1.1\r\nHost: a\r\ncontent-type: application/json\r\ncontent-length: %d\r\n" %
            (path.encode(), len(data)) + extra + b"\r\n" + data)


class TransportTest(ServeCase):
    options = ("--max-body", "100000", "--cors-allow-origin", "https://a.example", "--cors-allow-origin", "https://b.example")

    def statuses(self, data, **options):
        return [int(code) for code in re.findall(rb"HTTP/1.1 (\d{3}) ", self.server.raw(data, **options))]

    def test_malformed(self):
        self.assertEqual(self.statuses(b"nonsense\r\n\r\n"), [400])
        self.assertEqual(self.statuses(b"GET / HTTP/1.1\r\nHost: a\r\nx: " + b"a" * 20000 + b"\r\n\r\n"), [431])
        self.assertEqual(self.statuses(b"GET /live HTTP/1.1\r\nHost: a\r\n" + b"a: b\r\n" * 500 + b"\r\n"), [431])
        self.assertEqual(self.statuses(b"POST /embed HTTP/1.1\r\nHost: a\r\ncontent-length: -5\r\n\r\n"), [400])
        self.assertEqual(self.statuses(b"POST /embed HTTP/1.1\r\nHost: a\r\ncontent-length: 99999999999999999999\r\n\r\n"), [400])
        self.assertEqual(self.statuses(b"POST /embed HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"), [400])
        self.assertEqual(self.statuses(b"\x16\x03\x01\x02\x00\x01\x00"), [400])
        self.assertEqual(self.statuses(b"POST /embed HTTP/1.1\r\nHost: a\r\ncontent-length: 100\r\n\r\nshort"), [])
        self.assertEqual(self.statuses(b"GET /live HTTP/1.1\r\nhost: a\r\n\r\n"), [200])

    def test_path_of_any_bytes(self):
        reply = self.server.raw(b"GET /\xff\x80\xe2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        body = reply.split(b"\r\n\r\n", 1)[1]
        self.assertIn("error", json.loads(body.decode("utf-8")))
        self.assertEqual(self.statuses(b"GET /v1/models/%ff%fe HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), [404])

    def test_too_large_is_told_while_the_body_is_sent(self):
        self.assertEqual(self.statuses(post("/embed", b" " * 150000)), [413])
        # With Expect, before a byte of it is sent.
        self.assertEqual(self.statuses(b"POST /embed HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\ncontent-length: 150000\r\n\r\n",
                                       half_close=False), [413])
        chunks = b"".join(b"8000\r\n" + b" " * 0x8000 + b"\r\n" for _ in range(5)) + b"0\r\n\r\n"
        self.assertEqual(self.statuses(b"POST /embed HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n" + chunks), [413])

    def test_expect_continue(self):
        body = json.dumps({"inputs": "a"}).encode()
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=10) as connection:
            connection.sendall(b"POST /embed HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\ncontent-length: %d\r\n\r\n" %
                               len(body))
            self.assertTrue(connection.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n"))
            connection.sendall(body)
            self.assertTrue(connection.recv(100).startswith(b"HTTP/1.1 200 OK"))

    def test_pipelining_and_half_close(self):
        texts = ["one", "two", "three"]
        data = b"".join(post("/embed", {"inputs": text, "normalize": False}) for text in texts) + \
            b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n"
        received = self.server.raw(data)
        self.assertEqual(received.count(b"HTTP/1.1 200 OK"), 4)
        vectors = re.findall(rb"\[(\[[-0-9.e,]+\])\]", received)
        expected = offline(texts, "--no-normalize")
        self.assertEqual([bits(json.loads(vector)) for vector in vectors], expected)

    def test_head_and_keep_alive(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port)
        for _ in range(3):
            connection.request("HEAD", "/health")
            response = connection.getresponse()
            self.assertEqual((response.status, response.read()), (200, b""))
            self.assertGreater(int(response.headers["content-length"]), 5)
        first = connection.sock
        connection.request("GET", "/live")
        connection.getresponse().read()
        self.assertIs(connection.sock, first)
        connection.close()
        self.assertIn(b"Connection: close", self.server.raw(b"GET /live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", False))

    def test_codings(self):
        body = json.dumps({"inputs": ["some text"] * 20}).encode()
        plain = self.post("/embed", raw=body)
        for name, packed in (("gzip", gzip.compress(body)), ("deflate", zlib.compress(body))):
            self.assertEqual(self.post("/embed", raw=packed, headers={"content-encoding": name}), plain)
        zstd = subprocess.run(["zstd", "-q"], input=body, capture_output=True, check=True).stdout
        self.assertEqual(self.post("/embed", raw=zstd, headers={"content-encoding": "zstd"}), plain)
        self.post("/embed", raw=b"broken", headers={"content-encoding": "gzip"}, expect=400)
        self.post("/embed", raw=body, headers={"content-encoding": "br"}, expect=415)
        bomb = gzip.compress(b" " * 10_000_000)
        self.post("/embed", raw=bomb, headers={"content-encoding": "gzip"}, expect=413)

    def test_compressed_reply_is_the_same(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port)
        body = json.dumps({"inputs": ["some text"] * 20})
        replies = {}
        for coding in ("", "gzip", "zstd"):
            connection.request("POST", "/embed", body, {"accept-encoding": coding} if coding else {})
            response = connection.getresponse()
            self.assertEqual(response.headers.get("content-encoding", ""), coding)
            replies[coding] = response.read()
        self.assertEqual(gzip.decompress(replies["gzip"]), replies[""])
        unpacked = subprocess.run(["zstd", "-dqc"], input=replies["zstd"], capture_output=True, check=True).stdout
        self.assertEqual(unpacked, replies[""])

    def test_cors(self):
        status, _, headers = self.server.request("OPTIONS", "/v1/embeddings", headers={"Origin": "https://b.example"})
        self.assertEqual((status, headers["access-control-allow-origin"]), (204, "https://b.example"))
        _, _, headers = self.server.request("GET", "/live", headers={"Origin": "https://evil.example"})
        self.assertNotIn("access-control-allow-origin", headers)

    def test_burst_and_idle_connections(self):
        sockets = [socket.create_connection(("127.0.0.1", self.server.port), timeout=10) for _ in range(256)]
        start = time.monotonic()
        for connection in sockets:
            connection.sendall(b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n")
        for connection in sockets:
            self.assertTrue(connection.recv(200).startswith(b"HTTP/1.1 200"))
        self.assertLess(time.monotonic() - start, 5)
        for connection in sockets:
            connection.close()

    def test_client_that_leaves_is_not_computed(self):
        def metric(name):
            return float(re.search(rf"^{name} (\S+)", self.get("/metrics").decode(), re.M)[1])
        before = metric("truevec_texts_total")
        connections = []
        for _ in range(80):
            connection = socket.create_connection(("127.0.0.1", self.server.port))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            connection.sendall(post("/embed", {"inputs": ["word " * 100] * 100}))
            connections.append(connection)
        # They leave while a good part of them waits, however fast the machine is.
        while metric("truevec_queue_requests") < 40 and metric("truevec_texts_total") == before:
            time.sleep(0.001)
        for connection in connections:
            connection.close()  # a reset
        self.post("/embed", {"inputs": "still here"})
        self.assertLess(metric("truevec_texts_total") - before, 8000)


class SlowClientTest(unittest.TestCase):
    def test_slow_header_and_idle(self):
        server = Server("--idle-timeout", "1")
        with socket.create_connection(("127.0.0.1", server.port)) as idle, \
                socket.create_connection(("127.0.0.1", server.port)) as slow:
            slow.sendall(b"GET /li")
            idle.settimeout(5)
            slow.settimeout(15)
            self.assertEqual(idle.recv(10), b"")
            start = time.monotonic()
            self.assertEqual(slow.recv(10), b"")
            self.assertGreater(time.monotonic() - start, 5)
        self.assertEqual(server.stop(), 0)


    def test_announced_bodies_hold_nobody_up(self):
        server = Server()
        waiting = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
        for connection in waiting:
            connection.sendall(b"POST /embed HTTP/1.1\r\nHost: a\r\ncontent-length: 30000000\r\n\r\n{")
        time.sleep(0.3)
        self.assertEqual(server.request("POST", "/embed", {"inputs": "a"})[0], 200)
        for connection in waiting:
            connection.close()
        self.assertEqual(server.stop(), 0)


class ListenTest(unittest.TestCase):
    def test_unix_socket(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "t.sock")
            stale = socket.socket(socket.AF_UNIX)
            stale.bind(path)
            stale.close()
            process = subprocess.Popen([BINARY, "serve", MODEL, "--uds", path], stderr=subprocess.PIPE, text=True)
            self.assertIn("unix:" + path, process.stderr.readline())
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(path)
                connection.sendall(b"GET /ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                self.assertIn(b"200 OK", connection.recv(100))
            second = subprocess.run([BINARY, "serve", MODEL, "--uds", path], capture_output=True, text=True)
            self.assertEqual(second.returncode, 5)
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(10), 0)
            self.assertFalse(os.path.exists(path))
            process.stderr.close()

    def test_tls(self):
        with tempfile.TemporaryDirectory() as folder:
            key, certificate = os.path.join(folder, "key.pem"), os.path.join(folder, "cert.pem")
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate,
                            "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
                           check=True, capture_output=True)
            server = Server("--tls-cert", certificate, "--tls-key", key, "--host", "localhost")
            self.assertIn("https://", server.first_line)
            context = ssl.create_default_context(cafile=certificate)
            connection = http.client.HTTPSConnection("localhost", server.port, context=context)
            for _ in range(3):
                connection.request("POST", "/embed", json.dumps({"inputs": ["a"] * 300}))
                response = connection.getresponse()
                self.assertEqual((response.status, len(json.loads(response.read()))), (200, 300))
            connection.close()
            self.assertEqual(server.stop(), 0)
            wrong = subprocess.run([BINARY, "serve", MODEL, "--tls-cert", key, "--tls-key", key], capture_output=True)
            self.assertEqual(wrong.returncode, 2)

    def test_refusals(self):
        for arguments, code in ((["--port", "0", "--served-model-name", "a", "--served-model-name", "a"], 2),
                                (["--api-key-env", "NOT_SET_ANYWHERE"], 2), (["--host", "no.such.host.invalid"], 5),
                                (["--default-prompt-name", "nothing", "--port", "0"], 2),
                                (["--api-key-file", "/nonexistent"], 2)):
            run = subprocess.run([BINARY, "serve", MODEL, *arguments], capture_output=True, text=True, timeout=60)
            self.assertEqual((run.returncode, run.stdout), (code, ""), (arguments, run.stderr))

    def test_tei_variables(self):
        server = Server(env={"MAX_CLIENT_BATCH_SIZE": "2", "API_KEY": "k", "SERVED_MODEL_NAME": "named",
                             "AUTO_TRUNCATE": "false"})
        headers = {"authorization": "Bearer k"}
        info = server.request("GET", "/info", headers=headers)[1]
        self.assertEqual((info["model_id"], info["max_client_batch_size"], info["auto_truncate"]), ("named", 2, False))
        self.assertEqual(server.request("POST", "/embed", {"inputs": ["a"] * 3}, headers)[0], 422)
        self.assertEqual(server.request("POST", "/embed", {"inputs": "a " * 5000}, headers)[0], 422)
        long = {"input": "a " * 5000}
        self.assertEqual(server.request("POST", "/v1/embeddings", long, headers)[0], 422)
        self.assertEqual(server.request("POST", "/v1/embeddings", {**long, "truncate": True}, headers)[0], 200)
        self.assertEqual(server.request("POST", "/embed", {"inputs": "a"})[0], 401)
        self.assertEqual(server.stop(), 0)


class DrainTest(unittest.TestCase):
    def test_running_requests_are_answered_and_new_ones_refused(self):
        server = Server("--drain-timeout", "150")
        results = []

        def ask():
            results.append(server.request("POST", "/embed", {"inputs": ["word " * 60] * 200})[0])
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        while "truevec_queue_requests 8" not in server.request("GET", "/metrics")[1].decode():
            if len(results) == 8:
                break
        self.assertEqual(server.stop(), 0)
        for thread in threads:
            thread.join()
        self.assertEqual(results, [200] * 8)
        with self.assertRaises(ConnectionRefusedError):
            server.request("GET", "/live")

    def test_drain_that_takes_too_long_answers_503(self):
        server = Server("--drain-timeout", "0")
        results = []

        def ask():
            results.append(server.request("POST", "/embed", {"inputs": ["word " * 100] * 2000})[0])
        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        while "truevec_queue_requests 0" in server.request("GET", "/metrics")[1].decode():
            if len(results) == 6:
                break
        time.sleep(0.2)
        self.assertEqual(server.stop(), 0)
        for thread in threads:
            thread.join()
        self.assertEqual(len(results), 6)
        self.assertTrue(set(results) <= {200, 503}, results)


if __name__ == "__main__":
    unittest.main()
