#include "tokenizer/byte_level.h"

#include <array>

#include "unicode/unicode.h"

namespace truevec {
namespace {

constexpr std::array<uint16_t, 256> MakeAlphabet() {
  std::array<uint16_t, 256> alphabet{};
  uint16_t next = 256;
  for (uint16_t b = 0; b < 256; ++b) {
    const bool printable = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
    alphabet[b] = printable ? b : next++;
  }
  return alphabet;
}

constexpr std::array<uint16_t, 256> kAlphabet = MakeAlphabet();

}  // namespace

uint32_t ByteToChar(uint8_t byte) { return kAlphabet[byte]; }

std::optional<uint8_t> CharToByte(uint32_t cp) {
  for (size_t byte = 0; byte < kAlphabet.size(); ++byte) {
    if (kAlphabet[byte] == cp) return static_cast<uint8_t>(byte);
  }
  return std::nullopt;
}

void ToByteLevel(Text* text) {
  Text out;
  out.reserve(text->size());
  std::string bytes;
  for (const Char& c : *text) {
    bytes.clear();
    AppendUtf8(c.cp, &bytes);
    for (const char byte : bytes) out.push_back({ByteToChar(static_cast<uint8_t>(byte)), c.begin, c.end});
  }
  *text = std::move(out);
}

}  // namespace truevec
