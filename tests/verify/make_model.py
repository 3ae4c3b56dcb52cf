#!/usr/bin/env python3
"""The test model of tests/verify: make_model.py MINILM LOCK OUT

A small random BERT in Sentence Transformers layout. Its vocabulary is the part of all-MiniLM-L6-v2's that the texts of
LOCK need under any of the tokenizer faults; its weights are wide enough that attention is far from uniform and its norms
random, so that every fault shows.
"""
import json
import os
import shutil
import sys

import torch
from transformers import AutoTokenizer, BertConfig, BertModel


def vocabulary(path, texts):
    tokenizer = AutoTokenizer.from_pretrained(path)
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    from fault_engine import Plan
    from faults import FAULTS

    class Fake:
        prompt, limit, pooling, normalize = "", 128, "mean", True
    used = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
    state = backend.to_str()
    for fault in FAULTS.values():
        plan = Plan(Fake)
        fault(plan)
        edited = type(backend).from_str(state)
        if plan.tokenizer:
            plan.tokenizer(edited)
        for text in texts + ["query: passage: search_query: search_document: represent this sentence"]:
            for change in plan.text:
                text = change(text)
            used |= set(edited.encode(text).tokens)
    every = tokenizer.get_vocab()
    letters = [chr(c) for c in range(33, 127)]
    used |= {t for c in letters for t in (c, "##" + c) if t in every}
    return sorted(used, key=every.get)


def main():
    source, lock, out = sys.argv[1:4]
    texts = [case["text"] for case in json.load(open(lock, encoding="utf-8"))["cases"]]
    tokens = vocabulary(source, texts)
    os.makedirs(f"{out}/1_Pooling", exist_ok=True)
    state = json.load(open(f"{source}/tokenizer.json"))
    state["truncation"] = state["padding"] = None
    ids = {token: i for i, token in enumerate(tokens)}
    state["model"]["vocab"] = ids
    for added in state["added_tokens"]:
        added["id"] = ids[added["content"]]
    for name, special in state["post_processor"].get("special_tokens", {}).items():
        special["ids"] = [ids[name]]
    if state["post_processor"]["type"] == "BertProcessing":
        for key in ("sep", "cls"):
            state["post_processor"][key][1] = ids[state["post_processor"][key][0]]
    json.dump(state, open(f"{out}/tokenizer.json", "w"), ensure_ascii=False)
    json.dump({"tokenizer_class": "BertTokenizer", "model_max_length": 128, "do_lower_case": True,
               "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]",
               "mask_token": "[MASK]"}, open(f"{out}/tokenizer_config.json", "w"), indent=1)
    torch.manual_seed(20)
    config = BertConfig(vocab_size=len(tokens), hidden_size=64, num_hidden_layers=3, num_attention_heads=4,
                        intermediate_size=128, max_position_embeddings=160, type_vocab_size=2)
    model = BertModel(config, add_pooling_layer=False).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "LayerNorm.weight" in name:
                p.uniform_(0.6, 1.4)
            elif p.dim() == 1:
                p.normal_(0, 0.1)
            else:
                p.normal_(0, 0.25 if "embeddings" not in name else 0.5)
    model.save_pretrained(out)
    json.dump({"max_seq_length": 128, "do_lower_case": False}, open(f"{out}/sentence_bert_config.json", "w"), indent=1)
    json.dump({"word_embedding_dimension": 64, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False},
              open(f"{out}/1_Pooling/config.json", "w"), indent=1)
    json.dump([{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
               {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
               {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}],
              open(f"{out}/modules.json", "w"), indent=1)
    shutil.rmtree(f"{out}/2_Normalize", ignore_errors=True)


if __name__ == "__main__":
    main()
