// ResolveModelSpec: reads the JSON files of a model directory in the order of sentence_transformers 6.2
// base/model.py (_load_modules, _get_model_type, _parse_model_config).
#include "spec/resolve.h"

#include <algorithm>
#include <array>

#include "base/file.h"

namespace truevec {
namespace {

constexpr std::string_view kSentenceConfig = "config_sentence_transformers.json";

struct ModelType {
  std::string_view model_type;
  std::string_view as;
};
constexpr std::array<ModelType, 5> kModelTypes = {{
    {"SentenceTransformer", "dense"},
    {"SparseEncoder", "sparse"},
    {"CrossEncoder", "cross-encoder"},
    {"MultiVectorEncoder", "multi-vector"},
    {"ColBERT", "multi-vector"},  // PyLate
}};

// An optional JSON file: not present() when there is none; a broken one is a refusal.
struct OptionalJson {
  std::optional<JsonFile> file;
  JsonRef root() const { return file.has_value() ? file->root() : JsonRef(); }
};

OptionalJson ReadOptional(const ModelDirectory& directory, const std::string& name, ModelSpec* spec) {
  OptionalJson result;
  if (!directory.Has(name)) return result;
  Result<JsonFile> file = directory.Json(name);
  if (!file.ok()) {
    spec->Refuse("unreadable file", name, file.status().message());
    return result;
  }
  result.file.emplace(std::move(file).value());
  return result;
}

std::vector<std::string> Architectures(const JsonRef& config) {
  std::vector<std::string> names;
  for (size_t i = 0; i < config["architectures"].size(); ++i) {
    if (const auto name = config["architectures"].At(i).String(); name.ok()) names.push_back(name.value());
  }
  return names;
}

bool AnyEndsWith(const std::vector<std::string>& names, std::string_view end) {
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) { return name.ends_with(end); });
}

// What a directory without modules.json is, when the caller does not say.
std::string GuessAs(const JsonRef& config, SettingSource* source) {
  const std::vector<std::string> names = Architectures(config);
  *source = SettingSource::File("config.json", "architectures");
  if (std::find(names.begin(), names.end(), "HF_ColBERT") != names.end()) return "multi-vector";
  if (AnyEndsWith(names, "ForSequenceClassification")) return "cross-encoder";
  *source = SettingSource::Default(std::string(kReferenceName));
  return "dense";
}

const ModelType* FindModelType(std::string_view name) {
  const auto* row =
      std::find_if(kModelTypes.begin(), kModelTypes.end(), [&](const ModelType& t) { return t.model_type == name; });
  return row == kModelTypes.end() ? nullptr : row;
}

// config_sentence_transformers.json's model_type; SentenceTransformer for a modules.json that does not say.
const ModelType* StatedType(const JsonRef& sentence_config, SettingSource* source, ModelSpec* spec) {
  std::string stated = "SentenceTransformer";
  if (const JsonRef value = sentence_config["model_type"]; value.present() && !value.is_null()) {
    stated = value.is_string() ? value.String().value() : WriteJson(value.value());
    *source = SettingSource::File(value.file(), value.key());
  }
  const ModelType* row = FindModelType(stated);
  if (row == nullptr) {
    spec->Refuse("model_type \"" + stated + "\"", std::string(kSentenceConfig) + ": model_type",
                 "expected SentenceTransformer, SparseEncoder, CrossEncoder or MultiVectorEncoder");
  }
  return row;
}

// Fills spec->as and model_type. Returns the type that the directory was saved as, null when it has no modules.json.
const ModelType* ResolveModelType(const JsonRef& sentence_config, const JsonRef& config, const SpecOptions& options,
                                  ModelSpec* spec) {
  SettingSource source = SettingSource::Default(std::string(kReferenceName));
  const ModelType* stated = nullptr;
  if (spec->has_modules_json) {
    stated = StatedType(sentence_config, &source, spec);
    if (stated == nullptr) return nullptr;
    spec->as = stated->as;
  } else if (options.as.empty() && options.default_as.empty()) {
    spec->as = GuessAs(config, &source);
  } else if (options.as.empty()) {
    spec->as = options.default_as;
  }
  const json::value own = json::value(spec->as);
  const SettingSource own_source = source;
  if (!options.as.empty() && options.as != spec->as) {
    spec->as = options.as;
    source = SettingSource::Override("as=" + options.as);
  }
  for (const ModelType& row : kModelTypes) {
    if (row.as == spec->as && spec->model_type.empty()) spec->model_type = row.model_type;
  }
  spec->settings.Record("as", json::value(spec->as), source);
  if (stated != nullptr && spec->as != stated->as) spec->settings.AddConflict("as", own, own_source);
  return stated;
}

// A directory saved as another class. Reference: _load_converted_modules of the classes.
void Convert(const ModelDirectory& directory, const ModelType& stated, const JsonRef& sentence, const JsonRef& modules,
             const JsonRef& config, ModelSpec* spec) {
  const bool from_dense = stated.model_type == "SentenceTransformer";
  spec->warnings.push_back("saved as " + std::string(stated.model_type) + ", loaded as " + spec->model_type +
                           ": converted as the reference does");
  if (from_dense && spec->as == "sparse") {
    spec->Refuse("sparse model", "modules.json",
                 "saved as a dense model: the reference would add a SparseAutoEncoder with random weights");
  } else if (from_dense && spec->as == "multi-vector") {
    ReadSentenceTransformersConfig(sentence, spec);
    const LegacyMultiVector legacy = ReadLegacyMultiVector(sentence, spec);
    ReadModules(directory, modules, spec);
    ConvertToMultiVector(legacy, spec);
  } else {
    // The saved prompts described other modules: they are dropped.
    ReadSentenceTransformersConfig(JsonRef(), spec);
    DefaultModules(directory, config, spec);
  }
}

void ReadSaved(const ModelDirectory& directory, const ModelType& stated, const JsonRef& sentence,
               const JsonRef& modules, ModelSpec* spec) {
  ReadSentenceTransformersConfig(sentence, spec);
  LegacyMultiVector legacy;
  if (spec->as == "multi-vector") legacy = ReadLegacyMultiVector(sentence, spec);
  ReadModules(directory, modules, spec);
  if (spec->as == "multi-vector") ApplyLegacyMultiVector(legacy, stated.model_type == "ColBERT", spec);
}

void WarnAboutVersion(const JsonRef& sentence_config, ModelSpec* spec) {
  const JsonRef version = sentence_config["__version__"]["sentence_transformers"];
  if (!version.is_string()) return;
  const std::string text = version.String().value();
  const int major = std::atoi(text.c_str());
  if (major > 6) {
    spec->warnings.push_back(version.Where() + ": saved by sentence-transformers " + text + ", newer than " +
                             std::string(kReferenceName));
  }
}

}  // namespace

Status ModelSpec::RefusalStatus() const {
  if (refusals.empty()) return Status::Ok();
  std::string text;
  for (const Refusal& refusal : refusals) {
    if (!text.empty()) text += '\n';
    // A `why` that comes from a reader already names file and key.
    if (!refusal.where.empty() && !refusal.why.starts_with(refusal.where)) text += refusal.where + ": ";
    text += refusal.why.find(refusal.what) != std::string::npos || refusal.what.empty()
                ? refusal.why
                : refusal.what + ": " + refusal.why;
  }
  return ModelError(std::move(text));
}

Result<ModelSpec> ResolveModelSpec(const std::string& path, const SpecOptions& given) {
  SpecOptions options = given;
  if (const json::value* as = given.overrides.Use("as"); as != nullptr) {
    options.as = as->is_string() ? std::string(as->get_string()) : WriteJson(*as);
  }
  TV_ASSIGN_OR_RETURN(const ModelDirectory directory, ModelDirectory::Open(path));
  ModelSpec spec;
  spec.directory = directory.root();
  if (const Status links = directory.CheckLinks(); !links.ok()) spec.Refuse("symbolic link", "", links.message());
  for (const std::string& as : {options.as, options.default_as}) {
    const bool known =
        std::any_of(kModelTypes.begin(), kModelTypes.end(), [&](const ModelType& t) { return t.as == as; });
    if (!as.empty() && !known) {
      return UsageError("--as " + as + ": expected dense, sparse, cross-encoder or multi-vector");
    }
  }
  spec.has_modules_json = directory.Has("modules.json");
  const OptionalJson modules = ReadOptional(directory, "modules.json", &spec);
  const OptionalJson sentence = ReadOptional(directory, std::string(kSentenceConfig), &spec);
  const OptionalJson config = ReadOptional(directory, "config.json", &spec);
  if (!spec.has_modules_json && !directory.Has("config.json")) {
    spec.Refuse("not a model directory", spec.directory, "neither modules.json nor config.json is there");
    return spec;
  }
  if (!spec.refusals.empty()) return spec;
  const ModelType* stated = ResolveModelType(sentence.root(), config.root(), options, &spec);
  if (!spec.refusals.empty()) return spec;
  WarnAboutVersion(sentence.root(), &spec);
  if (stated == nullptr) {
    ReadSentenceTransformersConfig(JsonRef(), &spec);
    DefaultModules(directory, config.root(), &spec);
  } else if (stated->as == spec.as) {
    ReadSaved(directory, *stated, sentence.root(), modules.root(), &spec);
  } else {
    Convert(directory, *stated, sentence.root(), modules.root(), config.root(), &spec);
  }
  ApplyOverrides(given, &spec);
  RecordModuleSettings(&spec);
  return spec;
}

}  // namespace truevec
