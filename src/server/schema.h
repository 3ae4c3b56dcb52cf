// Request bodies as data: one Schema per route body, read by the checker, by the handlers and by /openapi.json.
// Fields that a schema does not name are ignored, null is as if absent, a wrong type is refused with its JSON path.
#ifndef TRUEVEC_SERVER_SCHEMA_H_
#define TRUEVEC_SERVER_SCHEMA_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "engine/scheduler.h"
#include "server/api_error.h"

namespace truevec {

enum class FieldType {
  kString,
  kBool,
  kInt,
  kNumber,
  kTexts,    // a string or an array of strings
  kStrings,  // an array of strings
  kInputs,   // kTexts, or token ids: an array of integers or of arrays of integers
  kIds,      // an array of integers or an array of arrays of integers
  kObject,   // `object` says of what
  kAny,      // `json_schema` says what the handler takes
};

struct Schema;

struct Field {
  const char* name;
  FieldType type;
  const char* description;
  bool required = false;
  std::vector<const char*> values = {};  // kString, kStrings: the only ones, letter case ignored
  std::optional<int64_t> least = {};     // kInt
  const Schema* object = nullptr;
  const char* json_schema = nullptr;
};

struct Schema {
  const char* name;
  std::vector<Field> fields;
};

// Texts of which every token is shown are short: a token costs a hundred times its bytes.
inline constexpr size_t kMostShownBytes = size_t{1} << 20;
std::optional<ApiError> CheckShown(size_t bytes, const std::string& field);

struct InputLimits {
  size_t max_texts = 2048;
  bool accept_ids = false;
};

// A JSON object that was checked against a schema: getters cannot fail. Borrows the document.
class Body {
 public:
  static Expected<Body> Check(const JsonRef& root, const Schema& schema);

  const JsonRef& root() const { return root_; }
  bool Has(std::string_view name) const;
  std::string String(std::string_view name, std::string fallback = "") const;
  // Lower-case, for fields with `values`.
  std::string Choice(std::string_view name, std::string fallback = "") const;
  std::optional<bool> Bool(std::string_view name) const;
  std::optional<int64_t> Int(std::string_view name) const;
  std::vector<std::string> Strings(std::string_view name) const;
  // As Choice, for kStrings.
  std::vector<std::string> Choices(std::string_view name) const;
  Body Object(std::string_view name) const { return Body(root_[name]); }
  // kTexts, kStrings or kInputs. An empty list is kEmpty, too many texts kTooMany.
  Expected<std::vector<TaskText>> Texts(std::string_view name, const InputLimits& limits) const;
  // kIds.
  Expected<std::vector<std::vector<int32_t>>> Ids(std::string_view name, const InputLimits& limits) const;

 private:
  explicit Body(JsonRef root) : root_(std::move(root)) {}
  JsonRef root_;
};

// The same as JSON Schema (OpenAPI 3.1).
json::object ToJsonSchema(const Schema& schema);

}  // namespace truevec

#endif  // TRUEVEC_SERVER_SCHEMA_H_
