// Unicode as Hugging Face `tokenizers` sees it: UTF-8, normal forms of 9.0, BERT's character classes of 8.0, general
// categories of 16.0, lower case of 17.0 (see tools/gen_unicode.py for why these versions).
#ifndef TRUEVEC_UNICODE_UNICODE_H_
#define TRUEVEC_UNICODE_UNICODE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace truevec {

inline constexpr uint32_t kMaxCodePoint = 0x10FFFF;

// The offset of the first byte that is not part of a valid UTF-8 sequence (overlong forms, surrogates and values above
// U+10FFFF are invalid); nothing when all is valid.
std::optional<size_t> FirstInvalidUtf8(std::string_view text);
// Decodes the code point at `*position` and moves past it. REQUIRES: valid UTF-8, *position < text.size().
uint32_t NextCodePoint(std::string_view text, size_t* position);
void AppendUtf8(uint32_t code_point, std::string* out);
std::vector<uint32_t> DecodeUtf8(std::string_view text);  // REQUIRES: valid UTF-8

// Rust's char::is_whitespace: the 25 White_Space code points.
bool IsWhiteSpace(uint32_t cp);
// ASCII punctuation or category P* of Unicode 8 (BertPreTokenizer, Punctuation).
bool IsBertPunctuation(uint32_t cp);
bool IsNonspacingMark8(uint32_t cp);  // Mn of 8.0 (BertNormalizer strip_accents)
bool IsControl8(uint32_t cp);         // Cc, Cf, Co of 8.0
bool IsMark9(uint32_t cp);            // M* of 9.0 (StripAccents)

enum class Category : uint8_t {
  kLu,
  kLl,
  kLt,
  kLm,
  kLo,
  kMn,
  kMc,
  kMe,
  kNd,
  kNl,
  kNo,
  kPc,
  kPd,
  kPs,
  kPe,
  kPi,
  kPf,
  kPo,
  kSm,
  kSc,
  kSk,
  kSo,
  kZs,
  kZl,
  kZp,
  kCc,
  kCf,
  kCs,
  kCo,
  kCn
};
Category GeneralCategory(uint32_t cp);  // 16.0
bool IsWordCharacter(uint32_t cp);      // \w of Rust's regex crate

// char::to_lowercase without context: one code point, but U+0130 gives two (the second returned in *extra, else 0).
uint32_t ToLower(uint32_t cp, uint32_t* extra);

int CombiningClass(uint32_t cp);  // 9.0
// Appends the full decomposition (Hangul included), or the code point itself.
void AppendDecomposition(uint32_t cp, bool compatibility, std::vector<uint32_t>* out);
// The primary composite of two code points, or 0.
uint32_t Compose(uint32_t first, uint32_t second);
// Whether Compose(x, cp) is not 0 for some x.
bool ComposesWithPrevious(uint32_t cp);

}  // namespace truevec

#endif  // TRUEVEC_UNICODE_UNICODE_H_
