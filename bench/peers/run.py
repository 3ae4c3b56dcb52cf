#!/usr/bin/env python3
"""truevec beside its peers: same machine, same texts, same threads, interleaved, with the fidelity of each.

./dev bench peers [--engines A,B] [--workloads A,B] [--threads N] [--repeats N] [--json]

Each engine is a process of its own (worker.py). In every repeat each engine runs the workload once, in turn; figures are
medians over the repeats. tokens/s is by wall time; tokens/CPU s is what to trust on a machine that does other work.
Cosines are against sentence-transformers in float64, one text at a time."""
import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DEFAULT = ("truevec,sentence-transformers,onnxruntime,openvino-f32,ctranslate2,truevec-bfloat16,openvino-default,"
           "truevec-int8,onnxruntime-int8,ctranslate2-int8")


class Engine:
    def __init__(self, name, options):
        self.name = name
        command = [sys.executable, str(HERE / "worker.py"), name, options.model, str(options.threads), str(options.cache),
                   options.library]
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.load = self.answer()["load"]
        self.rss = 0

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            lines = self.log.read().decode(errors="replace").strip().splitlines()
            raise RuntimeError(f"{self.name} failed: {lines[-1] if lines else 'no message'}")
        return json.loads(line)

    def run(self, texts, vectors=None):
        print(json.dumps({"texts": texts, "vectors": vectors}), file=self.process.stdin, flush=True)
        answer = self.answer()
        self.rss = answer["rss"]
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def cosines(engines, texts, options):
    """Worst and mean cosine of each engine against the float64 reference."""
    with tempfile.TemporaryDirectory() as folder:
        reference = Engine("reference", options)
        path = f"{folder}/reference.npy"
        reference.run(texts, path)
        reference.close()
        expected = np.load(path).astype(np.float64)
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        result = {}
        for engine in engines:
            path = f"{folder}/{engine.name}.npy"
            engine.run(texts, path)
            got = np.load(path).astype(np.float64)
            got /= np.linalg.norm(got, axis=1, keepdims=True)
            cosine = (got * expected).sum(1)
            result[engine.name] = {"worst": float(cosine.min()), "mean": float(cosine.mean())}
        return result


def measure(engines, workload, texts, tokens, repeats):
    samples = {engine.name: [] for engine in engines}
    for repeat in range(-1, repeats):  # the first one warms up
        for engine in engines:
            sample = engine.run(texts)
            if repeat >= 0:
                samples[engine.name].append(sample)
    rows = []
    for engine in engines:
        wall = statistics.median(sample["wall"] for sample in samples[engine.name])
        cpu = statistics.median(sample["cpu"] for sample in samples[engine.name])
        rows.append({"workload": workload, "engine": engine.name, "seconds": wall, "cpu_seconds": cpu,
                     "tokens_per_second": tokens / wall, "tokens_per_cpu_second": tokens / max(cpu, 1e-9)})
    return rows


def print_table(report):
    print(f"{report['model']}, {report['threads']} threads, {report['repeats']} repeats, interleaved, medians")
    workloads = list(report["tokens"])
    print("| engine | " + " | ".join(f"{w} tok/s (tok/CPU s)" for w in workloads) + " | load s | RSS MB | cosine worst / mean |")
    print("|" + "---|" * (len(workloads) + 4))
    for name, about in report["engines"].items():
        cells = []
        for workload in workloads:
            row = next(r for r in report["rows"] if r["engine"] == name and r["workload"] == workload)
            cells.append(f"{row['tokens_per_second']:.0f} ({row['tokens_per_cpu_second']:.0f})")
        cosine = about["cosine"]
        print(f"| {name} | " + " | ".join(cells) + f" | {about['load']:.2f} | {about['rss'] / 1e6:.0f} | "
              f"{cosine['worst']:.6f} / {cosine['mean']:.6f} |")
    for failure in report["failures"]:
        print(f"not run: {failure}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--truevec", default=str(ROOT / "build/release/bin/truevec"))
    parser.add_argument("--library", default=str(ROOT / "build/release/lib/libtruevec.so"))
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache/truevec/peers")
    parser.add_argument("--engines", default=DEFAULT)
    parser.add_argument("--workloads", default="query,8x32,64x256,mixed400,mixed4000")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--fidelity-texts", type=int, default=60, help="texts whose cosines are taken")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/texts.json"
        subprocess.run([options.truevec, "bench", options.model, "--write-texts", path], check=True)
        texts = json.loads(Path(path).read_text())
    engines, failures = [], []
    for name in options.engines.split(","):
        try:
            engines.append(Engine(name, options))
        except RuntimeError as error:
            failures.append(str(error))
    fidelity = cosines(engines, texts["mixed400"][:options.fidelity_texts], options)
    rows, tokens = [], {}
    for workload in options.workloads.split(","):
        lines = "\n".join(json.dumps({"text": text}) for text in texts[workload])
        listed = subprocess.run([options.truevec, "tokenize", options.model, "--input", "-"], input=lines, check=True,
                                capture_output=True, text=True).stdout
        tokens[workload] = sum(len(json.loads(line)["ids"]) for line in listed.splitlines())
        rows += measure(engines, workload, texts[workload], tokens[workload], options.repeats)
    report = {"schema": "truevec.bench.peers/1", "model": options.model, "threads": options.threads,
              "repeats": options.repeats, "tokens": tokens, "rows": rows, "failures": failures,
              "engines": {e.name: {"load": e.load, "rss": e.rss, "cosine": fidelity[e.name]} for e in engines}}
    for engine in engines:
        engine.close()
    if options.json:
        print(json.dumps(report))
    else:
        print_table(report)


main()
