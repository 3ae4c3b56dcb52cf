// config_sentence_transformers.json: prompts, default prompt, similarity, truncate_dim, the cross-encoder's activation.
// Reference: base/model.py (_parse_model_config, _validate_prompts) and the model classes' overrides of it.
#include <algorithm>
#include <array>

#include "spec/resolve.h"

namespace truevec {
namespace {

constexpr std::array<std::string_view, 4> kDenseSimilarities = {"cosine", "dot", "euclidean", "manhattan"};
constexpr std::array<std::string_view, 2> kTokenSimilarities = {"maxsim", "meanmaxsim"};

// Keys that change no vector, with the reason.
struct HarmlessKey {
  std::string_view key;
  std::string_view reason;
};
constexpr std::array<HarmlessKey, 9> kHarmless = {{
    {"__version__", "versions of the libraries that saved the model"},
    {"model_type", "read before"},
    {"requirements", "Python packages for remote code"},
    {"keep_in_fp32_modules", "truevec computes in float32 anyway"},
    {"base_model", "provenance"},
    {"model_card_data", "provenance"},
    {"backend", "which Python runtime"},
    {"task_name", "a label for model cards"},
    {"library_name", "provenance"},
}};

bool IsHarmless(std::string_view key) {
  return std::any_of(kHarmless.begin(), kHarmless.end(), [&](const HarmlessKey& row) { return row.key == key; });
}

void ReadPrompts(const JsonRef& config, ModelSpec* spec) {
  const JsonRef prompts = config["prompts"];
  if (prompts.present() && !prompts.is_object() && !prompts.is_null()) {
    spec->Refuse("prompts", prompts.Where(), prompts.TypeError("an object").message());
    return;
  }
  for (const std::string& name : prompts.Keys()) {
    const JsonRef value = prompts[name];
    if (value.is_string()) {
      spec->prompts[name] = value.String().value();
    } else if (value.is_null()) {
      spec->prompts[name] = "";
    } else {
      spec->Refuse("prompt", value.Where(), value.TypeError("a string").message());
    }
  }
  json::object recorded;
  for (const auto& [name, text] : spec->prompts) recorded[name] = text;
  spec->settings.Record("prompts", recorded,
                        prompts.is_object() ? SettingSource::File(prompts.file(), prompts.key())
                                            : SettingSource::Default(std::string(kReferenceName)));
  // encode_query and encode_document find these names in every model.
  spec->prompts.try_emplace("query", "");
  spec->prompts.try_emplace("document", "");
}

void ReadDefaultPrompt(const JsonRef& config, ModelSpec* spec) {
  const JsonRef value = config["default_prompt_name"];
  if (!value.present() || value.is_null()) return;
  const Result<std::string> name = value.String();
  if (!name.ok()) {
    spec->Refuse("default_prompt_name", value.Where(), name.status().message());
    return;
  }
  spec->default_prompt_name = name.value();
  spec->settings.Record("default_prompt_name", json::value(name.value()),
                        SettingSource::File(value.file(), value.key()));
}

void ReadSimilarity(const JsonRef& config, ModelSpec* spec) {
  const bool tokens = spec->as == "multi-vector";
  spec->similarity = tokens ? "maxsim" : spec->as == "sparse" ? "dot" : "cosine";
  SettingSource source = SettingSource::Default(std::string(kReferenceName));
  if (const JsonRef value = config["similarity_fn_name"]; value.present() && !value.is_null()) {
    const Result<std::string> name = value.String();
    const auto known = [&](const auto& list) {
      return name.ok() && std::find(list.begin(), list.end(), name.value()) != list.end();
    };
    const bool of_dense = known(kDenseSimilarities);
    const bool of_tokens = known(kTokenSimilarities);
    if (tokens ? of_dense : of_tokens) {
      // A name for the other kind of model (PyLate saves "cosine"): the class's own default applies.
      spec->settings.Record("similarity", json::value(spec->similarity), source);
      spec->settings.AddConflict("similarity", value.value(), SettingSource::File(value.file(), value.key()));
      return;
    }
    if (!of_dense && !of_tokens) {
      spec->Refuse("similarity_fn_name", value.Where(),
                   std::string("expected ") +
                       (tokens ? "maxsim or meanmaxsim" : "cosine, dot, euclidean or manhattan") + ", got " +
                       WriteJson(value.value()));
      return;
    }
    spec->similarity = name.value();
    source = SettingSource::File(value.file(), value.key());
  }
  spec->settings.Record("similarity", json::value(spec->similarity), source);
}

void ReadCount(const JsonRef& config, std::string_view key, std::optional<int64_t>* out, ModelSpec* spec) {
  const JsonRef value = config[key];
  if (!value.present() || value.is_null()) return;
  const Result<int64_t> count = value.Int();
  if (!count.ok() || count.value() < 1) {
    spec->Refuse(std::string(key), value.Where(), "expected a positive integer, got " + WriteJson(value.value()));
    return;
  }
  *out = count.value();
  spec->settings.Record(std::string(key), json::value(count.value()), SettingSource::File(value.file(), value.key()));
}

}  // namespace

void ReadSentenceTransformersConfig(const JsonRef& config, ModelSpec* spec) {
  if (config.present() && !config.is_object()) {
    spec->Refuse("config", config.file(), config.TypeError("an object").message());
    return;
  }
  ReadPrompts(config, spec);
  ReadDefaultPrompt(config, spec);
  ReadSimilarity(config, spec);
  ReadCount(config, "truncate_dim", &spec->truncate_dim, spec);
  ReadCount(config, "max_active_dims", &spec->max_active_dims, spec);
  if (const JsonRef value = config["activation_fn"]; value.is_string()) spec->activation_fn = value.String().value();
  static constexpr std::array<std::string_view, 15> kRead = {"max_active_dims",
                                                             "prompts",
                                                             "default_prompt_name",
                                                             "similarity_fn_name",
                                                             "truncate_dim",
                                                             "activation_fn",
                                                             "query_prefix",
                                                             "document_prefix",
                                                             "query_length",
                                                             "document_length",
                                                             "do_query_expansion",
                                                             "skiplist_words",
                                                             "attend_to_expansion_tokens",
                                                             "query_expansion",
                                                             "attend_to_mask_tokens"};
  for (const std::string& key : config.Keys()) {
    if (std::find(kRead.begin(), kRead.end(), key) == kRead.end() && !IsHarmless(key)) {
      spec->Refuse("key \"" + key + "\"", config[key].Where(), "unknown key that could change vectors");
    }
  }
}

}  // namespace truevec
