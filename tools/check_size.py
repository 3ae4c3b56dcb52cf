#!/usr/bin/env python3
"""Fails on source files over 1,000 lines and functions over 120; generated tables are exempt.

A function is a brace block at column 0 to 4 whose opening line ends a signature; close enough for our formatting.
"""
import re
import sys
from pathlib import Path

MAX_FILE, MAX_FUNCTION = 1000, 120
START = re.compile(r"^( *)\S.*\)( const| override| noexcept| final|( -> [\w:<>]+))* \{$")


def long_functions(lines):
    opened = None
    for number, line in enumerate(lines, 1):
        match = START.match(line)
        if opened is None and match and not line.lstrip().startswith(("namespace", "if", "for", "while", "switch")):
            first = number - 1  # the signature begins where its continuation lines end
            while len(lines[first]) - len(lines[first].lstrip()) > 4 or lines[first].lstrip().startswith(": "):
                first -= 1
            opened = (first + 1, lines[first][: len(lines[first]) - len(lines[first].lstrip())])
        elif opened is not None and line.startswith(opened[1] + "}"):
            if number - opened[0] > MAX_FUNCTION:
                yield opened[0], number - opened[0]
            opened = None


def main() -> int:
    root = Path(__file__).parent.parent
    bad = []
    for pattern in ("src/**/*.cc", "src/**/*.h", "include/**/*.h", "bench/**/*.cc", "tests/**/*.cc", "tools/**/*.py",
                    "tests/**/*.py", "bench/**/*.py"):
        for path in sorted(root.glob(pattern)):
            if path.stem.endswith("_tables") or "_generated" in path.name:
                continue
            lines = path.read_text(encoding="utf-8").splitlines()
            if len(lines) > MAX_FILE:
                bad.append(f"{path.relative_to(root)}: {len(lines)} lines (at most {MAX_FILE})")
            if path.suffix != ".py":
                bad += [f"{path.relative_to(root)}:{start}: a function of {length} lines (at most {MAX_FUNCTION})"
                        for start, length in long_functions(lines)]
    print("\n".join(bad) if bad else "sizes: no file or function is too long")
    return 1 if bad else 0


sys.exit(main())
