#!/usr/bin/env python3
"""Fails when two headers define a class of one name in one namespace: the linker would merge what they share (the one
definition rule). src/kernels does not count: its headers are included in a namespace of their own each."""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CLASS = re.compile(r"^(?:class|struct)(?: \[\[[^\]]*\]\])? (\w+)(?: final)?(?: :| \{)", re.M)
found = {}
for path in sorted((ROOT / "src").rglob("*.h")):
    if path.parent.name == "kernels":
        continue
    text = path.read_text()
    namespace = re.search(r"^namespace ([\w:]+) \{", text, re.M)
    for name in CLASS.findall(text):
        found.setdefault(f"{namespace[1] if namespace else ''}::{name}", []).append(path.relative_to(ROOT))
twice = {name: paths for name, paths in found.items() if len(paths) > 1}
for name, paths in twice.items():
    print(f"{name}: defined in {' and '.join(map(str, paths))}")
if twice:
    sys.exit(1)
print("names: every class has a name of its own")
