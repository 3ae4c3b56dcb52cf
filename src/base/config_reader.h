// ConfigReader: reads one JSON config object (config.json, a module's config) so that nothing is guessed or skipped.
//
// Each read tries the overrides, then the names in order (aliases of config generations), then the default; it
// records the value with its source in Settings and marks the names as read. What is left in UnreadKeys() must be
// known to be harmless by name, or the model is refused (DESIGN invariant 1).
#ifndef TRUEVEC_BASE_CONFIG_READER_H_
#define TRUEVEC_BASE_CONFIG_READER_H_

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/settings.h"
#include "base/status.h"

namespace truevec {

class ConfigReader {
 public:
  using Names = std::vector<std::string_view>;  // first is the canonical name

  // `overrides` may be null. `default_source` names whose defaults apply, e.g. "transformers 5 BertConfig".
  // All pointers are borrowed and must outlive the reader. `settings` may be null.
  ConfigReader(JsonRef object, const Overrides* overrides, Settings* settings, std::string default_source);

  // Reads; `fallback` empty means the key is required. A JSON null counts as missing for reads with a fallback.
  Result<int64_t> Int(const Names& names, std::optional<int64_t> fallback = std::nullopt);
  Result<double> Double(const Names& names, std::optional<double> fallback = std::nullopt);
  Result<bool> Bool(const Names& names, std::optional<bool> fallback = std::nullopt);
  Result<std::string> String(const Names& names, std::optional<std::string> fallback = std::nullopt);
  // The raw value (not present() when missing and not overridden); records it when present.
  JsonRef Raw(const Names& names);
  // Like Int/String, and the value must be in [minimum, maximum] / one of `allowed`.
  Result<int64_t> IntIn(const Names& names, int64_t minimum, int64_t maximum,
                        std::optional<int64_t> fallback = std::nullopt);
  Result<std::string> OneOf(const Names& names, const std::vector<std::string_view>& allowed,
                            std::optional<std::string> fallback = std::nullopt);
  // The value that the reader demands where only one is implemented; anything else is refused by name.
  Status RequireBool(const Names& names, bool value);  // missing is fine

  bool Has(std::string_view name) const;
  // Marks keys as read without using them: training-only or bookkeeping keys.
  void Ignore(const Names& names);
  std::vector<std::string> UnreadKeys() const;
  const JsonRef& object() const { return object_; }
  Settings* settings() const { return settings_; }
  const Overrides* overrides() const { return overrides_; }
  const std::string& default_source() const { return default_source_; }
  // "<file>: <key>: <problem>" as a refusal.
  Status Refuse(std::string_view key, std::string_view problem) const;

 private:
  // The effective value and where it came from; not present() when only the fallback is left.
  JsonRef Lookup(const Names& names, SettingSource* source);
  JsonRef object_;
  const Overrides* overrides_;
  Settings* settings_;
  std::string default_source_;
  std::set<std::string, std::less<>> read_;
};

}  // namespace truevec

#endif  // TRUEVEC_BASE_CONFIG_READER_H_
