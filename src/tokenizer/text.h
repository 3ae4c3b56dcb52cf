// The text between the stages of a tokenizer: code points that remember where in the given text they came from.
#ifndef TRUEVEC_TOKENIZER_TEXT_H_
#define TRUEVEC_TOKENIZER_TEXT_H_

#include <cstdint>
#include <string>
#include <vector>

namespace truevec {

struct Char {
  uint32_t cp;
  // [begin, end) in code points of the text given. Inserted characters carry their neighbour's range.
  int32_t begin;
  int32_t end;
};

using Text = std::vector<Char>;

std::string ToUtf8(const Char* begin, const Char* end);

// A token of the model before post-processing.
struct Token {
  int32_t id;
  int32_t begin;
  int32_t end;
};

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_TEXT_H_
