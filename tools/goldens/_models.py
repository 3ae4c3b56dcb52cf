"""What makers of model goldens share: a true float64 run of the reference, and the folder's files.

transformers casts norms and softmax to float32 even in a float64 model. `exact()` leaves such tensors in float64, and
takes cos and sin of the reference's float32 angles in float64; inverse frequencies and angles stay float32, as they
define the model.
"""
import contextlib
import json
import shutil

import torch
from safetensors.torch import save_file
from torch.overrides import TorchFunctionMode
from transformers.utils import logging

from goldens import _common

logging.disable_progress_bar()


class _Float64(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        first = args[0] if args else None
        if isinstance(first, torch.Tensor) and first.dtype == torch.float64:
            if func is torch.Tensor.float:
                return first
            if func is torch.Tensor.to:
                args = tuple(torch.float64 if a is torch.float32 else a for a in args)
            kwargs = {k: torch.float64 if v is torch.float32 else v for k, v in kwargs.items()}
        if func in (torch.Tensor.cos, torch.Tensor.sin, torch.cos, torch.sin) and first.dtype == torch.float32:
            return func(first.double())
        return func(*args, **kwargs)


@contextlib.contextmanager
def exact():
    with _Float64():
        yield


def randomize(model, seed, std=0.35):
    """Weights that bfloat16 holds exactly, wide enough that a wrong setting shows."""
    _common.randomize(model, seed=seed, std=std)
    for parameter in model.parameters():
        parameter.data = parameter.data.to(torch.bfloat16).to(torch.float32)


def run(model, ids, **kwargs):
    """Hidden states [tokens, width] of every layer (the last behind the final norm), and the logits or None."""
    with torch.no_grad():
        out = model(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                    output_hidden_states=True, **kwargs)
    logits = getattr(out, "logits", None)
    return [h[0] for h in out.hidden_states], None if logits is None else logits[0]


def worst(a, b):
    return float((a.double() - b).abs().max() / b.abs().max())


def older(config):
    """config.json as transformers 4 wrote it: rope_theta and rope_scaling, no layer_types, torch_dtype."""
    config = {k: v for k, v in config.items() if k != "layer_types"}
    rope = config.pop("rope_parameters")
    if "full_attention" in rope:
        config["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
        rope = rope["full_attention"]
    config["rope_theta"] = rope.pop("rope_theta")
    if "partial_rotary_factor" in rope:
        config["partial_rotary_factor"] = rope.pop("partial_rotary_factor")
    config["rope_scaling"] = None if rope["rope_type"] == "default" else rope
    config["torch_dtype"] = config.pop("dtype")
    config["transformers_version"] = "4.51.0"
    return config


def write(folder, cls, config, seed, task, texts, wrong, std=0.35, dtype=torch.bfloat16, rewrite=None):
    """One golden folder: a random `cls(config)` saved in `dtype`, its float64 values, PyTorch float32's error.

    `wrong`: overrides each of which must bring the cosine of the last hidden states of text 3 below 0.99.
    `rewrite`: turns config.json into another generation's; the values come from the model that it loads.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config._attn_implementation = "eager"
    model = cls(config).eval()
    randomize(model, seed, std)
    model.to(dtype).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if rewrite is not None:
        _common.write_json(folder / "config.json", rewrite(json.loads((folder / "config.json").read_text())))
    load = dict(attn_implementation="eager")
    exact_model = cls.from_pretrained(folder, dtype=torch.float64, **load).eval()
    single = cls.from_pretrained(folder, dtype=torch.float32, **load).eval()
    values, own, layer_error = {}, [], 0.0
    for i, ids in enumerate(texts):
        with exact():
            layers, logits = run(exact_model, ids)
        layers32, logits32 = run(single, ids)
        for n, layer in enumerate(layers):
            assert layer.dtype == torch.float64
            values[f"text{i}.layer{n}"] = layer.clone().contiguous()
            layer_error = max(layer_error, worst(layers32[n], layer))
        if task != "features":
            values[f"text{i}.logits"] = logits.reshape(-1, logits.shape[-1]).clone().contiguous()
            own.append(worst(logits32, logits))
        else:
            own.append(worst(layers32[-1], layers[-1]))
    save_file(values, str(folder / "values.safetensors"))
    _common.write_json(folder / "cases.json", {
        "reference": _common.versions(), "task": task, "ids": texts, "torch_float32_error": own,
        "torch_float32_layer_error": layer_error, "wrong": wrong, "wrong_cosine": 0.99})
    print(f"  {folder.name}: torch float32 worst {max(own):.2e}")
