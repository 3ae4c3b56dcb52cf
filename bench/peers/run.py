#!/usr/bin/env python3
"""truevec beside its peers: same machine, same texts, same threads, interleaved, with the fidelity of each.

./dev bench peers [--engines A,B] [--workloads A,B] [--threads N] [--repeats N] [--model-shape SHAPE] [--json]
./dev bench peers --plot tokens|length|both [--svg FILE] [--plot-engine E] [--threads N] [--model-shape SHAPE]

Each engine is a process of its own (worker.py), loaded once. In every round each engine runs the workload in turn, often
enough that a sample takes a fifth of a second, while the others are stopped; figures are medians over the rounds, ratios
are taken within a round; short workloads get four times as many rounds. tokens/s is by wall time; CPU time is what to trust
on a machine that does other work. Cosines are against sentence-transformers in float64, one text at a time. What cannot
run here is listed with its reason.

--plot: truevec alone (plot.py)."""
import argparse
import hashlib
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import plot
from engine import Engine, Turns, cosines, reference_vectors, shared
from report import print_table, ratios, row_of

ROOT = Path(__file__).resolve().parent.parent.parent
DEFAULT = ("truevec,sentence-transformers,onnxruntime,openvino-f32,ctranslate2,vllm,truevec-bfloat16,openvino-default,"
           "vllm-bfloat16,truevec-int8,onnxruntime-int8,ctranslate2-int8")
TEXTS = "query,8x32,64x256,mixed400,mixed4000"  # all start from raw text
SAMPLE_SECONDS = 0.2
SHORT_ROUNDS = 4  # times as many rounds where every engine needs several passes for a sample
WARM_UP_BELOW = 2  # seconds: longer passes warm themselves up


def measure(engines, workload, texts, tokens, repeats, turns, failures):
    """Rows of the workload; an engine that fails leaves the list."""
    def lost(engine, error):
        failures.append(f"{workload}: {error}")
        engines.remove(engine)

    samples, passes = {}, {}
    turns.take()
    for engine in list(engines):  # warms up, and tells how many passes make a sample
        try:
            first = engine.run(texts)
            again = engine.run(texts) if first["wall"][0] < WARM_UP_BELOW else first
        except (RuntimeError, BrokenPipeError) as error:
            lost(engine, error)
            continue
        passes[engine.name] = max(1, math.ceil(SAMPLE_SECONDS / again["wall"][0]))
        samples[engine.name] = [first] if first is again else []
    # A long pass of the warm-up counts as a round if it was one for every engine.
    if not all(samples.values()):
        samples = {name: [] for name in samples}
    if all(passes[name] > 1 for name in passes):
        repeats *= SHORT_ROUNDS
    while engines and len(samples[engines[0].name]) < repeats:
        turns.take()
        for engine in list(engines):
            try:
                samples[engine.name].append(engine.run(texts, passes=passes[engine.name]))
            except (RuntimeError, BrokenPipeError) as error:
                lost(engine, error)
    return [row_of(workload, engine.name, samples[engine.name], tokens, len(texts)) for engine in engines]


def shape_model(options):
    """A directory of the shape with random weights, made once."""
    made = subprocess.run([sys.executable, ROOT / "tools/make_shape.py", options.model_shape, "--model", options.model,
                           "--cache", options.cache.parent], check=True, stdout=subprocess.PIPE, text=True)
    return made.stdout.strip()


def conversions_of(model):
    """A folder's name for what engines convert the model to: another one when the weights are others."""
    about = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(model.glob("*.*"))]
    return f"{model.name}-{hashlib.sha256(repr((str(model), about)).encode()).hexdigest()[:12]}"


def parse():
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "truevec/peers"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--truevec", default=str(ROOT / "build/release/bin/truevec"))
    parser.add_argument("--library", default=str(ROOT / "build/release/lib/libtruevec.so"))
    parser.add_argument("--cache", type=Path, default=cache)
    parser.add_argument("--engines", default=DEFAULT)
    parser.add_argument("--workloads", default=TEXTS, help="as truevec bench names them: also TEXTSxTOKENS")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--fidelity-texts", type=int, default=60, help="texts whose cosines are taken")
    parser.add_argument("--model-shape", help="random weights of a published shape in place of --model: bert-base, "
                        "xlmr-base, qwen3-0.6b, qwen2-1.5b, minilm; static-256 with --engines "
                        "truevec,sentence-transformers,model2vec; minilm-8192 for --plot length")
    parser.add_argument("--vllm-python", default=str(ROOT / ".venv/peers-vllm/bin/python"))
    parser.add_argument("--lock", action="append", default=[], help="a file to lock while measuring, so that several "
                        "measurements on one machine take turns; given several times: in that order")
    parser.add_argument("--plot", choices=["tokens", "length", "both"])
    parser.add_argument("--svg", help="with --plot: a picture")
    parser.add_argument("--plot-engine", default="truevec")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    if options.model_shape:
        options.model = shape_model(options)
    options.cache = options.cache / conversions_of(Path(options.model).resolve())
    options.cache.mkdir(parents=True, exist_ok=True)
    return options


def texts_of(options):
    """The workloads' texts, and those whose cosines are taken."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/texts.json"
        names = options.workloads.split(",")
        subprocess.run([options.truevec, "bench", options.model, "--write-texts", path, "--workload",
                        ",".join(dict.fromkeys([*names, "mixed400"]))], check=True)
        texts = json.loads(Path(path).read_text())
    return {name: texts[name] for name in names}, texts["mixed400"][:options.fidelity_texts]


def count_tokens(texts, options):
    lines = "\n".join(json.dumps({"text": text}) for text in texts)
    listed = subprocess.run([options.truevec, "tokenize", options.model, "--input", "-"], input=lines, check=True,
                            capture_output=True, text=True).stdout
    return sum(len(json.loads(line)["ids"]) for line in listed.splitlines())


def main():
    options = parse()
    turns = Turns(options.lock)
    if options.plot:
        sys.exit(plot.run(options, turns))
    texts, fidelity_texts = texts_of(options)
    engines, failures = [], []
    with shared(options.lock):
        tokens = {name: count_tokens(lines, options) for name, lines in texts.items()}
        expected, reference = reference_vectors(fidelity_texts, options)
        for name in options.engines.split(","):
            try:
                engines.append(Engine(name, options))
            except RuntimeError as error:
                failures.append(str(error))
    turns.take()
    fidelity = cosines(engines, fidelity_texts, expected, failures)
    rows = []
    for workload, lines in texts.items():
        rows += measure(engines, workload, lines, tokens[workload], options.repeats, turns, failures)
    turns.give()
    report = {"schema": "truevec.bench.peers/2", "model": options.model, "threads": options.threads,
              "repeats": options.repeats, "reference": reference, "tokens": tokens, "rows": rows, "ratios": ratios(rows),
              "failures": failures, "engines": {e.name: {"load": e.load, "rss": e.rss, "peak": e.peak,
                                                         "cosine": fidelity[e.name]} for e in engines}}
    for engine in engines:
        engine.close()
    if options.json:
        print(json.dumps(report))
    else:
        print_table(report)


if __name__ == "__main__":
    main()
