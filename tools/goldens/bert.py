"""tests/golden/bert: a tiny random BERT in Sentence Transformers layout, with every layer's float64 values."""
import json
import shutil

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Normalize, Pooling, Transformer
from transformers import BertConfig, BertModel, BertTokenizer

from goldens import _common

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "world", "the", "cat", "##s", "sat", "on", "mat",
          "other", "a", "b", "##b", "c", "!", "?", ",", ".", "1", "2", "un", "##able", "naive", "cafe"]
TEXTS = ["hello world", "the cats sat on the mat.", "", "a", "unable, naïve CAFÉ!?", "1 2 1 2 b bb zz",
         " ".join(["the cat sat on the mat"] * 9)]


def save_model(folder):
    (folder / "vocab.txt").write_text("\n".join(TOKENS) + "\n", encoding="utf-8")
    tokenizer = BertTokenizer(vocab={t: i for i, t in enumerate(TOKENS)}, model_max_length=40)
    config = BertConfig(vocab_size=len(TOKENS), hidden_size=24, num_hidden_layers=3, num_attention_heads=3,
                        intermediate_size=40, max_position_embeddings=48, layer_norm_eps=1e-5)
    model = BertModel(config)
    _common.randomize(model, seed=7)
    scratch = folder.parent / "scratch"
    model.save_pretrained(scratch)
    tokenizer.save_pretrained(scratch)
    transformer = Transformer(str(scratch), max_seq_length=40)
    st = SentenceTransformer(modules=[transformer, Pooling(24, "mean"), Normalize()], device="cpu")
    st.save(str(folder), create_model_card=False)
    shutil.rmtree(scratch)
    (folder / "vocab.txt").unlink()


def layer_values(st, text):
    features = st.preprocess([text])
    with torch.no_grad():
        out = st[0].auto_model(**{k: v for k, v in features.items() if k in ("input_ids", "attention_mask", "token_type_ids")},
                               output_hidden_states=True)
    return features["input_ids"][0].tolist(), [h[0].numpy() for h in out.hidden_states]


def make(root, _model_dir):
    folder = root / "bert"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "model").mkdir(parents=True)
    save_model(folder / "model")

    def load(dtype):
        return SentenceTransformer(str(folder / "model"), device="cpu",
                                   model_kwargs={"dtype": dtype, "attn_implementation": "eager"})
    exact, single = load(torch.float64), load(torch.float32)
    vectors = _common.encode_alone(exact, TEXTS)
    own = _common.errors(_common.encode_alone(single, TEXTS), vectors)
    layers, cases = {}, []
    for i, text in enumerate(TEXTS):
        ids, values = layer_values(exact, text)
        cases.append({"text": text, "ids": ids, "torch_float32_error": float(own[i])})
        for number, value in enumerate(values):
            layers[f"text{i}.layer{number}"] = torch.tensor(value, dtype=torch.float64)
    from safetensors.torch import save_file
    layers["vectors"] = torch.tensor(vectors)
    save_file(layers, str(folder / "values.safetensors"))
    with (folder / "cases.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(c) + "\n" for c in cases)
    np.save(folder / "vectors.npy", vectors)
    _common.write_json(folder / "meta.json", {
        "reference": _common.versions(),
        "torch_float32_error": {"worst": float(own.max()), "mean": float(own.mean())}})
