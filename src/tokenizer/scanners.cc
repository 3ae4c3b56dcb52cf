// The alternatives of a pattern are tried in its order at each place, with what backtracking would leave of them:
//   \s+(?!\S) on a run of spaces before other text is all but the last space, and nothing when the run is one space;
//   \s*[\r\n]+ ends behind the last line break of the run of spaces.
// Patterns: GPT-2 (openai/gpt-2 encoder.py), cl100k_base and o200k_base (openai/tiktoken openai_public.py), Llama 3,
// Qwen2 and Qwen3.5 (their tokenizer.json).
#include "tokenizer/scanners.h"

#include <array>

#include "tokenizer/byte_level.h"
#include "tokenizer/utf8-inl.h"
#include "unicode/unicode.h"

namespace truevec {
namespace {

constexpr std::array<uint8_t, 128> MakeAscii() {
  std::array<uint8_t, 128> table{};
  for (int c = 'a'; c <= 'z'; ++c) table[static_cast<size_t>(c)] = kLetter | kSmall;
  for (int c = 'A'; c <= 'Z'; ++c) table[static_cast<size_t>(c)] = kLetter | kCapital;
  for (int c = '0'; c <= '9'; ++c) table[static_cast<size_t>(c)] = kNumber;
  for (const char c : {' ', '\t', '\v', '\f'}) table[static_cast<size_t>(c)] = kSpace;
  for (const char c : {'\r', '\n'}) table[static_cast<size_t>(c)] = kSpace | kLineBreak;
  return table;
}
constexpr std::array<uint8_t, 128> kAscii = MakeAscii();

// A place in the text and the class of the character there.
class Cursor {
 public:
  Cursor(const char* p, const char* end, const RegexClasses& classes) : p_(p), end_(end), classes_(&classes) { Look(); }
  bool done() const { return p_ >= end_; }
  const char* place() const { return p_; }
  uint8_t what() const { return class_; }  // 0 at the end as well
  char byte() const { return *p_; }
  bool Is(uint8_t bits) const { return (class_ & bits) != 0; }
  // Whether a character that is none of `bits` is here.
  bool IsOther(uint8_t bits) const { return p_ < end_ && (class_ & bits) == 0; }
  void Next() {
    p_ += length_;
    Look();
  }
  void While(uint8_t bits) {
    while (Is(bits)) Next();
  }
  void WhileOther(uint8_t bits) {
    while (IsOther(bits)) Next();
  }

 private:
  void Look() {
    if (p_ >= end_) {
      class_ = 0;
      length_ = 0;
    } else if (const auto c = static_cast<unsigned char>(*p_); c < 0x80) {
      class_ = kAscii[c];
      length_ = 1;
    } else {
      class_ = (*classes_)[DecodeAt(p_, &length_)];
    }
  }
  const char* p_;
  const char* end_;
  const RegexClasses* classes_;
  uint8_t class_ = 0;
  unsigned length_ = 0;
};

// The length of 's, 't, 're, 've, 'm, 'll or 'd at `p`, or 0. `fold`: any case, and U+017F, whose fold is s.
template <bool fold>
size_t Contraction(const char* p, const char* end) {
  if (end - p < 2 || *p != '\'') return 0;
  const auto lower = [](char c) { return fold && c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  const char first = lower(p[1]);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
  if (end - p < 3) return 0;
  const char second = lower(p[2]);
  if (((first == 'r' || first == 'v') && second == 'e') || (first == 'l' && second == 'l')) return 3;
  if (fold && first == '\xC5' && p[2] == '\xBF') return 3;
  return 0;
}

// The end of the match of `\s*[\r\n]+|\s+(?!\S)|\s+` (the first alternative only when `line_breaks`).
// REQUIRES: a space is at the cursor.
template <bool line_breaks>
const char* SpaceRun(Cursor at) {
  const char* last = at.place();
  const char* after_break = nullptr;
  int count = 0;
  while (at.Is(kSpace)) {
    last = at.place();
    const bool is_break = at.Is(kLineBreak);
    at.Next();
    ++count;
    if (line_breaks && is_break) after_break = at.place();
  }
  if (after_break != nullptr) return after_break;
  return at.done() || count == 1 ? at.place() : last;
}

template <typename Match>
void ScanAll(const char* text, ByteSpan span, const RegexClasses& classes, SpanBuffer* out, Match match) {
  const char* p = text + span.begin;
  const char* const end = text + span.end;
  ByteSpan* spans = out->Room(span.end - span.begin);
  while (p < end) {
    const char* const next = match(p, end, classes);
    *spans++ = {static_cast<uint32_t>(p - text), static_cast<uint32_t>(next - text)};
    p = next;
  }
  out->set_size(static_cast<size_t>(spans - out->data()));
}

// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
const char* MatchGpt2(const char* p, const char* end, const RegexClasses& classes) {
  if (const size_t length = Contraction<false>(p, end); length != 0) return p + length;
  Cursor at(p, end, classes);
  const Cursor start = at;
  if (at.byte() == ' ') at.Next();
  if (at.Is(kLetter)) {
    at.While(kLetter);
    return at.place();
  }
  if (at.Is(kNumber)) {
    at.While(kNumber);
    return at.place();
  }
  if (at.IsOther(kSpace | kLetter | kNumber)) {
    at.WhileOther(kSpace | kLetter | kNumber);
    return at.place();
  }
  return SpaceRun<false>(start);
}

// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|
// \s+(?!\S)|\s+, where `letters` is \p{L}, or \p{L} and \p{M} (but not in the optional first character).
template <int digits, uint8_t letters>
const char* MatchCl100k(const char* p, const char* end, const RegexClasses& classes) {
  if (const size_t length = Contraction<true>(p, end); length != 0) return p + length;
  Cursor at(p, end, classes);
  if (at.Is(letters)) {
    at.While(letters);
    return at.place();
  }
  if (at.Is(kNumber)) {
    for (int i = 0; i < digits && at.Is(kNumber); ++i) at.Next();
    return at.place();
  }
  const Cursor start = at;
  at.Next();
  if (!start.Is(kLineBreak) && at.Is(letters)) {
    at.While(letters);
    return at.place();
  }
  constexpr uint8_t kNotOther = kSpace | kNumber | letters;
  if (*p != ' ') at = start;
  if (at.IsOther(kNotOther)) {
    at.WhileOther(kNotOther);
    at.While(kLineBreak);
    return at.place();
  }
  return SpaceRun<true>(start);
}

// [^\r\n\p{L}\p{N}]? [U]* [W]+ (?i:contraction)? | the same with [U]+ [W]*, where U is Lu Lt Lm Lo M and W is Ll Lm Lo
// M. The end of the match whose letters begin at `at`, or null: U takes all it can, and gives back for W what it must.
const char* CasedWord(Cursor at, const char* end, bool need_small) {
  const auto in_both = [](const Cursor& c) { return c.Is(kMark) || (c.Is(kLetter) && !c.Is(kCapital | kSmall)); };
  const char* after_both = nullptr;  // behind the last character of the U run that W takes as well
  const Cursor first = at;
  while (at.Is(kCapital) || in_both(at)) {
    const bool both = in_both(at);
    at.Next();
    if (both) after_both = at.place();
  }
  const char* stop;
  if (at.Is(kSmall)) {
    while (at.Is(kSmall) || in_both(at)) at.Next();
    stop = at.place();
  } else if (need_small) {
    stop = after_both;
  } else {
    stop = at.place() == first.place() ? nullptr : at.place();
  }
  return stop == nullptr ? nullptr : stop + Contraction<true>(stop, end);
}

// o200k_base: CasedWord twice, then \p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
const char* MatchO200k(const char* p, const char* end, const RegexClasses& classes) {
  Cursor at(p, end, classes);
  const Cursor start = at;
  at.Next();
  for (const bool need_small : {true, false}) {
    if (!start.Is(kLineBreak | kLetter | kNumber)) {
      if (const char* stop = CasedWord(at, end, need_small)) return stop;
    }
    if (const char* stop = CasedWord(start, end, need_small)) return stop;
  }
  if (start.Is(kNumber)) {
    for (int i = 0; i < 2 && at.Is(kNumber); ++i) at.Next();
    return at.place();
  }
  constexpr uint8_t kNotOther = kSpace | kNumber | kLetter;
  if (*p != ' ') at = start;
  if (at.IsOther(kNotOther)) {
    at.WhileOther(kNotOther);
    while (at.Is(kLineBreak) || (!at.done() && at.byte() == '/')) at.Next();
    return at.place();
  }
  return SpaceRun<true>(start);
}

template <const char* (*match)(const char*, const char*, const RegexClasses&)>
void Scan(const char* text, ByteSpan span, const RegexClasses& classes, SpanBuffer* out) {
  ScanAll(text, span, classes, out, match);
}

constexpr std::string_view kO200k =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

struct Row {
  std::string_view pattern;
  Scanner scanner;
};
const std::array kRows = {
    Row{kGpt2Pattern, Scan<MatchGpt2>},
    // Llama 3; cl100k_base as its tokenizer.json files have it.
    Row{R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
        Scan<MatchCl100k<3, kLetter>>},
    // Qwen2, Qwen3
    Row{R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
        Scan<MatchCl100k<1, kLetter>>},
    // Qwen3.5
    Row{R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
        Scan<MatchCl100k<1, kLetter | kMark>>},
    Row{kO200k, Scan<MatchO200k>},
};

}  // namespace

uint8_t RegexClassOf(uint32_t cp) {
  if (cp < 128) return kAscii[cp];
  const uint8_t space = IsWhiteSpace(cp) ? kSpace : 0;
  switch (GeneralCategory(cp)) {
    case Category::kLu:
    case Category::kLt:
      return kLetter | kCapital;
    case Category::kLl:
      return kLetter | kSmall;
    case Category::kLm:
    case Category::kLo:
      return kLetter;
    case Category::kMn:
    case Category::kMc:
    case Category::kMe:
      return kMark;
    case Category::kNd:
    case Category::kNl:
    case Category::kNo:
      return kNumber;
    default:
      return space;
  }
}

Scanner FindScanner(std::string_view pattern) {
  for (const Row& row : kRows) {
    if (row.pattern == pattern) return row.scanner;
  }
  return nullptr;
}

std::vector<std::string_view> ScannerPatterns() {
  std::vector<std::string_view> patterns;
  for (const Row& row : kRows) patterns.push_back(row.pattern);
  return patterns;
}

}  // namespace truevec
