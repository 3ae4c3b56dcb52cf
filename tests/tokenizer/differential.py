#!/usr/bin/env python3
"""Compares `truevec tokenize` with Hugging Face tokenizers: ids and offsets must be equal.

The path without offsets (tokenizer_driver) must give the same ids.

Usage: differential.py --truevec BINARY --driver BINARY [--strings N] [--seed S] [--every-code-point] [tokenizer.json ...]
The tokenizers are the files given and a set trained here (BPE, WordPiece, Unigram, WordLevel with many normalizers,
pre-tokenizers and post-processors). Needs the packages of tools/requirements-reference.txt. Exit 1 on a difference;
each is shrunk before it is printed.
"""
import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

BLOCKS = [(0x20, 0x7F)] * 12 + [(0xA0, 0x250)] * 3 + [(0x300, 0x370)] * 3 + [
    (0x370, 0x530), (0x590, 0x700), (0x900, 0xE80), (0x1100, 0x1200), (0x1E00, 0x2100), (0x2000, 0x2070),
    (0x3000, 0x3100), (0x4E00, 0x4F00), (0xAC00, 0xAD00), (0xFB00, 0xFFFE), (0x1F300, 0x1F700), (0x20000, 0x20100), (0, 0x20)]
LITERALS = ["[CLS]", "[SEP]", "<s>", "</s>", "<mask>", "<|endoftext|>", "[MASK]", "▁", "Ġ", "##", "\r\n", "\n\n", "   ",
            "'s", "'RE", "'ſ", "’s", "don't", "123456", "٣½Ⅷ", "https://a.b/c?d=e", "x" * 101, "e\u0301\u0302", "İ",
            "ΟΔΟΣ", "가각", "か\u3099", "ﾊﾟ", "👩‍👩‍👧", "🇫🇷", "\u00ad", "\u200b", "\ufeff", "\u3000", "a  b"]
CORPUS = ["The quick brown fox jumps over the lazy dog's back, doesn't it? 1234 times!",
          "Größe naïve façade 日本語 한국어 русский язык العربية हिन्दी", "def f(x):\n    return x**2  # code",
          "hello world hello there world wide web", "it's we're they'll I'm you've 2024-01-02 3.14"] * 4


def random_text(rng):
    out = []
    for _ in range(rng.choice([0, 1, 2, 3, 5, 8, 13, 30, 60])):
        if rng.random() < 0.15:
            out.append(rng.choice(LITERALS))
        elif rng.random() < 0.35:
            out.append(rng.choice(rng.choice(CORPUS).split()) + rng.choice(["", " ", "  "]))
        else:
            low, high = rng.choice(BLOCKS)
            out.append(chr(rng.randrange(low, high)))
    return "".join(out)


def trained(kind, normalizer, pre_tokenizer, post=None, **options):
    unk = options.pop("unk", "<unk>")
    byte_level = options.pop("byte_level", False)
    specials = ["<s>", "</s>", "<unk>", "<mask>"]
    if kind == "BPE":
        tokenizer = Tokenizer(models.BPE(unk_token=None if byte_level else unk, **options))
        trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=specials, show_progress=False,
                                      initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if byte_level else [])
    elif kind == "WordPiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token=unk, **options))
        trainer = trainers.WordPieceTrainer(vocab_size=400, special_tokens=specials, show_progress=False)
    elif kind == "WordLevel":
        tokenizer = Tokenizer(models.WordLevel(unk_token=unk))
        trainer = trainers.WordLevelTrainer(special_tokens=specials, show_progress=False)
    else:
        tokenizer = Tokenizer(models.Unigram())
        trainer = trainers.UnigramTrainer(vocab_size=300, special_tokens=specials, unk_token=unk, show_progress=False)
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.train_from_iterator(CORPUS, trainer)
    if post == "template":
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", pair="<s> $A </s> </s> $B:1 </s>:1", special_tokens=[("<s>", 0), ("</s>", 1)])
    elif post == "roberta":
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
    elif post == "bytelevel":
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    return tokenizer


def trained_set():
    n, p = normalizers, pre_tokenizers
    gpt4 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
            r"\s+(?!\S)|\s+")
    out = {
        "bert": trained("WordPiece", n.BertNormalizer(), p.BertPreTokenizer(), "template"),
        "bert-cased": trained("WordPiece", n.BertNormalizer(lowercase=False), p.BertPreTokenizer(), "template"),
        "gpt2": trained("BPE", None, p.ByteLevel(add_prefix_space=False), "bytelevel", byte_level=True),
        "roberta": trained("BPE", None, p.ByteLevel(add_prefix_space=True), "roberta", byte_level=True),
        "qwen": trained("BPE", n.NFC(), p.Sequence([p.Split(Regex(gpt4), "isolated"), p.ByteLevel(
            add_prefix_space=False, use_regex=False)]), byte_level=True),
        "llama": trained("BPE", n.Sequence([n.Prepend("▁"), n.Replace(" ", "▁")]), None, "template", fuse_unk=True),
        "gemma": trained("BPE", n.Replace(" ", "▁"), p.Split(" ", "merged_with_previous"), "template", fuse_unk=True),
        "xlm-r": trained("Unigram", n.NFKC(), p.Metaspace(), "template"),
        "t5": trained("Unigram", n.Sequence([n.Nmt(), n.NFKC()]), p.Sequence([p.WhitespaceSplit(), p.Metaspace()])),
        "first": trained("Unigram", n.Strip(), p.Metaspace(prepend_scheme="first"), "template"),
        "never": trained("BPE", n.Lowercase(), p.Metaspace(prepend_scheme="never", split=False), unk="<unk>"),
        "words": trained("WordLevel", n.Sequence([n.NFD(), n.StripAccents(), n.Lowercase()]), p.Whitespace()),
        "digits": trained("WordLevel", None, p.Sequence([p.Whitespace(), p.Digits(individual_digits=True)])),
        "digit-runs": trained("WordPiece", n.NFKD(), p.Sequence([p.WhitespaceSplit(), p.Digits()])),
        "punctuation": trained("WordPiece", None, p.Sequence([p.Punctuation("merged_with_next"), p.WhitespaceSplit()])),
        "delimiter": trained("WordLevel", None, p.CharDelimiterSplit("-")),
        "fixed": trained("WordPiece", None, p.FixedLength(4)),
        "no-unk": trained("BPE", None, p.WhitespaceSplit(), unk=None),
        "replace": trained("BPE", n.Replace(Regex(r"\s{2,}|[\n\r\t]"), " "), p.WhitespaceSplit()),
    }
    for behavior in ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"):
        out[f"split-{behavior}"] = trained("BPE", None, p.Split(Regex(r"\p{L}+|\d"), behavior, invert=behavior < "k"))
    flags = trained("BPE", None, p.ByteLevel(add_prefix_space=False), byte_level=True)
    flags.add_tokens([AddedToken("<l>", lstrip=True), AddedToken("<r>", rstrip=True),
                      AddedToken("word", single_word=True), AddedToken("wor", normalized=False)])
    out["flags"] = flags
    return out


def answers(command, texts):
    lines = "".join(json.dumps({"text": t}) + "\n" for t in texts)
    result = subprocess.run(command, input=lines.encode(), capture_output=True)
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    if len(rows) != len(texts):
        sys.exit(f"{command}: {len(rows)} answers for {len(texts)} texts: {result.stderr.decode()}")
    return rows


def ours(binaries, path, texts):
    """Ids, offsets, and the ids of the path without offsets."""
    detailed = answers([binaries[0], "tokenize", path, "--input", "-"], texts)
    plain = answers([binaries[1], path], texts)
    return [(r.get("ids", r.get("error")), [tuple(o) for o in r.get("offsets", [])], p.get("ids", p.get("error")))
            for r, p in zip(detailed, plain)]


def theirs(tokenizer, texts):
    return [(e.ids, e.offsets, e.ids) for e in tokenizer.encode_batch(texts)]


def shrink(binary, path, tokenizer, text, part):
    """Removes chunks while ids (part 0), offsets (1) or ids without offsets (2) still differ."""
    def differs(t):
        return ours(binary, path, [t])[0][part] != theirs(tokenizer, [t])[0][part]
    size = max(1, len(text) // 2)
    while size >= 1:
        at = 0
        while at < len(text):
            shorter = text[:at] + text[at + size:]
            if differs(shorter):
                text = shorter
            else:
                at += size
        size //= 2
    return text


def compare(binary, name, path, tokenizer, texts):
    counts = [0, 0, 0]
    for begin in range(0, len(texts), 50_000):
        chunk = texts[begin:begin + 50_000]
        for text, a, b in zip(chunk, ours(binary, path, chunk), theirs(tokenizer, chunk)):
            part = next((i for i in range(3) if a[i] != b[i]), None)
            if part is None:
                continue
            counts[part] += 1
            if sum(counts) <= 3:
                small = shrink(binary, path, tokenizer, text, part)
                print(f"  {['ids', 'offsets', 'ids without offsets'][part]} differ on {small!a}: {ours(binary, path, [small])[0]} expected "
                      f"{theirs(tokenizer, [small])[0]}")
    print(f"{name}: {len(texts)} strings, {counts[0]} id differences, {counts[1]} offset differences, "
          f"{counts[2]} id differences of the path without offsets", flush=True)
    return sum(counts)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--truevec", required=True)
    parser.add_argument("--driver", required=True)
    parser.add_argument("--strings", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every-code-point", action="store_true")
    parser.add_argument("files", nargs="*")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    texts = LITERALS + CORPUS[:5] + [random_text(rng) for _ in range(args.strings)]
    if args.every_code_point:
        texts += [f"a{chr(c)}b {chr(c)} {chr(c)}{chr(c)}" for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    total = bad = 0
    with tempfile.TemporaryDirectory() as scratch:
        tokenizers = trained_set()
        for name, tokenizer in tokenizers.items():
            path = Path(scratch) / f"{name}.json"
            tokenizer.save(str(path))
            bad += compare((args.truevec, args.driver), name, path, tokenizer, texts)
            total += len(texts)
        for path in args.files:
            bad += compare((args.truevec, args.driver), path, path, Tokenizer.from_file(path), texts)
            total += len(texts)
    print(f"{total} strings, {bad} differences")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
