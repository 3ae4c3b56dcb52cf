#!/usr/bin/env python3
"""Fails when a module of src/ includes one that the table does not allow (ARCHITECTURE.md, "Layers")."""
import re
import sys
from pathlib import Path

ALLOWED = {
    "base": set(),
    "unicode": {"base"},
    "tokenizer": {"base", "unicode"},
    "kernels": set(),
    "tensor": {"base", "kernels"},
    "weights": {"base", "tensor"},
    "models": {"base", "tensor", "weights"},
    "spec": {"base", "weights", "tokenizer", "models", "tensor"},
    "pipeline": {"base", "unicode", "tensor", "weights", "tokenizer", "models", "spec", "kernels"},
    "engine": {"base", "pipeline", "spec", "tokenizer", "tensor", "kernels"},
    "net": {"base"},
    "verify": {"base", "unicode", "tensor", "weights", "tokenizer", "spec", "pipeline", "engine", "net"},
    "eval": {"base", "engine", "verify"},
    "server": {"base", "engine", "net"},
    "cli": None,  # everything
}
# kernels may use C headers only, so that no inline code of another module is compiled for one instruction set.
KERNEL_SYSTEM_HEADERS = {"simde/x86/avx512.h", "simde/x86/avx512/dpwssd.h", "cpuid.h", "sys/syscall.h", "unistd.h", "stdint.h", "string.h", "immintrin.h", "arm_neon.h",
                         "math.h"}


def main() -> int:
    root = Path(__file__).parent.parent / "src"
    bad = []
    for path in sorted(root.glob("*/*")):
        if path.suffix not in (".h", ".cc"):
            continue
        module = path.parent.name
        if module not in ALLOWED:
            bad.append(f"{path}: module {module} is not in the table")
            continue
        is_test = path.stem.endswith("_test")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            own = re.match(r'\s*#include "([a-z]+)/', line)
            system = re.match(r"\s*#include <([^>]+)>", line)
            if own and own[1] != module and own[1] != "truevec":
                allowed = ALLOWED[module]
                if allowed is not None and own[1] not in allowed:
                    bad.append(f"{path.relative_to(root)}:{number}: {module} may not include {own[1]}")
            if module == "kernels" and not is_test and system and system[1] not in KERNEL_SYSTEM_HEADERS:
                bad.append(f"{path.relative_to(root)}:{number}: kernels may include C headers only, not <{system[1]}>")
    print("\n".join(bad) if bad else "layers: every include is allowed")
    return 1 if bad else 0


sys.exit(main())
