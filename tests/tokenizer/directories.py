#!/usr/bin/env python3
"""Compares tokenizer directories with transformers' AutoTokenizer: ids, type ids and offsets, of single texts and pairs.

Usage: directories.py --driver BINARY [--strings N] [--random N] [--seed S]
Each row of CASES is a class of transformers, a vocabulary of trained.py, the model_type of config.json, and edits of
tokenizer_config.json; each is tried as saved, and in the old layout (special_tokens_map.json, no added_tokens_decoder).
--random directories take a row and change keys, special tokens, added tokens, files and tokenizer.json at random.
Needs the packages of tools/requirements-reference.txt. Exit 1 on a difference; a directory that only one side loads is
printed, and is a difference when it is the reference that loads it and our message does not say "not supported".
"""
import argparse
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RUST_BACKTRACE"] = "0"
sys.path.insert(0, str(Path(__file__).parent))
import texts as texts_module  # noqa: E402
import trained  # noqa: E402
import transformers  # noqa: E402
from driver import Driver  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402

S = dict(unk_token="<unk>", cls_token="<s>", sep_token="</s>", pad_token="<unk>", mask_token="<mask>")
B = dict(bos_token="<s>", eos_token="</s>", unk_token="<unk>")
MASK = {"__type": "AddedToken", "content": "<mask>", "lstrip": True, "rstrip": False, "single_word": False, "normalized": True}
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
    ("XLMRobertaTokenizer", "xlm-r", "xlm-roberta", {"mask_token": MASK}, {}),
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
EXTRA = ["<extra_id_3>", "<extra_id_99>", "<new>", "<img>", "quick", "wor", "<mask>", "[MASK]", "[PAD]", "zz", "The", " fox", "É", "<s>NOTUSED"]


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def write(path, value):
    path.write_text(json.dumps(value), encoding="utf-8")


def make(directory, name, vocabulary, model_type, edits, options):
    model = json.loads(vocabulary.to_str())["model"]
    vocab = model["vocab"]
    arguments = {"vocab": [tuple(x) for x in vocab] if isinstance(vocab, list) else vocab, **options}
    if "merges" in model:
        arguments["merges"] = [tuple(m) for m in model["merges"]]
    getattr(transformers, name)(**arguments).save_pretrained(directory)
    write(directory / "config.json", {"model_type": model_type})
    path = directory / "tokenizer_config.json"
    write(path, {**read(path), **edits})


def to_old_layout(directory):
    path = directory / "tokenizer_config.json"
    config = read(path)
    config.pop("added_tokens_decoder", None)
    specials = {k: config.pop(k) for k in list(config) if k.endswith("_token") and isinstance(config[k], (str, dict))}
    write(path, config)
    write(directory / "special_tokens_map.json", specials)


def random_token(rng, wrapped=True):
    content = rng.choice(EXTRA + ["<s>", "</s>", "<unk>", "<cls>", "new thing"])
    if rng.random() < 0.5:
        return content
    token = {"content": content}
    for flag in ("lstrip", "rstrip", "single_word", "normalized", "special"):
        if rng.random() < 0.6:
            token[flag] = rng.random() < 0.4
    return {"__type": "AddedToken", **token} if wrapped and rng.random() < 0.8 else token


def as_dict(token):
    token = dict(token) if isinstance(token, dict) else {"content": token}
    token.pop("__type", None)
    return token


def mutate_config(rng, config):
    """One random change of tokenizer_config.json; its description."""
    kind = rng.choice(["flag", "flag", "special", "special", "extra", "named", "class", "decoder", "decoder", "drop"])
    if kind == "flag":
        key = rng.choice(["do_lower_case", "strip_accents", "tokenize_chinese_chars", "add_prefix_space", "legacy", "split_special_tokens",
                          "add_bos_token", "add_eos_token", "keep_accents", "split_by_punct", "clean_up_tokenization_spaces", "use_fast",
                          "never_split", "do_basic_tokenize", "trim_offsets", "errors", "unk_id", "remove_space", "use_default_system_prompt"])
        config[key] = {"never_split": ["quick"], "errors": "replace", "unk_id": 0}.get(key, rng.choice([True, False, None]))
        return f"{key}={config[key]}"
    if kind == "special":
        key = rng.choice(["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"])
        config[key] = random_token(rng) if rng.random() < 0.9 else None
        return f"{key}={config[key]}"
    if kind == "extra":
        key = rng.choice(["additional_special_tokens", "extra_special_tokens"])
        tokens = [random_token(rng) for _ in range(rng.randint(0, 3))]
        if key == "extra_special_tokens" and rng.random() < 0.4:
            config[key] = {f"x{i}_token": t for i, t in enumerate(tokens)}
        else:
            config[key] = tokens
        return f"{key}={config[key]}"
    if kind == "named":
        key = rng.choice(["image_token", "boi_token", "audio_token"])
        config[key] = random_token(rng)
        return f"{key}={config[key]}"
    if kind == "class":
        current = config.get("tokenizer_class", "")
        config["tokenizer_class"] = rng.choice([current + "Fast", "PreTrainedTokenizerFast", "TokenizersBackend", "PreTrainedTokenizer", None,
                                                "BertTokenizer", "RobertaTokenizerFast", "GPT2Tokenizer", "LlamaTokenizer", "T5TokenizerFast",
                                                "XLMRobertaTokenizer", "Qwen2TokenizerFast", "DistilBertTokenizerFast", "ElectraTokenizer",
                                                "MPNetTokenizerFast", "DebertaV2TokenizerFast", "GemmaTokenizerFast", "CustomTokenizer"])
        return f"tokenizer_class={config['tokenizer_class']}"
    if kind == "decoder":
        decoder = dict(config.get("added_tokens_decoder") or {})
        if decoder and rng.random() < 0.5:
            key = rng.choice(list(decoder))
            decoder[key] = {**decoder[key], rng.choice(["lstrip", "rstrip", "single_word", "normalized", "special"]): rng.random() < 0.5}
            note = f"added_tokens_decoder[{key}]={decoder[key]}"
        else:
            key = str(rng.choice([0, 5, 100, 499, 500, 501, 900]))
            decoder[key] = as_dict(random_token(rng))
            note = f"added_tokens_decoder[{key}]={decoder[key]}"
        config["added_tokens_decoder"] = decoder
        return note
    key = rng.choice([k for k in config] or ["none"])
    config.pop(key, None)
    return f"without {key}"


def mutate_files(rng, directory):
    """One random change of the other files; its description, or None where it does not apply."""
    path = directory / "tokenizer.json"
    root = read(path) if path.exists() else None
    kind = rng.choice(["post", "normalizer", "pre", "truncation", "added", "flags", "vocab_only", "map", "added_json", "model_type", "old",
                       "config_class", "untyped", "legacy_merges"])
    if kind == "old":
        to_old_layout(directory)
        return "old layout"
    if kind == "map":
        keys = rng.sample(["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
                           "additional_special_tokens", "image_token"], 3)
        values = {k: [random_token(rng, False)] if k.startswith("add") else random_token(rng, False) for k in keys}
        write(directory / "special_tokens_map.json", values)
        return f"special_tokens_map={values}"
    if kind == "added_json":
        values = {rng.choice(EXTRA): rng.choice([3, 500, 501, 700]) for _ in range(rng.randint(1, 3))}
        write(directory / "added_tokens.json", values)
        return f"added_tokens.json={values}"
    if kind == "config_class":
        config = read(directory / "config.json")
        config["tokenizer_class"] = rng.choice(["BertTokenizer", "RobertaTokenizer", "XLMRobertaTokenizerFast", "NoSuchTokenizer", "GPT2Tokenizer"])
        write(directory / "config.json", config)
        return f"config.json tokenizer_class={config['tokenizer_class']}"
    if kind == "model_type":
        config = read(directory / "config.json")
        config["model_type"] = rng.choice(["bert", "roberta", "qwen3", "modernbert", "xlm-roberta", "llama", "gemma3_text", "t5", "nomic_bert",
                                           "mistral", "distilbert", "electra", "deberta-v2", "new", "gpt2", "mpnet", "camembert"])
        write(directory / "config.json", config)
        return f"model_type={config['model_type']}"
    if root is None:
        return None
    if kind == "vocab_only":
        vocab = root["model"]["vocab"]
        if isinstance(vocab, list):
            return None
        if "merges" in root["model"]:
            write(directory / "vocab.json", vocab)
            (directory / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(m) for m in root["model"]["merges"]) + "\n", encoding="utf-8")
        else:
            (directory / "vocab.txt").write_text("\n".join(sorted(vocab, key=vocab.get)) + "\n", encoding="utf-8")
        path.unlink()
        return "only vocabulary files"
    if kind == "post":
        template = {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
                    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "</s>", "type_id": 1}}],
                    "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}}
        root["post_processor"] = rng.choice([None, template, {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}])
    elif kind == "normalizer":
        root["normalizer"] = rng.choice([None, {"type": "NFKC"}, {"type": "Lowercase"}, {"type": "Sequence", "normalizers": [{"type": "NFD"}]},
                                         {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
                                          "lowercase": rng.random() < 0.5}])
    elif kind == "pre":
        root["pre_tokenizer"] = rng.choice([None, {"type": "Whitespace"}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
                                            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}])
    elif kind == "truncation":
        root["truncation"] = {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0}
        root["padding"] = {"strategy": {"Fixed": 12}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "<unk>"}
    elif kind == "added":
        token = as_dict(random_token(rng))
        full = {"id": 600, "single_word": False, "lstrip": False, "rstrip": False, "normalized": True, "special": False, **token}
        root["added_tokens"] = [t for t in root["added_tokens"] if t["content"] != full["content"]] + [full]
    elif kind == "flags" and root["added_tokens"]:
        token = rng.choice(root["added_tokens"])
        token[rng.choice(["lstrip", "rstrip", "single_word", "normalized", "special"])] ^= True
    elif kind == "untyped":
        root["model"].pop("type")
    elif kind == "legacy_merges" and "merges" in root["model"]:
        root["model"]["merges"] = [" ".join(m) for m in root["model"]["merges"]]
    else:
        return None
    write(path, root)
    return f"tokenizer.json {kind}: {json.dumps(root.get({'post': 'post_processor', 'pre': 'pre_tokenizer'}.get(kind, kind)))[:150]}"


class Check:
    def __init__(self, binary):
        self.driver = Driver(binary)
        self.strings = self.directories = self.different = self.ours_refuses = self.theirs_refuses = 0

    def one(self, directory, label, texts, pairs=(), quiet=False):
        """True when everything is equal."""
        self.directories += 1
        model_type = read(directory / "config.json")["model_type"]
        error = self.driver.load(directory=str(directory), model_type=model_type)
        try:
            tokenizer = AutoTokenizer.from_pretrained(directory)
            singles = tokenizer(texts).encodings
            doubles = tokenizer([p[0] for p in pairs], [p[1] for p in pairs]).encodings if pairs else []
            if singles is None:
                raise TypeError("not a tokenizers backend")
        except BaseException as refusal:  # noqa: BLE001: whatever the reference cannot load is not compared
            if isinstance(refusal, KeyboardInterrupt):
                raise
            self.theirs_refuses += 1
            if not error and not quiet:
                print(f"{label}: the reference refuses it: {str(refusal)[:150]}")
            return True
        if error:
            self.ours_refuses += 1
            unsupported = "not supported" in error
            self.different += not unsupported
            print(f"{label}: ours refuses: {error[:200]}")
            return unsupported
        requests = [{"text": t} for t in texts] + [{"text": a, "text_pair": b} for a, b in pairs]
        wrong = []
        for request, ours, want in zip(requests, self.driver.ask(requests), [*singles, *doubles]):
            for field in ("ids", "type_ids", "offsets"):
                expected = [list(o) for o in want.offsets] if field == "offsets" else getattr(want, field)
                if ours.get(field) != expected:
                    wrong.append((field, request, ours.get(field, ours.get("error")), expected))
                    break
        self.strings += len(requests)
        self.different += len(wrong)
        if wrong:
            field, request, got, expected = min(wrong, key=lambda w: len(w[1]["text"]))
            print(f"{label}: {len(wrong)} of {len(requests)} differ; {field} of {str(list(request.values()))[:100]!a}:\n"
                  f"    {str(got)[:200]} expected\n    {str(expected)[:200]}", flush=True)
        elif not quiet:
            print(f"{label}: {len(requests)} strings, no differences", flush=True)
        return not wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--driver", required=True)
    parser.add_argument("--strings", type=int, default=300)
    parser.add_argument("--random", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the reference's panics and warnings
    start = time.time()
    rng = random.Random(args.seed)
    texts = texts_module.LITERALS + ["<extra_id_3> a<extra_id_99>", "a <new> <img>quick"]
    texts += [texts_module.random_text(rng, EXTRA) for _ in range(args.strings)]
    pairs = [(rng.choice(texts), rng.choice(texts)) for _ in range(20)]
    vocabularies = trained.trained_set()
    check = Check(args.driver)
    for name, base, model_type, edits, options in CASES if args.strings else []:
        with tempfile.TemporaryDirectory() as scratch:
            directory = Path(scratch)
            make(directory, name, vocabularies[base], model_type, edits, options)
            for layout in ("", " (old layout)"):
                if layout:
                    to_old_layout(directory)
                check.one(directory, f"{name}/{model_type} {json.dumps(edits)[:60]}{layout}", texts, pairs)
    few = ["", "a", "The quick <s> fox </s><mask>  [MASK] jumps", "Größe É É 日本 ΟΔΟΣ", "a <new> <img>quick zz", " new thing<unk>  fox The"]
    for _ in range(args.random):
        if time.time() - start > args.seconds:
            break
        seed = rng.randrange(1 << 40)
        own = random.Random(seed)
        name, base, model_type, edits, options = own.choice(CASES)
        with tempfile.TemporaryDirectory() as scratch:
            directory = Path(scratch)
            make(directory, name, vocabularies[base], model_type, edits, options)
            notes = [f"{name}/{model_type} {json.dumps(edits)[:60]}"]
            config = read(directory / "tokenizer_config.json")
            notes += [mutate_config(own, config) for _ in range(own.randint(0, 3))]
            write(directory / "tokenizer_config.json", config)
            notes += [note for note in (mutate_files(own, directory) for _ in range(own.randint(0, 2))) if note]
            sample = few + [texts_module.random_text(own, EXTRA) for _ in range(6)]
            check.one(directory, f"seed {seed}: " + "; ".join(notes), sample, [(own.choice(sample), own.choice(sample)) for _ in range(3)], quiet=True)
    print(f"{check.strings} strings of {check.directories} directories ({check.theirs_refuses} refused by the reference, "
          f"{check.ours_refuses} refused by ours alone): {check.different} differences")
    return 1 if check.different else 0


if __name__ == "__main__":
    sys.exit(main())
