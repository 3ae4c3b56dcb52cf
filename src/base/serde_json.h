// JSON as Rust's serde_json reads it, where that differs from Python's json.
#ifndef TRUEVEC_BASE_SERDE_JSON_H_
#define TRUEVEC_BASE_SERDE_JSON_H_

#include <string_view>

#include "base/json.h"
#include "base/status.h"

namespace truevec {

// ParseJson, but doubles are made by one multiplication or division by a power of ten, which is off by a unit in the
// last place now and then. Hugging Face tokenizers sees the scores of a tokenizer.json so, and the scores decide ties.
Result<json::value> ParseJsonAsSerde(std::string_view text, std::string_view label);

}  // namespace truevec

#endif  // TRUEVEC_BASE_SERDE_JSON_H_
