#include "pipeline/inspect.h"

#include <algorithm>
#include <array>

#include "base/file.h"
#include "tokenizer/raw_file.h"

namespace truevec {
namespace {

// Settings that a reader looks for first, in this order; the rest follow as recorded.
constexpr std::array<std::string_view, 24> kFirst = {
    "as",           "architecture",   "attention",           "max_length",    "pooling",        "include_prompt",
    "dense",        "normalize",      "lowercase",           "strip_accents", "special_tokens", "truncation_side",
    "activation",   "layer_norm_eps", "position_offset",     "rope_theta",    "rope_scaling",   "sliding_window",
    "stored_dtype", "prompts",        "default_prompt_name", "truncate_dim",  "similarity",     "activation_fn"};
constexpr size_t kMaxListed = 20;
constexpr size_t kValueWidth = 44;

std::vector<const Setting*> Ordered(const Settings& settings) {
  std::vector<const Setting*> list;
  for (const std::string_view key : kFirst) {
    if (const Setting* setting = settings.Find(key); setting != nullptr) list.push_back(setting);
  }
  for (const Setting& setting : settings.all()) {
    if (std::find(kFirst.begin(), kFirst.end(), setting.key) == kFirst.end()) list.push_back(&setting);
  }
  return list;
}

json::array Strings(const std::vector<std::string>& list) {
  json::array array;
  for (const std::string& item : list) array.push_back(json::value(item));
  return array;
}

json::object SettingToJson(const Setting& setting) {
  json::array conflicts;
  for (const SettingConflict& conflict : setting.conflicts) {
    conflicts.push_back(json::object{{"value", conflict.value}, {"source", conflict.source.ToJson()}});
  }
  return {
      {"key", setting.key}, {"value", setting.value}, {"source", setting.source.ToJson()}, {"conflicts", conflicts}};
}

// Keeps table rows on one line.
std::string Short(const json::value& value, size_t width) {
  std::string text = WriteJson(value);
  if (text.size() <= width) return text;
  size_t cut = width - 3;
  while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) --cut;  // not inside a character
  return text.substr(0, cut) + "...";
}

std::string Padded(std::string text, size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

void AppendList(std::string_view title, const std::vector<std::string>& list, std::string* out) {
  if (list.empty()) return;
  *out += "\n" + std::string(title) + "\n";
  for (size_t i = 0; i < std::min(list.size(), kMaxListed); ++i) *out += "  " + list[i] + "\n";
  if (list.size() > kMaxListed) *out += "  ... and " + std::to_string(list.size() - kMaxListed) + " more\n";
}

void AppendPrompts(const ModelSpec& spec, std::string* out) {
  std::vector<std::string> lines;
  for (const auto& [name, text] : spec.prompts) {
    if (text.empty()) continue;
    lines.push_back(Padded(name, 16) + WriteJson(json::value(text)) +
                    (name == spec.default_prompt_name ? "  (default)" : ""));
  }
  AppendList("prompts", lines, out);
}

// The tensor that a refusal says is missing.
void CollectMissing(LoadReport* report) {
  for (const Refusal& refusal : report->spec.refusals) {
    const size_t at = refusal.why.find("tensor ");
    const size_t end = refusal.why.find(" is missing");
    if (at != std::string::npos && end != std::string::npos && at + 7 < end) {
      report->missing_tensors.push_back(refusal.why.substr(at + 7, end - at - 7));
    }
  }
}

// Engines that read tokenizer.json alone may feed the model other ids: says so, with an example.
Status FlagRawTokenizer(const Pipeline& pipeline, LoadReport* report) {
  if (!pipeline.has_tokenizer()) return Status::Ok();
  const auto transformer = std::find_if(report->spec.modules.begin(), report->spec.modules.end(),
                                        [](const ModuleSpec& module) { return module.type == "Transformer"; });
  if (transformer == report->spec.modules.end()) return Status::Ok();
  const std::string folder = transformer->path.empty() ? "" : "/" + transformer->path;
  const std::string path = report->spec.directory + folder + "/tokenizer.json";
  if (!FileExists(path)) return Status::Ok();
  TV_ASSIGN_OR_RETURN(const auto difference, CompareWithRawFile(pipeline.tokenizer(), path));
  json::object value = {{"same_ids", !difference.has_value()}};
  if (difference) {
    value["text"] = difference->text;
    value["ids"] = json::array(difference->ids.begin(), difference->ids.end());
    value["raw_ids"] = json::array(difference->raw.begin(), difference->raw.end());
    if (!difference->error.empty()) value["error"] = difference->error;
    const std::string example = difference->error.empty()
                                    ? "for " + WriteJson(json::value(difference->text)) + " " +
                                          WriteJson(value["raw_ids"]) + " instead of " + WriteJson(value["ids"])
                                    : "it is refused: " + difference->error;
    report->spec.warnings.push_back(
        "tokenizer.json alone, as transformers 4, TEI and other engines read it, gives other ids than AutoTokenizer "
        "of transformers 5: " +
        example);
  }
  report->spec.settings.Record("raw_tokenizer_json", std::move(value), SettingSource::File("tokenizer.json", ""));
  return Status::Ok();
}

bool Says(const Settings& settings, std::string_view key, const json::value& value) {
  const Setting* setting = settings.Find(key);
  return setting != nullptr && setting->value == value;
}

bool HasModule(const ModelSpec& spec, std::string_view type) {
  return std::any_of(spec.modules.begin(), spec.modules.end(), [&](const ModuleSpec& m) { return m.type == type; });
}

// What has made other engines, or the reference itself, give other vectors for such models; each row one incident.
void NoteIncidents(ModelSpec* spec) {
  const Settings& settings = spec->settings;
  const auto note = [&](std::string text) { spec->warnings.push_back(std::move(text)); };
  for (const char* dtype : {"BF16", "F16"}) {
    if (!Says(settings, "stored_dtype", dtype)) continue;
    note(std::string("stored as ") + dtype +
         ": Sentence Transformers 6 computes such a checkpoint in that type unless it is loaded with dtype float32; "
         "truevec computes in float32, so compare with a reference loaded in float32");
  }
  const bool prompts =
      std::any_of(spec->prompts.begin(), spec->prompts.end(), [](const auto& p) { return !p.second.empty(); });
  if (prompts && spec->default_prompt_name.empty()) {
    note("the model has prompts, and none is applied unless it is asked for (--prompt-name, --task)");
  }
  if (!spec->default_prompt_name.empty()) {
    note("default_prompt_name: every text gets the prompt \"" + spec->default_prompt_name +
         "\" unless another is asked for");
  }
  if (spec->truncate_dim.has_value() && Says(settings, "normalize", true)) {
    note(
        "truncate_dim cuts after Normalize, so the vectors are not of unit length (as in the reference); --normalize "
        "makes them so");
  }
  if (HasModule(*spec, "CNN"))
    note(
        "CNN: the reference's vectors of a text change with the padding of its batch; truevec gives those of the text "
        "alone");
  if (Says(settings, "padding_side", "left") && settings.Find("position_offset") != nullptr) {
    note(
        "padding on the left with learned positions: the reference's vectors of a text change with its batch; truevec "
        "gives those of the text alone");
  }
  if (const Setting* length = settings.Find("max_length"); length != nullptr && !length->conflicts.empty()) {
    std::string losers;
    for (const SettingConflict& c : length->conflicts) {
      losers += (losers.empty() ? "" : ", ") + c.source.Describe() + " " + WriteJson(c.value);
    }
    const bool own = length->source.key == "max_seq_length";
    note("max_length is " + WriteJson(length->value) + " (" + length->source.Describe() + "), not " + losers + ": " +
         (own ? "the module's own length wins outright"
          : length->source.kind == SettingSource::Kind::kOverride
              ? "an override wins"
              : "the smaller of the tokenizer's and the positions' wins"));
  }
}

}  // namespace

bool Supported(const LoadReport& report) { return report.spec.refusals.empty(); }

Result<LoadReport> InspectModel(const std::string& directory, const SpecOptions& options) {
  LoadReport report;
  const auto pipeline = Pipeline::Load(directory, options, &report);
  if (!pipeline.ok() && (pipeline.status().code() != Code::kModelRefused || report.spec.directory.empty())) {
    return pipeline.status();
  }
  if (!pipeline.ok() && report.spec.refusals.empty()) return pipeline.status();
  CollectMissing(&report);
  NoteIncidents(&report.spec);
  if (pipeline.ok()) TV_RETURN_IF_ERROR(FlagRawTokenizer(**pipeline, &report));
  return report;
}

json::object InspectToJson(const LoadReport& report) {
  json::array refusals;
  for (const Refusal& refusal : report.spec.refusals) {
    refusals.push_back(json::object{{"what", refusal.what}, {"where", refusal.where}, {"why", refusal.why}});
  }
  json::array settings;
  for (const Setting* setting : Ordered(report.spec.settings)) settings.push_back(SettingToJson(*setting));
  json::array modules;
  for (const ModuleSpec& module : report.spec.modules) {
    modules.push_back(json::object{{"type", module.type}, {"path", module.path}, {"config", module.config_file}});
  }
  json::object object;
  object["schema"] = "truevec.inspect/1";
  object["supported"] = Supported(report);
  object["refusals"] = refusals;
  object["fingerprint"] =
      report.spec.lazy_fingerprint == nullptr ? json::value() : json::value(report.spec.fingerprint());
  object["architecture"] = report.spec.architecture;
  object["parameters"] = report.parameters;
  object["dimension"] = report.dimension;
  object["max_length"] = report.max_length;
  object["modules"] = modules;
  object["settings"] = settings;
  object["warnings"] = Strings(report.spec.warnings);
  object["tensors"] = json::object{{"used", report.used_tensors.size()},
                                   {"unused", Strings(report.unused_tensors)},
                                   {"missing", Strings(report.missing_tensors)}};
  return object;
}

std::string InspectToText(const LoadReport& report) {
  const ModelSpec& spec = report.spec;
  std::string out = spec.directory + "\n";
  out += std::string("  ") + (Supported(report) ? "supported" : "REFUSED") + " as " + (spec.as.empty() ? "?" : spec.as);
  if (!spec.architecture.empty()) out += ", " + spec.architecture;
  if (Supported(report)) {
    out += ", " + std::to_string(report.parameters) + " parameters, dimension " + std::to_string(report.dimension) +
           ", max length " + (report.max_length > 0 ? std::to_string(report.max_length) : "unlimited");
  }
  out += "\n";
  if (spec.lazy_fingerprint != nullptr) out += "  fingerprint " + spec.fingerprint() + "\n";
  std::vector<std::string> refusals;
  for (const Refusal& refusal : spec.refusals) {
    const bool named = refusal.where.empty() || refusal.why.find(refusal.where) != std::string::npos;
    refusals.push_back((named ? "" : refusal.where + ": ") + refusal.why);
  }
  AppendList("refused because", refusals, &out);
  std::string modules;
  for (const ModuleSpec& module : spec.modules) modules += (modules.empty() ? "" : " -> ") + module.type;
  if (!modules.empty()) out += "\nmodules\n  " + modules + "\n";
  out += "\n" + Padded("setting", 24) + Padded("value", kValueWidth + 2) + "from\n";
  for (const Setting* setting : Ordered(spec.settings)) {
    if (setting->value.is_null() && setting->conflicts.empty()) continue;  // nothing is said, and nothing lost
    out += Padded(setting->key, 24) + Padded(Short(setting->value, kValueWidth), kValueWidth + 2) +
           setting->source.Describe() + "\n";
    for (const SettingConflict& conflict : setting->conflicts) {
      out += Padded("", 24) + Padded("  not " + Short(conflict.value, kValueWidth - 6), kValueWidth + 2) +
             conflict.source.Describe() + "\n";
    }
  }
  AppendPrompts(spec, &out);
  AppendList("warnings", spec.warnings, &out);
  AppendList("tensors that are known and not used", report.unused_tensors, &out);
  AppendList("tensors that are missing", report.missing_tensors, &out);
  return out;
}

}  // namespace truevec
