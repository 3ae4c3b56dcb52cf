"""tests/golden/models/<name>: tiny random checkpoints of each architecture with float64 values of every layer.

Per folder: config.json, model.safetensors, values.safetensors (text<i>.layer<n>, text<i>.logits), cases.json with ids,
the task, PyTorch float32's own error, and settings that a correct golden must tell apart ("wrong").
"""
import contextlib
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
SIZE = dict(vocab_size=60, hidden_size=24, num_hidden_layers=3, num_attention_heads=3, intermediate_size=40,
            max_position_embeddings=80)
DISTIL = dict(vocab_size=60, dim=24, n_layers=3, n_heads=3, hidden_dim=40, max_position_embeddings=80)
EPS = dict(layer_norm_eps=1e-5)
WRONG = ["hidden_act=tanh"]
NEAR = ["hidden_act=relu", "num_attention_heads=2", "layer_norm_eps=2.0", "hidden_act=gelu_new"]

MODELS = {
    "bert": (BertModel, BertConfig(**SIZE), WRONG),
    "bert-classification": (BertForSequenceClassification, BertConfig(**SIZE, num_labels=3), []),
    "bert-mlm": (BertForMaskedLM, BertConfig(**SIZE, hidden_act="gelu_new"), []),
    "roberta": (RobertaModel, RobertaConfig(**SIZE, **EPS, type_vocab_size=1, pad_token_id=1),
                [*WRONG, "pad_token_id=5"]),
    "roberta-classification": (RobertaForSequenceClassification,
                               RobertaConfig(**SIZE, **EPS, type_vocab_size=1, num_labels=3), []),
    "roberta-mlm": (RobertaForMaskedLM, RobertaConfig(**SIZE, **EPS, type_vocab_size=1), []),
    "xlm-roberta": (XLMRobertaModel, XLMRobertaConfig(**SIZE, **EPS, type_vocab_size=1), WRONG),
    "camembert": (CamembertModel, CamembertConfig(**SIZE, **EPS, type_vocab_size=1), WRONG),
    "distilbert": (DistilBertModel, DistilBertConfig(**DISTIL), ["activation=tanh"]),
    "distilbert-classification": (DistilBertForSequenceClassification, DistilBertConfig(**DISTIL, num_labels=3), []),
    "distilbert-mlm": (DistilBertForMaskedLM, DistilBertConfig(**DISTIL), []),
    "electra": (ElectraModel, ElectraConfig(**SIZE, embedding_size=16), WRONG),
    "electra-classification": (ElectraForSequenceClassification,
                               ElectraConfig(**SIZE, embedding_size=24, num_labels=3), []),
    "mpnet": (MPNetModel, MPNetConfig(**SIZE, **EPS), WRONG),
    "mpnet-classification": (MPNetForSequenceClassification, MPNetConfig(**SIZE, **EPS, num_labels=3), []),
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


def write(folder, cls, config, seed, wrong, *, ids=IDS, near=(), exact_run=contextlib.nullcontext,
          **scales):
    """One golden folder. `exact_run` patches float32 steps of the reference's own code while float64 runs."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    task = task_of(folder.name)
    published = config if isinstance(config, dict) else None
    if published is not None:
        config = cls.config_class(**published)
    config._attn_implementation = "eager"
    single = cls(config).eval()
    _common.spread(single, seed=seed, **scales)
    single.save_pretrained(folder)
    if published is not None:  # a publisher's own keys, which transformers would rewrite
        _common.write_json(folder / "config.json", published)
    exact = cls.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager").eval()
    save(folder, task, ids, wrong, near, lambda text: run(single, task, text), lambda text: run(exact, task, text),
         exact_run)


def save(folder, task, ids, wrong, near, run_single, run_exact, exact_run=contextlib.nullcontext, **extra):
    """values.safetensors and cases.json from two functions ids -> (layers, logits or None)."""
    values, own, layer_error = {}, [], 0.0
    for i, text in enumerate(ids):
        with exact_run():
            layers, logits = run_exact(text)
        assert all(layer.dtype == torch.float64 for layer in layers), folder
        layers32, logits32 = run_single(text)
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
        "reference": _common.versions(), "task": task, "ids": ids, "torch_float32_error": own,
        "torch_float32_layer_error": layer_error, "wrong": list(wrong), "near": list(near), **extra})
    print(f"  {folder.name}: torch float32 worst {max(own):.2e}")


def make(root, _model_dir):
    for seed, (name, (cls, config, wrong)) in enumerate(MODELS.items()):
        near = NEAR if WRONG[0] in wrong else []
        if name == "mpnet":
            near = ["hidden_act=relu", "hidden_act=gelu_new"]
        write(root / "models" / name, cls, config, 100 + seed, wrong, near=near)
