// Answers of embedding servers in every dialect, of any bytes. The first byte says how many texts were asked; the rest
// is the body. What is read has a vector for each text, and base64 is read back to itself.
#include <cstdint>
#include <cstdlib>

#include "verify/dialect.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const size_t texts = 1 + data[0] % 8;
  const std::string body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto reply = truevec::ReadEmbedAnswer(body, "fuzz", texts);
  if (reply.ok() && reply->vectors.size() != texts) std::abort();
  if (reply.ok() && !reply->unpooled.empty() && reply->unpooled.size() != texts) std::abort();
  if (!reply.ok() && reply.status().code() != truevec::Code::kEndpoint) std::abort();
  const auto ids = truevec::ReadTokenizeAnswer(body, "fuzz");
  if (!ids.ok() && ids.status().code() != truevec::Code::kEndpoint) std::abort();
  if (truevec::ErrorText(body).size() > 300) std::abort();
  const auto decoded = truevec::DecodeBase64(truevec::EncodeBase64(body));
  if (!decoded.ok() || *decoded != body) std::abort();
  (void)truevec::DecodeBase64(body);
  return 0;
}
