// Base64 (RFC 4648) as character maps and tekken vocabularies use it. Not named as verify's DecodeBase64, which returns
// another type: the linker would take the two for one.
#ifndef TRUEVEC_TOKENIZER_BASE64_H_
#define TRUEVEC_TOKENIZER_BASE64_H_

#include <optional>
#include <string>
#include <string_view>

namespace truevec {

// Nothing when `text` has another character. Decoding ends at the first padding character.
std::optional<std::string> BytesOfBase64(std::string_view text);

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_BASE64_H_
