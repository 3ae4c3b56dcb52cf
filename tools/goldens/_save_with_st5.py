"""Saves models with Sentence Transformers 5: _save_with_st5.py FOLDER. Run by pipeline_old.py in an environment of its own."""
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parent.parent)  # this folder's tokenizers.py is not the library
import numpy as np
import torch
from sentence_transformers import CrossEncoder, SentenceTransformer, SparseEncoder, models
from sentence_transformers.models.tokenizer import WhitespaceTokenizer
from sentence_transformers.sparse_encoder.models import MLMTransformer, SparseAutoEncoder, SparseStaticEmbedding, SpladePooling
from torch import nn
from transformers import BertForMaskedLM, BertForSequenceClassification

from goldens import _common, _tiny  # noqa: E402
from goldens._tiny import HIDDEN  # noqa: E402

OUT = Path(sys.argv[1])


def seeded(module, seed=41):
    _common.randomize(module, seed, 0.4)
    return module


def save(name, modules, cls=SentenceTransformer, **kwargs):
    cls(modules=modules, device="cpu", **kwargs).save_pretrained(str(OUT / name), create_model_card=False)


backbone = str(_tiny.bert(OUT / "_bert"))
cased = str(_tiny.bert(OUT / "_cased", seed=2, lowercase=False, cased=True))
masked = str(_tiny.bert(OUT / "_masked", seed=8, cls=BertForMaskedLM))
pooled = lambda mode="mean", **kw: models.Pooling(HIDDEN, pooling_mode=mode, **kw)  # noqa: E731
dense = lambda out=8, **kw: seeded(models.Dense(HIDDEN, out, **kw))  # noqa: E731

save("old5_dense", [models.Transformer(backbone), pooled("cls"), dense(), models.Normalize()], prompts={"query": "find ", "red": "red "},
     default_prompt_name="red", similarity_fn_name="dot")
save("old5_lengths", [models.Transformer(cased, max_seq_length=9, do_lower_case=True), pooled()], truncate_dim=6)
several = models.Pooling(HIDDEN, pooling_mode_cls_token=True, pooling_mode_mean_tokens=True, pooling_mode_max_tokens=True,
                         pooling_mode_lasttoken=True)
save("old5_pooling", [models.Transformer(backbone), several])
save("old5_without_prompt", [models.Transformer(backbone), pooled("weightedmean", include_prompt=False)], prompts={"query": "find the "})
save("old5_layers", [models.Transformer(backbone, config_args={"output_hidden_states": True}),
                     seeded(models.WeightedLayerPooling(HIDDEN, num_hidden_layers=2, layer_start=0)), pooled(), seeded(models.LayerNorm(HIDDEN))])
vocab = _tiny.vocabulary()
save("old5_word_weights", [models.Transformer(backbone), models.WordWeights(vocab, {w: 0.1 + i / 50 for i, w in enumerate(vocab)}, 0.6), pooled()])
save("old5_dense_identity", [models.Transformer(backbone), pooled("mean_sqrt_len_tokens"), dense(activation_function=nn.Identity(), bias=False),
                             models.Dropout(0.2)])
tokenizer = _tiny.tokenizer().backend_tokenizer
table = torch.randn(tokenizer.get_vocab_size(), HIDDEN, generator=torch.Generator().manual_seed(9))
save("old5_static", [models.StaticEmbedding(tokenizer, embedding_weights=table), models.Normalize()])
save("old5_router", [models.Router.for_query_document([models.StaticEmbedding(tokenizer, embedding_weights=table)],
                                                      [models.Transformer(backbone), pooled()])])
save("old5_asym", [models.Transformer(backbone), pooled(), models.Asym({"query": [dense()], "document": [dense(activation_function=nn.ReLU())]})])
words = ["<pad>"] + [w for w in _tiny.WORDS if not w.startswith("##")]
numbers = np.random.default_rng(3).standard_normal((len(words), 12)).astype(np.float32)
embedding = lambda: models.WordEmbeddings(WhitespaceTokenizer(words, stop_words=["the"]), numbers)  # noqa: E731
save("old5_words_lstm", [embedding(), seeded(models.LSTM(12, 5)), models.Pooling(10)])
save("old5_bow", [models.BoW(words, {w: 0.2 * i for i, w in enumerate(words[:9])}, 0.3)])
save("old5_splade", [MLMTransformer(masked), SpladePooling("max")], cls=SparseEncoder)
save("old5_csr", [models.Transformer(backbone), pooled(), seeded(SparseAutoEncoder(HIDDEN, 40, k=8, k_aux=4))], cls=SparseEncoder)
idf = SparseStaticEmbedding(_tiny.tokenizer(), weight=torch.rand(len(_tiny.tokenizer()), generator=torch.Generator().manual_seed(2)) + 0.1)
save("old5_inference_free", [models.Router.for_query_document([idf], [MLMTransformer(masked), SpladePooling("max")])], cls=SparseEncoder)
for name, labels, activation in (("old5_cross", 1, None), ("old5_cross_identity", 1, nn.Identity()), ("old5_cross_labels", 3, None)):
    folder = _tiny.bert(OUT / f"_{name}", seed=6, cls=BertForSequenceClassification, num_labels=labels)
    CrossEncoder(str(folder), device="cpu", **({"activation_fn": activation} if activation else {})).save_pretrained(str(OUT / name))
