"""Random Sentence Transformers directories made by the real library, embedded by it and by truevec; every difference is
printed with the folder that shows it. Usage: hunt.py BINARY [COUNT] [SEED] (in the reference's environment)."""
import json
import random
import string
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer, util  # noqa: F401
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer import modules as M
from sentence_transformers.util.quantization import quantize_embeddings
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import nn
from transformers import (BertConfig, BertModel, BertTokenizerFast, MPNetConfig, MPNetModel, RobertaConfig, RobertaModel,
                          RobertaTokenizerFast, XLMRobertaConfig, XLMRobertaModel, XLMRobertaTokenizerFast)

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "tools"))
from goldens import _common, _tiny  # noqa: E402

TEXTS = _tiny.TEXTS + ["", " ", "\n\t ", "  leading", "trailing  ", "UPPER lower MiXeD", "naïve café Ünïcode 中文 текст", "a" * 300,
                       "the " * 90, "e\u0301 vs \u00e9", "zero\u200bwidth\ufeff", "[CLS] hello [SEP] <s> </s> <mask>", "emoji 😀👍🏽 end",
                       "tabs\tand\nnewlines\r\nhere", "punctuation!?.,;:'\"()[]{}", "1234567890 3.14", "query: the cat"]
PROMPTS = ["query: ", "find the ", "passage:", " ", "\n", "Instruct: find\nQuery: ", "search for documents about: ", "é ", "a"]


def bpe_tokenizer(rng):
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=330, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    inner.train_from_iterator(TEXTS * 3, trainer)
    model = json.loads(inner.to_str())["model"]
    return RobertaTokenizerFast(vocab=model["vocab"], merges=[tuple(m) for m in model["merges"]],
                                add_prefix_space=rng.random() < 0.3, model_max_length=rng.choice([20, 40, int(1e30)]))


def unigram_tokenizer(rng):
    inner = Tokenizer(models.Unigram())
    inner.normalizer = normalizers.NFKC()
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=200, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], unk_token="<unk>",
                                      show_progress=False)
    inner.train_from_iterator(TEXTS * 3, trainer)
    vocab = json.loads(inner.to_str())["model"]["vocab"]
    return XLMRobertaTokenizerFast(vocab=[tuple(v) for v in vocab], model_max_length=rng.choice([16, 33, int(1e30)]))


def backbone(rng, folder):
    kind = rng.choice(["bert", "bert", "roberta", "xlmr", "mpnet"])
    sizes = dict(hidden_size=16, num_hidden_layers=rng.choice([1, 2]), num_attention_heads=rng.choice([2, 4]), intermediate_size=24,
                 hidden_act=rng.choice(["gelu", "relu", "gelu_new", "silu"]), layer_norm_eps=rng.choice([1e-12, 1e-5]))
    limit = rng.choice([24, 40, 64])
    if kind in ("bert", "mpnet"):
        cased = rng.random() < 0.4
        tokenizer = _tiny.tokenizer(lowercase=not cased or rng.random() < 0.5, max_length=rng.choice([20, 40, int(1e30)]), cased=cased)
        size = len(_tiny.vocabulary(cased))
        if kind == "bert":
            model = BertModel(BertConfig(vocab_size=size, max_position_embeddings=limit, **sizes))
        else:
            model = MPNetModel(MPNetConfig(vocab_size=size, max_position_embeddings=limit + 2, **sizes))
    elif kind == "roberta":
        tokenizer = bpe_tokenizer(rng)
        model = RobertaModel(RobertaConfig(vocab_size=len(tokenizer), max_position_embeddings=limit + 2, type_vocab_size=1, pad_token_id=1, **sizes))
    else:
        tokenizer = unigram_tokenizer(rng)
        model = XLMRobertaModel(XLMRobertaConfig(vocab_size=len(tokenizer), max_position_embeddings=limit + 2, type_vocab_size=1,
                                                 pad_token_id=1, **sizes))
    if rng.random() < 0.2:
        tokenizer.truncation_side = "left"
    _common.randomize(model, rng.randrange(1000))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return kind, limit


ACTIVATIONS = [nn.Tanh, nn.Identity, nn.ReLU, nn.GELU, nn.SiLU, nn.Softplus, nn.Mish, nn.ELU, nn.Softmax, nn.LogSigmoid]


def modules(rng, folder):
    kind, limit = backbone(rng, folder)
    kwargs = {"model_kwargs": {"attn_implementation": "eager"}}
    # Without a limit of its own a model whose tokenizer has none fails in the reference on long texts.
    kwargs["max_seq_length"] = rng.choice([5, 9, 17, limit])
    if rng.random() < 0.3:
        kwargs["do_lower_case"] = True
    chain = [Transformer(str(folder), **kwargs)]
    width = 16
    if rng.random() < 0.2:
        chain.append(_dense(rng, width, width, module_input_name="token_embeddings"))
    if rng.random() < 0.15:
        chain.append(Normalize("token_embeddings"))
    modes = rng.sample(["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"], rng.choice([1, 1, 1, 2, 3]))
    include = "max" in modes or rng.random() < 0.6
    chain.append(M.Pooling(width, modes if len(modes) > 1 else modes[0], include_prompt=include))
    width *= len(modes)
    for _ in range(rng.choice([0, 0, 1, 2, 3])):
        pick = rng.random()
        if pick < 0.5:
            out = rng.choice([6, 12, width])
            chain.append(_dense(rng, width, out, use_residual=rng.random() < 0.3))
            width = out
        elif pick < 0.7:
            norm = M.LayerNorm(width)
            _common.randomize(norm, rng.randrange(1000))
            chain.append(norm)
        elif pick < 0.8:
            chain.append(M.Dropout(0.3))
        else:
            chain.append(Normalize())
    return chain, width


def _dense(rng, a, b, **kwargs):
    dense = Dense(a, b, bias=rng.random() < 0.7, activation_function=rng.choice(ACTIVATIONS)() if "module_input_name" not in kwargs else nn.Tanh(), **kwargs)
    _common.randomize(dense, rng.randrange(1000), 0.4)
    return dense


def static(rng):
    tokenizer = rng.choice([_tiny.tokenizer, lambda: bpe_tokenizer(rng), lambda: unigram_tokenizer(rng)])().backend_tokenizer
    table = torch.randn(tokenizer.get_vocab_size(), 12, generator=torch.Generator().manual_seed(rng.randrange(999)))
    return [M.StaticEmbedding(tokenizer, embedding_weights=table)] + ([Normalize()] if rng.random() < 0.5 else []), 12


def options(rng, width):
    encode, flags = {}, []
    pick = rng.random()
    if pick < 0.4:
        encode["prompt"] = rng.choice(PROMPTS)
        flags += ["--prompt", encode["prompt"]]
    elif pick < 0.6:
        encode["prompt_name"] = "red"
        flags += ["--prompt-name", "red"]
    if rng.random() < 0.3:
        encode["truncate_dim"] = rng.randrange(2, width + 3)
        flags += ["--truncate-dim", str(encode["truncate_dim"])]
    if rng.random() < 0.3:
        encode["normalize_embeddings"] = True
        flags.append("--normalize")
    return encode, flags


def run(binary, folder, rng, report):
    chain, width = static(rng) if rng.random() < 0.15 else modules(rng, folder / "backbone")
    prompts = {"query": rng.choice(PROMPTS), "document": "", "red": rng.choice(PROMPTS)}
    extra = {"default_prompt_name": rng.choice([None, "red"])}
    if rng.random() < 0.2:
        extra["truncate_dim"] = max(2, width - 3)
    model = SentenceTransformer(modules=chain, prompts=prompts, device="cpu", **extra)
    model.save_pretrained(str(folder / "model"), create_model_card=False)
    model = SentenceTransformer(str(folder / "model"), device="cpu", model_kwargs={"dtype": torch.float32, "attn_implementation": "eager"})
    source = folder / "in.jsonl"
    source.write_text("".join(json.dumps({"text": t}) + "\n" for t in TEXTS), encoding="utf-8")
    for trial in range(4):
        encode, flags = options(rng, width)
        task = rng.choice(["", "", "query", "document"])
        call = {"query": model.encode_query, "document": model.encode_document}.get(task, model.encode)
        if task:
            flags = [*flags, "--task", task]
        try:
            expected = np.stack([call([t], **encode)[0] for t in TEXTS])
        except Exception as error:
            report(folder, flags, f"the reference fails: {type(error).__name__}: {error}", expected_failure=True)
            continue
        out = folder / "out.npy"
        precision = rng.choice(["float32", "float32", "int8", "ubinary", "binary", "uint8"])
        calibration = np.random.default_rng(rng.randrange(99)).standard_normal((50, expected.shape[1])).astype(np.float32)
        command = [binary, "embed", str(folder / "model"), "--input", str(source), "--output", str(out), *flags]
        if precision != "float32":
            np.save(folder / "calibration.npy", calibration)
            command += ["--precision", precision, "--calibration", str(folder / "calibration.npy")]
            expected = quantize_embeddings(expected, precision, calibration_embeddings=calibration)
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            report(folder, flags, result.stderr.strip())
            continue
        actual = np.load(out)
        if actual.shape != expected.shape or actual.dtype != expected.dtype:
            report(folder, flags, f"shape {actual.shape} {actual.dtype}, expected {expected.shape} {expected.dtype}")
            continue
        if precision != "float32":
            wrong = (np.abs(actual.astype(int) - expected.astype(int)) > 1).sum() if "binary" not in precision else (actual != expected).sum()
            if wrong > 0.002 * actual.size:
                report(folder, flags, f"{precision}: {wrong} of {actual.size} values differ")
            continue
        scale = np.maximum(np.linalg.norm(expected, axis=1, keepdims=True), 1e-6)
        error = (np.abs(actual - expected) / scale).max(axis=1)
        if not (error < 2e-5).all():
            worst = int(np.argmax(error))
            report(folder, flags, f"text {worst} {TEXTS[worst][:40]!r}: error {error[worst]:.2e}; {(error >= 2e-5).sum()} texts")


def main():
    binary, count, seed = sys.argv[1], int((sys.argv[2:] or ["20"])[0]), int((sys.argv[3:] or ["0"])[0])
    root = Path(tempfile.mkdtemp(prefix="hunt"))
    found = 0

    def report(folder, flags, text, expected_failure=False):
        nonlocal found
        found += not expected_failure
        print(f"{'note' if expected_failure else 'DIFFERENCE'} {folder.name} {' '.join(map(repr, flags))}: {text}", flush=True)

    for i in range(seed, seed + count):
        folder = root / f"m{i}"
        (folder / "backbone").mkdir(parents=True)
        rng = random.Random(i)
        torch.manual_seed(i)
        try:
            run(binary, folder, rng, report)
        except Exception as error:  # the model itself cannot be made: not our matter, but said
            report(folder, [], f"{type(error).__name__}: {error}", expected_failure=True)
    print(f"{count} models in {root}, {found} differences")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
