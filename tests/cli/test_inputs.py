"""Input files (.csv, .tsv, .gz, .zst), hub ids in a Hugging Face cache, messages as JSON, overrides, multi-vector output."""
import ctypes
import gzip
import json
import shutil
import struct
import zipfile

from test_cli import GOLDEN, MODEL, Folder, run

PIPELINE = GOLDEN.parent / "pipeline"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def zstd(data):
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_compressBound.restype = library.ZSTD_compress.restype = ctypes.c_size_t
    library.ZSTD_compress.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    out = ctypes.create_string_buffer(library.ZSTD_compressBound(ctypes.c_size_t(len(data))))
    size = library.ZSTD_compress(out, len(out), data, len(data), 3)
    return out.raw[:size]


def embeddings(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


class Inputs(Folder):
    def setUp(self):
        super().setUp()
        self.expected = [row["embedding"] for row in embeddings(run("embed", MODEL, "the cat", 'a "dog", sat', "two\nlines"))]

    def check(self, name, data, *options, ids=None):
        path = self.folder / name
        path.write_bytes(data)
        result = run("embed", MODEL, "--input", path, *options)
        self.assertEqual(result.returncode, 0, result.stderr)
        rows = embeddings(result)
        self.assertEqual([row["embedding"] for row in rows], self.expected[:len(rows)])
        if ids:
            self.assertEqual([row["id"] for row in rows], ids)
        return len(rows)

    def test_csv(self):
        table = b'id,text,other\r\n7,the cat,x\r\n8,"a ""dog"", sat",\r\n9,"two\nlines","y,z"\r\n'
        self.assertEqual(self.check("a.csv", table, "--id-column", "id", ids=["7", "8", "9"]), 3)
        self.assertEqual(self.check("b.csv", b"\xef\xbb\xbftext\nthe cat"), 1)
        self.assertEqual(self.check("c.tsv", b"body\tn\nthe cat\t1\n", "--text-column", "body"), 1)

    def test_compressed(self):
        lines = b'{"text":"the cat"}\n{"text":"a \\"dog\\", sat"}\n'
        self.assertEqual(self.check("a.jsonl.gz", gzip.compress(lines)), 2)
        halves = gzip.compress(lines[:9]) + gzip.compress(lines[9:])
        self.assertEqual(self.check("b.jsonl.gz", halves), 2)
        self.assertEqual(self.check("c.txt.zst", zstd(b"the cat\n") + zstd(b'a "dog", sat')), 2)
        self.assertEqual(self.check("d.csv.zst", zstd(b"text\nthe cat\n")), 1)

    def test_bad_files_name_the_place(self):
        for name, data, parts in (
                ("a.csv", b"id,body\n1,x\n", ("a.csv:1", 'no column "text"', "id, body")),
                ("b.csv", b"text,n\nok,1\nbad\n", ("b.csv:3", "expected 2 fields, got 1")),
                ("c.csv", b'text\n"open\n', ("c.csv:2", "ends inside a quoted field")),
                ("d.csv", b"", ("d.csv", "is empty")),
                ("e.csv", b"text\n\xff\n", ("e.csv:2", "invalid UTF-8")),
                ("f.txt.gz", gzip.compress(b"the cat\n" * 99)[:-12], ("f.txt.gz", "gzip: ends inside")),
                ("g.txt.gz", b"plain text\n", ("g.txt.gz", "gzip:")),
                ("h.txt.zst", zstd(b"the cat\n" * 99)[:-3], ("h.txt.zst", "zstd:"))):
            path = self.folder / name
            path.write_bytes(data)
            self.refused(run("embed", MODEL, "--input", path, "--output", self.folder / "out.npy"), 4, *parts)
            self.assertFalse((self.folder / "out.npy").exists())
        self.refused(run("embed", MODEL, "--input", self.folder / "x.parquet"), 2, "unknown input format")

    def test_pairs_from_csv(self):
        path = self.folder / "pairs.csv"
        path.write_text("query,document\nred,the red cat\nred,a dog\n")
        model = PIPELINE / "cross_one_label"
        rows = [json.loads(line)["score"] for line in run("rerank", model, "--pairs", path).stdout.splitlines()]
        ranked = run("rerank", model, "--query", "red", "the red cat", "a dog", "--json")
        scores = {r["index"]: r["score"] for r in json.loads(ranked.stdout)["results"]}
        for a, b in zip(rows, [scores[0], scores[1]], strict=True):
            self.assertAlmostEqual(a, b, places=6)


class HubIds(Folder):
    def setUp(self):
        super().setUp()
        repository = self.folder / "hub" / "models--org--name"
        blobs = repository / "blobs"
        snapshot = repository / "snapshots" / COMMIT
        snapshot.mkdir(parents=True)
        (repository / "refs" / "pr").mkdir(parents=True)
        blobs.mkdir()
        (repository / "refs" / "main").write_text(COMMIT)
        (repository / "refs" / "pr" / "3").write_text(COMMIT)
        for index, file in enumerate(MODEL.iterdir()):
            if file.is_file():
                shutil.copy(file, blobs / str(index))
                (snapshot / file.name).symlink_to(f"../../blobs/{index}")
            else:
                shutil.copytree(file, snapshot / file.name)
        self.cache = self.folder / "hub"

    def test_found_in_the_cache(self):
        plain = run("embed", MODEL, "cat").stdout
        for args, env in (((), {"HF_HUB_CACHE": self.cache}), (("--cache-dir", self.cache), {}),
                          ((), {"HF_HOME": self.folder}), (("--offline",), {"HF_HUB_CACHE": self.cache})):
            result = run("embed", "org/name", "cat", *args, env={**{k: str(v) for k, v in env.items()}})
            self.assertEqual(result.stdout, plain, result.stderr)
        for revision in ("main", COMMIT, "refs/pr/3"[5:]):
            self.assertEqual(run("embed", f"org/name@{revision}", "cat", "--cache-dir", self.cache).stdout, plain)
            self.assertEqual(run("embed", "org/name", "cat", "--cache-dir", self.cache, "--revision", revision).stdout, plain)
        for command in (("inspect", "org/name"), ("tokenize", "org/name", "cat"), ("similarity", "org/name", "a", "b")):
            self.assertEqual(run(*command, "--cache-dir", self.cache).returncode, 0)

    def test_missing_ones_are_named(self):
        self.refused(run("embed", "org/other", "cat", "--cache-dir", self.cache), 3, "models--org--other", str(self.cache))
        self.refused(run("embed", "org/name@v2", "cat", "--cache-dir", self.cache), 3, 'no revision "v2"')
        self.refused(run("embed", "org/name@v2", "cat", "--cache-dir", self.cache, "--revision", "v3"), 2, "two revisions")
        self.refused(run("embed", "org/name@../../x", "cat", "--cache-dir", self.cache), 2, "no branch, tag or commit")
        self.refused(run("embed", "./nowhere/at/all", "cat"), 3, "no such model directory")


class Options(Folder):
    def test_messages_as_json(self):
        result = run("embed", self.folder / "none", "cat", "--log-format", "json")
        self.assertEqual(json.loads(result.stderr)["level"], "error")

    def test_every_override_is_shown_or_refused(self):
        for text, shown in (("lowercase=false", False), ("strip_accents=false", False), ("attention=causal", "causal"),
                            ("activation=gelu_new", "gelu_new"), ("layer_norm_eps=1e-3", 1e-3), ("position_offset=2", 2),
                            ("truncation_side=left", "left"), ("include_prompt=false", False), ("pooling=cls", "cls"),
                            ("normalize=false", False), ("truncate_dim=7", 7), ("similarity=dot", "dot"),
                            ("max_length=11", 11)):
            report = json.loads(run("inspect", MODEL, "--json", "--override", text).stdout)
            self.assertTrue(report["supported"], text)
            setting = next(s for s in report["settings"] if s["key"] == text.split("=")[0])
            self.assertEqual(setting["value"], shown, text)
            self.assertIn("override", setting["source"], text)
        plain = json.loads(run("inspect", MODEL, "--json").stdout)["fingerprint"]
        for text in ("lowercase=false", "attention=causal", "position_offset=2", "layer_norm_eps=1e-3"):
            changed = json.loads(run("inspect", MODEL, "--json", "--override", text).stdout)
            self.assertNotEqual(changed["fingerprint"], plain, text)
        for text, part in (("lowercase=maybe", "lowercase"), ("attention=sideways", "attention"), ("similarity=jaccard", "similarity"),
                           ("max_length=0", "max_length"), ("position_offset=-1", "position_offset"), ("pooling=median", "median"),
                           ("rope_theta=3", "rope_theta"), ("sliding_window=3", "sliding_window"), ("as=foo", "foo")):
            result = run("embed", MODEL, "cat", "--override", text)
            self.assertIn(result.returncode, (2, 3), text)
            self.assertIn(part, result.stderr.decode())


class MultiVector(Folder):
    MODEL = PIPELINE / "mv_pylate"

    def test_npz(self):
        golden = json.loads((self.MODEL / "golden.json").read_text(encoding="utf-8"))["cases"]
        cases = [c for c in golden if c.get("task") == "document"]
        source = self.folder / "in.jsonl"
        source.write_text("".join(json.dumps({"text": c["text"]}) + "\n" for c in cases), encoding="utf-8")
        out = self.folder / "out.npz"
        result = run("embed", self.MODEL, "--input", source, "--output", out, "--task", "document")
        self.assertEqual(result.returncode, 0, result.stderr)
        with zipfile.ZipFile(out) as archive:
            values, offsets = archive.read("values.npy")[128:], archive.read("offsets.npy")[128:]
        offsets = struct.unpack(f"<{len(offsets) // 8}q", offsets)
        values = struct.unpack(f"<{len(values) // 4}f", values)
        for i, case in enumerate(cases):
            rows = values[offsets[i] * 8:offsets[i + 1] * 8]
            self.assertEqual(len(rows), len(case["expected"]))
            self.assertLess(max(abs(a - b) for a, b in zip(rows, case["expected"])), 2e-6)

    def test_maxsim(self):
        golden = json.loads((self.MODEL / "golden.json").read_text(encoding="utf-8"))["cases"]
        rows = {(c["text"], c.get("task")): [c["expected"][i:i + 8] for i in range(0, len(c["expected"]), 8)] for c in golden}
        query = "hello world"
        documents = sorted({text for text, task in rows if task == "document" and text.strip()})
        expected = [sum(max(sum(a * b for a, b in zip(q, d)) for d in rows[document, "document"]) for q in rows[query, "query"])
                    for document in documents]
        result = json.loads(run("similarity", self.MODEL, query, *documents, "--json").stdout)
        self.assertEqual(result["function"], "maxsim")
        for a, b in zip(result["similarities"], expected, strict=True):
            self.assertAlmostEqual(a, b, places=4)
        ranked = json.loads(run("rerank", self.MODEL, "--query", query, *documents, "--json").stdout)["results"]
        self.assertEqual([r["index"] for r in ranked], sorted(range(len(documents)), key=lambda i: -expected[i]))
