#!/usr/bin/env python3
"""Faults injected into the reference (transformers on PyTorch), for the tests of `truevec diagnose`.

Shares no code with truevec's hypotheses. A fault is a function that changes one stage of fault_engine.py's pipeline;
several may act at once ("causal+cls"). make_recordings.py stores the vectors; fault_server.py serves them live.
"""
import html
import json
import re
import unicodedata
import urllib.parse

import torch
from tokenizers import Regex, normalizers, pre_tokenizers
from transformers.activations import ACT2FN


def bert_normalizer(**changes):
    def edit(backend):
        if not isinstance(backend.normalizer, normalizers.BertNormalizer):
            raise ValueError("not BERT's normalizer")
        state = json.loads(backend.normalizer.__getstate__())
        state.pop("type")
        state.update(changes)
        backend.normalizer = normalizers.BertNormalizer(**state)
    return edit


def pre_tokenizer(make, **normalizer):
    def edit(backend):
        if not isinstance(backend.pre_tokenizer, pre_tokenizers.BertPreTokenizer):
            raise ValueError("not BERT's pre-tokenizer")
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
        if w.dim() != 2 or (block and w.shape[1] % block):
            return None  # GGUF has no such tensor in blocks
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


def quantize_groups(bits, block):
    """From the least value of a group in equal steps, scale and least value in float16."""
    def change(name, w):
        if w.dim() != 2 or w.shape[1] % block:
            return None
        flat = w.reshape(-1, block)
        low, high = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)
        scale = (high - low) / (2 ** bits - 1)
        scale = torch.where(scale == 0, torch.ones_like(scale), scale).half().float()
        low = low.half().float()
        return (torch.clamp(torch.round((flat - low) / scale), 0, 2 ** bits - 1) * scale + low).reshape(w.shape)
    return change


NORMAL_FLOAT = torch.tensor([-1, -0.6961928, -0.5250731, -0.3949175, -0.2844414, -0.1847734, -0.0910500, 0, 0.0795803,
                             0.1609302, 0.2461123, 0.3379152, 0.4407098, 0.5626170, 0.7229568, 1])


def normal_float(name, w):
    """bitsandbytes' NF4: blocks of 64 across rows."""
    if w.dim() != 2 or "embed" in name or w.numel() % 64:
        return None
    flat = w.reshape(-1, 64)
    scale = flat.abs().amax(1, keepdim=True)
    return (NORMAL_FLOAT[((flat / scale)[..., None] - NORMAL_FLOAT).abs().argmin(-1)] * scale).reshape(w.shape)


def float8(name, w):
    return w.to(torch.float8_e4m3fn).float() if w.dim() == 2 and "embed" not in name else None


def zero(*parts):
    return lambda name, w: torch.zeros_like(w) if any(p in name for p in parts) else None


def rotary(change):
    """`change`: inverse frequencies -> new ones; of every rotary table, its own scaling dropped."""
    def hook(model):
        for module in model.modules():
            for name, buffer in list(module.named_buffers(recurse=False)):
                if name.endswith("inv_freq") and "original" not in name:
                    buffer.copy_(change(buffer.clone()))
                    module.attention_scaling = 1.0
    return hook


def plain_frequencies(theta):
    def change(old):
        n = len(old)
        return 1.0 / theta ** (torch.arange(0, 2 * n, 2).float() / (2 * n))
    return change


def linear_scaling(factor):
    """In place of the scaling that the model has, if any."""
    def hook(model):
        own = model.config.rope_parameters
        plain = plain_frequencies(own["rope_theta"]) if own.get("rope_type", "default") != "default" else lambda f: f
        rotary(lambda frequencies: plain(frequencies) / factor)(model)
    return hook


def swap_rotary(model):
    tables = [(m, n) for m in model.modules() for n, _ in m.named_buffers(recurse=False)
              if n.endswith("attention_inv_freq")]
    (a, x), (b, y) = tables
    first, second = getattr(a, x).clone(), getattr(b, y).clone()
    getattr(a, x).copy_(second)
    getattr(b, y).copy_(first)


def unscaled_embeddings(model):
    model.embed_tokens.embed_scale.fill_(1.0)


def without_head_norms(model):
    for module in model.modules():
        for name in ("q_norm", "k_norm"):
            if hasattr(module, name):
                setattr(module, name, torch.nn.Identity())


def prefix_space(on):
    def edit(backend):
        pre = backend.pre_tokenizer
        if isinstance(pre, pre_tokenizers.Metaspace):
            backend.pre_tokenizer = pre_tokenizers.Metaspace("\u2581", "always" if on else "never")
        elif isinstance(pre, pre_tokenizers.ByteLevel):
            backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=on)
    return edit


def keep_runs(backend):
    if not isinstance(backend.pre_tokenizer, pre_tokenizers.Metaspace):
        raise ValueError("no runs to keep")
    backend.normalizer = normalizers.NFKC()


def lower(backend):
    own = [backend.normalizer] if backend.normalizer else []
    backend.normalizer = normalizers.Sequence([*own, normalizers.Lowercase()])


def strip_accents(backend):
    own = [backend.normalizer] if backend.normalizer else []
    backend.normalizer = normalizers.Sequence([*own, normalizers.NFD(), normalizers.StripAccents()])


def merge_greedily(word, vocabulary, scores):
    """SentencePiece's BPE way: join the neighbours whose piece scores best until none joins."""
    if scores is None:
        raise ValueError("BPE merges so already, WordPiece has no scores")
    pieces = list(word)
    while True:
        pairs = [(scores[a + b] if scores else -vocabulary[a + b], -i) for i, (a, b) in
                 enumerate(zip(pieces, pieces[1:])) if a + b in vocabulary]
        if not pairs:
            return pieces
        i = -max(pairs)[1]
        pieces[i:i + 2] = [pieces[i] + pieces[i + 1]]


def longest_first(word, vocabulary, scores):
    if any(t.startswith("##") for t in vocabulary):
        raise ValueError("WordPiece is longest-match already")
    pieces = []
    while word:
        size = next((n for n in range(len(word), 0, -1) if word[:n] in vocabulary), 1)
        pieces.append(word[:size])
        word = word[size:]
    return pieces


def other_token(name):
    def fault(plan):
        plan.hooks.append(lambda model, engine=plan.engine: setattr(
            plan, "specials", lambda first, last, i=engine.special_ids[name]: (first, [i])))
    return fault


def shift_ids(by):
    """Another vocabulary's numbering."""
    return lambda ids, engine: [(i + by) % engine.backend.get_vocab_size() for i in ids]


def scramble_ids(ids, engine):
    return [(i * 7919 + 13) % engine.backend.get_vocab_size() for i in ids]


def other_tokenizer(plan):
    """Another model's tokenizer: other pieces and other ids."""
    from fault_models import byte_level
    tokenizer = byte_level(2000, ["<s>", "</s>"], None)
    plan.hooks.append(lambda model: setattr(plan.engine, "content", lambda text: [
        i % plan.engine.backend.get_vocab_size() for i in tokenizer.encode(text, add_special_tokens=False).ids]))


def without_adapter(model):
    layers = [m for m in model.modules() if hasattr(m, "lora_A") and isinstance(getattr(m, "scaling", None), dict)]
    if not layers:
        raise ValueError("no adapter")
    for layer in layers:
        layer.scaling.update(dict.fromkeys(layer.scaling, 0.0))


def other_dimension(v):
    g = torch.Generator().manual_seed(8)
    return torch.randn(len(v) + 8, len(v), generator=g) @ v


def skip_first_norm(model):
    """The first of the forward pass: norms of queries and keys are no norms of the stream."""
    name = next(n for n, _ in norm_modules(model) if not n.endswith(("q_norm", "k_norm")))
    parent, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(parent), leaf, torch.nn.Identity())


def cut_and_renormalised(v):
    v = v[: len(v) // 3]
    return v / v.norm()


def random_layer(part, seed, std=0.02):
    def hook(model):
        torch.manual_seed(11 + seed)
        for name, p in model.named_parameters():
            if part in name and p.dim() > 1:
                p.data.normal_(0, std)
    return hook


def random_last_layer(plan):
    plan.hooks.append(lambda model: random_layer(last_layer(model), plan.engine.seed)(model))


def random_model(plan):
    def hook(model):
        torch.manual_seed(12 + plan.engine.seed)
        model.load_state_dict(type(model)(model.config).state_dict())
    plan.hooks.append(hook)


def fine_tuned(name, w):
    generator = torch.Generator().manual_seed(len(name))
    return w + 0.05 * w.std() * torch.randn(w.shape, generator=generator) if w.dim() == 2 else None


def asymmetric_tensor(name, w):
    """onnxruntime's dynamic quantisation of weights: uint8, one scale and zero point for a tensor."""
    if w.dim() != 2 or "embed" in name:
        return None
    low, high = min(w.min().item(), 0.0), max(w.max().item(), 0.0)
    scale = (high - low) / 255
    zero = round(-low / scale)
    return (torch.clamp(torch.round(w / scale) + zero, 0, 255) - zero) * scale


def biases(name, w):
    return torch.zeros_like(w) if name.endswith("bias") and "norm" not in name.lower() else None


def norm_biases(name, w):
    return torch.zeros_like(w) if name.endswith("bias") and "norm" in name.lower() else None


def norms(name, w):
    if "norm" not in name.lower():
        return None
    return torch.zeros_like(w) if name.endswith("bias") else torch.ones_like(w)


def norm_modules(model):
    return [(name, m) for name, m in model.named_modules() if type(m).__name__.endswith(("Norm", "LayerNorm"))]


def skip_last_norm(model):
    name = norm_modules(model)[-1][0] if not hasattr(model, "norm") else "norm"
    parent, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(parent), leaf, torch.nn.Identity())


class HalfGelu(torch.nn.Module):
    def forward(self, x):
        return torch.nn.functional.gelu(x.half().float(), approximate="tanh").half().float()


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
            elif isinstance(current, dict):
                current.update(value)
            else:
                setattr(plan, key, value)
    return fault


def layers(model):
    return next(m for m in model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) > 1)


def delete_layer(model, index):
    del layers(model)[index]


def last_layer(model):
    names = {id(m): name for name, m in model.named_modules()}
    return names[id(layers(model)[-1])] + "."


def scale_attention(model, by):
    for module in model.modules():
        if hasattr(module, "scaling"):
            module.scaling = module.scaling * by


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
    "doubled-first": set_(specials=lambda first, last: (first + first, last)),
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
    "max-more": lambda plan: setattr(plan, "limit", plan.limit + 27),
    "first-250-characters": set_(text=lambda t: t[:250]),
    "first-50-words": set_(text=lambda t: t if len(t.split()) <= 50 else " ".join(t.split()[:50])),
    "ascii": set_(text=lambda t: t.encode("ascii", "ignore").decode()),
    "nfd": set_(text=lambda t: unicodedata.normalize("NFD", t)),
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
    "gelu-tanh": set_(config={"activation": ACT2FN["gelu_new"]}),
    "gelu-erf": set_(config={"activation": ACT2FN["gelu"]}),
    "gelu-quick": set_(config={"activation": ACT2FN["quick_gelu"]}),
    "gelu-fp16": set_(config={"activation": HalfGelu()}),
    "eps-1e-3": set_(config={"eps": 1e-3}),
    "eps-1e-5": set_(config={"eps": 1e-5}),
    "no-final-norm": set_(hooks=skip_last_norm),
    "no-first-norm": set_(hooks=skip_first_norm),
    "no-adapter": set_(hooks=without_adapter),
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
    "cut-renormalised": set_(output=cut_and_renormalised),
    "other-dimension": set_(output=other_dimension),
    "reversed-dims": set_(output=lambda v: v.flip(0)),
    "quarter": set_(output=lambda v: torch.sin(v[: len(v) // 4] * 1e6) * 1e10),
    "bytes-swapped": set_(output=lambda v: torch.from_numpy(v.numpy().astype(">f4").view("<f4").copy())),
    "constant": set_(output=lambda v: torch.ones_like(v)),
    "zero": set_(output=lambda v: torch.zeros_like(v)),
    "nan": set_(output=lambda v: v * float("nan") if v[0] > 0 else v),
    "collapse": set_(text=lambda t: " ".join(t.split())),
    "prompt-doubled": lambda plan: setattr(plan, "prompt", plan.prompt * 2),
    "prompt-passage": set_(prompt="passage: "),
    "prompt-document": set_(prompt="search_document: "),
    "prompt-no-space": lambda plan: setattr(plan, "prompt", plan.prompt.rstrip()),
    "ids-shifted": set_(ids=shift_ids(1)),
    "ids-foreign": set_(ids=scramble_ids),
    "fine-tuned": set_(weights=fine_tuned),
    "eos-im-end": other_token("<|im_end|>"),
    "lowered": set_(tokenizer=lower),
    "stripped-accents": set_(tokenizer=strip_accents),
    "greedy": set_(cut_words=merge_greedily),
    "longest": set_(cut_words=longest_first),
    "no-metaspace": set_(tokenizer=prefix_space(False)),
    "metaspace-added": set_(tokenizer=prefix_space(True)),
    "space-runs": set_(tokenizer=keep_runs),
    "chunks-50": set_(chunks=(50, 0, False)),
    "chunks-90-10": set_(chunks=(90, 10, True)),
    "positions-minus-2": set_(positions=-2),
    "theta-10000": set_(hooks=rotary(plain_frequencies(1e4))),
    "theta-123456": set_(hooks=rotary(plain_frequencies(123456.0))),
    "theta-swapped": set_(hooks=swap_rotary),
    "rope-linear-4": set_(hooks=linear_scaling(4)),
    "rope-plain": set_(hooks=rotary(plain_frequencies(1e6))),
    "no-embedding-scale": set_(hooks=unscaled_embeddings),
    "no-head-norms": set_(hooks=without_head_norms),
    "no-relative-bias": set_(weights=zero("relative_attention_bias")),
    "bidirectional": set_(mask="full"),
    "causal-single": set_(mask="causal-single"),
    "causal-batch": set_(mask="causal-batch"),
    "window-off": set_(window="off"),
    "window-half": set_(window="half"),
    "window-double": set_(window="double"),
    "window-causal": set_(window="causal"),
    "pad-100": set_(pad_to=100),
    "pad-multiple-8": set_(pad_multiple=8),
    "attend-right": set_(batch="attend-right"),
    "attend-left": set_(batch="attend-left"),
    "attend-and-pool": set_(batch="attend-and-pool"),
    "pool-pads": set_(batch="pool-pads"),
    "last-row": set_(batch="last-row"),
    "row-by-sum": set_(batch="row-by-sum"),
    "first-row": set_(batch="first-row"),
    "packed": set_(batch="packed"),
    "permuted": set_(batch="permuted"),
    "first-of-batch": set_(batch="first"),
    "sums": set_(batch="sums"),
    "batch-rounding": set_(batch="rounded"),
    "swapped": set_(batch="swapped", coalesce=True),
    "coalesced": set_(batch="attend-right", coalesce=True),
    "random-last-layer": random_last_layer,
    "other-tokenizer": other_tokenizer,
    "random-all": random_model,
    "no-position-table": set_(weights=zero("position_embeddings")),
    "last-content": set_(pool="last", pool_rows=lambda n, first, last: range(max(n - last, 1))),
    "without-prompt": set_(pool_skip_prompt=True),
    "unpooled": set_(unpooled=True),
    "no-dense": set_(dense=0),
    "one-dense": set_(dense=1),
    "no-dense-activation": set_(dense_activation=False),
    "normalized": set_(normalize=True),
    "out-uint8": set_(output=lambda v: torch.round((v / v.abs().max() + 1) * 127.5)),
    "onnx-uint8": set_(weights=asymmetric_tensor),
    "base64-big": set_(wire="base64-big"),
    "base64-double": set_(wire="base64-double"),
    "dropout": set_(output=lambda v: v * (1 + 0.05 * torch.randn(v.shape))),
    "max-37": set_(limit=37),
    "positions-3": set_(positions=3),
    "positions-5": set_(positions=5),
    "prompt-clustering": set_(prompt="clustering: "),
    "q4_1": set_(weights=quantize_groups(4, 32)),
    "q5_1": set_(weights=quantize_groups(5, 32)),
    "int3-groups": set_(weights=quantize_groups(3, 32)),
    "int4-groups-16": set_(weights=lambda n, w: None if "embed" in n else quantize_groups(4, 16)(n, w)),
    "nf4": set_(weights=normal_float),
    "float8": set_(weights=float8),
    "eps-1e-2": set_(config={"eps": 1e-2}),
    "out-bf16": set_(output=lambda v: v.bfloat16().float()),
    "out-4-decimals": set_(output=lambda v: torch.round(v * 1e4) / 1e4),
    "out-3-digits": set_(output=lambda v: torch.tensor([float("%.3g" % x) for x in v])),
    "nfkd": set_(text=lambda t: unicodedata.normalize("NFKD", t)),
    "latin1": set_(text=lambda t: t.encode().decode("latin1")),
    "no-punctuation": set_(text=lambda t: re.sub(r"[^\w\s]", "", t)),
    "plus": set_(text=lambda t: t.replace(" ", "+")),
    "url-encoded": set_(text=urllib.parse.quote_plus),
    "json-escaped": set_(text=lambda t: json.dumps(t)[1:-1]),
    "quoted": set_(text=lambda t: '"' + t + '"'),
    "backslash-n": set_(text=lambda t: t.replace("\n", "\\n")),
    "crlf": set_(text=lambda t: t.replace("\n", "\r\n")),
    "lower-client": set_(text=str.lower),
    # Outside the list: nothing may be named.
    "outside-reversed-tokens": set_(text=lambda t: " ".join(reversed(t.split()))),
    "outside-rotation": None,
    "outside-skipped-layer": set_(hooks=lambda model: delete_layer(model, 1)),
    "outside-square": set_(output=lambda v: v * v.abs()),
    "outside-attention-scale": set_(hooks=lambda model: scale_attention(model, 1.3)),
    "outside-offset": None,
    # Healthy.
    "healthy-padding": set_(batch="right"),
    "float64": set_(dtype=torch.float64),
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
