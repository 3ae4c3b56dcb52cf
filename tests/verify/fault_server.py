#!/usr/bin/env python3
"""A live server of a model with faults: fault_server.py MODEL FAULT+FAULT [PORT]; "healthy" for none.

OpenAI, TEI and Ollama routes at once (`dialect` says which one shows itself), over fault_engine.py.
"""
import base64
import json
import struct
import sys
import threading
import time
from http.server import ThreadingHTTPServer

import torch

from fault_engine import Engine, as_numpy
from json_handler import JsonHandler


class Handler(JsonHandler):
    def do_GET(self):
        known = {"openai": {"/v1/models": {"data": [{"id": self.server.fault.name, "owned_by": "me"}]}},
                 "tei": {"/info": {"model_id": self.server.fault.name, "max_client_batch_size": 32}},
                 "ollama": {"/api/tags": {"models": [{"name": self.server.fault.name}]},
                            "/api/version": {"version": "0.9.0"}}}[self.server.fault.dialect]
        self.reply(*((200, known[self.path]) if self.path in known else (404, {"error": "not found"})))

    def do_POST(self):
        s = self.server.fault
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        s.count += 1
        if s.limit_every and s.count % s.limit_every == 0:
            return self.reply(429, {"error": "full"}, [("retry-after", "0")])
        time.sleep(s.delay)
        texts = body.get("inputs", body.get("input"))
        texts = [texts] if isinstance(texts, str) else texts
        if any(not isinstance(t, str) for t in texts):
            return self.reply(400, {"error": {"message": "token ids are not accepted"}})
        vectors, tokens = s.answer(texts)
        if self.path == "/embed":
            return self.reply(200, vectors)
        if self.path == "/api/embed":
            return self.reply(200, {"model": s.name, "embeddings": vectors, "prompt_eval_count": tokens})
        if self.path != "/v1/embeddings":
            return self.reply(404, {"error": {"message": "no such route"}})
        if body.get("encoding_format") == "base64" and not isinstance(vectors[0][0], list):
            form = {"base64-big": ">%df", "base64-double": "<%dd", None: "<%df"}[s.engine.plan.wire]
            vectors = [base64.b64encode(struct.pack(form % len(v), *v)).decode() for v in vectors]
        rows = [{"index": i, "object": "embedding", "embedding": v} for i, v in enumerate(vectors)]
        usage = {"usage": {"prompt_tokens": tokens, "total_tokens": tokens}} if s.usage else {}
        return self.reply(200, {"object": "list", "data": rows[::-1], **usage})


class FaultServer:
    def __init__(self, engine, name, dialect="openai", usage=True, delay=0.0, limit_every=0, port=0):
        self.engine, self.name, self.dialect, self.usage = engine, name, dialect, usage
        self.delay, self.limit_every, self.count = delay, limit_every, 0
        self.lock, self.gate, self.waiting = threading.Lock(), threading.Lock(), []
        self.seen = {}  # text -> the vector sent for it alone
        self.batches = []
        self.http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.http.fault = self
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def answer(self, texts):
        vectors = self.coalesced(texts) if self.engine.plan.coalesce and len(texts) == 1 else None
        with self.lock:
            if vectors is None:
                vectors = [self.engine.one(texts[0])] if len(texts) == 1 else self.engine.batch(texts)
            tokens = sum(len(ids) for t in texts for ids, _ in self.engine.sequences(t))
            if len(texts) == 1:
                self.seen.setdefault(texts[0], as_numpy(vectors[0]))
            else:
                self.batches.append((texts, [as_numpy(v) for v in vectors]))
        return [as_numpy(v).tolist() for v in vectors], tokens

    def coalesced(self, texts):
        """Requests of the same moment run as one batch."""
        mine = {"text": texts[0], "vector": None, "done": threading.Event()}
        with self.gate:
            self.waiting.append(mine)
            leader = len(self.waiting) == 1
        if leader:
            time.sleep(0.03)
            with self.gate:
                group, self.waiting = self.waiting, []
            with self.lock:
                for member, v in zip(group, self.engine.batch([m["text"] for m in group])):
                    member["vector"] = v
                    member["done"].set()
        mine["done"].wait()
        return [mine["vector"]]

    def close(self):
        self.http.shutdown()
        self.http.server_close()


def main():
    model, faults = sys.argv[1:3]
    torch.set_num_threads(1)
    server = FaultServer(Engine(model, [] if faults == "healthy" else faults.split("+")), model.rstrip("/").split("/")[-1],
                         port=int(sys.argv[3]) if len(sys.argv) > 3 else 0)
    print(server.url, flush=True)
    server.thread.join()


if __name__ == "__main__":
    main()
