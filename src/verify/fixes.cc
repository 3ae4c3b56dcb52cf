// What mends each cause, in general and in the servers that people run: flags and settings as their documentation and
// source name them (text-embeddings-inference router/src/main.rs, vLLM engine arguments and pooler config, llama.cpp
// tools/server/README.md, Ollama docs/api.md, Infinity's CLI, FastEmbed's Python API).
#include <array>
#include <string>

#include "verify/diagnose.h"

namespace truevec {
namespace {

struct Fix {
  std::string_view cause;
  std::string_view general;
  std::string_view tei, vllm, llamacpp, ollama, others;
};

constexpr std::array<Fix, 49> kFixes = {{
    {"client-text-changed", "send the text unchanged: switch the client's clean-up off", "", "", "", "",
     "LlamaIndex OpenAIEmbedding and old LangChain replace newlines; Infinity strips white space"},
    {"reference-version",
     "compare with the Sentence Transformers version that made the index: up to 5.3 it stripped "
     "texts",
     "", "", "", "", ""},
    {"prompt-missing", "put the model's prompt in front",
     "start with --default-prompt-name NAME, or send \"prompt_name\" to /embed",
     "send it with the text (/v1/embeddings has no prompts), or use /v2/embed with input_type",
     "put it in front of the text in the client", "put it in front of the text, or in the Modelfile's TEMPLATE",
     "FastEmbed: query_embed and passage_embed"},
    {"prompt-wrong", "use the prompt of the model's config_sentence_transformers.json",
     "--default-prompt-name NAME or \"prompt_name\"", "input_type of /v2/embed", "change it in the client",
     "change it in the client or the TEMPLATE", ""},
    {"prompt-doubled", "let only one side add the prompt", "drop --default-prompt or the client's prefix",
     "drop the client's prefix", "drop one of the client's prefixes", "drop the prefix or the TEMPLATE's", ""},
    {"foreign-token-ids", "send text, not token ids", "", "", "", "",
     "LangChain OpenAIEmbeddings: check_embedding_ctx_length=False"},
    {"wrong-model", "load the same model and revision on both sides", "--model-id and --revision",
     "--model and --revision", "check the GGUF's source", "ollama show NAME; pull the same model", ""},
    {"special-tokens-missing", "let the server add the special tokens", "use the tokenizer.json of the model",
     "send add_special_tokens: true", "convert again: tokenizer.ggml.add_bos_token and add_eos_token must be true",
     "update (fixed for BERT models in 2024), pull the model again", "llamafile: 0.8.5 or newer"},
    {"eos-missing", "append the model's end token", "use the tokenizer.json of the model (its post_processor)",
     "check add_eos_token in tokenizer_config.json",
     "convert again: tokenizer.ggml.add_eos_token must be true; or append "
     "the token in the client",
     "pull a newer GGUF; or append the token to the text", ""},
    {"eos-wrong", "append the end token that tokenizer.json's post_processor names", "use the model's tokenizer.json",
     "check eos_token in tokenizer_config.json",
     "convert again with llama.cpp after PR 14314: tokenizer.ggml.eos_token_id", "pull a newer GGUF", ""},
    {"special-tokens-doubled", "let only one side add the special tokens", "drop them from the client's text",
     "drop them from the text or send add_special_tokens: false", "drop them from the client's text",
     "drop them from the text or the TEMPLATE", ""},
    {"special-tokens-in-text", "parse special tokens inside texts as the reference does", "", "", "parse_special: true",
     "", "LLamaSharp: special=true"},
    {"lowercase-missing", "convert the tokenizer with its lower-casing", "use the model's tokenizer.json",
     "0.6.5 or newer (do_lower_case of sentence_bert_config.json was misread)",
     "convert again: tokenizer.ggml.normalizer.lowercase", "0.13.1 to 0.29 do not lower-case: update", ""},
    {"lowercase-forced", "convert the tokenizer without lower-casing: the model is cased",
     "use the model's "
     "tokenizer.json",
     "", "convert again with a version that writes tokenizer.ggml.normalizer.lowercase", "", ""},
    {"accents", "strip accents as the model's tokenizer does (strip_accents)", "use the model's tokenizer.json", "",
     "update: tokenizer.ggml.normalizer.strip_accents", "update; accents are kept by its own BERT tokenizer", ""},
    {"basic-tokenization", "split punctuation, ideographs and control characters as BertPreTokenizer does",
     "use the model's tokenizer.json", "", "update and convert again", "update", ""},
    {"subword-algorithm", "segment with the model's own algorithm (Viterbi for Unigram)",
     "use the model's "
     "tokenizer.json",
     "", "convert again: tokenizer.ggml.model must be t5 for Unigram models",
     "use a GGUF whose "
     "tokenizer.ggml.model is t5",
     ""},
    {"metaspace-prefix", "put a space before the first word as the tokenizer says", "1.4 or newer", "",
     "tokenizer.ggml.add_space_prefix", "tokenizer.ggml.add_space_prefix of the GGUF", ""},
    {"max-length", "set the limit to the model's",
     "--auto-truncate with --max-batch-tokens at least the model's limit; max_seq_length of sentence_bert_config.json",
     "--max-model-len, and truncate_prompt_tokens: -1", "-c, -b and -ub at least the limit; -c is divided by -np",
     "options.num_ctx", "Infinity and FastEmbed: max_seq_length / tokenizer truncation"},
    {"truncation-side", "cut long texts at the end, special tokens kept", "truncation_direction: \"Right\"",
     "truncation_side: \"right\"", "cut in the client", "cuts tokens and reads the text again: cut in the client", ""},
    {"chunk-averaging", "switch chunking off: the reference cuts", "",
     "enable_chunked_processing: false in "
     "--pooler-config",
     "", "", "LangChain: embedding_ctx_length; langchain4j splits by design"},
    {"position-offset", "number positions as the model's class does (RoBERTa: from padding_idx + 1)", "update",
     "update", "convert again with RobertaModel support (after PR 10856)", "pull a newer GGUF", ""},
    {"rope-theta", "read the rotary bases of each kind of layer from config.json", "update",
     "--hf-overrides with the "
     "right rope_theta",
     "--rope-freq-base", "options.rope_frequency_base", ""},
    {"rope-scaling", "apply the rotary scaling of config.json, no other", "update",
     "--hf-overrides "
     "'{\"rope_scaling\": …}'",
     "--rope-scaling and --rope-scale", "options.rope_frequency_scale", ""},
    {"token-type", "add the token type embedding of type 0", "", "", "convert again: token_types.weight must be there",
     "", "ONNX: feed token_type_ids of zeros"},
    {"architecture-component", "load the model as its own class", "update: the architecture was taken for another",
     "--hf-overrides '{\"architectures\": [\"…\"]}' with the model's own", "convert again; MPNet is not supported",
     "use a "
     "supported architecture",
     ""},
    {"causal-mask", "let every token see every other", "the checkpoint's config.json needs \"is_causal\": false",
     "--hf-overrides '{\"is_causal\": false}'",
     "--attention non-causal (llama-embedding); the GGUF needs "
     "ARCH.attention.causal = false",
     "the GGUF needs ARCH.attention.causal = false", ""},
    {"bidirectional-mask", "use the causal mask, whatever the batch",
     "1.9.4 or newer, or --max-batch-requests 1: equal-length "
     "batches lose the mask",
     "--hf-overrides '{\"is_causal\": true}'", "ARCH.attention.causal = true", "", ""},
    {"padding-attended", "mask the padding", "update; --max-batch-requests 1 until then", "update", "", "",
     "ONNX: feed attention_mask"},
    {"sliding-window", "use the window of config.json, on both sides", "update", "update", "update and convert again",
     "update", ""},
    {"batch-leak", "send one text a request until the server is mended", "--max-batch-requests 1", "--max-num-seqs 1",
     "-np 1", "OLLAMA_NUM_PARALLEL=1", ""},
    {"gelu-variant", "use the erf form of GELU", "since 1.9.0 GELU is tanh on purpose: 1.8.3, or accept it", "",
     "its GELU is a float16 table of the tanh form: no switch", "its GELU is a float16 table of the tanh form", ""},
    {"layernorm", "read the norms' epsilon, bias and offset from the model", "update", "update",
     "convert again: "
     "ARCH.attention.layer_norm_epsilon",
     "convert again", ""},
    {"adapter-missing", "merge the adapter, with its scaling", "merge the adapter into the weights first",
     "--enable-lora --lora-modules, and name it as the model", "--lora FILE", "ADAPTER in the Modelfile", ""},
    {"weights-not-loaded", "check the server's log for tensors that were not found", "", "", "convert again", "", ""},
    {"pooling-mode", "set the pooling that 1_Pooling/config.json says", "--pooling cls|mean|last-token",
     "--pooler-config '{\"pooling_type\": \"…\"}' (CLS, MEAN, LAST)", "--pooling mean|cls|last",
     "convert again: "
     "ARCH.pooling_type",
     "Infinity: --pooling-method mean|cls; FastEmbed: 0.6 or newer, add_custom_model(pooling=…)"},
    {"last-token-index", "pool the last token that is not padding", "update", "update", "--pooling last", "update",
     "FastEmbed: 0.7.4 or newer"},
    {"pooling-mask", "average over exactly the tokens of the attention mask", "update", "update", "", "", ""},
    {"unpooled", "ask for pooled vectors", "use /embed, not /embed_all",
     "--runner pooling with task embed, not "
     "token_embed",
     "--pooling mean|cls|last instead of none", "", "transformers.js: {pooling, normalize}"},
    {"projection-missing", "apply the Dense modules of modules.json",
     "update (1.8.3 or newer for local directories), or "
     "--dense-path",
     "update (0.11 or newer)", "convert with --sentence-transformers-dense-modules",
     "not supported for "
     "most models",
     "transformers.js and ONNX: read sentence_embedding, not last_hidden_state"},
    {"normalization", "normalise as modules.json says", "\"normalize\": true or false in the request",
     "\"use_activation\" in the request or --pooler-config '{\"use_activation\": …}'",
     "--embd-normalize 2 (L2) or -1 (none)", "/api/embed normalises, /api/embeddings does not",
     "Infinity always normalises"},
    {"dimensions-order", "cut, and bring to length 1, in the reference's order", "\"dimensions\" in the request",
     "\"dimensions\" in the request (needs is_matryoshka)", "cut in the client", "\"dimensions\" in the request", ""},
    {"precision-float16", "serve in float32 for the reference's vectors", "--dtype float32", "--dtype float32",
     "a GGUF of type F32 (K and V stay float16)", "an F32 GGUF", "Infinity: --dtype float32"},
    {"precision-bfloat16", "serve in float32 for the reference's vectors", "--dtype float32", "--dtype float32",
     "a GGUF of type F32", "an F32 GGUF", "OpenVINO: INFERENCE_PRECISION_HINT=f32; Infinity: --dtype float32"},
    {"overflow-nan", "run in float32 or bfloat16 instead of float16", "--dtype float32", "--dtype float32 or bfloat16",
     "", "", ""},
    {"weight-quantization", "use unquantised weights for the reference's vectors", "--dtype float32, unquantised ONNX",
     "drop --quantization", "a GGUF of type F32 or F16", "pull the fp16 tag",
     "FastEmbed and Infinity choose quantised ONNX files by default; transformers.js: dtype: 'fp32'"},
    {"output-quantization", "ask for float output", "", "embed_dtype: float32; embedding_types: [\"float\"]", "", "",
     "Infinity: --embedding-dtype float32"},
    {"batch-numerics", "accept it, or send one text a request", "", "", "", "", ""},
    {"serialization", "make client and server agree on encoding_format (float) and little-endian float32", "",
     "encoding_format: float, endianness: little", "encoding_format: float", "",
     "openai-node asks for base64 unless told: "
     "encoding_format: \"float\""},
}};

constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kMore = {{
    {"permuted-results", "put answers in order by their index; send one text a request until the server is mended"},
    {"constant-output", "the server reads the wrong buffer: update it"},
    {"nondeterministic", "run one replica and one build; make sure that no dropout or random weights are left"},
}};

}  // namespace

std::string FixFor(const std::string& cause, const std::string&, const std::string& dialect) {
  for (const auto& [id, text] : kMore) {
    if (id == cause) return std::string(text);
  }
  for (const Fix& fix : kFixes) {
    if (fix.cause != cause) continue;
    std::string text(fix.general);
    const auto add = [&](std::string_view server, std::string_view how) {
      if (!how.empty()) text += "; " + std::string(server) + ": " + std::string(how);
    };
    if (dialect == "tei" || dialect == "vllm" || dialect == "llamacpp" || dialect == "ollama") {
      if (dialect == "tei") add("TEI", fix.tei);
      if (dialect == "vllm") add("vLLM", fix.vllm);
      if (dialect == "llamacpp") add("llama.cpp", fix.llamacpp);
      if (dialect == "ollama") add("Ollama", fix.ollama);
      return text;
    }
    add("vLLM", fix.vllm);
    add("TEI", fix.tei);
    add("llama.cpp", fix.llamacpp);
    add("Ollama", fix.ollama);
    if (!fix.others.empty()) text += "; " + std::string(fix.others);
    return text;
  }
  return "";
}

}  // namespace truevec
