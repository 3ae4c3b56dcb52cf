#!/usr/bin/env python3
"""Faults of the reference, live over HTTP, against `truevec diagnose`: which are named.

    fault_matrix.py OUT.jsonl singles|pairs|healthy MODEL [FAULT ...]   runs and appends (what OUT has is not run again)
    fault_matrix.py OUT.jsonl table                                     prints the table and the misses
    fault_matrix.py OUT.jsonl causes                                    prints each cause id with the faults that ended in it

MODEL: a directory of fault_models.py, or all-MiniLM-L6-v2. TRUEVEC_BINARY names the binary. A fault that moves no
vector of the run counts as healthy: nothing may be named.
"""
import itertools
import json
import os
import random
import resource
import subprocess
import sys
import time

from fault_causes import CAUSES, EXPECTED, judge

if sys.argv[2:3] not in (["table"], ["causes"]):  # the table needs no PyTorch
    import numpy
    import torch

    from fault_engine import Engine, as_numpy
    from fault_server import FaultServer

STAGES = [["html", "newlines"], ["prompt-query", "prompt-none"], ["no-specials", "no-last", "doubled", "eos-im-end"],
          ["cased", "lowered", "keep-accents", "greedy", "no-metaspace", "no-basic"],
          ["max-64", "tail", "chunks", "max-77"], ["positions-2", "theta-10000", "types-omitted"],
          ["causal", "bidirectional", "window-off", "no-relative-bias"], ["norm-biases", "biases", "no-final-norm"],
          ["cls", "mean", "last", "no-dense"], ["no-norm", "normalized", "scaled"], ["bf16", "fp16", "q8_0"],
          ["attend-right", "permuted", "base64-big"]]
BINARY = os.environ.get("TRUEVEC_BINARY", "build/release/bin/truevec")


def distance(a, b):
    if a.shape != b.shape or not (numpy.isfinite(a).all() and numpy.isfinite(b).all()):
        return 2.0
    x, y = (v.astype(numpy.float64) / max(numpy.linalg.norm(v), 1e-30) for v in (a, b))
    return float(((x - y) ** 2).sum() / 2)


def moved(a, b):
    return distance(a, b) > 1e-9 or abs(numpy.linalg.norm(a) / max(numpy.linalg.norm(b), 1e-30) - 1) > 1e-4


class Runner:
    def __init__(self, model):
        self.model = model
        self.healthy = Engine(model)
        self.vectors = {}
        texts = ["Hello world, this is a test of the pipeline.", "a", "café " * 300]
        for text, wanted in zip(texts, self.healthy.st.encode(texts)):
            apart = distance(self.right(text), wanted)
            assert apart < 1e-10, f"{model}: the engine without faults is {apart} from the reference"

    def right(self, text):
        if text not in self.vectors:
            self.vectors[text] = as_numpy(self.healthy.one(text))
        return self.vectors[text]

    def visible(self, server):
        if server.engine.plan.wire and server.dialect == "openai":
            return True
        if any(moved(v, self.right(t)) for t, v in server.seen.items()):
            return True
        return any(moved(v, self.right(t)) for texts, vectors in server.batches for t, v in zip(texts, vectors))

    def hidden(self, faults, server):
        """Of several faults those without which every answer is the same."""
        hidden = []
        for fault in faults if len(faults) > 1 else ():
            rest = Engine(self.model, [f for f in faults if f != fault])
            same = all(not moved(as_numpy(rest.one(t)), v) for t, v in server.seen.items())
            if same and (rest.plan.batch, rest.plan.mask) == (server.engine.plan.batch, server.engine.plan.mask):
                hidden.append(fault)
        return hidden

    def indistinct(self, faults, server):
        """Whether the model as loaded is as near to the one at a random start as another random start is: the small
        models' own weights are random, and a norm behind a layer hides how large they are."""
        other = Engine(self.model, faults, seed=1)
        texts = [t for t in server.seen if len(t) < 100]
        to_loaded = sum(distance(self.right(t), server.seen[t]) for t in texts)
        return to_loaded < 1.2 * sum(distance(as_numpy(other.one(t)), server.seen[t]) for t in texts)

    def run(self, faults, **options):
        """One diagnosis; None when the model cannot have the fault."""
        try:
            engine = Engine(self.model, faults)
            engine.one("a b c")
        except Exception as error:  # the model has no such part
            print(f"   {'+'.join(faults)}: not here ({type(error).__name__}: {error})"[:110])
            return None
        server = FaultServer(engine, os.path.basename(self.model), **options)
        start, before = time.time(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([BINARY, "diagnose", self.model, "--against", server.url, "--json"],
                              capture_output=True, text=True, timeout=300, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        server.close()
        if done.returncode not in (0, 1):
            return {"error": done.stderr[-300:], "visible": True, "found": [], "cpu": 0, "wall": 0, "requests": 0}
        d = json.loads(done.stdout)
        row = {"found": [c["id"] for c in d["causes"]], "variants": [c.get("variant", "") for c in d["causes"]],
                "says": [c["evidence"][-1] for c in d["causes"]], "verdict": d["verdict"],
                "cosine": d["metrics"]["cosine"]["min"], "visible": self.visible(server), "requests": d["requests"],
                "cpu": round(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, 2),
                "wall": round(time.time() - start, 1)}
        if len(faults) > 1 and judge({"kind": "pairs", "faults": faults, **row}) != "hit":
            row["hidden"] = self.hidden(faults, server)
        if faults in (["random-last-layer"], ["random-all"]):
            row["indistinct"] = self.indistinct(faults, server)
        return row


def pairs(name, singles, count):
    """Pairs of faults of different stages that each show alone, chosen by the family's name."""
    usable = [[f for f in stage if (r := singles.get(f)) and r["visible"]] for stage in STAGES]
    every = [(a, b) for x, y in itertools.combinations(usable, 2) for a in x for b in y]
    return random.Random(name).sample(every, min(count, len(every)))


HEALTHY = {  # name -> faults, server options, causes that may be named (precision is not an accusation)
    "plain": ([], {}, []), "tei": ([], {"dialect": "tei"}, []), "ollama": ([], {"dialect": "ollama"}, []),
    "no-usage": ([], {"usage": False}, []), "slow": ([], {"delay": 0.05}, []), "limited": ([], {"limit_every": 5}, []),
    "noise": (["noise"], {}, []), "padded-batches": (["healthy-padding"], {}, []),
    "fp16": (["fp16"], {}, ["precision-float16"]), "bf16": (["bf16"], {}, ["precision-bfloat16"]),
    "bf16-weights": (["bf16-weights"], {}, ["precision-bfloat16"]), "float64": (["float64"], {}, []),
}


def table(rows):
    """hits / all by model and kind, then what was missed. Of a run made again the last counts."""
    rows = list({(r["model"], r["kind"], "+".join(r["faults"])): r for r in rows}.values())
    cells, misses = {}, []
    for row in rows:
        verdict = judge(row)
        kind = row["kind"] if row["visible"] or row["kind"] == "healthy" else "no effect"
        cell = cells.setdefault((row["model"], kind), [0, 0, 0])
        cell[0] += verdict == "hit"
        cell[1] += 1
        cell[2] += verdict == "WRONG"
        if verdict != "hit":
            misses.append((verdict, row))
    kinds = ["singles", "pairs", "healthy", "no effect"]
    print("| model | " + " | ".join(kinds) + " |\n|---|" + "---|" * len(kinds))
    totals = {k: [0, 0, 0] for k in kinds}
    for model in sorted({m for m, _ in cells}):
        line = []
        for kind in kinds:
            cell = cells.get((model, kind), [0, 0, 0])
            totals[kind] = [a + b for a, b in zip(totals[kind], cell)]
            line.append(f"{cell[0]} of {cell[1]}" + (f", {cell[2]} wrong" if cell[2] else "") if cell[1] else "-")
        print(f"| {model} | " + " | ".join(line) + " |")
    print("| all | " + " | ".join(f"{a} of {b}" + (f", {c} wrong" if c else "") for a, b, c in totals.values()) + " |")
    for verdict, row in sorted(misses, key=lambda m: (m[0], m[1]["model"])):
        print(f"{verdict} {row['model']} {'+'.join(row['faults'])}: said {row['found']} {row.get('variants')} "
              f"{row.get('says')} {row.get('error', '')} cosine {row.get('cosine')}")
    if rows:
        print(f"requests: at most {max(r['requests'] for r in rows)}; CPU seconds: median "
              f"{sorted(r['cpu'] for r in rows)[len(rows) // 2]}, most {max(r['cpu'] for r in rows)}")


def causes(rows):
    """What was named, rightly, in a run of one fault."""
    named = {c: {} for c in CAUSES}
    for row in rows:
        if row["kind"] == "singles" and row["visible"] and judge(row) == "hit":
            for cause in row["found"]:
                named[cause].setdefault(row["faults"][0], set()).add(row["model"])
    for cause, faults in named.items():
        print(f"{cause}: " + (", ".join(f"{f} ({len(m)})" for f, m in sorted(faults.items())) or "NO LIVE ROW"))


def main():
    out, kind = sys.argv[1:3]
    rows = [json.loads(line) for line in open(out, encoding="utf-8")] if os.path.exists(out) else []
    if kind in ("table", "causes"):
        return {"table": table, "causes": causes}[kind](rows)
    torch.set_num_threads(1)
    model = sys.argv[3].rstrip("/")
    name = os.path.basename(model)
    done = {(r["model"], r["kind"], "+".join(r["faults"])): r for r in rows}
    runner = Runner(model)
    limit = time.time() + float(os.environ.get("FAULT_SECONDS", "1e9"))
    if kind == "healthy":
        plan = [([h], *HEALTHY[h]) for h in (sys.argv[4:] or HEALTHY)]
    elif kind == "pairs":
        singles = {r["faults"][0]: r for r in rows if r["model"] == name and r["kind"] == "singles"}
        chosen = [f.split("+") for f in sys.argv[4:]] or pairs(name, singles, int(os.environ.get("FAULT_PAIRS", "20")))
        plan = [(list(p), list(p), {}, []) for p in chosen]
    else:
        plan = [([f], [f], {}, []) for f in (sys.argv[4:] or EXPECTED)]
    for label, faults, options, allowed in plan:
        if (name, kind, "+".join(label)) in done and not sys.argv[4:]:
            continue
        if time.time() > limit:
            print("time is over")
            break
        result = runner.run(faults, **options)
        if result is None:
            continue
        row = {"model": name, "kind": kind, "faults": label, "allowed": allowed, **result}
        print(f"{judge(row):5} {name} {'+'.join(label)}: {row['found']} {row.get('variants')} "
              f"{row.get('error', '')} seen {row['visible']} {row['cpu']} s", flush=True)
        with open(out, "a", encoding="utf-8") as f:
            f.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
