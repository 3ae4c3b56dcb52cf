#!/usr/bin/env python3
"""Speed of truevec's tokenizers beside tokenizers, tiktoken and SentencePiece, on the same texts.

Usage: bench_tokenize.py --worker BINARY --texts FOLDER --vocabularies FOLDER [--rounds N] [--json FILE] [NAME ...]
One thread each, ids only, no special tokens; CPU seconds of the thread. In each round the programs take turns, so that
a busy machine slows all of them; the medians over the rounds are reported. warm: the texts were seen once before.
cold: nothing is cached (tokenizers: its caches cleared; tiktoken and SentencePiece keep none).
Fails when ids differ from those of tokenizers.
"""
import argparse
import array
import json
import os
import statistics
import subprocess
import sys
import time
import zlib
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

import sentencepiece  # noqa: E402
import tiktoken  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

GPT2_PATTERN = (r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")


class Worker:
    """The truevec side: a process that answers commands."""

    def __init__(self, binary, path):
        self.process = subprocess.Popen([binary, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"the worker failed on: {command}")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def checksum(ids):
    return f"{zlib.crc32(array.array('i', ids).tobytes()):x}"


def seconds(run):
    begin = time.thread_time()
    run()
    return time.thread_time() - begin


def tiktoken_of(spec):
    """The same merges as tiktoken wants them: the bytes of each token and its rank."""
    alphabet = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174]
    chars = {chr(b): b for b in alphabet}
    for n, b in enumerate(b for b in range(256) if b not in alphabet):
        chars[chr(256 + n)] = b
    specials = {t["content"] for t in spec["added_tokens"]}
    ranks = {bytes(chars[c] for c in token): rank for token, rank in spec["model"]["vocab"].items()
             if token not in specials}
    pre = spec["pre_tokenizer"]
    pattern = pre["pretokenizers"][0]["pattern"]["Regex"] if pre["type"] == "Sequence" else GPT2_PATTERN
    return tiktoken.Encoding("bench", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})


def peers(name, folder, spec):
    """name -> (run over texts, clear caches)"""
    tokenizer = Tokenizer.from_file(str(folder / f"{name}.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    clear = getattr(tokenizer.model, "_clear_cache", lambda: None)
    out = {
        "tokenizers": (lambda texts: tokenizer.encode_batch(texts, add_special_tokens=False), clear),
        "tokenizers fast": (lambda texts: tokenizer.encode_batch_fast(texts, add_special_tokens=False), clear),
    }
    if name in ("gpt2", "qwen3", "llama3"):
        encoding = tiktoken_of(spec)
        out["tiktoken"] = (lambda texts: [encoding.encode_ordinary(t) for t in texts], lambda: None)
    if (folder / f"{name}.model").exists():
        processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / f"{name}.model"))
        out["sentencepiece"] = (lambda texts: [processor.encode(t) for t in texts], lambda: None)
    return out


def measure(args, name, text_sets):
    spec = json.loads((args.vocabularies / f"{name}.json").read_text())
    others = peers(name, args.vocabularies, spec)
    worker = Worker(args.worker, args.vocabularies / f"{name}.json")
    rows = []
    for set_name, (path, texts) in text_sets.items():
        expected = [i for e in others["tokenizers"][0](texts) for i in e.ids]
        answer = worker.ask(f"warm {path}")
        if answer["checksum"] != checksum(expected):
            sys.exit(f"{name}, {set_name}: the ids differ from those of tokenizers")
        times = {}
        for _ in range(args.rounds):
            for state in ("warm", "cold"):
                times.setdefault(("truevec", state), []).append(worker.ask(f"{state} {path}")["seconds"])
                for peer, (run, clear) in others.items():
                    if state == "cold":
                        if not peer.startswith("tokenizers"):
                            continue  # keeps nothing: as warm
                        clear()
                    times.setdefault((peer, state), []).append(seconds(lambda: run(texts)))
        size = sum(len(t.encode()) for t in texts)
        rows.append({"tokenizer": name, "texts": set_name, "bytes": size, "ids": len(expected),
                     "seconds": {f"{p} {s}": statistics.median(t) for (p, s), t in times.items()}})
    worker.close()
    return rows


def table(rows):
    for row in rows:
        for state in ("warm", "cold"):
            ours = row["seconds"][f"truevec {state}"]
            line = f"{row['tokenizer']:10} {row['texts']:13} {state:5} {row['bytes'] / ours / 1e6:9.1f}  "
            for key, value in row["seconds"].items():
                peer, of = key.rsplit(" ", 1)
                if peer != "truevec" and (of == state or f"{peer} {state}" not in row["seconds"]):
                    line += f" {peer} {row['bytes'] / value / 1e6:.2f} ({value / ours:.1f}x)"
            print(line, flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--worker", required=True)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--vocabularies", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME")
    args = parser.parse_args()
    text_sets = {}
    for name in ("english", "multilingual"):
        path = args.texts / f"{name}.jsonl"
        text_sets[name] = path, [json.loads(line)["text"] for line in open(path, encoding="utf-8")]
    names = args.names or sorted(p.stem for p in args.vocabularies.glob("*.json"))
    print("MB per CPU second; in brackets, how many times as fast truevec is")
    rows = []
    for name in names:
        rows += measure(args, name, text_sets)
        table(rows[-len(text_sets):])
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
