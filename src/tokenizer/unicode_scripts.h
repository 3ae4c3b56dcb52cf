// The scripts that the UnicodeScripts pre-tokenizer tells apart. Table: unicode_scripts_tables.cc (generated).
// Reference: tokenizers pre_tokenizers/unicode_scripts/ (after SentencePiece's IsValidSentencePiece).
#ifndef TRUEVEC_TOKENIZER_UNICODE_SCRIPTS_H_
#define TRUEVEC_TOKENIZER_UNICODE_SCRIPTS_H_

#include <cstdint>
#include <span>

namespace truevec {

struct ScriptRange {
  uint32_t first;
  uint32_t last;
  uint8_t script;
};

// Sorted, disjoint; a code point outside has script 0 ("any"), as the space does.
std::span<const ScriptRange> ScriptRanges();

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_UNICODE_SCRIPTS_H_
