#include "base/config_reader.h"

#include <algorithm>

namespace truevec {

ConfigReader::ConfigReader(JsonRef object, const Overrides* overrides, Settings* settings, std::string default_source)
    : object_(std::move(object)),
      overrides_(overrides),
      settings_(settings),
      default_source_(std::move(default_source)) {}

JsonRef ConfigReader::Lookup(const Names& names, SettingSource* source) {
  JsonRef found;
  for (const std::string_view name : names) {
    read_.emplace(name);
    const JsonRef candidate = object_[name];
    if (!found.present() && candidate.present()) {
      found = candidate;
      *source = SettingSource::File(candidate.file(), candidate.key());
    }
  }
  if (overrides_ != nullptr) {
    for (const std::string_view name : names) {
      const json::value* value = overrides_->Use(name);
      if (value == nullptr) continue;
      *source = SettingSource::Override(std::string(name) + "=" + WriteJson(*value));
      return {value, "--override", std::string(name)};
    }
  }
  return found;
}

namespace {

// One typed read: `read` turns a present JsonRef into Result<T>.
template <typename T, typename Read>
Result<T> ReadOr(const JsonRef& ref, SettingSource source, std::optional<T> fallback, const std::string& name,
                 const std::string& default_source, Settings* settings, Read read) {
  const bool missing = !ref.present() || (ref.is_null() && fallback.has_value());
  if (missing && !fallback.has_value()) return ref.TypeError("a value");
  if (missing) {
    if (settings != nullptr) settings->Record(name, json::value(*fallback), SettingSource::Default(default_source));
    return std::move(*fallback);
  }
  Result<T> value = read(ref);
  if (value.ok() && settings != nullptr) settings->Record(name, json::value(*value), std::move(source));
  return value;
}

}  // namespace

#define TV_CONFIG_READ(Type, Getter, otherwise)                                                                  \
  SettingSource source;                                                                                          \
  JsonRef ref = Lookup(names, &source);                                                                          \
  if (!ref.present()) ref = object_[names.front()];                                                              \
  return ReadOr<Type>(ref, std::move(source), otherwise, std::string(names.front()), default_source_, settings_, \
                      [](const JsonRef& r) { return r.Getter(); })

Result<int64_t> ConfigReader::Int(const Names& names, std::optional<int64_t> fallback) {
  TV_CONFIG_READ(int64_t, Int, fallback);
}
Result<double> ConfigReader::Double(const Names& names, std::optional<double> fallback) {
  TV_CONFIG_READ(double, Double, fallback);
}
Result<bool> ConfigReader::Bool(const Names& names, std::optional<bool> fallback) {
  TV_CONFIG_READ(bool, Bool, fallback);
}
Result<std::string> ConfigReader::String(const Names& names, std::optional<std::string> fallback) {
  TV_CONFIG_READ(std::string, String, std::move(fallback));
}
#undef TV_CONFIG_READ

JsonRef ConfigReader::Raw(const Names& names) {
  SettingSource source;
  JsonRef ref = Lookup(names, &source);
  if (ref.present() && settings_ != nullptr) {
    settings_->Record(std::string(names.front()), ref.value(), std::move(source));
  }
  return ref;
}

Result<int64_t> ConfigReader::IntIn(const Names& names, int64_t minimum, int64_t maximum,
                                    std::optional<int64_t> fallback) {
  TV_ASSIGN_OR_RETURN(const int64_t value, Int(names, fallback));
  if (value < minimum || value > maximum) {
    return Refuse(names.front(), "expected an integer in [" + std::to_string(minimum) + ", " + std::to_string(maximum) +
                                     "], got " + std::to_string(value));
  }
  return value;
}

Result<std::string> ConfigReader::OneOf(const Names& names, const std::vector<std::string_view>& allowed,
                                        std::optional<std::string> fallback) {
  TV_ASSIGN_OR_RETURN(std::string value, String(names, std::move(fallback)));
  if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return value;
  std::string list;
  for (const std::string_view name : allowed) list += (list.empty() ? "" : ", ") + std::string(name);
  return Refuse(names.front(), "\"" + value + "\" is not supported; expected one of: " + list);
}

Status ConfigReader::RequireBool(const Names& names, bool value) {
  TV_ASSIGN_OR_RETURN(const bool actual, Bool(names, value));
  if (actual == value) return Status::Ok();
  return Refuse(names.front(), std::string("only ") + (value ? "true" : "false") + " is supported");
}

bool ConfigReader::Has(std::string_view name) const { return object_[name].present(); }

void ConfigReader::Ignore(const Names& names) {
  for (const std::string_view name : names) read_.emplace(name);
}

std::vector<std::string> ConfigReader::UnreadKeys() const {
  std::vector<std::string> unread;
  for (std::string& key : object_.Keys()) {
    if (!read_.contains(key)) unread.push_back(std::move(key));
  }
  return unread;
}

Status ConfigReader::Refuse(std::string_view key, std::string_view problem) const {
  return ModelError(object_[key].Where() + ": " + std::string(problem));
}

}  // namespace truevec
