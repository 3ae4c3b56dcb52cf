#!/usr/bin/env python3
"""Real engines from PyPI and Debian, diagnosed: diagnose_peers.py MODEL [ENGINE ...]

Runs bench/peers/worker.py for each engine, one text a call, on the probe texts of a lock, and prints `truevec diagnose`'s
verdict and causes as a table; llama.cpp and vLLM are asked over HTTP as a user would. MODEL: all-MiniLM-L6-v2. Run it with
.venv/peers/bin/python, which `./dev bench peers` makes; TRUEVEC_BINARY names another binary.
"""
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "bench/peers"))
import llama_cpp  # noqa: E402

BINARY = os.environ.get("TRUEVEC_BINARY", str(ROOT / "build/release/bin/truevec"))
ENGINES = ("sentence-transformers", "sentence-transformers-bfloat16", "onnxruntime", "onnxruntime-int8", "openvino-f32",
           "openvino-default", "openvino-bfloat16", "ctranslate2", "ctranslate2-int8")
# Type of the GGUF file, and options of llama-server; -fa off: keys and values stay float32.
LLAMA_CPP = {"llama.cpp-f32": ("f32", ()), "llama.cpp-f32-fa-off": ("f32", ("-fa", "off")), "llama.cpp-bf16": ("bf16", ()),
             "llama.cpp-q8_0": ("q8_0", ())}


# Options of vLLM's server; its own choice of a type first.
VLLM = {"vllm": (), "vllm-f32": ("--dtype", "float32")}
STARTS_WITHIN = 300  # seconds


def llama_command(engine, model, port):
    """llama-server, as ./dev bench serve --peers installs it."""
    kind, options = LLAMA_CPP[engine]
    folder = ROOT / ".venv/llama-cpp"
    gguf = folder / "models" / f"{Path(model).resolve().name}-{kind}.gguf"
    llama_cpp.install(folder)
    llama_cpp.make_gguf(folder, model, kind, gguf, str(ROOT / ".venv/reference/bin/python"))
    return [folder / "bin/llama-server", "--embedding", "-m", gguf, "--port", port, "--threads", "2", "-b", "512", "-ub", "512",
            *options]


def vllm_command(engine, model, port):
    """vLLM's server, as ./dev bench peers installs it."""
    return [ROOT / ".venv/peers-vllm/bin/python", "-m", "vllm.entrypoints.openai.api_server", "--model", model, "--runner",
            "pooling", "--enforce-eager", "--host", "127.0.0.1", "--port", port, *VLLM[engine]]


class Server:
    """An engine's own server on a free port."""

    def __init__(self, engine, model):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        self.url, self.api = f"http://127.0.0.1:{port}", "vllm" if engine in VLLM else "llamacpp"
        command = (vllm_command if engine in VLLM else llama_command)(engine, model, port)
        settings = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        env={**os.environ, **settings})
        give_up = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < give_up and self.process.poll() is None:
            try:
                urllib.request.urlopen(self.url + "/health").close()
                break
            except OSError:  # not yet listening, or 503
                time.sleep(0.1)

    def __enter__(self):
        return [self.url, "--api", self.api, "--concurrency", "2"]

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def diagnose(model, against, texts):
    return subprocess.run([BINARY, "diagnose", model, "--against", *against, "--texts", texts, "--json"], capture_output=True,
                          text=True, check=False)


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
        for engine in sys.argv[2:] or (*ENGINES, *VLLM, *LLAMA_CPP):
            serves = engine in LLAMA_CPP or engine in VLLM
            path = None if serves else vectors(engine, model, texts, folder)
            if path is None and not serves:
                print(f"| {engine} | does not run here | | | | | |", flush=True)
                continue
            start = time.monotonic()
            if path is None:
                with Server(engine, model) as against:
                    done = diagnose(model, against, f"{folder}/texts.jsonl")
            else:
                done = diagnose(model, [path], f"{folder}/texts.jsonl")
            wall = time.monotonic() - start
            d = json.loads(done.stdout)
            causes = d["causes"] or [{"id": "none", "variant": "", "confidence": "", "evidence": [""]}]
            for c in causes:
                name = c["id"] + (f" ({c['variant']})" if c["variant"] else "")
                print(f"| {engine} | {d['verdict']} | {d['metrics']['cosine']['min']:.9f} | {name} | {c['confidence']} | "
                      f"{c['evidence'][-1]} | {wall:.0f} |", flush=True)


if __name__ == "__main__":
    main()
