// Strict reads of tokenizer.json components, as serde reads them in tokenizers: a field that the reference requires is
// required, of exactly its type. Errors name file and JSON path.
#ifndef TRUEVEC_TOKENIZER_COMPONENT_JSON_H_
#define TRUEVEC_TOKENIZER_COMPONENT_JSON_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "unicode/unicode.h"

namespace truevec {

// One Unicode character.
inline Result<uint32_t> ReadCharacter(const JsonRef& json) {
  TV_ASSIGN_OR_RETURN(const std::string text, json.String());
  const std::vector<uint32_t> cps = DecodeUtf8(text);
  if (cps.size() != 1) return json.TypeError("one character");
  return cps[0];
}

// A count or length: an integer in [0, 2^24]. Larger ones than any model has are a broken file.
inline Result<int64_t> ReadCount(const JsonRef& json) {
  TV_ASSIGN_OR_RETURN(const int64_t value, json.Int());
  if (value < 0 || value > (int64_t{1} << 24)) return json.TypeError("a number in [0, 2^24]");
  return value;
}

// A token id or type id.
inline Result<int32_t> ReadId(const JsonRef& json) {
  TV_ASSIGN_OR_RETURN(const int64_t value, json.Int());
  if (value < 0 || value > INT32_MAX) return json.TypeError("an id in [0, 2^31)");
  return static_cast<int32_t>(value);
}

inline bool HasAll(const JsonRef& json, std::initializer_list<std::string_view> fields) {
  for (const std::string_view field : fields) {
    if (!json[field].present()) return false;
  }
  return true;
}

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_COMPONENT_JSON_H_
