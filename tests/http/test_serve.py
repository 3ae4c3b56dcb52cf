"""truevec serve over real sockets: vectors bit-equal to `truevec embed`, errors, keys."""
import base64
import concurrent.futures
import json
import unittest

from serve_case import ServeCase, bits, offline

TEXTS = [f"text number {i} " + "word " * (i % 17) for i in range(120)] + ["", "héllo wörld", "日本"]
KEY = {"Authorization": "Bearer secret"}


class ServeTest(ServeCase):
    options = ("--served-model-name", "m", "--max-body", "200000", "--api-key", "secret", "--api-key", "second")

    def call(self, path, body=None, headers=KEY, raw=None):
        method = "GET" if body is None and raw is None else "POST"
        return self.server.request(method, path, body, headers, raw)

    def test_openai_bits_concurrent(self):
        expected = offline(TEXTS)

        def ask(i):
            chosen = [(i * 7 + k) % len(TEXTS) for k in range(1 + i % 9)]
            form = "base64" if i % 2 else "float"
            status, reply, headers = self.call("/v1/embeddings", {"model": "m", "encoding_format": form,
                                                                  "input": [TEXTS[k] for k in chosen]})
            self.assertEqual(status, 200)
            self.assertTrue(headers["x-truevec-fingerprint"].startswith("tv1:"))
            for k, row in zip(chosen, reply["data"], strict=True):
                got = base64.b64decode(row["embedding"]) if form == "base64" else bits(row["embedding"])
                self.assertEqual(got, expected[k])
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(ask, range(200)))

    def test_errors(self):
        for raw in ("{", "[" * 5000, '{"input":"\xff"}'.encode("latin-1"), '{"input":1}', '{"input":[]}', "null", "",
                    '{"input":[[1,2]]}', '{"input":"a","dimensions":0}', '{"input":"a","dimensions":1e999}',
                    '{"input":"a","encoding_format":"x"}', '{"input":NaN}', '{"input":["a",null]}', '{}', '[]',
                    '{"input":"a","dimensions":99999999999999999999}', '{"input":"a"} x', '{"input":"a","model":{}}'):
            status, reply, _ = self.call("/v1/embeddings", raw=raw)
            self.assertEqual((status, reply["error"]["type"]), (400, "invalid_request_error"), raw[:40])
        _, reply, _ = self.call("/v1/embeddings", {"input": ["a", 5]})
        self.assertEqual(reply["error"]["param"], "input[1]")
        self.assertEqual(self.call("/v1/embeddings", {"input": "a", "model": "other"})[0], 404)
        self.assertEqual(self.call("/nowhere", {})[0], 404)
        status, _, headers = self.call("/v1/embeddings")
        self.assertEqual((status, headers["allow"]), (405, "POST"))
        self.assertEqual(self.call("/v1/embeddings", {"input": "a" * 300000})[0], 413)
        # Duplicate keys are refused, as by serde: which one counts is not defined. Unknown fields and nulls are ignored.
        self.assertEqual(self.call("/v1/embeddings", raw='{"input":"x","input":"a"}')[0], 400)
        status, reply, _ = self.call("/v1/embeddings", raw='{"input":"a","user":null,"more":{"a":[1]}}')
        self.assertEqual((status, bits(reply["data"][0]["embedding"])), (200, offline(["a"])[0]))

    def test_keys(self):
        for path, body in (("/v1/embeddings", {"input": "a"}), ("/embed", {"inputs": "a"}), ("/", {"inputs": "a"}),
                           ("/api/embed", {"input": "a"}), ("/v2/embed", {"texts": ["a"]}), ("/embedding", {"content": "a"}),
                           ("/rerank", {"query": "a", "texts": ["b"]}), ("/tokenize", {"inputs": "a"}), ("/decode", {"ids": [1]}),
                           ("/pooling", {"input": "a"}), ("/score", {"text_1": "a", "text_2": "b"}),
                           ("/vectors", {"text": "a"}), ("/explain", {"text": "a"}), ("/similarity", {"inputs": {}}),
                           ("/invocations", {"inputs": "a"}), ("/detokenize", {"tokens": [1]})):
            for headers in ({}, {"Authorization": "Bearer secreT"}, {"Authorization": "Bearer "}, {"x-api-key": "s"},
                            {"Authorization": "Bearer secretsecret"}):
                status, _, reply_headers = self.call(path, body, headers)
                self.assertEqual((status, reply_headers["www-authenticate"]), (401, "Bearer"), path)
        for headers in (KEY, {"authorization": "bearer second"}, {"Authorization": "secret"}, {"x-api-key": "second"}):
            self.assertEqual(self.call("/embed", {"inputs": "a"}, headers)[0], 200)
        self.assertEqual(self.call("/v1/models", headers={})[1]["data"][0]["id"], "m")
        for path in ("/health", "/live", "/ready", "/ping", "/openapi.json", "/meta", "/.well-known/live", "/metrics"):
            self.assertLess(self.call(path, headers={})[0], 300, path)

    def test_request_id_and_timing(self):
        _, _, headers = self.call("/embed", {"inputs": "a"}, {**KEY, "x-request-id": "my-id"})
        self.assertEqual(headers["x-request-id"], "my-id")
        self.assertIn("inference;dur=", headers["server-timing"])
        self.assertEqual(headers["x-compute-tokens"], "3")
        _, _, headers = self.call("/nowhere", {}, {**KEY, "x-request-id": "bad id\t"})
        self.assertRegex(headers["x-request-id"], "^[0-9a-f]{32}$")


if __name__ == "__main__":
    unittest.main()
