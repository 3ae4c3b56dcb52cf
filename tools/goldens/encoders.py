"""tests/golden/models/<name> for the encoders beyond BERT's own family; the format is that of models.py."""
import contextlib

import torch
from transformers import (AlbertConfig, AlbertForMaskedLM, AlbertForSequenceClassification, AlbertModel,
                          DebertaV2Config, DebertaV2ForMaskedLM, DebertaV2ForSequenceClassification, DebertaV2Model,
                          MT5Config, MT5EncoderModel, T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel)
from transformers.models.mt5 import modeling_mt5
from transformers.models.t5 import modeling_t5
from transformers.models.umt5 import modeling_umt5

from goldens import models

# The fourth is the one that wrong variants are told apart on.
IDS = [[2, 5, 6, 3], [2, 7, 8, 9, 10, 11, 3], [2, 3], [2] + [4 + i * 7 % 50 for i in range(60)] + [3], [9]]
LONG = IDS + [[2] + [4 + i * 11 % 50 for i in range(150)] + [3]]
SIZE = dict(vocab_size=60, hidden_size=24, num_hidden_layers=3, num_attention_heads=3, intermediate_size=40,
            max_position_embeddings=80)
ALBERT = dict(SIZE, num_hidden_layers=2, embedding_size=16, num_hidden_groups=2, inner_group_num=2)
DEBERTA = dict(SIZE, max_position_embeddings=160, relative_attention=True, pos_att_type=["p2c", "c2p"],
               position_buckets=16, norm_rel_ebd="layer_norm", share_att_key=True, position_biased_input=False)
T5 = dict(vocab_size=60, d_model=24, d_kv=10, d_ff=40, num_layers=3, num_heads=3, relative_attention_num_buckets=32,
          relative_attention_max_distance=40)


@contextlib.contextmanager
def float64():
    """Steps that the reference's code forces into float32 run in the model's own type."""
    def rms(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))

    softmax = torch.nn.functional.softmax

    def same_type_softmax(x, dim=None, dtype=None, **kwargs):
        return softmax(x, dim=dim, dtype=None if x.dtype == torch.float64 else dtype, **kwargs)

    patches = [(modeling_t5.T5LayerNorm, "forward", rms), (modeling_mt5.MT5LayerNorm, "forward", rms),
               (modeling_umt5.UMT5LayerNorm, "forward", rms),
               (torch.nn.functional, "softmax", same_type_softmax)]
    saved = [(owner, name, getattr(owner, name)) for owner, name, _ in patches]
    try:
        for owner, name, value in patches:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in saved:
            setattr(owner, name, value)


# name: (class, config, wrong variants, near variants, ids)
MODELS = {
    "albert": (AlbertModel, AlbertConfig(**ALBERT),
               ["hidden_act=tanh"], ["hidden_act=relu", "hidden_act=gelu", "num_attention_heads=2", "layer_norm_eps=2.0"], IDS),
    "albert-classification": (AlbertForSequenceClassification, AlbertConfig(**ALBERT, num_labels=3), [], [], IDS),
    "albert-mlm": (AlbertForMaskedLM, AlbertConfig(**ALBERT), [], [], IDS),
    "deberta-v3": (DebertaV2Model, DebertaV2Config(**DEBERTA),
                   ["pos_att_type=p2c", "relative_attention=false", "max_relative_positions=40"],
                   ["hidden_act=relu", "num_attention_heads=2", "layer_norm_eps=2.0", "pos_att_type=c2p",
                    "hidden_act=gelu_new"], LONG),
    "deberta-v3-classification": (DebertaV2ForSequenceClassification, DebertaV2Config(**DEBERTA, num_labels=3),
                                  ["pooler_hidden_act=tanh"], [], IDS),
    "deberta-v2-conv": (DebertaV2Model,
                        DebertaV2Config(**dict(DEBERTA, share_att_key=False, position_biased_input=True,
                                               type_vocab_size=2, embedding_size=16, conv_kernel_size=3,
                                               conv_groups=2, conv_act="gelu")),
                        ["conv_act=tanh", "norm_rel_ebd=none"], [], LONG),
    "deberta-v2-c2p": (DebertaV2Model,
                       DebertaV2Config(**dict(DEBERTA, share_att_key=False, pos_att_type="c2p", position_buckets=-1,
                                              norm_rel_ebd="none", max_relative_positions=50)), [], [], LONG),
    "deberta-v2-mlm": (DebertaV2ForMaskedLM, DebertaV2Config(**DEBERTA), [], [], IDS),
    "deberta-v2-new-mlm": (DebertaV2ForMaskedLM, DebertaV2Config(**DEBERTA, legacy=False), [], [], IDS),
    "t5": (T5EncoderModel, T5Config(**T5),
           ["relative_attention_max_distance=128", "layer_norm_epsilon=2.0"], [], LONG),
    "mt5": (MT5EncoderModel, MT5Config(**T5), ["relative_attention_max_distance=128"], ["dense_act_fn=gelu"],
            LONG),
    "umt5": (UMT5EncoderModel, UMT5Config(**T5), [], [], LONG),
}

# T5's scores are not scaled and these heads cancel: wider weights would make them ill-conditioned.
GAINS = {"t5": 0.8, "mt5": 0.8, "umt5": 0.8, "albert": 2.5, "deberta-v2-mlm": 1.2, "deberta-v2-new-mlm": 1.2}


def make(root, _model_dir):
    for seed, (name, (cls, config, wrong, near, ids)) in enumerate(MODELS.items()):
        scales = dict(gain=GAINS[name]) if name in GAINS else {}
        models.write(root / "models" / name, cls, config, 300 + seed, wrong, near=near, ids=ids, exact_run=float64,
                     **scales)
