"""What the golden makers share: versions, seeded weights, float64 and float32 runs of the reference."""
import json
import re

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


def spread(model, seed, gain=1.5, sharpness=1.0):
    """Weights scaled by their fan-in, so that every branch moves its residual by about its own size, scores are a few
    units wide and float32 stays well-conditioned; biases and norms are random but do not dominate."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        values = torch.randn(parameter.shape, generator=generator, dtype=torch.float32)
        if parameter.dim() == 1:
            norm = name.endswith("weight")
            values = 1 + 0.3 * values if norm else 0.2 * values
        elif "embed" in name.lower() and "proj" not in name and "mapping" not in name or "relative_attention_bias" in name:
            values = values * gain
        else:
            scores = re.search(r"query|key|qkv|\b[qk](_lin|_proj)?\.weight$", name) is not None
            values = values * gain * (sharpness if scores else 1) / parameter[0].numel() ** 0.5
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
