"""truevec verify, diagnose and lock on recorded faults of the reference, over files and over HTTP.

The recordings (recordings.json: float32 vectors in base64) were made by make_recordings.py with transformers and PyTorch
from the model in model/; nothing here needs them.
"""
import base64
import hashlib
import importlib.util
import json
import math
import os
import random
import re
import shutil
import struct
import subprocess
import tempfile
import unittest

from fault_causes import BESIDE, CAUSES, judge
from fault_causes import EXPECTED as EXPECTED_LIVE
from replay_server import ReplayServer

HERE = os.path.dirname(os.path.abspath(__file__))
BINARY = os.environ["TRUEVEC_BINARY"]
MODEL = os.path.join(HERE, "model")
RECORDED = json.load(open(os.path.join(HERE, "recordings.json"), encoding="utf-8"))
TEXTS = RECORDED["texts"]

# Fault -> the causes that must be named, and nothing else. () is a healthy target, None must end in "unknown".
# Sets of alternatives: vectors that are the same whichever of them acted.
EXPECTED = {
    "healthy": (), "newlines": (), "strip": (), "prompt-none": (), "mean": (), "sum": (), "noise": (),
    "eps-1e-5": (),
    "html": ("client-text-changed",), "nfkc": ("client-text-changed",), "prompt-query": ("prompt-wrong",),
    "no-specials": ("special-tokens-missing",), "no-first": ("special-tokens-missing",),
    "no-last": ("special-tokens-missing",), "doubled": ("special-tokens-doubled",),
    "doubled-last": ("special-tokens-doubled",), "plain-specials": ("special-tokens-in-text",),
    "cased": ("lowercase-missing",), "cased-accents": ("lowercase-missing",), "keep-accents": ("accents",),
    "no-cjk": ("basic-tokenization",), "ascii-punct": ("basic-tokenization",), "no-basic": ("basic-tokenization",),
    "max-64": ("max-length",), "max-100": ("max-length",), "max-77": ("max-length",), "max-more": ("max-length",),
    "tail": ("truncation-side",),
    "middle": ("truncation-side",), "lost-sep": ("truncation-side",), "chunks": ("chunk-averaging",),
    "chunks-weighted": ("chunk-averaging",), "chunks-overlap": ("chunk-averaging",),
    "positions-2": ("position-offset",), "positions-1": ("position-offset",), "types-omitted": ("token-type",),
    "types-1": ("token-type",), "causal": ("causal-mask",), "pad-64": ("padding-attended",),
    "gelu-tanh": ("gelu-variant",), "gelu-quick": ("gelu-variant",), "gelu-fp16": ("gelu-variant",),
    "eps-1e-3": ("layernorm",), "no-final-norm": ("layernorm",), "norm-biases": ("layernorm",),
    "biases": ("weights-not-loaded",), "norms": ("weights-not-loaded",), "cls": ("pooling-mode",),
    "max": ("pooling-mode",), "last": ("pooling-mode",), "weighted": ("pooling-mode",),
    "mean-no-specials": ("pooling-mask",), "no-norm": ("normalization",), "scaled": ("normalization",),
    "l1": ("normalization",), "fp16": ("precision-float16",), "bf16": ("precision-bfloat16",),
    "bf16-weights": ("precision-bfloat16",), "q8_0": ("weight-quantization",), "q4_0": ("weight-quantization",),
    "int8-rows": ("weight-quantization",), "out-binary": ("output-quantization",),
    "out-int8": ("output-quantization",), "cut-dims": ("dimensions-order",), "reversed-dims": ("dimensions-order",),
    "quarter": ("serialization",), "bytes-swapped": ("serialization",), "constant": ("constant-output",),
    "zero": ("constant-output",), "nan": ("overflow-nan",),
    "outside-reversed-tokens": None, "outside-rotation": None, "outside-skipped-layer": None, "outside-offset": None,
}
# Precision and quantisation leave vectors in an equivalence class; a cause is named, the exit code is 0.
EQUIVALENT = {"gelu-tanh", "gelu-quick", "gelu-fp16", "eps-1e-3", "fp16", "bf16", "bf16-weights", "q8_0", "int8-rows"}
SLOW = {"outside-rotation", "outside-skipped-layer", "outside-offset"}


def vectors(name):
    raw = base64.b64decode(RECORDED["vectors"][name])
    size = len(raw) // 4 // len(TEXTS)
    flat = struct.unpack(f"<{len(raw) // 4}f", raw)
    return [list(flat[i * size:(i + 1) * size]) for i in range(len(TEXTS))]


def run(*args, code=(0, 1)):
    done = subprocess.run([BINARY, *args], capture_output=True, text=True, timeout=120)
    if done.returncode not in (code if isinstance(code, tuple) else (code,)):
        raise AssertionError(f"exit {done.returncode}: {args}\n{done.stderr[-2000:]}")
    return done


class Causes(unittest.TestCase):
    """Every cause id has a fix and, but for what no fault can be, a fault that is injected into the reference."""

    def test_every_cause_has_a_fault_and_a_fix(self):
        with open(os.path.join(HERE, "faults.py"), encoding="utf-8") as f:
            source = f.read()
        injected = set()
        for fault, wanted in EXPECTED_LIVE.items():
            self.assertRegex(source, rf'"{re.escape(fault)}"(: |\] = )')
            injected |= set((wanted or "unknown").split())
            for cause in (wanted or "").split():
                injected |= BESIDE.get(cause, set())
        self.assertEqual(injected, set(CAUSES))
        with open(os.path.join(HERE, "../../src/verify/fixes.cc"), encoding="utf-8") as f:
            fixes = set(re.findall(r'^    \{"([a-z0-9-]+)",', f.read(), re.M))
        self.assertEqual(fixes - {"unknown"}, set(CAUSES) - {"unknown"})


class Files(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.texts = os.path.join(cls.folder.name, "texts.jsonl")
        with open(cls.texts, "w", encoding="utf-8") as f:
            f.writelines(json.dumps({"text": t}) + "\n" for t in TEXTS)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def diagnose(self, name):
        path = os.path.join(self.folder.name, f"{name}.jsonl")
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(json.dumps({"embedding": v}).replace("NaN", "null") + "\n" for v in vectors(name))
        done = run("diagnose", MODEL, "--against", path, "--texts", self.texts, "--json")
        return done.returncode, json.loads(done.stdout)

    def check(self, name, wanted):
        code, d = self.diagnose(name)
        found = sorted(c["id"] for c in d["causes"])
        if wanted is None:
            self.assertEqual(found, ["unknown"], name)
        else:
            self.assertEqual(found, sorted(wanted), (name, d["causes"]))
        self.assertEqual(code, 1 if wanted is None or (wanted and name not in EQUIVALENT) else 0, name)

    def test_single_faults(self):
        for name, wanted in EXPECTED.items():
            if name in RECORDED["vectors"] and name not in SLOW:
                with self.subTest(name):
                    self.check(name, wanted)

    def test_constant_output_has_a_cause(self):
        # The first token under a causal mask sees nothing of the text.
        path = os.path.join(self.folder.name, "constant.npy")
        run("embed", MODEL, "--input", self.texts, "--output", path, "--override", "pooling=cls",
            "--override", "attention=causal", code=0)
        done = run("diagnose", MODEL, "--override", "pooling=cls", "--against", path, "--texts", self.texts, "--json")
        self.assertEqual([c["id"] for c in json.loads(done.stdout)["causes"]], ["causal-mask"])

    def test_lengths_are_no_cause_of_their_own_beside_an_unknown_one(self):
        path = os.path.join(self.folder.name, "square.jsonl")
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(json.dumps({"embedding": [x * abs(x) for x in v]}) + "\n" for v in vectors("healthy"))
        done = run("diagnose", MODEL, "--against", path, "--texts", self.texts, "--json")
        self.assertEqual([c["id"] for c in json.loads(done.stdout)["causes"]], ["unknown"])

    def test_layer_at_a_random_start(self):
        copy = os.path.join(self.folder.name, "random")
        shutil.copytree(MODEL, copy)
        path = os.path.join(copy, "model.safetensors")
        with open(path, "rb") as f:
            data = bytearray(f.read())
        size, = struct.unpack_from("<Q", data)
        tensors = {n: t for n, t in json.loads(data[8:8 + size]).items() if ".layer." in n}
        last = max(int(n.split(".layer.")[1].split(".")[0]) for n in tensors)
        generator = random.Random(5)
        for name, tensor in tensors.items():
            if f".layer.{last}." in name and len(tensor["shape"]) == 2:
                begin, end = tensor["data_offsets"]
                count = (end - begin) // 4
                struct.pack_into(f"<{count}f", data, 8 + size + begin, *(generator.gauss(0, 0.02) for _ in range(count)))
        with open(path, "wb") as f:
            f.write(data)
        cause, = json.loads(run("diagnose", MODEL, "--against", copy, "--json").stdout)["causes"]
        self.assertEqual(cause["id"], "weights-not-loaded")
        self.assertIn(f"layer.{last}.", cause["estimate"]["value"])

    def test_combinations(self):
        right, wrong, names = 0, [], [n for n in RECORDED["vectors"] if "+" in n]
        for name in names:
            wanted = sorted({c for part in name.split("+") for c in EXPECTED[part]})
            found = sorted(c["id"] for c in self.diagnose(name)[1]["causes"])
            if found == wanted:
                right += 1
            else:
                wrong.append((name, found))
                # Saying less is allowed, accusing the innocent is not.
                for cause in found:
                    self.assertIn(cause, wanted + ["unknown"], (name, found))
        self.assertGreaterEqual(right, 0.8 * len(names), wrong)


class Families(unittest.TestCase):
    """Recorded faults of other architectures (families/*.json, made by make_recordings.py from the models of
    tests/golden/pipeline): what is named, and the numbers that are estimated."""

    ESTIMATES = {"theta-10000": ("rope_theta", 1e4), "theta-123456": ("rope_theta", 123456.0),
                 "max-77": ("max_length", 77), "chunks-50": ("chunk_size", 50), "chunks-90-10": ("chunk_size", 90),
                 "pad-100": ("padded_length", 100), "mean": ("pooling", "mean"),
                 "ids-shifted": ("id_offset", 1)}

    def test_recorded_faults(self):
        files = sorted(os.listdir(os.path.join(HERE, "families")))
        self.assertTrue(files)
        for file in files:
            with open(os.path.join(HERE, "families", file), encoding="utf-8") as f:
                recorded = json.load(f)
            for name, data in recorded["vectors"].items():
                with self.subTest(family=file, fault=name), tempfile.TemporaryDirectory() as folder:
                    self.check(recorded, name, data, folder)

    def check(self, recorded, name, data, folder):
        raw = base64.b64decode(data)
        size = len(raw) // 4 // len(recorded["texts"])
        rows = [list(struct.unpack_from(f"<{size}f", raw, i * size * 4)) for i in range(len(recorded["texts"]))]
        for file, key, values in (("texts", "text", recorded["texts"]), ("vectors", "embedding", rows)):
            with open(os.path.join(folder, file + ".jsonl"), "w", encoding="utf-8") as f:
                f.writelines(json.dumps({key: v}) + "\n" for v in values)
        done = run("diagnose", os.path.join(HERE, "..", "golden", "pipeline", recorded["model"]), "--against",
                   os.path.join(folder, "vectors.jsonl"), "--texts", os.path.join(folder, "texts.jsonl"), "--json",
                   "--report", os.path.join(folder, "report.html"))
        d = json.loads(done.stdout)
        found = [c["id"] for c in d["causes"]]
        faults = [] if name == "healthy" else name.split("+")
        row = {"kind": "singles" if faults else "healthy", "faults": faults, "visible": True, "found": found}
        self.assertEqual(judge(row), "hit", (name, d["causes"]))
        estimates = {c["estimate"]["name"]: c["estimate"]["value"] for c in d["causes"] if "estimate" in c}
        for fault in faults:
            if fault in self.ESTIMATES:
                key, value = self.ESTIMATES[fault]
                if isinstance(value, float):
                    self.assertAlmostEqual(estimates[key] / value, 1, delta=1e-3, msg=name)
                else:
                    self.assertEqual(estimates[key], value, name)
        with open(os.path.join(folder, "report.html"), encoding="utf-8") as f:
            page = f.read()
        self.assertNotIn("http://", page.replace("http://www.w3.org/2000/svg", ""))
        self.assertIn("Error against length", page)
        if any(f in ("no-last", "eos-im-end", "html") for f in faults):
            self.assertIn("<h2>Token ids</h2>", page)


class GteQwen2(unittest.TestCase):
    """A bidirectional model that an engine runs causally (gte_qwen2_causal.json), with and without its end token."""

    def causes(self, published):
        here = os.path.dirname(os.path.abspath(__file__))
        with open(os.path.join(here, "gte_qwen2_causal.json"), encoding="utf-8") as f:
            recorded = json.load(f)
        with tempfile.TemporaryDirectory() as folder:
            model = os.path.join(folder, "model")
            shutil.copytree(os.path.join(here, "..", "golden", "pipeline", "gte_qwen2"), model)
            if published:  # with the publisher's tokenizer code the model appends its end token
                open(os.path.join(model, "tokenization_qwen.py"), "w", encoding="utf-8").close()
            for name, key, values in (("texts", "text", recorded["texts"]), ("vectors", "embedding", recorded["vectors"])):
                with open(os.path.join(folder, name + ".jsonl"), "w", encoding="utf-8") as f:
                    f.writelines(json.dumps({key: v}) + "\n" for v in values)
            done = run("diagnose", model, "--against", os.path.join(folder, "vectors.jsonl"), "--texts",
                       os.path.join(folder, "texts.jsonl"), "--json")
            self.assertEqual(done.returncode, 1)
            return [c["id"] for c in json.loads(done.stdout)["causes"]]

    def test_causal_mask(self):
        self.assertEqual(self.causes(published=False), ["causal-mask"])

    def test_causal_mask_and_end_token(self):
        self.assertEqual(sorted(self.causes(published=True)), ["causal-mask", "eos-missing"])


class Http(unittest.TestCase):
    def server(self, name="healthy", **options):
        server = ReplayServer(dict(zip(TEXTS, vectors(name))), **options)
        server.vectors["hello"] = server.vectors.get("hello", vectors(name)[0])
        self.addCleanup(server.close)
        return server

    def diagnose(self, server, *args, code=(0, 1)):
        done = run("diagnose", MODEL, "--against", server.url, "--json", *args, code=code)
        return json.loads(done.stdout) if done.stdout else done

    def test_every_dialect_is_guessed(self):
        for dialect in ("openai", "tei", "ollama", "llamacpp", "cohere", "vllm"):
            with self.subTest(dialect):
                server = self.server(dialect=dialect)
                d = self.diagnose(server)
                self.assertEqual((d["environment"]["api"], d["verdict"], d["causes"]), (dialect, "identical", []))
                self.assertLess(d["requests"], 200)
                if dialect == "vllm":
                    self.assertEqual(server.requests[-1][2]["truncate_prompt_tokens"], -1)

    def test_healthy_variants(self):
        for options in ({"usage": False}, {"delay": 0.02}, {"limit_every": 7}, {"key": "secret"}):
            with self.subTest(**options):
                server = self.server(**options)
                args = []
                if "key" in options:
                    os.environ["TRUEVEC_TEST_KEY"] = "secret"
                    args = ["--api-key-env", "TRUEVEC_TEST_KEY"]
                d = self.diagnose(server, *args)
                self.assertEqual((d["verdict"], d["causes"]), ("identical", []))

    def test_broken_answers_that_repeat_are_not_called_random(self):
        self.assertEqual([c["id"] for c in self.diagnose(self.server("nan"))["causes"]], ["overflow-nan"])

    def test_faults_of_batches(self):
        def permuted(texts, rows):
            return rows[1:] + rows[:1]

        def first(texts, rows):
            return [rows[0]] * len(rows)

        def leak(texts, rows):
            out = [rows[0]]
            for row in rows[1:]:
                out.append([a + b for a, b in zip(out[-1], row)])
            return out

        def strange(texts, rows):
            return [[x + 0.3 * (i % 2) for x in row] for i, row in enumerate(rows)]

        for batch, cause in ((permuted, "permuted-results"), (first, "constant-output"), (leak, "batch-leak"),
                             (strange, "unknown")):
            with self.subTest(cause):
                d = self.diagnose(self.server(batch=batch))
                self.assertIn(cause, [c["id"] for c in d["causes"]])
                self.assertLessEqual({c["id"] for c in d["causes"]}, {cause, "normalization"})
                self.assertEqual(d["verdict"], "different")

    def test_a_length_limit_is_asked_for(self):
        # Beyond the model's own 128 tokens, alone and beside rounded matrix products.
        for dtype, beside in (("float32", set()), ("bfloat16", {"precision-bfloat16"}), ("int8", {"weight-quantization"})):
            with self.subTest(dtype=dtype):
                d = self.diagnose_own_server("--override", "max_length=150", "--dtype", dtype)
                self.assertEqual({c["id"] for c in d["causes"]}, {"max-length"} | beside)
                limit = next(c for c in d["causes"] if c["id"] == "max-length")
                self.assertEqual(limit["estimate"], {"name": "max_length", "value": 150})
                self.assertIn("reads 150 tokens and drops the rest", limit["evidence"][0])
                self.assertLess(d["requests"], 120)

    def diagnose_own_server(self, *options):
        process = subprocess.Popen([BINARY, "serve", MODEL, *options, "--port", "0"], stderr=subprocess.PIPE, text=True)
        try:
            url = next(m[0] for line in process.stderr if (m := re.search(r"http://\S+", line)))
            return json.loads(run("diagnose", MODEL, "--against", url, "--json").stdout)
        finally:
            process.terminate()
            process.wait()
            process.stderr.close()

    def test_foreign_ids_behind_a_prompt(self):
        # The prompt's ids are foreign too (foreign_prompt.json): no text reaches the model as one unknown token.
        with open(os.path.join(HERE, "foreign_prompt.json"), encoding="utf-8") as f:
            recorded = json.load(f)
        raw = base64.b64decode(recorded["vectors"])
        size = len(raw) // 4 // len(recorded["texts"])
        answers = {t: list(struct.unpack_from(f"<{size}f", raw, i * size * 4)) for i, t in enumerate(recorded["texts"])}
        with tempfile.TemporaryDirectory() as folder:
            model = os.path.join(folder, "model")
            shutil.copytree(MODEL, model)
            with open(os.path.join(model, "config_sentence_transformers.json"), "w", encoding="utf-8") as f:
                json.dump({"prompts": {"query": recorded["prompt"]}, "default_prompt_name": "query"}, f)
            server = ReplayServer(answers)
            self.addCleanup(server.close)
            d = json.loads(run("diagnose", model, "--against", server.url, "--json").stdout)
        self.assertEqual([c["id"] for c in d["causes"]], ["foreign-token-ids"])
        # scramble_ids of faults.py: (id * 7919 + 13) modulo the vocabulary.
        with open(os.path.join(MODEL, "tokenizer.json"), encoding="utf-8") as f:
            vocabulary = json.load(f)["model"]["vocab"]
        told = re.findall(r'"(\w+)" as token (\d+)', d["causes"][0]["evidence"][0])
        self.assertEqual(len(told), 2)
        for word, token in told:
            self.assertEqual(int(token), (vocabulary[word] * 7919 + 13) % len(vocabulary), word)

    def test_base64_byte_order(self):
        d = self.diagnose(self.server(base64_format=">%df"))
        self.assertEqual([(c["id"], c["variant"]) for c in d["causes"]], [("serialization", "byte order")])
        d = self.diagnose(self.server(base64_format="<%dd"))
        self.assertEqual([(c["id"], c["variant"]) for c in d["causes"]], [("serialization", "float64")])

    def test_a_fault_over_http(self):
        d = self.diagnose(self.server("no-specials", dialect="tei"))
        self.assertEqual([c["id"] for c in d["causes"]], ["special-tokens-missing"])
        self.assertIn("TEI", d["causes"][0]["fix"])

    def test_an_api_that_always_normalises_is_not_blamed(self):
        model = os.path.join(HERE, "..", "golden", "pipeline", "pooling_mean")  # has no Normalize module
        with tempfile.TemporaryDirectory() as folder:
            run("lock", model, "-o", folder + "/m.lock.json", code=0)
            with open(folder + "/m.lock.json", encoding="utf-8") as f:
                cases = json.load(f)["cases"]
        units = {}
        for case in cases:
            raw = base64.b64decode(case["vector"])
            v = struct.unpack(f"<{len(raw) // 4}f", raw)
            units[case["text"]] = [x / math.sqrt(sum(y * y for y in v)) for x in v]
        for dialect, wanted in (("tei", []), ("ollama", []), ("openai", ["normalization"])):
            with self.subTest(dialect):
                server = ReplayServer(dict(units), dialect=dialect)
                self.addCleanup(server.close)
                server.vectors["hello"] = server.vectors.get("hello", next(iter(units.values())))
                d = json.loads(run("diagnose", model, "--against", server.url, "--json").stdout)
                self.assertEqual([c["id"] for c in d["causes"]], wanted)
                self.assertEqual(d["verdict"], "different" if wanted else "identical")

    def test_own_token_ids_tell_text_from_model(self):
        with tempfile.TemporaryDirectory() as folder:
            run("lock", MODEL, "-o", folder + "/m.lock.json", code=0)
            with open(folder + "/m.lock.json", encoding="utf-8") as f:
                cases = json.load(f)["cases"]
        right = dict(zip(TEXTS, vectors("healthy")))
        server = self.server("outside-reversed-tokens")
        server.ids = {tuple(c["ids"]): right[c["text"]] for c in cases if c["text"] in right}
        cause, = self.diagnose(server)["causes"]
        self.assertEqual(cause["id"], "unknown")
        self.assertTrue(any("before the model" in line for line in cause["evidence"]), cause)

    def test_another_model_is_named_by_its_server(self):
        server = self.server("outside-skipped-layer", dialect="tei")
        server.model_id = "someone/other-model"
        cause, = self.diagnose(server)["causes"]
        self.assertEqual(cause["id"], "wrong-model")
        self.assertIn("someone/other-model", cause["evidence"][0])

    def test_errors_name_what_to_do(self):
        server = self.server(key="secret")
        done = run("verify", MODEL, "--against", server.url, code=5)
        self.assertIn("--api-key-env", done.stderr)
        done = run("verify", MODEL, "--against", self.server().url, "--max-requests", "5", code=5)
        self.assertIn("--max-requests", done.stderr)
        done = run("verify", MODEL, "--against", self.server().url, "--api", "soap", code=2)
        self.assertIn("openai, tei", done.stderr)
        done = run("verify", MODEL, "--against", "/no/such/file", code=2)
        self.assertIn("/no/such/file", done.stderr)

    def test_without_a_model(self):
        """A stand-in whose answers are a hash of the words that it reads: 100, lower-cased."""
        def vector(text, limit=100, unknown=None):
            words = (text.lower() if unknown is None else text).split()[:limit]
            words = [unknown if unknown and w.isupper() else w for w in words]
            digest = hashlib.sha256(" ".join(words).encode()).digest()
            return [b / 255 - 0.5 for b in digest]

        class Any(dict):
            def __init__(self, make):
                super().__init__()
                self.make = make

            def __missing__(self, text):
                return self.make(text)

        for dialect in ("openai", "tei", "ollama"):
            server = ReplayServer(Any(vector), dialect=dialect)
            self.addCleanup(server.close)
            d = json.loads(run("diagnose", "--against", server.url, "--json").stdout)
            self.assertEqual((d["verdict"], d["causes"]), ("inconclusive", []))
            self.assertLess(d["requests"], 200)
            for says in ("capitals make no difference", "accents make a difference", "newlines are read as spaces"):
                self.assertIn(says, d["notes"])
            self.assertTrue(any("cut after about 100 common words" in n or "cut after about 98" in n or
                                "cut after about 97" in n for n in d["notes"]), d["notes"])
        server = ReplayServer(Any(lambda text: vector(text, unknown="[UNK]")))
        self.addCleanup(server.close)
        d = json.loads(run("diagnose", "--against", server.url, "--json").stdout)
        self.assertEqual([c["id"] for c in d["causes"]], ["lowercase-missing"])
        server = ReplayServer(Any(vector), batch=lambda texts, rows: rows[1:] + rows[:1])
        self.addCleanup(server.close)
        d = json.loads(run("diagnose", "--against", server.url, "--json").stdout)
        self.assertEqual([c["id"] for c in d["causes"]], ["permuted-results"])


class Locks(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.lock = os.path.join(self.folder.name, "m.lock.json")
        run("lock", MODEL, "-o", self.lock, code=0)

    def test_stable_and_checked(self):
        again = self.lock + "2"
        run("lock", MODEL, "-o", again, "--threads", "1", code=0)
        self.assertEqual(open(self.lock, "rb").read(), open(again, "rb").read())
        run("lock", MODEL, "--check", self.lock, code=0)
        lock = json.load(open(self.lock, encoding="utf-8"))
        self.assertEqual(lock["schema"], "truevec.lock/1")
        self.assertTrue(lock["fingerprint"].startswith("tv1:"))
        recorded = vectors("healthy")
        for case in lock["cases"]:
            vector = struct.unpack(f"<{len(base64.b64decode(case['vector'])) // 4}f", base64.b64decode(case["vector"]))
            wanted = recorded[TEXTS.index(case["text"])]
            self.assertLess(max(abs(a - b) for a, b in zip(vector, wanted)), 2e-6)

    def test_needs_no_model(self):
        server = ReplayServer(dict(zip(TEXTS, vectors("healthy"))))
        self.addCleanup(server.close)
        server.vectors["hello"] = server.vectors.get("hello", vectors("healthy")[0])
        run("verify", "any-name", "--against", server.url, "--lock", self.lock, code=0)
        bad = ReplayServer(dict(zip(TEXTS, vectors("cased"))))
        self.addCleanup(bad.close)
        bad.vectors["hello"] = bad.vectors.get("hello", vectors("healthy")[0])
        run("verify", "any-name", "--against", bad.url, "--lock", self.lock, code=1)

    def test_the_pytest_example(self):
        server = ReplayServer(dict(zip(TEXTS, vectors("healthy"))))
        self.addCleanup(server.close)
        server.vectors["hello"] = server.vectors.get("hello", vectors("healthy")[0])
        spec = importlib.util.spec_from_file_location("example", os.path.join(HERE, "../../examples/pytest/test_embeddings.py"))
        example = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(example)
        os.environ.update(EMBEDDINGS_URL=server.url, EMBEDDINGS_LOCK=self.lock)
        example.test_vectors_are_the_locked_ones()
        server.vectors.update(zip(TEXTS, vectors("cased")))
        with self.assertRaises(AssertionError):
            example.test_vectors_are_the_locked_ones()

    def test_malformed_locks_are_refused(self):
        lock = json.load(open(self.lock, encoding="utf-8"))
        for change, says in (
            (lambda l: l.update(schema="truevec.lock/9"), "truevec.lock/1"),
            (lambda l: l.update(cases=[]), "cases"),
            (lambda l: l["cases"][1].update(vector="AAA"), "cases[1].vector"),
            (lambda l: l["cases"][1].update(vector="AAAAAA=="), "cases[1].vector"),
            (lambda l: l["cases"][1].update(ids=[1.5]), "cases[1].ids[0]"),
            (lambda l: l.pop("model"), "model"),
        ):
            with self.subTest(says):
                broken = json.loads(json.dumps(lock))
                change(broken)
                path = os.path.join(self.folder.name, "broken.lock.json")
                json.dump(broken, open(path, "w", encoding="utf-8"))
                done = run("verify", "x", "--against", MODEL, "--lock", path, code=4)
                self.assertIn(says, done.stderr)


if __name__ == "__main__":
    unittest.main()
