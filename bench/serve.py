#!/usr/bin/env python3
"""./dev bench serve: throughput and latency of `truevec serve` against the same work offline, on this machine.

Closed loop with 1, 8 and 32 clients, open loop at 0.5, 1, 2 and 5 times the measured capacity, mixed lengths; every
reply is compared with the offline vector bit by bit. Then: a burst of connections, idle connections, restart after a
kill. Prints a table and, with --json FILE, the figures. Exit 1 when a reply was wrong or lost.
"""
import argparse
import base64
import json
import os
import random
import re
import resource
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

WORDS = ("the of and to in is that for it as was with be by on not he his but at are this have from or had an they "
         "which one you were all her she there would their we him been has when who will no more if out so up said what "
         "its about than into them can only other time new some could these two may first then do any like my now over "
         "such our man me even most made after also did many off before must well back through years where much your way "
         "down should because long each just state those people too mr how little good world make very year still see own "
         "work men day get here between both life being under three never know same last another while us might great").split()


def make_texts(count, shortest, longest, seed):
    chooser = random.Random(seed)
    return [" ".join(chooser.choices(WORDS, k=chooser.randint(shortest, longest))) for _ in range(count)]


class Bench:
    def __init__(self, options):
        self.options = options
        self.folder = tempfile.mkdtemp(prefix="truevec-bench-")
        self.process = None
        self.rows = []

    def offline(self, texts, name):
        """Texts per second of `truevec embed`, and the vectors' base64."""
        source, target = (os.path.join(self.folder, name + end) for end in (".txt", ".npy"))
        with open(source, "w", encoding="utf-8") as file:
            file.write("\n".join(texts) + "\n")
        command = [self.options.binary, "embed", self.options.model, "--input", source, "--output", target, "--quiet",
                   "--threads", str(self.options.threads)]
        empty = os.path.join(self.folder, "one.txt")
        with open(empty, "w", encoding="utf-8") as file:
            file.write("a\n")
        start = time.monotonic()
        subprocess.run([*command[:4], empty, "--output", os.path.join(self.folder, "one.npy"), *command[7:]], check=True)
        loading = time.monotonic() - start
        start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True)
        seconds = max(time.monotonic() - start - loading, 1e-6)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.offline_cpu = (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) / len(texts)
        with open(target, "rb") as file:
            data = file.read()
        width = int(re.search(rb"'shape': \(\d+, (\d+)\)", data[:256])[1])
        header = 10 + struct.unpack("<H", data[8:10])[0]
        rows = [data[header + i * 4 * width:header + (i + 1) * 4 * width] for i in range(len(texts))]
        requests, expected = (os.path.join(self.folder, name + end) for end in (".requests", ".expected"))
        with open(requests, "w", encoding="utf-8") as file:
            file.writelines(json.dumps({"input": text, "encoding_format": "base64"}) + "\n" for text in texts)
        with open(expected, "w", encoding="utf-8") as file:
            file.writelines('"embedding":"%s"\n' % base64.b64encode(row).decode() for row in rows)
        return len(texts) / seconds

    def start(self):
        begin = time.monotonic()
        self.process = subprocess.Popen([self.options.binary, "serve", self.options.model, "--port", "0", "--threads",
                                         str(self.options.threads), *self.options.serve], stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        self.port = int(re.search(r":(\d+)$", line.strip())[1])
        return time.monotonic() - begin

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(60)
        self.process.stderr.close()

    def load(self, name, label, seconds=None, **arguments):
        command = [self.options.load, "--port", str(self.port), "--requests", os.path.join(self.folder, name + ".requests"),
                   "--expected", os.path.join(self.folder, name + ".expected"), "--seconds", str(seconds or self.options.seconds)]
        for key, value in arguments.items():
            command += ["--" + key, str(value)]
        result = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        result["label"] = label
        self.rows.append(result)
        print(f"{label:34} {result['ok_per_second']:9.1f}/s  p50 {result['p50_ms']:8.1f} ms  p99 {result['p99_ms']:8.1f} ms"
              f"  429 {result['refused']:6}  wrong {result['mismatched'] + result['failed'] + result['lost']}", flush=True)
        return result

    def capacity(self):
        return self.load("texts", "closed loop, 32 clients, beside it", seconds=max(3, self.options.seconds / 2),
                         clients=32)

    def beside_capacity(self, rate, measure, wanted):
        """measure(capacity before) in stretches, each between two measurements of the capacity (the row's `rate`), and
        how many there were: [(value, mean capacity)], count. A stretch counts when the two agree within 5 %, for else the
        machine's own speed changed meanwhile; after twice the wanted number of stretches all count."""
        stretches, steady = [], []
        before = self.capacity()[rate]
        while len(steady) < wanted and len(stretches) < 2 * wanted:
            value = measure(before)
            after = self.capacity()[rate]
            stretches.append((value, (before + after) / 2))
            if abs(after / before - 1) <= 0.05:
                steady.append(stretches[-1])
            else:
                print(f"  the machine went from {before:.1f} to {after:.1f} texts/s: once more", flush=True)
            before = after
        return (steady if len(steady) == wanted else stretches), len(stretches)

    def half_load(self):
        """The slowest hundredth is few requests, and one pause of the machine is all of it: the median of nine stretches."""
        counted, tried = self.beside_capacity(
            "ok_per_second", lambda capacity: self.load("texts", "open loop, 0.5 x capacity", rate=capacity / 2), 9)
        return {"goodput_at_0.5": statistics.median(half["ok_per_second"] / capacity for half, capacity in counted),
                "p99_over_p50_at_half_load": statistics.median(half["p99_ms"] / half["p50_ms"] for half, _ in counted),
                "half_load_stretches": [round(half["p99_ms"] / half["p50_ms"], 2) for half, _ in counted], "half_load_tried": tried}

    def overload(self):
        """Long enough to fill the queue: the median of three stretches."""
        counted, tried = self.beside_capacity(
            "goodput", lambda capacity: self.load("texts", "open loop, 5 x capacity", seconds=2 * max(4, self.options.seconds),
                                       rate=5 * capacity), 3)
        return {"goodput_at_5": statistics.median(over["goodput"] / capacity for over, capacity in counted),
                "refused_at_5": sum(over["refused"] for over, _ in counted), "overload_tried": tried}

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1]) / 1024

    def soak(self, seconds):
        """MiB at eleven points of the time."""
        samples, done = [self.memory()], threading.Event()

        def watch():
            while not done.wait(seconds / 10):
                samples.append(self.memory())
        watcher = threading.Thread(target=watch)
        watcher.start()
        self.load("mixed", f"soak, {seconds / 60:g} minutes", seconds=seconds, clients=32)
        done.set()
        watcher.join()
        return [round(sample, 1) for sample in samples]

    def connections(self):
        before = self.memory()
        sockets = []
        for _ in range(2000):
            sockets.append(socket.create_connection(("127.0.0.1", self.port), timeout=10))
        for one in sockets:
            one.sendall(b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n")
        for one in sockets:
            one.recv(4096)
        idle = self.memory() - before
        for one in sockets:
            one.close()
        start = time.monotonic()
        sockets = [socket.create_connection(("127.0.0.1", self.port), timeout=10) for _ in range(256)]
        for one in sockets:
            one.sendall(b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n")
        for one in sockets:
            one.recv(4096)
        burst = time.monotonic() - start
        for one in sockets:
            one.close()
        return idle, burst


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--load", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--soak", type=float, default=0, help="minutes of closed loop with 32 clients; memory must stay flat")
    parser.add_argument("--json")
    parser.add_argument("--serve", nargs="*", default=[], help="more options for truevec serve")
    options = parser.parse_args()
    bench = Bench(options)
    figures = {}
    offline = bench.offline(make_texts(400, 12, 52, 1), "texts")
    offline_cpu = bench.offline_cpu
    mixed = bench.offline(make_texts(150, 4, 52, 2) + make_texts(30, 100, 240, 3), "mixed")
    print(f"offline: {offline:.1f} texts/s of 16-64 tokens, {mixed:.1f} of mixed lengths; {options.threads} threads")
    ready = bench.start()
    bench.load("texts", "warm-up", clients=4)
    bench.rows.clear()
    # Before the overload, whose connections leave memory for these.
    figures["idle_2000_connections_mib"], figures["burst_256_seconds"] = bench.connections()
    figures["cpu_ms_per_text_offline"] = offline_cpu * 1000  # with loading the model
    figures |= {"offline_mixed_texts_per_second": mixed}
    for clients in (1, 8, 32):
        before = bench.cpu_seconds()
        result = bench.load("texts", f"closed loop, {clients} clients", clients=clients)
        capacity = result["ok_per_second"]
        figures[f"cpu_ms_per_text_{clients}_clients"] = 1000 * (bench.cpu_seconds() - before) / result["ok"]
    # Once more, for the machine may change; the server is idle meanwhile.
    offline = (offline + bench.offline(make_texts(400, 12, 52, 1), "texts")) / 2
    bench.load("mixed", "closed loop, 32 clients, mixed", clients=32)
    figures |= bench.half_load()
    for factor in (1, 2):
        result = bench.load("texts", f"open loop, {factor} x capacity", rate=capacity * factor)
        figures[f"goodput_at_{factor}"] = result["ok_per_second"] / capacity
    figures |= bench.overload()
    figures |= {"offline_texts_per_second": offline, "served_over_offline": capacity / offline}
    if options.soak > 0:
        figures["soak_rss_mib"] = bench.soak(options.soak * 60)
    bench.stop(signal.SIGKILL)
    figures["first_ready_seconds"], figures["restart_ready_seconds"] = ready, bench.start()
    bench.stop()
    for name, value in figures.items():
        print(f"{name:34} {value if isinstance(value, list) else round(value, 3)}")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"rows": bench.rows, **figures}, file, indent=1)
    wrong = sum(row["mismatched"] + row["failed"] + row["lost"] for row in bench.rows)
    print(f"replies: {sum(row['ok'] for row in bench.rows)} bit-equal to offline, {wrong} wrong or lost")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
