#!/usr/bin/env python3
"""truevec beside its peers: same machine, same texts, same threads, interleaved, with the fidelity of each.

./dev bench peers [--engines A,B] [--workloads A,B] [--threads N] [--repeats N] [--model-shape SHAPE] [--json]
./dev bench peers --plot tokens|length [--plot-engine E] [--threads N] [--model-shape SHAPE]

Each engine is a process of its own (worker.py). In every repeat each engine runs the workload in turn, often enough that
a sample takes a fifth of a second; figures are medians over the repeats, p50 and p95 over all passes. tokens/s is by wall
time; tokens/CPU s is what to trust on a machine that does other work. Cosines are against sentence-transformers in
float64, one text at a time. What cannot run here is listed with its reason.

--plot: truevec alone, cost and peak memory against the tokens of a batch (up to 64k) or against the length of a text (up
to 8,192), as a table and bars."""
import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DEFAULT = ("truevec,sentence-transformers,onnxruntime,openvino-f32,ctranslate2,vllm,truevec-bfloat16,openvino-default,"
           "vllm-bfloat16,truevec-int8,onnxruntime-int8,ctranslate2-int8")
TEXTS = "query,8x32,64x256,mixed400,mixed4000"  # all start from raw text


class Engine:
    def __init__(self, name, options):
        self.name = name
        python = options.vllm_python if name.startswith("vllm") else sys.executable
        if not Path(python).exists():
            raise RuntimeError(f"{name}: {python} is not installed")
        command = [str(python), str(HERE / "worker.py"), name, options.model, str(options.threads), str(options.cache),
                   options.library]
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.load = self.answer()["load"]
        self.rss = self.peak = 0

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            lines = self.log.read().decode(errors="replace").strip().splitlines()
            raise RuntimeError(f"{self.name} failed: {lines[-1] if lines else 'no message'}")
        return json.loads(line)

    def run(self, texts, vectors=None, passes=1):
        print(json.dumps({"texts": texts, "vectors": vectors, "passes": passes}), file=self.process.stdin, flush=True)
        answer = self.answer()
        self.rss, self.peak = answer["rss"], answer["peak"]
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def cosines(engines, texts, options, failures):
    """Worst and mean cosine of each engine against the float64 reference; an engine that fails leaves the list."""
    with tempfile.TemporaryDirectory() as folder:
        reference = Engine("reference", options)
        path = f"{folder}/reference.npy"
        reference.run(texts, path)
        reference.close()
        expected = np.load(path).astype(np.float64)
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        result = {}
        for engine in list(engines):
            path = f"{folder}/{engine.name}.npy"
            try:
                engine.run(texts, path)
            except (RuntimeError, BrokenPipeError) as error:
                failures.append(str(error))
                engines.remove(engine)
                continue
            got = np.load(path).astype(np.float64)
            got /= np.linalg.norm(got, axis=1, keepdims=True)
            cosine = (got * expected).sum(1)
            result[engine.name] = {"worst": float(cosine.min()), "mean": float(cosine.mean())}
        return result


SAMPLE_SECONDS = 0.2


def measure(engines, workload, texts, tokens, repeats):
    samples = {engine.name: [] for engine in engines}
    passes = {}
    for engine in engines:  # warms up, and tells how many passes make a sample
        wall = min(engine.run(texts)["wall"][0], engine.run(texts)["wall"][0])
        passes[engine.name] = max(1, math.ceil(SAMPLE_SECONDS / wall))
    for _ in range(repeats):
        for engine in engines:
            samples[engine.name].append(engine.run(texts, passes=passes[engine.name]))
    rows = []
    for engine in engines:
        wall = statistics.median(statistics.mean(sample["wall"]) for sample in samples[engine.name])
        cpu = statistics.median(sample["cpu"] for sample in samples[engine.name])
        every = sorted(wall for sample in samples[engine.name] for wall in sample["wall"])
        rows.append({"workload": workload, "engine": engine.name, "seconds": wall, "cpu_seconds": cpu,
                     "passes": len(every), "p50_ms": 1e3 * statistics.median(every),
                     "p95_ms": 1e3 * every[min(len(every) - 1, math.ceil(0.95 * len(every)) - 1)],
                     "tokens_per_second": tokens / wall, "tokens_per_cpu_second": tokens / max(cpu, 1e-9),
                     "texts_per_second": len(texts) / wall})
    return rows


def print_table(report):
    print(f"{report['model']}, {report['threads']} threads, {report['repeats']} repeats, interleaved, medians")
    workloads = list(report["tokens"])
    heads = ["query p50 / p95 ms" if w == "query" else f"{w} tok/s (tok/CPU s)" for w in workloads]
    print("| engine | " + " | ".join(heads) + " | load s | RSS / peak MB | cosine worst / mean |")
    print("|" + "---|" * (len(workloads) + 4))
    for name, about in report["engines"].items():
        cells = []
        for workload in workloads:
            row = next(r for r in report["rows"] if r["engine"] == name and r["workload"] == workload)
            if workload == "query":
                cells.append(f"{row['p50_ms']:.2f} / {row['p95_ms']:.2f}")
            else:
                cells.append(f"{row['tokens_per_second']:.0f} ({row['tokens_per_cpu_second']:.0f})")
        cosine = about["cosine"]
        print(f"| {name} | " + " | ".join(cells) + f" | {about['load']:.2f} | {about['rss'] / 1e6:.0f} / "
              f"{about['peak'] / 1e6:.0f} | {cosine['worst']:.6f} / {cosine['mean']:.6f} |")
    for failure in report["failures"]:
        print(f"not run: {failure}")


def plot(options):
    """Cost against the size of a batch or the length of a text, each in a process of its own for its peak memory."""
    word = "water "
    inspected = subprocess.run([options.truevec, "inspect", options.model, "--json"], check=True, capture_output=True)
    most_tokens = json.loads(inspected.stdout)["max_length"] or 8192
    tokens, rows = 1024, []
    while tokens <= 65536:
        length = min(256, most_tokens) if options.plot == "tokens" else tokens // 8
        if length > most_tokens:
            break
        count = tokens // length if options.plot == "tokens" else 1
        texts = [word * (length - 2)] * count
        engine = Engine(options.plot_engine, options)
        base = engine.run([word])["peak"]
        wall = min(engine.run(texts)["wall"][0] for _ in range(options.repeats))
        rows.append({"tokens": length * count, "length": length, "seconds": wall, "us_per_token": 1e6 * wall / (length * count),
                     "peak": engine.run(texts)["peak"], "grown": engine.peak - base})
        engine.close()
        tokens *= 2
    report = {"schema": "truevec.bench.plot/1", "model": options.model, "engine": options.plot_engine,
              "threads": options.threads, "against": options.plot, "rows": rows}
    if options.json:
        print(json.dumps(report))
        return
    print(f"{options.model}, {options.plot_engine}, {options.threads} threads, best of {options.repeats}")
    print("| tokens | of length | seconds | us/token | peak MB | grown by MB | |")
    print("|---|---|---|---|---|---|---|")
    most = max(row["us_per_token"] for row in rows)
    for row in rows:
        print(f"| {row['tokens']} | {row['length']} | {row['seconds']:.3f} | {row['us_per_token']:.1f} | "
              f"{row['peak'] / 1e6:.0f} | {row['grown'] / 1e6:.0f} | {'#' * round(30 * row['us_per_token'] / most)} |")


def shape_model(options):
    """A directory of the shape with random weights, made once."""
    folder = options.cache / "shapes" / options.model_shape
    if not (folder / "model.safetensors").exists():
        subprocess.run([sys.executable, ROOT / "tools/make_large_model.py", options.model_shape, folder,
                        "--tokenizer-from", options.model], check=True, stdout=subprocess.DEVNULL)
    return str(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--truevec", default=str(ROOT / "build/release/bin/truevec"))
    parser.add_argument("--library", default=str(ROOT / "build/release/lib/libtruevec.so"))
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache/truevec/peers")
    parser.add_argument("--engines", default=DEFAULT)
    parser.add_argument("--workloads", default=TEXTS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--fidelity-texts", type=int, default=60, help="texts whose cosines are taken")
    parser.add_argument("--model-shape", help="random weights of a published shape in place of --model: bert-base, "
                        "xlmr-base, qwen3-embedding-0.6b, gte-qwen2-1.5b; static-256 with "
                        "--engines truevec,sentence-transformers,model2vec; minilm-8192 for --plot length")
    parser.add_argument("--vllm-python", default=str(ROOT / ".venv/peers-vllm/bin/python"))
    parser.add_argument("--plot", choices=["tokens", "length"])
    parser.add_argument("--plot-engine", default="truevec")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    if options.model_shape:
        options.model = shape_model(options)
    options.cache = options.cache / Path(options.model).resolve().name  # what engines convert the model to
    options.cache.mkdir(parents=True, exist_ok=True)
    if options.plot:
        plot(options)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/texts.json"
        subprocess.run([options.truevec, "bench", options.model, "--write-texts", path, "--workload", options.workloads +
                        ("" if "mixed400" in options.workloads.split(",") else ",mixed400")], check=True)
        texts = json.loads(Path(path).read_text())
    engines, failures = [], []
    for name in options.engines.split(","):
        try:
            engines.append(Engine(name, options))
        except RuntimeError as error:
            failures.append(str(error))
    fidelity = cosines(engines, texts["mixed400"][:options.fidelity_texts], options, failures)
    rows, tokens = [], {}
    for workload in options.workloads.split(","):
        lines = "\n".join(json.dumps({"text": text}) for text in texts[workload])
        listed = subprocess.run([options.truevec, "tokenize", options.model, "--input", "-"], input=lines, check=True,
                                capture_output=True, text=True).stdout
        tokens[workload] = sum(len(json.loads(line)["ids"]) for line in listed.splitlines())
        rows += measure(engines, workload, texts[workload], tokens[workload], options.repeats)
    report = {"schema": "truevec.bench.peers/1", "model": options.model, "threads": options.threads,
              "repeats": options.repeats, "tokens": tokens, "rows": rows, "failures": failures,
              "engines": {e.name: {"load": e.load, "rss": e.rss, "peak": e.peak, "cosine": fidelity[e.name]}
                          for e in engines}}
    for engine in engines:
        engine.close()
    if options.json:
        print(json.dumps(report))
    else:
        print_table(report)


main()
