// A text through every normalizer without settings: offsets stay inside the text, and a second NFC, NFD, NFKC or NFKD
// changes nothing.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tokenizer/normalizers.h"
#include "unicode/unicode.h"

namespace {

using namespace truevec;

Text ToText(std::string_view utf8) {
  Text text;
  int32_t index = 0;
  for (size_t i = 0; i < utf8.size(); ++index) text.push_back({NextCodePoint(utf8, &i), index, index + 1});
  return text;
}

void Check(const std::string& json, const Text& input, bool idempotent) {
  const json::value value = *ParseJson(json, "normalizer");
  const auto normalizer = ParseNormalizer(JsonRef(&value, "normalizer"));
  if (!normalizer.ok()) std::abort();
  Text text = input;
  if (!(*normalizer)->Normalize(&text).ok()) std::abort();
  const auto size = static_cast<int32_t>(input.size());
  for (const Char& c : text) {
    if (c.begin < 0 || c.begin > c.end || c.end > size || c.cp > kMaxCodePoint) std::abort();
  }
  const std::string once = ToUtf8(text.data(), text.data() + text.size());
  if (!idempotent) return;
  if (!(*normalizer)->Normalize(&text).ok()) std::abort();
  if (ToUtf8(text.data(), text.data() + text.size()) != once) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view utf8(reinterpret_cast<const char*>(data), size);
  if (FirstInvalidUtf8(utf8)) return 0;
  const Text text = ToText(utf8);
  for (const char* type : {"NFC", "NFD", "NFKC", "NFKD"}) Check(R"({"type":")" + std::string(type) + "\"}", text, true);
  for (const char* type : {"Lowercase", "StripAccents", "Nmt", "ByteLevel"}) {
    Check(R"({"type":")" + std::string(type) + "\"}", text, false);
  }
  Check(R"({"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"lowercase":true})", text, false);
  Check(R"({"type":"Strip","strip_left":true,"strip_right":true})", text, true);
  return 0;
}
