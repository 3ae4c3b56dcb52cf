#include "unicode/unicode.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "unicode/unicode_tables.h"

namespace truevec {
namespace {

namespace t = unicode_tables;

uint8_t BertBits(uint32_t cp) { return t::Lookup(t::kBert1, t::kBert2, cp); }

// Length of the valid sequence at `p` (of `n` bytes), 0 when invalid. Unicode 15, table 3-7.
size_t SequenceLength(const unsigned char* p, size_t n) {
  const unsigned char lead = p[0];
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  const size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (n < length) return 0;
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
  if (lead == 0xE0) low = 0xA0;
  if (lead == 0xED) high = 0x9F;
  if (lead == 0xF0) low = 0x90;
  if (lead == 0xF4) high = 0x8F;
  if (p[1] < low || p[1] > high) return 0;
  for (size_t i = 2; i < length; ++i) {
    if ((p[i] & 0xC0) != 0x80) return 0;
  }
  return length;
}

// Hangul syllables decompose and compose by arithmetic (Unicode 3.12).
constexpr uint32_t kSBase = 0xAC00, kLBase = 0x1100, kVBase = 0x1161, kTBase = 0x11A7;
constexpr uint32_t kLCount = 19, kVCount = 21, kTCount = 28, kSCount = kLCount * kVCount * kTCount;

}  // namespace

std::optional<size_t> FirstInvalidUtf8(std::string_view text) {
  const auto* p = reinterpret_cast<const unsigned char*>(text.data());
  size_t i = 0;
  while (i < text.size()) {
    if (i + 8 <= text.size()) {  // 8 ASCII bytes at once
      uint64_t block;
      std::memcpy(&block, p + i, 8);
      if ((block & 0x8080808080808080) == 0) {
        i += 8;
        continue;
      }
    }
    const size_t length = SequenceLength(p + i, text.size() - i);
    if (length == 0) return i;
    i += length;
  }
  return std::nullopt;
}

uint32_t NextCodePoint(std::string_view text, size_t* position) {
  const auto* p = reinterpret_cast<const unsigned char*>(text.data()) + *position;
  if (p[0] < 0x80) {
    *position += 1;
    return p[0];
  }
  if (p[0] < 0xE0) {
    *position += 2;
    return (uint32_t{p[0]} & 0x1F) << 6 | (p[1] & 0x3Fu);
  }
  if (p[0] < 0xF0) {
    *position += 3;
    return (uint32_t{p[0]} & 0x0F) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
  }
  *position += 4;
  return (uint32_t{p[0]} & 0x07) << 18 | (p[1] & 0x3Fu) << 12 | (p[2] & 0x3Fu) << 6 | (p[3] & 0x3Fu);
}

void AppendUtf8(uint32_t cp, std::string* out) {
  const auto byte = [out](uint32_t value) { out->push_back(static_cast<char>(value)); };
  if (cp < 0x80) {
    byte(cp);
  } else if (cp < 0x800) {
    byte(0xC0 | cp >> 6);
    byte(0x80 | (cp & 0x3F));
  } else if (cp < 0x10000) {
    byte(0xE0 | cp >> 12);
    byte(0x80 | (cp >> 6 & 0x3F));
    byte(0x80 | (cp & 0x3F));
  } else {
    byte(0xF0 | cp >> 18);
    byte(0x80 | (cp >> 12 & 0x3F));
    byte(0x80 | (cp >> 6 & 0x3F));
    byte(0x80 | (cp & 0x3F));
  }
}

std::vector<uint32_t> DecodeUtf8(std::string_view text) {
  std::vector<uint32_t> out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) out.push_back(NextCodePoint(text, &i));
  return out;
}

bool IsWhiteSpace(uint32_t cp) { return (BertBits(cp) & 1) != 0; }
bool IsNonspacingMark8(uint32_t cp) { return (BertBits(cp) & 4) != 0; }
bool IsControl8(uint32_t cp) { return (BertBits(cp) & 8) != 0; }
bool IsMark9(uint32_t cp) { return t::Lookup(t::kMark91, t::kMark92, cp) != 0; }

bool IsBertPunctuation(uint32_t cp) {
  // ASCII symbols such as $ + < = > ^ ` | ~ count as well.
  if (cp < 128)
    return (cp >= 33 && cp <= 47) || (cp >= 58 && cp <= 64) || (cp >= 91 && cp <= 96) || (cp >= 123 && cp <= 126);
  return (BertBits(cp) & 2) != 0;
}

Category GeneralCategory(uint32_t cp) { return static_cast<Category>(t::Lookup(t::kCategory1, t::kCategory2, cp)); }

bool IsWordCharacter(uint32_t cp) {
  switch (GeneralCategory(cp)) {
    case Category::kLu:
    case Category::kLl:
    case Category::kLt:
    case Category::kLm:
    case Category::kLo:
    case Category::kMn:
    case Category::kMc:
    case Category::kMe:
    case Category::kNd:
    case Category::kNl:
    case Category::kPc:
      return true;
    default:
      break;
  }
  // Join_Control, and the circled and squared letters of Other_Alphabetic.
  return cp == 0x200C || cp == 0x200D || (cp >= 0x24B6 && cp <= 0x24E9) || (cp >= 0x1F130 && cp <= 0x1F149) ||
         (cp >= 0x1F150 && cp <= 0x1F169) || (cp >= 0x1F170 && cp <= 0x1F189);
}

uint32_t ToLower(uint32_t cp, uint32_t* extra) {
  *extra = 0;
  if (cp < 128) return cp >= 'A' && cp <= 'Z' ? cp + 32 : cp;
  if (cp == 0x130) {
    *extra = 0x307;
    return 'i';
  }
  return static_cast<uint32_t>(static_cast<int32_t>(cp) + t::Lookup(t::kLower1, t::kLower2, cp));
}

int CombiningClass(uint32_t cp) { return t::Lookup(t::kCcc1, t::kCcc2, cp); }

void AppendDecomposition(uint32_t cp, bool compatibility, std::vector<uint32_t>* out) {
  if (cp < 0x80) {
    out->push_back(cp);
    return;
  }
  if (cp >= kSBase && cp < kSBase + kSCount) {
    const uint32_t s = cp - kSBase;
    out->push_back(kLBase + s / (kVCount * kTCount));
    out->push_back(kVBase + s % (kVCount * kTCount) / kTCount);
    if (s % kTCount != 0) out->push_back(kTBase + s % kTCount);
    return;
  }
  const uint16_t place =
      compatibility ? t::Lookup(t::kCompat1, t::kCompat2, cp) : t::Lookup(t::kCanonical1, t::kCanonical2, cp);
  if (place == 0) {
    out->push_back(cp);
    return;
  }
  const uint32_t* entry = t::kDecompositionPool + place;
  out->insert(out->end(), entry + 1, entry + 1 + entry[0]);
}

uint32_t Compose(uint32_t first, uint32_t second) {
  if (first >= kLBase && first < kLBase + kLCount && second >= kVBase && second < kVBase + kVCount) {
    return kSBase + ((first - kLBase) * kVCount + (second - kVBase)) * kTCount;
  }
  if (first >= kSBase && first < kSBase + kSCount && (first - kSBase) % kTCount == 0 && second > kTBase &&
      second < kTBase + kTCount) {
    return first + (second - kTBase);
  }
  int low = 0;
  int high = t::kCompositionCount;
  while (low < high) {
    const int middle = (low + high) / 2;
    const uint32_t* triple = t::kCompositions + 3 * middle;
    if (triple[0] == first && triple[1] == second) return triple[2];
    if (triple[0] < first || (triple[0] == first && triple[1] < second)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return 0;
}

bool ComposesWithPrevious(uint32_t cp) {
  if ((cp >= kVBase && cp < kVBase + kVCount) || (cp > kTBase && cp < kTBase + kTCount)) return true;
  for (int i = 0; i < t::kCompositionCount; ++i) {
    if (t::kCompositions[3 * i + 1] == cp) return true;
  }
  return false;
}

}  // namespace truevec
