#!/usr/bin/env python3
"""Compares directories that have only Mistral's tekken.json, and fix_mistral_regex, with transformers' AutoTokenizer.

Usage: tekken.py --driver BINARY [--strings N] [--seed S]
The vocabularies are made here. Needs the packages of tools/requirements-reference.txt. Exit 1 on a difference.
"""
import argparse
import base64
import json
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import directories  # noqa: E402
import texts as texts_module  # noqa: E402
import trained  # noqa: E402

PATTERN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
           r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def tekken(rng):
    words = [w.encode() for line in texts_module.CORPUS for w in line.split()]
    tokens = [bytes([b]) for b in range(256)]
    seen = set(tokens)
    while len(tokens) < 700:
        word = rng.choice([b"", b" "]) + rng.choice(words)
        begin = rng.randrange(len(word))
        token = word[begin:begin + rng.randint(2, 6)]
        if len(token) > 1 and token not in seen:
            seen.add(token)
            tokens.append(token)
    special = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"]
    return {"config": {"pattern": PATTERN, "num_vocab_tokens": 700, "default_vocab_size": 690, "default_num_special_tokens": 8, "version": "v3"},
            "vocab": [{"rank": i, "token_bytes": base64.b64encode(t).decode(), "token_str": None} for i, t in enumerate(tokens)],
            "special_tokens": [{"rank": i, "token_str": t, "is_control": True} for i, t in enumerate(special)]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--driver", required=True)
    parser.add_argument("--strings", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    texts = texts_module.LITERALS + [texts_module.random_text(rng, ["[INST]", "<s>", "<SPECIAL_6>"]) for _ in range(args.strings)]
    check = directories.Check(args.driver)
    for config in ({}, {"add_bos_token": True, "bos_token": "<s>"}, {"add_bos_token": True, "add_eos_token": True, "bos_token": "<s>", "eos_token": "</s>"}):
        with tempfile.TemporaryDirectory() as scratch:
            directory = Path(scratch)
            directories.write(directory / "tekken.json", tekken(rng))
            directories.write(directory / "config.json", {"model_type": "mistral"})
            directories.write(directory / "tokenizer_config.json", config)
            check.one(directory, f"tekken.json {json.dumps(config)}", texts, [(texts[1], texts[2])])
    qwen = json.loads(trained.trained_set()["qwen"].to_str())
    size = len(qwen["model"]["vocab"])
    qwen["model"]["vocab"].update({f"filler {i}": size + i for i in range(100_001)})
    for version, fix, split in (("4.57.1", True, True), ("5.0.0", True, True), ("5.0.0.dev0", True, False), (None, False, True), (None, True, False)):
        with tempfile.TemporaryDirectory() as scratch:
            directory = Path(scratch)
            root = qwen if split else {**qwen, "pre_tokenizer": qwen["pre_tokenizer"]["pretokenizers"][1]}
            directories.write(directory / "tokenizer.json", root)
            directories.write(directory / "config.json", {"model_type": "mistral", **({"transformers_version": version} if version else {})})
            directories.write(directory / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", "fix_mistral_regex": fix})
            check.one(directory, f"fix_mistral_regex={fix} of {version}", texts)
    print(f"{check.strings} strings, {check.different} differences")
    return 1 if check.different else 0


if __name__ == "__main__":
    sys.exit(main())
