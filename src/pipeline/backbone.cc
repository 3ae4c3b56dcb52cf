#include "pipeline/backbone.h"

#include <filesystem>

#include "base/file.h"
#include "weights/lora.h"
#include "weights/weight_files.h"

namespace truevec {
namespace {

constexpr std::string_view kAdapterConfig = "adapter_config.json";

// The folder of the base: --override base_model, the name in the adapter's config (a directory, absolute or beside the
// model, or a hub id in the cache), else the adapter's own folder when a whole model lies in it.
Result<std::string> BaseFolder(const JsonRef& adapter, const std::string& folder, const LoadContext& context) {
  Settings* settings = &context.spec->settings;
  std::string name;
  SettingSource source;
  if (const json::value* over = context.options->overrides.Use("base_model"); over != nullptr) {
    if (!over->is_string()) return UsageError("--override base_model: expected a directory or a hub id");
    name = std::string(over->get_string());
    source = SettingSource::Override("base_model=" + name);
  } else {
    TV_ASSIGN_OR_RETURN(name, adapter["base_model_name_or_path"].String());
    source = SettingSource::File(adapter.file(), "base_model_name_or_path");
  }
  settings->Record("base_model", json::value(name), source);
  const std::filesystem::path path(name);
  if (!name.empty() && IsDirectory(name)) return name;
  if (path.is_relative() && !name.empty() && name.find("..") == std::string::npos && IsDirectory(folder + "/" + name)) {
    return folder + "/" + name;
  }
  if (context.options->find_model) {
    if (std::string found = context.options->find_model(name); !found.empty()) return found;
  }
  const bool whole = FileExists(folder + "/config.json") &&
                     (FileExists(folder + "/model.safetensors") || FileExists(folder + "/pytorch_model.bin") ||
                      FileExists(folder + "/model.safetensors.index.json"));
  if (whole) {
    context.spec->warnings.push_back("adapter_config.json: base model \"" + name +
                                     "\" is not there; the weights beside the adapter are taken as the base");
    return folder;
  }
  return ModelError(adapter.file() + ": base_model_name_or_path: \"" + name +
                    "\" is neither a directory nor in the Hugging Face cache; give it with --override base_model=DIR");
}

bool HasTokenizer(const std::string& folder) {
  for (const char* name : {"tokenizer.json", "vocab.txt", "vocab.json", "sentencepiece.bpe.model", "spiece.model",
                           "spm.model", "tokenizer.model"}) {
    if (FileExists(folder + "/" + name)) return true;
  }
  return false;
}

Result<std::shared_ptr<const WeightStore>> Merged(const std::string& base, const std::string& folder,
                                                  const JsonRef& adapter_config, bool leave_out) {
  TV_ASSIGN_OR_RETURN(std::shared_ptr<const WeightStore> weights, OpenWeights(base));
  if (leave_out) return weights;
  const bool safe = FileExists(folder + "/adapter_model.safetensors");
  if (!safe && !FileExists(folder + "/adapter_model.bin")) {
    return ModelError(folder + ": adapter_config.json without adapter_model.safetensors or adapter_model.bin");
  }
  TV_ASSIGN_OR_RETURN(const auto adapter,
                      OpenWeightFile(folder, safe ? "adapter_model.safetensors" : "adapter_model.bin"));
  return MergeLora(std::move(weights), *adapter, adapter_config);
}

}  // namespace

Result<Backbone> OpenBackbone(const ModuleSpec& module, const LoadContext& context) {
  const std::string folder =
      module.path.empty() ? context.directory->root() : context.directory->root() + "/" + module.path;
  const std::string adapter_file = module.FilePath(kAdapterConfig);
  if (!context.directory->Has(adapter_file)) {
    const std::string file = module.FilePath("config.json");
    if (!context.directory->Has(file)) return ModelError(file + ": no such file");
    TV_ASSIGN_OR_RETURN(JsonFile config, context.directory->Json(file));
    auto weights = OpenWeights(folder);
    if (!weights.ok()) return module.path.empty() ? weights.status() : weights.status().WithContext(module.path);
    return Backbone{std::move(config), file, std::move(weights).value(), folder};
  }
  TV_ASSIGN_OR_RETURN(const JsonFile adapter, context.directory->Json(adapter_file));
  TV_RETURN_IF_ERROR(adapter.root().ExpectObject());
  TV_ASSIGN_OR_RETURN(const std::string base, BaseFolder(adapter.root(), folder, context));
  TV_ASSIGN_OR_RETURN(const ModelDirectory base_directory, ModelDirectory::Open(base));
  TV_ASSIGN_OR_RETURN(JsonFile config, base_directory.Json("config.json"));
  if (const JsonRef dora = adapter.root()["use_dora"]; dora.is_bool() && dora.Bool().value()) {
    context.spec->warnings.push_back(adapter_file +
                                     ": use_dora: the vectors are those of PEFT; transformers 5.23 alone leaves the "
                                     "magnitudes of such adapters unread");
  }
  // --override adapter=false: the base alone.
  const json::value* use = context.options->overrides.Use("adapter");
  const bool leave_out = use != nullptr && use->is_bool() && !use->get_bool();
  TV_ASSIGN_OR_RETURN(std::shared_ptr<const WeightStore> weights, Merged(base, folder, adapter.root(), leave_out));
  return Backbone{std::move(config), "config.json", std::move(weights), HasTokenizer(folder) ? folder : base};
}

}  // namespace truevec
