"""Engines as processes of their own (worker.py), the locks and the memory that they need."""
import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent


def available_memory():
    with open("/proc/meminfo", encoding="ascii") as file:
        return int(next(line for line in file if line.startswith("MemAvailable")).split()[1]) * 1024


def wanted_memory(name, model):
    """Bytes that an engine may take: its weights in its own precision, twice while it loads, and half a gigabyte."""
    path = Path(model, "model.safetensors")
    if not path.exists():
        return 0
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    values = sum(int(np.prod(tensor["shape"])) for key, tensor in header.items() if key != "__metadata__")
    width = 8 if name == "reference" else 2 if "bfloat16" in name else 4
    return 2 * values * width + (1 << 29)


class Engine:
    """Stopped by a signal between its turns, so that no pool that spins takes time from the next engine."""

    def __init__(self, name, options):
        self.name = name
        python = options.vllm_python if name.startswith("vllm") else sys.executable
        if not Path(python).exists():
            raise RuntimeError(f"{name}: {python} is not installed")
        wanted, available = wanted_memory(name, options.model), available_memory()
        if wanted > available:
            raise RuntimeError(f"{name}: may take {wanted / 1e9:.1f} GB, {available / 1e9:.1f} are available")
        command = [str(python), str(HERE / "worker.py"), name, options.model, str(options.threads), str(options.cache),
                   options.library]
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.load = self.answer()["load"]
        self.rss = self.peak = 0
        self.signal(signal.SIGSTOP)

    def signal(self, number):
        if self.process.poll() is None:
            os.kill(self.process.pid, number)

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            lines = self.log.read().decode(errors="replace").strip().splitlines()
            raise RuntimeError(f"{self.name} failed: {lines[-1] if lines else 'no message'}")
        return json.loads(line)

    def run(self, texts, vectors=None, passes=1):
        self.signal(signal.SIGCONT)
        print(json.dumps({"texts": texts, "vectors": vectors, "passes": passes}), file=self.process.stdin, flush=True)
        answer = self.answer()
        self.signal(signal.SIGSTOP)
        self.rss, self.peak = answer["rss"], answer["peak"]
        return answer

    def close(self):
        self.signal(signal.SIGCONT)
        self.process.stdin.close()
        self.process.wait()


class Turns:
    """Exclusive locks on files, so that measurements on one machine take turns; given back after `seconds`."""

    def __init__(self, files, seconds=120):
        self.files, self.seconds, self.held, self.since = files, seconds, [], 0

    def take(self):
        """Called before each round: takes the locks, or lets others have them when they were held long enough."""
        if self.held and time.monotonic() - self.since > self.seconds:
            self.give()
            time.sleep(1)
        if not self.held:
            for name in self.files:
                self.held.append(open(name, "a", encoding="ascii"))
                fcntl.flock(self.held[-1], fcntl.LOCK_EX)
            self.since = time.monotonic()

    def give(self):
        for file in reversed(self.held):
            file.close()
        self.held = []


@contextmanager
def shared(files):
    """What may run beside other work, but beside no measurement: shared locks, one after the other."""
    held = []
    for name in files:
        held.append(open(name, "a", encoding="ascii"))
        fcntl.flock(held[-1], fcntl.LOCK_SH)
    try:
        yield
    finally:
        for file in held:
            file.close()


def reference_vectors(texts, options):
    """sentence-transformers, one text at a time, in float64 where that fits, else float32; kept in the cache."""
    name = "reference" if wanted_memory("reference", options.model) < available_memory() else "reference-float32"
    key = hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16]
    path = options.cache / f"{name}-{key}.npy"
    if not path.exists():
        engine = Engine(name, options)
        engine.run(texts, str(path) + ".part.npy")
        engine.close()
        os.rename(str(path) + ".part.npy", path)
    vectors = np.load(path).astype(np.float64)
    about = f"sentence-transformers in {'float64' if name == 'reference' else 'float32'}"
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), about


def cosines(engines, texts, expected, failures):
    """Worst and mean cosine of each engine with `expected`; an engine that fails leaves the list."""
    result = {}
    with tempfile.TemporaryDirectory() as folder:
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
