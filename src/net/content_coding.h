// Content codings of HTTP bodies: gzip and deflate (zlib), zstd. RFC 9110 section 8.4, RFC 8878.
#ifndef TRUEVEC_NET_CONTENT_CODING_H_
#define TRUEVEC_NET_CONTENT_CODING_H_

#include <string>
#include <string_view>

#include "base/status.h"

namespace truevec {

// Undoes `coding` ("gzip", "deflate", "zstd", "identity", or a comma list). kBadInput for a broken body, kResource
// when the result would be longer than `limit`, kUsage for a coding that is not known.
Result<std::string> DecodeContent(std::string_view coding, std::string body, size_t limit);
// The coding to answer with for an Accept-Encoding header: "zstd", "gzip" or "" (none).
std::string_view ChooseCoding(std::string_view accept_encoding);
bool AcceptsCoding(std::string_view accept_encoding, std::string_view coding);
// REQUIRES: coding is "gzip" or "zstd".
std::string EncodeContent(std::string_view coding, std::string_view body);

}  // namespace truevec

#endif  // TRUEVEC_NET_CONTENT_CODING_H_
