#!/usr/bin/env python3
"""Writes files, gzip-compressed, into one C++ source: embed_files.py OUTPUT NAME=PATH...

The bytes come in through .incbin, so that a compiler never parses a megabyte of numbers. The table is in
src/server/assets.h.
"""
import gzip
import os
import sys


def main():
    output, *items = sys.argv[1:]
    lines = ['// Made by tools/embed_files.py.', '#include "server/assets.h"', "", 'extern "C" {']
    table = []
    for i, item in enumerate(items):
        name, path = item.split("=", 1)
        packed = os.path.abspath(f"{output}.{i}.gz")
        with open(path, "rb") as source, open(packed, "wb") as target:
            target.write(gzip.compress(source.read(), 9, mtime=0))
        lines += [f'__asm__(".section .rodata\\n.balign 16\\ntv_asset_{i}:\\n.incbin \\"{packed}\\"\\n'
                  f'tv_asset_{i}_end:\\n.byte 0\\n.previous\\n");',
                  f"extern const char tv_asset_{i}[] __attribute__((visibility(\"hidden\")));",
                  f"extern const char tv_asset_{i}_end[] __attribute__((visibility(\"hidden\")));"]
        table.append(f'      {{"{name}", {{tv_asset_{i}, static_cast<size_t>(tv_asset_{i}_end - tv_asset_{i})}}}},')
    lines += ["}", "", "namespace truevec {", "", "std::string_view FindAsset(std::string_view name) {",
              "  struct Row {", "    std::string_view name;", "    std::string_view bytes;", "  };",
              "  const Row rows[] = {", *table, "  };", "  for (const Row& row : rows) {",
              "    if (row.name == name) return row.bytes;", "  }", "  return {};", "}", "", "}  // namespace truevec"]
    with open(output, "w", encoding="utf-8") as target:
        target.write("\n".join(lines) + "\n")


main()
