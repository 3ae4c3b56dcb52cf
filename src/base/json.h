// JSON reading in which every value knows where it came from.
//
// JsonFile owns a parsed document (Boost.JSON values, but numbers read exactly by std::from_chars: Boost 1.81 rounds
// doubles wrongly in the last place). JsonRef is a borrowed cursor (file, dotted key, value) whose typed getters
// return errors that name file, key, expected and got.
#ifndef TRUEVEC_BASE_JSON_H_
#define TRUEVEC_BASE_JSON_H_

#include <boost/json/value.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace truevec {

namespace json = boost::json;

struct JsonParseLimits {
  int max_depth = 64;
  size_t max_bytes = size_t{1} << 30;
};

// Parses `text`; duplicate keys keep the last value (as Python's json does), numbers are correctly rounded.
Result<json::value> ParseJson(std::string_view text, std::string_view label, const JsonParseLimits& limits = {});

// A cursor into a JSON document. Borrows: the document must outlive it. `file` is for messages and settings.
class JsonRef {
 public:
  JsonRef() = default;
  JsonRef(const json::value* value, std::string file, std::string key = "")
      : value_(value), file_(std::move(file)), key_(std::move(key)) {}

  bool present() const { return value_ != nullptr; }
  bool is_null() const { return value_ != nullptr && value_->is_null(); }
  const json::value& value() const { return *value_; }
  const std::string& file() const { return file_; }
  // Dotted key inside the file ("pooling.mode", "modules[1].path"); empty at the root.
  const std::string& key() const { return key_; }
  // "config.json: hidden_size"
  std::string Where() const;

  bool is_object() const { return value_ != nullptr && value_->is_object(); }
  bool is_array() const { return value_ != nullptr && value_->is_array(); }
  bool is_string() const { return value_ != nullptr && value_->is_string(); }
  bool is_bool() const { return value_ != nullptr && value_->is_bool(); }
  bool is_number() const { return value_ != nullptr && value_->is_number(); }

  // The member or element; not present() when there is none (or this is no object/array).
  JsonRef operator[](std::string_view name) const;
  JsonRef At(size_t index) const;
  size_t size() const;  // elements or members; 0 for scalars
  std::vector<std::string> Keys() const;

  // Typed reads. A missing value or another type is an error naming file and key.
  Result<int64_t> Int() const;
  Result<double> Double() const;  // accepts integers
  Result<bool> Bool() const;
  Result<std::string> String() const;
  Result<std::vector<JsonRef>> Array() const;
  Status ExpectObject() const;
  // The error "<file>: <key>: expected <expected>, got <this value>".
  Status TypeError(std::string_view expected) const;

 private:
  const json::value* value_ = nullptr;
  std::string file_;
  std::string key_;
};

// A parsed file that owns its document. `name` is how messages and settings call it (relative to the model folder).
class JsonFile {
 public:
  static Result<JsonFile> Load(const std::string& path, std::string name, Code error_code = Code::kModelRefused);
  static Result<JsonFile> Parse(std::string_view text, std::string name, Code error_code = Code::kModelRefused);
  JsonRef root() const { return {document_.get(), name_}; }
  const std::string& name() const { return name_; }

 private:
  JsonFile(std::unique_ptr<json::value> document, std::string name)
      : document_(std::move(document)), name_(std::move(name)) {}
  std::unique_ptr<json::value> document_;
  std::string name_;
};

// One line, keys in document order, doubles shortest round-trip (an integral double keeps its ".0"), non-ASCII kept.
std::string WriteJson(const json::value& value);
// The same with two-space indentation.
std::string WriteJsonPretty(const json::value& value);
// Appends the shortest decimal that reads back as the same float/double; NaN and infinities become null.
void AppendFloat(std::string* out, float value);
void AppendDouble(std::string* out, double value);

}  // namespace truevec

#endif  // TRUEVEC_BASE_JSON_H_
