#!/usr/bin/env python3
"""Writes docs/models.md: which models load, and the goldens that prove it. `--check` fails when the page is out of date.

Reads the registry (src/models/registry.cc), the goldens (tests/golden/models/*: config.json and cases.json;
tests/golden/pipeline/*) and the list of popular models, tools/popular_models.json: one line per model with
  models, model_type   names on the hub; config.json's model_type ("a, b": all of them are needed)
  task                 features, classification, mlm, causal; static has no backbone; others are not supported
  pooling, prompts, tokenizer   as the model's own files say
  remote               the published code is of another architecture than model_type says: its registry or golden name
  head                 a golden of the same head from a sibling architecture
  only                 goldens of tests/golden/models to name; default: all of the model_type and task
  also                 further folders of tests/golden that the claim needs
  refused              why it cannot load
"""
import argparse
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "models.md"
GOLDEN = ROOT / "tests" / "golden"


def registry():
    text = (ROOT / "src" / "models" / "registry.cc").read_text()
    return sorted(re.findall(r'Architecture\{"([^"]+)"', text))


def goldens():
    """name -> (model_type, task, has settings that it tells apart)"""
    found = {}
    for folder in sorted((GOLDEN / "models").iterdir()):
        config = json.loads((folder / "config.json").read_text())
        cases = json.loads((folder / "cases.json").read_text())
        found[folder.name] = (config["model_type"], cases["task"], cases["wrong"])
    return found


def proof(row, known):
    """Golden folders for the row, relative to tests/golden."""
    types = row["model_type"].split(", ")
    wanted = row.get("only")
    names = [n for n, (kind, task, _) in known.items()
             if task == row["task"] and (n in wanted if wanted else kind in types)]
    if "remote" in row:
        slug = row["remote"].replace("_", "-")
        names = [n for n, (kind, task, _) in known.items()
                 if task == row["task"] and (kind == row["remote"] or n.replace("_", "-").startswith(slug))]
    if row.get("head") in known:
        names.append(row["head"])
    paths = [f"models/{name}" for name in sorted(set(names))]
    return paths + row.get("also", [])


def verdict(row, types, known):
    """("yes" or why not, golden paths)"""
    if "refused" in row:
        return f"no: {row['refused']}", []
    missing = [t for t in row["model_type"].split(", ") if t not in types and t != "static"]
    if missing:
        return f"no: architecture {', '.join(missing)} is not in the registry yet", []
    paths = proof(row, known)
    backbone = [p for p in paths if p.startswith("models/")] or row["task"] == "static"
    if not backbone or not all((GOLDEN / path).is_dir() for path in paths):
        what = row.get("remote", row["model_type"])
        return f"no: nothing proves {row['task']} of {what} yet", []
    return "yes", paths


def page():
    types, known = registry(), goldens()
    rows = json.loads((ROOT / "tools" / "popular_models.json").read_text(encoding="utf-8"))
    verdicts = [verdict(row, types, known) for row in rows]
    loads = sum(v == "yes" for v, _ in verdicts)
    out = ["# Models", "",
           "Made by `tools/gen_models_doc.py` from the registry, the goldens and `tools/popular_models.json`; do not edit.",
           "", f"{loads} of {len(rows)} entries of the list of popular models load without a flag. A golden is a tiny",
           "checkpoint with random weights of the same architecture, made by the reference and compared in float64, layer",
           "by layer; folders are under `tests/golden`. `truevec inspect MODEL` shows what a model's own files say.", "",
           "| model | architecture | pooling | prompts | tokenizer | loads | goldens |", "|---|---|---|---|---|---|---|"]
    for row, (text, paths) in zip(rows, verdicts):
        cells = [row["models"], row.get("remote", row["model_type"]), row["pooling"], row["prompts"], row["tokenizer"],
                 text, ", ".join(p.removeprefix("models/") for p in paths)]
        out.append("| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |")
    out += ["", "## Architectures", "",
            "config.json's `model_type`, the heads that a golden covers, and wrong settings that the goldens tell apart.", "",
            "| model_type | tasks | goldens | told apart |", "|---|---|---|---|"]
    for kind in types:
        mine = {n: g for n, g in known.items() if g[0] == kind}
        tasks = sorted({g[1] for g in mine.values()})
        wrong = sorted({w.partition("=")[0] for g in mine.values() for w in g[2]})
        out.append(f"| {kind} | {', '.join(tasks)} | {', '.join(sorted(mine))} | {', '.join(wrong)} |")
    return "\n".join(out) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the page is out of date")
    arguments = parser.parse_args()
    text = page()
    if not arguments.check:
        PAGE.write_text(text, encoding="utf-8")
        print(f"{PAGE.relative_to(ROOT)}: {text.count('| yes |')} models load")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        sys.exit("docs/models.md is out of date: run tools/gen_models_doc.py")


if __name__ == "__main__":
    main()
