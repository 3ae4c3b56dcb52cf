#!/usr/bin/env python3
"""Makes tests/golden from the Python reference; run it through `./dev golden [TOPIC...]`.

Usage: make_golden.py MODEL [TOPIC...]: MODEL is the default model's folder; topics are the modules of tools/goldens.
"""
import importlib
import pkgutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import goldens  # noqa: E402


def main() -> None:
    names = [m.name for m in pkgutil.iter_modules(goldens.__path__) if not m.name.startswith("_")]
    wanted = sys.argv[2:] or names
    root = Path(__file__).parent.parent / "tests" / "golden"
    for name in wanted:
        if name not in names:
            sys.exit(f"make_golden: no topic {name}; known: {', '.join(names)}")
        print(f"golden: {name}")
        importlib.import_module(f"goldens.{name}").make(root, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
