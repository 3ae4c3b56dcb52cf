"""Cost of truevec alone: seconds and peak memory against the tokens of a batch (up to 65,536) and against the length of one
text (up to 8,192, or the model's maximum), each point in a process of its own; as a table, and as an SVG by matplotlib."""
import json
import subprocess

from engine import Engine
from report import bounded, growth

WORD = "water "


def points(against, longest):
    """Pairs of length and texts."""
    if against == "tokens":
        length = min(256, longest)
        return [(length, tokens // length) for tokens in (1024, 2048, 4096, 8192, 16384, 32768, 65536)]
    return [(length, 1) for length in (64, 128, 256, 512, 1024, 2048, 4096, 8192) if length <= longest]


def measure(against, options, turns):
    inspected = subprocess.run([options.truevec, "inspect", options.model, "--json"], check=True, capture_output=True)
    longest = json.loads(inspected.stdout)["max_length"] or 8192
    rows = []
    for length, count in points(against, longest):
        engine = Engine(options.plot_engine, options)
        base = engine.run([WORD])["peak"]
        texts = [WORD * (length - 2)] * count
        turns.take()
        wall = min(engine.run(texts)["wall"][0] for _ in range(options.repeats))
        rows.append({"tokens": length * count, "length": length, "texts": count, "seconds": wall,
                     "us_per_token": 1e6 * wall / (length * count), "peak": engine.peak, "grown": engine.peak - base})
        engine.close()
    turns.give()
    return rows


def print_rows(against, rows):
    print(f"against {'the tokens of a batch' if against == 'tokens' else 'the length of one text'}")
    print("| tokens | texts of length | seconds | us a token | peak MB | grown by MB |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        print(f"| {row['tokens']} | {row['texts']} of {row['length']} | {row['seconds']:.3f} | {row['us_per_token']:.1f} | "
              f"{row['peak'] / 1e6:.0f} | {row['grown'] / 1e6:.1f} |")
    if rows[-1]["tokens"] < 2048:
        return
    grown = growth(rows)
    print(f"time grows as tokens^{grown['exponent']:.2f} from 1,024 tokens on; memory by "
          f"{grown['bytes_per_token_last'] / 1e3:.1f} kB a token at {rows[-1]['tokens']} tokens: "
          f"{'bounded' if bounded(rows) else 'NOT BOUNDED: faster than the tokens'}")


def draw(report, path):
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "truevec", "font.size": 9,
                                "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
                                "grid.color": "#dddddd", "grid.linewidth": 0.6})
    from matplotlib import pyplot
    from matplotlib.ticker import FuncFormatter
    figure, axes = pyplot.subplots(2, len(report["rows"]), figsize=(4.6 * len(report["rows"]), 5.2), squeeze=False)
    titles = {"tokens": "tokens of a batch", "length": "tokens of one text"}
    for column, (against, rows) in enumerate(report["rows"].items()):
        tokens = [row["tokens"] for row in rows]
        above, below = axes[0][column], axes[1][column]
        above.loglog(tokens, [row["seconds"] for row in rows], "o-", color="#1f5fa8", markersize=4, label="measured")
        line = [rows[0]["seconds"] * count / tokens[0] for count in tokens]
        above.loglog(tokens, line, "--", color="#999999", linewidth=1, label="in proportion to tokens")
        above.set_ylabel("seconds")
        above.legend(frameon=False)
        below.semilogx(tokens, [row["peak"] / 1e6 for row in rows], "o-", color="#a8481f", markersize=4)
        below.set_ylabel("peak memory, MB")
        below.set_ylim(0, 1.1e-6 * max(row["peak"] for row in rows))
        below.set_xlabel(titles[against])
        for axis in (above, below):
            axis.set_xticks(tokens, minor=False)
            axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1024:g}k" if value >= 1024 else f"{value:g}"))
            axis.minorticks_off()
    figure.suptitle(f"{report['model'].rstrip('/').split('/')[-1]}, {report['engine']}, {report['threads']} threads")
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})


def run(options, turns):
    wanted = ["tokens", "length"] if options.plot == "both" else [options.plot]
    report = {"schema": "truevec.bench.plot/2", "model": options.model, "engine": options.plot_engine,
              "threads": options.threads, "rows": {against: measure(against, options, turns) for against in wanted}}
    if options.svg:
        draw(report, options.svg)
    if options.json:
        print(json.dumps(report))
    else:
        print(f"{options.model}, {options.plot_engine}, {options.threads} threads, best of {options.repeats}")
        for against, rows in report["rows"].items():
            print_rows(against, rows)
    return 0 if all(bounded(rows) for rows in report["rows"].values() if rows[-1]["tokens"] >= 2048) else 1
