"""tests/golden/rope.json: inverse frequencies (float32 bits) of every rope type, as transformers builds them.

Each case: a config.json excerpt in the old or the new generation of keys, a text length, and what the reference's
rotary embedding holds after a forward pass over a text of that length alone.
"""
import json

import numpy as np
import torch
from transformers import LlamaConfig, Phi3Config
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding
from transformers.models.phi3.modeling_phi3 import Phi3RotaryEmbedding

from goldens import _common

HEADS = dict(hidden_size=128, num_attention_heads=1)


def scaling(**values):
    return dict(rope_theta=10000.0, rope_scaling=values)


def factors(n, low, high):
    return [round(low + (high - low) * i * i / (n * n), 4) for i in range(n)]


CASES = [
    ("llama", dict(head_dim=128), [7]),
    *[("llama", dict(head_dim=d, rope_theta=t), [7])
      for d in (8, 24, 40, 64, 80, 96, 128, 192, 256) for t in (1000.0, 20000, 160000.0, 250000.0, 500000.0, 1e6, 8e7)],
    ("llama", dict(head_dim=64, rope_parameters=dict(rope_type="default", rope_theta=12345.5)), [7]),
    ("llama", dict(head_dim=64, rope_theta=777.0, rope_parameters=dict(rope_type="default", rope_theta=12345.5)), [7]),
    ("llama", dict(head_dim=64, **scaling(type="linear", factor=4.0)), [7]),
    ("llama", dict(head_dim=80, **scaling(rope_type="linear", factor=3)), [7]),
    ("llama", dict(head_dim=64, max_position_embeddings=32, **scaling(type="dynamic", factor=2.0)),
     [7, 32, 33, 50, 100]),
    ("llama", dict(head_dim=96, max_position_embeddings=20, rope_theta=160000.0,
                   rope_scaling=dict(rope_type="dynamic", factor=3.7)), [20, 21, 41, 77]),
    ("llama", dict(head_dim=128, max_position_embeddings=64,
                   rope_parameters=dict(rope_type="dynamic", factor=8.0, rope_theta=1e6)), [63, 65, 90]),
    ("llama", dict(head_dim=128, max_position_embeddings=131072, rope_theta=500000.0, rope_scaling=dict(
        rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=8192)), [7]),
    ("llama", dict(head_dim=64, max_position_embeddings=131072, rope_parameters=dict(
        rope_type="llama3", factor=32.0, low_freq_factor=1.0, high_freq_factor=4.0, rope_theta=500000.0,
        original_max_position_embeddings=8192)), [7]),
    ("llama", dict(head_dim=64, max_position_embeddings=640, rope_scaling=dict(
        rope_type="llama3", factor=5.5, low_freq_factor=1.5, high_freq_factor=3.0,
        original_max_position_embeddings=100)), [7]),
    ("llama", dict(head_dim=128, max_position_embeddings=131072, rope_theta=1e6, rope_scaling=dict(
        type="yarn", factor=4.0, original_max_position_embeddings=32768)), [7]),
    ("llama", dict(head_dim=64, max_position_embeddings=4096, rope_scaling=dict(rope_type="yarn", factor=2.5)), [7]),
    ("llama", dict(head_dim=96, max_position_embeddings=4096, rope_parameters=dict(
        rope_type="yarn", factor=16.0, rope_theta=50000.0, beta_fast=20, beta_slow=2, truncate=False,
        original_max_position_embeddings=256)), [7]),
    ("llama", dict(head_dim=64, max_position_embeddings=4096, rope_parameters=dict(
        rope_type="yarn", factor=40.0, rope_theta=10000.0, mscale=0.707, mscale_all_dim=1.2,
        original_max_position_embeddings=256)), [7]),
    ("llama", dict(head_dim=64, max_position_embeddings=4096, rope_parameters=dict(
        rope_type="yarn", factor=8.0, rope_theta=10000.0, attention_factor=0.8,
        original_max_position_embeddings=512)), [7]),
    ("llama", dict(head_dim=16, max_position_embeddings=160, rope_parameters=dict(
        rope_type="longrope", rope_theta=10000.0, factor=4.0, short_factor=factors(8, 1, 1.5),
        long_factor=factors(8, 1, 30), original_max_position_embeddings=40)), [7, 40, 41, 60]),
    ("llama", dict(head_dim=16, rope_parameters=dict(rope_type="proportional", rope_theta=1e6, factor=2.0,
                                                     partial_rotary_factor=0.25)), [7]),
    ("phi3", dict(hidden_size=96, num_attention_heads=3, max_position_embeddings=200,
                  original_max_position_embeddings=50, rope_theta=10000.0,
                  rope_scaling=dict(type="longrope", short_factor=factors(16, 1, 1.2), long_factor=factors(16, 1, 50))),
     [7, 50, 51]),
    ("phi3", dict(hidden_size=96, num_attention_heads=3, max_position_embeddings=200,
                  original_max_position_embeddings=50, rope_theta=10000.0, partial_rotary_factor=0.75,
                  rope_scaling=dict(type="yarn", short_factor=factors(12, 1, 1.2), long_factor=factors(12, 1, 50))),
     [7, 51]),
    ("phi3", dict(hidden_size=96, num_attention_heads=3, partial_rotary_factor=0.5), [7]),
]
CLASSES = {"llama": (LlamaConfig, LlamaRotaryEmbedding), "phi3": (Phi3Config, Phi3RotaryEmbedding)}


def make(root, _model_dir):
    out = []
    for kind, values, lengths in CASES:
        config_class, rope_class = CLASSES[kind]
        values = {**(HEADS if kind == "llama" else {}), **values}
        for length in lengths:
            config = config_class(**json.loads(json.dumps(values)))
            rope = rope_class(config)
            rope(torch.zeros(1), torch.arange(length)[None])
            out.append({"kind": kind, "config": values, "length": length,
                        "inverse_bits": rope.inv_freq.float().numpy().view(np.uint32).tolist(),
                        "attention_scaling": float(np.float32(rope.attention_scaling))})
    lines = ",\n".join(json.dumps(case) for case in out)
    reference = json.dumps(_common.versions())
    (root / "rope.json").write_text(f'{{"reference": {reference},\n"cases": [\n{lines}\n]}}\n')
    print(f"  {len(out)} rope cases")
