"""tests/golden/tokenizers: small trained tokenizer.json files of every kind with the reference's ids and offsets.

The tokenizers and strings are those of tests/tokenizer/differential.py; this keeps a sample for runs without Python.
"""
import json
import random
import shutil
import sys
from pathlib import Path

from goldens import _common

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "tokenizer"))
import differential  # noqa: E402


def make(root, _model_dir):
    folder = root / "tokenizers"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rng = random.Random(11)
    texts = differential.LITERALS + differential.CORPUS[:5] + [differential.random_text(rng) for _ in range(60)]
    for name, tokenizer in differential.trained_set().items():
        tokenizer.save(str(folder / f"{name}.json"), pretty=False)
        with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
            for text, encoding in zip(texts, tokenizer.encode_batch(texts)):
                file.write(json.dumps({"text": text, "ids": encoding.ids, "offsets": encoding.offsets}) + "\n")
    _common.write_json(folder / "meta.json", {"reference": _common.versions()})
