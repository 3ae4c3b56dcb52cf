#!/usr/bin/env python3
"""Vectors of the reference with faults injected, as .npy files: make_recordings.py MODEL LOCK OUT [FAULT+FAULT ...]

LOCK names the texts (a file that `truevec lock` wrote); OUT/NAME.npy gets [texts, dimension] float32.
"""
import json
import os
import sys
import time

import numpy
import torch

from fault_engine import Engine
from faults import FAULTS


def main():
    model, lock, out = sys.argv[1:4]
    names = sys.argv[4:] or list(FAULTS)
    torch.set_num_threads(1)
    torch.manual_seed(1)
    longest = int(os.environ.get("LONGEST_TEXT", "1000000"))  # characters, for models without a limit of their own
    texts = [case["text"] for case in json.load(open(lock, encoding="utf-8"))["cases"] if len(case["text"]) <= longest]
    os.makedirs(out, exist_ok=True)
    with open(f"{out}/texts.jsonl", "w", encoding="utf-8") as f:
        for text in texts:
            f.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
    for name in names:
        if os.path.exists(f"{out}/{name}.npy"):
            continue
        start = time.time()
        engine = Engine(model, name.split("+"))
        vectors = numpy.stack([engine.one(t).numpy() for t in texts]).astype(numpy.float32)
        numpy.save(f"{out}/{name}.npy", vectors)
        print(name, vectors.shape, f"{time.time() - start:.1f} s", flush=True)


if __name__ == "__main__":
    main()
