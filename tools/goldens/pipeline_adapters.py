"""tests/golden/pipeline/lora_*: PEFT adapter directories, the base model in their folder `base`."""
import json
import shutil

import torch
from peft import LoraConfig, PeftModel
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.sentence_transformer import modules as M
from transformers import AutoModel

from goldens import _common, _tiny
from goldens._tiny import HIDDEN
from goldens.pipeline import EAGER, Maker

NAMES = ["query", "value"]
VARIANTS = {
    "lora_plain": dict(r=4, lora_alpha=8, target_modules=NAMES),
    "lora_rank_stabilized": dict(r=4, lora_alpha=3, target_modules=NAMES + ["dense"], use_rslora=True),
    "lora_patterns": dict(r=4, lora_alpha=8, target_modules=NAMES, rank_pattern={"layer.1.attention.self.query": 2},
                          alpha_pattern={"value": 5, "layer.0.attention.self.query": 3}),
    "lora_dora": dict(r=3, lora_alpha=6, target_modules=NAMES + ["intermediate.dense"], use_dora=True),
    "lora_bias_lora_only": dict(r=4, lora_alpha=8, target_modules=NAMES, bias="lora_only"),
    "lora_lora_bias": dict(r=4, lora_alpha=8, target_modules=NAMES, lora_bias=True),
    "lora_embeddings": dict(r=4, lora_alpha=8, target_modules=["word_embeddings", "query"]),
    "lora_modules_to_save": dict(r=4, lora_alpha=8, target_modules=NAMES, modules_to_save=["output.dense"]),
    "lora_layers": dict(r=2, lora_alpha=8, target_modules=NAMES, layers_to_transform=[1], init_lora_weights="gaussian"),
}


def merged(base):
    """PEFT's own loading and merging, for what transformers does not read."""
    def load(source, device, model_kwargs):
        transformer = Transformer(str(base), model_kwargs=dict(EAGER))
        backbone = AutoModel.from_pretrained(base, **model_kwargs)
        transformer.model = PeftModel.from_pretrained(backbone, source).to(model_kwargs["dtype"]).merge_and_unload()
        return SentenceTransformer(modules=[transformer, M.Pooling(HIDDEN), Normalize()], device=device)
    return load


def make(root, model_dir):
    maker = Maker(root)
    base = _tiny.bert(maker.scratch / "base", seed=21)
    for name, options in VARIANTS.items():
        adapted = maker.scratch / name
        model = AutoModel.from_pretrained(base)
        torch.manual_seed(5)
        model.add_adapter(LoraConfig(**options))
        generator = torch.Generator().manual_seed(22)
        for key, parameter in model.named_parameters():
            if "lora_" in key or "modules_to_save" in key or ("bias" in options and key.endswith("bias")):
                noise = torch.randn(parameter.shape, generator=generator) * 0.3
                parameter.data = parameter.data + noise if "magnitude" in key else noise
        model.save_pretrained(adapted)
        for file in base.iterdir():
            if "token" in file.name or file.name == "vocab.txt":
                shutil.copy(file, adapted)
        config = json.loads((adapted / "adapter_config.json").read_text())
        config["base_model_name_or_path"] = str(base)
        _common.write_json(adapted / "adapter_config.json", config)
        folder = maker.save(name, [Transformer(str(adapted), model_kwargs=dict(EAGER)), M.Pooling(HIDDEN), Normalize()])
        if name == "lora_dora":  # transformers 5.23 leaves DoRA's magnitudes unread (its load report says MISSING)
            shutil.copy(adapted / "adapter_model.safetensors", folder)
        config = json.loads((folder / "adapter_config.json").read_text())
        config["base_model_name_or_path"] = str(base)
        _common.write_json(folder / "adapter_config.json", config)
        maker.golden(folder, "dense", cls=merged(base) if name == "lora_dora" else SentenceTransformer)
        if name == "lora_layers":  # the older file, which transformers 5.23 fails to open
            tensors = load_file(folder / "adapter_model.safetensors")
            (folder / "adapter_model.safetensors").unlink()
            torch.save(tensors, folder / "adapter_model.bin")
        (folder / "base").mkdir()
        for file in ("config.json", "model.safetensors"):
            shutil.copy(base / file, folder / "base")
        config["base_model_name_or_path"] = "base"
        _common.write_json(folder / "adapter_config.json", config)
