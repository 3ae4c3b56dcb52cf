// Settings: every resolved value of a model with the file and key it came from, and the values that lost.
// `inspect`, the fingerprint, verify and the error messages all read from here (DESIGN invariant 3).
#ifndef TRUEVEC_BASE_SETTINGS_H_
#define TRUEVEC_BASE_SETTINGS_H_

#include <boost/json/value.hpp>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace truevec {

struct SettingSource {
  enum class Kind { kFile, kDefault, kOverride };
  Kind kind = Kind::kDefault;
  std::string file;  // kFile: relative to the model directory
  std::string key;   // kFile: dotted JSON key; kDefault: whose default ("sentence-transformers 6.2"); kOverride: text

  static SettingSource File(std::string file, std::string key) {
    return {Kind::kFile, std::move(file), std::move(key)};
  }
  static SettingSource Default(std::string whose) { return {Kind::kDefault, {}, std::move(whose)}; }
  static SettingSource Override(std::string text) { return {Kind::kOverride, {}, std::move(text)}; }
  // "config.json: hidden_act", "default of transformers 5", "--override pooling=cls"
  std::string Describe() const;
  json::value ToJson() const;  // CONTRACT section 10
};

struct SettingConflict {
  json::value value;
  SettingSource source;
};

struct Setting {
  std::string key;
  json::value value;
  SettingSource source;
  std::vector<SettingConflict> conflicts;
};

// In the order recorded. A second record of the same key replaces value and source and keeps conflicts.
class Settings {
 public:
  void Record(std::string key, json::value value, SettingSource source);
  void AddConflict(std::string_view key, json::value value, SettingSource source);
  const Setting* Find(std::string_view key) const;
  const std::vector<Setting>& all() const { return settings_; }

 private:
  std::vector<Setting> settings_;
};

// `--override KEY=VALUE`: VALUE is JSON when it parses as JSON, otherwise a string. Each use is noted, so that an
// override that nothing read can be refused.
class Overrides {
 public:
  static Result<Overrides> Parse(const std::vector<std::string>& key_equals_value);
  void Set(std::string key, json::value value) { values_[std::move(key)] = std::move(value); }
  // The value or nullptr; marks it used.
  const json::value* Use(std::string_view key) const;
  bool empty() const { return values_.empty(); }
  const std::map<std::string, json::value, std::less<>>& values() const { return values_; }
  std::vector<std::string> Unused() const;
  std::vector<std::string> Used() const;

 private:
  std::map<std::string, json::value, std::less<>> values_;
  mutable std::map<std::string, bool, std::less<>> used_;
};

}  // namespace truevec

#endif  // TRUEVEC_BASE_SETTINGS_H_
