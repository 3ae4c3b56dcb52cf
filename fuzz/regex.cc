// A pattern, a newline and a text: what compiles finds matches in order, inside the text, or runs out of steps.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "tokenizer/regex.h"
#include "unicode/unicode.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace truevec;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t end = std::min(input.find('\n'), input.size());
  const auto regex = Regex::Compile(input.substr(0, end));
  const std::string_view text = input.substr(std::min(end + 1, input.size()));
  if (!regex.ok() || FirstInvalidUtf8(text)) return 0;
  const auto spans = regex->FindAll(DecodeUtf8(text));
  if (!spans.ok()) return 0;
  size_t last = 0;
  for (const auto& [begin, stop] : *spans) {
    if (begin < last || stop < begin || stop > text.size()) std::abort();
    last = stop;
  }
  return 0;
}
