#!/usr/bin/env python3
"""Compares the ids of tokenizer directories with transformers' AutoTokenizer: one directory per class and setting.

Usage: directories.py --driver BINARY [--strings N] [--seed S]
Each row of CASES is a class of transformers, a vocabulary trained by differential.py, the model_type of config.json, and
edits of tokenizer_config.json; each is tried as saved, and in the old layout (special_tokens_map.json, no
added_tokens_decoder). Needs the packages of tools/requirements-reference.txt. Exit 1 on a difference.
"""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).parent))
import differential  # noqa: E402
import transformers  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402

S = dict(unk_token="<unk>", cls_token="<s>", sep_token="</s>", pad_token="<unk>", mask_token="<mask>")
B = dict(bos_token="<s>", eos_token="</s>", unk_token="<unk>")
CASES = [
    ("BertTokenizer", "bert", "bert", {}, S),
    ("BertTokenizer", "bert", "bert", {"do_lower_case": False}, S),
    ("BertTokenizer", "bert", "bert", {"strip_accents": False, "tokenize_chinese_chars": False}, S),
    ("BertTokenizer", "bert", "bert", {"additional_special_tokens": ["wor", "<new>"]}, S),
    ("BertTokenizer", "bert", "bert", {"extra_special_tokens": {"image_token": "<img>"}}, S),
    ("BertTokenizer", "bert", "bert", {"image_token": "quick"}, S),
    ("BertTokenizer", "bert", "bert", {"mask_token": "[MASK]", "pad_token": "[PAD]"}, S),
    ("BertTokenizer", "bert", "bert", {"split_special_tokens": True}, S),
    ("BertTokenizer", "bert", "bert", {"tokenizer_class": "NoSuchTokenizer"}, S),
    ("BertTokenizer", "bert-cased", "bert", {"tokenizer_class": "PreTrainedTokenizerFast"}, S),
    ("BertTokenizer", "bert", "mobilebert", {}, S),
    ("BertTokenizer", "bert", "nomic_bert", {}, S),
    ("BertTokenizer", "bert", "modernbert", {}, S),
    ("BertTokenizer", "bert", "unknown_type", {}, S),
    ("FunnelTokenizer", "bert", "funnel", {}, S),
    ("MPNetTokenizer", "bert", "mpnet", {}, dict(unk_token="<unk>")),
    ("RobertaTokenizer", "roberta", "roberta", {}, dict(pad_token="<unk>")),
    ("RobertaTokenizer", "roberta", "roberta", {"add_prefix_space": True}, {}),
    ("BartTokenizer", "roberta", "bart", {}, {}),
    ("GPT2Tokenizer", "gpt2", "gpt2", {}, B),
    ("GPT2Tokenizer", "gpt2", "gpt2", {"add_bos_token": True, "add_prefix_space": True}, B),
    ("GPTNeoXTokenizer", "gpt2", "gpt_neox", {}, B),
    ("DebertaTokenizer", "gpt2", "deberta", {}, dict(cls_token="<s>", sep_token="</s>")),
    ("Qwen2Tokenizer", "qwen", "qwen2", {}, {}),
    ("Qwen2Tokenizer", "qwen", "qwen3", {}, {}),
    ("Qwen3_5Tokenizer", "qwen", "qwen3_5", {}, {}),
    ("LlamaTokenizer", "llama", "llama", {}, {}),
    ("LlamaTokenizer", "llama", "mistral", {}, {}),
    ("LlamaTokenizer", "llama", "llama", {"legacy": True}, {}),
    ("GemmaTokenizer", "gemma", "gemma3_text", {}, B),
    ("XLMRobertaTokenizer", "xlm-r", "xlm-roberta", {}, {}),
    ("XLMRobertaTokenizer", "xlm-r", "xlm-roberta", {"mask_token": {"__type": "AddedToken", "content": "<mask>",
                                                                   "lstrip": True, "rstrip": False, "single_word": False,
                                                                   "normalized": True}}, {}),
    ("XLMRobertaTokenizer", "xlm-r", "bert", {}, {}),
    ("CamembertTokenizer", "xlm-r", "camembert", {}, {}),
    ("T5Tokenizer", "t5", "t5", {}, {}),
    ("T5Tokenizer", "t5", "mt5", {"extra_ids": 5}, {}),
    ("DebertaV2Tokenizer", "xlm-r", "deberta-v2", {}, dict(unk_token="<unk>", cls_token="<s>", sep_token="</s>")),
    ("DebertaV2Tokenizer", "xlm-r", "deberta-v2", {"do_lower_case": True, "split_by_punct": True}, {}),
    ("AlbertTokenizer", "xlm-r", "albert", {}, dict(cls_token="<s>", sep_token="</s>")),
    ("AlbertTokenizer", "xlm-r", "albert", {"do_lower_case": False, "keep_accents": True},
     dict(cls_token="<s>", sep_token="</s>")),
]


def make(directory, name, vocabulary, model_type, edits, options):
    model = json.loads(vocabulary.to_str())["model"]
    vocab = model["vocab"]
    arguments = {"vocab": [tuple(x) for x in vocab] if isinstance(vocab, list) else vocab, **options}
    if "merges" in model:
        arguments["merges"] = [tuple(m) for m in model["merges"]]
    getattr(transformers, name)(**arguments).save_pretrained(directory)
    (directory / "config.json").write_text(json.dumps({"model_type": model_type}))
    path = directory / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **edits}))


def to_old_layout(directory):
    path = directory / "tokenizer_config.json"
    config = json.loads(path.read_text())
    config.pop("added_tokens_decoder", None)
    specials = {k: config.pop(k) for k in list(config) if k.endswith("_token") and isinstance(config[k], (str, dict))}
    path.write_text(json.dumps(config))
    (directory / "special_tokens_map.json").write_text(json.dumps(specials))


def check(binary, directory, model_type, label, texts):
    try:
        expected = AutoTokenizer.from_pretrained(directory)(texts)["input_ids"]
    except Exception as error:  # noqa: BLE001: whatever the reference cannot load is not compared
        print(f"{label}: the reference refuses it: {str(error)[:100]}")
        return 0
    lines = "".join(json.dumps({"text": t}) + "\n" for t in texts).encode()
    result = subprocess.run([binary, directory, model_type], input=lines, capture_output=True)
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    if len(rows) != len(texts):
        print(f"{label}: {result.stderr.decode().strip()[:200]}")
        return 1
    bad = [(t, r.get("ids"), e) for t, r, e in zip(texts, rows, expected) if r.get("ids") != e]
    for text, got, want in bad[:2]:
        print(f"  {text[:60]!a}: {str(got)[:120]} expected {str(want)[:120]}")
    print(f"{label}: {len(texts)} strings, {len(bad)} id differences", flush=True)
    return len(bad)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--driver", required=True)
    parser.add_argument("--strings", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    texts = [t for t in differential.LITERALS + ["<extra_id_3> a<extra_id_99>", "a <new> <img>quick"] +
             [differential.random_text(rng) for _ in range(args.strings)]]
    vocabularies = differential.trained_set()
    bad = total = 0
    for name, base, model_type, edits, options in CASES:
        with tempfile.TemporaryDirectory() as scratch:
            directory = Path(scratch)
            make(directory, name, vocabularies[base], model_type, edits, options)
            for layout in ("", " (old layout)"):
                if layout:
                    to_old_layout(directory)
                bad += check(args.driver, directory, model_type, f"{name}/{model_type} {json.dumps(edits)[:60]}{layout}", texts)
                total += len(texts)
    print(f"{total} strings, {bad} differences")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
