// Mistral's tekken.json: a tiktoken-like vocabulary of bytes, read as the tokenizer.json that it amounts to.
// Reference: transformers 5.23 integrations/mistral/tokenizer.py (MistralConverter).
#ifndef TRUEVEC_TOKENIZER_TEKKEN_H_
#define TRUEVEC_TOKENIZER_TEKKEN_H_

#include "base/json.h"
#include "base/status.h"

namespace truevec {

// `root`: tekken.json. Files of the old form, without "special_tokens", are refused.
Result<json::value> TekkenToTokenizerJson(const JsonRef& root);

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_TEKKEN_H_
