"""tests/golden/published.json: what publishers' config.json files contain, per popular model, and the golden whose
weights stand in for the model's. The test loads each golden under the published keys, sizes taken from the golden.
"""
from goldens import _common
from goldens.encoders import EUROBERT, MODERNBERT
from goldens.remote import ARCTIC_M, GTE, GTE_MULTILINGUAL, JINA_BERT, JINA_RERANKER, JINA_V3, NOMIC, NOMIC_MOE

COMMON = {"attention_probs_dropout_prob": 0.1, "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
          "hidden_size": 768, "initializer_range": 0.02, "intermediate_size": 3072, "layer_norm_eps": 1e-12,
          "max_position_embeddings": 512, "num_attention_heads": 12, "num_hidden_layers": 12, "pad_token_id": 0,
          "position_embedding_type": "absolute", "torch_dtype": "float32", "transformers_version": "4.30.0",
          "type_vocab_size": 2, "use_cache": True, "vocab_size": 30522, "classifier_dropout": None}
LABEL = {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
BERT = COMMON | {"architectures": ["BertModel"], "model_type": "bert", "gradient_checkpointing": False,
                 "_name_or_path": "/root/.cache/model"}
OLD_POOLER = {"directionality": "bidi", "pooler_fc_size": 768, "pooler_num_attention_heads": 12,
              "pooler_num_fc_layers": 3, "pooler_size_per_head": 128, "pooler_type": "first_token_transform"}
XLM_R = COMMON | {"architectures": ["XLMRobertaModel"], "model_type": "xlm-roberta", "bos_token_id": 0,
                  "eos_token_id": 2, "layer_norm_eps": 1e-05, "max_position_embeddings": 514, "output_past": True,
                  "pad_token_id": 1, "type_vocab_size": 1, "vocab_size": 250002}
ROBERTA = XLM_R | {"architectures": ["RobertaModel"], "model_type": "roberta", "vocab_size": 50265,
                   "gradient_checkpointing": False}
MPNET = {"_name_or_path": "microsoft/mpnet-base", "architectures": ["MPNetForMaskedLM"],
         "attention_probs_dropout_prob": 0.1, "bos_token_id": 0, "eos_token_id": 2, "hidden_act": "gelu",
         "hidden_dropout_prob": 0.1, "hidden_size": 768, "initializer_range": 0.02, "intermediate_size": 3072,
         "layer_norm_eps": 1e-05, "max_position_embeddings": 514, "model_type": "mpnet", "num_attention_heads": 12,
         "num_hidden_layers": 12, "pad_token_id": 1, "relative_attention_num_buckets": 32,
         "transformers_version": "4.8.2", "vocab_size": 30527}
DISTILBERT = {"_name_or_path": "distilbert-base-multilingual-cased", "activation": "gelu",
              "architectures": ["DistilBertModel"], "attention_dropout": 0.1, "dim": 768, "dropout": 0.1,
              "hidden_dim": 3072, "initializer_range": 0.02, "max_position_embeddings": 512,
              "model_type": "distilbert", "n_heads": 12, "n_layers": 6, "output_past": True, "pad_token_id": 0,
              "qa_dropout": 0.1, "seq_classif_dropout": 0.2, "sinusoidal_pos_embds": False,
              "transformers_version": "4.6.1", "vocab_size": 119547}
DEBERTA = {"_name_or_path": "microsoft/deberta-v3-base", "architectures": ["DebertaV2ForSequenceClassification"],
           "attention_probs_dropout_prob": 0.1, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "hidden_size": 768,
           **LABEL, "initializer_range": 0.02, "intermediate_size": 3072, "layer_norm_eps": 1e-07, "legacy": True,
           "max_position_embeddings": 512, "max_relative_positions": -1, "model_type": "deberta-v2",
           "norm_rel_ebd": "layer_norm", "num_attention_heads": 12, "num_hidden_layers": 12, "pad_token_id": 0,
           "pooler_dropout": 0, "pooler_hidden_act": "gelu", "pooler_hidden_size": 768, "pos_att_type": ["p2c", "c2p"],
           "position_biased_input": False, "position_buckets": 256, "relative_attention": True,
           "share_att_key": True, "torch_dtype": "float16", "transformers_version": "4.38.2", "type_vocab_size": 0,
           "vocab_size": 128100}
T5 = {"_name_or_path": "t5-base", "architectures": ["T5EncoderModel"], "d_ff": 3072, "d_kv": 64, "d_model": 768,
      "decoder_start_token_id": 0, "dropout_rate": 0.1, "eos_token_id": 1, "feed_forward_proj": "relu",
      "initializer_factor": 1.0, "is_encoder_decoder": True, "layer_norm_epsilon": 1e-06, "model_type": "t5",
      "n_positions": 512, "num_decoder_layers": 12, "num_heads": 12, "num_layers": 12, "output_past": True,
      "pad_token_id": 0, "relative_attention_num_buckets": 32,
      "task_specific_params": {"summarization": {"early_stopping": True}}, "torch_dtype": "float32",
      "transformers_version": "4.11.3", "use_cache": True, "vocab_size": 32128}
RERANKER = LABEL | {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity",
                                              "version": "4.0.1"}}
SPLADE = BERT | {"architectures": ["BertForMaskedLM"]}

# model: (golden, config)
MODELS = {
    "sentence-transformers/all-MiniLM-L6-v2": ("bert", BERT | {"_name_or_path": "nreimers/MiniLM-L6-H384-uncased"}),
    "cross-encoder/ms-marco-MiniLM-L6-v2": ("bert-classification", BERT | RERANKER | {
        "architectures": ["BertForSequenceClassification"],
        "sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"}),
    "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2": ("bert", BERT),
    "BAAI/bge-m3": ("xlm-roberta", XLM_R | {"max_position_embeddings": 8194}),
    "sentence-transformers/all-mpnet-base-v2": ("mpnet", MPNET),
    "BAAI/bge-reranker-v2-m3": ("roberta-classification", XLM_R | LABEL | {
        "architectures": ["XLMRobertaForSequenceClassification"], "max_position_embeddings": 8194}),
    "intfloat/multilingual-e5-small": ("bert", BERT | {"tokenizer_class": "XLMRobertaTokenizer"}),
    "intfloat/multilingual-e5-large": ("xlm-roberta", XLM_R),
    "sentence-transformers/paraphrase-multilingual-mpnet-base-v2": ("xlm-roberta", XLM_R | {
        "gradient_checkpointing": False}),
    "intfloat/multilingual-e5-base": ("xlm-roberta", XLM_R),
    "sentence-transformers/all-MiniLM-L12-v2": ("bert", BERT),
    "sentence-transformers/paraphrase-MiniLM-L6-v2": ("bert", BERT),
    "BAAI/bge-small-zh-v1.5": ("bert", BERT | OLD_POOLER | LABEL),
    "sentence-transformers/all-distilroberta-v1": ("roberta", ROBERTA),
    "BAAI/bge-large-en-v1.5": ("bert", BERT | LABEL),
    "BAAI/bge-base-en-v1.5": ("bert", BERT | LABEL),
    "BAAI/bge-reranker-base": ("roberta-classification", XLM_R | LABEL | {
        "architectures": ["XLMRobertaForSequenceClassification"]}),
    "intfloat/multilingual-e5-large-instruct": ("xlm-roberta", XLM_R),
    "thenlper/gte-base": ("bert", BERT),
    "sentence-transformers/multi-qa-mpnet-base-dot-v1": ("mpnet", MPNET),
    "Alibaba-NLP/gte-base-en-v1.5": ("gte-base-en-v1.5", GTE),
    "nomic-ai/nomic-embed-text-v1.5": ("nomic-embed-text-v1.5", NOMIC),
    "nomic-ai/nomic-embed-text-v1": ("nomic-embed-text-v1.5", NOMIC | {"rotary_scaling_factor": 2}),
    "Alibaba-NLP/gte-multilingual-base": ("gte-base-en-v1.5", GTE_MULTILINGUAL | {"type_vocab_size": 0}),
    "colbert-ir/colbertv2.0": ("bert", BERT | {"architectures": ["HF_ColBERT"]}),
    "mixedbread-ai/mxbai-rerank-base-v1": ("deberta-v3-classification", DEBERTA),
    "intfloat/e5-base-v2": ("bert", BERT),
    "sentence-transformers/distiluse-base-multilingual-cased-v2": ("distilbert", DISTILBERT),
    "sentence-transformers/all-roberta-large-v1": ("roberta", ROBERTA),
    "mixedbread-ai/mxbai-embed-large-v1": ("bert", BERT | {"use_cache": False}),
    "jinaai/jina-reranker-v2-base-multilingual": ("jina-reranker-v2-classification", JINA_RERANKER),
    "Snowflake/snowflake-arctic-embed-m-v1.5": ("bert", BERT | {"transformers.js_config": {"dtype": "q8"}}),
    "Snowflake/snowflake-arctic-embed-m-long": ("nomic-embed-text-v1.5", NOMIC | {
        "rotary_scaling_factor": None, "max_position_embeddings": 2048}),
    "jinaai/jina-embeddings-v2-base-en": ("jina-embeddings-v2-base-en", JINA_BERT),
    "jinaai/jina-embeddings-v2-base-code": ("jina-embeddings-v2-base-code", JINA_BERT),
    "jinaai/jina-embeddings-v3": ("jina-embeddings-v3", JINA_V3),
    "Snowflake/snowflake-arctic-embed-l-v2.0": ("xlm-roberta", XLM_R | {"max_position_embeddings": 8194}),
    "Snowflake/snowflake-arctic-embed-m-v2.0": ("snowflake-arctic-embed-m-v2.0", ARCTIC_M),
    "nomic-ai/nomic-embed-text-v2-moe": ("nomic-embed-text-v2-moe", NOMIC_MOE),
    "WhereIsAI/UAE-Large-V1": ("bert", BERT | LABEL),
    "nomic-ai/modernbert-embed-base": ("modernbert-embed-base", MODERNBERT),
    "Alibaba-NLP/gte-modernbert-base": ("modernbert-embed-base", MODERNBERT | {"tie_word_embeddings": True}),
    "ibm-granite/granite-embedding-english-r2": ("modernbert-embed-base", MODERNBERT),
    "Alibaba-NLP/gte-multilingual-reranker-base": ("gte-multilingual-reranker-classification", GTE_MULTILINGUAL),
    "Alibaba-NLP/gte-reranker-modernbert-base": ("modernbert-classification", MODERNBERT | LABEL),
    "prithivida/Splade_PP_en_v1": ("bert-mlm", SPLADE | {"hidden_act": "gelu_new"}),
    "naver/splade-v3": ("bert-mlm", SPLADE | {"hidden_act": "gelu_new"}),
    "sentence-transformers/LaBSE": ("bert", BERT | OLD_POOLER),
    "sentence-transformers/gtr-t5-base": ("t5", T5),
    "sentence-transformers/sentence-t5-base": ("t5", T5),
    "sentence-transformers/multi-qa-MiniLM-L6-cos-v1": ("bert", BERT),
    "EuroBERT/EuroBERT-210m": ("eurobert", EUROBERT),
}


def make(root, _model_dir):
    _common.write_json(root / "published.json", {
        name: {"golden": golden, "config": config} for name, (golden, config) in MODELS.items()})
