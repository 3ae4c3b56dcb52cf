// A SentencePiece character map (its length in 4 bytes first) and a text that it normalizes.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "tokenizer/precompiled.h"
#include "unicode/unicode.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace truevec;
  if (size < 4) return 0;
  uint32_t length = 0;
  std::memcpy(&length, data, 4);
  const std::string_view input(reinterpret_cast<const char*>(data) + 4, size - 4);
  const std::string_view blob = input.substr(0, length);
  const std::string_view utf8 = input.substr(blob.size());
  const auto normalizer = MakePrecompiled(std::string(blob));
  if (!normalizer.ok() || FirstInvalidUtf8(utf8)) return 0;
  Text text;
  int32_t index = 0;
  for (size_t i = 0; i < utf8.size(); ++index) text.push_back({NextCodePoint(utf8, &i), index, index + 1});
  if (!(*normalizer)->Normalize(&text).ok()) std::abort();
  for (const Char& c : text) {
    if (c.begin > c.end || c.end > index || c.cp > kMaxCodePoint) std::abort();
  }
  return 0;
}
