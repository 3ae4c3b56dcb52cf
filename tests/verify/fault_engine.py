"""A Sentence Transformers pipeline taken apart, for any family, so that faults.py can break each stage of it.

Without faults it is the reference's (fault_matrix.py checks that first). One engine is one model with its faults:
`one(text)` answers a request of one text, `batch(texts)` one of several.
"""
import contextlib
import inspect
import itertools
import json
import os
import random
import re

import numpy
import torch
from sentence_transformers import SentenceTransformer

from faults import FAULTS

SHIFTED = ("roberta", "xlm-roberta", "camembert", "mpnet")  # positions start behind the padding index


class Plan:
    """What happens to a text; faults replace members."""

    def __init__(self, engine):
        self.engine = engine
        self.text = []                      # str -> str
        self.prompt = engine.prompt
        self.tokenizer = None               # edit of a backend tokenizer
        self.cut_words = None               # (word, vocabulary, scores) -> pieces
        self.ids = []                       # ids -> ids, of the content
        self.limit = engine.limit           # tokens with specials
        self.cut = "right"
        self.specials = lambda first, last: (first, last)
        self.chunks = None                  # (size, overlap, weighted)
        self.types = 0
        self.positions = 0                  # shift
        self.mask = None                    # "causal", "full", "causal-single", "causal-batch"
        self.window = None                  # "off", "half", "double", "causal"
        self.pad_to = 0                     # unmasked padding
        self.pad_multiple = 1               # the same, to a multiple
        self.config = {}                    # attributes of modules: name -> value
        self.weights = []                   # name, tensor -> tensor or None
        self.hooks = []                     # model -> None
        self.dtype = torch.float32
        self.pool = engine.pooling
        self.pool_rows = lambda n, first, last: range(n)
        self.pool_skip_prompt = False
        self.dense = None                   # how many Dense modules; None: all
        self.dense_activation = True
        self.normalize = engine.normalize
        self.output = []                    # tensor -> tensor
        self.batch = None                   # how several texts go wrong: see Engine.batch
        self.coalesce = False               # requests at the same time become one batch
        self.wire = None                    # "base64-big", "base64-double"
        self.unpooled = False


class Engine:
    def __init__(self, path, faults=(), seed=0):
        self.path = path
        self.seed = seed  # of faults that draw
        with contextlib.chdir(path):  # an adapter may name its base model by a path relative to itself
            self.st = SentenceTransformer(os.getcwd(), device="cpu", model_kwargs={"dtype": torch.float32,
                                                                                   "attn_implementation": "eager"})
        self.model = self.st[0].auto_model.eval()
        self.kind = self.model.config.model_type
        self.limit = self.st.max_seq_length
        pooling = json.load(open(f"{path}/1_Pooling/config.json"))
        mode = pooling.get("pooling_mode") or next(k for k, on in pooling.items() if k.startswith("pooling_mode_") and on)
        self.pooling = next((p for k, p in (("cls", "cls"), ("lasttoken", "last"), ("max", "max")) if k in mode), "mean")
        self.dense = [m for m in self.st if type(m).__name__ == "Dense"]
        self.normalize = any(type(m).__name__ == "Normalize" for m in self.st)
        self.prompt = self.st.prompts.get(self.st.default_prompt_name, "") if self.st.default_prompt_name else ""
        self.plan = Plan(self)
        for fault in faults:
            FAULTS[fault](self.plan)
        needs = {"last-row": "last", "row-by-sum": "last", "first-row": "cls", "pool-pads": "mean",
                 "attend-and-pool": "mean", "mean-no-specials": "mean", "last-content": "last"}
        for part in (self.plan.batch, *faults):
            if needs.get(part, self.pooling) != self.pooling:
                raise ValueError(f"{part} needs {needs[part]} pooling")
        if self.plan.batch == "first-row" and "sliding_attention" in (getattr(self.model.config, "layer_types", None) or ()):
            raise ValueError("a padding row far from the text sees nothing in a window: undefined")
        self.read_tokenizer()
        self.break_model()
        self.accepts = set(inspect.signature(self.model.forward).parameters)
        self.sum = None

    def read_tokenizer(self):
        tokenizer = self.st.tokenizer
        self.backend = backend = type(tokenizer.backend_tokenizer).from_str(tokenizer.backend_tokenizer.to_str())
        backend.no_truncation()
        backend.no_padding()
        template = backend.encode("a").ids
        body = backend.encode("a", add_special_tokens=False).ids
        start = next(i for i in range(len(template)) if template[i:i + len(body)] == body)
        self.first, self.last = template[:start], template[start + len(body):]
        if self.plan.tokenizer:
            self.plan.tokenizer(backend)
        model = json.loads(backend.to_str())["model"]
        self.scores = {p: s for p, s in model["vocab"]} if model["type"] == "Unigram" else None
        self.pad = tokenizer.pad_token_id or 0
        self.special_ids = {t.content: i for i, t in backend.get_added_tokens_decoder().items() if t.special}

    def break_model(self):
        plan = self.plan
        for module in self.model.modules():
            for name, value in plan.config.items():
                if name == "activation":
                    for attribute in ("intermediate_act_fn", "act_fn", "act", "activation", "activation_fn"):
                        if "GELU" in type(getattr(module, attribute, None)).__name__:
                            setattr(module, attribute, value)
                elif name == "eps" and "norm" in type(module).__name__.lower():
                    for attribute in ("eps", "variance_epsilon"):
                        if hasattr(module, attribute):
                            setattr(module, attribute, value)
        with torch.no_grad():
            for name, tensor in self.model.named_parameters():
                for change in plan.weights:
                    new = change(name, tensor)
                    if new is not None:
                        tensor.copy_(new)
        for hook in plan.hooks:
            hook(self.model)
        self.model = self.model.to(plan.dtype)

    def content(self, text):
        if not self.plan.cut_words:
            return self.backend.encode(text, add_special_tokens=False).ids
        split = re.split("(" + "|".join(map(re.escape, self.special_ids)) + ")", text)
        return [i for part in split for i in ([self.special_ids[part]] if part in self.special_ids else
                                              self.cut(part) if part else [])]

    def cut(self, text):
        if self.backend.normalizer:
            text = self.backend.normalizer.normalize_str(text)
        vocabulary, unk = self.backend.get_vocab(), self.st.tokenizer.unk_token_id
        ids = []
        for word, _ in self.backend.pre_tokenizer.pre_tokenize_str(text):
            for known, run in itertools.groupby(word, key=lambda c: c in vocabulary):
                if known:
                    ids += [vocabulary[p] for p in self.plan.cut_words("".join(run), vocabulary, self.scores)]
                elif "<0x00>" in vocabulary:
                    ids += [vocabulary[f"<0x{byte:02X}>"] for byte in "".join(run).encode()]
                else:
                    ids.append(unk)  # a run of unknown characters is one
        return ids

    def sequences(self, text):
        """[(ids, weight, tokens of the prompt)] of one text."""
        plan = self.plan
        for change in plan.text:
            text = change(text)
        ids = self.content(plan.prompt + text)
        for change in plan.ids:
            ids = change(ids, self)
        first, last = plan.specials(self.first, self.last)
        limit = plan.limit or 10 ** 9
        room = max(limit - len(self.first) - len(self.last), 1)
        if plan.chunks and len(ids) > (plan.chunks[0] or room):
            size, overlap, weighted = plan.chunks
            step = size or room
            parts, at = [], 0
            while True:
                parts.append(ids[at:at + step])
                if at + step >= len(ids):
                    break
                at += step - overlap
            return [(first + p + last, float(len(p)) if weighted else 1.0) for p in parts]
        if len(ids) > room:
            if plan.cut == "left":
                ids = ids[-room:]
            elif plan.cut == "middle":
                head = (room + 1) // 2
                ids = ids[:head] + ids[len(ids) - (room - head):]
            elif plan.cut == "lost":
                return [((first + ids + last)[:limit], 1.0)]
            else:
                ids = ids[:room]
        return [(first + ids + last, 1.0)]

    def is_causal(self, alone):
        own = self.kind in ("qwen2", "qwen3", "llama", "mistral") and \
            getattr(self.model.config, "is_causal", True) is not False
        return {"causal": True, "full": False, "causal-single": own or alone,
                "causal-batch": own or not alone, None: own}[self.plan.mask]

    def masks(self, seen, alone):
        """seen: [batch, n, n] of who may see whom by padding -> what the model's forward takes."""
        config, plan, n = self.model.config, self.plan, seen.shape[1]
        i, j = torch.arange(n)[:, None], torch.arange(n)[None]
        if self.is_causal(alone):
            seen = seen * (j <= i)
        small = -6e4 if plan.dtype == torch.float16 else -1e9
        bias = lambda allowed: ((1 - allowed.float()) * small)[:, None].to(plan.dtype)
        if "sliding_attention" not in (getattr(config, "layer_types", None) or ()):
            return {"full_attention": bias(seen)} if hasattr(config, "layer_types") and self.kind in ("qwen2", "qwen3") \
                else bias(seen)
        reach = config.sliding_window if self.kind == "modernbert" else config.sliding_window - 1
        reach = {"half": reach // 2, "double": reach * 2, "off": 10 ** 6}.get(plan.window, reach)
        near = ((i - j).abs() <= reach).float()
        if plan.window == "causal":
            near = near * (j <= i)
        return {"full_attention": bias(seen), "sliding_attention": bias(seen * near)}

    @torch.no_grad()
    def hidden(self, rows, seen=None, positions=None, alone=True):
        """rows: [batch][n] ids -> [batch, n, hidden]."""
        ids = torch.tensor(rows)
        n = ids.shape[1]
        seen = torch.ones(len(rows), n, n) if seen is None else seen
        inputs = {"input_ids": ids, "attention_mask": self.masks(seen, alone)}
        if "position_ids" in self.accepts:
            start = (self.model.config.pad_token_id or 0) + 1 if self.kind in SHIFTED else 0
            last = self.model.config.max_position_embeddings - 1
            positions = torch.arange(n)[None].expand(len(rows), n) if positions is None else positions
            positions = positions + start
            if self.kind in SHIFTED:  # theirs count what is not padding
                real = (ids != (self.model.config.pad_token_id or 0)).long()
                positions = torch.where(real.all(1, keepdim=True) > 0, positions, real.cumsum(1) * real + start - 1)
            positions = positions + self.plan.positions
            table = any("position_embeddings" in name for name, _ in self.model.named_parameters())
            inputs["position_ids"] = positions.clamp(0, last) if table else positions
        if "token_type_ids" in self.accepts and getattr(self.model.config, "type_vocab_size", 0):
            inputs["token_type_ids"] = torch.full_like(ids, self.plan.types)
        return self.model(**inputs).last_hidden_state.float()

    def pool(self, hidden, rows):
        h = hidden[list(rows)]
        mode = self.plan.pool
        if mode == "cls":
            return h[0]
        if mode == "last":
            return h[-1]
        if mode == "max":
            return h.max(0).values
        if mode == "sum":
            return h.sum(0)
        if mode == "weighted":
            w = torch.arange(1, len(h) + 1).float()[:, None]
            return (h * w).sum(0) / w.sum()
        return h.mean(0)

    def project(self, v):
        for module in self.dense[:self.plan.dense]:
            v = module.linear(v.to(module.linear.weight.dtype)).detach()
            v = module.activation_function(v) if self.plan.dense_activation else v
        return v

    def finish(self, v):
        v = self.project(v.float())
        if self.plan.normalize:
            v = torch.nn.functional.normalize(v, dim=0)
        return self.send(v)

    def send(self, v):
        for change in self.plan.output:
            v = change(v)
        return v

    def rows_of(self, ids):
        first, last = (len(x) for x in self.plan.specials(self.first, self.last))
        rows = self.plan.pool_rows(len(ids), first, last)
        if self.plan.pool_skip_prompt and self.plan.prompt:
            skip = first + len(self.content(self.plan.prompt))
            rows = range(min(skip, len(ids) - 1), len(ids))
        return rows

    def one(self, text):
        parts = self.sequences(text)
        vectors = []
        for ids, _ in parts:
            total = max(self.plan.pad_to, -(-len(ids) // self.plan.pad_multiple) * self.plan.pad_multiple)
            padded = (ids + [self.pad] * (total - len(ids))) or [self.pad]
            hidden = self.hidden([padded])[0]
            if self.plan.unpooled:
                return hidden
            vectors.append(self.pool(hidden, self.rows_of(ids) if ids else range(1)))
        if len(parts) == 1:
            return self.finish(vectors[0])
        vectors = [self.project(v) for v in vectors]
        if self.plan.normalize:
            vectors = [torch.nn.functional.normalize(v, dim=0) for v in vectors]
        w = torch.tensor([weight for _, weight in parts])[:, None]
        return self.send((torch.stack(vectors) * w).sum(0) / w.sum())

    def padded(self, texts, how):
        """A batch padded to its longest, with what `how` does wrong."""
        ids = [self.sequences(t)[0][0] for t in texts]
        n = max(map(len, ids))
        left = how in ("attend-left", "row-by-sum", "first-row")
        rows = [([self.pad] * (n - len(r)) + r) if left else (r + [self.pad] * (n - len(r))) for r in ids]
        real = torch.tensor([[1.0 * (n - len(r) <= k if left else k < len(r)) for k in range(n)] for r in ids])
        attended = how in ("attend-right", "attend-left", "attend-and-pool")
        seen = torch.ones(len(ids), n, n) if attended else real[:, None, :].expand(len(ids), n, n).clone()
        if self.is_causal(alone=False) and left:  # a padding row before the text would see nothing
            seen = torch.maximum(seen, torch.eye(n)[None])
        hidden = self.hidden(rows, seen, alone=False)
        out = []
        for k, r in enumerate(ids):
            where = range(n - len(r), n) if left else range(len(r))
            if how in ("pool-pads", "attend-and-pool"):
                where = range(n)
            if how == "last-row":
                where = range(n - 1, n)
            if how == "row-by-sum":
                where = range(len(r) - 1, len(r))
            if how == "first-row":
                where = range(1)
            out.append(self.finish(self.pool(hidden[k], where)))
        return out

    def packed(self, texts):
        ids = [self.sequences(t)[0][0] for t in texts]
        positions = torch.tensor([[i for r in ids for i in range(len(r))]])
        hidden = self.hidden([[i for r in ids for i in r]], positions=positions, alone=False)[0]
        out, at = [], 0
        for r in ids:
            out.append(self.finish(self.pool(hidden, range(at, at + len(r)))))
            at += len(r)
        return out

    def batch(self, texts):
        how = self.plan.batch
        if how is None or len(texts) < 2:
            if self.plan.mask in ("causal-single", "causal-batch") and len(texts) > 1:
                return [self.finish(self.pool(self.hidden([ids], alone=False)[0], self.rows_of(ids)))
                        for (ids, _), in map(self.sequences, texts)]
            return [self.one(t) for t in texts]
        if how == "rounded":  # kernels chosen by the batch's shape: other roundings, here 0.4 %
            noise = torch.Generator().manual_seed(4)
            return [v * (1 + 0.004 * torch.randn(v.shape, generator=noise)) for v in map(self.one, texts)]
        if how == "swapped":
            out = [self.one(t) for t in texts]
            return out[1:] + out[:1]
        if how == "packed":
            return self.packed(texts)
        if how in ("permuted", "first", "sums"):
            out = [self.one(t) for t in texts]
            if how == "first":
                return [out[0]] * len(out)
            if how == "permuted":
                order = list(range(len(out)))
                random.Random(3).shuffle(order)
                return [out[i] for i in order]
            return list(torch.stack(out).cumsum(0))
        return self.padded(texts, how)


def as_numpy(v):
    return v.numpy().astype(numpy.float32)
