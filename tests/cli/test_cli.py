"""The command line: results, order, bad input, exit codes (CONTRACT section 4), nothing half-written."""
import json
import os
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

BINARY = os.environ["TRUEVEC_BINARY"]
GOLDEN = Path(os.environ["TRUEVEC_GOLDEN"])
MODEL = GOLDEN / "model"


def run(*args, stdin=None, env=None):
    return subprocess.run([BINARY, *map(str, args)], input=stdin, capture_output=True, timeout=300,
                          env={**os.environ, **(env or {})})


def read_npy(path):
    data = Path(path).read_bytes()
    assert data[:6] == b"\x93NUMPY"
    size = struct.unpack("<H", data[8:10])[0]
    header = eval(data[10:10 + size])  # a literal dict by the format
    values = struct.unpack(f"<{(len(data) - 10 - size) // 4}f", data[10 + size:])
    return header, values


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def model(self):
        copy = self.folder / "model"
        shutil.copytree(MODEL, copy)
        for path in copy.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        return copy

    def edit(self, copy, name, change):
        value = json.loads((copy / name).read_text())
        change(value)
        (copy / name).write_text(json.dumps(value))

    def refused(self, result, code, *parts):
        message = result.stderr.decode()
        self.assertEqual(result.returncode, code, message)
        for part in parts:
            self.assertIn(part, message)
        self.assertEqual(message.count("\n"), 1, message)
        self.assertEqual(result.stdout, b"")


class Embed(Folder):
    def test_json_lines_in_npy_out(self):
        out = self.folder / "out.npy"
        result = run("embed", MODEL, "--input", "-", "--output", out, stdin=b'{"text":"hi"}\n')
        self.assertEqual(result.returncode, 0, result.stderr)
        header, values = read_npy(out)
        self.assertEqual(header, {"descr": "<f4", "fortran_order": False, "shape": (1, 24)})
        self.assertAlmostEqual(sum(v * v for v in values), 1.0, places=6)

    def test_matches_the_reference(self):
        cases = [json.loads(line) for line in (GOLDEN / "cases.jsonl").read_text(encoding="utf-8").splitlines()]
        result = run("embed", MODEL, *[c["text"] for c in cases if c["text"]])
        vectors = [json.loads(line)["embedding"] for line in result.stdout.splitlines()]
        data = (GOLDEN / "vectors.npy").read_bytes()[128:]
        expected = [struct.unpack("<24d", data[i * 192:(i + 1) * 192]) for i, c in enumerate(cases) if c["text"]]
        for vector, row in zip(vectors, expected, strict=True):
            self.assertLess(max(abs(a - b) for a, b in zip(vector, row)), 2e-6)

    def test_order_is_input_order(self):
        words = "the cat sat on the mat world hello other unable".split()
        lines = [" ".join(words[i % 10:][:1 + i * 7 % 9]) + f" {i % 3}" for i in range(10_000)]
        source = self.folder / "in.txt"
        source.write_text("\n".join(lines) + "\n")
        out = self.folder / "out.jsonl"
        self.assertEqual(run("embed", MODEL, "--input", source, "--output", out).returncode, 0)
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        self.assertEqual([r["index"] for r in rows], list(range(10_000)))
        for i in (0, 17, 4_095, 4_096, 9_999):
            alone = run("embed", MODEL, lines[i])
            self.assertEqual(json.loads(alone.stdout)["embedding"], rows[i]["embedding"], lines[i])

    def test_normalize_switches_and_ids(self):
        lines = b'{"id": "x7", "body": "cat"}\n'
        result = run("embed", MODEL, "--input", "-", "--text-column", "body", "--id-column", "id", "--no-normalize",
                     stdin=lines)
        row = json.loads(result.stdout)
        self.assertEqual(row["id"], "x7")
        self.assertGreater(abs(sum(v * v for v in row["embedding"]) - 1), 0.01)

    def test_options_from_variables_and_file(self):
        plain = run("embed", MODEL, "cat").stdout
        self.assertNotEqual(run("embed", MODEL, "cat", env={"TRUEVEC_POOLING": "cls"}).stdout, plain)
        config = self.folder / "truevec.toml"
        config.write_text('[embed]\npooling = "cls"\n')
        self.assertNotEqual(run("--config", config, "embed", MODEL, "cat").stdout, plain)

    def test_truncation_is_reported(self):
        result = run("embed", MODEL, "the cat " * 100)
        self.assertIn(b"1 of 1 texts were truncated to 40 tokens", result.stderr)
        self.refused(run("embed", MODEL, "the cat " * 100, "--on-long", "error"), 4, "40")


class BadInput(Folder):
    def test_usage(self):
        self.refused(run("embed", MODEL), 2, "no texts")
        self.refused(run("embed", MODEL, "a", "--colour"), 2, "--colour")
        self.refused(run("frobnicate", "x"), 2, 'unknown command "frobnicate"')
        self.refused(run("embed", MODEL, "a", "--isa", "mmx"), 2, "mmx", "scalar")
        self.refused(run("embed", MODEL, "a", "--override", "nonsense_key=3"), 2, "nonsense_key")
        self.refused(run("embed", MODEL, "a", "--prompt-name", "nope"), 2, "nope")

    def test_input_lines(self):
        source = self.folder / "in.jsonl"
        source.write_bytes(b'{"text":"a"}\n{"text":3}\n')
        out = self.folder / "out.npy"
        self.refused(run("embed", MODEL, "--input", source, "--output", out), 4, "in.jsonl:2", "text", "3")
        source.write_bytes(b'{"text":"a"}\n{"text":\n')
        self.refused(run("embed", MODEL, "--input", source, "--output", out), 4, "in.jsonl:2", "JSON")
        text = self.folder / "in.txt"
        text.write_bytes(b"fine\nbroken \xff\n")
        self.refused(run("embed", MODEL, "--input", text, "--output", out), 4, "in.txt:2", "UTF-8")
        self.refused(run("embed", MODEL, "--input", self.folder / "none.txt"), 4, "none.txt")
        self.assertEqual([p.name for p in self.folder.iterdir() if p.name.startswith("out")], [])

    def test_outputs(self):
        self.refused(run("embed", MODEL, "a", "--output", self.folder / "no" / "out.npy"), 4, "out.npy")
        self.refused(run("embed", MODEL, "a", "--output", self.folder / "out.xyz"), 2, ".npy")
        self.refused(run("embed", MODEL, "a", "--output", "/dev/full"), 6, "/dev/full")

    def test_interrupt_leaves_nothing(self):
        out = self.folder / "out.npy"
        process = subprocess.Popen([BINARY, "embed", MODEL, "--input", "-", "--output", out], stdin=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        process.stdin.write(b"cat\n" * 5000)
        process.stdin.flush()
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        process.stdin.close()
        self.assertEqual(process.wait(timeout=60), 130)
        process.stderr.close()
        self.assertEqual(list(self.folder.iterdir()), [])


class BadModels(Folder):
    def check(self, copy, *parts, code=3):
        self.refused(run("embed", copy, "a"), code, *parts)

    def test_missing_directory(self):
        self.check(self.folder / "none", "none")

    def test_truncated_weights(self):
        copy = self.model()
        path = copy / "model.safetensors"
        path.write_bytes(path.read_bytes()[:-100])
        self.check(copy, "model.safetensors", "truncated")
        path.write_bytes(b"\x00" * 4)
        self.check(copy, "model.safetensors", "header")

    def test_missing_weights(self):
        copy = self.model()
        (copy / "model.safetensors").unlink()
        self.check(copy, "model.safetensors")

    def rewrite(self, copy, change):
        """Applies change(header) to the safetensors header; data stays."""
        path = copy / "model.safetensors"
        data = path.read_bytes()
        size = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8:8 + size])
        change(header)
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size:])

    def test_missing_and_unread_tensor(self):
        copy = self.model()
        self.rewrite(copy, lambda h: h.update({"surprise": h.pop("encoder.layer.1.output.dense.bias")}))
        self.check(copy, "encoder.layer.1.output.dense.bias", "missing")
        copy2 = self.folder / "second"
        shutil.copytree(MODEL, copy2)
        (copy2 / "model.safetensors").chmod(0o644)
        self.rewrite(copy2, lambda h: h.update({"surprise": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}))
        self.check(copy2, "surprise")

    def test_wrong_shape_and_dtype(self):
        copy = self.model()
        self.rewrite(copy, lambda h: h["encoder.layer.0.output.dense.weight"].update(shape=[40, 24]))
        self.check(copy, "encoder.layer.0.output.dense.weight", "[24, 40]", "[40, 24]")
        copy2 = self.folder / "second"
        shutil.copytree(MODEL, copy2)
        (copy2 / "model.safetensors").chmod(0o644)
        self.rewrite(copy2, lambda h: h["encoder.layer.0.output.dense.weight"].update(dtype="I32"))
        self.check(copy2, "encoder.layer.0.output.dense.weight", "I32")

    def test_overlap(self):
        copy = self.model()

        def overlap(header):
            names = sorted((n for n in header if n != "__metadata__"), key=lambda n: header[n]["data_offsets"])
            begin, end = header[names[1]]["data_offsets"]
            header[names[1]]["data_offsets"] = [begin - 4, end - 4]
        self.rewrite(copy, overlap)
        self.check(copy, "model.safetensors", "overlap")

    def test_unknown_things(self):
        copy = self.model()
        original = (copy / "config.json").read_text()
        self.edit(copy, "config.json", lambda c: c.update(model_type="frobert"))
        self.check(copy, "config.json: model_type", "frobert")
        (copy / "config.json").write_text(original)
        self.edit(copy, "config.json", lambda c: c.update(hidden_act="swoosh"))
        self.check(copy, "config.json: hidden_act", "swoosh")
        (copy / "config.json").write_text(original)
        self.edit(copy, "config.json", lambda c: c.update(position_embedding_type="relative_key"))
        self.check(copy, "position_embedding_type", "relative_key")
        (copy / "config.json").write_text(original)
        self.edit(copy, "modules.json", lambda m: m[1].update(type="sentence_transformers.models.Frobnicate"))
        self.check(copy, "modules.json", "Frobnicate")

    def test_broken_json(self):
        copy = self.model()
        (copy / "config.json").write_text('{"model_type": ')
        self.check(copy, "config.json", "JSON")

    def test_tokenizer(self):
        copy = self.model()
        (copy / "tokenizer.json").unlink()
        self.check(copy, "tokenizer")


class Tokenize(Folder):
    def test_ids_of_the_reference(self):
        lines = (GOLDEN / "cases.jsonl").read_bytes()
        result = run("tokenize", MODEL, "--input", "-", stdin=lines)
        self.assertEqual(result.returncode, 0, result.stderr)
        for line, case in zip(result.stdout.splitlines(), lines.splitlines(), strict=True):
            self.assertEqual(json.loads(line)["ids"], json.loads(case)["ids"])

    def test_a_bad_line_does_not_stop_the_rest(self):
        result = run("tokenize", MODEL / "tokenizer.json", "--input", "-", stdin=b"hello\nbad \xff\nworld\n")
        rows = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual(result.returncode, 4)
        self.assertEqual(["error" in r for r in rows], [False, True, False])
        self.assertEqual(rows[0]["tokens"][1], "hello")
        self.assertEqual(rows[0]["offsets"][1], [0, 5])


class Help(unittest.TestCase):
    def test_help_everywhere(self):
        for args in ([], ["embed"], ["tokenize"], ["version"]):
            result = run(*args, "--help")
            self.assertEqual(result.returncode, 0)
            self.assertIn(b"Usage", result.stdout)

    def test_version(self):
        self.assertIn("isa", json.loads(run("version", "--json").stdout))


class Bench(unittest.TestCase):
    def test_json_counts_work_and_names_the_instruction_set(self):
        result = run("bench", MODEL, "--workload", "query,8x32,tokenize,start", "--repeats", "1", "--threads", "1",
                     "--isa", "scalar", "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        report = json.loads(result.stdout)
        self.assertEqual((report["schema"], report["isa"], report["threads"]), ("truevec.bench/1", "scalar", 1))
        rows = {row["workload"]: row for row in report["workloads"]}
        self.assertEqual(set(rows), {"query", "8x32", "tokenize", "start"})
        self.assertEqual((rows["query"]["tokens"], rows["8x32"]["tokens"]), (8, 256))
        # Products grow with tokens, attention with their squares: never fewer operations a token.
        self.assertGreaterEqual(rows["8x32"]["gflops"] * rows["8x32"]["seconds_median"] * 8,
                                rows["query"]["gflops"] * rows["query"]["seconds_median"] * 256 * 0.999)
        for row in rows.values():
            self.assertGreater(row["seconds_median"], 0)
            self.assertLess(row.get("share_of_peak_cpu", 0), 1.2)

    def test_fidelity_of_every_dtype_with_the_fallbacks_that_inspect_lists(self):
        result = run("bench", MODEL, "--workload", "query", "--repeats", "1", "--fidelity", "--json", "-q")
        self.assertEqual(result.returncode, 0, result.stderr)
        fidelity = {row["dtype"]: row for row in json.loads(result.stdout)["fidelity"]}
        self.assertEqual(set(fidelity), {"bfloat16", "int8"})
        for dtype, row in fidelity.items():
            self.assertTrue(0.99 < row["cosine"]["worst"] <= row["cosine"]["mean"] < 1, row)
            warnings = json.loads(run("inspect", MODEL, "--json", "--dtype", dtype).stdout)["warnings"]
            self.assertEqual(row["fallbacks"], [text for text in warnings if "bfloat16 is used" in text])
        table = run("bench", MODEL, "--workload", "query", "--repeats", "1", "--dtype", "int8", "-q").stdout.decode()
        self.assertIn("int8: cosine with float32 worst 0.99", table)

    def test_the_same_texts_each_time(self):
        files = []
        for name in ("a", "b"):
            path = Path(tempfile.mkdtemp()) / f"{name}.json"
            self.addCleanup(shutil.rmtree, path.parent)
            self.assertEqual(run("bench", MODEL, "--write-texts", path).returncode, 0)
            files.append(path.read_bytes())
        self.assertEqual(files[0], files[1])
        texts = json.loads(files[0])
        self.assertEqual({name: len(list_) for name, list_ in texts.items()},
                         {"query": 1, "8x32": 8, "64x256": 64, "mixed400": 400, "mixed4000": 4000, "long512": 4})

    def test_workloads_of_any_size(self):
        result = run("bench", MODEL, "--workload", "3x5,query", "--repeats", "1", "--threads", "1", "--json", "-q")
        self.assertEqual(result.returncode, 0, result.stderr)
        rows = json.loads(result.stdout)["workloads"]
        self.assertEqual([(row["workload"], row["texts"], row["tokens"]) for row in rows], [("query", 1, 8), ("3x5", 3, 15)])
        for name in ("nonsense", "0x5", "3x", "x5", "3x5x2", "3x-5", "9999999x2", " 3x5"):
            result = run("bench", MODEL, "--workload", name)
            self.assertEqual(result.returncode, 2, name)
            self.assertIn(f'"{name}"', result.stderr.decode())

    def test_a_model_or_a_shape(self):
        for args in ((), (MODEL, "--model-shape", "minilm"), ("--model-shape", "no-such-shape")):
            result = run("bench", *args, "--workload", "query")
            self.assertEqual((result.returncode, result.stdout), (2, b""), args)
        self.assertIn("bert-base", result.stderr.decode())


class Precision(unittest.TestCase):
    TEXTS = ("What is the capital of France?", "hello", "Paris is the capital of France.")

    def vectors(self, *options):
        result = run("embed", MODEL, *self.TEXTS, "--json", "-q", *options)
        self.assertEqual(result.returncode, 0, result.stderr)
        return [json.loads(line)["embedding"] for line in result.stdout.splitlines()]

    def test_dtype_changes_the_fingerprint_and_hardly_the_vectors(self):
        exact = self.vectors()
        fingerprints = set()
        for dtype, least in (("float32", 1 - 1e-12), ("bfloat16", 0.999), ("int8", 0.99)):
            report = json.loads(run("inspect", MODEL, "--json", "--dtype", dtype).stdout)
            fingerprints.add(report["fingerprint"])
            vectors = self.vectors("--dtype", dtype)
            self.assertEqual(vectors == exact, dtype == "float32")
            for a, b in zip(vectors, exact):
                cosine = sum(x * y for x, y in zip(a, b)) / (sum(x * x for x in a) * sum(y * y for y in b)) ** 0.5
                self.assertGreaterEqual(cosine, least, dtype)
        self.assertEqual(len(fingerprints), 3)
        refused = run("embed", MODEL, "x", "--dtype", "float8")
        self.assertEqual(refused.returncode, 2)
        self.assertIn(b"expected float32, bfloat16 or int8", refused.stderr)

    def test_every_instruction_set_prints_the_same_bytes(self):
        for dtype in ("float32", "bfloat16", "int8"):
            best = self.vectors("--dtype", dtype)
            self.assertEqual(self.vectors("--dtype", dtype, "--isa", "scalar", "--threads", "2"), best)

    def test_the_forced_instruction_set_is_the_one_in_use(self):
        self.assertEqual(json.loads(run("version", "--json", "--isa", "scalar").stdout)["isa"], "scalar")
        self.assertEqual(json.loads(run("version", "--json", env={"TRUEVEC_ISA": "scalar"}).stdout)["isa"], "scalar")
        self.assertEqual(run("version", "--isa", "mmx").returncode, 2)


class PackedCache(Folder):
    """Packed weights kept between starts (src/pipeline/packed_cache_test.cc has the faults)."""

    def files(self, folder):
        return sorted(path for path in Path(folder).rglob("*") if path.is_file())

    def test_where_it_is_and_that_it_changes_no_byte(self):
        plain = run("embed", MODEL, "a text", "--no-packed-cache").stdout
        home = self.folder / "home"
        for env in ({"HOME": home, "XDG_CACHE_HOME": ""}, {"XDG_CACHE_HOME": home / "xdg"}):
            for _ in range(2):
                self.assertEqual(run("embed", MODEL, "a text", env={k: str(v) for k, v in env.items()}).stdout, plain)
        self.assertEqual([path.parent for path in self.files(home)],
                         [home / ".cache/truevec/packed", home / "xdg/truevec/packed"])
        own = self.folder / "own"
        self.assertEqual(run("embed", MODEL, "a text", "--packed-cache", own).stdout, plain)
        self.assertEqual(len(self.files(own)), 1)
        self.assertEqual(self.files(own)[0].stat().st_mode & 0o777, 0o600)

    def test_a_home_that_cannot_be_written_is_no_error(self):
        plain = run("embed", MODEL, "a text", "--no-packed-cache").stdout
        for home in ("/proc/nobody", "/dev/null", ""):
            result = run("embed", MODEL, "a text", env={"HOME": home, "XDG_CACHE_HOME": ""})
            self.assertEqual((result.returncode, result.stdout, result.stderr), (0, plain, b""))

    def test_starts_at_once_share_it(self):
        plain = run("embed", MODEL, "a text", "--no-packed-cache").stdout
        own = self.folder / "own"
        command = [BINARY, "embed", str(MODEL), "a text", "--packed-cache", str(own)]
        starts = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(6)]
        for start in starts:
            self.assertEqual((start.communicate(timeout=60)[0], start.returncode), (plain, 0))
        self.assertEqual(len(self.files(own)), 1)


if __name__ == "__main__":
    unittest.main()
