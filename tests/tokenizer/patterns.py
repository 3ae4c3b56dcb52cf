#!/usr/bin/env python3
"""Compares random regular expressions with Oniguruma, as tokenizers' Split uses it.

Usage: patterns.py --driver BINARY [--patterns N] [--seed S]
Each pattern splits 60 short texts; the spans must be equal. Patterns that tokenizers refuses are not compared.
Exit 1 on a difference.
"""
import argparse
import json
import os
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from driver import Driver  # noqa: E402
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

ATOMS = ["a", "b", r"\p{L}", r"\p{N}", r"\s", r"\S", ".", "[ab]", "[^a]", r"\w", r"\d", r"\n", " ", "(?:ab)", "(?:a|b)",
         "(?:a?)", "(?:a*)", r"(?:\s*b?)", "(?=a)", "(?!b)", "(?<=a)", "(?<!b)", "(?>a+b?)", "(?i:A)", "(?i:s)",
         "[a-c&&[^b]]", "[[:^a]x]", "(a|ab)", "(?:a|)", r"\p{^L}", r"\P{Lu}", r"\x61", r"\h",
         r"\H", r"\R", r"\N", r"\O", r"\K", "[[:alpha:]]", "[[:^alpha:]b]", "[[:upper:]&&[^S]]", "(?i:ss)", "(?i:ß)", "(?i:[ßa])", "(?i:[^ß])",
         "(?i:[[:upper:]])", r"(?i:\p{Lu})", "(?i:as(?:s)a)", "(?i:ﬁ)", "(?i:ffi)", r"(a)\1", r"(?i:([as])\1)", r"(?<n>[ab])\k<n>", r"\1", r"\k<-1>",
         "(?x: a b # c\n)", "(?#c)", r"\p{Greek}", r"\p{Emoji}", r"\p{lower case}", "(?i)", "(?m)", "(?m:.)", "(?-i:s)", r"[\b\t -]", r"[a-\x62]",
         r"[]a]", r"[^\]a]", r"[\w\s&&[^a]]", r"\xc3\x9f", r"\x{61 62}", r"\141", r"\cA", r"\q", r"\pL", "(?<=(a|b))", "(?=(a))", "(?>(a|b))", "(?i:(?<=ss))"]
ANCHORS = ["^", "$", r"\A", r"\z", r"\Z", r"\G", r"\b", r"\B"]
REPEATS = ["", "", "", "*", "+", "?", "*?", "+?", "??", "++", "*+", "?+", "{2}", "{1,2}", "{,2}", "{2,}", "{1,2}?", "{2}+", "{2}?", "{2,1}", "{,}", "(?#c)*"]
ALPHABET = "aaabbbAS sssf\u017f\n\r1\u00e9-x\u00df\u1e9eﬁfiﬃα"


def random_pattern(rng, depth=0):
    out = ""
    for _ in range(rng.randint(1, 3)):
        if depth <= 1 and rng.random() < 0.2:
            out += f"(?:{random_pattern(rng, depth + 1)})" + rng.choice(REPEATS)
        elif rng.random() < 0.15:
            out += rng.choice(ANCHORS)
        else:
            out += rng.choice(ATOMS) + rng.choice(REPEATS)
    if depth < 2 and rng.random() < 0.3:
        out += "|" + random_pattern(rng, depth + 1)
    return out


def compile_pattern(pattern):
    try:
        return Regex(pattern)
    except Exception:  # noqa: BLE001: the reference refuses it
        return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--driver", required=True)
    parser.add_argument("--patterns", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # warnings of Oniguruma
    rng = random.Random(args.seed)
    texts = ["".join(rng.choice(ALPHABET) for _ in range(rng.randint(0, 12))) for _ in range(60)]
    done = bad = 0
    driver = Driver(args.driver)
    while done < args.patterns:
        pattern = random_pattern(rng)
        regex = compile_pattern(pattern)
        if regex is None:
            continue
        done += 1
        tokenizer = Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Split(regex, "isolated")
        error = driver.load(load=json.loads(tokenizer.to_str()))
        answers = [{"error": error}] * len(texts) if error else driver.ask([{"text": t} for t in texts])
        for text, row in zip(texts, answers):
            want = [list(o) for o in tokenizer.encode(text).offsets]
            if row.get("offsets") != want:
                bad += 1
                print(f"  {pattern!a} on {text!a}: {row.get('offsets', row.get('error'))} expected {want}")
                break
    print(f"{done} patterns, {bad} differences")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
