#!/usr/bin/env python3
"""Compares truevec's tokenizer with Hugging Face tokenizers: ids, type ids, tokens, offsets, masks, overflow windows,
padding, decoded text, and the normalizer and pre-tokenizer alone. All must be equal.

Usage: differential.py --driver BINARY [--strings N] [--trees N] [--seconds S] [--seed S] [--every-code-point] [tokenizer.json ...]
Tokenizers: the files given; a set trained here (trained.py); and --trees random tokenizer.json files (generate.py).
Each gets --strings texts (random trees a twentieth of that), each by one of several settings: single or pair, with or
without special tokens, truncation by every strategy, side and stride, padding. Needs PyPI tokenizers
(tests/tokenizer/requirements.txt). Exit 1 on a difference; each is shrunk before it is printed.
"""
import argparse
import gzip
import json
import os
import random
import re
import sys
import time
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RUST_BACKTRACE"] = "0"
sys.path.insert(0, str(Path(__file__).parent))
import generate  # noqa: E402
import texts as texts_module  # noqa: E402
import trained  # noqa: E402
from driver import Driver  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

# What the reference itself cannot do: no text is compared where it panics.
PANIC = BaseException
FIELDS = ("ids", "type_ids", "tokens", "offsets", "special_tokens_mask", "attention_mask")


class Setting:
    """How a group of texts is encoded."""

    def __init__(self, rng, added, pairs):
        self.special = rng.random() < 0.8
        self.pair = pairs and rng.random() < 0.4
        self.truncation = self.padding = None
        if rng.random() < 0.5:
            limit = rng.choice([1, 2, 3, 5, 8, 20]) + (added(self.pair) if self.special else 0)
            stride = max(0, min(rng.choice([0, 0, 0, 1, 2]), limit - added(False) - 1))
            self.truncation = {"max_length": limit, "stride": stride, "direction": rng.choice(["left", "right"]),
                               "strategy": rng.choice(["longest_first", "longest_first", "only_first", "only_second"])}
        if rng.random() < 0.2:
            self.padding = {"direction": rng.choice(["left", "right"]), "pad_id": rng.randint(0, 5), "pad_type_id": rng.randint(0, 3),
                            "pad_token": "[PAD]", "length": rng.choice([None, 4, 12]), "pad_to_multiple_of": rng.choice([None, 8])}

    def as_json(self):
        """truncation and padding as tokenizer.json has them."""
        padding = self.padding and {**{k: v for k, v in self.padding.items() if k != "length"},
                                    "direction": self.padding["direction"].capitalize(),
                                    "strategy": {"Fixed": self.padding["length"]} if self.padding["length"] else "BatchLongest"}
        return {"padding": padding}

    def request(self, item, ids_only=False):
        request = {"text": item[0], "special": self.special, "truncation": self.truncation, "text_pair": item[1] if self.pair else None,
                   "ids_only": ids_only or None}
        return {k: v for k, v in request.items() if v is not None}


def theirs(tokenizer, setting, item):
    """The reference's encoding; None where it refuses, "panic" where it panics."""
    try:
        encoding = tokenizer.encode(item[0], item[1] if setting.pair else None, add_special_tokens=setting.special)
    except PANIC as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return None if isinstance(error, Exception) else "panic"
    return as_dict(encoding)


def comparable(root):
    """Without added tokens for which the reference has no one answer: two of a normalized form, or an empty one."""
    try:
        normalizer = Tokenizer.from_str(generate.dump({**root, "added_tokens": [], "post_processor": None})).normalizer
    except PANIC:
        return root
    seen, kept = set(), []
    for token in root["added_tokens"]:
        form = normalizer.normalize_str(token["content"]) if token["normalized"] and normalizer else token["content"]
        key = (token["normalized"], form)
        if form and key not in seen:
            kept.append(token)
        seen.add(key)
    return {**root, "added_tokens": kept}


def as_dict(encoding):
    out = {field: list(getattr(encoding, field)) for field in FIELDS}
    out["offsets"] = [list(o) for o in out["offsets"]]
    out["overflowing"] = [as_dict(window) for window in encoding.overflowing]
    for window in out["overflowing"]:
        window["overflowing"] = []
    return out


def first_difference(ours, reference):
    for field in (*FIELDS, "overflowing"):
        if field == "overflowing":
            if len(ours[field]) != len(reference[field]):
                return f"overflowing: {len(ours[field])} windows, expected {len(reference[field])}"
            for i, (a, b) in enumerate(zip(ours[field], reference[field])):
                found = first_difference(a, b)
                if found:
                    return f"overflowing[{i}].{found}"
        elif ours[field] != reference[field]:
            return f"{field}: {str(ours[field])[:300]} expected {str(reference[field])[:300]}"
    return None


class Comparison:
    def __init__(self, binary, quiet):
        self.driver = Driver(binary)
        self.quiet = quiet
        self.strings = self.tokenizers = self.refused = self.skipped = 0
        self.differences = {"load": 0, "ids": 0, "offsets": 0, "other": 0, "stages": 0, "decode": 0}

    def added(self, tokenizer):
        return lambda pair: tokenizer.num_special_tokens_to_add(pair)

    def set(self, tokenizer, setting):
        tokenizer.no_truncation()
        tokenizer.no_padding()
        if setting.truncation:
            tokenizer.enable_truncation(**setting.truncation)
        if setting.padding:
            tokenizer.enable_padding(**setting.padding)

    def load(self, root, setting):
        return self.driver.load(load={**root, "truncation": None, **setting.as_json()})

    def compare(self, name, root, rng, texts, pairs=True, groups=8):
        """All texts of one tokenizer, in groups of a setting each."""
        try:
            tokenizer = Tokenizer.from_str(generate.dump(root))
        except PANIC as error:
            tokenizer, refusal = None, str(error)
        error = self.driver.load(load=root)
        self.tokenizers += 1
        if tokenizer is None or error:
            self.refused += 1
            if (tokenizer is None) != (error is not None):
                self.differences["load"] += 1
                print(f"{name}: ours {error or 'loads'}; the reference {refusal if tokenizer is None else 'loads'}")
            return
        before = dict(self.differences)
        start = time.time()
        group = max(1, (len(texts) + groups - 1) // groups)
        for begin in range(0, len(texts), group):
            chunk = texts[begin:begin + group]
            setting = Setting(rng, self.added(tokenizer), pairs)
            if begin == 0:
                setting = Setting(rng, self.added(tokenizer), False)
                setting.truncation = setting.padding = None
            self.compare_group(name, root, tokenizer, setting, [(t, rng.choice(texts)) for t in chunk])
        self.compare_stages(name, root, tokenizer, texts[:max(20, len(texts) // 10)])
        self.compare_decode(name, root, tokenizer, rng, min(50, len(texts)))
        self.strings += len(texts)
        changed = {k: v - before[k] for k, v in self.differences.items() if v > before[k]}
        if changed or not self.quiet:
            print(f"{name}: {len(texts)} strings, {changed or 'no differences'} ({time.time() - start:.1f} s)", flush=True)

    def compare_group(self, name, root, tokenizer, setting, items):
        self.set(tokenizer, setting)
        error = self.load(root, setting)
        if error:
            sys.exit(f"{name}: {error}")
        answers = self.driver.ask([setting.request(i) for i in items] + [setting.request(i, True) for i in items])
        shown = 0
        for item, ours, plain in zip(items, answers, answers[len(items):]):
            reference = theirs(tokenizer, setting, item)
            found = self.judge(ours, plain, reference)
            if found is None:
                continue
            kind = "offsets" if found.startswith("offsets") else "ids" if found.startswith(("ids", "ours", "the reference")) else "other"
            self.differences[kind] += 1
            shown += 1
            if shown == 1:
                self.report(name, root, setting, item)

    def judge(self, ours, plain, reference):
        if reference is None or reference == "panic":
            if "error" in ours or reference == "panic":
                self.skipped += 1
                return None
            return "the reference refuses, ours gives " + str(ours["ids"])[:100]
        if "error" in ours:
            return "ours refuses: " + ours["error"]
        if plain.get("ids") != ours["ids"] or plain.get("type_ids") != ours["type_ids"]:
            return f"ids: without details {plain} with details {ours['ids']}"
        return first_difference(ours, reference)

    def differs(self, root, setting, item):
        try:
            tokenizer = Tokenizer.from_str(generate.dump(root))
            self.set(tokenizer, setting)
        except PANIC:
            return None
        if self.load(root, setting):
            return None
        ours, plain = self.driver.ask([setting.request(item), setting.request(item, True)])
        return self.judge(ours, plain, theirs(tokenizer, setting, item))

    def report(self, name, root, setting, item):
        """Shrinks settings, texts and tree while something differs, then prints."""
        original = self.differs(root, setting, item)
        for key in ("padding", "truncation"):
            saved = getattr(setting, key)
            setattr(setting, key, None)
            if saved is None or self.differs(root, setting, item) is None:
                setattr(setting, key, saved)
        if len(root["model"]["vocab"]) < 1000:
            progress = True
            while progress:
                progress = False
                for tree in generate.smaller(root):
                    if self.differs(tree, setting, item):
                        root, progress = tree, True
                        break
        item = list(item)
        for part in (0, 1):
            size = max(1, len(item[part]) // 2)
            while size >= 1:
                at = 0
                while at < len(item[part]):
                    shorter = list(item)
                    shorter[part] = item[part][:at] + item[part][at + size:]
                    if self.differs(root, setting, shorter):
                        item = shorter
                    else:
                        at += size
                size //= 2
        small = {k: root[k] for k in ("added_tokens", "normalizer", "pre_tokenizer", "post_processor") if root[k]}
        text = re.sub(r'("precompiled_charsmap": ").*?"', r'\1..."', json.dumps(small))
        print(f"  {name}: {self.differs(root, setting, item) or original}\n    {item!a} {vars(setting)}\n"
              f"    {text[:1500]} {json.dumps({k: v for k, v in root['model'].items() if k not in ('vocab', 'merges')})}")

    def compare_stages(self, name, root, tokenizer, texts):
        self.driver.load(load=root)
        for kind in ("normalize", "pre_tokenize"):
            stage = tokenizer.normalizer if kind == "normalize" else tokenizer.pre_tokenizer
            if stage is None:
                continue
            for text, ours in zip(texts, self.driver.ask([{kind: t} for t in texts])):
                try:
                    want = stage.normalize_str(text) if kind == "normalize" else [[p, *o] for p, o in stage.pre_tokenize_str(text) if p]
                except PANIC:
                    continue
                got = ours.get("text") if kind == "normalize" else ours.get("pieces")
                if got != want:
                    self.differences["stages"] += 1
                    if self.differences["stages"] <= 5:
                        print(f"  {name}: {kind} {text!a}: {str(got or ours)[:200]!a} expected {str(want)[:200]!a}")

    def compare_decode(self, name, root, tokenizer, rng, count):
        ids = sorted(tokenizer.get_vocab(True).values())
        requests = [{"decode": rng.choices(ids, k=rng.randint(0, 12)), "skip": rng.random() < 0.5} for _ in range(count)]
        for request, ours in zip(requests, self.driver.ask(requests)):
            try:
                want = tokenizer.decode(request["decode"], skip_special_tokens=request["skip"])
            except PANIC:
                continue
            if ours.get("text") != want:
                self.differences["decode"] += 1
                if self.differences["decode"] <= 5:
                    print(f"  {name}: {request} {ours} expected {want!a}; decoder {root['decoder']} tokens "
                          f"{[tokenizer.id_to_token(i) for i in request['decode']]!a}")


def charsmaps():
    folder = Path(__file__).parent / "charsmaps"
    return [gzip.decompress(path.read_bytes()).decode() for path in sorted(folder.glob("*.gz"))]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--driver", required=True)
    parser.add_argument("--strings", type=int, default=500)
    parser.add_argument("--trees", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no new tree after this time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quiet", action="store_true", help="a line only for tokenizers that differ")
    parser.add_argument("--every-code-point", action="store_true")
    parser.add_argument("files", nargs="*")
    args = parser.parse_args()
    start = time.time()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the reference's panics
    sys.stderr = sys.stdout
    rng = random.Random(args.seed)
    maps = charsmaps()
    comparison = Comparison(args.driver, args.quiet)

    def texts(root, count):
        vocab = root["model"]["vocab"]
        pieces = [t["content"] for t in root["added_tokens"]] * 3 + rng.sample(list(vocab) if isinstance(vocab, dict) else [p for p, _ in vocab], 5)
        return [texts_module.random_text(rng, pieces) for _ in range(count)]

    named = [(n, json.loads(t.to_str())) for n, t in trained.trained_set(maps).items()]
    named += [(Path(p).parent.name + "/" + Path(p).name, json.loads(Path(p).read_text(encoding="utf-8"))) for p in args.files]
    for name, root in named:
        root = {**root, "truncation": None, "padding": None}
        given = texts_module.LITERALS + texts_module.CORPUS[:5] + texts(root, args.strings)
        if args.every_code_point:
            given += [f"a{chr(c)}b {chr(c)} {chr(c)}{chr(c)}" for c in range(0x110000) if not 0xD800 <= c < 0xE000]
        comparison.compare(name, root, rng, given, groups=40 if args.strings > 2000 else 8)
    fixed = comparison.tokenizers
    for tree in range(args.trees):
        if time.time() - start > args.seconds:
            break
        seed = rng.randrange(1 << 40)
        root = comparable(generate.tokenizer(random.Random(seed), maps))
        comparison.compare(f"tree {tree} (seed {seed})", root, rng, texts(root, max(8, args.strings // 20)))
    total = sum(comparison.differences.values())
    print(f"{comparison.strings} strings over {fixed} named tokenizers and {comparison.tokenizers - fixed} random ones "
          f"({comparison.refused} refused by both or one, {comparison.skipped} texts refused by both): "
          f"{', '.join(f'{v} {k} differences' for k, v in comparison.differences.items())}")
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
