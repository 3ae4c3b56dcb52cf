"""Models of published shapes (tools/make_shape.py): parameters, directories, atomicity; run with numpy."""
import json
import os
import subprocess
import sys
import tempfile
import unittest
from math import prod
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import make_shape  # noqa: E402

BINARY = os.environ["TRUEVEC_BINARY"]
# Of the published checkpoints; the decoders' without lm_head, the encoders' with the pooler.
PARAMETERS = {"minilm": 22_713_216, "bert-base": 109_482_240, "xlmr-base": 278_043_648, "qwen3-0.6b": 595_776_512,
              "qwen2-1.5b": 1_543_268_864}


def word_pieces(folder):
    """A WordPiece tokenizer.json of 30,522 pieces."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "water", "the", *(f"w{n}" for n in range(30515))]
    special = lambda text: {"SpecialToken": {"id": text, "type_id": 0}}  # noqa: E731
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None, "decoder": None,
        "added_tokens": [{"id": i, "content": pieces[i], "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True} for i in range(5)],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
                       "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing",
                           "single": [special("[CLS]"), {"Sequence": {"id": "A", "type_id": 0}}, special("[SEP]")],
                           "pair": [special("[CLS]"), {"Sequence": {"id": "A", "type_id": 0}}, special("[SEP]"),
                                    {"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
                           "special_tokens": {text: {"id": text, "ids": [i], "tokens": [text]}
                                              for text, i in (("[CLS]", 2), ("[SEP]", 3))}},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": {piece: i for i, piece in enumerate(pieces)}}}
    folder.mkdir()
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return folder


class Shapes(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)

    def inspect(self, folder):
        result = subprocess.run([BINARY, "inspect", folder, "--json"], capture_output=True, check=False)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return json.loads(result.stdout)

    def test_parameters_of_the_published_checkpoints(self):
        for name, parameters in PARAMETERS.items():
            tensors = make_shape.config_of(name)[1]
            self.assertEqual(sum(prod(shape) for _, shape in tensors), parameters, name)

    def test_an_encoder_that_truevec_loads_and_nothing_beside_it(self):
        model = word_pieces(self.folder / "minilm-source")
        made = make_shape.make("minilm", self.folder, model)
        report = self.inspect(made)
        self.assertEqual((report["dimension"], report["max_length"], report["supported"]), (384, 512, True))
        self.assertEqual((report["tensors"]["missing"], report["refusals"]), ([], []))
        self.assertEqual([path.name for path in (self.folder / "shapes").iterdir()], ["minilm"])
        vectors = subprocess.run([BINARY, "embed", made, "water", "the", "--no-packed-cache"], capture_output=True,
                                 check=True).stdout.splitlines()
        self.assertEqual(len(set(vectors)), 2)
        before = (made / "model.safetensors").stat().st_mtime_ns
        make_shape.make("minilm", self.folder, model)
        self.assertEqual((made / "model.safetensors").stat().st_mtime_ns, before)

    def test_a_failure_leaves_nothing(self):
        model = word_pieces(self.folder / "source")
        (model / "tokenizer.json").write_text("{")
        with self.assertRaises(ValueError):
            make_shape.make("bert-base", self.folder, model)
        self.assertEqual(list((self.folder / "shapes").iterdir()), [])

    def test_a_decoder_has_its_vocabulary_and_end_token(self):
        vocabulary = {"model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
                                "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False,
                                "vocab": {"a": 0, "b": 1}, "merges": []},
                      "added_tokens": [{"id": 151643 + i, "content": text, "single_word": False, "lstrip": False,
                                        "rstrip": False, "normalized": False, "special": True}
                                       for i, text in enumerate(("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<x>"))]}
        for name, count in (("qwen3-0.6b", 4), ("qwen2-1.5b", 3)):
            folder = self.folder / name
            folder.mkdir()
            make_shape.make_decoder(name, folder, vocabulary)
            tokenizer = json.loads((folder / "tokenizer.json").read_text())
            self.assertEqual(len(tokenizer["added_tokens"]), count)
            ids = subprocess.run([BINARY, "tokenize", folder / "tokenizer.json", "a"], capture_output=True, check=True)
            wanted = [0, 151643] if name == "qwen3-0.6b" else [0]  # Qwen2's end token is tokenizer_config.json's matter
            self.assertEqual(json.loads(ids.stdout)["ids"], wanted)
            config = json.loads((folder / "config.json").read_text())
            self.assertEqual((config["eos_token_id"], config["num_hidden_layers"]), (151643, 28))

    def test_bfloat16_rounds_to_nearest_even(self):
        import numpy as np
        bits = np.array([0x3F800000, 0x3F808000, 0x3F818000, 0x3F808001, 0xBF80FFFF], np.uint32)
        self.assertEqual([hex(v) for v in make_shape.bfloat16(bits.view(np.float32))],
                         ["0x3f80", "0x3f80", "0x3f82", "0x3f81", "0xbf81"])


if __name__ == "__main__":
    unittest.main()
