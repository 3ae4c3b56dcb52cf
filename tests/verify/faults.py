#!/usr/bin/env python3
"""Faults injected into the reference (transformers on PyTorch), for the tests of `truevec diagnose`.

Shares no code with truevec's hypotheses. A fault is a function that changes one stage of the pipeline below; several
may act at once ("causal+cls"). make_recordings.py stores the vectors; fault_server.py serves them live.
"""
import copy
import html
import json
import re
import unicodedata

import torch
from tokenizers import AddedToken, Regex, normalizers, pre_tokenizers
from transformers import AutoConfig, AutoModel, AutoTokenizer


class Plan:
    """What happens to a text; faults replace members."""

    def __init__(self, engine):
        self.text = []                      # str -> str
        self.prompt = engine.prompt
        self.tokenizer = None               # edit of a backend tokenizer
        self.limit = engine.limit           # tokens with specials
        self.cut = "right"
        self.specials = lambda first, last: (first, last)
        self.chunks = None                  # (size, overlap, weighted)
        self.types = 0
        self.positions = 0                  # shift
        self.mask = None                    # "causal"
        self.pad_to = 0                     # unmasked padding
        self.config = {}
        self.weights = []                   # name, tensor -> tensor or None
        self.hooks = []                     # model -> None
        self.dtype = torch.float32
        self.pool = engine.pooling
        self.pool_rows = lambda n, first, last: range(n)
        self.normalize = engine.normalize
        self.output = []                    # tensor -> tensor


def bert_normalizer(**changes):
    def edit(backend):
        state = json.loads(backend.normalizer.__getstate__())
        state.pop("type")
        state.update(changes)
        backend.normalizer = normalizers.BertNormalizer(**state)
    return edit


def pre_tokenizer(make, **normalizer):
    def edit(backend):
        if normalizer:
            bert_normalizer(**normalizer)(backend)
        backend.pre_tokenizer = make()
    return edit


def plain_specials(backend):
    backend.encode_special_tokens = True


def quantize_rows(bits, block):
    """Symmetric: whole rows (block 0) or blocks of a row; the scale in float16 for blocks, as GGUF has it."""
    top = 2 ** (bits - 1) - 1

    def change(name, w):
        if w.dim() != 2:
            return None
        shape = w.shape
        flat = w.reshape(-1, block) if block else w
        if bits == 4:  # Q4_0: the value of largest magnitude becomes -8
            index = flat.abs().argmax(1, keepdim=True)
            scale = flat.gather(1, index) / -8
            inverse = torch.where(scale != 0, 1 / scale, torch.zeros_like(scale))
            q = torch.clamp((flat * inverse + 8.5).to(torch.int32), max=15) - 8
        else:
            scale = flat.abs().amax(1, keepdim=True) / top
            q = torch.round(flat / torch.where(scale == 0, torch.ones_like(scale), scale))
        if block:
            scale = scale.half().float()
        return (q * scale).reshape(shape)
    return change


def zero(*parts):
    return lambda name, w: torch.zeros_like(w) if any(p in name for p in parts) else None


def biases(name, w):
    return torch.zeros_like(w) if name.endswith("bias") and "LayerNorm" not in name else None


def norm_biases(name, w):
    return torch.zeros_like(w) if name.endswith("LayerNorm.bias") else None


def norms(name, w):
    if "LayerNorm" not in name:
        return None
    return torch.zeros_like(w) if name.endswith("bias") else torch.ones_like(w)


def skip_last_norm(model):
    model.encoder.layer[-1].output.LayerNorm = torch.nn.Identity()


def fp16_gelu(model):
    class Table(torch.nn.Module):
        def forward(self, x):
            return torch.nn.functional.gelu(x.half().float(), approximate="tanh").half().float()
    for layer in model.encoder.layer:
        layer.intermediate.intermediate_act_fn = Table()


def rounded(dtype):
    def change(name, w):
        return w.to(dtype).float()
    return change


def set_(**values):
    def fault(plan):
        for key, value in values.items():
            current = getattr(plan, key)
            if isinstance(current, list):
                current.append(value)
            else:
                setattr(plan, key, value)
    return fault


def output_int8(v):
    return torch.round(v / v.abs().max() * 127)


FAULTS = {
    "healthy": lambda plan: None,
    "html": set_(text=lambda t: html.escape(t, quote=False).replace('"', "&quot;")),
    "newlines": set_(text=lambda t: t.replace("\n", " ")),
    "strip": set_(text=str.strip),
    "nfkc": set_(text=lambda t: unicodedata.normalize("NFKC", t)),
    "prompt-query": set_(prompt="query: "),
    "prompt-none": set_(prompt=""),
    "no-specials": set_(specials=lambda first, last: ([], [])),
    "no-first": set_(specials=lambda first, last: ([], last)),
    "no-last": set_(specials=lambda first, last: (first, [])),
    "doubled": set_(specials=lambda first, last: (first + first, last + last)),
    "doubled-last": set_(specials=lambda first, last: (first, last + last)),
    "plain-specials": set_(tokenizer=plain_specials),
    "cased": set_(tokenizer=bert_normalizer(lowercase=False, strip_accents=True)),
    "cased-accents": set_(tokenizer=bert_normalizer(lowercase=False, strip_accents=False)),
    "keep-accents": set_(tokenizer=bert_normalizer(strip_accents=False)),
    "no-cjk": set_(tokenizer=bert_normalizer(handle_chinese_chars=False)),
    "ascii-punct": set_(tokenizer=pre_tokenizer(lambda: pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(),
         pre_tokenizers.Split(Regex(r"[!-/:-@\[-`{-~]"), "isolated")]))),
    "no-basic": set_(tokenizer=pre_tokenizer(pre_tokenizers.WhitespaceSplit, handle_chinese_chars=False)),
    "max-64": set_(limit=64),
    "max-100": set_(limit=100),
    "max-77": set_(limit=77),
    "tail": set_(cut="left"),
    "middle": set_(cut="middle"),
    "lost-sep": set_(cut="lost"),
    "chunks": set_(chunks=(0, 0, False)),
    "chunks-weighted": set_(chunks=(0, 0, True)),
    "chunks-overlap": set_(chunks=(0, 32, False)),
    "positions-2": set_(positions=2),
    "positions-1": set_(positions=1),
    "types-omitted": set_(weights=zero("token_type_embeddings")),
    "types-1": set_(types=1),
    "causal": set_(mask="causal"),
    "pad-64": set_(pad_to=64),
    "gelu-tanh": set_(config={"hidden_act": "gelu_new"}),
    "gelu-quick": set_(config={"hidden_act": "quick_gelu"}),
    "gelu-fp16": set_(hooks=fp16_gelu),
    "eps-1e-3": set_(config={"layer_norm_eps": 1e-3}),
    "eps-1e-5": set_(config={"layer_norm_eps": 1e-5}),
    "no-final-norm": set_(hooks=skip_last_norm),
    "norm-biases": set_(weights=norm_biases),
    "biases": set_(weights=biases),
    "norms": set_(weights=norms),
    "cls": set_(pool="cls"),
    "max": set_(pool="max"),
    "last": set_(pool="last"),
    "weighted": set_(pool="weighted"),
    "mean": set_(pool="mean"),
    "mean-no-specials": set_(pool_rows=lambda n, first, last: range(first, n - last) if n > first + last else range(n)),
    "sum": set_(pool="sum"),
    "no-norm": set_(normalize=False),
    "scaled": set_(output=lambda v: v * 12.5),
    "l1": set_(output=lambda v: v / v.abs().sum()),
    "fp16": set_(dtype=torch.float16),
    "bf16": set_(dtype=torch.bfloat16),
    "bf16-weights": set_(weights=rounded(torch.bfloat16)),
    "q8_0": set_(weights=quantize_rows(8, 32)),
    "q4_0": set_(weights=quantize_rows(4, 32)),
    "int8-rows": set_(weights=lambda n, w: None if "embeddings" in n else quantize_rows(8, 0)(n, w)),
    "out-binary": set_(output=lambda v: torch.where(v > 0, 1.0, -1.0)),
    "out-int8": set_(output=output_int8),
    "cut-dims": set_(output=lambda v: v[: len(v) // 3]),
    "reversed-dims": set_(output=lambda v: v.flip(0)),
    "quarter": set_(output=lambda v: torch.randn(len(v) // 4) * 1e10),
    "bytes-swapped": set_(output=lambda v: torch.from_numpy(v.numpy().astype(">f4").view("<f4").copy())),
    "constant": set_(output=lambda v: torch.ones_like(v)),
    "zero": set_(output=lambda v: torch.zeros_like(v)),
    "nan": set_(output=lambda v: v * float("nan") if v[0] > 0 else v),
    # Outside the list: nothing may be named.
    "outside-reversed-tokens": set_(text=lambda t: " ".join(reversed(t.split()))),
    "outside-rotation": None,
    "outside-skipped-layer": set_(hooks=lambda model: model.encoder.layer.__delitem__(1)),
    "outside-offset": None,
    # Healthy.
    "noise": set_(output=lambda v: v + 1e-7 * torch.randn(v.shape)),
}


def _outside_rotation(plan):
    def rotate(v):
        g = torch.Generator().manual_seed(5)
        q, _ = torch.linalg.qr(torch.randn(len(v), len(v), generator=g))
        return q @ v
    plan.output.append(rotate)


def _outside_offset(plan):
    def add(v):
        g = torch.Generator().manual_seed(6)
        return v + 0.05 * torch.randn(len(v), generator=g)
    plan.output.append(add)


FAULTS["outside-rotation"] = _outside_rotation
FAULTS["outside-offset"] = _outside_offset


class Engine:
    """A plain BERT pipeline whose parts the faults replace; without faults it is the reference's."""

    def __init__(self, path, faults=()):
        self.path = path
        self.limit = json.load(open(f"{path}/sentence_bert_config.json"))["max_seq_length"]
        pooling = json.load(open(f"{path}/1_Pooling/config.json"))
        self.pooling = pooling.get("pooling_mode") or (
            "cls" if pooling.get("pooling_mode_cls_token") else "mean")
        modules = json.load(open(f"{path}/modules.json"))
        self.normalize = any(m["type"].endswith("Normalize") for m in modules)
        self.prompt = ""
        self.plan = Plan(self)
        for fault in faults:
            FAULTS[fault](self.plan)
        plan = self.plan
        self.tokenizer = AutoTokenizer.from_pretrained(path)
        backend = self.tokenizer.backend_tokenizer
        template = self.tokenizer("a")["input_ids"]
        body = self.tokenizer("a", add_special_tokens=False)["input_ids"]
        start = next(i for i in range(len(template)) if template[i:i + len(body)] == body)
        self.first, self.last = template[:start], template[start + len(body):]
        backend.no_truncation()
        backend.no_padding()
        if plan.tokenizer:
            plan.tokenizer(backend)
        self.backend = backend
        config = AutoConfig.from_pretrained(path)
        for key, value in plan.config.items():
            setattr(config, key, value)
        self.model = AutoModel.from_pretrained(path, config=config, attn_implementation="eager", dtype=torch.float32)
        with torch.no_grad():
            for name, tensor in self.model.named_parameters():
                for change in plan.weights:
                    new = change(name, tensor)
                    if new is not None:
                        tensor.copy_(new)
        for hook in plan.hooks:
            hook(self.model)
        self.model = self.model.to(plan.dtype).eval()
        self.pad = self.tokenizer.pad_token_id or 0

    def sequences(self, text):
        plan = self.plan
        for change in plan.text:
            text = change(text)
        ids = self.backend.encode(plan.prompt + text, add_special_tokens=False).ids
        first, last = plan.specials(self.first, self.last)
        room = max(plan.limit - len(self.first) - len(self.last), 1)
        if plan.chunks and len(ids) > room:
            size, overlap, weighted = plan.chunks
            parts, at = [], 0
            while True:
                parts.append(ids[at:at + room])
                if at + room >= len(ids):
                    break
                at += room - overlap
            return [(first + p + last, float(len(p)) if weighted else 1.0) for p in parts]
        if len(ids) > room:
            if plan.cut == "left":
                ids = ids[-room:]
            elif plan.cut == "middle":
                head = (room + 1) // 2
                ids = ids[:head] + ids[len(ids) - (room - head):]
            elif plan.cut == "lost":
                return [((first + ids + last)[: plan.limit], 1.0)]
            else:
                ids = ids[:room]
        return [(first + ids + last, 1.0)]

    @torch.no_grad()
    def hidden(self, rows, mask=None, positions=None):
        """rows: [batch][n] ids -> [batch, n, hidden]; mask: [batch, n, n] of 0 and 1 (who sees whom)."""
        ids = torch.tensor(rows)
        n = ids.shape[1]
        if mask is None:
            mask = torch.ones(len(rows), n, n)
        if self.plan.mask == "causal":
            mask = mask * torch.tril(torch.ones(n, n))
        bias = ((1 - mask) * -1e9)[:, None].to(self.plan.dtype)
        if self.plan.dtype == torch.float16:
            bias = ((1 - mask) * -6e4)[:, None].to(self.plan.dtype)
        if positions is None:
            positions = (torch.arange(n)[None] + self.plan.positions).clamp(max=self.model.config.max_position_embeddings - 1)
        out = self.model(input_ids=ids, attention_mask=bias, position_ids=positions,
                         token_type_ids=torch.full_like(ids, self.plan.types))
        return out.last_hidden_state.float()

    def pool(self, hidden, rows):
        mode = self.plan.pool
        h = hidden[list(rows)]
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

    def finish(self, v):
        if self.plan.normalize:
            v = torch.nn.functional.normalize(v, dim=0)
        for change in self.plan.output:
            v = change(v)
        return v

    def one(self, text):
        vectors, weights = [], []
        for ids, weight in self.sequences(text):
            n = len(ids)
            padded = ids + [self.pad] * max(0, self.plan.pad_to - n)
            first = len(self.plan.specials(self.first, self.last)[0])
            last = len(self.plan.specials(self.first, self.last)[1])
            v = self.pool(self.hidden([padded])[0], self.plan.pool_rows(n, first, last))
            if len(ids) and self.plan.chunks:
                v = torch.nn.functional.normalize(v, dim=0) if self.plan.normalize else v
            vectors.append(v)
            weights.append(weight)
        w = torch.tensor(weights)[:, None]
        v = (torch.stack(vectors) * w).sum(0) / w.sum() if len(vectors) > 1 else vectors[0]
        if self.plan.chunks and len(vectors) > 1:
            for change in self.plan.output:
                v = change(v)
            return v
        return self.finish(v)
