"""tests/golden/weights: one small state dict in every layout, and files that must be refused."""
import json
import os
import pickle
import shutil
import zipfile

import torch
from safetensors.torch import save_file


class Evil:
    def __reduce__(self):
        return os.system, ("true",)


def make(root, _model_dir):
    base = root / "weights"
    shutil.rmtree(base, ignore_errors=True)
    generator = torch.Generator().manual_seed(5)
    wide = torch.randn(4, 5, generator=generator)
    tensors = {"layer.0.weight": torch.randn(3, 4, generator=generator), "layer.0.bias": torch.randn(3, generator=generator),
               "half": torch.randn(2, 2, generator=generator).to(torch.bfloat16), "ids": torch.tensor([1, 2]),
               "transposed": wide.t()}
    plain = {k: v.contiguous() for k, v in tensors.items()}
    parts = [dict(list(plain.items())[:2]), dict(list(plain.items())[2:])]

    def folder(name):
        path = base / name
        path.mkdir(parents=True)
        return path

    save_file(plain, str(folder("safetensors") / "model.safetensors"))
    for name, missing in (("sharded", False), ("sharded_missing", True)):
        path, weight_map = folder(name), {}
        for i, part in enumerate(parts):
            shard = f"model-0000{i + 1}-of-00002.safetensors"
            weight_map.update({k: shard for k in part})
            if not (missing and i == 1):
                save_file(part, str(path / shard))
        (path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    torch.save(tensors, folder("bin") / "pytorch_model.bin")
    torch.save(dict(tensors), folder("bin_protocol4") / "pytorch_model.bin", pickle_protocol=4)
    path, weight_map = folder("bin_sharded"), {}
    for i, part in enumerate([dict(list(tensors.items())[:3]), dict(list(tensors.items())[3:])]):
        shard = f"pytorch_model-0000{i + 1}-of-00002.bin"
        weight_map.update({k: shard for k in part})
        torch.save(part, path / shard)
    (path / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    torch.save({"a": torch.zeros(1), "epoch": 3}, folder("bin_not_tensors") / "pytorch_model.bin")
    with zipfile.ZipFile(folder("bin_evil") / "pytorch_model.bin", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"a": Evil()}, protocol=2))
    source = base / "bin" / "pytorch_model.bin"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(folder("bin_compressed") / "pytorch_model.bin", "w",
                                                         zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    folder("nothing")
    (base / "nothing" / "README").write_text("a folder without weights\n")
