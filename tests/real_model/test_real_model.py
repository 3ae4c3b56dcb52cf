#!/usr/bin/env python3
"""The real all-MiniLM-L6-v2 (TRUEVEC_TEST_MODEL, set by ./dev test) against its committed goldens.

Worst and mean error not above PyTorch float32's own; the same bits for any batch, thread count, order and instruction
set; 10,000 lines stream in order within bounded memory. Needs numpy: runs itself under TRUEVEC_TEST_PYTHON.
"""
import json
import os
import random
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

if os.environ.get("TRUEVEC_TEST_PYTHON", sys.executable) != sys.executable and "TRUEVEC_REEXEC" not in os.environ:
    os.environ["TRUEVEC_REEXEC"] = "1"
    os.execv(os.environ["TRUEVEC_TEST_PYTHON"], [os.environ["TRUEVEC_TEST_PYTHON"], *sys.argv])

import numpy as np  # noqa: E402

GOLDEN = Path(__file__).parent.parent / "golden" / "minilm"
CASES = [json.loads(line) for line in (GOLDEN / "cases.jsonl").read_text(encoding="utf-8").splitlines()]


def model():
    path = os.environ.get("TRUEVEC_TEST_MODEL")
    if not path:
        sys.exit("TRUEVEC_TEST_MODEL is not set: run ./dev test, which fetches the default model")
    return path


class RealModel(unittest.TestCase):
    def embed(self, texts, *options):
        with tempfile.TemporaryDirectory() as scratch:
            source, out = Path(scratch) / "in.jsonl", Path(scratch) / "out.npy"
            source.write_text("".join(json.dumps({"text": t}) + "\n" for t in texts), encoding="utf-8")
            subprocess.run([os.environ["TRUEVEC_BINARY"], "embed", model(), "--input", source, "--output", out, "-q",
                            *options], check=True)
            return np.load(out)

    def test_error_not_above_torch(self):
        expected = np.load(GOLDEN / "vectors.npy")
        own = json.loads((GOLDEN / "meta.json").read_text())["torch_float32_error"]
        actual = self.embed([c["text"] for c in CASES]).astype(np.float64)
        errors = np.abs(actual - expected).max(axis=1) / np.linalg.norm(expected, axis=1)
        self.assertLessEqual(errors.max(), own["worst"])
        self.assertLessEqual(errors.mean(), own["mean"])

    def test_ids(self):
        lines = "".join(json.dumps({"text": c["text"]}) + "\n" for c in CASES)
        out = subprocess.run([os.environ["TRUEVEC_BINARY"], "tokenize", model(), "--input", "-"],
                             input=lines.encode(), capture_output=True, check=True).stdout
        for line, case in zip(out.splitlines(), CASES, strict=True):
            self.assertEqual(json.loads(line)["ids"], case["ids"], case["text"])

    def test_same_bits(self):
        texts = [c["text"] for c in CASES]
        reference = self.embed(texts)
        for tokens in ("1", "300", "2500", "65536"):  # about 1, 7, 64 and all texts a batch
            for threads in ("1", "2"):
                got = self.embed(texts, "--batch-tokens", tokens, "--threads", threads)
                np.testing.assert_array_equal(got, reference)
        np.testing.assert_array_equal(self.embed(texts, "--isa", "avx2"), reference)
        few = list(range(0, 100, 20))  # the scalar kernels emulate FMA: slow
        np.testing.assert_array_equal(self.embed([texts[i] for i in few], "--isa", "scalar"), reference[few])
        order = list(range(len(texts)))
        random.Random(3).shuffle(order)
        np.testing.assert_array_equal(self.embed([texts[i] for i in order]), reference[order])

    def test_ten_thousand_lines(self):
        texts = [CASES[i * 7 % 90]["text"][:60] + f" {i % 50}" for i in range(10_000)]
        with tempfile.TemporaryDirectory() as scratch:
            source, out = Path(scratch) / "in.jsonl", Path(scratch) / "out.npy"
            source.write_text("".join(json.dumps({"text": t}) + "\n" for t in texts), encoding="utf-8")
            process = subprocess.Popen([os.environ["TRUEVEC_BINARY"], "embed", model(), "--input", source, "--output",
                                        out, "-q"])
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            self.assertEqual(process.returncode, 0)
            vectors = np.load(out)
        self.assertEqual(vectors.shape, (10_000, 384))
        picks = [0, 1, 4095, 4096, 5000, 9999]
        np.testing.assert_array_equal(vectors[picks], self.embed([texts[i] for i in picks]))
        self.assertLess(usage.ru_maxrss, 400 * 1024)  # KiB: weights, tokenizer and one window, not the input


if __name__ == "__main__":
    unittest.main()
