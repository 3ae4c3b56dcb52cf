"""What makers of rotary models share beside models.save: a true float64 run, and checkpoints of both generations.

transformers casts norms and softmax to float32 even in a float64 model. `exact()` leaves such tensors in float64, and
takes cos and sin of the reference's float32 angles in float64; inverse frequencies and angles stay float32, as they
define the model.
"""
import contextlib
import json
import shutil

import torch
from torch.overrides import TorchFunctionMode
from transformers.utils import logging

from goldens import _common, models

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
    models.save(folder, task, texts, wrong, (), lambda ids: models.run(single, task, ids),
                lambda ids: models.run(exact_model, task, ids), exact)
