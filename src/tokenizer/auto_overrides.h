// Changes to an effective tokenizer.json that callers ask for: lower-casing, accent stripping, more special tokens.
#ifndef TRUEVEC_TOKENIZER_AUTO_OVERRIDES_H_
#define TRUEVEC_TOKENIZER_AUTO_OVERRIDES_H_

#include "base/json.h"
#include "tokenizer/tokenizer.h"

namespace truevec {

// Applies `options` to `root`, the object of a tokenizer.json. Sentence Transformers' do_lower_case is the first step;
// then lowercase and strip_accents decide the normalizer; then special tokens are appended.
void ApplyTokenizerOptions(const TokenizerLoadOptions& options, json::object* root);

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_AUTO_OVERRIDES_H_
