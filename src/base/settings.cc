#include "base/settings.h"

namespace truevec {

std::string SettingSource::Describe() const {
  switch (kind) {
    case Kind::kFile:
      return key.empty() ? file : file + ": " + key;
    case Kind::kDefault:
      return "default of " + key;
    case Kind::kOverride:
      return "--override " + key;
  }
  return {};
}

json::value SettingSource::ToJson() const {
  json::object object;
  switch (kind) {
    case Kind::kFile:
      object["file"] = file;
      object["key"] = key;
      break;
    case Kind::kDefault:
      object["default"] = key;
      break;
    case Kind::kOverride:
      object["override"] = key;
      break;
  }
  return object;
}

void Settings::Record(std::string key, json::value value, SettingSource source) {
  for (Setting& setting : settings_) {
    if (setting.key == key) {
      setting.value = std::move(value);
      setting.source = std::move(source);
      return;
    }
  }
  settings_.push_back({std::move(key), std::move(value), std::move(source), {}});
}

void Settings::AddConflict(std::string_view key, json::value value, SettingSource source) {
  for (Setting& setting : settings_) {
    if (setting.key != key) continue;
    setting.conflicts.push_back({std::move(value), std::move(source)});
    return;  // keys are unique
  }
}

const Setting* Settings::Find(std::string_view key) const {
  for (const Setting& setting : settings_) {
    if (setting.key == key) return &setting;
  }
  return nullptr;
}

Result<Overrides> Overrides::Parse(const std::vector<std::string>& key_equals_value) {
  Overrides overrides;
  for (const std::string& text : key_equals_value) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      return UsageError("--override " + text + ": expected KEY=VALUE");
    }
    const std::string value_text = text.substr(equals + 1);
    auto parsed = ParseJson(value_text, "--override");
    overrides.Set(text.substr(0, equals), parsed.ok() ? std::move(parsed).value() : json::value(value_text));
  }
  return overrides;
}

const json::value* Overrides::Use(std::string_view key) const {
  const auto found = values_.find(key);
  if (found == values_.end()) return nullptr;
  used_[found->first] = true;
  return &found->second;
}

std::vector<std::string> Overrides::Unused() const {
  std::vector<std::string> unused;
  for (const auto& [key, value] : values_) {
    if (!used_.contains(key)) unused.push_back(key);
  }
  return unused;
}

std::vector<std::string> Overrides::Used() const {
  std::vector<std::string> used;
  for (const auto& [key, value] : used_) used.push_back(key);
  return used;
}

}  // namespace truevec
