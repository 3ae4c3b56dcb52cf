#!/usr/bin/env python3
"""Writes a model directory of full published shape with random weights (float32 for encoders, bfloat16 for decoders), to
measure memory and speed without the weights themselves: make_large_model.py SHAPE FOLDER [--tokenizer-from DIRECTORY].
Needs only numpy and the files of a tiny golden; encoders take the WordPiece vocabulary of DIRECTORY, XLM-R as the first
pieces of 250,002.

Weights are normal with standard deviation 0.02 (norms 1), repeated in blocks: the values do not matter, the bytes do.
"""
import argparse
import json
import shutil
import struct
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden" / "pipeline"
# config.json of the published model; the tokenizer and the modules are the golden's.
SHAPES = {
    "gte-qwen2-1.5b": ("gte_qwen2", dict(hidden_size=1536, intermediate_size=8960, num_hidden_layers=28,
                                         num_attention_heads=12, num_key_value_heads=2, vocab_size=151646)),
    "qwen3-embedding-0.6b": ("qwen3_embedding", dict(hidden_size=1024, intermediate_size=3072, num_hidden_layers=28,
                                                     num_attention_heads=16, num_key_value_heads=8, head_dim=128,
                                                     vocab_size=151669)),
}


ENCODERS = {
    "bert-base": dict(model_type="bert", architectures=["BertModel"], vocab_size=30522, type_vocab_size=2,
                      max_position_embeddings=512, layer_norm_eps=1e-12, pad_token_id=0),
    "xlmr-base": dict(model_type="xlm-roberta", architectures=["XLMRobertaModel"], vocab_size=250002, type_vocab_size=1,
                      max_position_embeddings=514, layer_norm_eps=1e-5, pad_token_id=1, bos_token_id=0, eos_token_id=2),
    # No published model: MiniLM-L6 with 8,192 positions, to plot cost against length.
    "minilm-8192": dict(model_type="bert", architectures=["BertModel"], vocab_size=30522, type_vocab_size=2,
                        hidden_size=384, intermediate_size=1536, num_hidden_layers=6, max_position_embeddings=8192,
                        layer_norm_eps=1e-12, pad_token_id=0),
}
BASE = dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, hidden_act="gelu",
            attention_probs_dropout_prob=0.1, hidden_dropout_prob=0.1, initializer_range=0.02, torch_dtype="float32")


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


def make_encoder(name, folder, source):
    config = {**BASE, **ENCODERS[name]}
    folder.mkdir(parents=True, exist_ok=True)

    def write(file, value):
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_text(json.dumps(value, ensure_ascii=False) + "\n", encoding="utf-8")
    write("config.json", config)
    kinds = [("0", "", "Transformer"), ("1", "1_Pooling", "Pooling"), ("2", "2_Normalize", "Normalize")]
    write("modules.json", [{"idx": int(n), "name": n, "path": path, "type": f"sentence_transformers.models.{kind}"}
                           for n, path, kind in kinds])
    write("1_Pooling/config.json", {"word_embedding_dimension": config["hidden_size"], "pooling_mode_mean_tokens": True})
    (folder / "2_Normalize").mkdir(exist_ok=True)
    length = config["max_position_embeddings"] // 512 * 512
    write("sentence_bert_config.json", {"max_seq_length": length, "do_lower_case": False})
    tokenizer = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    if name == "xlmr-base":
        words = sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].get)
        write("tokenizer.json", xlmr_tokenizer(words))
        write("tokenizer_config.json", {"tokenizer_class": "XLMRobertaTokenizer", "model_max_length": 512,
                                        "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
                                        "pad_token": "<pad>", "cls_token": "<s>", "sep_token": "</s>",
                                        "mask_token": "<mask>"})
    else:
        write("tokenizer.json", {**tokenizer, "truncation": None, "padding": None})
        write("tokenizer_config.json", {"tokenizer_class": "BertTokenizer", "model_max_length": length, "do_lower_case": True})
    return write_weights(folder / "model.safetensors", list(encoder_tensors(config)), "F32")


def make_static(folder, source):
    """A table in model2vec's layout, which Sentence Transformers' StaticEmbedding reads as well."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer.update(truncation=None, padding=None, post_processor=None)
    kinds = [("0", ".", "StaticEmbedding"), ("1", "1_Normalize", "Normalize")]
    modules = [{"idx": int(n), "name": n, "path": path, "type": f"sentence_transformers.models.{kind}"}
               for n, path, kind in kinds]
    config = {"model_type": "model2vec", "architectures": ["StaticModel"], "normalize": True, "seq_length": 1000000}
    for name, value in (("tokenizer.json", tokenizer), ("modules.json", modules), ("config.json", config)):
        (folder / name).write_text(json.dumps(value, ensure_ascii=False) + "\n", encoding="utf-8")
    return write_weights(folder / "model.safetensors", [("embeddings", (len(tokenizer["model"]["vocab"]), 256))], "F32")


def tensors(config):
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


def bfloat16(values):
    return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def write_weights(path, shapes, dtype):
    rng = np.random.default_rng(1)
    stored = bfloat16 if dtype == "BF16" else np.float32
    block = stored(rng.standard_normal(1 << 22) * 0.02)
    header, offset = {}, 0
    for name, shape in shapes:
        size = int(np.prod(shape)) * block.itemsize
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in shapes:
            count = int(np.prod(shape))
            if "norm" in name.lower():
                file.write(stored((np.zeros if name.endswith("bias") else np.ones)(count)).tobytes())
                continue
            start = int(rng.integers(0, 1 << 20))
            while count > 0:
                part = block[start:start + count]
                file.write(part.tobytes())
                count -= len(part)
                start = 0
    return offset


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shape", choices=sorted({**SHAPES, **ENCODERS, "static-256": ()}))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokenizer-from", type=Path, help="encoders: a directory with a WordPiece tokenizer.json")
    arguments = parser.parse_args()
    if arguments.shape not in SHAPES:
        if arguments.tokenizer_from is None:
            parser.error(f"{arguments.shape} needs --tokenizer-from (tools/fetch_model.py gives a directory)")
        size = (make_static(arguments.folder, arguments.tokenizer_from) if arguments.shape == "static-256" else
                make_encoder(arguments.shape, arguments.folder, arguments.tokenizer_from))
        print(f"{arguments.folder}: {size} bytes of weights")
        return
    golden, shape = SHAPES[arguments.shape]
    shutil.copytree(GOLDEN / golden, arguments.folder, dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns("golden*.json", "model.safetensors"))
    path = arguments.folder / "config.json"
    config = {**json.loads(path.read_text()), **shape, "torch_dtype": "bfloat16"}
    path.write_text(json.dumps(config, indent=1) + "\n")
    print(f"{arguments.folder}: {write_weights(arguments.folder / 'model.safetensors', list(tensors(config)), 'BF16')} bytes of weights")


if __name__ == "__main__":
    main()
