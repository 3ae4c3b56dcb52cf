// Generated character tables (tools/gen_unicode.py): two stages, block = table1[cp >> 7], value = table2[block * 128 +
// (cp & 127)]. Private to unicode.
#ifndef TRUEVEC_UNICODE_UNICODE_TABLES_H_
#define TRUEVEC_UNICODE_UNICODE_TABLES_H_

#include <cstdint>

namespace truevec::unicode_tables {

// Bits: 1 White_Space, 2 punctuation (P*), 4 Mn, 8 Cc|Cf|Co; categories of Unicode 8.0.
extern const uint8_t kBert1[];
extern const uint8_t kBert2[];
extern const uint8_t kCcc1[];  // canonical combining class, 9.0
extern const uint8_t kCcc2[];
extern const uint8_t kMark91[];  // general category M*, 9.0
extern const uint8_t kMark92[];
extern const uint16_t kCategory1[];  // general category, 16.0, as unicode::Category
extern const uint8_t kCategory2[];
extern const uint8_t kLower1[];  // simple lower case minus the code point, 17.0
extern const int32_t kLower2[];
// Full decompositions, 9.0: 0, or the place in the pool of a count and the code points.
extern const uint8_t kCanonical1[];
extern const uint16_t kCanonical2[];
extern const uint8_t kCompat1[];
extern const uint16_t kCompat2[];
extern const uint32_t kDecompositionPool[];
extern const uint32_t kCompositions[];  // sorted triples: first, second, composed
extern const int kCompositionCount;

template <typename Stage1, typename Stage2>
auto Lookup(const Stage1* stage1, const Stage2* stage2, uint32_t cp) {
  return stage2[static_cast<uint32_t>(stage1[cp >> 7]) * 128 + (cp & 127)];
}

}  // namespace truevec::unicode_tables

#endif  // TRUEVEC_UNICODE_UNICODE_TABLES_H_
