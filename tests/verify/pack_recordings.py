#!/usr/bin/env python3
"""OUT/*.npy of make_recordings.py into one file: pack_recordings.py OUT [OUT ...] > recordings.json

The first OUT's own name is written as "model": for families/NAME.json it is that of the model in tests/golden/pipeline.
"""
import base64
import json
import pathlib
import sys

import numpy
import torch
import transformers

out = {"model": pathlib.Path(sys.argv[1]).name, "transformers": transformers.__version__, "torch": torch.__version__, "texts": [], "vectors": {}}
for folder in map(pathlib.Path, sys.argv[1:]):
    out["texts"] = [json.loads(line)["text"] for line in open(folder / "texts.jsonl", encoding="utf-8")]
    for path in sorted(folder.glob("*.npy")):
        out["vectors"][path.stem] = base64.b64encode(numpy.load(path).astype("<f4").tobytes()).decode()
json.dump(out, sys.stdout, ensure_ascii=False, indent=0)
