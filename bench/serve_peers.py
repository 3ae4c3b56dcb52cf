#!/usr/bin/env python3
"""./dev bench serve --peers: `truevec serve` beside other embedding servers on this machine.

The same texts of 16 to 64 tokens, one a request, closed loop with 1, 8 and 32 clients, the load generator on the same
cores. All servers run; who is not measured is stopped (SIGSTOP). Each round measures every server once, so that a busy
machine hits all alike; the table has medians. Vectors are compared with `truevec embed`. A peer that is not installed,
or does not start, is named and left out.
"""
import argparse
import json
import math
import os
import re
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

from serve import Bench, make_texts

CLIENTS = (1, 8, 32)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def post(port, path, body):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(),
                                     {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)


class Peer:
    """A server process; `command` may hold {model}, {port}, {threads}."""

    def __init__(self, name, command, path, options, environment=None):
        self.name, self.path, self.options = name, path, options
        self.port = free_port()
        self.log = tempfile.TemporaryFile("w+")
        self.command = [part.format(model=options.model, port=self.port, threads=options.threads) for part in command]
        self.environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads), **(environment or {})}
        self.results = {clients: [] for clients in CLIENTS}

    def start(self, seconds):
        begin = time.monotonic()
        self.process = subprocess.Popen(self.command, env=self.environment, stdout=self.log, stderr=self.log,
                                        start_new_session=True)
        while time.monotonic() - begin < seconds and self.process.poll() is None:
            try:
                self.vector("ready?")
                return time.monotonic() - begin
            except (OSError, KeyError, ValueError):
                time.sleep(0.2)
        self.stop()
        self.log.seek(0)
        lines = [line.strip() for line in self.log.read().splitlines() if line.strip()]
        print(f"{self.name}: did not start: {lines[-1][:200] if lines else 'no message'}", flush=True)
        return None

    def vector(self, text):
        return post(self.port, self.path, {"model": "m", "input": [text], "encoding_format": "float"})["data"][0]["embedding"]

    def signal(self, number):
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def stop(self):
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGKILL)
        self.process.wait()

    def measure(self, requests, clients, seconds):
        run = subprocess.run([self.options.load, "--port", str(self.port), "--path", self.path, "--requests", requests,
                              "--seconds", str(seconds), "--clients", str(clients)], capture_output=True, text=True, check=True)
        result = json.loads(run.stdout)
        if result["failed"] or result["lost"] or result["refused"]:
            print(f"{self.name}, {clients} clients: {result['failed']} failed, {result['lost']} lost, "
                  f"{result['refused']} refused", flush=True)
        self.results[clients].append(result)


def llama_server(kind, gguf, options):
    """As many slots as help it: more texts in a step cost it more than they bring (one mask over all of them)."""
    return Peer(f"llama-server {kind}", [options.llama_server, "--embedding", "-m", gguf, "--port", "{port}", "--threads", "{threads}",
                                         "--threads-batch", "{threads}", "-np", "16", "-c", "8192", "-b", "512", "-ub", "512"],
                "/v1/embeddings", options)


def make_peers(options):
    peers = [Peer("truevec", [options.binary, "serve", "{model}", "--served-model-name", "m", "--port", "{port}", "--threads",
                              "{threads}"], "/v1/embeddings", options),
             Peer("truevec bfloat16", [options.binary, "serve", "{model}", "--served-model-name", "m", "--port", "{port}",
                                       "--threads", "{threads}", "--dtype", "bfloat16"], "/v1/embeddings", options),
             Peer("Infinity torch float32", [options.infinity, "v2", "--model-id", "{model}", "--served-model-name", "m", "--engine",
                                             "torch", "--device", "cpu", "--dtype", "float32", "--port", "{port}"],
                  "/embeddings", options, {"INFINITY_ANONYMOUS_USAGE_STATS": "0", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"}),
             Peer("vLLM float32", [options.vllm, "-m", "vllm.entrypoints.openai.api_server", "--model", "{model}",
                                   "--served-model-name", "m", "--runner", "pooling", "--dtype", "float32", "--enforce-eager",
                                   "--port", "{port}", "--host", "127.0.0.1"], "/v1/embeddings", options,
                  {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}),
             llama_server("F32", options.gguf, options), llama_server("BF16", options.gguf_bf16, options)]
    chosen = []
    for peer in peers:
        if not os.access(peer.command[0], os.X_OK):
            print(f"{peer.name}: not installed ({peer.command[0] or 'no path given'})", flush=True)
        elif peer.name.startswith("llama") and "" in peer.command:
            print(f"{peer.name}: no GGUF file given", flush=True)
        elif not options.only or any(name.strip().lower() in peer.name.lower() for name in options.only.split(",")):
            chosen.append(peer)
    return chosen


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def rate(peer, clients):
    return statistics.median(result["ok_per_second"] for result in peer.results[clients])


def show(peers, fidelity, started):
    print(f"\n{'server':24}" + "".join(f"{f'{c} clients: texts/s, p50/p99 ms':>36}" for c in CLIENTS) + "   least cosine   start s")
    for peer in peers:
        row = f"{peer.name:24}"
        for clients in CLIENTS:
            p50, p99 = (statistics.median(result[key] for result in peer.results[clients]) for key in ("p50_ms", "p99_ms"))
            row += f"{rate(peer, clients):20.1f} {p50:6.1f}/{p99:7.1f} "
        print(row + f"{fidelity[peer.name]:15.7f} {started[peer.name]:9.1f}")


def show_bars(peers):
    """What the server is held to, at 8 and 32 clients."""
    float32 = [peer for peer in peers if not peer.name.startswith("truevec") and "BF16" not in peer.name]
    for ours, others, bar in (("truevec", float32, 1.6),
                              ("truevec bfloat16", [peer for peer in peers if peer.name == "llama-server BF16"], 1.5)):
        own = next((peer for peer in peers if peer.name == ours), None)
        if own is None or not others:
            continue
        for clients in CLIENTS:
            best = max(others, key=lambda peer: rate(peer, clients))
            ratio = rate(own, clients) / max(rate(best, clients), 1e-9)
            verdict = "" if clients == 1 else f"; asked {bar}x: {'holds' if ratio >= bar else 'does not hold'}"
            print(f"{ours} over {best.name} at {clients} clients: {ratio:.2f}x{verdict}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--load", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--infinity", default="", help="infinity_emb of an environment that has infinity-emb")
    parser.add_argument("--vllm", default="", help="python of an environment that has vllm-cpu")
    parser.add_argument("--llama-server", default="")
    parser.add_argument("--gguf", default="", help="the model for llama-server, in float32")
    parser.add_argument("--gguf-bf16", default="", help="and in bfloat16")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", help="names of servers, comma separated")
    parser.add_argument("--json", help="write all figures there")
    options = parser.parse_args()
    options.serve = []
    bench = Bench(options)
    texts = make_texts(400, 12, 52, 1)
    bench.offline(texts, "texts")
    requests = os.path.join(bench.folder, "peers.requests")
    with open(requests, "w", encoding="utf-8") as file:
        file.writelines(json.dumps({"model": "m", "input": [text], "encoding_format": "float"}) + "\n" for text in texts)
    with open(os.path.join(bench.folder, "texts.npy"), "rb") as file:
        data = file.read()
    width = int(re.search(rb"'shape': \(\d+, (\d+)\)", data[:256])[1])
    header = 10 + struct.unpack("<H", data[8:10])[0]
    offline = [struct.unpack_from(f"<{width}f", data, header + 4 * width * i) for i in range(len(texts))]
    running, fidelity, started = [], {}, {}
    try:
        for peer in make_peers(options):
            seconds = peer.start(180)
            if seconds is None:
                continue
            running.append(peer)
            started[peer.name] = seconds
            fidelity[peer.name] = min(cosine(peer.vector(texts[i]), offline[i]) for i in range(0, len(texts), 20))
            peer.measure(requests, 8, 1)  # warm-up
            peer.results[8].clear()
            peer.signal(signal.SIGSTOP)
        for _ in range(options.rounds):
            for peer in running:
                peer.signal(signal.SIGCONT)
                time.sleep(0.2)
                for clients in CLIENTS:
                    peer.measure(requests, clients, options.seconds)
                peer.signal(signal.SIGSTOP)
    finally:
        for peer in running:
            peer.stop()
    if not running:
        sys.exit("no server to measure")
    show(running, fidelity, started)
    show_bars(running)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({peer.name: {"start_seconds": started[peer.name], "least_cosine": fidelity[peer.name],
                                   "rounds": peer.results} for peer in running}, file, indent=1)


if __name__ == "__main__":
    main()
