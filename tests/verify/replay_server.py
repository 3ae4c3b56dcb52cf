"""A server of recorded vectors in every dialect that `truevec diagnose` speaks; standard library only.

    server = ReplayServer(vectors, dialect="tei", ...); server.url; server.close()

`vectors`: text -> list of floats. `batch`: called with the texts of a request and their vectors, gives the vectors that
are sent (to inject what only batches show). Options make it slow, rate-limited, keyed, terse or wrong in its encoding.
"""
import base64
import json
import struct
import threading
import time
from http.server import ThreadingHTTPServer

from json_handler import JsonHandler


class Handler(JsonHandler):
    def do_GET(self):
        s = self.server.replay
        with s.lock:
            s.requests.append(("GET", self.path, None))
        known = {
            "tei": {"/info": {"model_id": s.model_id, "max_client_batch_size": 8, "model_type": {"embedding": {"pooling": "mean"}}}},
            "ollama": {"/api/tags": {"models": [{"name": "tiny:latest"}]}, "/api/version": {"version": "0.9.0"}},
            "llamacpp": {"/props": {"default_generation_settings": {}, "build_info": "b1"}},
            "vllm": {"/v1/models": {"data": [{"id": "tiny", "owned_by": "vllm"}]}},
            "openai": {"/v1/models": {"data": [{"id": "tiny", "owned_by": "me"}]}},
            "cohere": {},
        }[s.dialect]
        if self.path in known:
            return self.reply(200, known[self.path])
        return self.reply(404, {"error": "not found"})

    def do_POST(self):
        s = self.server.replay
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with s.lock:
            s.requests.append(("POST", self.path, body))
            limited = s.limit_every and len(s.requests) % s.limit_every == 0
        if s.key and self.headers.get("authorization") != "Bearer " + s.key:
            return self.reply(401, {"error": "no key"})
        if limited:
            return self.reply(429, {"error": "full"}, [("retry-after", "0")])
        path = {"tei": "/embed", "ollama": "/api/embed", "llamacpp": "/v1/embeddings", "vllm": "/v1/embeddings",
                "openai": "/v1/embeddings", "cohere": "/v2/embed"}[s.dialect]
        if self.path != path:
            return self.reply(404, {"error": "no such route"})
        texts = body.get("inputs", body.get("input", body.get("texts")))
        if s.dialect == "ollama" and body.get("model") != "tiny:latest":
            return self.reply(404, {"error": "model not found"})
        if len(texts) > s.max_batch:
            return self.reply(422, {"error": "batch too large", "error_type": "Validation"})
        time.sleep(s.delay)
        if any(isinstance(t, list) for t in texts):  # token ids
            if any(tuple(t) not in s.ids for t in texts):
                return self.reply(400, {"error": {"message": "token ids are not accepted"}})
            vectors = [s.ids[tuple(t)] for t in texts]
        else:
            vectors = [s.vectors[t] for t in texts]
        if len(texts) > 1 and s.batch:
            vectors = s.batch(texts, vectors)
        coded = vectors
        if body.get("encoding_format") == "base64":
            coded = [base64.b64encode(struct.pack(s.base64_format % len(v), *v)).decode() for v in vectors]
        usage = {"usage": {"prompt_tokens": sum(len(t) if isinstance(t, list) else len(t.split()) for t in texts)}} if s.usage else {}
        rows = [{"index": i, "embedding": v, "object": "embedding"} for i, v in enumerate(coded)]
        if s.dialect == "tei":
            return self.reply(200, vectors)
        if s.dialect == "ollama":
            return self.reply(200, {"model": "tiny", "embeddings": vectors, "prompt_eval_count": 3})
        if s.dialect == "cohere":
            return self.reply(200, {"id": "x", "embeddings": {"float": vectors}})
        return self.reply(200, {"object": "list", "data": rows[::-1], **usage})


class ReplayServer:
    def __init__(self, vectors, dialect="openai", batch=None, key=None, delay=0.0, limit_every=0, usage=True,
                 base64_format="<%df", max_batch=64):
        self.vectors, self.dialect, self.batch, self.key = vectors, dialect, batch, key
        self.delay, self.limit_every, self.usage, self.base64_format = delay, limit_every, usage, base64_format
        self.model_id = "model"  # what TEI's /info says
        self.ids = {}  # (id, id, ...) -> vector
        self.max_batch = 8 if dialect == "tei" else max_batch
        self.requests = []
        self.lock = threading.Lock()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.replay = self
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def close(self):
        self.http.shutdown()
        self.http.server_close()
