#!/usr/bin/env python3
"""llama.cpp for the comparisons, and GGUF files for it.

  llama_cpp.py install FOLDER                       programs as FOLDER/bin/llama-server, -bench, -quantize, ...
  llama_cpp.py gguf FOLDER MODEL TYPE FILE PYTHON   FILE from a Hugging Face directory; TYPE: f32, f16, bf16, q8_0, auto

The packages of llama-cpp.txt (Debian forky, by SHA-256) are unpacked, nothing is installed in the system and no root is
needed: their programs are started by their own ld.so with their own libraries. PYTHON has torch and transformers; the
converter is the package's own.
"""
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

LIST = Path(__file__).with_name("llama-cpp.txt")
# A package leaves the first when a newer version has come; the second has all there ever were.
MIRRORS = (os.environ.get("TRUEVEC_DEBIAN_MIRROR", "http://deb.debian.org/debian"),
           "http://snapshot.debian.org/archive/debian/20261126T000000Z")
LIBRARIES = "usr/lib/x86_64-linux-gnu"
WRAPPER = """#!/bin/sh
root={root}
exec "$root/{libraries}/ld-linux-x86-64.so.2" --argv0 "$0" --library-path "$root/{libraries}:$root/{libraries}/llama" \\
  "$root/usr/bin/{program}" "$@"
"""


def fetch(path, digest):
    errors = []
    for mirror in MIRRORS:
        try:
            with urllib.request.urlopen(f"{mirror}/{path}", timeout=60) as reply:
                data = reply.read()
        except (OSError, urllib.error.URLError) as error:
            errors.append(f"{mirror}: {error}")
            continue
        if hashlib.sha256(data).hexdigest() == digest:
            return data
        errors.append(f"{mirror}: SHA-256 is {hashlib.sha256(data).hexdigest()}, expected {digest}")
    sys.exit(f"llama_cpp.py: {path}: " + "; ".join(errors) + f" (the versions are in {LIST})")


def install(folder):
    wanted = LIST.read_text(encoding="ascii")
    mark = folder / ".installed"
    if mark.is_file() and mark.read_text(encoding="ascii") == wanted:
        return
    print(f"llama_cpp.py: unpacking llama.cpp from Debian into {folder}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    root = folder / "root"
    root.mkdir(parents=True)
    with tempfile.NamedTemporaryFile(suffix=".deb") as package:
        for digest, path in (line.split() for line in wanted.splitlines()):
            package.seek(0)
            package.truncate()
            package.write(fetch(path, digest))
            package.flush()
            subprocess.run(["dpkg-deb", "-x", package.name, str(root)], check=True)
    # ggml looks for its CPU backends beside the program, which is ld.so here.
    for backend in (root / LIBRARIES / "ggml/backends0").glob("libggml-cpu-*.so"):
        (root / LIBRARIES / backend.name).symlink_to(backend.relative_to(root / LIBRARIES))
    (folder / "bin").mkdir()
    for program in (root / "usr/bin").glob("llama-*"):
        wrapper = folder / "bin" / program.name
        wrapper.write_text(WRAPPER.format(root=root.resolve(), libraries=LIBRARIES, program=program.name), encoding="utf-8")
        wrapper.chmod(0o755)
    mark.write_text(wanted, encoding="ascii")


def make_gguf(folder, model, kind, target, python):
    if target.is_file():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    root = folder / "root"
    part = target.with_suffix(".part")
    path = os.pathsep.join(str(root / place) for place in ("usr/lib/python3/dist-packages", "usr/share/llama.cpp/llama.cpp-tools"))
    done = subprocess.run([python, root / "usr/share/doc/llama.cpp-tools/scripts/convert_hf_to_gguf.py", model, "--outtype", kind,
                           "--outfile", part], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"llama_cpp.py: convert_hf_to_gguf.py failed on {model}:\n{done.stderr[-2000:]}")
    part.rename(target)


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "install":
        install(Path(sys.argv[2]))
    elif len(sys.argv) == 7 and sys.argv[1] == "gguf":
        make_gguf(Path(sys.argv[2]), sys.argv[3], sys.argv[4], Path(sys.argv[5]), sys.argv[6])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
