"""tests/golden/pipeline/*: one tiny model per module, mode and layout, with the reference's ids and float64 results."""
import contextlib
import json
import shutil
import string
import tempfile
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import CrossEncoder, MultiVectorEncoder, SentenceTransformer, SparseEncoder
from sentence_transformers.base.modules import Dense, Normalize, Router, Transformer
from sentence_transformers.sentence_transformer import modules as M
from torch import nn

from goldens import _common, _tiny
from goldens._tiny import HIDDEN, TEXTS

EAGER = {"attn_implementation": "eager"}


def seeded(module, seed=7, std=0.4):
    _common.randomize(module, seed, std)
    return module


class Maker:
    def __init__(self, root):
        self.root = root / "pipeline"
        self.scratch = Path(tempfile.mkdtemp())
        self.root.mkdir(parents=True, exist_ok=True)
        self.backbone = _tiny.bert(self.scratch / "bert")

    def transformer(self, folder=None, **kwargs):
        return Transformer(str(folder or self.backbone), model_kwargs=dict(EAGER), **kwargs)

    def folder(self, name):
        folder = self.root / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def save(self, name, modules, cls=SentenceTransformer, **kwargs):
        folder = self.folder(name)
        model = cls(modules=modules, device="cpu", **kwargs)
        model.save_pretrained(str(folder), create_model_card=False)
        _tiny.plain(folder)
        return folder

    def dense(self, name, modules, cases=None, **kwargs):
        folder = self.save(name, modules, **kwargs)
        self.golden(folder, "dense", cases)
        return folder

    def golden(self, folder, kind, cases=None, cls=None, model=None, load=None, **extra):
        cases = [dict(case) for case in (cases or [{"text": text} for text in TEXTS])]
        cls = cls or {"dense": SentenceTransformer, "tokens": SentenceTransformer, "sparse": SparseEncoder,
                      "scores": CrossEncoder, "multi-vector": MultiVectorEncoder}[kind]
        source = str(model or folder)
        results = {}
        for dtype in (torch.float64, torch.float32):
            kwargs = dict(load or {})
            with contextlib.suppress(TypeError):
                kwargs["model_kwargs"] = {"dtype": dtype, **EAGER}
            loaded = cls(source, device="cpu", **kwargs).to(dtype).eval()
            results[dtype] = [RUN[kind](loaded, case) for case in cases]
            if dtype == torch.float64:
                for case in cases:
                    ids = input_ids(loaded, case)
                    if ids is not None:
                        case["ids"] = ids
        own = []
        for case, exact, single in zip(cases, results[torch.float64], results[torch.float32]):
            exact = np.atleast_2d(exact)
            if "bow" in folder.name:  # the module itself makes float32
                exact = exact.astype(np.float64)
            single = np.atleast_2d(single)
            assert exact.dtype == np.float64, (folder, exact.dtype)
            assert np.isfinite(exact).all(), (folder, case)
            case["expected"] = exact.ravel().tolist()
            for a, b in zip(single.astype(np.float64), exact):
                norm = np.linalg.norm(b)
                scale = 1.0 if kind == "scores" or norm == 0 else norm
                own.append(float(np.abs(a - b).max() / scale))
        head = {"kind": kind, "reference": _common.versions(), **extra,
                "float32_error": {"worst": max(own), "mean": sum(own) / len(own)}}
        lines = ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases)
        (folder / "golden.json").write_text(json.dumps(head)[:-1] + ',\n"cases":[\n' + lines + "\n]}\n", encoding="utf-8")


def arguments(case, *names):
    return {name: case[name] for name in names if name in case}


def run_dense(model, case):
    kwargs = arguments(case, "prompt", "prompt_name", "truncate_dim")
    if case.get("normalize"):
        kwargs["normalize_embeddings"] = True
    encode = {"query": model.encode_query, "document": model.encode_document}.get(case.get("task"), model.encode)
    if case.get("task") not in (None, "query", "document"):
        kwargs["task"] = case["task"]
    return encode([case["text"]], convert_to_tensor=True, **kwargs)[0].numpy()


def run_tokens(model, case):
    return model.encode([case["text"]], output_value="token_embeddings", convert_to_numpy=False)[0].numpy()


def run_sparse(model, case):
    kwargs = arguments(case, "prompt", "prompt_name", "max_active_dims")
    encode = {"query": model.encode_query, "document": model.encode_document}.get(case.get("task"), model.encode)
    return encode([case["text"]], convert_to_tensor=True, convert_to_sparse_tensor=False, **kwargs)[0].numpy()


def run_scores(model, case):
    kwargs = {}
    if case.get("raw"):
        kwargs["activation_fn"] = nn.Identity()
    if case.get("softmax"):
        kwargs["apply_softmax"] = True
    kwargs.update(arguments(case, "prompt"))
    return model.predict([(case["text"], case["pair"])], convert_to_tensor=True, convert_to_numpy=False,
                         **kwargs)[0].numpy().reshape(1, -1)


def run_multi_vector(model, case):
    kwargs = arguments(case, "prompt", "prompt_name")
    encode = {"query": model.encode_query, "document": model.encode_document}.get(case.get("task"), model.encode)
    return encode([case["text"]], convert_to_numpy=True, **kwargs)[0]


RUN = {"dense": run_dense, "tokens": run_tokens, "sparse": run_sparse, "scores": run_scores,
       "multi-vector": run_multi_vector}


def input_ids(model, case):
    task = case.get("task")
    name = case.get("prompt_name")
    if name is None and "prompt" not in case and task in ("query", "document"):
        name = task  # as encode_query and encode_document do
    prompt = model._resolve_prompt(case.get("prompt"), name)
    inputs = [(case["text"], case["pair"])] if "pair" in case else [case["text"]]
    features = model.preprocess(inputs, prompt=prompt, **({"task": task} if task else {}))
    if "input_ids" not in features:
        return None
    ids = features["input_ids"]
    return ids.reshape(-1).tolist() if "sentence_lengths" not in features else ids[0, :features["sentence_lengths"][0]].tolist()


PROMPTED = [{"text": t, "prompt": p} for t in (TEXTS[0], TEXTS[1], TEXTS[8], TEXTS[9])
            for p in ("query: ", "find the ", "", "search for documents in the red park and the blue sea: ")]
MODES = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
ACTIVATIONS = ["Identity", "Tanh", "ReLU", "GELU", "SiLU", "Sigmoid", "Mish", "ELU", "CELU", "SELU", "LeakyReLU", "RReLU",
               "ReLU6", "Hardtanh", "Hardsigmoid", "Hardswish", "Hardshrink", "Softshrink", "LogSigmoid", "Softplus",
               "Softsign", "Tanhshrink", "Softmax", "Softmin", "LogSoftmax", "PReLU", "GLU"]


def pooling(maker):
    for mode in MODES:
        maker.dense(f"pooling_{mode}", [maker.transformer(), M.Pooling(HIDDEN, mode)])
    maker.dense("pooling_two", [maker.transformer(), M.Pooling(HIDDEN, ["lasttoken", "mean"])])
    maker.dense("pooling_all", [maker.transformer(), M.Pooling(HIDDEN, MODES)])
    for mode in ["cls", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]:
        maker.dense(f"without_prompt_{mode}",
                    [maker.transformer(), M.Pooling(HIDDEN, mode, include_prompt=False)], PROMPTED)
    maker.dense("without_prompt_max", [maker.transformer(), M.Pooling(HIDDEN, "max", include_prompt=False)],
                [c for c in PROMPTED if len(c["prompt"]) < 20])
    maker.golden_tokens = maker.save("token_embeddings", [maker.transformer(), M.Pooling(HIDDEN)])
    maker.golden(maker.golden_tokens, "tokens")


def projections(maker):
    def pooled(*modules):
        return [maker.transformer(), M.Pooling(HIDDEN), *modules]

    for name in ACTIVATIONS:
        activation = getattr(nn, name)()
        maker.dense(f"dense_{name.lower()}", pooled(seeded(Dense(HIDDEN, 10, activation_function=activation))))
    maker.dense("dense_no_bias", pooled(seeded(Dense(HIDDEN, 10, bias=False, activation_function=nn.Identity()))))
    maker.dense("dense_residual", pooled(seeded(Dense(HIDDEN, HIDDEN, use_residual=True))))
    maker.dense("dense_residual_projected", pooled(seeded(Dense(HIDDEN, 10, use_residual=True))))
    maker.dense("dense_tokens", [maker.transformer(), seeded(Dense(HIDDEN, 10, module_input_name="token_embeddings")),
                                 M.Pooling(10)])
    maker.dense("dense_twice_normalize", pooled(
        seeded(Dense(HIDDEN, 40, bias=False, activation_function=nn.Identity())),
        seeded(Dense(40, HIDDEN, bias=False, activation_function=nn.Identity()), 8), Normalize()))
    maker.dense("normalize", pooled(Normalize()))
    maker.dense("layer_norm", pooled(seeded(M.LayerNorm(HIDDEN))))
    maker.dense("dropout", pooled(M.Dropout(0.5)))
    maker.dense("normalize_tokens", [maker.transformer(), Normalize("token_embeddings"), M.Pooling(HIDDEN)])


def layers_and_weights(maker):
    hidden_states = {"output_hidden_states": True}
    deep = M.WeightedLayerPooling(HIDDEN, num_hidden_layers=2, layer_start=1)
    maker.dense("weighted_layers", [maker.transformer(config_kwargs=hidden_states), seeded(deep, 3),
                                    M.Pooling(HIDDEN)])
    every = seeded(M.WeightedLayerPooling(HIDDEN, num_hidden_layers=2, layer_start=0), 4)
    maker.dense("weighted_layers_off", [maker.transformer(), every, M.Pooling(HIDDEN)])
    vocab = _tiny.vocabulary()
    rng = np.random.default_rng(5)
    weights = {word: float(rng.uniform(0.2, 3)) for word in vocab[::2]}
    maker.dense("word_weights", [maker.transformer(), M.WordWeights(vocab, weights, 0.7),
                                 M.Pooling(HIDDEN, ["mean", "mean_sqrt_len_tokens", "weightedmean"])])
    cnn = seeded(M.CNN(HIDDEN, 6, [1, 3, 5]))
    maker.dense("cnn", [maker.transformer(), cnn, M.Pooling(18, ["mean", "max"])])


def words(maker):
    from sentence_transformers.sentence_transformer.modules.tokenizer import WhitespaceTokenizer
    vocab = ["<pad>"] + [w for w in _tiny.WORDS if not w.startswith("##")] + ["Straße", "ΟΔΟΣ", "οδος", "cats", "n/a"]
    texts = TEXTS + ["(Cat) \"dog\" THE-cat n/a", "ΟΔΟΣ, Straße STRASSE İ", "mat\u3000cat\x1cdog\u00a0sea"]
    cases = [{"text": t} for t in texts]
    table = torch.randn(len(vocab), 12, generator=torch.Generator().manual_seed(3)).numpy()

    def embeddings(**kwargs):
        return M.WordEmbeddings(WhitespaceTokenizer(vocab, stop_words=["the", "on"], **kwargs), table)

    maker.dense("word_embeddings", [embeddings(), M.Pooling(12)], cases)
    maker.dense("word_embeddings_lower", [embeddings(do_lower_case=True), M.Pooling(12, ["mean", "weightedmean"])], cases)
    short = embeddings()
    short.max_seq_length = 3
    maker.dense("word_embeddings_short", [short, M.Pooling(12)], cases)
    maker.dense("lstm", [embeddings(), seeded(M.LSTM(12, 5, num_layers=2)), M.Pooling(10, ["mean", "lasttoken"])], cases)
    maker.dense("lstm_forward", [embeddings(), seeded(M.LSTM(12, 7, bidirectional=False)), M.Pooling(7)], cases)
    weights = {w: 0.1 * i for i, w in enumerate(vocab[:20])}
    maker.dense("word_embeddings_weights", [embeddings(), M.WordWeights(vocab, weights, 2.5), M.Pooling(12)], cases)
    maker.dense("word_embeddings_cnn", [embeddings(), seeded(M.CNN(12, 4, [3])), M.Pooling(4)],
                [c for c in cases if c["text"]][:3] + cases[12:])
    maker.dense("bow", [M.BoW(vocab, weights, 0.3)], cases)
    maker.dense("bow_set", [M.BoW(vocab, weights, cumulative_term_frequency=False)], cases)


def static(maker):
    tokenizer = _tiny.tokenizer().backend_tokenizer
    generator = torch.Generator().manual_seed(9)
    size = tokenizer.get_vocab_size()
    table = torch.randn(size, 12, generator=generator)
    maker.dense("static", [M.StaticEmbedding(tokenizer, embedding_weights=table)])
    maker.dense("static_normalize", [M.StaticEmbedding(tokenizer, embedding_weights=table), Normalize()])
    from safetensors.torch import save_file
    tensors = {"embeddings": torch.randn(20, 12, generator=generator),
               "mapping": torch.randint(0, 20, (size,), generator=generator),
               "weights": torch.rand(size, generator=generator, dtype=torch.float32)}
    for name, keys in (("model2vec", ["embeddings"]), ("model2vec_mapped", ["embeddings", "mapping", "weights"])):
        folder = maker.folder(name)
        chosen = {key: tensors[key].contiguous() for key in keys}
        if name == "model2vec":
            chosen["embeddings"] = table.contiguous()
        save_file(chosen, str(folder / "model.safetensors"))
        tokenizer.save(str(folder / "tokenizer.json"))
        _common.write_json(folder / "config.json", {"model_type": "model2vec", "architectures": ["StaticModel"],
                                                    "normalize": True, "seq_length": 1000000})
        _common.write_json(folder / "modules.json", [
            {"idx": 0, "name": "0", "path": ".", "type": "sentence_transformers.models.StaticEmbedding"},
            {"idx": 1, "name": "1", "path": "1_Normalize", "type": "sentence_transformers.models.Normalize"}])
        maker.golden(folder, "dense")


def routers(maker):
    tasks = [{"text": t, **({"task": task} if task else {})} for t in TEXTS[:6] for task in (None, "query", "document")]
    tokenizer = _tiny.tokenizer().backend_tokenizer
    table = torch.randn(tokenizer.get_vocab_size(), HIDDEN, generator=torch.Generator().manual_seed(4))
    first = Router.for_query_document([M.StaticEmbedding(tokenizer, embedding_weights=table)],
                                      [maker.transformer(), M.Pooling(HIDDEN)])
    maker.dense("router", [first, Normalize()], tasks)
    asym = Router({"query": [seeded(Dense(HIDDEN, 8), 5)], "document": [seeded(Dense(HIDDEN, 8), 6)]},
                  default_route=None, allow_empty_key=True)
    maker.dense("router_after_pooling", [maker.transformer(), M.Pooling(HIDDEN), asym], tasks)
    mapped = Router({"a": [seeded(Dense(HIDDEN, 8), 5)], "b": [seeded(Dense(HIDDEN, 8), 6)]},
                    route_mappings={("query", "text"): "b", (None, "text"): "a"})
    maker.dense("router_mapped", [maker.transformer(), M.Pooling(HIDDEN), mapped], tasks)


def settings(maker):
    def plain(**kwargs):
        return [maker.transformer(**kwargs), M.Pooling(HIDDEN), Normalize()]

    prompts = {"query": "query: ", "document": "passage: ", "red": "red "}
    named = [{"text": t, **extra} for t in TEXTS[:3] for extra in (
        {}, {"prompt_name": "red"}, {"task": "query"}, {"task": "document"}, {"prompt": "blue "},
        {"prompt_name": "red", "task": "query"})]
    maker.dense("prompts", plain(), named, prompts=prompts)
    maker.dense("prompts_default", plain(), named, prompts=prompts, default_prompt_name="red")
    cut = [{"text": t, **extra} for t in TEXTS[:4] for extra in (
        {}, {"truncate_dim": 4}, {"truncate_dim": 99}, {"normalize": True}, {"truncate_dim": 5, "normalize": True})]
    maker.dense("truncate_dim", plain(), cut, truncate_dim=7)
    maker.dense("max_seq_length", plain(max_seq_length=8))
    upper = _tiny.bert(maker.scratch / "cased", seed=2, lowercase=False, cased=True)
    maker.dense("lowercase", [maker.transformer(upper, do_lower_case=True), M.Pooling(HIDDEN)])
    maker.dense("cased", [maker.transformer(upper), M.Pooling(HIDDEN)])
    folder = maker.folder("no_modules_json")
    _tiny.bert(folder, seed=3, max_length=20)
    maker.golden(folder, "dense")
    folder = maker.folder("no_modules_json_positions")
    _tiny.bert(folder, seed=3, max_length=int(1e30), max_position_embeddings=12)
    maker.golden(folder, "dense")
    for activation in ("gelu_new", "relu", "silu"):
        other = _tiny.bert(maker.scratch / activation, seed=4, hidden_act=activation, layer_norm_eps=1e-5)
        maker.dense(f"bert_{activation}", [maker.transformer(other), M.Pooling(HIDDEN)])


def scores(maker):
    pairs = [{"text": a, "pair": b, **extra} for a in (TEXTS[0], TEXTS[5]) for b in (TEXTS[1], TEXTS[4], TEXTS[8], "")
             for extra in ({}, {"raw": True})]

    def modular(labels, **kwargs):
        return [maker.transformer(), M.Pooling(HIDDEN, "cls"),
                seeded(Dense(HIDDEN, HIDDEN, bias=False, activation_function=nn.GELU())), seeded(M.LayerNorm(HIDDEN)),
                seeded(Dense(HIDDEN, labels, activation_function=nn.Identity(), module_output_name="scores"), 9)]

    maker.golden(maker.save("cross_modular", modular(1), cls=CrossEncoder), "scores", pairs)
    maker.golden(maker.save("cross_modular_labels", modular(3), cls=CrossEncoder), "scores",
                 pairs + [dict(p, softmax=True) for p in pairs])
    maker.golden(maker.save("cross_modular_tanh", modular(1), cls=CrossEncoder, activation_fn=nn.Tanh()), "scores", pairs)


def sparse(maker):
    from sentence_transformers.sparse_encoder.modules import SparseAutoEncoder, SparseStaticEmbedding
    limits = [{"text": t, **extra} for t in TEXTS[:8] for extra in ({}, {"max_active_dims": 3})]
    for normalize in (False, True):
        encoder = seeded(SparseAutoEncoder(HIDDEN, 64, k=8, k_aux=8, normalize=normalize))
        maker.golden(maker.save(f"sparse_auto_encoder{'_normalize' if normalize else ''}",
                                [maker.transformer(), M.Pooling(HIDDEN), encoder], cls=SparseEncoder), "sparse", limits)
    tokenizer = _tiny.tokenizer()
    weight = torch.rand(len(tokenizer), generator=torch.Generator().manual_seed(2)) + 0.1
    idf = SparseStaticEmbedding(tokenizer, weight=weight)
    maker.golden(maker.save("sparse_static", [idf], cls=SparseEncoder), "sparse", limits)


def heads(maker):
    from transformers import BertForMaskedLM, BertForSequenceClassification
    from sentence_transformers.sparse_encoder.modules import SpladePooling
    pairs = [{"text": a, "pair": b, **extra} for a in (TEXTS[0], TEXTS[5]) for b in (TEXTS[1], TEXTS[4], TEXTS[8])
             for extra in ({}, {"raw": True})]
    for name, labels, extra in (("cross_one_label", 1, {}), ("cross_three_labels", 3, {}), (
            "cross_identity", 1, {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"})):
        folder = maker.folder(name)
        _tiny.bert(folder, seed=6, cls=BertForSequenceClassification, num_labels=labels, **extra)
        _tiny.plain(folder)
        maker.golden(folder, "scores", pairs)
    masked = _tiny.bert(maker.scratch / "masked", seed=8, cls=BertForMaskedLM)
    folder = maker.folder("splade_no_modules_json")
    shutil.copytree(masked, folder, dirs_exist_ok=True)
    _tiny.plain(folder)
    maker.golden(folder, "sparse", **{"as": "sparse"})
    for strategy, activation in (("max", "log1p_relu"), ("sum", "relu")):
        modules = [maker.transformer(masked, transformer_task="fill-mask"), SpladePooling(strategy, activation)]
        maker.golden(maker.save(f"splade_{strategy}_{activation}", modules, cls=SparseEncoder), "sparse")


TOPICS = [pooling, projections, layers_and_weights, words, static, routers, settings, scores, sparse, heads]


def make(root, model_dir):
    maker = Maker(root)
    for topic in TOPICS:
        topic(maker)
    count = len(list(maker.root.glob("*/golden.json")))
    print(f"  {count} pipeline goldens")
