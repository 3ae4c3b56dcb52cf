"""tests/golden/pipeline/mv_*: multi-vector models: native saves, PyLate and Stanford ColBERT layouts, conversions."""
import json
import shutil
import string

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize
from sentence_transformers.multi_vector_encoder.modules import HierarchicalTokenPooling, MultiVectorMask
from sentence_transformers.sentence_transformer import modules as M
from torch import nn

from goldens import _common, _tiny
from goldens._tiny import HIDDEN, TEXTS
from goldens.pipeline import Maker, seeded

TASKS = [{"text": text, **({"task": task} if task else {})} for text in TEXTS[:1] + TEXTS[1:9:2] + TEXTS[9:11]
         for task in (None, "query", "document")]
PUNCTUATION = list(string.punctuation)


def projection(seed=7, width=8, **kwargs):
    return seeded(Dense(HIDDEN, width, bias=False, activation_function=nn.Identity(),
                        module_input_name="token_embeddings", **kwargs), seed)


def native(maker):
    def save(name, *rest, mask=None, **kwargs):
        modules = [maker.transformer(**kwargs), projection(), mask or MultiVectorMask(), *rest]
        folder = maker.save(name, modules, cls=MultiVectorEncoder)
        maker.golden(folder, "multi-vector", TASKS)

    tokens = Normalize("token_embeddings")
    save("mv_plain", tokens)
    save("mv_lengths", tokens, query_length=6, document_length=9)
    save("mv_skiplist", tokens, mask=MultiVectorMask(PUNCTUATION + ["the", "nowhere"]))
    save("mv_skiplist_both", tokens, mask=MultiVectorMask(["cat", "."], skiplist_tasks=["query", "document"]))
    save("mv_keep_only", tokens, mask=MultiVectorMask(keep_only_token_ids=[2, 70, 71, 72, 73, 74, 75, 76]))
    for strategy in ("fixed", "min"):
        for attend in (False, True):
            save(f"mv_expansion_{strategy}_{'attend' if attend else 'hidden'}", tokens,
                 query_expansion={"strategy": strategy, "attend": attend, "length": 12}, document_length=10)
    save("mv_expansion_token", tokens, query_length=20,
         query_expansion={"strategy": "min", "attend": False, "token": "[unused1]", "length": 8})
    for name, options in (("", {"pool_factor": 2.0}), ("_protected", {"pool_factor": 1.5, "num_protected_tokens": 0}),
                          ("_raw", {"pool_factor": 3, "normalize_embeddings": False}),
                          ("_both", {"pool_factor": 2, "tasks": ["query", "document"]}), ("_off", {"pool_factor": 1.0})):
        save(f"mv_token_pooling{name}", tokens, HierarchicalTokenPooling(**options), mask=MultiVectorMask(PUNCTUATION))
    prompted = [maker.transformer(), projection(), MultiVectorMask(), tokens]
    folder = maker.save("mv_prompts", prompted, cls=MultiVectorEncoder, similarity_fn_name="meanmaxsim",
                        prompts={"query": "[unused0] ", "document": "find: ", "red": "red "})
    maker.golden(folder, "multi-vector", TASKS + [{"text": t, "prompt_name": "red", "task": "query"} for t in TEXTS[:3]])


def marked_tokenizer(folder, maker):
    """A BERT whose tokenizer has "[Q] " and "[D] " as added tokens, as PyLate saves them."""
    from transformers import AutoTokenizer, BertModel
    _tiny.bert(folder, seed=11)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["[Q] ", "[D] "])
    model = BertModel.from_pretrained(folder)
    model.resize_token_embeddings(len(tokenizer))
    _common.randomize(model, 11)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def pylate(maker):
    """The files of a PyLate 1.x save, by hand: modules of old type names, knobs in config_sentence_transformers.json."""
    dense = projection(12)

    def save(name, config, modules=None, markers=True, bert_config=None):
        folder = maker.folder(name)
        marked_tokenizer(folder, maker) if markers else _tiny.bert(folder, seed=12)
        (folder / "1_Dense").mkdir()
        save_file({"linear.weight": dense.linear.weight.data.contiguous()}, str(folder / "1_Dense" / "model.safetensors"))
        _common.write_json(folder / "1_Dense" / "config.json", {
            "in_features": HIDDEN, "out_features": 8, "bias": False,
            "activation_function": "torch.nn.modules.linear.Identity"})
        _common.write_json(folder / "modules.json", [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Dense", "type": "pylate.models.Dense.Dense"}])
        _common.write_json(folder / "sentence_bert_config.json", {"max_seq_length": 19, "do_lower_case": False,
                                                                  **(bert_config or {})})
        _common.write_json(folder / "config_sentence_transformers.json", {
            "__version__": {"sentence_transformers": "4.0.2", "transformers": "4.48.2", "pytorch": "2.5.1"},
            "prompts": {}, "default_prompt_name": None, "similarity_fn_name": "MaxSim", **config})
        _tiny.plain(folder)
        extra = {} if "model_type" in config else {"as": "multi-vector"}
        maker.golden(folder, "multi-vector", TASKS, **extra)

    full = {"query_prefix": "[Q] ", "document_prefix": "[D] ", "query_length": 12, "document_length": 20,
            "attend_to_expansion_tokens": False, "skiplist_words": PUNCTUATION, "do_query_expansion": True}
    plain = {key: value for key, value in full.items()}
    plain["similarity_fn_name"] = "cosine"
    save("mv_pylate", {"model_type": "ColBERT", **plain})
    save("mv_pylate_converted", plain)
    save("mv_pylate_attend", {"model_type": "ColBERT", **plain, "attend_to_expansion_tokens": True, "query_length": None})
    save("mv_pylate_no_expansion", {"model_type": "ColBERT", **plain, "do_query_expansion": False, "skiplist_words": ["cat"]})
    unused = {"model_type": "ColBERT", "query_prefix": "[unused0] ", "document_prefix": "[unused1] ", "query_length": 9,
              "document_length": 14, "similarity_fn_name": "cosine", "prompts": {"query": "find ", "document": "[unused1] the "}}
    save("mv_pylate_unused", unused, markers=False)
    save("mv_pylate_text_marker", {**unused, "query_prefix": "query: ", "document_prefix": ""}, markers=False)


def stanford(maker):
    from transformers import BertModel
    for name, metadata in (("mv_stanford", {"query_token_id": "[unused0]", "doc_token_id": "[unused1]", "query_token": "[Q]",
                                            "doc_token": "[D]", "query_maxlen": 10, "doc_maxlen": 16, "dim": 8,
                                            "similarity": "cosine", "mask_punctuation": True,
                                            "attend_to_mask_tokens": False}),
                           ("mv_stanford_defaults", None), ("mv_stanford_attend", {
                               "query_maxlen": 9, "mask_punctuation": False, "attend_to_mask_tokens": True})):
        folder = maker.folder(name)
        _tiny.bert(folder, seed=13)
        tensors = {f"bert.{key}": value for key, value in load_file(folder / "model.safetensors").items()}
        tensors["linear.weight"] = projection(14).linear.weight.data.contiguous()
        save_file(tensors, str(folder / "model.safetensors"), metadata={"format": "pt"})
        config = json.loads((folder / "config.json").read_text())
        config["architectures"] = ["HF_ColBERT"]
        _common.write_json(folder / "config.json", config)
        if metadata is not None:
            _common.write_json(folder / "artifact.metadata", metadata)
        _tiny.plain(folder)
        maker.golden(folder, "multi-vector", TASKS, **{"as": "multi-vector"})


def converted(maker):
    """A dense model with a projection, loaded as multi-vector."""
    dense = seeded(Dense(HIDDEN, 8), 15)
    folder = maker.save("mv_converted", [maker.transformer(), M.Pooling(HIDDEN), dense, Normalize()],
                        cls=SentenceTransformer, prompts={"query": "find ", "document": ""})
    maker.golden(folder, "multi-vector", TASKS, **{"as": "multi-vector"})


def make(root, model_dir):
    maker = Maker(root)
    for topic in (native, pylate, stanford, converted):
        topic(maker)
