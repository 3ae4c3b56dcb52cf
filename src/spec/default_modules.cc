// What each class builds on a plain transformers directory (no modules.json). Reference: _load_default_modules of
// sentence_transformer/model.py, sparse_encoder/model.py and cross_encoder/model.py.
#include "spec/resolve.h"

namespace truevec {
namespace {

// A raw chat model loaded without modules.json gets the "message" modality: every text goes through its template.
bool HasChatTemplate(const ModelDirectory& directory) {
  if (directory.Has("chat_template.jinja")) return true;
  if (!directory.Has("tokenizer_config.json")) return false;
  const Result<JsonFile> file = directory.Json("tokenizer_config.json");
  return file.ok() && file->root()["chat_template"].present() && !file->root()["chat_template"].is_null();
}

bool EndsWith(const JsonRef& name, std::string_view end) {
  return name.is_string() && name.String().value().ends_with(end);
}

bool AnyArchitecture(const JsonRef& config, std::string_view end) {
  const JsonRef names = config["architectures"];
  for (size_t i = 0; i < names.size(); ++i) {
    if (EndsWith(names.At(i), end)) return true;
  }
  return false;
}

bool IsCausalLm(const JsonRef& config) {
  if (!EndsWith(config["architectures"].At(0), "ForCausalLM")) return false;
  const JsonRef is_causal = config["is_causal"];
  return !is_causal.is_bool() || is_causal.Bool().value();
}

// A tokenizer with a chat template gives the model the "message" modality, through which every text then goes.
ModuleSpec Transformer(const ModelDirectory& directory, std::string_view task, std::string_view output) {
  json::object config = {{"transformer_task", task}};
  if (HasChatTemplate(directory)) {
    config["modality_config"] = json::object{
        {"message", json::object{{"method", "forward"}, {"method_output_name", output}, {"format", "auto"}}}};
  }
  return SyntheticModule("Transformer", std::move(config));
}

void Dense(const ModelDirectory& directory, const JsonRef& config, ModelSpec* spec) {
  if (HasChatTemplate(directory)) {
    spec->warnings.push_back(
        "no modules.json and a chat template: every text is rendered as a chat message, as the "
        "reference does; save the model with sentence-transformers to say how texts are to be read");
  }
  const std::string mode = IsCausalLm(config) ? "lasttoken" : "mean";
  spec->modules.push_back(Transformer(directory, "feature-extraction", "last_hidden_state"));
  spec->modules.push_back(SyntheticModule("Pooling", {{"pooling_mode", mode}}));
  spec->warnings.push_back("no modules.json: pooling is the reference's fallback (" + mode +
                           "), which may not be how the model was trained");
}

void Sparse(const ModelDirectory& directory, const JsonRef& config, ModelSpec* spec) {
  if (!AnyArchitecture(config, "ForMaskedLM")) {
    spec->Refuse("sparse model", "config.json: architectures",
                 "no *ForMaskedLM: the reference would add a SparseAutoEncoder with random weights");
    return;
  }
  spec->modules.push_back(Transformer(directory, "fill-mask", "logits"));
  spec->modules.push_back(SyntheticModule("SpladePooling", {{"pooling_strategy", "max"}}));
}

void CrossEncoder(const ModelDirectory& directory, const JsonRef& config, ModelSpec* spec) {
  if (EndsWith(config["architectures"].At(0), "ForCausalLM")) {
    spec->modules.push_back(Transformer(directory, "text-generation", "logits"));
    spec->modules.push_back(SyntheticModule("LogitScore", {{"true_token", "yes"}, {"false_token", "no"}}));
    return;
  }
  if (!AnyArchitecture(config, "ForSequenceClassification")) {
    spec->Refuse("cross-encoder", "config.json: architectures",
                 "no *ForSequenceClassification: the reference would add a head with random weights");
    return;
  }
  spec->modules.push_back(Transformer(directory, "sequence-classification", "logits"));
}

}  // namespace

void DefaultModules(const ModelDirectory& directory, const JsonRef& config, ModelSpec* spec) {
  if (spec->as == "dense") {
    Dense(directory, config, spec);
  } else if (spec->as == "sparse") {
    Sparse(directory, config, spec);
  } else if (spec->as == "cross-encoder") {
    CrossEncoder(directory, config, spec);
  } else if (AnyArchitecture(config, "HF_ColBERT")) {
    StanfordColbert(directory, spec);
  } else if (AnyArchitecture(config, "ForRetrieval")) {
    spec->Refuse("multi-vector model", "config.json: architectures", "encodes images; truevec is a text engine");
  } else {
    spec->Refuse("multi-vector model", spec->directory,
                 "no modules.json and no HF_ColBERT architecture: the reference would project the tokens with random "
                 "weights");
  }
}

}  // namespace truevec
