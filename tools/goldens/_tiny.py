"""Tiny random models for the pipeline goldens: a BERT with its WordPiece tokenizer, a word list, static tables."""
import json
import random
import string
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, BertTokenizerFast

from goldens import _common

WORDS = ("the a cat dog sat on mat and ran fast in park what is it query passage search for find document red blue "
         "green sky sea un ##known ##s ##ing ##ed run sleep hello world text model vector").split()
TEXTS = [
    "hello world", "The cat sat on the mat.", "a", "", "dogs and cats running in the park, fast!",
    "what is it? find the RED document", "zzz qqq unknown words", "  spaced   out text ",
    "the cat and the dog ran in the park and sat on the mat and ran fast in the green park and the sky is blue and "
    "the sea is green and the red dog sleeps", "[MASK] [SEP] literal", "Café naïve", "hello, hello; hello world.",
]
HIDDEN = 16


def vocabulary(cased=False):
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused0]", "[unused1]"]
    tokens += list(string.ascii_lowercase) + ["##" + c for c in string.ascii_lowercase] + list(".,!?;:'\"-")
    if cased:
        tokens += list(string.ascii_uppercase) + ["The", "RED"]
    return list(dict.fromkeys(tokens + WORDS))


def tokenizer(lowercase=True, max_length=48, cased=False, folder=None):
    vocab = {token: i for i, token in enumerate(vocabulary(cased))}
    inner = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocab["[CLS]"]), ("[SEP]", vocab["[SEP]"])])
    return BertTokenizerFast(tokenizer_object=inner, vocab=vocab, do_lower_case=lowercase, model_max_length=max_length)


def bert(folder, seed=1, cls=BertModel, max_length=48, lowercase=True, cased=False, hidden=HIDDEN, **config):
    """Saves a random BERT of class `cls` with its tokenizer into `folder`."""
    folder = Path(folder)
    vocab = len(vocabulary(cased))
    settings = dict(vocab_size=vocab, hidden_size=hidden, num_hidden_layers=2, num_attention_heads=2,
                    intermediate_size=24, max_position_embeddings=64, type_vocab_size=2)
    settings.update(config)
    model = cls(BertConfig(**settings))
    _common.randomize(model, seed)
    model.save_pretrained(folder)
    tokenizer(lowercase, max_length, cased).save_pretrained(folder)
    return folder


def plain(path):
    """Drops what only people read, to keep the fixtures small."""
    for name in ("README.md", ".gitattributes"):
        for file in Path(path).rglob(name):
            file.unlink()
    for file in Path(path).rglob("tokenizer.json"):
        file.write_text(json.dumps(json.loads(file.read_text("utf-8")), ensure_ascii=False), encoding="utf-8")
