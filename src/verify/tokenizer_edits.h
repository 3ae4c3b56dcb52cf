// Altered tokenizers: a model's tokenizer.json with one part changed, as engines that convert tokenizers change it.
#ifndef TRUEVEC_VERIFY_TOKENIZER_EDITS_H_
#define TRUEVEC_VERIFY_TOKENIZER_EDITS_H_

#include <string>

#include "base/json.h"

namespace truevec {

// Applies the edit called `name` to a tokenizer.json. False when the file has nothing that it could change.
bool EditTokenizerJson(const std::string& name, json::value* root);

}  // namespace truevec

#endif  // TRUEVEC_VERIFY_TOKENIZER_EDITS_H_
