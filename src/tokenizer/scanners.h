// Scanners by hand for the patterns that most byte-level tokenizers cut by. Each gives the spans of all matches of its
// pattern, as Pattern::FindAll does with the regex engine (scanners_test.cc compares them); the matches of these
// patterns cover every text.
#ifndef TRUEVEC_TOKENIZER_SCANNERS_H_
#define TRUEVEC_TOKENIZER_SCANNERS_H_

#include <string_view>
#include <vector>

#include "tokenizer/char_table.h"
#include "tokenizer/pod_buffer.h"

namespace truevec {

// Bits of the classes that the patterns use; categories of Unicode 16.
enum RegexClass : uint8_t {
  kLetter = 1,
  kNumber = 2,
  kSpace = 4,
  kMark = 8,
  kLineBreak = 16,  // CR and LF
  kCapital = 32,    // Lu, Lt
  kSmall = 64,      // Ll
};
using RegexClasses = CharTable<uint8_t>;
uint8_t RegexClassOf(uint32_t cp);

// Appends the spans of text[span.begin, span.end), as bytes of `text`. REQUIRES: `text` is readable some bytes past its
// end, valid UTF-8.
using Scanner = void (*)(const char* text, ByteSpan span, const RegexClasses& classes, SpanBuffer* out);

// The scanner of exactly this pattern, or null.
Scanner FindScanner(std::string_view pattern);
std::vector<std::string_view> ScannerPatterns();

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_SCANNERS_H_
