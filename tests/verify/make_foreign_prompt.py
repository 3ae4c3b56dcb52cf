#!/usr/bin/env python3
"""foreign_prompt.json: what a server of model/ with a default prompt and another vocabulary's ids answers to all that
`truevec diagnose` asks it. make_foreign_prompt.py OUT; TRUEVEC_BINARY names the binary."""
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile

import numpy
import torch
import transformers

from fault_engine import Engine
from fault_server import FaultServer

PROMPT = "query: "
HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        model = f"{folder}/model"
        shutil.copytree(f"{HERE}/model", model)
        with open(f"{model}/config_sentence_transformers.json", "w", encoding="utf-8") as f:
            json.dump({"prompts": {"query": PROMPT}, "default_prompt_name": "query"}, f)
        server = FaultServer(Engine(model, ["ids-foreign"]), "model")
        subprocess.run([os.environ["TRUEVEC_BINARY"], "diagnose", model, "--against", server.url], check=False)
        server.close()
    with open(sys.argv[1], "w", encoding="utf-8") as f:
        json.dump({"transformers": transformers.__version__, "torch": torch.__version__, "prompt": PROMPT,
                   "texts": list(server.seen),
                   "vectors": base64.b64encode(numpy.stack(list(server.seen.values())).astype("<f4").tobytes()).decode()},
                  f, ensure_ascii=False, indent=0)


if __name__ == "__main__":
    main()
