// Decoding of valid UTF-8 inside the loops of the ids-only path.
#ifndef TRUEVEC_TOKENIZER_UTF8_INL_H_
#define TRUEVEC_TOKENIZER_UTF8_INL_H_

#include <cstdint>
#include <cstring>

namespace truevec {

// The code point at `p` and its length in bytes. REQUIRES: valid UTF-8.
inline uint32_t DecodeAt(const char* p, unsigned* length) {
  const auto b = [p](int i) { return static_cast<uint32_t>(static_cast<unsigned char>(p[i])); };
  if (b(0) < 0x80) {
    *length = 1;
    return b(0);
  }
  if (b(0) < 0xE0) {
    *length = 2;
    return (b(0) & 0x1F) << 6 | (b(1) & 0x3F);
  }
  if (b(0) < 0xF0) {
    *length = 3;
    return (b(0) & 0x0F) << 12 | (b(1) & 0x3F) << 6 | (b(2) & 0x3F);
  }
  *length = 4;
  return (b(0) & 0x07) << 18 | (b(1) & 0x3F) << 12 | (b(2) & 0x3F) << 6 | (b(3) & 0x3F);
}

// The start of the code point that ends at `p`. REQUIRES: one does.
inline const char* Previous(const char* p) {
  do --p;
  while ((static_cast<unsigned char>(*p) & 0xC0) == 0x80);
  return p;
}

// Writes the code point at `out` (room for 4 bytes); returns its length.
inline unsigned EncodeAt(uint32_t cp, char* out) {
  if (cp < 0x80) {
    out[0] = static_cast<char>(cp);
    return 1;
  }
  if (cp < 0x800) {
    out[0] = static_cast<char>(0xC0 | cp >> 6);
    out[1] = static_cast<char>(0x80 | (cp & 0x3F));
    return 2;
  }
  if (cp < 0x10000) {
    out[0] = static_cast<char>(0xE0 | cp >> 12);
    out[1] = static_cast<char>(0x80 | (cp >> 6 & 0x3F));
    out[2] = static_cast<char>(0x80 | (cp & 0x3F));
    return 3;
  }
  out[0] = static_cast<char>(0xF0 | cp >> 18);
  out[1] = static_cast<char>(0x80 | (cp >> 12 & 0x3F));
  out[2] = static_cast<char>(0x80 | (cp >> 6 & 0x3F));
  out[3] = static_cast<char>(0x80 | (cp & 0x3F));
  return 4;
}

inline constexpr uint64_t kOnes = 0x0101010101010101;
inline constexpr uint64_t kHighBits = 0x8080808080808080;

inline uint64_t Load8(const char* p) {
  uint64_t block;
  std::memcpy(&block, p, 8);
  return block;
}
inline bool AllAscii8(uint64_t block) { return (block & kHighBits) == 0; }
// Whether all 8 bytes are in [0x20, 0x7E].
inline bool AllPrintable8(uint64_t block) {
  const uint64_t below = block - 0x20 * kOnes;     // a byte below 0x20 borrows into its high bit
  const uint64_t delete_or_above = block + kOnes;  // 0x7F carries into its high bit
  return ((block | below | delete_or_above) & kHighBits) == 0;
}
// Lower case of 8 ASCII bytes.
inline uint64_t Lower8(uint64_t block) {
  const uint64_t from_a = block + (0x80 - 'A') * kOnes;
  const uint64_t above_z = block + (0x7F - 'Z') * kOnes;
  return block | ((from_a ^ above_z) & kHighBits) >> 2;
}

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_UTF8_INL_H_
