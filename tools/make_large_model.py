#!/usr/bin/env python3
"""Writes a model directory of full published shape with random bfloat16 weights, to measure memory and speed without the
weights themselves: make_large_model.py SHAPE FOLDER. Needs only numpy and the files of a tiny golden.

Weights are normal with standard deviation 0.02 (norms 1), repeated in blocks: the values do not matter, the bytes do.
"""
import argparse
import json
import shutil
import struct
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden" / "pipeline"
# config.json of the published model; the tokenizer and the modules are the golden's.
SHAPES = {
    "gte-qwen2-1.5b": ("gte_qwen2", dict(hidden_size=1536, intermediate_size=8960, num_hidden_layers=28,
                                         num_attention_heads=12, num_key_value_heads=2, vocab_size=151646)),
    "qwen3-embedding-0.6b": ("qwen3_embedding", dict(hidden_size=1024, intermediate_size=3072, num_hidden_layers=28,
                                                     num_attention_heads=16, num_key_value_heads=8, head_dim=128,
                                                     vocab_size=151669)),
}


def tensors(config):
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    head = config.get("head_dim", hidden // config["num_attention_heads"])
    queries, keys = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    yield "embed_tokens.weight", (config["vocab_size"], hidden)
    for i in range(config["num_hidden_layers"]):
        layer, attention, mlp = f"layers.{i}.", f"layers.{i}.self_attn.", f"layers.{i}.mlp."
        for name, rows in (("q", queries), ("k", keys), ("v", keys)):
            yield f"{attention}{name}_proj.weight", (rows, hidden)
            if config["model_type"] == "qwen2":
                yield f"{attention}{name}_proj.bias", (rows,)
        yield f"{attention}o_proj.weight", (hidden, queries)
        if config["model_type"] == "qwen3":
            yield f"{attention}q_norm.weight", (head,)
            yield f"{attention}k_norm.weight", (head,)
        yield f"{mlp}gate_proj.weight", (inner, hidden)
        yield f"{mlp}up_proj.weight", (inner, hidden)
        yield f"{mlp}down_proj.weight", (hidden, inner)
        yield f"{layer}input_layernorm.weight", (hidden,)
        yield f"{layer}post_attention_layernorm.weight", (hidden,)
    yield "norm.weight", (hidden,)


def bfloat16(values):
    return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def write_weights(path, config):
    rng = np.random.default_rng(1)
    block = bfloat16(rng.standard_normal(1 << 22) * 0.02)
    header, offset, shapes = {}, 0, list(tensors(config))
    for name, shape in shapes:
        size = int(np.prod(shape)) * 2
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in shapes:
            count = int(np.prod(shape))
            if "norm" in name:
                file.write(bfloat16(np.ones(count)).tobytes())
                continue
            start = int(rng.integers(0, 1 << 20))
            while count > 0:
                part = block[start:start + count]
                file.write(part.tobytes())
                count -= len(part)
                start = 0
    return offset


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shape", choices=sorted(SHAPES))
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    golden, shape = SHAPES[arguments.shape]
    shutil.copytree(GOLDEN / golden, arguments.folder, dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns("golden*.json", "model.safetensors"))
    path = arguments.folder / "config.json"
    config = {**json.loads(path.read_text()), **shape, "torch_dtype": "bfloat16"}
    path.write_text(json.dumps(config, indent=1) + "\n")
    print(f"{arguments.folder}: {write_weights(arguments.folder / 'model.safetensors', config)} bytes of weights")


if __name__ == "__main__":
    main()
