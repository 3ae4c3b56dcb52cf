"""Every dialect's routes against the reference's values (tests/golden/pipeline), several models in one server."""
import base64
import json
import math
import os
import re
import struct
import unittest

from serve_case import TESTS, ServeCase, Server, bits, offline

GOLDEN = os.path.join(TESTS, "golden", "pipeline")
MODELS = ("prompts", "cross_one_label", "cross_three_labels", "splade_max_log1p_relu")


def golden(name):
    with open(os.path.join(GOLDEN, name, "golden.json"), encoding="utf-8") as file:
        return json.load(file)["cases"]


def plain(name):
    """Cases of a text alone, without options."""
    return [case for case in golden(name) if set(case) <= {"text", "ids", "expected"}]


def unit(vector):
    norm = math.sqrt(sum(value * value for value in vector))
    return [value / norm for value in vector]


def cosine(a, b):
    return sum(x * y for x, y in zip(unit(a), unit(b)))


class DialectTest(ServeCase):
    models = tuple(os.path.join(GOLDEN, name) for name in MODELS)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cases = [case for case in plain("prompts") if case["text"]]
        cls.texts = [case["text"] for case in cls.cases]
        cls.expected = [case["expected"] for case in cls.cases]
        cls.by_prompt = {value: {case["text"]: case["expected"] for case in golden("prompts")
                                 if set(case) == {"text", field, "ids", "expected"} and case[field] == value}
                         for field, value in (("prompt_name", "red"), ("task", "query"), ("task", "document"))}

    def assert_rows(self, rows, expected):
        self.assertEqual(len(rows), len(expected))
        for got, want in zip(rows, expected):
            self.assert_close(got, want, 2e-6)

    def test_openai(self):
        reply = self.post("/v1/embeddings", {"model": "prompts", "input": self.texts})
        self.assert_rows([row["embedding"] for row in reply["data"]], self.expected)
        self.assertEqual(reply["usage"]["prompt_tokens"], sum(len(case["ids"]) for case in self.cases))
        text = next(iter(self.by_prompt["red"]))
        for extra in ({"prompt_name": "red"}, {"prompt": "red "}):
            reply = self.post("/v1/embeddings", {"input": text, **extra})
            self.assert_rows([reply["data"][0]["embedding"]], [self.by_prompt["red"][text]])
        cut = self.post("/embeddings", {"input": self.texts[0], "dimensions": 5, "encoding_format": "base64"})
        got = struct.unpack("<5f", base64.b64decode(cut["data"][0]["embedding"]))
        self.assert_close(got, unit(self.expected[0][:5]), 2e-6)
        self.assertEqual(self.post("/v1/embeddings", {"input": "a", "prompt_name": "x"}, expect=400)["error"]["param"],
                         "prompt_name")
        self.post("/v1/embeddings", {"input": "a", "model": "cross_one_label"}, expect=400)
        self.post("/v1/embeddings", {"input": ["a", "b"], "late_chunking": True}, expect=400)
        packed = self.post("/v1/embeddings", {"input": self.texts[0], "embedding_type": "ubinary"})["data"][0]["embedding"]
        signs = [value > 0 for value in self.expected[0]]
        self.assertEqual(packed, [sum(bit << (7 - i) for i, bit in enumerate(signs[k:k + 8])) for k in (0, 8)])
        signed = self.post("/v1/embeddings", {"input": self.texts[0], "embedding_type": "binary"})["data"][0]["embedding"]
        self.assertEqual(signed, [value - 128 for value in packed])
        self.assertIn("calibration", self.post("/v1/embeddings", {"input": "a", "embedding_type": "int8"}, expect=400)
                      ["error"]["message"])

    def test_models(self):
        listed = self.get("/v1/models")["data"]
        self.assertEqual([model["id"] for model in listed], list(MODELS))
        self.assertTrue(all(model["max_model_len"] > 0 for model in listed))
        self.assertEqual(self.get("/v1/models/cross_one_label")["id"], "cross_one_label")
        self.assertEqual(self.get("/v1/models/no/such", expect=404)["error"]["code"], "model_not_found")

    def test_tei_embed(self):
        self.assert_rows(self.post("/embed", {"inputs": self.texts}), [unit(row) for row in self.expected])
        raw = self.post("/embed", {"inputs": self.texts, "normalize": False})  # the model ends in a Normalize module
        self.assertEqual([bits(row) for row in raw], offline(self.texts, "--no-normalize", model=self.models[0]))
        self.assert_rows([unit(row) for row in raw], self.expected)
        self.assert_rows(self.post("/", {"inputs": self.texts[0]}), [unit(self.expected[0])])
        self.assert_rows(self.post("/embed", {"inputs": self.texts[0], "dimensions": 5}), [unit(self.expected[0][:5])])
        text = next(iter(self.by_prompt["red"]))
        self.assert_rows(self.post("/embed", {"inputs": text, "prompt_name": "red"}), [self.by_prompt["red"][text]])
        for body, status, kind in (({"inputs": []}, 400, "Empty"), ({"inputs": ""}, 400, "Empty"), ({"inputs": 5}, 422, "Validation"),
                                   ({"inputs": ["a"] * 3000}, 422, "Validation"), ({}, 422, "Validation"),
                                   ({"inputs": "a " * 5000, "truncate": False}, 422, "Validation"),
                                   ({"inputs": "a", "prompt_name": "none"}, 422, "Validation"),
                                   ({"inputs": "a", "dimensions": 17}, 422, "Validation"),
                                   ({"inputs": [[1, 2]]}, 422, "Validation")):
            reply = self.post("/embed", body, expect=status)
            self.assertEqual(reply["error_type"], kind, body)
        self.post("/embed", raw="{", expect=400)
        self.post("/embed", {"inputs": "a " * 5000})
        self.assertEqual(self.headers["x-truevec-truncated-texts"], "1")
        left = self.post("/embed", {"inputs": "a " * 5000 + "b", "truncation_direction": "Left"})
        right = self.post("/embed", {"inputs": "a " * 5000 + "b", "truncation_direction": "right"})
        self.assertNotEqual(left, right)

    def test_tei_others(self):
        cases = plain("token_embeddings")
        server = Server(models=(os.path.join(GOLDEN, "token_embeddings"),))
        status, rows, _ = server.request("POST", "/embed_all", {"inputs": [case["text"] for case in cases if case["text"]]})
        self.assertEqual(server.stop(), 0)
        self.assertEqual(status, 200)
        for got, case in zip(rows, (case for case in cases if case["text"]), strict=True):
            self.assertEqual(len(got), len(case["ids"]))
            self.assert_close([value for row in got for value in row], case["expected"], 5e-6)
        cases = [case for case in plain("splade_max_log1p_relu") if case["text"]]
        rows = self.post("/embed_sparse", {"inputs": [case["text"] for case in cases]})
        for row, case in zip(rows, cases, strict=True):
            dense = [0.0] * len(case["expected"])
            for entry in row:
                self.assertNotEqual(entry["value"], 0)
                dense[entry["index"]] = entry["value"]
            self.assert_close(dense, case["expected"], 2e-6)
        scores = self.post("/similarity", {"inputs": {"source_sentence": self.texts[0], "sentences": self.texts[1:]},
                                           "parameters": {}})
        self.assert_close(scores, [cosine(self.expected[0], other) for other in self.expected[1:]], 2e-6)
        self.assertEqual(self.post("/", {"inputs": {"source_sentence": self.texts[0], "sentences": self.texts[1:]}}), scores)

    def test_rerank(self):
        cases = [case for case in golden("cross_one_label") if not set(case) - {"text", "pair", "ids", "expected"}]
        query = cases[0]["text"]
        cases = [case for case in cases if case["text"] == query] or cases[:1]
        documents = [case["pair"] for case in cases] + ["something else"]
        by_document = {case["pair"]: case["expected"][0] for case in cases}
        raw = {case["pair"]: case["expected"][0] for case in golden("cross_one_label")
               if case.get("raw") and case["text"] == query}
        tei = self.post("/rerank", {"query": query, "texts": documents, "return_text": True})
        self.assertEqual(sorted(row["score"] for row in tei), [row["score"] for row in tei][::-1])
        for row in tei:
            if row["text"] in by_document:
                self.assertAlmostEqual(row["score"], by_document[row["text"]], delta=2e-6)
        for row in self.post("/rerank", {"query": query, "texts": documents, "raw_scores": True}):
            self.assertNotIn("text", row)
            if documents[row["index"]] in raw:
                self.assertAlmostEqual(row["score"], raw[documents[row["index"]]], delta=2e-6)
        for path in ("/rerank", "/v1/rerank", "/v2/rerank"):
            reply = self.post(path, {"model": "cross_one_label", "query": query, "documents": documents, "top_n": 1,
                                     "return_documents": True})
            best = reply["results"][0]
            self.assertEqual((len(reply["results"]), reply["object"]), (1, "rerank" if path == "/rerank" else "list"))
            self.assertEqual((best["index"], best["relevance_score"]), (tei[0]["index"], tei[0]["score"]))
            self.assertEqual(best.get("document"), None if path == "/rerank" else {"text": documents[best["index"]]})
        score = self.post("/score", {"model": "cross_one_label", "text_1": query, "text_2": documents})
        got = {documents[row["index"]]: row["score"] for row in score["data"]}
        self.assertEqual(got, {documents[row["index"]]: row["score"] for row in tei})
        similar = self.post("/score", {"model": "prompts", "text_1": self.texts[0], "text_2": self.texts[1]})
        self.assertEqual(len(similar["data"]), 1)
        self.post("/v1/rerank", {"query": query, "documents": []}, expect=400)
        self.assertIn("documents[0]", self.post("/v2/rerank", {"query": query, "documents": [5]}, expect=400)["message"])
        self.post("/rerank", {"query": query, "texts": []}, expect=400)

    def test_predict(self):
        server = Server(models=(os.path.join(GOLDEN, "cross_three_labels"),))
        case = next(case for case in golden("cross_three_labels") if case.get("raw"))
        pair = [case["text"], case["pair"]]
        _, flat, _ = server.request("POST", "/predict", {"inputs": pair, "raw_scores": True})
        _, nested, _ = server.request("POST", "/predict", {"inputs": [pair, ["alone"]]})
        status, _, _ = server.request("POST", "/embed", {"inputs": "a"})
        _, info, _ = server.request("GET", "/info")
        self.assertEqual(server.stop(), 0)
        self.assert_close([row["score"] for row in flat], sorted(case["expected"], reverse=True), 2e-6)
        self.assertEqual([len(rows) for rows in nested], [3, 3])
        self.assertAlmostEqual(sum(row["score"] for row in nested[0]), 1, places=5)  # softmax
        self.assertEqual(status, 424)
        self.assertEqual(set(info["model_type"]), {"classifier"})
        self.assertEqual({row["label"] for row in flat}, set(info["model_type"]["classifier"]["label2id"]))

    def test_tokenize_and_decode(self):
        rows = self.post("/tokenize", {"inputs": self.texts})
        for row, case in zip(rows, self.cases, strict=True):
            ids = [token["id"] for token in row]
            self.assertEqual(ids[:len(case["ids"]) - 1], case["ids"][:-1])
            for token in row:
                if token["special"]:
                    self.assertIsNone(token["start"])
                else:
                    self.assertEqual(token["text"], case["text"][token["start"]:token["stop"]])
        ids = [token["id"] for token in rows[0]]
        self.assertEqual(self.post("/tokenize", {"content": self.texts[0], "add_special": True}), {"tokens": ids})
        vllm = self.post("/tokenize", {"prompt": self.texts[0]})
        self.assertEqual((vllm["tokens"], vllm["count"]), (ids, len(ids)))
        self.assertEqual(self.post("/decode", {"ids": ids}), self.post("/decode", {"ids": [ids]}))
        self.assertEqual(self.post("/detokenize", {"tokens": ids[1:-1]})["content"], self.post("/decode", {"ids": ids})[0])
        self.assertIn("ids[0]", self.post("/decode", {"ids": [10**6]}, expect=422)["error"])

    def test_cohere(self):
        text = next(iter(self.by_prompt["query"]))
        reply = self.post("/v2/embed", {"model": "prompts", "texts": [text], "input_type": "search_query",
                                        "embedding_types": ["float", "base64", "ubinary"]})
        self.assert_rows(reply["embeddings"]["float"], [self.by_prompt["query"][text]])
        raw = base64.b64decode(reply["embeddings"]["base64"][0])
        self.assertEqual(list(struct.unpack(f"<{len(raw) // 4}f", raw)),
                         [struct.unpack("<f", struct.pack("<f", value))[0] for value in reply["embeddings"]["float"][0]])
        text = next(iter(self.by_prompt["document"]))
        v1 = self.post("/v1/embed", {"texts": [text], "input_type": "search_document"})
        self.assert_rows(v1["embeddings"], [self.by_prompt["document"][text]])
        self.assertEqual(self.post("/", {"texts": [text], "input_type": "search_document"})["embeddings"], v1["embeddings"])
        parts = self.post("/v2/embed", {"inputs": [{"content": [{"type": "text", "text": text}]}],
                                        "input_type": "search_document"})
        self.assertEqual(parts["embeddings"]["float"], v1["embeddings"])
        self.assertIn("message", self.post("/v2/embed", {"texts": []}, expect=400))
        self.post("/v2/embed", {"texts": ["a " * 5000], "truncate": "NONE"}, expect=400)
        self.post("/v2/embed", {"texts": ["a"], "embedding_types": ["half"]}, expect=400)
        reply = self.post("/v2/embed", {"texts": ["a"], "embedding_types": ["BASE64", "Float"]})["embeddings"]
        self.assertEqual([base64.b64decode(one) for one in reply["base64"]], [bits(one) for one in reply["float"]])

    def test_ollama(self):
        options = {name: None for name in ("num_ctx", "seed", "temperature")}
        reply = self.post("/api/embed", {"model": "prompts:latest", "input": self.texts, "options": options})
        self.assert_rows(reply["embeddings"], [unit(row) for row in self.expected])
        self.assertEqual(reply["model"], "prompts:latest")
        self.assertGreater(reply["total_duration"], 1000)
        old = self.post("/api/embeddings", {"model": "prompts", "prompt": self.texts[0]})
        self.assert_rows([old["embedding"]], [unit(self.expected[0])])
        self.assertEqual(self.post("/api/embed", {"model": "prompts", "input": []})["embeddings"], [])
        self.assertEqual(set(self.post("/api/embed", {"model": "gone", "input": "a"}, expect=404)), {"error"})
        self.post("/api/embed", {"model": "prompts", "input": "a " * 5000, "truncate": False}, expect=400)
        self.assertEqual(self.get("/api/tags")["models"][0]["name"], "prompts:latest")
        self.assertEqual(self.post("/api/show", {"model": "prompts"})["capabilities"], ["embedding"])
        self.assertRegex(self.get("/api/version")["version"], r"^\d")

    def test_llamacpp(self):
        rows = self.post("/embedding", {"content": self.texts[:2]})
        self.assert_rows([row["embedding"][0] for row in rows], [unit(row) for row in self.expected[:2]])
        one = self.post("/embed", {"inputs": self.texts[0], "normalize": False})[0]
        for kind, scale in ((-1, 1), (1, sum(map(abs, one))), (0, max(map(abs, one)) / 32760), (3, sum(abs(x) ** 3 for x in one) ** (1 / 3))):
            row = self.post("/embeddings", {"content": self.texts[0], "embd_normalize": kind})[0]["embedding"][0]
            self.assert_close([value * scale for value in row], one, 3e-6)
        self.assertEqual(self.post("/embedding", {}, expect=400)["error"]["code"], 400)

    def test_vllm(self):
        reply = self.post("/pooling", {"model": "prompts", "input": self.texts})
        self.assert_rows([row["data"] for row in reply["data"]], self.expected)
        tokens = self.post("/pooling", {"model": "prompts", "input": self.texts[0], "task": "token_embed"})
        self.assertEqual(len(tokens["data"][0]["data"]), len(self.cases[0]["ids"]))
        self.assertEqual(self.post("/pooling", {"input": "a " * 5000}, expect=400)["error"]["type"], "BadRequestError")
        self.post("/pooling", {"input": "a " * 5000, "truncate_prompt_tokens": -1})

    def test_vllm_inputs(self):
        ids = self.cases[0]["ids"]
        server = Server("--accept-token-ids", models=(os.path.join(GOLDEN, "prompts"),))
        as_ids = server.request("POST", "/v1/embeddings", {"input": [ids[1:-1], ids[:2], ids[-2:]]})[1]["data"]
        self.assertEqual(server.stop(), 0)
        text = self.texts[0]
        for path, key in (("/v1/embeddings", "embedding"), ("/pooling", "data")):
            ask = {"model": "prompts", "input": text}
            for extra, want in (({"add_special_tokens": False}, as_ids[0]), ({"use_activation": True}, None)):
                got = self.post(path, {**ask, **extra})["data"][0][key]
                self.assertEqual(got, want["embedding"]) if want else self.assert_close(got, self.expected[0], 2e-6)
        # The specials stay, the texts between them are cut at the end or the start.
        short = [self.post("/pooling", {"input": text, "truncate_prompt_tokens": 3, "truncation_side": side})["data"][0]["data"]
                 for side in ("left", "right")]
        words = [self.post("/tokenize", {"inputs": text})[0][place] for place in (-2, 1)]
        for vector, word in zip(short, words):
            self.assert_close(vector, self.post("/pooling", {"input": text[word["start"]:word["stop"]]})["data"][0]["data"], 2e-6)
        for body in ({"messages": [{"role": "user", "content": "a"}]}, {}, {"input": text, "truncate_prompt_tokens": 0},
                     {"input": text, "padding": "max_length"}, {"input": text, "embed_dtype": "float16"}):
            self.assertIn("code", self.post("/pooling", {"model": "prompts", **body}, expect=400)["error"])

    def test_vllm_messages(self):
        for name in ("chat_flat", "chat_structured"):
            server, checked = Server(models=(os.path.join(GOLDEN, name),)), 0
            limit = server.request("GET", "/v1/models")[1]["data"][0]["max_model_len"]
            try:
                for case in golden(name):
                    if set(case) - {"text", "prompt", "ids", "expected"}:
                        continue
                    messages = [{"role": "user", "content": case["text"]}]
                    if case.get("prompt"):
                        messages.insert(0, {"role": "system", "content": [{"type": "text", "text": case["prompt"]}]})
                    for body in ({"messages": messages}, {"messages": [messages, messages]}):
                        status, reply, _ = server.request("POST", "/v1/embeddings", {**body, "truncate_prompt_tokens": -1})
                        self.assertEqual(status, 200, (name, case["text"], reply))
                        if len(case["ids"]) < limit:  # of a cut one Sentence Transformers puts the template's end back
                            checked += 1
                            for row in reply["data"]:
                                self.assert_close(row["embedding"], case["expected"], 2e-6)
                        self.assertEqual(len(reply["data"]), 1 if body["messages"] is messages else 2)
                self.assertGreater(checked, 3)
                tokens = server.request("POST", "/tokenize", {"messages": [{"role": "user", "content": "hello world"}]})[1]
                self.assertEqual(tokens["tokens"], golden(name)[0]["ids"])
                for messages in ([], [5], [{"role": "user"}], [{"content": "a"}], [[]], [{"role": "user", "content": []}], "a",
                                 [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]):
                    status, reply, _ = server.request("POST", "/pooling", {"messages": messages})
                    self.assertEqual((status, reply["error"]["type"]), (400, "BadRequestError"), messages)
            finally:
                self.assertEqual(server.stop(), 0)

    def test_vllm_classify(self):
        texts = ["a cat", "two dogs", "three birds"]
        logits = self.post("/classify", {"model": "cross_three_labels", "input": texts, "use_activation": False})["data"]
        probs = self.post("/classify", {"model": "cross_three_labels", "input": texts})
        self.assertEqual(probs["object"], "list")
        for text, plain_row, row in zip(texts, logits, probs["data"], strict=True):
            scale = [math.exp(value - max(plain_row["probs"])) for value in plain_row["probs"]]
            self.assert_close(row["probs"], [value / sum(scale) for value in scale], 2e-6)
            self.assertEqual((row["num_classes"], len(row["probs"])), (3, 3))
            self.assertEqual(row["label"], f"LABEL_{row['probs'].index(max(row['probs']))}")
            # As TEI's route, which is compared with the reference above.
            server = Server(models=(os.path.join(GOLDEN, "cross_three_labels"),))
            predicted = server.request("POST", "/predict", {"inputs": [[text]], "raw_scores": True})[1][0]
            self.assertEqual(server.stop(), 0)
            self.assertEqual({one["label"]: one["score"] for one in predicted},
                             {f"LABEL_{i}": value for i, value in enumerate(plain_row["probs"])})
        self.post("/classify", {"model": "prompts", "input": "a"}, expect=400)

    def test_vllm_token_limits(self):
        query, document = "one two three four", "the cat sat on the mat"
        whole = self.post("/tokenize", {"inputs": [query, document], "add_special_tokens": False})
        cut = [text[:tokens[1]["stop"]] for text, tokens in zip((query, document), whole)]
        for model in ("cross_one_label", "prompts"):
            limited = self.post("/score", {"model": model, "text_1": query, "text_2": document, "max_tokens_per_query": 2,
                                           "max_tokens_per_doc": 2})
            same = self.post("/score", {"model": model, "text_1": cut[0], "text_2": cut[1]})
            self.assertEqual(limited["data"], same["data"])
            other = self.post("/score", {"model": model, "text_1": query, "text_2": document})
            self.assertNotEqual(limited["data"], other["data"])
            ranked = self.post("/v1/rerank", {"model": model, "query": cut[0], "documents": [document], "max_tokens_per_doc": 2})
            self.assertEqual(ranked["results"][0]["relevance_score"], same["data"][0]["score"])
        self.post("/score", {"text_1": "a", "text_2": "b", "max_tokens_per_doc": 10**6}, expect=400)

    def test_weaviate(self):
        self.get("/.well-known/ready", expect=204)
        self.assertIn("model", self.get("/meta"))
        text = next(iter(self.by_prompt["query"]))
        one = self.post("/vectors", {"text": text, "config": {"task_type": "query", "pooling_strategy": "masked_mean"}})
        self.assert_rows([one["vector"]], [self.by_prompt["query"][text]])
        self.assertEqual((one["dim"], one["dims"]), (16, 16))
        self.assert_rows(self.post("/vectors", {"texts": self.texts})["vectors"], self.expected)

    def test_token_ids(self):
        server = Server("--accept-token-ids", models=(os.path.join(GOLDEN, "prompts"),))
        status, reply, _ = server.request("POST", "/v1/embeddings", {"input": [case["ids"] for case in self.cases]})
        one = server.request("POST", "/v1/embeddings", {"input": self.cases[0]["ids"]})[1]
        bad = server.request("POST", "/v1/embeddings", {"input": [10**7, 3]})
        self.assertEqual(server.stop(), 0)
        self.assertEqual(status, 200)
        self.assert_rows([row["embedding"] for row in reply["data"]], self.expected)
        self.assert_rows([one["data"][0]["embedding"]], self.expected[:1])
        self.assertEqual(bad[0], 400)
        self.assertIn("check_embedding_ctx_length", self.post("/v1/embeddings", {"input": [1, 2]}, expect=400)["error"]["message"])

    def test_explain_and_inspect(self):
        text = next(iter(self.by_prompt["red"]))
        reply = self.post("/explain", {"text": text, "prompt_name": "red"})
        self.assertEqual((reply["prompt"], reply["fed"]), ("red ", "red " + text))
        self.assertEqual(len(reply["tokens"]), len(reply["ids"]))
        self.assert_close(reply["vector"], self.by_prompt["red"][text], 2e-6)
        self.assertTrue(all(len(layer["norms"]) == len(reply["ids"]) for layer in reply["layers"]))
        self.assertGreater(len(reply["layers"]), 4)
        self.assertGreater(self.post("/explain", {"text": "a " * 5000})["truncated_tokens"], 0)
        self.assertEqual([model["id"] for model in self.get("/inspect")["models"]], list(MODELS))

    def test_metrics(self):
        self.post("/embed", {"inputs": ["a", "b"]})
        text = self.get("/metrics").decode()
        for name in ("truevec_requests_total", "te_request_count", "te_queue_size", "te_request_duration_bucket",
                     "truevec_batch_tokens_bucket"):
            self.assertIn(name, text)
        self.assertIn('route="/embed",status="200"', text)
        open_metrics = self.get("/metrics", {"accept": "application/openmetrics-text;version=1.0.0"}).decode()
        self.assertTrue(open_metrics.endswith("# EOF\n"))
        for line in open_metrics.splitlines()[:-1]:
            self.assertRegex(line, r'^(# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[^"]*",?)+\})? -?([0-9.e+-]+|\+Inf))$')

    def test_pages(self):
        self.assertIn(b"<!doctype html>", self.get("/", {"accept": "text/html"}))
        self.assertEqual(self.get("/")["status"], "ok")
        self.assertIn("default-src 'self'", self.get("/", {"accept": "text/html"}) and self.headers["content-security-policy"])
        for path in ("/page.js", "/page.css", "/docs"):
            self.assertGreater(len(self.get(path)), 100)
        api = self.get("/openapi.json")
        self.assertIn("post", api["paths"]["/v1/embeddings"])
        text = json.dumps(api)
        for reference in re.findall(r'"#/components/schemas/(\w+)"', text):
            self.assertIn(reference, api["components"]["schemas"])


if __name__ == "__main__":
    unittest.main()
