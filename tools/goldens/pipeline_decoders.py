"""tests/golden/pipeline/{gte_qwen2,qwen3_embedding,embeddinggemma,e5_mistral}: the published directories of popular
decoder embedders with their own configs, tokenizer rules and modules, at tiny size with random weights; text in, vector
out. golden_causal.json of gte_qwen2 holds what a causal mask gives.
"""
import json
import shutil

import numpy as np
import torch
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import Gemma3TextConfig, Gemma3TextModel, MistralConfig, MistralModel, Qwen2Config, Qwen2Model
from transformers import Qwen3Config, Qwen3Model

from goldens import _common, _models

TEXTS = ["What is the capital of France?", "Paris is the capital and largest city of France.", "a", "", "  two  spaces ",
         "Der Bär läuft über die Straße. 東京は日本の首都です。", "def f(x):\n    return x ** 2 + 42\n",
         "How many people live in Berlin, and how many in the whole of Germany today? " * 4]
QWEN_SPLIT = r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
OLD = "sentence_transformers.models."


def write(path, value):
    path.parent.mkdir(exist_ok=True)
    _common.write_json(path, value)


def byte_level(size, specials):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN_SPLIT), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=size - len(specials),
                                                             initial_alphabet=sorted(alphabet), show_progress=False))
    tokenizer.add_special_tokens(specials)
    return tokenizer


def sentencepiece_like(size, specials, prefix, suffix, gemma):
    """The tokenizer.json that Llama/Mistral (Prepend) and Gemma (Replace only) publish: BPE with byte fallback."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    steps = [normalizers.Replace(" ", "▁")]
    tokenizer.normalizer = steps[0] if gemma else normalizers.Sequence([normalizers.Prepend("▁"), *steps])
    if gemma:
        tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    bytes_ = [f"<0x{i:02X}>" for i in range(256)]
    tokenizer.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=size, special_tokens=[*specials, *bytes_],
                                                             show_progress=False, max_token_length=12))
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = [t for t in data["added_tokens"] if t["content"] in specials]
    tokenizer = Tokenizer.from_str(json.dumps(data))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{prefix} $A {suffix}".strip(), pair=f"{prefix} $A {suffix} {prefix}:1 $B:1 {suffix}:1",
        special_tokens=[(t, tokenizer.token_to_id(t)) for t in {prefix, suffix} - {""}])
    return tokenizer


def modules(folder, dense=(), normalize=True, mode="lasttoken", width=24):
    """modules.json and 1_Pooling as sentence-transformers 2 and 3 wrote them."""
    entries = [("", "Transformer"), ("1_Pooling", "Pooling"), *((f"{i + 2}_Dense", "Dense") for i in range(len(dense)))]
    if normalize:
        entries.append((f"{len(entries)}_Normalize", "Normalize"))
    write(folder / "modules.json", [{"idx": i, "name": str(i), "path": path, "type": OLD + name}
                                    for i, (path, name) in enumerate(entries)])
    write(folder / "1_Pooling" / "config.json", {
        "word_embedding_dimension": width, "pooling_mode_cls_token": False,
        "pooling_mode_mean_tokens": mode == "mean", "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False, "pooling_mode_weightedmean_tokens": False,
        "pooling_mode_lasttoken": mode == "lasttoken", "include_prompt": True})
    generator = torch.Generator().manual_seed(5)
    for i, (rows, columns) in enumerate(dense):
        write(folder / f"{i + 2}_Dense" / "config.json", {
            "in_features": columns, "out_features": rows, "bias": False,
            "activation_function": "torch.nn.modules.linear.Identity"})
        weight = torch.randn(rows, columns, generator=generator) * 0.3
        save_file({"linear.weight": weight}, str(folder / f"{i + 2}_Dense" / "model.safetensors"))


def backbone(folder, cls, config_class, config, seed, dtype=torch.bfloat16):
    folder.mkdir(parents=True)
    model = cls(config_class(**{k: v for k, v in config.items() if k not in ("architectures", "auto_map")})).eval()
    _models.randomize(model, seed)
    model.to(dtype).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    _common.write_json(folder / "config.json", config)


def encode(folder, dtype, config_kwargs, cases):
    model = SentenceTransformer(str(folder), device="cpu", config_kwargs=dict(config_kwargs),
                                model_kwargs={"dtype": dtype, "attn_implementation": "eager"}).eval().to(dtype)
    rows = []
    for case in cases:
        kwargs = {"prompt_name": case["prompt_name"]} if "prompt_name" in case else {}
        prompt = model.prompts[case["prompt_name"]] if "prompt_name" in case else None
        case["ids"] = model.preprocess([case["text"]], prompt=prompt)["input_ids"][0].tolist()
        if not case["ids"]:
            rows.append(None)
            continue
        rows.append(model.encode([case["text"]], convert_to_tensor=True, **kwargs)[0].numpy())
    return rows


def golden(folder, name="golden.json", prompts=("query",), config_kwargs=None):
    cases = [{"text": text} for text in TEXTS] + [{"text": t, "prompt_name": p} for p in prompts for t in TEXTS[:2]]
    with _models.exact():
        expected = encode(folder, torch.float64, config_kwargs or {}, cases)
    single = encode(folder, torch.float32, config_kwargs or {}, cases)
    own, kept = [], []
    for case, exact, torch32 in zip(cases, expected, single):
        if exact is None:
            continue
        assert exact.dtype == np.float64
        kept.append({**case, "expected": exact.tolist()})
        own.append(float(np.abs(torch32 - exact).max() / np.linalg.norm(exact)))
    head = {"kind": "dense", "reference": _common.versions(),
            "float32_error": {"worst": max(own), "mean": sum(own) / len(own)}}
    lines = ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in kept)
    (folder / name).write_text(json.dumps(head)[:-1] + ',\n"cases":[\n' + lines + "\n]}\n", encoding="utf-8")
    print(f"  {folder.name}/{name}: {len(kept)} cases, torch float32 worst {max(own):.2e}")


def save_tokenizer(folder, tokenizer, config):
    (folder / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
    _common.write_json(folder / "tokenizer_config.json", config)


def gte_qwen2(folder):
    """Alibaba-NLP/gte-Qwen2-1.5B-instruct: is_causal false in config.json, remote code named but not run."""
    tokenizer = byte_level(330, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    backbone(folder, Qwen2Model, Qwen2Config, {
        "architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0,
        "auto_map": {"AutoModel": "modeling_qwen.Qwen2Model", "AutoModelForCausalLM": "modeling_qwen.Qwen2ForCausalLM",
                     "AutoModelForSequenceClassification": "modeling_qwen.Qwen2ForSequenceClassification"},
        "bos_token_id": 327, "eos_token_id": 327, "hidden_act": "silu", "hidden_size": 24, "initializer_range": 0.02,
        "intermediate_size": 40, "is_causal": False, "max_position_embeddings": 131072, "max_window_layers": 21,
        "model_type": "qwen2", "num_attention_heads": 4, "num_hidden_layers": 3, "num_key_value_heads": 2,
        "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 131072, "tie_word_embeddings": False,
        "torch_dtype": "float32", "transformers_version": "4.41.2", "use_cache": True, "use_sliding_window": False,
        "vocab_size": 332}, 41, torch.float32)
    save_tokenizer(folder, tokenizer, {
        "add_eos_token": True, "add_prefix_space": False,
        "added_tokens_decoder": {str(327 + i): {"content": t, "lstrip": False, "normalized": False, "rstrip": False,
                                                "single_word": False, "special": True}
                                 for i, t in enumerate(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])},
        "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
        "auto_map": {"AutoTokenizer": ["tokenization_qwen.Qwen2Tokenizer", "tokenization_qwen.Qwen2TokenizerFast"]},
        "bos_token": None, "clean_up_tokenization_spaces": False, "eos_token": "<|endoftext|>", "errors": "replace",
        "chat_template": "{% for message in messages %}{{ message['content'] }}{% endfor %}",
        "model_max_length": 32768, "pad_token": "<|endoftext|>", "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer", "unk_token": None})
    modules(folder)
    _common.write_json(folder / "sentence_bert_config.json", {"max_seq_length": 8192, "do_lower_case": False})
    _common.write_json(folder / "config_sentence_transformers.json", {
        "__version__": {"sentence_transformers": "2.7.0", "transformers": "4.41.2", "pytorch": "2.1.0+cu118"},
        "prompts": {"query": "Instruct: Given a web search query, retrieve relevant passages that answer the query\n"
                             "Query: "}, "default_prompt_name": None})
    golden(folder)
    golden(folder, "golden_causal.json", config_kwargs={"is_causal": True})


def qwen3_embedding(folder):
    """Qwen/Qwen3-Embedding-0.6B: causal, q/k norms, an end token by the post-processor, left padding."""
    tokenizer = byte_level(330, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False),
        processors.TemplateProcessing(single="$A:0 <|endoftext|>:0", pair="$A:0 <|endoftext|>:0 $B:1 <|endoftext|>:1",
                                      special_tokens=[("<|endoftext|>", 327)])])
    backbone(folder, Qwen3Model, Qwen3Config, {
        "architectures": ["Qwen3ForCausalLM"], "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 327,
        "eos_token_id": 327, "head_dim": 16, "hidden_act": "silu", "hidden_size": 24, "initializer_range": 0.02,
        "intermediate_size": 40, "max_position_embeddings": 32768, "max_window_layers": 28, "model_type": "qwen3",
        "num_attention_heads": 4, "num_hidden_layers": 3, "num_key_value_heads": 2, "rms_norm_eps": 1e-06,
        "rope_scaling": None, "rope_theta": 1000000, "sliding_window": None, "tie_word_embeddings": True,
        "torch_dtype": "bfloat16", "transformers_version": "4.51.3", "use_cache": True, "use_sliding_window": False,
        "vocab_size": 332}, 42)
    save_tokenizer(folder, tokenizer, {
        "add_bos_token": False, "add_prefix_space": False, "bos_token": None, "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>", "errors": "replace", "model_max_length": 131072, "pad_token": "<|endoftext|>",
        "padding_side": "left", "split_special_tokens": False, "tokenizer_class": "Qwen2Tokenizer", "unk_token": None})
    modules(folder)
    _common.write_json(folder / "config_sentence_transformers.json", {
        "prompts": {"query": "Instruct: Given a web search query, retrieve relevant passages that answer the query\n"
                             "Query:", "document": ""}, "default_prompt_name": None, "similarity_fn_name": "cosine"})
    golden(folder, prompts=("query", "document"))


def embeddinggemma(folder):
    """google/embeddinggemma-300m: bidirectional, two ropes, mean pooling and two Dense modules."""
    specials = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    tokenizer = sentencepiece_like(420, specials, "<bos>", "<eos>", True)
    layer_types = ["sliding_attention", "sliding_attention", "full_attention"]
    backbone(folder, Gemma3TextModel, Gemma3TextConfig, {
        "_sliding_window_pattern": 6, "architectures": ["Gemma3TextModel"], "attention_bias": False,
        "attention_dropout": 0.0, "attn_logit_softcapping": None, "bos_token_id": 2, "dtype": "float32",
        "eos_token_id": 1, "final_logit_softcapping": None, "head_dim": 16, "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": 24, "initializer_range": 0.02, "intermediate_size": 40, "layer_types": layer_types,
        "max_position_embeddings": 2048, "model_type": "gemma3_text", "num_attention_heads": 3,
        "num_hidden_layers": 3, "num_key_value_heads": 1, "pad_token_id": 0, "query_pre_attn_scalar": 16,
        "rms_norm_eps": 1e-06, "rope_local_base_freq": 10000.0, "rope_scaling": None, "rope_theta": 1000000.0,
        "sliding_window": 12, "transformers_version": "4.57.0.dev0", "use_bidirectional_attention": True,
        "use_cache": True, "vocab_size": tokenizer.get_vocab_size()}, 43, torch.float32)
    save_tokenizer(folder, tokenizer, {
        "add_bos_token": True, "add_eos_token": True, "bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>",
        "pad_token": "<pad>", "mask_token": "<mask>", "model_max_length": 2048, "padding_side": "right",
        "spaces_between_special_tokens": False, "tokenizer_class": "GemmaTokenizerFast"})
    modules(folder, dense=[(96, 24), (24, 96)], mode="mean")
    _common.write_json(folder / "sentence_bert_config.json", {"max_seq_length": 2048, "do_lower_case": False})
    _common.write_json(folder / "config_sentence_transformers.json", {
        "model_type": "SentenceTransformer", "prompts": {"query": "task: search result | query: ",
                                                         "document": "title: none | text: "},
        "default_prompt_name": None, "similarity_fn_name": "cosine"})
    golden(folder, prompts=("query", "document"))


def e5_mistral(folder):
    """intfloat/e5-mistral-7b-instruct: causal with a sliding window, last token, Normalize."""
    tokenizer = sentencepiece_like(420, ["<unk>", "<s>", "</s>"], "<s>", "</s>", False)
    backbone(folder, MistralModel, MistralConfig, {
        "architectures": ["MistralModel"], "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
        "hidden_size": 24, "initializer_range": 0.02, "intermediate_size": 40, "max_position_embeddings": 32768,
        "model_type": "mistral", "num_attention_heads": 4, "num_hidden_layers": 3, "num_key_value_heads": 2,
        "pad_token_id": 2, "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "sliding_window": 16,
        "tie_word_embeddings": False, "torch_dtype": "float16", "transformers_version": "4.34.0", "use_cache": False,
        "vocab_size": tokenizer.get_vocab_size()}, 44, torch.float16)
    save_tokenizer(folder, tokenizer, {
        "add_bos_token": True, "add_eos_token": True, "bos_token": "<s>", "clean_up_tokenization_spaces": False,
        "eos_token": "</s>", "legacy": True, "model_max_length": 1000000000000000019884624838656, "pad_token": "</s>",
        "sp_model_kwargs": {}, "spaces_between_special_tokens": False, "tokenizer_class": "LlamaTokenizer",
        "unk_token": "<unk>", "use_default_system_prompt": True})
    modules(folder)
    _common.write_json(folder / "sentence_bert_config.json", {"max_seq_length": 4096, "do_lower_case": False})
    _common.write_json(folder / "config_sentence_transformers.json", {
        "prompts": {"web_search_query": "Instruct: Given a web search query, retrieve relevant passages that answer the "
                                        "query\nQuery: "}})
    golden(folder, prompts=("web_search_query",))


def make(root, _model_dir):
    for maker in (gte_qwen2, qwen3_embedding, embeddinggemma, e5_mistral):
        folder = root / "pipeline" / maker.__name__
        shutil.rmtree(folder, ignore_errors=True)
        maker(folder)
