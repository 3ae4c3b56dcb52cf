// How a normalizer that rewrites a whole text keeps the source ranges of its characters.
// Reference: tokenizers tokenizer/normalizer.rs, NormalizedString::transform.
#ifndef TRUEVEC_TOKENIZER_TEXT_TRANSFORM_H_
#define TRUEVEC_TOKENIZER_TEXT_TRANSFORM_H_

#include <cstdint>
#include <vector>

#include "tokenizer/text.h"

namespace truevec {

// A character with the change of length that `tokenizers` notes beside it: 0 takes one source character, 1 none
// (inserted), -n takes n more.
struct Formed {
  uint32_t cp;
  int change;
};

// Replaces the text: in order, each character takes the next source characters that its change says and the range of
// the first of them; an inserted one has the range of the character before it.
void Transform(const std::vector<Formed>& chars, Text* text);

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_TEXT_TRANSFORM_H_
