"""Independent PyTorch forms of architectures that are published only as remote code, written from that code's recipe.

Each class takes (config dict, state dict) and gives `layers(ids, task) -> [embeddings, layer 1, ...]` in the state
dict's type; nothing is imported from transformers' modelling code. Cross-checks against transformers' own classes, for
the parts that those cover, are in encoders.py.
"""
import math

import torch
import torch.nn.functional as F


def norm(x, state, name, eps):
    return F.layer_norm(x, x.shape[-1:], state[name + ".weight"], state.get(name + ".bias"), eps)


def linear(x, state, name):
    return F.linear(x, state[name + ".weight"], state.get(name + ".bias"))


def angles(inverse, length, dtype):
    """cos and sin [length, dim / 2] of a float32 table, as the published codes build it."""
    freqs = torch.outer(torch.arange(length, dtype=torch.float32), inverse.float())
    return freqs.cos().to(dtype), freqs.sin().to(dtype)


def rotate(x, cos, sin):
    """x [length, heads, dim]; half-split pairs."""
    a, b = x.chunk(2, dim=-1)
    cos, sin = cos[:, None, :], sin[:, None, :]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


def attend(q, k, v, heads, bias=None):
    """[length, width] each; bias [heads, length, length] is added to the scaled scores."""
    length, width = q.shape
    q, k, v = (x.view(length, heads, -1).transpose(0, 1) for x in (q, k, v))
    scores = q @ k.transpose(1, 2) / math.sqrt(width // heads)
    if bias is not None:
        scores = scores + bias
    return (scores.softmax(-1) @ v).transpose(0, 1).reshape(length, width)


def rope_attend(q, k, v, heads, inverse):
    length, width = q.shape
    cos, sin = angles(inverse, length, q.dtype)
    q, k = (rotate(x.view(length, heads, -1), cos, sin).reshape(length, width) for x in (q, k))
    return attend(q, k, v, heads)


def inverse_frequencies(base, dim):
    return 1.0 / (base ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim))


class JinaBert:
    """jinaai/jina-bert-implementation; with layer_norm_1 in the state, jinaai/jina-bert-v2-qk-post-norm."""

    def __init__(self, config, state):
        self.c, self.s = config, state
        heads = config["num_attention_heads"]

        def power(n):
            start = 2 ** (-(2 ** -(math.log2(n) - 3)))
            return [start * start ** i for i in range(n)]

        def slopes(n):
            if math.log2(n).is_integer():
                return power(n)
            closest = 2 ** math.floor(math.log2(n))
            return power(closest) + slopes(2 * closest)[0::2][:n - closest]

        self.slopes = torch.tensor(slopes(heads))

    def layers(self, ids, task=None):
        c, s, eps = self.c, self.s, self.c["layer_norm_eps"]
        x = s["embeddings.word_embeddings.weight"][ids] + s["embeddings.token_type_embeddings.weight"][0]
        x = norm(x, s, "embeddings.LayerNorm", eps)
        places = torch.arange(len(ids))
        bias = -self.slopes.to(x.dtype)[:, None, None] * (places[None, :] - places[:, None]).abs()[None]
        out = [x]
        act = F.gelu if c["feed_forward_type"] == "geglu" else F.relu
        for i in range(c["num_hidden_layers"]):
            p = f"encoder.layer.{i}."
            q, k, v = (linear(x, s, p + "attention.self." + n) for n in ("query", "key", "value"))
            code = p + "layer_norm_1.weight" in s
            if code:
                q = norm(q, s, p + "attention.self.layer_norm_q", eps)
                k = norm(k, s, p + "attention.self.layer_norm_k", eps)
            a = linear(attend(q, k, v, c["num_attention_heads"], bias), s, p + "attention.output.dense")
            a = norm(a + x, s, p + "attention.output.LayerNorm", eps)
            if code:
                x = norm(x + a, s, p + "layer_norm_1", eps)
                up, gate = linear(x, s, p + "mlp.up_gated_layer").chunk(2, dim=-1)
                x = norm(x + linear(up * act(gate), s, p + "mlp.down_layer"), s, p + "layer_norm_2", eps)
            else:
                gate, up = linear(a, s, p + "mlp.gated_layers").chunk(2, dim=-1)
                x = norm(linear(act(gate) * up, s, p + "mlp.wo") + a, s, p + "mlp.layernorm", eps)
            out.append(x)
        return out

    @staticmethod
    def shapes(c, code):
        h, inner = c["hidden_size"], c["intermediate_size"]
        shapes = {"embeddings.word_embeddings.weight": (c["vocab_size"], h),
                  "embeddings.token_type_embeddings.weight": (c["type_vocab_size"], h)}
        norms = ["embeddings.LayerNorm"]
        for i in range(c["num_hidden_layers"]):
            p = f"encoder.layer.{i}."
            linears = {"attention.self." + n: (h, h, True) for n in ("query", "key", "value")}
            linears["attention.output.dense"] = (h, h, True)
            norms.append(p + "attention.output.LayerNorm")
            if code:
                linears["mlp.up_gated_layer"] = (2 * inner, h, False)
                linears["mlp.down_layer"] = (h, inner, True)
                norms += [p + n for n in ("layer_norm_1", "layer_norm_2", "attention.self.layer_norm_q",
                                          "attention.self.layer_norm_k")]
            else:
                linears["mlp.gated_layers"] = (2 * inner, h, False)
                linears["mlp.wo"] = (h, inner, True)
                norms.append(p + "mlp.layernorm")
            add_linears(shapes, p, linears)
        return add_norms(shapes, norms, h)


def add_linears(shapes, prefix, linears):
    for name, (out, inner, bias) in linears.items():
        shapes[prefix + name + ".weight"] = (out, inner)
        if bias:
            shapes[prefix + name + ".bias"] = (out,)


def add_norms(shapes, names, width):
    for name in names:
        shapes[name + ".weight"] = (width,)
        shapes[name + ".bias"] = (width,)
    return shapes


class NomicBert:
    """nomic-ai/nomic-bert-2048's code: gated or plain feed-forward, mixture of experts, dynamic NTK by length."""

    def __init__(self, config, state):
        self.c, self.s = config, state

    def frequencies(self, length):
        c = self.c
        dim = c["n_embd"] // c["n_head"]
        base, factor, trained = c["rotary_emb_base"], c["rotary_scaling_factor"], c["max_trained_positions"]
        if factor and length > trained:
            base = base * ((factor * length / trained) - (factor - 1)) ** (dim / (dim - 2))
        return inverse_frequencies(base, dim)

    def experts(self, x, p):
        c, s = self.c, self.s
        probabilities = F.linear(x, s[p + "router.layer.weight"]).softmax(-1)
        weights, chosen = probabilities.topk(c["moe_top_k"], dim=-1)
        inner = c["n_inner"]
        out = torch.zeros_like(x)
        for e in range(c["num_experts"]):
            w1 = s[p + "experts.mlp.w1"][e * inner:(e + 1) * inner]
            w2 = s[p + "experts.mlp.w2"][e * inner:(e + 1) * inner]
            share = (weights * (chosen == e)).sum(-1, keepdim=True)
            out = out + share * (F.gelu(x @ w1.T) @ w2)
        return out + s[p + "experts.bias"]

    def layers(self, ids, task=None):
        c, s, eps = self.c, self.s, self.c["layer_norm_epsilon"]
        x = s["embeddings.word_embeddings.weight"][ids] + s["embeddings.token_type_embeddings.weight"][0]
        x = norm(x, s, "emb_ln", eps)
        inverse = self.frequencies(len(ids))
        out = [x]
        for i in range(c["n_layer"]):
            p = f"encoder.layers.{i}."
            q, k, v = linear(x, s, p + "attn.Wqkv").chunk(3, dim=-1)
            a = linear(rope_attend(q, k, v, c["n_head"], inverse), s, p + "attn.out_proj")
            x = norm(a + x, s, p + "norm1", eps)
            if p + "mlp.router.layer.weight" in s:
                m = self.experts(x, p + "mlp.")
            elif c["activation_function"] == "swiglu":
                m = linear(linear(x, s, p + "mlp.fc11") * F.silu(linear(x, s, p + "mlp.fc12")), s, p + "mlp.fc2")
            else:
                m = linear(F.gelu(linear(x, s, p + "mlp.fc1")), s, p + "mlp.fc2")
            x = norm(m + x, s, p + "norm2", eps)
            out.append(x)
        return out

    @staticmethod
    def shapes(c):
        h, inner = c["n_embd"], c["n_inner"]
        shapes = {"embeddings.word_embeddings.weight": (c["vocab_size"], h),
                  "embeddings.token_type_embeddings.weight": (c["type_vocab_size"], h)}
        norms = ["emb_ln"]
        for i in range(c["n_layer"]):
            p = f"encoder.layers.{i}."
            linears = {"attn.Wqkv": (3 * h, h, c["qkv_proj_bias"]), "attn.out_proj": (h, h, c["qkv_proj_bias"])}
            if c.get("moe_every_n_layers", 0) and i % c["moe_every_n_layers"] == 1:
                linears["mlp.router.layer"] = (c["num_experts"], h, False)
                shapes[p + "mlp.experts.mlp.w1"] = (c["num_experts"] * inner, h)
                shapes[p + "mlp.experts.mlp.w2"] = (c["num_experts"] * inner, h)
                shapes[p + "mlp.experts.bias"] = (h,)
            elif c["activation_function"] == "swiglu":
                linears |= {"mlp.fc11": (inner, h, c["mlp_fc1_bias"]), "mlp.fc12": (inner, h, c["mlp_fc1_bias"]),
                            "mlp.fc2": (h, inner, c["mlp_fc2_bias"])}
            else:
                linears |= {"mlp.fc1": (inner, h, c["mlp_fc1_bias"]), "mlp.fc2": (h, inner, c["mlp_fc2_bias"])}
            add_linears(shapes, p, linears)
            norms += [p + "norm1", p + "norm2"]
        return add_norms(shapes, norms, h)


class Gte:
    """Alibaba-NLP/new-impl with its fixed (or mixed) NTK scaling."""

    def __init__(self, config, state):
        self.c = config
        self.s = {name.removeprefix("new."): value for name, value in state.items()}

    def frequencies(self):
        c = self.c
        dim = c["hidden_size"] // c["num_attention_heads"]
        scaling = c["rope_scaling"]
        if scaling is None:
            return inverse_frequencies(c["rope_theta"], dim)
        factor, mixed = scaling["factor"], scaling.get("mixed_b")
        if mixed is None:
            return inverse_frequencies(c["rope_theta"] * factor, dim) / factor ** (2 / dim)
        a = torch.tensor(factor).log() / (dim / 2) ** mixed
        return inverse_frequencies(c["rope_theta"], dim) / (a * torch.arange(1, dim // 2 + 1).float() ** mixed).exp()

    def layers(self, ids, task=None):
        c, s, eps = self.c, self.s, self.c["layer_norm_eps"]
        x = s["embeddings.word_embeddings.weight"][ids]
        if c["type_vocab_size"] > 0:
            x = x + s["embeddings.token_type_embeddings.weight"][0]
        x = norm(x, s, "embeddings.LayerNorm", eps)
        inverse = self.frequencies()
        out = [x]
        for i in range(c["num_hidden_layers"]):
            p = f"encoder.layer.{i}."
            q, k, v = linear(x, s, p + "attention.qkv_proj").chunk(3, dim=-1)
            a = linear(rope_attend(q, k, v, c["num_attention_heads"], inverse), s, p + "attention.o_proj")
            x = norm(x + a, s, p + "attn_ln", eps)
            up, gate = linear(x, s, p + "mlp.up_gate_proj").chunk(2, dim=-1)
            x = norm(x + linear(F.gelu(gate) * up, s, p + "mlp.down_proj"), s, p + "mlp_ln", eps)
            out.append(x)
        return out

    def logits(self, hidden):
        return linear(linear(hidden[:1], self.s, "pooler.dense").tanh(), self.s, "classifier")

    @staticmethod
    def shapes(c, prefix="", labels=0):
        h, inner = c["hidden_size"], c["intermediate_size"]
        shapes = {prefix + "embeddings.word_embeddings.weight": (c["vocab_size"], h)}
        if c["type_vocab_size"] > 0:
            shapes[prefix + "embeddings.token_type_embeddings.weight"] = (c["type_vocab_size"], h)
        norms = [prefix + "embeddings.LayerNorm"]
        for i in range(c["num_hidden_layers"]):
            p = f"{prefix}encoder.layer.{i}."
            add_linears(shapes, p, {"attention.qkv_proj": (3 * h, h, True), "attention.o_proj": (h, h, True),
                                    "mlp.up_gate_proj": (2 * inner, h, False), "mlp.down_proj": (h, inner, True)})
            norms += [p + "attn_ln", p + "mlp_ln"]
        if labels:
            add_linears(shapes, "", {prefix + "pooler.dense": (h, h, True), "classifier": (labels, h, True)})
        return add_norms(shapes, norms, h)


class FlashRoberta:
    """jinaai/xlm-roberta-flash-implementation: rotary with LoRA (jina-embeddings-v3), or absolute positions with a
    classification head (jina-reranker-v2)."""

    def __init__(self, config, state):
        self.c = config
        self.s = {name.removeprefix("roberta."): value for name, value in state.items()}

    def weight(self, name, task, table=False):
        if name + ".weight" in self.s:
            return self.s[name + ".weight"]
        weight = self.s[name + ".parametrizations.weight.original"]
        if task is None:
            return weight
        t = self.c["lora_adaptations"].index(task)
        a = self.s[name + ".parametrizations.weight.0.lora_A"][t]
        b = self.s[name + ".parametrizations.weight.0.lora_B"][t]
        return weight + (a @ b if table else b @ a) * (self.c["lora_alpha"] / self.c["lora_rank"])

    def linear(self, x, name, task):
        return F.linear(x, self.weight(name, task), self.s[name + ".bias"])

    def layers(self, ids, task=None):
        c, s, eps = self.c, self.s, self.c["layer_norm_eps"]
        x = self.weight("embeddings.word_embeddings", task, True)[ids]
        x = x + self.weight("embeddings.token_type_embeddings", task, True)[0]
        heads = c["num_attention_heads"]
        rotary = c["position_embedding_type"] == "rotary"
        if not rotary:
            real = torch.tensor(ids) != c["pad_token_id"]
            x = x + s["embeddings.position_embeddings.weight"][real.long().cumsum(0) * real + c["pad_token_id"]]
        x = norm(x, s, "emb_ln", eps)
        out = [x]
        for i in range(c["num_hidden_layers"]):
            p = f"encoder.layers.{i}."
            q, k, v = self.linear(x, p + "mixer.Wqkv", task).chunk(3, dim=-1)
            if rotary:
                inverse = inverse_frequencies(c["rotary_emb_base"], c["hidden_size"] // heads)
                a = rope_attend(q, k, v, heads, inverse)
            else:
                a = attend(q, k, v, heads)
            x = norm(x + self.linear(a, p + "mixer.out_proj", task), s, p + "norm1", eps)
            m = self.linear(F.gelu(self.linear(x, p + "mlp.fc1", task)), p + "mlp.fc2", task)
            x = norm(x + m, s, p + "norm2", eps)
            out.append(x)
        return out

    def logits(self, hidden):
        return linear(linear(hidden[:1], self.s, "classifier.dense").tanh(), self.s, "classifier.out_proj")

    @staticmethod
    def shapes(c, labels=0):
        h, inner = c["hidden_size"], c["intermediate_size"]
        tables = {"embeddings.word_embeddings": c["vocab_size"],
                  "embeddings.token_type_embeddings": c["type_vocab_size"]}
        shapes, norms = {}, ["roberta.emb_ln"]
        tasks, rank = len(c.get("lora_adaptations") or []), c.get("lora_rank")

        def add(name, out, inner_width, table=False):
            name = "roberta." + name
            if not tasks:
                shapes[name + ".weight"] = (out, inner_width)
            else:
                p = name + ".parametrizations.weight."
                shapes[p + "original"] = (out, inner_width)
                shapes[p + "0.lora_A"] = (tasks, out, rank) if table else (tasks, rank, inner_width)
                shapes[p + "0.lora_B"] = (tasks, rank, inner_width) if table else (tasks, out, rank)
            if not table:
                shapes[name + ".bias"] = (out,)

        for name, rows in tables.items():
            add(name, rows, h, table=True)
        if c["position_embedding_type"] == "absolute":
            shapes["roberta.embeddings.position_embeddings.weight"] = (c["max_position_embeddings"], h)
        for i in range(c["num_hidden_layers"]):
            p = f"encoder.layers.{i}."
            add(p + "mixer.Wqkv", 3 * h, h)
            add(p + "mixer.out_proj", h, h)
            add(p + "mlp.fc1", inner, h)
            add(p + "mlp.fc2", h, inner)
            norms += ["roberta." + p + "norm1", "roberta." + p + "norm2"]
        if tasks:
            add("pooler.dense", h, h)
        if labels:
            add_linears(shapes, "", {"classifier.dense": (h, h, True), "classifier.out_proj": (labels, h, True)})
        return add_norms(shapes, norms, h)


def random_state(shapes, seed, gain=1.5):
    """As _common.spread, for names and shapes instead of a module."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in shapes.items():
        values = torch.randn(shape, generator=generator)
        if len(shape) == 1:
            values = 1 + 0.3 * values if name.endswith("weight") else 0.2 * values
        elif "embeddings" in name and "lora" not in name:
            values = values * gain
        elif name.endswith("lora_B"):
            values = values * 2
        elif name.endswith("w2"):
            values = values * gain / (shape[0] / 4) ** 0.5
        else:
            values = values * gain / shape[-1] ** 0.5
        state[name] = values
    return state
