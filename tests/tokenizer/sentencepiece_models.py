#!/usr/bin/env python3
"""Compares directories that have only a SentencePiece .model with transformers' AutoTokenizer: ids must be equal.

Usage: sentencepiece_models.py --driver BINARY [--strings N] [--seed S]
Each class of CASES gets a model trained here, with and without add_bos_token and add_eos_token. Needs the packages of
tools/requirements-reference.txt. Exit 1 on a difference.
"""
import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import directories  # noqa: E402
import sentencepiece  # noqa: E402
import texts as texts_module  # noqa: E402

BRACKETS = dict(pad_id=0, unk_id=1, bos_id=2, eos_id=3, control_symbols=["[CLS]", "[SEP]", "[MASK]"])
CASES = [
    ("XLMRobertaTokenizer", "xlm-roberta", "sentencepiece.bpe.model", dict(model_type="unigram")),
    ("CamembertTokenizer", "camembert", "sentencepiece.bpe.model", dict(model_type="unigram")),
    ("T5Tokenizer", "t5", "spiece.model", dict(model_type="unigram", pad_id=0, eos_id=1, unk_id=2, bos_id=-1)),
    ("AlbertTokenizer", "albert", "spiece.model", dict(model_type="unigram", **BRACKETS)),
    ("DebertaV2Tokenizer", "deberta-v2", "spm.model", dict(model_type="unigram", **BRACKETS)),
    ("LlamaTokenizer", "llama", "tokenizer.model", dict(model_type="bpe", byte_fallback=True)),
    ("GemmaTokenizer", "gemma", "tokenizer.model", dict(model_type="bpe", byte_fallback=True)),
    ("TokenizersBackend", "nobody", "tokenizer.model", dict(model_type="bpe", byte_fallback=True)),
    ("TokenizersBackend", "nobody", "tokenizer.model", dict(model_type="unigram")),
]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--driver", required=True)
    parser.add_argument("--strings", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    corpus = texts_module.CORPUS + [texts_module.random_text(rng).replace("\n", " ") for _ in range(400)]
    texts = texts_module.LITERALS + ["<extra_id_3> a<extra_id_99>", "<user> a", "<s>NOTUSED b"]
    texts += [texts_module.random_text(rng) for _ in range(args.strings)]
    check = directories.Check(args.driver)
    for name, model_type, file, options in CASES:
        for extra in ({}, {"add_bos_token": True, "add_eos_token": True}):
            with tempfile.TemporaryDirectory() as scratch:
                directory = Path(scratch)
                with open(directory / file, "wb") as model:
                    sentencepiece.SentencePieceTrainer.train(
                        sentence_iterator=iter(corpus), model_writer=model, vocab_size=2500, hard_vocab_limit=False,
                        user_defined_symbols=["<user>"], character_coverage=0.98, minloglevel=2, **options)
                (directory / "config.json").write_text(json.dumps({"model_type": model_type}))
                (directory / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": name, **extra}))
                check.one(directory, f"{file} {name} {json.dumps(extra)}", texts, [(texts[3], texts[5]), (texts[-1], texts[0])])
    print(f"{check.strings} strings, {check.different} differences")
    return 1 if check.different else 0


if __name__ == "__main__":
    sys.exit(main())
