"""tests/golden/models/<decoder>: tiny random decoders, see _models.py."""
from transformers import (Gemma2Config, Gemma2ForCausalLM, Gemma2Model, Gemma3TextConfig, Gemma3TextModel, GemmaConfig,
                          GemmaModel, LlamaConfig, LlamaForSequenceClassification, LlamaModel, MistralConfig,
                          MistralForSequenceClassification, MistralModel, Phi3Config, Phi3Model, Qwen2Config,
                          Qwen2ForCausalLM, Qwen2ForSequenceClassification, Qwen2Model, Qwen3Config, Qwen3ForCausalLM,
                          Qwen3ForSequenceClassification, Qwen3Model)

from goldens import _models

TEXTS = [[2, 5, 6, 3], [9], [2, 5, 0, 3, 0, 0], [2] + [4 + i * 7 % 50 for i in range(45)] + [3]]
SIZE = dict(vocab_size=60, hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=96, pad_token_id=0, bos_token_id=2, eos_token_id=3)
HEAD = dict(head_dim=8)
EPS = "rms_norm_eps=0.5"
THETA = "rope_theta=30"
CAUSAL, BOTH = "is_causal=true", "is_causal=false"

# name: class, config, wrong overrides
MODELS = {
    "llama": (LlamaModel, LlamaConfig(**SIZE, **HEAD), [BOTH, THETA, EPS, "hidden_act=gelu"]),
    "llama-bidirectional": (LlamaModel, LlamaConfig(**SIZE, is_causal=False), [CAUSAL, THETA]),
    "llama-biases": (LlamaModel, LlamaConfig(**SIZE, **HEAD, attention_bias=True, mlp_bias=True), [BOTH]),
    "llama-classification": (LlamaForSequenceClassification, LlamaConfig(**SIZE, num_labels=3), [BOTH]),
    "llama-llama3-rope": (LlamaModel, LlamaConfig(
        **SIZE, **HEAD, rope_parameters=dict(rope_type="llama3", rope_theta=500.0, factor=8.0, low_freq_factor=1.0,
                                             high_freq_factor=4.0, original_max_position_embeddings=48)),
        ["rope_scaling=null", THETA]),
    "llama-linear-rope": (LlamaModel, LlamaConfig(
        **SIZE, rope_parameters=dict(rope_type="linear", rope_theta=100.0, factor=4.0)), ["rope_scaling=null"]),
    "llama-dynamic-rope": (LlamaModel, LlamaConfig(
        **{**SIZE, "max_position_embeddings": 12}, rope_parameters=dict(rope_type="dynamic", rope_theta=100.0,
                                                                        factor=6.0)), ["rope_scaling=null"]),
    "mistral": (MistralModel, MistralConfig(**SIZE, **HEAD, sliding_window=4),
                [BOTH, "sliding_window=null", "sliding_window=3", "sliding_window=5", THETA]),
    "mistral-bidirectional": (MistralModel, MistralConfig(**SIZE, sliding_window=4, is_causal=False),
                              [CAUSAL, "sliding_window=3", "sliding_window=5"]),
    "mistral-classification": (MistralForSequenceClassification, MistralConfig(
        **SIZE, sliding_window=None, num_labels=1), [BOTH]),
    "qwen2": (Qwen2Model, Qwen2Config(**SIZE), [BOTH, THETA, EPS, "hidden_act=relu"]),
    "qwen2-bidirectional": (Qwen2Model, Qwen2Config(**SIZE, is_causal=False), [CAUSAL, THETA, EPS]),
    "qwen2-window": (Qwen2Model, Qwen2Config(**SIZE, use_sliding_window=True, sliding_window=4, max_window_layers=1),
                     ["use_sliding_window=false", "max_window_layers=0", "sliding_window=6"]),
    "qwen2-yarn-rope": (Qwen2Model, Qwen2Config(
        **SIZE, rope_parameters=dict(rope_type="yarn", rope_theta=100.0, factor=4.0,
                                     original_max_position_embeddings=24)), ["rope_scaling=null"]),
    "qwen2-classification": (Qwen2ForSequenceClassification, Qwen2Config(**SIZE, num_labels=2), [BOTH]),
    "qwen2-causal": (Qwen2ForCausalLM, Qwen2Config(**SIZE), [BOTH]),
    "qwen3": (Qwen3Model, Qwen3Config(**SIZE, **HEAD), [BOTH, THETA, EPS]),
    "qwen3-biases": (Qwen3Model, Qwen3Config(**SIZE, head_dim=16, attention_bias=True), [BOTH]),
    "qwen3-causal": (Qwen3ForCausalLM, Qwen3Config(**SIZE, **HEAD, tie_word_embeddings=True), [BOTH]),
    "qwen3-classification": (Qwen3ForSequenceClassification, Qwen3Config(**SIZE, **HEAD, num_labels=3), [BOTH]),
    "phi3": (Phi3Model, Phi3Config(**SIZE, sliding_window=4), [BOTH, THETA, "sliding_window=null"]),
    "phi3-longrope": (Phi3Model, Phi3Config(
        **{**SIZE, "hidden_size": 64}, original_max_position_embeddings=32, rope_parameters=dict(
            rope_type="longrope", rope_theta=100.0, partial_rotary_factor=0.75, short_factor=[1, 1.1, 1.2, 1.3, 2, 3],
            long_factor=[1, 2, 4, 8, 16, 32])), [BOTH, "rope_scaling=null"]),
    "gemma": (GemmaModel, GemmaConfig(**SIZE, **HEAD, hidden_act="gelu"), [BOTH, THETA]),
    "gemma2": (Gemma2Model, Gemma2Config(**SIZE, **HEAD, query_pre_attn_scalar=6, sliding_window=4,
                                         attn_logit_softcapping=2.0),
               [BOTH, THETA, "attn_logit_softcapping=null", "query_pre_attn_scalar=1", "sliding_window=7",
                "hidden_act=tanh"]),
    "gemma2-bidirectional": (Gemma2Model, Gemma2Config(**SIZE, **HEAD, query_pre_attn_scalar=6, sliding_window=4,
                                                       attn_logit_softcapping=None, is_causal=False), [CAUSAL]),
    "gemma2-causal": (Gemma2ForCausalLM, Gemma2Config(**SIZE, **HEAD, query_pre_attn_scalar=6, sliding_window=4,
                                                      final_logit_softcapping=5.0), [BOTH]),
    "gemma3": (Gemma3TextModel, Gemma3TextConfig(
        **SIZE, **HEAD, query_pre_attn_scalar=6, sliding_window=4, sliding_window_pattern=2,
        rope_parameters=dict(full_attention=dict(rope_type="linear", factor=8.0, rope_theta=5000.0),
                             sliding_attention=dict(rope_type="default", rope_theta=50.0))),
        [BOTH, "rope_theta=20", "rope_local_base_freq=5000", "rope_scaling=null", "sliding_window=6"]),
    "embeddinggemma": (Gemma3TextModel, Gemma3TextConfig(
        **SIZE, **HEAD, query_pre_attn_scalar=6, sliding_window=7, use_bidirectional_attention=True,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"]),
        [CAUSAL, "sliding_window=4", "sliding_window=9", "rope_local_base_freq=100", "hidden_act=tanh"]),
}


def task_of(name):
    return {"classification": "classification", "causal": "causal"}.get(name.rpartition("-")[2], "features")


# Written with the keys of transformers 4; the others as transformers 5 writes them.
OLDER = {"llama-llama3-rope", "llama-dynamic-rope", "llama-bidirectional", "mistral", "qwen2", "qwen2-window",
         "qwen3-causal", "phi3-longrope", "gemma2", "gemma3"}


def make(root, _model_dir):
    for seed, (name, (cls, config, wrong)) in enumerate(MODELS.items()):
        _models.write(root / "models" / name, cls, config, 300 + seed, task_of(name), TEXTS, wrong,
                      rewrite=_models.older if name in OLDER else None)
