"""tests/golden/pipeline/old*: directories saved by Sentence Transformers 5, and by hand as 2 to 4 left them; the values
are the reference's (6.2), which loads them too."""
import json
import os
import shutil
import subprocess
from pathlib import Path

import torch
from safetensors.torch import load_file

from goldens import _common, _tiny
from goldens._tiny import HIDDEN, TEXTS
from goldens.pipeline import PROMPTED, Maker, input_ids  # noqa: F401

TASKS = [{"text": t, **({"task": task} if task else {})} for t in TEXTS[:6] for task in (None, "query", "document")]
PAIRS = [{"text": a, "pair": b, **extra} for a in (TEXTS[0], TEXTS[5]) for b in (TEXTS[1], TEXTS[4], TEXTS[8]) for extra in ({}, {"raw": True})]
KINDS = {"old5_splade": "sparse", "old5_csr": "sparse", "old5_inference_free": "sparse", "old5_cross": "scores",
         "old5_cross_identity": "scores", "old5_cross_labels": "scores"}
CASES = {"old5_dense": TASKS + [{"text": t, "prompt_name": "red"} for t in TEXTS[:2]], "old5_router": TASKS, "old5_asym": TASKS,
         "old5_without_prompt": PROMPTED, "old5_inference_free": [c for c in TASKS if "task" in c]}


def saved(maker):
    python = os.environ.get("TRUEVEC_ST5_PYTHON")
    if not python:
        print("  TRUEVEC_ST5_PYTHON is not set: the old5_* goldens stay (tools/requirements-st5.txt)")
        return
    source = maker.scratch / "st5"
    source.mkdir()
    subprocess.run([python, str(Path(__file__).parent / "_save_with_st5.py"), str(source)], check=True)
    for model in sorted(source.glob("old5_*")):
        folder = maker.folder(model.name)
        shutil.copytree(model, folder, dirs_exist_ok=True)
        _tiny.plain(folder)
        kind = KINDS.get(model.name, "dense")
        maker.golden(folder, kind, PAIRS if kind == "scores" else CASES.get(model.name))


def to_bin(folder):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def by_hand(maker):
    """What Sentence Transformers 2 to 4 wrote: no config_sentence_transformers.json, .bin weights, boolean pooling modes."""
    variants = {
        "old2_bert": ("sentence_bert_config.json", "", {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}),
        "old2_folder": ("sentence_bert_config.json", "0_Transformer", {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}),
        "old2_roberta_name": ("sentence_roberta_config.json", "", {"pooling_mode_max_tokens": True, "pooling_mode_mean_sqrt_len_tokens": True}),
        "old2_no_mode": ("sentence_distilbert_config.json", "", {}),
    }
    for name, (config_name, path, modes) in variants.items():
        folder = maker.folder(name)
        inner = folder / path
        inner.mkdir(exist_ok=True)
        _tiny.bert(inner, seed=51, lowercase=False, cased=True)
        if name == "old2_bert":  # the same weights, to compare fingerprints
            (folder / "twin").mkdir()
            shutil.copy(inner / "model.safetensors", folder / "twin")
        to_bin(inner)
        _common.write_json(inner / config_name, {"max_seq_length": 12, "do_lower_case": name == "old2_bert"})
        (folder / "1_Pooling").mkdir()
        _common.write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": HIDDEN, **modes})
        doubled = name == "old2_folder"
        _common.write_json(folder / "modules.json", [
            {"idx": 0, "name": "0", "path": path, "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling" + (".Pooling" if doubled else "")},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}])
        _tiny.plain(folder)
        maker.golden(folder, "dense")


def converted(maker):
    """Directories that another class saved, loaded as the class named by `as`: its default modules, no prompts."""
    from transformers import BertForMaskedLM, BertForSequenceClassification
    from sentence_transformers import CrossEncoder, SentenceTransformer, SparseEncoder
    from sentence_transformers.sparse_encoder.modules import SpladePooling
    masked = _tiny.bert(maker.scratch / "masked", seed=52, cls=BertForMaskedLM)
    splade = [maker.transformer(masked, transformer_task="fill-mask"), SpladePooling("max")]
    folder = maker.save("converted_sparse_to_dense", splade, cls=SparseEncoder, prompts={"query": "find ", "document": ""})
    maker.golden(folder, "dense", TASKS, cls=SentenceTransformer, **{"as": "dense"})
    classifier = _tiny.bert(maker.scratch / "classifier", seed=53, cls=BertForSequenceClassification, num_labels=1)
    folder = maker.folder("converted_cross_to_dense")
    CrossEncoder(str(classifier), device="cpu", prompts={"query": "find "}, default_prompt_name="query").save_pretrained(
        str(folder), create_model_card=False)
    _tiny.plain(folder)
    maker.golden(folder, "dense", TASKS, cls=SentenceTransformer, **{"as": "dense"})
    from sentence_transformers.sentence_transformer import modules as M
    dense = [maker.transformer(classifier), M.Pooling(HIDDEN)]
    folder = maker.save("converted_dense_to_cross", dense, prompts={"query": "find "}, default_prompt_name="query")
    shutil.copytree(classifier, folder, dirs_exist_ok=True)
    _tiny.plain(folder)
    maker.golden(folder, "scores", PAIRS, cls=CrossEncoder, **{"as": "cross-encoder"})


def make(root, model_dir):
    maker = Maker(root)
    saved(maker)
    by_hand(maker)
    converted(maker)
