// Multi-vector (late interaction) directories: PyLate and Stanford ColBERT saves, and dense models loaded as
// multi-vector. Reference: sentence_transformers 6.2 multi_vector_encoder/model.py (_parse_model_config,
// _apply_legacy_fixups, _load_converted_modules, _maybe_load_stanford_metadata, _build_stanford_projection).
#include <algorithm>
#include <array>

#include "spec/resolve.h"

namespace truevec {
namespace {

constexpr std::string_view kPunctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";  // Python's string.punctuation
constexpr std::string_view kMetadata = "artifact.metadata";
constexpr std::array<std::string_view, 9> kMarkerKeys = {
    "query_length",          "document_length", "query_expansion", "do_query_expansion", "attend_to_expansion_tokens",
    "attend_to_mask_tokens", "query_prefix",    "document_prefix", "skiplist_words"};

json::array Punctuation() {
  json::array words;
  for (const char c : kPunctuation) words.push_back(json::value(std::string(1, c)));
  return words;
}

// A JSON value as Python's truth.
bool Truthy(const JsonRef& ref) {
  if (!ref.present() || ref.is_null()) return false;
  const json::value& v = ref.value();
  if (v.is_bool()) return v.get_bool();
  if (v.is_int64()) return v.get_int64() != 0;
  if (v.is_uint64()) return v.get_uint64() != 0;
  if (v.is_double()) return v.get_double() != 0;
  if (v.is_string()) return !v.get_string().empty();
  if (v.is_array()) return !v.get_array().empty();
  return !v.get_object().empty();
}

std::string Text(const JsonRef& ref) { return ref.is_string() ? ref.String().value() : ""; }

void SetDefault(json::object* object, std::string_view key, json::value value) {
  if (!object->contains(key)) (*object)[key] = std::move(value);
}

void SetModuleDefaults(const json::object& defaults, ModuleSpec* module) {
  json::object config = module->config->is_object() ? module->config->get_object() : json::object();
  for (const auto& [key, value] : defaults) SetDefault(&config, key, value);
  module->config = std::make_shared<const json::value>(std::move(config));
}

ModuleSpec TokenNormalize() { return SyntheticModule("Normalize", {{"module_input_name", "token_embeddings"}}); }

void SetValue(ModuleSpec* module, std::string_view key, json::value value) {
  json::object config = module->config->get_object();
  config[key] = std::move(value);
  module->config = std::make_shared<const json::value>(std::move(config));
}

bool ReadsSentences(const ModuleSpec& module) {
  const JsonRef input = module.Config()["module_input_name"];
  return !input.present() || Text(input) == "sentence_embedding";
}

}  // namespace

LegacyMultiVector ReadLegacyMultiVector(const JsonRef& config, ModelSpec* spec) {
  LegacyMultiVector legacy;
  for (const auto& [prefix_key, prompt] :
       {std::pair("query_prefix", "query"), std::pair("document_prefix", "document")}) {
    if (!config[prefix_key].present()) continue;
    const std::string prefix = Text(config[prefix_key]);
    std::string saved = spec->prompts.contains(prompt) ? spec->prompts[prompt] : "";
    if (saved.starts_with(prefix)) saved = saved.substr(prefix.size());
    spec->prompts[prompt] = prefix + saved;
    legacy.prefixes.push_back(prefix);
    json::object recorded;
    for (const auto& [name, text] : spec->prompts) recorded[name] = text;
    spec->settings.Record("prompts", recorded, SettingSource::File(config.file(), prefix_key));
  }
  for (const std::string_view key : {"query_length", "document_length", "query_expansion"}) {
    const JsonRef value = config[key];
    if (value.present() && (!value.is_null() || key == "query_expansion")) legacy.transformer[key] = value.value();
  }
  const bool marked =
      std::any_of(kMarkerKeys.begin(), kMarkerKeys.end(), [&](std::string_view key) { return config[key].present(); });
  if (marked && !legacy.transformer.contains("query_expansion")) {
    const JsonRef expands = config["do_query_expansion"];
    if (expands.is_bool() && !expands.Bool().value()) {
      legacy.transformer["query_expansion"] = nullptr;
    } else {
      const JsonRef attend = config["attend_to_expansion_tokens"].present() ? config["attend_to_expansion_tokens"]
                                                                            : config["attend_to_mask_tokens"];
      const JsonRef length = config["query_length"];
      legacy.transformer.erase("query_length");
      legacy.transformer["query_expansion"] =
          json::object{{"strategy", "fixed"},
                       {"attend", Truthy(attend)},
                       {"length", Truthy(length) ? length.value() : json::value(32)}};
    }
  }
  if (const JsonRef words = config["skiplist_words"]; words.is_array()) legacy.skiplist = words.value().get_array();
  return legacy;
}

void ApplyLegacyMultiVector(const LegacyMultiVector& legacy, bool append_mask, ModelSpec* spec) {
  for (ModuleSpec& module : spec->modules) {
    if (module.type == "Transformer") SetModuleDefaults(legacy.transformer, &module);
  }
  for (const std::string& prefix : legacy.prefixes) {
    if (prefix.find_first_not_of(" \t\n\r\f\v") != std::string::npos) spec->marker_tokens.push_back(prefix);
  }
  if (!append_mask) return;
  spec->modules.push_back(
      SyntheticModule("MultiVectorMask", {{"skiplist_words", legacy.skiplist ? *legacy.skiplist : Punctuation()}}));
  spec->modules.push_back(TokenNormalize());
}

void ConvertToMultiVector(const LegacyMultiVector& legacy, ModelSpec* spec) {
  ApplyLegacyMultiVector(legacy, false, spec);
  std::erase_if(spec->modules, [](const ModuleSpec& module) {
    return module.type == "Pooling" || (module.type == "Normalize" && ReadsSentences(module));
  });
  bool projected = false;
  for (ModuleSpec& module : spec->modules) {
    if (module.type != "Dense") continue;
    projected = true;
    // A config that does not say is read as token level by the class that loads it; one that says is redirected.
    if (!ReadsSentences(module)) continue;
    SetValue(&module, "module_input_name", "token_embeddings");
    SetValue(&module, "module_output_name", "token_embeddings");
  }
  if (!projected) {
    spec->Refuse("multi-vector model", "modules.json",
                 "no Dense module: the reference would project the tokens with random weights");
    return;
  }
  json::array skiplist;
  if (legacy.skiplist.has_value()) {
    skiplist = *legacy.skiplist;
  } else if (!legacy.prefixes.empty()) {
    skiplist = Punctuation();
  }
  spec->modules.push_back(SyntheticModule("MultiVectorMask", {{"skiplist_words", skiplist}}));
  spec->modules.push_back(TokenNormalize());
}

void StanfordColbert(const ModelDirectory& directory, ModelSpec* spec) {
  JsonRef metadata;
  std::optional<JsonFile> file;
  if (directory.Has(std::string(kMetadata))) {
    Result<JsonFile> read = directory.Json(std::string(kMetadata));
    if (!read.ok()) {
      spec->Refuse("unreadable file", std::string(kMetadata), read.status().message());
      return;
    }
    file.emplace(std::move(read).value());
    metadata = file->root();
  } else {
    spec->warnings.push_back(
        "no artifact.metadata: the markers [unused0] and [unused1] and 32 query tokens are "
        "the reference's defaults");
  }
  LegacyMultiVector legacy;
  const auto marker = [&](std::string_view key, std::string_view fallback) {
    return (Truthy(metadata[key]) ? Text(metadata[key]) : std::string(fallback)) + " ";
  };
  legacy.prefixes = {marker("query_token_id", "[unused0]"), marker("doc_token_id", "[unused1]")};
  spec->prompts["query"] = legacy.prefixes[0];
  spec->prompts["document"] = legacy.prefixes[1];
  spec->settings.Record("prompts", json::object{{"query", legacy.prefixes[0]}, {"document", legacy.prefixes[1]}},
                        file.has_value() ? SettingSource::File(std::string(kMetadata), "query_token_id")
                                         : SettingSource::Default(std::string(kReferenceName)));
  if (metadata["doc_maxlen"].present() && !metadata["doc_maxlen"].is_null()) {
    legacy.transformer["document_length"] = metadata["doc_maxlen"].value();
  }
  const JsonRef length = metadata["query_maxlen"];
  legacy.transformer["query_expansion"] = json::object{{"strategy", "fixed"},
                                                       {"attend", Truthy(metadata["attend_to_mask_tokens"])},
                                                       {"length", Truthy(length) ? length.value() : json::value(32)}};
  const JsonRef punctuation = metadata["mask_punctuation"];
  legacy.skiplist = !punctuation.present() || Truthy(punctuation) ? Punctuation() : json::array();
  spec->modules.push_back(SyntheticModule("Transformer", {{"transformer_task", "feature-extraction"}}));
  ModuleSpec projection = SyntheticModule("Dense", {{"bias", false},
                                                    {"activation_function", "torch.nn.modules.linear.Identity"},
                                                    {"module_input_name", "token_embeddings"}});
  projection.shares_weights = true;
  spec->modules.push_back(std::move(projection));
  ApplyLegacyMultiVector(legacy, true, spec);
}

}  // namespace truevec
