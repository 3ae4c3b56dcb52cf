#!/usr/bin/env python3
"""Real engines from PyPI, diagnosed: diagnose_peers.py MODEL [ENGINE ...]

Runs bench/peers/worker.py for each engine, one text a call, on the probe texts of a lock, and prints `truevec diagnose`'s
verdict and causes as a table. MODEL: all-MiniLM-L6-v2. Run it with .venv/peers/bin/python, which `./dev bench peers`
makes; TRUEVEC_BINARY names another binary.
"""
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy

ROOT = Path(__file__).resolve().parents[1]
BINARY = os.environ.get("TRUEVEC_BINARY", str(ROOT / "build/release/bin/truevec"))
ENGINES = ("sentence-transformers", "sentence-transformers-bfloat16", "onnxruntime", "onnxruntime-int8", "openvino-f32",
           "openvino-default", "openvino-bfloat16", "ctranslate2", "ctranslate2-int8")


def vectors(engine, model, texts, folder):
    cache = Path.home() / ".cache/truevec/peers" / Path(model).resolve().name
    cache.mkdir(parents=True, exist_ok=True)
    child = subprocess.Popen([sys.executable, str(ROOT / "bench/peers/worker.py"), engine, model, "2",
                              str(cache), str(ROOT / "build/release/lib/libtruevec.so")],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    if not child.stdout.readline():
        return None
    rows = []
    for text in texts:
        child.stdin.write(json.dumps({"texts": [text], "vectors": f"{folder}/one.npy"}) + "\n")
        child.stdin.flush()
        if not child.stdout.readline():
            return None
        rows.append(numpy.load(f"{folder}/one.npy")[0])
    child.stdin.close()
    child.wait()
    path = f"{folder}/{engine}.npy"
    numpy.save(path, numpy.stack(rows).astype(numpy.float32))
    return path


def main():
    model = sys.argv[1]
    print("| engine | verdict | worst cosine | cause | confidence | evidence | s |\n|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        lock = f"{folder}/m.lock.json"
        subprocess.run([BINARY, "lock", model, "-o", lock, "-q"], check=True)
        texts = [case["text"] for case in json.load(open(lock, encoding="utf-8"))["cases"]]
        with open(f"{folder}/texts.jsonl", "w", encoding="utf-8") as f:
            f.writelines(json.dumps({"text": t}) + "\n" for t in texts)
        for engine in sys.argv[2:] or ENGINES:
            path = vectors(engine, model, texts, folder)
            if path is None:
                print(f"| {engine} | does not run here | | | | | |", flush=True)
                continue
            start = time.monotonic()
            done = subprocess.run([BINARY, "diagnose", model, "--against", path, "--texts", f"{folder}/texts.jsonl",
                                   "--json"], capture_output=True, text=True, check=False)
            wall = time.monotonic() - start
            d = json.loads(done.stdout)
            causes = d["causes"] or [{"id": "none", "variant": "", "confidence": "", "evidence": [""]}]
            for c in causes:
                name = c["id"] + (f" ({c['variant']})" if c["variant"] else "")
                print(f"| {engine} | {d['verdict']} | {d['metrics']['cosine']['min']:.9f} | {name} | {c['confidence']} | "
                      f"{c['evidence'][-1]} | {wall:.0f} |", flush=True)


if __name__ == "__main__":
    main()
