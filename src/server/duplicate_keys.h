// Keys that an object of a JSON text has twice. RFC 8259 4 leaves open which value then counts, and the servers whose
// dialects we speak differ (serde refuses, Python and Go take the last): a request that has one is refused.
#ifndef TRUEVEC_SERVER_DUPLICATE_KEYS_H_
#define TRUEVEC_SERVER_DUPLICATE_KEYS_H_

#include <optional>
#include <string>
#include <string_view>

namespace truevec {

// The first such key, or nothing. REQUIRES: `text` is JSON (it was parsed before).
std::optional<std::string> DuplicateKey(std::string_view text);

}  // namespace truevec

#endif  // TRUEVEC_SERVER_DUPLICATE_KEYS_H_
