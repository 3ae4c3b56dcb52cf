"""What the golden makers share: versions, seeded weights, float64 and float32 runs of the reference."""
import json

import numpy as np
import torch


def versions():
    import sentence_transformers
    import tokenizers
    import transformers
    return {"sentence_transformers": sentence_transformers.__version__, "transformers": transformers.__version__,
            "torch": torch.__version__, "tokenizers": tokenizers.__version__, "dtype": "float64"}


def randomize(model, seed, std=0.3):
    """Weights that a wrong mask, activation or norm cannot hide behind: wide, and norms far from identity."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        values = torch.randn(parameter.shape, generator=generator, dtype=torch.float32) * std
        if "norm" in name.lower() and name.endswith("weight"):
            values = 1 + values
        parameter.data = values.to(parameter.dtype)


def write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def encode_alone(model, texts):
    """Each text in a batch of its own, so that padding plays no part: [texts, dim] in the model's dtype."""
    rows = []
    with torch.no_grad():
        for text in texts:
            features = model.preprocess([text])
            rows.append(model.forward(features)["sentence_embedding"][0].cpu().numpy())
    return np.stack(rows)


def errors(actual, expected):
    """Per text: largest absolute difference after scaling by the expected vector's norm."""
    norms = np.linalg.norm(expected, axis=1, keepdims=True)
    return (np.abs(actual.astype(np.float64) - expected) / norms).max(axis=1)
