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
  object["fingerprint"] = report.spec.fingerprint.empty() ? json::value() : json::value(report.spec.fingerprint);
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
  if (!spec.fingerprint.empty()) out += "  fingerprint " + spec.fingerprint + "\n";
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
