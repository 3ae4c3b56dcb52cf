// JSON in which no object has a key twice.
//
// RFC 8259 4 leaves open which value then counts. A model's own files are read as their readers read them (the last
// one); the servers whose requests we take differ (serde refuses, Python and Go take the last), so a request that has
// one is refused.
#ifndef TRUEVEC_BASE_UNIQUE_KEYS_H_
#define TRUEVEC_BASE_UNIQUE_KEYS_H_

#include <string_view>

#include "base/json.h"
#include "base/status.h"

namespace truevec {

// ParseJson, but a key that an object has twice is an error with its path: "body: parameters.truncate is given twice".
Result<json::value> ParseJsonWithUniqueKeys(std::string_view text, std::string_view label);

}  // namespace truevec

#endif  // TRUEVEC_BASE_UNIQUE_KEYS_H_
