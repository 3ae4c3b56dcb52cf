"""What the samples say: medians, ratios of the same round, tables; no package beside Python's own."""
import math
import statistics


def precision(engine):
    """The class in which an engine competes. OpenVINO's default is bfloat16 where the CPU has it."""
    for name in ("int8", "bfloat16"):
        if engine.endswith(name):
            return name
    return "bfloat16" if engine == "openvino-default" else "float32"


def ours(engine):
    return engine.startswith("truevec")


def row_of(workload, engine, samples, tokens, texts):
    """samples: one {"wall": [seconds of each pass], "cpu": seconds a pass} a round."""
    wall = statistics.median(statistics.mean(sample["wall"]) for sample in samples)
    cpu = statistics.median(sample["cpu"] for sample in samples)
    every = sorted(second for sample in samples for second in sample["wall"])
    return {"workload": workload, "engine": engine, "seconds": wall, "cpu_seconds": cpu, "passes": len(every),
            "p50_ms": 1e3 * statistics.median(every),
            "p95_ms": 1e3 * every[min(len(every) - 1, math.ceil(0.95 * len(every)) - 1)],
            "tokens_per_second": tokens / wall, "tokens_per_cpu_second": tokens / max(cpu, 1e-9),
            "texts_per_second": texts / wall, "rounds": [statistics.mean(sample["wall"]) for sample in samples]}


def speed(row):
    return f"{row['p50_ms']:.2f}" if row["workload"] == "query" else f"{row['tokens_per_second']:.0f}"


def ratios(rows):
    """For each of ours and each workload: how many times as fast as the best peer of its precision, by the median over
    rounds of the quotient within a round."""
    result = []
    for row in rows:
        if not ours(row["engine"]):
            continue
        peers = [other for other in rows if other["workload"] == row["workload"] and not ours(other["engine"]) and
                 precision(other["engine"]) == precision(row["engine"])]
        if not peers:
            continue
        best = min(peers, key=lambda other: other["seconds"])
        ratio = statistics.median(b / a for a, b in zip(row["rounds"], best["rounds"]))
        cpu = best["cpu_seconds"] / max(row["cpu_seconds"], 1e-9)
        result.append({"engine": row["engine"], "workload": row["workload"], "peer": best["engine"], "ratio": ratio,
                       "cpu_ratio": cpu})
    return result


def print_table(report):
    print(f"{report['model']}, {report['threads']} threads, {report['repeats']} rounds, interleaved, medians; cosines with "
          f"{report['reference']}")
    workloads = list(report["tokens"])
    heads = ["query p50 ms" if w == "query" else f"{w} tokens/s" for w in workloads]
    print("| engine | " + " | ".join(heads) + " | load s | peak RSS MB | cosine worst / mean |")
    print("|" + "---|" * (len(workloads) + 4))
    for name, about in report["engines"].items():
        found = {row["workload"]: speed(row) for row in report["rows"] if row["engine"] == name}
        cosine = about["cosine"]
        print(f"| {name} | " + " | ".join(found.get(workload, "-") for workload in workloads) +
              f" | {about['load']:.2f} | {about['peak'] / 1e6:.0f} | {cosine['worst']:.6f} / {cosine['mean']:.6f} |")
    for name in dict.fromkeys(item["engine"] for item in report["ratios"]):
        cells = [f"{item['workload']} {item['ratio']:.2f} ({item['cpu_ratio']:.2f} by CPU time; {item['peer']})"
                 for item in report["ratios"] if item["engine"] == name]
        print(f"{name} against the best peer of its precision: " + ", ".join(cells))
    for failure in report["failures"]:
        print(f"not run: {failure}")


def growth(rows):
    """Exponent of time against tokens between the first and the last point from 1,024 tokens on, and the bytes that the
    peak grew by for each token: at most, over those points, and at the last one."""
    far = [row for row in rows if row["tokens"] >= 1024]
    first, last = far[0], far[-1]
    exponent = math.log(last["seconds"] / first["seconds"]) / math.log(last["tokens"] / first["tokens"])
    per_token = [row["grown"] / row["tokens"] for row in far]
    return {"exponent": exponent, "bytes_per_token": max(per_token), "bytes_per_token_last": per_token[-1]}


def bounded(rows):
    """Whether memory grows no faster than the tokens: the last point costs no more bytes a token than twice the first
    (quadratic growth over three doublings would be eight times)."""
    far = [row for row in rows if row["tokens"] >= 1024]
    first, last = (max(row["grown"], 1 << 20) / row["tokens"] for row in (far[0], far[-1]))
    return last <= 2 * first
