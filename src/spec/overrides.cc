// `--override` of the pipeline's own settings, and the record of what was resolved. The overrides rewrite the module
// list, so that loading, inspect and the fingerprint follow one description.
#include <algorithm>
#include <boost/json/value_from.hpp>

#include "spec/resolve.h"

namespace truevec {
namespace {

SettingSource OverrideSource(std::string_view key, const json::value& value) {
  return SettingSource::Override(std::string(key) + "=" + WriteJson(value));
}

bool IsSentenceNormalize(const ModuleSpec& module) {
  const JsonRef input = module.Config()["module_input_name"];
  return module.type == "Normalize" && (!input.is_string() || input.String().value() == "sentence_embedding");
}

// What gives vectors their unit length: token vectors where the model is multi-vector.
bool IsOutputNormalize(const ModelSpec& spec, const ModuleSpec& module) {
  if (spec.as != "multi-vector") return IsSentenceNormalize(module);
  const JsonRef input = module.Config()["module_input_name"];
  return module.type == "Normalize" && input.is_string() && input.String().value() == "token_embeddings";
}

ModuleSpec* FindModule(ModelSpec* spec, std::string_view type) {
  for (ModuleSpec& module : spec->modules) {
    if (module.type == type) return &module;
  }
  return nullptr;
}

void SetConfigValue(ModuleSpec* module, std::string_view key, const json::value& value) {
  json::object config = module->config->is_object() ? module->config->get_object() : json::object();
  config[key] = value;
  module->config = std::make_shared<const json::value>(std::move(config));
}

void OverridePooling(const SpecOptions& options, ModelSpec* spec) {
  for (const std::string_view key : {"pooling", "include_prompt"}) {
    const json::value* value = options.overrides.Use(key);
    if (value == nullptr) continue;
    ModuleSpec* pooling = FindModule(spec, "Pooling");
    if (pooling == nullptr) {
      spec->Refuse("override " + std::string(key), "--override", "the model has no Pooling module");
      continue;
    }
    const std::string_view config_key = key == "pooling" ? "pooling_mode" : key;
    const JsonRef config = pooling->Config();
    std::string old_key;
    json::value old = config[config_key].present() ? config[config_key].value() : json::value();
    if (key == "pooling") {
      if (const auto modes = PoolingModes(config, &old_key); modes.ok()) {
        old = modes->size() == 1 ? json::value(modes->front()) : json::value_from(modes.value());
      }
    }
    spec->settings.Record(std::string(key), *value, OverrideSource(key, *value));
    spec->settings.AddConflict(key, old,
                               SettingSource::File(config.file(), old_key.empty() ? std::string(config_key) : old_key));
    SetConfigValue(pooling, config_key, *value);
  }
}

void OverrideNormalize(const SpecOptions& options, ModelSpec* spec) {
  const json::value* value = options.overrides.Use("normalize");
  if (value == nullptr) return;
  if (!value->is_bool()) {
    spec->Refuse("override normalize", "--override", "expected true or false, got " + WriteJson(*value));
    return;
  }
  const auto normalizes = [&](const ModuleSpec& module) { return IsOutputNormalize(*spec, module); };
  const bool has = std::any_of(spec->modules.begin(), spec->modules.end(), normalizes);
  spec->settings.Record("normalize", *value, OverrideSource("normalize", *value));
  spec->settings.AddConflict("normalize", json::value(has), SettingSource::File("modules.json", ""));
  if (!value->get_bool()) std::erase_if(spec->modules, normalizes);
  if (!value->get_bool() || has) return;
  const bool tokens = spec->as == "multi-vector";
  spec->modules.push_back(
      SyntheticModule("Normalize", tokens ? json::object{{"module_input_name", "token_embeddings"}} : json::object()));
}

// `dense=[]`, `dense=false` or `dense=N` keeps none or the first N projections; `dense_activation=false` takes their
// activation away.
void OverrideDense(const SpecOptions& options, ModelSpec* spec) {
  if (const json::value* value = options.overrides.Use("dense_activation"); value != nullptr) {
    for (ModuleSpec& module : spec->modules) {
      if (module.type == "Dense") SetConfigValue(&module, "activation_function", "torch.nn.modules.linear.Identity");
    }
    spec->settings.Record("dense_activation", *value, OverrideSource("dense_activation", *value));
  }
  const json::value* value = options.overrides.Use("dense");
  if (value == nullptr) return;
  const bool none = (value->is_array() && value->get_array().empty()) || (value->is_bool() && !value->get_bool());
  if (!none && !(value->is_int64() && value->get_int64() >= 0)) {
    spec->Refuse("override dense", "--override", "only [], false or how many projections to keep can be asked for");
    return;
  }
  int64_t kept = none ? 0 : value->get_int64();
  std::erase_if(spec->modules, [&](const ModuleSpec& m) { return m.type == "Dense" && kept-- <= 0; });
  if (none) {
    spec->settings.Record("dense", json::array(), OverrideSource("dense", *value));
  }
}

void OverridePrompts(const SpecOptions& options, ModelSpec* spec) {
  if (const json::value* value = options.overrides.Use("prompts"); value != nullptr) {
    const JsonRef ref(value, "--override", "prompts");
    if (!value->is_object()) {
      spec->Refuse("override prompts", "--override", "expected an object of name: text");
    } else {
      spec->prompts.clear();
      for (const std::string& name : ref.Keys()) {
        if (const auto text = ref[name].String(); text.ok()) spec->prompts[name] = text.value();
      }
      spec->settings.Record("prompts", *value, OverrideSource("prompts", *value));
      spec->prompts.try_emplace("query", "");
      spec->prompts.try_emplace("document", "");
    }
  }
  if (const json::value* value = options.overrides.Use("default_prompt_name"); value != nullptr) {
    spec->default_prompt_name = value->is_string() ? std::string(value->get_string()) : "";
    spec->settings.Record("default_prompt_name", *value, OverrideSource("default_prompt_name", *value));
  }
}

void OverrideOutput(const SpecOptions& options, ModelSpec* spec) {
  if (const json::value* value = options.overrides.Use("truncate_dim"); value != nullptr) {
    if (value->is_int64() && value->get_int64() > 0) {
      spec->truncate_dim = value->get_int64();
    } else if (value->is_null()) {
      spec->truncate_dim.reset();
    } else {
      spec->Refuse("override truncate_dim", "--override", "expected a positive integer, got " + WriteJson(*value));
    }
    spec->settings.Record("truncate_dim", *value, OverrideSource("truncate_dim", *value));
  }
  if (const json::value* value = options.overrides.Use("similarity"); value != nullptr) {
    const std::string_view name = value->is_string() ? std::string_view(value->get_string()) : "";
    const bool tokens = spec->as == "multi-vector";
    const std::vector<std::string_view> known =
        tokens ? std::vector<std::string_view>{"maxsim", "meanmaxsim"}
               : std::vector<std::string_view>{"cosine", "dot", "euclidean", "manhattan"};
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      spec->Refuse("override similarity", "--override",
                   std::string("expected ") +
                       (tokens ? "maxsim or meanmaxsim" : "cosine, dot, euclidean or manhattan") + ", got " +
                       WriteJson(*value));
      return;
    }
    const Setting old = *spec->settings.Find("similarity");
    spec->similarity = std::string(name);
    spec->settings.Record("similarity", *value, OverrideSource("similarity", *value));
    spec->settings.AddConflict("similarity", old.value, old.source);
  }
}

SettingSource ModuleSource(const ModuleSpec& module, const std::string& key) {
  if (module.config_file.empty() || key.empty()) {
    return SettingSource::Default(std::string(kReferenceName) + " " + module.type);
  }
  return SettingSource::File(module.config_file, key);
}

void RecordPooling(ModelSpec* spec) {
  const ModuleSpec* pooling = FindModule(spec, "Pooling");
  if (pooling == nullptr) return;
  std::string key;
  const Result<std::vector<std::string>> modes = PoolingModes(pooling->Config(), &key);
  if (!modes.ok()) return;  // the module's loader refuses it
  if (spec->settings.Find("pooling") == nullptr) {
    spec->settings.Record("pooling", modes->size() == 1 ? json::value(modes->front()) : json::value_from(modes.value()),
                          ModuleSource(*pooling, key));
  }
  if (spec->settings.Find("include_prompt") == nullptr) {
    const JsonRef include = pooling->Config()["include_prompt"];
    spec->settings.Record("include_prompt", include.is_bool() ? include.value() : json::value(true),
                          ModuleSource(*pooling, include.is_bool() ? "include_prompt" : ""));
  }
}

void RecordDense(ModelSpec* spec) {
  json::array list;
  for (const ModuleSpec& module : spec->modules) {
    if (module.type == "Dense") list.push_back(*module.config);
  }
  if (list.empty() || spec->settings.Find("dense") != nullptr) return;
  spec->settings.Record("dense", list, SettingSource::File(FindModule(spec, "Dense")->config_file, ""));
}

// Whether vectors (token vectors of multi-vector models) leave with unit length, and the entry that says so.
void RecordNormalize(ModelSpec* spec) {
  if (spec->settings.Find("normalize") != nullptr || spec->as == "cross-encoder") return;
  SettingSource source = spec->has_modules_json ? SettingSource::File("modules.json", "")
                                                : SettingSource::Default(std::string(kReferenceName));
  bool has = false;
  for (size_t i = 0; i < spec->modules.size(); ++i) {
    const ModuleSpec& module = spec->modules[i];
    if (!IsOutputNormalize(*spec, module)) continue;
    has = true;
    if (module.config_file.empty() && module.path.empty()) continue;  // put there by the reference's rules
    source = SettingSource::File("modules.json", "[" + std::to_string(i) + "].type");
  }
  spec->settings.Record("normalize", json::value(has), source);
}

}  // namespace

void ApplyOverrides(const SpecOptions& options, ModelSpec* spec) {
  OverridePooling(options, spec);
  OverrideNormalize(options, spec);
  OverrideDense(options, spec);
  OverridePrompts(options, spec);
  OverrideOutput(options, spec);
  if (!spec->default_prompt_name.empty() && !spec->prompts.contains(spec->default_prompt_name)) {
    std::string known;
    for (const auto& [name, text] : spec->prompts) known += (known.empty() ? "" : ", ") + name;
    spec->Refuse("default_prompt_name \"" + spec->default_prompt_name + "\"",
                 "config_sentence_transformers.json: default_prompt_name", "not among the prompts: " + known);
  }
}

void RecordModuleSettings(ModelSpec* spec) {
  RecordPooling(spec);
  RecordDense(spec);
  RecordNormalize(spec);
  // What nothing says is said too, so that a reader sees it.
  const SettingSource fallback = SettingSource::Default(std::string(kReferenceName));
  if (spec->settings.Find("default_prompt_name") == nullptr) {
    spec->settings.Record("default_prompt_name", json::value(), fallback);
  }
  if (spec->settings.Find("truncate_dim") == nullptr) spec->settings.Record("truncate_dim", json::value(), fallback);
  if (spec->settings.Find("dense") == nullptr && spec->as != "cross-encoder") {
    spec->settings.Record("dense", json::array(),
                          spec->has_modules_json ? SettingSource::File("modules.json", "") : fallback);
  }
}

}  // namespace truevec
