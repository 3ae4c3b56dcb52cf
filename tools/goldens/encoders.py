"""tests/golden/models/<name> for the encoders beyond BERT's own family; the format is that of models.py."""
import contextlib
import zlib

import torch
from transformers import (AlbertConfig, AlbertForMaskedLM, AlbertForSequenceClassification, AlbertModel,
                          DebertaV2Config, DebertaV2ForMaskedLM, DebertaV2ForSequenceClassification, DebertaV2Model,
                          EuroBertForMaskedLM, EuroBertForSequenceClassification, EuroBertModel,
                          GteConfig, GteForMaskedLM, GteForSequenceClassification, JinaEmbeddingsV3Config,
                          JinaEmbeddingsV3Model, ModernBertForMaskedLM, ModernBertForSequenceClassification,
                          ModernBertModel, MT5Config, MT5EncoderModel, NomicBertConfig, NomicBertForMaskedLM,
                          NomicBertModel, T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel)
from transformers.models.eurobert import modeling_eurobert
from transformers.models.modernbert import modeling_modernbert
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

    def same_type_rotary(q, k, cos, sin, unsqueeze_dim=1):
        cos, sin = cos.unsqueeze(unsqueeze_dim), sin.unsqueeze(unsqueeze_dim)
        rotate = modeling_modernbert.rotate_half
        return q * cos + rotate(q) * sin, k * cos + rotate(k) * sin

    patches = [(modeling_t5.T5LayerNorm, "forward", rms), (modeling_mt5.MT5LayerNorm, "forward", rms),
               (modeling_umt5.UMT5LayerNorm, "forward", rms),
               (modeling_eurobert.EuroBertRMSNorm, "forward", rms),
               (modeling_modernbert, "apply_rotary_pos_emb", same_type_rotary),
               (torch.nn.functional, "softmax", same_type_softmax)]
    saved = [(owner, name, getattr(owner, name)) for owner, name, _ in patches]
    try:
        for owner, name, value in patches:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in saved:
            setattr(owner, name, value)


# As nomic-ai/modernbert-embed-base publishes it.
MODERNBERT = {
    "architectures": ["ModernBertModel"], "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 2,
    "classifier_activation": "gelu", "classifier_bias": False, "classifier_dropout": 0.0,
    "classifier_pooling": "mean", "cls_token_id": 2, "decoder_bias": True, "deterministic_flash_attn": False,
    "embedding_dropout": 0.0, "eos_token_id": 3, "global_attn_every_n_layers": 3, "global_rope_theta": 160000.0,
    "gradient_checkpointing": False, "hidden_activation": "gelu", "hidden_size": 24, "initializer_cutoff_factor": 2.0,
    "initializer_range": 0.02, "intermediate_size": 40, "layer_norm_eps": 1e-05, "local_attention": 16,
    "local_rope_theta": 10000.0, "max_position_embeddings": 8192, "mlp_bias": False, "mlp_dropout": 0.0,
    "model_type": "modernbert", "norm_bias": False, "norm_eps": 1e-05, "num_attention_heads": 3,
    "num_hidden_layers": 4, "pad_token_id": 0, "position_embedding_type": "absolute", "reference_compile": False,
    "sep_token_id": 3, "sparse_pred_ignore_index": -100, "sparse_prediction": False, "torch_dtype": "float32",
    "transformers_version": "4.48.0", "vocab_size": 60}
# As EuroBERT/EuroBERT-210m publishes it.
EUROBERT = {
    "architectures": ["EuroBertForMaskedLM"], "attention_bias": False, "attention_dropout": 0.0,
    "auto_map": {"AutoModel": "modeling_eurobert.EuroBertModel"}, "bos_token": "<|begin_of_text|>", "bos_token_id": 2,
    "clf_pooling": "late", "eos_token": "<|end_of_text|>", "eos_token_id": 3, "head_dim": 8, "hidden_act": "silu",
    "hidden_dropout": 0.0, "hidden_size": 24, "initializer_range": 0.02, "intermediate_size": 40,
    "mask_token": "<|mask|>", "mask_token_id": 4, "max_position_embeddings": 8192, "mlp_bias": False,
    "model_type": "eurobert", "num_attention_heads": 3, "num_hidden_layers": 3, "num_key_value_heads": 3,
    "pad_token": "<|end_of_text|>", "pad_token_id": 0, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
    "rope_scaling": None, "rope_theta": 250000, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
    "transformers_version": "4.40.0", "use_cache": False, "vocab_size": 60}
NATIVE = dict(vocab_size=60, hidden_size=24, num_hidden_layers=3, num_attention_heads=3, intermediate_size=40)

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
    "modernbert-embed-base": (ModernBertModel, MODERNBERT,
                              ["local_attention=4", "global_attn_every_n_layers=1", "global_rope_theta=3",
                               "hidden_activation=tanh"],
                              ["local_attention=18", "local_rope_theta=160000", "global_rope_theta=10000",
                               "hidden_activation=gelu_new", "norm_eps=1.0"], LONG),
    "modernbert-classification": (ModernBertForSequenceClassification, MODERNBERT | {"num_labels": 3},
                                  ["classifier_pooling=cls"], ["classifier_activation=relu"], IDS),
    "gte-modernbert-classification": (
        ModernBertForSequenceClassification,
        MODERNBERT | {"num_labels": 3, "classifier_pooling": "cls", "classifier_bias": True, "norm_bias": True,
                      "attention_bias": True, "mlp_bias": True}, ["classifier_pooling=mean"], [], IDS),
    "modernbert-mlm": (ModernBertForMaskedLM, ModernBertModel.config_class(**MODERNBERT), [], [], IDS),
    "nomic-bert-native": (NomicBertModel, NomicBertConfig(**NATIVE), [], ["hidden_act=gelu"], IDS),
    "nomic-bert-native-mlm": (NomicBertForMaskedLM, NomicBertConfig(**NATIVE), [], [], IDS),
    "gte-native-classification": (GteForSequenceClassification, GteConfig(**NATIVE, num_labels=3), [], [], IDS),
    "gte-native-mlm": (GteForMaskedLM, GteConfig(**NATIVE, type_vocab_size=0), [], [], IDS),
    "jina-embeddings-v3-native": (JinaEmbeddingsV3Model, JinaEmbeddingsV3Config(**NATIVE), [], [], IDS),
    "eurobert": (EuroBertModel, EUROBERT, ["is_causal=true", "rope_theta=3", "hidden_act=tanh"],
                 ["rope_theta=10000", "rms_norm_eps=1.0"], IDS),
    "eurobert-classification": (EuroBertForSequenceClassification, EUROBERT | {"num_labels": 3},
                                ["classifier_pooling=bos"], ["classifier_pooling=mean"], IDS),
    "eurobert-mlm": (EuroBertForMaskedLM, EuroBertModel.config_class(**EUROBERT), [], [], IDS),
    "umt5": (UMT5EncoderModel, UMT5Config(**T5), [], [], LONG),
}

# T5's scores are not scaled and these heads cancel: wider weights would make them ill-conditioned.
GAINS = {"t5": 0.8, "mt5": 0.8, "umt5": 0.8, "albert": 2.0, "deberta-v2-mlm": 1.2, "deberta-v2-new-mlm": 1.2}


def make(root, _model_dir):
    for name, (cls, config, wrong, near, ids) in MODELS.items():
        scales = dict(gain=GAINS[name]) if name in GAINS else {}
        models.write(root / "models" / name, cls, config, zlib.crc32(name.encode()), wrong, near=near,
                     ids=ids, exact_run=float64, **scales)
