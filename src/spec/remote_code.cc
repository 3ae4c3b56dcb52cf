#include "spec/remote_code.h"

#include <algorithm>
#include <array>

namespace truevec {
namespace {

struct RemoteCode {
  std::string_view reference;   // how the value of auto_map begins, with or without "owner/repository--"
  std::string_view model_type;  // config.json's model_type that this code reads, "" when it cannot be supported
  std::string_view what;        // what the code is, or why it is refused
};

constexpr std::array<RemoteCode, 25> kKnown = {{
    {"nomic-ai/nomic-bert-2048--", "nomic_bert", "NomicBERT"},
    {"modeling_hf_nomic_bert.", "nomic_bert", "NomicBERT"},
    {"configuration_hf_nomic_bert.", "nomic_bert", "NomicBERT"},
    {"Alibaba-NLP/new-impl--", "new", "Alibaba's NewModel (gte-v1.5, gte-multilingual)"},
    {"modeling.New", "new", "Alibaba's NewModel"},
    {"configuration.New", "new", "Alibaba's NewModel"},
    {"modeling_hf_alibaba_nlp_gte.", "gte", "Alibaba's NewModel under its transformers name"},
    {"configuration_hf_alibaba_nlp_gte.", "gte", "Alibaba's NewModel under its transformers name"},
    {"jinaai/jina-bert-implementation--", "bert", "JinaBERT (ALiBi)"},
    {"jinaai/jina-bert-v2-implementation--", "bert", "JinaBERT (ALiBi)"},
    {"jinaai/jina-bert-v2-qk-post-norm--", "bert", "JinaBERT with norms on queries and keys"},
    {"jinaai/xlm-roberta-flash-implementation--", "xlm-roberta", "XLM-R with rotary positions and task adapters"},
    {"jinaai/jina-reranker-v2-base-multilingual--", "xlm-roberta", "XLM-R, fused"},
    {"modeling_bert.JinaBert", "bert", "JinaBERT (ALiBi)"},
    {"modeling_xlm_roberta.XLMRoberta", "xlm-roberta", "XLM-R, fused"},
    {"modeling_lora.XLMRobertaLoRA", "xlm-roberta", "XLM-R with rotary positions and task adapters"},
    {"modeling_eurobert.", "eurobert", "EuroBERT"},
    {"modeling_qwen.", "qwen2", "gte-Qwen2's bidirectional Qwen2"},
    {"tokenization_qwen.", "qwen2", "gte-Qwen2's tokenizer"},
    {"modeling_llama_bidirec.", "llama_bidirec", "NVIDIA's bidirectional Llama"},
    {"llama_bidirectional_model.", "llama_bidirec", "NVIDIA's bidirectional Llama"},
    {"modeling_nvembed.", "", "NV-Embed: its latent attention layer is not implemented"},
    {"modeling_jina_embeddings_v4.", "", "jina-embeddings-v4: encodes images; truevec is a text engine"},
    {"modeling_gritlm7b.", "", "GritLM: its own masks for instructions are not implemented"},
    {"modeling_minicpm.", "", "MiniCPM: its scaled residuals are not implemented"},
}};

// "owner/repository--module.Class" names code in another repository; the owner counts.
const RemoteCode* Find(std::string_view value) {
  const auto* row = std::find_if(kKnown.begin(), kKnown.end(), [&](const RemoteCode& known) {
    if (value.starts_with(known.reference)) return true;
    // A copy of the code in a repository of its own keeps the file's name.
    const size_t dashes = value.find("--");
    return dashes != std::string_view::npos && known.reference.find("--") == std::string_view::npos &&
           value.substr(dashes + 2).starts_with(known.reference);
  });
  return row == kKnown.end() ? nullptr : row;
}

}  // namespace

Status CheckRemoteCode(const JsonRef& config, Settings* settings) {
  const JsonRef map = config["auto_map"];
  if (!map.present() || map.is_null()) return Status::Ok();
  const std::string model_type = config["model_type"].is_string() ? config["model_type"].String().value() : "";
  for (const std::string& key : map.Keys()) {
    // The code of configs and tokenizers is read here as data; that of models decides vectors.
    if (!key.starts_with("AutoModel")) continue;
    const JsonRef ref = map[key];
    const std::string value = ref.is_string() ? ref.String().value() : WriteJson(ref.value());
    const RemoteCode* row = Find(value);
    if (row == nullptr) {
      return ModelError(ref.Where() + ": \"" + value +
                        "\" is code that truevec does not know and never executes; what it computes is missing");
    }
    if (row->model_type.empty()) return ModelError(ref.Where() + ": \"" + value + "\": " + std::string(row->what));
    if (row->model_type != model_type) {
      return ModelError(ref.Where() + ": \"" + value + "\" (" + std::string(row->what) + ") goes with model_type \"" +
                        std::string(row->model_type) + "\", got \"" + model_type + "\"");
    }
    settings->Record("remote_code", json::value(value), SettingSource::File(ref.file(), ref.key()));
  }
  return Status::Ok();
}

}  // namespace truevec
