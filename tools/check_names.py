#!/usr/bin/env python3
"""Fails when two modules define a class of one name in namespace truevec: the linker would merge what they share (the
one definition rule). Headers only; what is in an unnamed namespace or in src/kernels (a namespace each) does not count."""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
found = {}
for path in sorted((ROOT / "src").rglob("*.h")):
    if path.parent.name == "kernels":
        continue
    for name in re.findall(r"^(?:class|struct)(?: \[\[[^\]]*\]\])? (\w+)(?: final)?(?: :| \{)", path.read_text(), re.M):
        found.setdefault(name, []).append(path.relative_to(ROOT))
twice = {name: paths for name, paths in found.items() if len(paths) > 1}
for name, paths in twice.items():
    print(f"{name}: defined in {' and '.join(map(str, paths))}")
if twice:
    sys.exit(1)
print("names: every class has a name of its own")
