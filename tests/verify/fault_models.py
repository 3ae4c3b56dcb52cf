#!/usr/bin/env python3
"""Small random models of many families in Sentence Transformers layout, for the fault matrix: fault_models.py MINILM OUT

Each has a tokenizer of its family's kind (trained here on Python's own documentation, or all-MiniLM-L6-v2's), weights
wide enough that attention is far from uniform, and the modules that such models are published with.
"""
import json
import os
import pydoc_data.topics
import shutil
import sys

import torch
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (BertConfig, BertModel, Gemma3TextConfig, Gemma3TextModel, ModernBertConfig, ModernBertModel,
                          MPNetConfig, MPNetModel, NomicBertConfig, NomicBertModel, Qwen2Config, Qwen2Model,
                          Qwen3Config, Qwen3Model, RobertaConfig, RobertaModel, T5Config, T5EncoderModel,
                          XLMRobertaConfig, XLMRobertaModel)

QWEN_SPLIT = r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
FOREIGN = ["日本語の文 東京 模型 向量 東京は日本の首都です", "москва ёлка привет большая страна и малый город",
           "café crème in são paulo naïve façade ångström straße größe über señor niño",
           "ﬁne ｆｕｌｌｗｉｄｔｈ ① Ⅳ “quoted” — a dash… «guillemets» ¿qué? 10‰ 👍🏽 👩‍👩‍👧"] * 20
SMALL = dict(hidden_size=48, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4)


def corpus():
    yield from FOREIGN
    for text in pydoc_data.topics.topics.values():
        yield from text.replace("*", "").split("\n\n")


def byte_level(size, specials, split, prefix_space=False):
    tokenizer = Tokenizer(models.BPE())
    if split:
        tokenizer.normalizer = normalizers.NFC()
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(split), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), special_tokens=specials,
        show_progress=False))
    return tokenizer


def unigram(size, specials, unk):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", "always")
    tokenizer.decoder = decoders.Metaspace("▁", "always")
    tokenizer.train_from_iterator(corpus(), trainers.UnigramTrainer(
        vocab_size=size, special_tokens=specials, unk_token=unk, show_progress=False))
    return tokenizer


def gemma(size):
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    specials = ["<pad>", "<eos>", "<bos>", "<unk>"]
    pieces = [f"<0x{i:02X}>" for i in range(256)]
    tokenizer.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=size, special_tokens=specials + pieces, show_progress=False, max_token_length=12))
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = [t for t in data["added_tokens"] if t["content"] in specials]
    return template(Tokenizer.from_str(json.dumps(data)), "<bos>", "<eos>")


def template(tokenizer, first, last):
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}".strip(), pair=f"{first} $A {last} $B:1 {last}:1".strip(),
        special_tokens=[(t, tokenizer.token_to_id(t)) for t in {first, last} - {""}])
    return tokenizer


def randomize(model, seed, scale=0.25):
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "norm" in name.lower() and name.endswith("weight"):
                if "gemma" in type(model).__name__.lower():
                    p.uniform_(-0.4, 0.4)
                else:
                    p.uniform_(0.6, 1.4)
            elif p.dim() == 1:
                p.normal_(0, 0.1)
            else:
                p.normal_(0, 0.5 if "embed" in name or "shared" in name else scale)
    return model.eval()


def write(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, indent=1, ensure_ascii=False)


def save(out, tokenizer, specials, model, limit, pooling="mean", normalize=True, dense=(), prompts=None, default=None):
    """Writes the directory; `tokenizer`: a Tokenizer, or a directory to copy it from."""
    os.makedirs(out, exist_ok=True)
    if isinstance(tokenizer, str):
        for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
            if os.path.exists(f"{tokenizer}/{name}"):
                shutil.copy(f"{tokenizer}/{name}", out)
        config = json.load(open(f"{out}/tokenizer_config.json"))
        config["model_max_length"] = limit
        write(f"{out}/tokenizer_config.json", config)
    else:
        tokenizer.save(f"{out}/tokenizer.json")
        write(f"{out}/tokenizer_config.json",
              {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": limit, **specials})
    model.save_pretrained(out)
    width = model.config.hidden_size
    write(f"{out}/sentence_bert_config.json", {"max_seq_length": limit, "do_lower_case": False})
    steps = [("", "Transformer"), ("1_Pooling", "Pooling")]
    steps += [(f"{i + 2}_Dense", "Dense") for i in range(len(dense))]
    steps += [(f"{len(steps)}_Normalize", "Normalize")] if normalize else []
    write(f"{out}/modules.json", [{"idx": i, "name": str(i), "path": p, "type": "sentence_transformers.models." + t}
                                  for i, (p, t) in enumerate(steps)])
    write(f"{out}/1_Pooling/config.json", {
        "word_embedding_dimension": width, "pooling_mode_cls_token": pooling == "cls",
        "pooling_mode_mean_tokens": pooling == "mean", "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False, "pooling_mode_lasttoken": pooling == "lasttoken"})
    generator = torch.Generator().manual_seed(5)
    for i, (rows, columns, activation) in enumerate(dense):
        write(f"{out}/{i + 2}_Dense/config.json", {"in_features": columns, "out_features": rows, "bias": False,
                                                   "activation_function": "torch.nn.modules." + activation})
        save_file({"linear.weight": torch.randn(rows, columns, generator=generator) * 0.3},
                  f"{out}/{i + 2}_Dense/model.safetensors")
    write(f"{out}/config_sentence_transformers.json", {"prompts": prompts or {}, "default_prompt_name": default,
                                                       "similarity_fn_name": "cosine"})


def bert_specials(first="[CLS]", last="[SEP]"):
    return {"cls_token": first, "sep_token": last, "pad_token": "[PAD]", "unk_token": "[UNK]", "mask_token": "[MASK]"}


def build(name, minilm, out):
    vocab = 30522
    if name == "bert-cls":
        model = BertModel(BertConfig(vocab_size=vocab, max_position_embeddings=192, **SMALL), add_pooling_layer=False)
        save(out, minilm, None, randomize(model, 1), 160, "cls", prompts={"query": "Represent this sentence: "})
    elif name == "nomic":
        config = NomicBertConfig(vocab_size=vocab, max_position_embeddings=512, hidden_act="silu", type_vocab_size=2,
                                 rope_parameters={"rope_type": "default", "rope_theta": 1000.0}, **SMALL)
        save(out, minilm, None, randomize(NomicBertModel(config), 2), 256,
             prompts={"query": "search_query: ", "document": "search_document: "}, default="document")
    elif name == "mpnet":
        config = MPNetConfig(vocab_size=vocab, max_position_embeddings=194, **SMALL)
        save(out, minilm, None, randomize(MPNetModel(config, add_pooling_layer=False), 3), 160)
    elif name == "roberta":
        tokenizer = template(byte_level(3000, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"], None), "<s>", "</s>")
        config = RobertaConfig(vocab_size=3000, max_position_embeddings=194, type_vocab_size=1, pad_token_id=1, **SMALL)
        save(out, tokenizer, {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>",
                              "cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"},
             randomize(RobertaModel(config, add_pooling_layer=False), 4), 160, normalize=False)
    elif name == "e5":
        tokenizer = template(unigram(4000, ["<s>", "<pad>", "</s>", "<unk>"], "<unk>"), "<s>", "</s>")
        config = XLMRobertaConfig(vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=194,
                                  type_vocab_size=1, pad_token_id=1, **SMALL)
        save(out, tokenizer, {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>",
                              "cls_token": "<s>", "sep_token": "</s>"},
             randomize(XLMRobertaModel(config, add_pooling_layer=False), 5), 160,
             prompts={"query": "query: ", "document": "passage: "}, default="query")
    elif name == "t5":
        tokenizer = template(unigram(4000, ["<pad>", "</s>", "<unk>"], "<unk>"), "", "</s>")
        config = T5Config(vocab_size=tokenizer.get_vocab_size(), d_model=48, d_kv=12, d_ff=96, num_layers=3, num_heads=4,
                          feed_forward_proj="gated-gelu")
        save(out, tokenizer, {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"},
             randomize(T5EncoderModel(config), 6), 160, dense=[(32, 48, "activation.Tanh")])
    elif name == "modernbert":
        tokenizer = template(byte_level(3000, ["[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]"], None), "[CLS]", "[SEP]")
        config = ModernBertConfig(vocab_size=3000, max_position_embeddings=512, local_attention=32, pad_token_id=2,
                                  global_attn_every_n_layers=3, cls_token_id=0, sep_token_id=1, bos_token_id=0,
                                  eos_token_id=1, **SMALL)
        save(out, tokenizer, bert_specials(), randomize(ModernBertModel(config), 7), 256, "cls")
    elif name in ("qwen3", "qwen2", "gte-qwen2"):
        specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
        tokenizer = template(byte_level(3000, specials, QWEN_SPLIT), "", "<|endoftext|>")
        shape = dict(vocab_size=3000, max_position_embeddings=2048, num_key_value_heads=2, **SMALL)
        if name == "qwen3":
            model = Qwen3Model(Qwen3Config(head_dim=12, rope_parameters={"rope_type": "default", "rope_theta": 1e6},
                                           **shape))
            prompts = {"query": "Instruct: Given a web search query, retrieve relevant passages that answer the query\n"
                                "Query:", "document": ""}
        elif name == "gte-qwen2":  # a decoder that was trained to look both ways
            model = Qwen2Model(Qwen2Config(is_causal=False, rope_parameters={"rope_type": "default", "rope_theta": 1e6},
                                           **shape))
            prompts = {"query": "Instruct: Given a web search query, retrieve relevant passages that answer the query\n"
                                "Query: "}
        else:
            model = Qwen2Model(Qwen2Config(**{**shape, "max_position_embeddings": 512}, rope_parameters={
                "rope_type": "yarn", "rope_theta": 1e6, "factor": 4.0, "original_max_position_embeddings": 128}))
            prompts = None
        save(out, tokenizer, {"eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}, randomize(model, 8), 512,
             "mean" if name == "qwen2" else "lasttoken", prompts=prompts)
    elif name == "gemma":
        config = Gemma3TextConfig(vocab_size=3000, head_dim=12, num_key_value_heads=2, max_position_embeddings=512,
                                  sliding_window=33, use_bidirectional_attention=True, pad_token_id=0, eos_token_id=1,
                                  bos_token_id=2, query_pre_attn_scalar=12, layer_types=[
                                      "sliding_attention", "sliding_attention", "full_attention"], **SMALL)
        save(out, gemma(3000), {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>"},
             randomize(Gemma3TextModel(config), 9), 256, dense=[(96, 48, "linear.Identity"), (48, 96, "linear.Identity")],
             prompts={"query": "task: search result | query: ", "document": "title: none | text: "})
    else:
        raise SystemExit(f"no family {name}")


FAMILIES = ("bert-cls", "nomic", "mpnet", "roberta", "e5", "t5", "modernbert", "qwen3", "qwen2", "gte-qwen2", "gemma")

if __name__ == "__main__":
    for family in FAMILIES:
        if not os.path.exists(f"{sys.argv[2]}/{family}/modules.json"):
            build(family, sys.argv[1], f"{sys.argv[2]}/{family}")
            print(family, flush=True)
