// Each scanner against the regex engine: every code point in contexts, and random texts over the characters that the
// patterns tell apart.
#include "tokenizer/scanners.h"

#include <gtest/gtest.h>

#include <random>

#include "tokenizer/split.h"
#include "tokenizer/utf8-inl.h"
#include "unicode/unicode.h"

namespace truevec {
namespace {

class ScannersTest : public ::testing::TestWithParam<std::string_view> {
 protected:
  ScannersTest() : pattern_(*Pattern::Expression(GetParam())), scanner_(FindScanner(GetParam())) {}

  // The parts that the scanner and the engine cut `text` into are equal.
  void Compare(const std::vector<uint32_t>& cps) {
    ByteBuffer bytes;
    Text text;
    std::vector<size_t> at = {0};
    for (const uint32_t cp : cps) {
      text.push_back({cp, 0, 0});
      char utf8[4];
      bytes.Append(utf8, EncodeAt(cp, utf8));
      at.push_back(bytes.size());
    }
    const auto matches = pattern_.FindAll(text);
    ASSERT_TRUE(matches.ok());
    SpanBuffer spans;
    scanner_(bytes.data(), {0, static_cast<uint32_t>(bytes.size())}, classes_, &spans);
    ASSERT_EQ(spans.size(), matches->size()) << std::string(View(bytes));
    for (size_t i = 0; i < spans.size(); ++i) {
      ASSERT_EQ(spans[i].begin, at[(*matches)[i].first]) << std::string(View(bytes));
      ASSERT_EQ(spans[i].end, at[(*matches)[i].second]) << std::string(View(bytes));
    }
  }

  Pattern pattern_;
  Scanner scanner_;
  RegexClasses classes_{RegexClassOf};
};

// The classes are the engine's, for every code point.
TEST(RegexClasses, EveryCodePoint) {
  Text text;
  for (uint32_t cp = 0; cp <= kMaxCodePoint; ++cp) {
    if (cp < 0xD800 || cp >= 0xE000) text.push_back({cp, 0, 0});
  }
  const std::pair<std::string_view, uint8_t> classes[] = {
      {R"(\p{L})", kLetter},     {R"(\p{N})", kNumber},           {R"(\s)", kSpace},    {R"(\p{M})", kMark},
      {R"([\r\n])", kLineBreak}, {R"([\p{Lu}\p{Lt}])", kCapital}, {R"(\p{Ll})", kSmall}};
  for (const auto& [pattern, bit] : classes) {
    const auto matches = Pattern::Expression(pattern)->FindAll(text);
    ASSERT_TRUE(matches.ok());
    size_t count = 0;
    for (const auto& [begin, end] : *matches) ASSERT_NE(RegexClassOf(text[begin].cp) & bit, 0) << text[begin].cp;
    for (const Char& c : text) count += (RegexClassOf(c.cp) & bit) != 0 ? 1 : 0;
    EXPECT_EQ(count, matches->size()) << pattern;
  }
}

TEST_P(ScannersTest, EveryCodePointInContexts) {
  // Each between others, 64 of them a text. Of the ideographs and syllables, which are thousands of \p{Lo}, every 16th.
  for (uint32_t first = 0; first < 0x32000; first += 64) {
    const bool many = (first >= 0x3400 && first < 0xD800) || first >= 0x17000;
    std::vector<uint32_t> text;
    for (uint32_t c = first; c < first + 64; c += many ? 16 : 1) {
      if (c >= 0xD800 && c < 0xE000) continue;
      for (const uint32_t next : {uint32_t{'a'}, c, uint32_t{' '}, c, uint32_t{'1'}, c, uint32_t{'!'}, c,
                                  uint32_t{'\n'}, c, uint32_t{'A'}, c, uint32_t{'\''}, c, uint32_t{' '}}) {
        text.push_back(next);
      }
    }
    Compare(text);
    if (HasFatalFailure()) return;
  }
}

TEST_P(ScannersTest, RandomTexts) {
  const std::vector<uint32_t> alphabet = {
      'a',  'b',    's',    't',  'r',  'e',    'v',    'm',     'l',    'd',     'S',    'E',    'L',
      'A',  '\'',   '\'',   ' ',  ' ',  ' ',    '\n',   '\r',    '\t',   '1',     '2',    '!',    '/',
      '.',  0x17F,  0x2019, 0xE9, 0xC9, 0x1C5,  0x2B0,  0x65E5,  0x301,  0x301,   0x903,  0x20DD, 0x663,
      0xBD, 0x2167, 0x3000, 0xA0, 0x85, 0x2028, 0x200B, 0x1F600, 0x20AC, 0x10400, 0x10428};
  std::mt19937 random(7);
  for (int i = 0; i < 8'000; ++i) {
    std::vector<uint32_t> text(random() % 24);
    for (uint32_t& cp : text) cp = alphabet[random() % alphabet.size()];
    Compare(text);
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ScannersTest, ::testing::ValuesIn(ScannerPatterns()),
                         [](const auto& test) { return "Pattern" + std::to_string(test.index); });

}  // namespace
}  // namespace truevec
