"""tests/golden/models/<name> of architectures published as remote code, which cannot be fetched: the references are the
independent PyTorch forms of _remote.py, cross-checked here against transformers' own classes where those cover the
same model. config.json has the publishers' own keys, at tiny sizes.
"""
import json
import shutil

import torch
from safetensors.torch import save_file
from transformers import (GteConfig, GteModel, JinaEmbeddingsV3Config, JinaEmbeddingsV3Model, NomicBertConfig,
                          NomicBertModel)

from goldens import _remote, models
from goldens.encoders import IDS, LONG

NOMIC = {
    "activation_function": "swiglu", "architectures": ["NomicBertModel"], "attn_pdrop": 0.0,
    "auto_map": {"AutoConfig": "nomic-ai/nomic-bert-2048--configuration_hf_nomic_bert.NomicBertConfig",
                 "AutoModel": "nomic-ai/nomic-bert-2048--modeling_hf_nomic_bert.NomicBertModel"},
    "bos_token_id": None, "causal": False, "dense_seq_output": True, "embd_pdrop": 0.0, "eos_token_id": None,
    "fused_bias_fc": True, "fused_dropout_add_ln": True, "initializer_range": 0.02, "layer_norm_epsilon": 1e-12,
    "max_trained_positions": 2048, "mlp_fc1_bias": False, "mlp_fc2_bias": False, "model_type": "nomic_bert",
    "n_embd": 24, "n_head": 3, "n_inner": 40, "n_layer": 3, "n_positions": 8192, "pad_vocab_size_multiple": 64,
    "parallel_block": False, "parallel_block_tied_norm": False, "prenorm": False, "qkv_proj_bias": False,
    "reorder_and_upcast_attn": False, "resid_pdrop": 0.0, "rotary_emb_base": 1000, "rotary_emb_fraction": 1.0,
    "rotary_emb_interleaved": False, "rotary_emb_scale_base": None, "rotary_scaling_factor": None,
    "scale_attn_by_inverse_layer_idx": False, "scale_attn_weights": True, "summary_activation": None,
    "summary_first_dropout": 0.0, "summary_proj_to_labels": True, "summary_type": "cls_index",
    "summary_use_proj": True, "torch_dtype": "float32", "transformers_version": "4.37.2", "type_vocab_size": 2,
    "use_cache": True, "use_flash_attn": True, "use_rms_norm": False, "use_xentropy": True, "vocab_size": 60,
}
NOMIC_MOE = NOMIC | {
    "activation_function": "gelu", "add_pooling_layer": False, "embd_pdrop": 0.1, "expert_choice_router": False,
    "ffn_div": 1, "layer_norm_epsilon": 1e-5, "mlp_fc1_bias": True, "mlp_fc2_bias": True, "moe_every_n_layers": 2,
    "moe_impl": "megablocks", "moe_normalize_expert_weights": False, "moe_resid_pdrop": 0.0, "moe_top_k": 2,
    "n_layer": 4, "n_positions": 2048, "num_experts": 4, "num_shared_experts": 0, "pad_token_id": 1,
    "qkv_proj_bias": True, "rotary_emb_base": 10000, "router_aux_loss_coef": 0.1, "type_vocab_size": 1,
    "use_rms_norm": None,
}
GTE = {
    "_name_or_path": "models/gte-v1.5", "architectures": ["NewModel"], "attention_probs_dropout_prob": 0.0,
    "auto_map": {"AutoConfig": "Alibaba-NLP/new-impl--configuration.NewConfig",
                 "AutoModel": "Alibaba-NLP/new-impl--modeling.NewModel"},
    "classifier_dropout": None, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "hidden_size": 24,
    "initializer_range": 0.02, "intermediate_size": 40, "layer_norm_eps": 1e-12, "layer_norm_type": "layer_norm",
    "logn_attention_clip1": False, "logn_attention_scale": False, "max_position_embeddings": 8192,
    "model_type": "new", "num_attention_heads": 3, "num_hidden_layers": 3, "pack_qkv": True, "pad_token_id": 0,
    "position_embedding_type": "rope", "rope_scaling": {"factor": 2.0, "type": "ntk"}, "rope_theta": 500000,
    "torch_dtype": "float32", "transformers_version": "4.39.1", "type_vocab_size": 0, "unpad_inputs": False,
    "use_memory_efficient_attention": False, "vocab_size": 60,
}
GTE_MULTILINGUAL = GTE | {
    "bos_token_id": 0, "eos_token_id": 2, "id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0},
    "pad_token_id": 1, "rope_scaling": {"factor": 8.0, "type": "ntk"}, "rope_theta": 20000, "torch_dtype": "float16",
    "type_vocab_size": 1, "unpad_inputs": True, "use_memory_efficient_attention": True,
}
ARCTIC_M = GTE_MULTILINGUAL | {"architectures": ["GteModel"], "model_type": "gte", "rope_scaling": None,
                               "rope_theta": 160000, "torch_dtype": "float32", "matryoshka_dimensions": [256]}
JINA_BERT = {
    "_name_or_path": "jinaai/jina-bert-implementation", "model_max_length": 8192,
    "architectures": ["JinaBertForMaskedLM"], "attention_probs_dropout_prob": 0.0, "attn_implementation": "torch",
    "auto_map": {"AutoConfig": "jinaai/jina-bert-implementation--configuration_bert.JinaBertConfig",
                 "AutoModel": "jinaai/jina-bert-implementation--modeling_bert.JinaBertModel"},
    "classifier_dropout": None, "emb_pooler": "mean", "feed_forward_type": "geglu", "gradient_checkpointing": False,
    "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "hidden_size": 24, "initializer_range": 0.02,
    "intermediate_size": 40, "layer_norm_eps": 1e-12, "max_position_embeddings": 8192, "model_type": "bert",
    "num_attention_heads": 6, "num_hidden_layers": 3, "pad_token_id": 0, "position_embedding_type": "alibi",
    "torch_dtype": "float16", "transformers_version": "4.26.0", "type_vocab_size": 2, "use_cache": True,
    "vocab_size": 60,
}
TASKS = ["retrieval.query", "retrieval.passage", "separation", "classification", "text-matching"]
JINA_V3 = {
    "_name_or_path": "jinaai/jina-embeddings-v3", "architectures": ["XLMRobertaModel"],
    "attention_probs_dropout_prob": 0.1,
    "auto_map": {"AutoConfig": "jinaai/xlm-roberta-flash-implementation--configuration_xlm_roberta.XLMRobertaFlashConfig",
                 "AutoModel": "jinaai/xlm-roberta-flash-implementation--modeling_lora.XLMRobertaLoRA"},
    "bos_token_id": 0, "classifier_dropout": None, "emb_pooler": None, "eos_token_id": 2, "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1, "hidden_size": 24, "initializer_range": 0.02, "intermediate_size": 40,
    "layer_norm_eps": 1e-5, "load_trained_adapters": True, "lora_adaptations": TASKS, "lora_alpha": 1,
    "lora_dropout_p": 0.0, "lora_main_params_trainable": False, "lora_rank": 4,
    "matryoshka_dimensions": [32, 64, 128, 256, 512, 768, 1024], "max_position_embeddings": 8194,
    "model_type": "xlm-roberta", "num_attention_heads": 3, "num_hidden_layers": 3, "output_past": True,
    "pad_token_id": 1, "position_embedding_type": "rotary", "rotary_emb_base": 20000.0,
    "task_instructions": {task: "Represent this: " for task in TASKS}, "torch_dtype": "bfloat16",
    "transformers_version": "4.44.2", "truncate_dim": None, "type_vocab_size": 1, "use_cache": True,
    "use_flash_attn": True, "vocab_size": 60,
}
JINA_RERANKER = {name: value for name, value in JINA_V3.items() if "lora" not in name} | {
    "architectures": ["XLMRobertaForSequenceClassification"], "max_position_embeddings": 200, "num_labels": 3,
    "position_embedding_type": "absolute", "load_trained_adapters": False, "task_instructions": None,
}

# name: (form, config, shapes, wrong, near, ids, adapter)
MODELS = {
    "nomic-embed-text-v1.5": (_remote.NomicBert, NOMIC, _remote.NomicBert.shapes(NOMIC),
                              ["rotary_emb_base=10", "activation_function=geglu"], ["rotary_emb_base=10000"], IDS, None),
    "nomic-embed-text-v1-ntk": (_remote.NomicBert, c := NOMIC | {"rotary_scaling_factor": 2, "max_trained_positions": 8},
                                _remote.NomicBert.shapes(c), ["rotary_scaling_factor=50"],
                                ["rotary_scaling_factor=4", "max_trained_positions=20"], LONG, None),
    "nomic-embed-text-v2-moe": (_remote.NomicBert, NOMIC_MOE, _remote.NomicBert.shapes(NOMIC_MOE),
                                ["moe_top_k=1", "rotary_emb_base=3"], ["rotary_emb_base=1000"], IDS, None),
    "gte-base-en-v1.5": (_remote.Gte, GTE, _remote.Gte.shapes(GTE), ["rope_theta=4"],
                         ["rope_theta=10000", "hidden_act=gelu_new"], LONG, None),
    "gte-multilingual-reranker-classification": (_remote.Gte, GTE_MULTILINGUAL,
                                                 _remote.Gte.shapes(GTE_MULTILINGUAL, "new.", 3), [],
                                                 ["rope_theta=1000"], IDS, None),
    "gte-mixed-ntk": (_remote.Gte, c := GTE | {"rope_scaling": {"factor": 4.0, "type": "ntk", "mixed_b": 0.625}},
                      _remote.Gte.shapes(c), [], ["rope_theta=1000"], LONG, None),
    "snowflake-arctic-embed-m-v2.0": (_remote.Gte, ARCTIC_M, _remote.Gte.shapes(ARCTIC_M), ["rope_theta=4"],
                                      ["rope_theta=10000"], IDS, None),
    "jina-embeddings-v2-base-en": (_remote.JinaBert, JINA_BERT, _remote.JinaBert.shapes(JINA_BERT, False),
                                   ["feed_forward_type=reglu"], ["num_attention_heads=3"], LONG, None),
    "jina-embeddings-v2-base-code": (_remote.JinaBert, JINA_BERT, _remote.JinaBert.shapes(JINA_BERT, True),
                                     [], ["feed_forward_type=reglu", "num_attention_heads=3"], LONG, None),
    "jina-embeddings-v3": (_remote.FlashRoberta, JINA_V3, _remote.FlashRoberta.shapes(JINA_V3),
                           ["rotary_emb_base=4"], ["rotary_emb_base=10000"], LONG, None),
    "jina-embeddings-v3-query": (_remote.FlashRoberta, JINA_V3, _remote.FlashRoberta.shapes(JINA_V3), ["lora_alpha=8"],
                                 ["lora_alpha=2"], IDS, "retrieval.query"),
    "jina-embeddings-v3-matching": (_remote.FlashRoberta, JINA_V3, _remote.FlashRoberta.shapes(JINA_V3),
                                    ["lora_alpha=8"], [], IDS, "text-matching"),
    "jina-reranker-v2-classification": (_remote.FlashRoberta, JINA_RERANKER,
                                        _remote.FlashRoberta.shapes(JINA_RERANKER, 3), [], ["pad_token_id=5"], IDS,
                                        None),
}


def cross_check(name, form, config, state):
    """The form and transformers' own class on the same weights, float32 steps apart."""
    if name == "nomic-embed-text-v1.5":
        native = NomicBertModel(NomicBertConfig(vocab_size=60, hidden_size=24, num_hidden_layers=3,
                                                num_attention_heads=3, intermediate_size=40))
    elif name == "snowflake-arctic-embed-m-v2.0":
        native = GteModel(GteConfig(vocab_size=60, hidden_size=24, num_hidden_layers=3, num_attention_heads=3,
                                    intermediate_size=40))
    elif name == "jina-embeddings-v3":
        native = JinaEmbeddingsV3Model(JinaEmbeddingsV3Config(vocab_size=60, hidden_size=24, num_hidden_layers=3,
                                                              num_attention_heads=3, intermediate_size=40))
    else:
        return
    renamed, width = {}, 24
    for key, value in state.items():
        if "lora" in key or "pooler" in key:
            continue
        key = key.removeprefix("roberta.").replace(".parametrizations.weight.original", ".weight")
        for old, new in (("encoder.layers", "layers"), ("encoder.layer", "layers"), ("emb_ln", "embeddings.LayerNorm"),
                         ("norm1", "post_attention_layernorm"), ("norm2", "post_mlp_layernorm"),
                         ("attn_ln", "post_attention_layernorm"), ("mlp_ln", "post_mlp_layernorm"),
                         ("fc12", "gate_proj"), ("attn.out_proj", "self_attn.o_proj"), ("attention.o_proj", "self_attn.o_proj"),
                         ("mixer.out_proj", "self_attn.o_proj"), ("fc11", "up_proj")):
            key = key.replace(old, new)
        if name.startswith("nomic"):
            key = key.replace("fc2", "down_proj")
        fused = {"attn.Wqkv": 3, "mixer.Wqkv": 3, "attention.qkv_proj": 3, "mlp.up_gate_proj": 2}
        for part, count in fused.items():
            if part in key:
                names = (["self_attn." + x for x in ("q_proj", "k_proj", "v_proj")] if count == 3 else
                         ["mlp.up_proj", "mlp.gate_proj"])
                for new, piece in zip(names, value.chunk(count)):
                    renamed[key.replace(part, new)] = piece
                break
        else:
            renamed[key] = value
    missing, unexpected = native.load_state_dict(renamed, strict=False)
    assert not unexpected and all("pooler" in m or "position_ids" in m or "token_type_ids" in m for m in missing), (missing, unexpected)
    with torch.no_grad():
        theirs = native.eval()(torch.tensor([LONG[5]])).last_hidden_state[0]
    error = float((theirs - form.layers(LONG[5])[-1]).abs().max())
    assert error < 1e-4, (name, error)
    print(f"  {name}: within {error:.1e} of {type(native).__name__}")


def make(root, _model_dir):
    for seed, (name, (form, config, shapes, wrong, near, ids, adapter)) in enumerate(MODELS.items()):
        folder = root / "models" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        state = _remote.random_state(shapes, 500 + seed, 1.1 if name.startswith("gte") else 1.5)
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        save_file(state, str(folder / "model.safetensors"), metadata={"format": "pt"})
        single = form(config, state)
        exact = form(config, {key: value.double() for key, value in state.items()})
        task = models.task_of(name)

        def run(model, text):
            with torch.no_grad():
                layers = model.layers(text, adapter)
                return layers, model.logits(layers[-1])[0] if task == "classification" else None

        cross_check(name, single, config, state)
        models.save(folder, task, ids, wrong, near, lambda text: run(single, text), lambda text: run(exact, text),
                    reference_note="independent PyTorch form of the remote code (tools/goldens/_remote.py)",
                    **({"adapter": adapter} if adapter else {}))
