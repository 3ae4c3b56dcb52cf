"""tests/golden/models/<name>: tiny random checkpoints of each architecture with float64 values of every layer.

Per folder: config.json, model.safetensors, values.safetensors (text<i>.layer<n>, text<i>.logits), cases.json with ids,
the task, PyTorch float32's own error, and settings that a correct golden must tell apart ("wrong").
"""
import json
import shutil

import torch
from safetensors.torch import save_file
from transformers import (BertConfig, BertForMaskedLM, BertForSequenceClassification, BertModel, CamembertConfig,
                          CamembertModel, DistilBertConfig, DistilBertForMaskedLM, DistilBertForSequenceClassification,
                          DistilBertModel, ElectraConfig, ElectraForSequenceClassification, ElectraModel, MPNetConfig,
                          MPNetForMaskedLM, MPNetForSequenceClassification, MPNetModel, RobertaConfig, RobertaForMaskedLM,
                          RobertaForSequenceClassification, RobertaModel, XLMRobertaConfig, XLMRobertaModel)

from goldens import _common

IDS = [[2, 5, 6, 3], [2, 7, 8, 9, 10, 11, 3], [2, 3], [2] + [4 + i * 7 % 50 for i in range(60)] + [3],
       [2, 5, 1, 0, 6, 3], [9]]
SIZE = dict(vocab_size=60, hidden_size=24, num_hidden_layers=5, num_attention_heads=3, intermediate_size=40,
            max_position_embeddings=80)
DISTIL = dict(vocab_size=60, dim=24, n_layers=5, n_heads=3, hidden_dim=40, max_position_embeddings=80)
EPS = dict(layer_norm_eps=1e-5)
WRONG = ["hidden_act=relu", "num_attention_heads=2", "layer_norm_eps=2.0"]

MODELS = {
    "bert": (BertModel, BertConfig(**SIZE), WRONG),
    "bert-classification": (BertForSequenceClassification, BertConfig(**SIZE, num_labels=3), []),
    "bert-mlm": (BertForMaskedLM, BertConfig(**SIZE, hidden_act="gelu_new"), []),
    "roberta": (RobertaModel, RobertaConfig(**SIZE, **EPS, type_vocab_size=1, pad_token_id=1),
                [*WRONG, "pad_token_id=5"]),
    "roberta-classification": (RobertaForSequenceClassification,
                               RobertaConfig(**SIZE, **EPS, type_vocab_size=1, num_labels=1), []),
    "roberta-mlm": (RobertaForMaskedLM, RobertaConfig(**SIZE, **EPS, type_vocab_size=1), []),
    "xlm-roberta": (XLMRobertaModel, XLMRobertaConfig(**SIZE, **EPS, type_vocab_size=1), WRONG),
    "camembert": (CamembertModel, CamembertConfig(**SIZE, **EPS, type_vocab_size=1), WRONG),
    "distilbert": (DistilBertModel, DistilBertConfig(**DISTIL), ["activation=relu", "n_heads=2"]),
    "distilbert-classification": (DistilBertForSequenceClassification, DistilBertConfig(**DISTIL, num_labels=2), []),
    "distilbert-mlm": (DistilBertForMaskedLM, DistilBertConfig(**DISTIL), []),
    "electra": (ElectraModel, ElectraConfig(**SIZE, embedding_size=16), WRONG),
    "electra-classification": (ElectraForSequenceClassification,
                               ElectraConfig(**SIZE, embedding_size=24, num_labels=2), []),
    "mpnet": (MPNetModel, MPNetConfig(**SIZE, **EPS), ["hidden_act=relu", "layer_norm_eps=2.0"]),
    "mpnet-classification": (MPNetForSequenceClassification, MPNetConfig(**SIZE, **EPS, num_labels=2), []),
    "mpnet-mlm": (MPNetForMaskedLM, MPNetConfig(**SIZE, **EPS), []),
}


def task_of(name):
    return {"classification": "classification", "mlm": "mlm"}.get(name.rpartition("-")[2], "features")


def run(model, task, ids):
    with torch.no_grad():
        out = model(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                    output_hidden_states=True)
    return [h[0] for h in out.hidden_states], out.logits[0] if task != "features" else None


def worst(a, b):
    return float((a.double() - b).abs().max() / b.abs().max())


def make(root, _model_dir):
    for name in MODELS:
        shutil.rmtree(root / "models" / name, ignore_errors=True)
    for seed, (name, (cls, config, wrong)) in enumerate(MODELS.items()):
        folder = root / "models" / name
        folder.mkdir(parents=True)
        task = task_of(name)
        config._attn_implementation = "eager"
        single = cls(config).eval()
        _common.randomize(single, seed=100 + seed, std=0.35)
        single.save_pretrained(folder)
        exact = cls.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager").eval()
        values, own, layer_error = {}, [], 0.0
        for i, ids in enumerate(IDS):
            layers, logits = run(exact, task, ids)
            layers32, logits32 = run(single, task, ids)
            for n, layer in enumerate(layers):
                values[f"text{i}.layer{n}"] = layer.clone().contiguous()
                layer_error = max(layer_error, worst(layers32[n], layer))
            if logits is not None:
                values[f"text{i}.logits"] = logits.reshape(-1, logits.shape[-1]).clone().contiguous()
                own.append(worst(logits32, logits))
            else:
                own.append(worst(layers32[-1], layers[-1]))
        save_file(values, str(folder / "values.safetensors"))
        _common.write_json(folder / "cases.json", {
            "reference": _common.versions(), "task": task, "ids": IDS, "torch_float32_error": own,
            "torch_float32_layer_error": layer_error, "wrong": wrong})
        print(f"  {name}: torch float32 worst {max(own):.2e}")
