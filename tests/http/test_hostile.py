"""Hostile input on every route and on the wire: the dialect's own error object, the right status, a server that goes on
and memory that stays small. routes.json has a valid body of every route; the cases below spoil it."""
import gzip
import http.client
import json
import os
import re
import socket
import unittest

from serve_case import TESTS, ServeCase

GOLDEN = os.path.join(TESTS, "golden", "pipeline")
with open(os.path.join(TESTS, "http", "routes.json"), encoding="utf-8") as file:
    ROUTES = json.load(file)

SHAPES = {  # what an error of each dialect must look like
    "openai": lambda body: set(body["error"]) == {"message", "type", "param", "code"},
    "vllm": lambda body: set(body["error"]) == {"message", "type", "param", "code"},
    "llamacpp": lambda body: set(body["error"]) == {"message", "type", "code"},
    "tei": lambda body: isinstance(body["error"], str) and isinstance(body["error_type"], str),
    "cohere": lambda body: isinstance(body["message"], str),
    "ollama": lambda body: isinstance(body["error"], str),
    "weaviate": lambda body: "error" in body,
    "own": lambda body: isinstance(body["error"], str),
}
NOT_JSON = [
    b"", b"{", b'{"a":}', b'{"a":NaN}', b'{"a":-Infinity}', b"{'a':1}", b'{"a":1,}', b'{"a":1} {}', b"/**/{}", b"\x00",
    b'{"a":"\n"}', '{"a":1}'.encode("utf-16"), b'{"a":"\xff"}', b'{"a":"\xc0\xaf"}', b'{"a":"\xed\xa0\x80"}',
    b'{"a":"\xf4\x90\x80\x80"}', b'{"a":"\\ud800"}', b'{"a":"\\ud800\\u0041"}', b'{"a":"\\udc00"}', b'{"a":"\\x"}',
    b"[" * 100000, b'{"a":' * 100000, b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", b'{"a":01}', b'{"a":.5}', b'{"a":1e}',
    b'{"a":tru}', b"{1:2}", b'{"a":"' + b"x" * 100]
NO_TEXT = ["5", "true", "-1.5", "1e999", "99999999999999999999999", "{}", "[null]", "[true]", '["a",5]', "[{}]", "[[[]]]",
           "[1.5]", "[-1]", "[99999999999]", '{"text":5}', "[[99999999999]]"]
OTHERS = ["null", "-1", "0", '""', '"x"', "[]", "[[]]", '["\\u0000"]', '"' + "x" * 30000 + '"', "[" + '"a",' * 3000 + '"a"]',
          "9223372036854775808", "-9223372036854775808", '[{"text":5}]', '"\\ud83d\\ude00"', '["' + "a " * 20000 + '"]']


class Connection:
    """Keep-alive: a server that closes after an error would show."""

    def __init__(self, port):
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def post(self, path, body):
        self.http.request("POST", path, body, {"content-type": "application/json"})
        response = self.http.getresponse()
        content = response.read()
        assert response.headers["content-type"] == "application/json", (path, response.status)
        return response.status, json.loads(content), len(content)


class HostileTest(ServeCase):
    options = ("--max-body", "1000000", "--max-client-batch-size", "2000")
    models = tuple(os.path.join(GOLDEN, name)
                   for name in ("prompts", "cross_one_label", "cross_three_labels", "splade_max_log1p_relu"))

    def setUp(self):
        self.connection = Connection(self.server.port)
        self.addCleanup(self.connection.http.close)

    def check_memory(self, most):
        """MiB; sanitizers need many times as much."""
        if not os.environ.get("TRUEVEC_SANITIZE"):
            self.assertLess(self.memory(), most)

    def memory(self):
        with open(f"/proc/{self.server.process.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]) / 1024

    def refused(self, route, raw, statuses):
        status, body, size = self.connection.post(route["path"], raw)
        about = (route["path"], raw[:120], status, str(body)[:300])
        self.assertIn(status, statuses, about)
        self.assertIsInstance(body, dict, about)
        self.assertLess(size, 3000, about)
        return body, about

    def test_every_route_takes_its_body(self):
        for route in ROUTES:
            status, reply, _ = self.connection.post(route["path"], json.dumps(route["body"]))
            self.assertEqual(status, 200, (route["path"], reply))

    def test_no_json(self):
        for route in ROUTES:
            for raw in NOT_JSON:
                body, about = self.refused(route, raw, {400})
                self.assertTrue(SHAPES[route["errors"]](body), about)

    def test_keys_given_twice(self):
        for route in ROUTES:
            whole = json.dumps(route["body"])
            key = next(iter(route["body"]))
            raw = whole[:-1] + "," + json.dumps(key) + ":" + json.dumps(route["body"][key]) + "}"
            body, about = self.refused(route, raw, {400})
            self.assertTrue(SHAPES[route["errors"]](body), about)
            self.assertIn(f"body: {key} is given twice", str(body), about)
        nested = '{"model":"prompts","input":"a","options":{"num_ctx":1,"num\\u005fctx":2}}'
        status, body, _ = self.connection.post("/api/embed", nested)
        self.assertEqual((status, body["error"]), (400, "body: options.num_ctx is given twice"))
        self.assertEqual(self.connection.post("/api/embed", nested.replace("u005fctx", "u005fctz"))[0], 200)

    def test_infinite_numbers(self):
        for number in ("1e999", "-1e999"):
            for path in ("/v1/embeddings", "/embed"):
                raw = '{"inputs":"a","input":"a","dimensions":%s}' % number
                status, body, _ = self.connection.post(path, raw)
                self.assertEqual(status, 400 if path != "/embed" else 422, body)
                message = body["error"] if path == "/embed" else body["error"]["message"]
                self.assertIn("expected an integer, got a number beyond what a double holds", message)

    def test_wrong_values(self):
        for route in ROUTES:
            for key in route["body"]:
                cases = [(value, False) for value in OTHERS]
                if key == route["text"]:
                    cases += [(value, True) for value in NO_TEXT]
                elif key not in ("options", "keep_alive", "user"):
                    cases += [(value, False) for value in NO_TEXT]
                for value, must_fail in cases:
                    raw = "{" + ",".join(json.dumps(name) + ":" + (value if name == key else json.dumps(old))
                                         for name, old in route["body"].items()) + "}"
                    status, body, size = self.connection.post(route["path"], raw)
                    about = (route["path"], key, value[:60], status, str(body)[:300])
                    if status == 200:
                        self.assertFalse(must_fail, about)
                        continue
                    self.assertIn(status, {400, 404, 413, 422, 424} if route["errors"] == "tei" else {400, 404, 413, 422}, about)
                    self.assertTrue(SHAPES[route["errors"]](body), about)
                    self.assertLess(size, 3000, about)
        self.check_memory(400)


class LargeTextTest(HostileTest):
    """Texts of which every token is shown have a limit of their own: a token costs a hundred times its bytes."""
    options = ("--max-client-batch-size", "2000")
    test_every_route_takes_its_body = test_no_json = test_keys_given_twice = test_wrong_values = None

    def test_tokens_of_long_texts(self):
        self.assertEqual(self.connection.post("/tokenize", json.dumps({"inputs": "a " * 400000}))[0], 200)
        for path, body in (("/tokenize", {"inputs": "a " * 600000}), ("/tokenize", {"content": "a " * 600000}),
                           ("/tokenize", {"prompt": "a " * 600000}), ("/tokenize", {"inputs": ["a " * 300] * 2000}),
                           ("/explain", {"text": "a " * 600000})):
            self.assertEqual(self.connection.post(path, json.dumps(body))[0], 413, path)
        self.assertEqual(self.connection.post("/embed", json.dumps({"inputs": ["a " * 600000] * 20}))[0], 200)
        self.check_memory(500)


BODY = b'{"inputs":"a"}'
GET = b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKS = b"e\r\n" + BODY + b"\r\n0\r\n\r\n"


def embed(headers, body=BODY, version=b"HTTP/1.1"):
    return b"POST /embed " + version + b"\r\nHost: a\r\n" + headers + b"\r\n" + body


def coded(coding, body):
    return embed(b"Content-Encoding: %s\r\nContent-Length: %d\r\n" % (coding, len(body)), body)


CHUNKED, LENGTH = b"Transfer-Encoding: chunked\r\n", b"Content-Length: 14\r\n"
WIRE = {  # name: bytes, statuses of all replies. After a request that cannot be delimited nothing may be answered.
    "length and chunked": (embed(LENGTH + CHUNKED, b"0\r\n\r\n" + GET), [400]),
    "chunked and length": (embed(CHUNKED + LENGTH, b"0\r\n\r\n" + GET), [400]),
    "two lengths": (embed(LENGTH + b"Content-Length: 3\r\n") + GET, [400]),
    "a list of lengths": (embed(b"Content-Length: 14, 3\r\n") + GET, [400]),
    "signed length": (embed(b"Content-Length: +14\r\n") + GET, [400]),
    "hexadecimal length": (embed(b"Content-Length: 0xe\r\n") + GET, [400]),
    "empty length": (embed(b"Content-Length: \r\n") + GET, [400]),
    "huge length": (embed(b"Content-Length: 18446744073709551617\r\n") + GET, [400]),
    "gzip coding": (embed(b"Transfer-Encoding: gzip\r\n", GET), [400]),
    "identity coding": (embed(b"Transfer-Encoding: identity\r\n", GET), [400]),
    "xchunked": (embed(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n" + GET), [400]),
    "quoted chunked": (embed(b'Transfer-Encoding: "chunked"\r\n', CHUNKS + GET), [400]),
    "chunked, then gzip": (embed(b"Transfer-Encoding: chunked, gzip\r\n", CHUNKS + GET), [400]),
    "gzip, then chunked": (embed(b"Transfer-Encoding: gzip, chunked\r\n", CHUNKS + GET), [501]),
    "chunked twice": (embed(CHUNKED + CHUNKED, CHUNKS + GET), [400]),
    "space before the colon": (embed(b"Transfer-Encoding : chunked\r\n", CHUNKS), [400]),
    "vertical tab": (embed(b"Transfer-Encoding: \x0bchunked\r\n", CHUNKS + GET), [400]),
    "chunked in HTTP/1.0": (embed(CHUNKED, CHUNKS, b"HTTP/1.0"), [400]),
    "no host": (b"GET /live HTTP/1.1\r\n\r\n" + GET, [400]),
    "no host in HTTP/1.0": (b"GET /live HTTP/1.0\r\n\r\n", [200]),
    "empty host": (b"GET /live HTTP/1.1\r\nHost:\r\n\r\n", [200]),
    "IPv6 host": (b"GET /live HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", [200]),
    "host with a space": (b"GET /live HTTP/1.1\r\nHost: a b\r\n\r\n" + GET, [400]),
    "host with a path": (b"GET /live HTTP/1.1\r\nHost: a/b\r\n\r\n" + GET, [400]),
    "two hosts": (b"GET /live HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + GET, [400]),
    "negative chunk": (embed(CHUNKED, b"-e\r\n" + BODY + b"\r\n0\r\n\r\n"), [400]),
    "chunk longer than 64 bits": (embed(CHUNKED, b"1000000000000000e\r\n" + BODY), [400, 413]),
    "chunk without an end": (embed(CHUNKED, b"e\r\n" + BODY + b"XX0\r\n\r\n"), [400]),
    "upper-case chunked": (embed(b"Transfer-Encoding: CHUNKED\r\n", CHUNKS), [200]),
    "chunk extension": (embed(CHUNKED, b"e;a=b\r\n" + CHUNKS[3:]), [200]),
    "endless chunk extension": (embed(CHUNKED, b"e;a=" + b"b" * 500000 + b"\r\n" + CHUNKS[3:]), [431]),
    "trailer": (embed(CHUNKED, CHUNKS[:-2] + b"X: y\r\n\r\n") + GET, [200, 200]),
    "many trailers": (embed(CHUNKED, CHUNKS[:-2] + b"X: y\r\n" * 10000 + b"\r\n"), [431]),
    "endless trailer": (embed(CHUNKED, CHUNKS[:-2] + b"X: y\r\n" * 100000 + b"\r\n"), [431]),
    "length in the trailer": (embed(CHUNKED, CHUNKS[:-2] + b"Content-Length: 3\r\n\r\n" + GET), [400]),
    "bare CR": (b"GET /live HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", [400]),
    "NUL in a field": (b"GET /live HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", [400]),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400]),
    "HTTP/0.9": (b"GET /live\r\n\r\n", [400]),
    "HTTP/3": (b"GET /live HTTP/3.0\r\nHost: a\r\n\r\n", [400]),
    "TLS hello": (bytes.fromhex("16030100c8010000c40303") + b"x" * 200, [400]),
    "long method": (b"A" * 20000 + b" / HTTP/1.1\r\n\r\n", [431]),
    "upgrade to HTTP/2 is not taken": (b"GET /live HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                                       b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", [200]),
    "absolute target": (b"GET http://a.example/live HTTP/1.1\r\nHost: a.example\r\n\r\n", [200]),
    "dots": (b"GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", [404]),
    "slashes too many": (embed(LENGTH).replace(b"/embed", b"//embed/"), [200]),
    "slashes at the end": (b"GET /docs/ HTTP/1.1\r\nHost: a\r\n\r\n" + GET.replace(b"/live", b"/v1/models/"), [200, 200]),
    "a slash inside": (b"GET /v1//models HTTP/1.1\r\nHost: a\r\n\r\n", [404]),
    "escaped path": (embed(LENGTH).replace(b"/embed", b"/%65mb%65d"), [200]),
    "escaped twice": (embed(LENGTH).replace(b"/embed", b"/%2565mbed") + GET, [404, 200]),
    "escape cut short": (embed(LENGTH).replace(b"/embed", b"/embe%6"), [400]),
    "escape that is none": (embed(LENGTH).replace(b"/embed", b"/embe%6g") + GET, [400, 200]),
    "escaped NUL": (b"GET /live%00 HTTP/1.1\r\nHost: a\r\n\r\n", [404]),
    "escaped question mark": (b"GET /live%3Fa HTTP/1.1\r\nHost: a\r\n\r\n", [404]),
    "CONNECT": (b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", [404]),
    "empty lines before a request": (b"\r\n\r\n" + GET + b"\r\n" + embed(LENGTH) + b"\r\n" + GET, [200, 200, 200]),
    "a thousand at once": (GET * 1000, [200] * 1000),
    "a body where none is read": (b"GET /live HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" + GET, [200, 200]),
    "garbage after a request": (embed(LENGTH) + b"\x00\x01garbage\r\n\r\n" + GET, [200, 400]),
    "gzip with garbage after it": (coded(b"gzip", gzip.compress(BODY) + b"xx"), [400]),
    "gzip cut short": (coded(b"gzip", gzip.compress(BODY)[:-5]), [400]),
    "gzip bomb": (coded(b"gzip", gzip.compress(b" " * 50_000_000)), [413]),
    "gzip in gzip bomb": (coded(b"gzip, gzip", gzip.compress(gzip.compress(b" " * 50_000_000))), [413]),
    "many codings": (coded(b"gzip, " * 400 + b"gzip", BODY), [415]),
    "codings in two fields": (coded(b"gzip\r\nContent-Encoding: zstd", BODY), [400]),
    "gzip in two fields": (coded(b"gzip\r\nContent-Encoding: gzip", gzip.compress(gzip.compress(BODY))), [200]),
    "expectation in HTTP/1.0": (embed(LENGTH + b"Expect: 100-continue\r\n", version=b"HTTP/1.0"), [200]),
    "expectation": (embed(LENGTH + b"Expect: 100-continue\r\n"), [100, 200]),
    "only half a request": (embed(LENGTH, BODY[:5]), []),
}


class WireTest(ServeCase):
    options = ("--max-body", "100000")

    def test_wire(self):
        for name, (data, expected) in WIRE.items():
            received = self.server.raw(data)
            statuses = [int(code) for code in re.findall(rb"HTTP/1\.[01] (\d{3}) ", received)]
            if name == "chunk longer than 64 bits":
                self.assertIn(statuses, ([400], [413]), name)
            else:
                self.assertEqual(statuses, expected, (name, received[:300]))
            if len(statuses) == 1 and statuses[0] >= 400:
                self.assertIn("error", json.loads(received.split(b"\r\n\r\n", 1)[1]), name)
        self.assertEqual(self.post("/embed", {"inputs": "a"})[0], self.post("/embed", {"inputs": "a"})[0])

    def test_trailer_fields_are_no_header_fields(self):
        server = type(self.server)("--api-key", "k")
        received = server.raw(embed(CHUNKED, CHUNKS[:-2] + b"Authorization: Bearer k\r\n\r\n"))
        self.assertEqual(server.stop(), 0)
        self.assertIn(b"HTTP/1.1 401 ", received)

    def test_replies_that_nobody_reads(self):
        body = json.dumps({"inputs": ["word"] * 2000}).encode()
        connections = []
        for _ in range(50):
            connection = socket.create_connection(("127.0.0.1", self.server.port))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(embed(b"Content-Length: %d\r\n" % len(body), body))
            connections.append(connection)
        self.post("/embed", {"inputs": "a"})
        for connection in connections:
            connection.close()


if __name__ == "__main__":
    unittest.main()
