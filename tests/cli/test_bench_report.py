"""What bench/peers makes of its samples: medians, ratios within a round, growth; and its locks."""
import fcntl
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench" / "peers"))
import report  # noqa: E402


def sample(*wall, cpu=1.0):
    return {"wall": list(wall), "cpu": cpu}


class Report(unittest.TestCase):
    def test_precision_is_the_class_of_an_engine(self):
        for engine, wanted in {"truevec": "float32", "onnxruntime": "float32", "openvino-f32": "float32",
                               "vllm-bfloat16": "bfloat16", "openvino-default": "bfloat16",
                               "truevec-int8": "int8", "ctranslate2-int8": "int8"}.items():
            self.assertEqual(report.precision(engine), wanted, engine)

    def test_medians_over_rounds_and_percentiles_over_passes(self):
        row = report.row_of("8x32", "truevec", [sample(1, 3), sample(4), sample(9)], tokens=256, texts=8)
        self.assertEqual((row["seconds"], row["passes"], row["p50_ms"], row["p95_ms"]), (4, 4, 3500, 9000))
        self.assertEqual((row["tokens_per_second"], row["texts_per_second"]), (64, 2))

    def test_ratios_are_taken_within_rounds_against_the_best_of_the_same_precision(self):
        # The machine is twice as slow in the second round, for everybody.
        rows = [report.row_of("query", name, [sample(a), sample(b), sample(c)], 8, 1) for name, (a, b, c) in
                {"truevec": (1, 2, 1), "slow": (3, 6, 3), "fast": (1.5, 3, 1.5), "fast-int8": (.1, .1, .1)}.items()]
        found = report.ratios(rows)
        self.assertEqual([(r["engine"], r["peer"], r["ratio"]) for r in found], [("truevec", "fast", 1.5)])

    def test_growth_and_bounded_memory(self):
        linear = [{"tokens": n, "seconds": n * 2.0, "grown": n * 4000} for n in (64, 1024, 2048, 8192)]
        grown = report.growth(linear)
        self.assertAlmostEqual(grown["exponent"], 1)
        self.assertEqual(grown["bytes_per_token_last"], 4000)
        self.assertTrue(report.bounded(linear))
        squares = [{"tokens": n, "seconds": n * n * 1.0, "grown": n * n * 12} for n in (1024, 2048, 4096, 8192)]
        self.assertAlmostEqual(report.growth(squares)["exponent"], 2)
        self.assertFalse(report.bounded(squares))


class Locks(unittest.TestCase):
    def test_turns_are_exclusive_and_given_back(self):
        try:
            import engine
        except ImportError:
            self.skipTest("numpy is not installed")
        with tempfile.NamedTemporaryFile() as file, open(file.name, encoding="ascii") as other:
            turns = engine.Turns([file.name])
            turns.take()
            with self.assertRaises(BlockingIOError):
                fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
            turns.give()
            fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)


if __name__ == "__main__":
    unittest.main()
