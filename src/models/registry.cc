// The table of architectures: config.json's model_type -> loader. One row each.
#include <algorithm>
#include <array>

#include "models/architectures.h"
#include "models/model.h"

namespace truevec {
namespace {

struct Architecture {
  std::string_view model_type;
  Result<LoadedModel> (*load)(ConfigReader& config, const WeightScope& weights, const ModelOptions& options);
};

constexpr std::array kArchitectures = {
    Architecture{"albert", LoadAlbert},
    Architecture{"bert", LoadBert},
    Architecture{"camembert", LoadRoberta},
    Architecture{"deberta-v2", LoadDebertaV2},
    Architecture{"distilbert", LoadDistilBert},
    Architecture{"electra", LoadElectra},
    Architecture{"eurobert", LoadEuroBert},
    Architecture{"gemma", LoadGemma},
    Architecture{"gemma2", LoadGemma2},
    Architecture{"gemma3_text", LoadGemma3},
    Architecture{"gte", LoadGte},
    Architecture{"jina_embeddings_v3", LoadJinaV3},
    Architecture{"llama", LoadLlama},
    Architecture{"llama_bidirec", LoadLlamaBidirectional},
    Architecture{"mistral", LoadMistral},
    Architecture{"modernbert", LoadModernBert},
    Architecture{"mpnet", LoadMpnet},
    Architecture{"mt5", LoadT5},
    Architecture{"new", LoadGte},
    Architecture{"nomic_bert", LoadNomicBert},
    Architecture{"phi3", LoadPhi3},
    Architecture{"qwen2", LoadQwen2},
    Architecture{"qwen3", LoadQwen3},
    Architecture{"roberta", LoadRoberta},
    Architecture{"t5", LoadT5},
    Architecture{"umt5", LoadT5},
    Architecture{"xlm-roberta", LoadRoberta},
};

// Keys of config.json that transformers keeps for training, generation or bookkeeping: none changes a vector.
constexpr std::string_view kHarmlessKeys[] = {
    "_name_or_path",
    "architectures",
    "transformers_version",
    "torch_dtype",
    "dtype",
    "attention_probs_dropout_prob",
    "hidden_dropout_prob",
    "attention_dropout",
    "embd_pdrop",
    "resid_pdrop",
    "classifier_dropout",
    "initializer_range",
    "initializer_factor",
    "gradient_checkpointing",
    "use_cache",
    "pad_token_id",
    "bos_token_id",
    "eos_token_id",
    "sep_token_id",
    "cls_token_id",
    "mask_token_id",
    "decoder_start_token_id",
    "id2label",
    "label2id",
    "num_labels",
    "problem_type",
    "finetuning_task",
    "tie_word_embeddings",
    "output_attentions",
    "output_hidden_states",
    "return_dict",
    "pruned_heads",
    "torchscript",
    "max_length",
    "min_length",
    "do_sample",
    "num_beams",
    "temperature",
    "top_k",
    "top_p",
    "repetition_penalty",
    "length_penalty",
    "directionality",
    "pooler_fc_size",
    "_attn_implementation_autoset",
    "use_bfloat16",
    "auto_map",  // names of remote code, never executed
    "_attn_implementation",
    "attn_implementation",
    "use_memory_efficient_attention",
    "unpad_inputs",
    "transformers.js_config",
    "license",
    "model_name",
    "matryoshka_dimensions",
    "tokenizer_class",
    "output_past",
};

}  // namespace

Result<LoadedModel> LoadModel(ConfigReader& config, WeightScope weights, const ModelOptions& options) {
  TV_ASSIGN_OR_RETURN(const std::string model_type, config.String({"model_type"}));
  for (const std::string_view key : kHarmlessKeys) config.Ignore({key});
  for (const Architecture& row : kArchitectures) {
    if (row.model_type == model_type) return row.load(config, std::move(weights), options);
  }
  std::string known;
  for (const std::string& name : SupportedModelTypes()) known += (known.empty() ? "" : ", ") + name;
  return config.Refuse("model_type", "architecture \"" + model_type + "\" is not supported; known: " + known);
}

std::vector<std::string> SupportedModelTypes() {
  std::vector<std::string> names;
  for (const Architecture& row : kArchitectures) names.emplace_back(row.model_type);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace truevec
