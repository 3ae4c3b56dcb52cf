// HTTP content codings: the first byte chooses the codings, the rest is the body. Whatever a client sends must be
// decoded within the limit or refused; what was decoded must survive our own coding.
#include "net/content_coding.h"

#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr const char* kCodings[] = {"gzip",        "deflate", "zstd",     "gzip, zstd",         "zstd,gzip",
                                      "x-gzip, , ,", "br",      "identity", "gzip,gzip,gzip,gzip"};
  constexpr size_t kLimit = size_t{1} << 20;
  if (size == 0) return 0;
  const std::string body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto decoded = truevec::DecodeContent(kCodings[data[0] % std::size(kCodings)], body, kLimit);
  truevec::ChooseCoding(body);
  if (!decoded.ok()) return 0;
  if (decoded->size() > kLimit && decoded->size() > body.size()) std::abort();
  for (const char* coding : {"gzip", "zstd"}) {
    const auto again = truevec::DecodeContent(coding, truevec::EncodeContent(coding, *decoded), decoded->size() + 1);
    if (!again.ok() || *again != *decoded) std::abort();
  }
  return 0;
}
