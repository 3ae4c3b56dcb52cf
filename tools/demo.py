#!/usr/bin/env python3
"""Embeds the texts of a golden folder with truevec and compares with the reference's float64 vectors.

Usage: demo.py TRUEVEC MODEL GOLDEN. Prints a table; exit 1 when the worst or mean error is above PyTorch float32's.
"""
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SHOWN = 12


def clip(text, width=44):
    shown = json.dumps(text, ensure_ascii=False)[1:-1]
    return (shown[: width - 1] + "…") if len(shown) > width else shown


def main() -> int:
    binary, model, golden = sys.argv[1:4]
    cases = [json.loads(line) for line in (Path(golden) / "cases.jsonl").read_text(encoding="utf-8").splitlines()]
    expected = np.load(Path(golden) / "vectors.npy")
    with tempfile.TemporaryDirectory() as scratch:
        texts, out = Path(scratch) / "texts.jsonl", Path(scratch) / "vectors.npy"
        texts.write_text("".join(json.dumps({"text": c["text"]}) + "\n" for c in cases), encoding="utf-8")
        start = time.perf_counter()
        subprocess.run([binary, "embed", model, "--input", texts, "--output", out, "--quiet"], check=True)
        seconds = time.perf_counter() - start
        actual = np.load(out).astype(np.float64)
    norms = np.linalg.norm(expected, axis=1)
    errors = (np.abs(actual - expected) / norms[:, None]).max(axis=1)
    cosines = (actual * expected).sum(axis=1) / (np.linalg.norm(actual, axis=1) * norms)
    torch = np.array([c["torch_float32_error"] for c in cases])
    reference = json.loads((Path(golden) / "meta.json").read_text())["reference"]
    print(f"{'text':<46}{'cosine':>12}{'max abs error':>15}{'PyTorch float32':>17}")
    for i in list(range(0, len(cases), len(cases) // SHOWN))[:SHOWN]:
        print(f"{clip(cases[i]['text']):<46}{cosines[i]:>12.9f}{errors[i]:>15.2e}{torch[i]:>17.2e}")
    print(f"{'worst of ' + str(len(cases)) + ' texts':<46}{cosines.min():>12.9f}{errors.max():>15.2e}{torch.max():>17.2e}")
    print(f"{'mean':<46}{cosines.mean():>12.9f}{errors.mean():>15.2e}{torch.mean():>17.2e}")
    print(f"\n{len(cases)} texts in {seconds:.2f} s, model loading included. Reference: float64, sentence-transformers "
          f"{reference['sentence_transformers']}, transformers {reference['transformers']}, torch {reference['torch']}.")
    same = errors.max() <= torch.max() and errors.mean() <= torch.mean()
    print("The vectors are the reference's: no error above PyTorch float32's own." if same else
          "DIFFERENT: the error is above PyTorch float32's own.")
    return 0 if same else 1


sys.exit(main())
