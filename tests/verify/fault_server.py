#!/usr/bin/env python3
"""A TEI/OpenAI/Ollama server over Sentence Transformers that injects one or more faults, for `truevec diagnose`.

The faults are injected in the reference (transformers), by code that shares nothing with truevec's own hypotheses.
  python fault_server.py MODEL PORT [fault ...]     faults: see FAULTS; none = healthy
"""
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import torch
from transformers import AutoModel, AutoTokenizer

FAULTS = {"no-specials", "no-eos", "cls", "max", "no-norm", "cased", "keep-accents", "max64", "permute", "constant",
          "gelu-tanh", "fp16", "bf16", "noise", "query", "escape", "type1", "causal", "nan"}


class Engine:
    def __init__(self, path, faults):
        unknown = set(faults) - FAULTS
        if unknown:
            raise SystemExit(f"unknown faults {sorted(unknown)}; known: {sorted(FAULTS)}")
        self.faults = set(faults)
        self.tokenizer = AutoTokenizer.from_pretrained(path)
        overrides = {"hidden_act": "gelu_new"} if "gelu-tanh" in self.faults else {}
        dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}
        kind = next((dtype[f] for f in dtype if f in self.faults), torch.float32)
        self.model = AutoModel.from_pretrained(path, attn_implementation="eager", dtype=kind, **overrides).eval()
        normalizer = json.loads(self.tokenizer.backend_tokenizer.normalizer.__getstate__())
        if "cased" in self.faults:
            normalizer |= {"lowercase": False, "strip_accents": True}
        if "keep-accents" in self.faults:
            normalizer["strip_accents"] = False
        from tokenizers.normalizers import BertNormalizer
        normalizer.pop("type")
        self.tokenizer.backend_tokenizer.normalizer = BertNormalizer(**normalizer)
        self.limit = json.load(open(f"{path}/sentence_bert_config.json"))["max_seq_length"]

    def one(self, text):
        f = self.faults
        if "query" in f:
            text = "query: " + text
        if "escape" in f:
            text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
        limit = 64 if "max64" in f else self.limit
        ids = self.tokenizer(text, truncation=True, max_length=limit)["input_ids"]
        if "no-specials" in f and len(ids) > 2:
            ids = ids[1:-1]
        if "no-eos" in f:
            ids = ids[:-1]
        ids = torch.tensor([ids])
        types = torch.full_like(ids, int("type1" in f))
        n = ids.shape[1]
        mask = torch.tril(torch.ones(1, n, n)) if "causal" in f else torch.ones(1, n)
        mask = mask[:, None] if "causal" in f else mask
        if "causal" in f:
            mask = (1 - mask) * torch.finfo(torch.float32).min
        with torch.no_grad():
            hidden = self.model(input_ids=ids, token_type_ids=types, attention_mask=mask).last_hidden_state[0].float()
        vector = hidden[0] if "cls" in f else hidden.max(0).values if "max" in f else hidden.mean(0)
        if "no-norm" not in f:
            vector = torch.nn.functional.normalize(vector, dim=0)
        if "noise" in f:
            vector = vector + 1e-7 * torch.randn_like(vector)
        if "constant" in f:
            vector = torch.ones_like(vector)
        if "nan" in f and n > 40:
            vector = vector * float("nan")
        return vector.tolist()

    def many(self, texts):
        vectors = [self.one(t) for t in texts]
        return vectors[::-1] if "permute" in self.faults else vectors


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        texts = body.get("inputs", body.get("input"))
        texts = [texts] if isinstance(texts, str) else texts
        vectors = self.server.engine.many(texts)
        reply = {"/embed": vectors, "/api/embed": {"embeddings": vectors},
                 "/v1/embeddings": {"data": [{"index": i, "embedding": v} for i, v in enumerate(vectors)]}}
        known = self.path in reply
        data = json.dumps(reply[self.path] if known else {"error": "not found"}).replace("NaN", "null").encode()
        self.send_response(200 if known else 404)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    torch.set_num_threads(2)
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler)
    server.engine = Engine(sys.argv[1], sys.argv[3:])
    print("ready", flush=True)
    server.serve_forever()
