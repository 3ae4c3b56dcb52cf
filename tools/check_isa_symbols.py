#!/usr/bin/env python3
"""Fails when an object built for one instruction set defines a weak or foreign global symbol.

Such a symbol could be chosen by the linker for code that must run on any CPU. Usage: check_isa_symbols.py OBJECT...
"""
import re
import subprocess
import sys


def main() -> int:
    bad = []
    for path in sys.argv[1:]:
        match = re.search(r"isa_(\w+)\.cc", path)
        if not match:
            continue
        for line in subprocess.check_output(["nm", "-C", "--defined-only", path], text=True).splitlines():
            _, kind, name = line.split(maxsplit=2)
            if kind.islower() and kind not in "vwu":
                continue
            if kind in "vwVW" or f"truevec::kernels::{match[1]}::" not in name:
                bad.append(f"{path}: {kind} {name}")
    print("\n".join(bad) if bad else "no leaked symbols")
    return 1 if bad else 0


sys.exit(main())
