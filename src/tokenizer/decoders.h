// Decoders of tokenizer.json: token strings back to text.
// Reference: huggingface/tokenizers tokenizers/src/decoders/, pre_tokenizers/{byte_level,metaspace}.rs.
#ifndef TRUEVEC_TOKENIZER_DECODERS_H_
#define TRUEVEC_TOKENIZER_DECODERS_H_

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace truevec {

class TokenDecoder {
 public:
  virtual ~TokenDecoder() = default;
  // Rewrites the tokens; the text is all of them joined. Fails only when a pattern exceeds its step budget.
  virtual Status Decode(std::vector<std::string>* tokens) const = 0;
};

// From the "decoder" object; null gives a null pointer (tokens are then joined by spaces). An object without "type"
// is told by its shape. Unknown types are refused by JSON path.
Result<std::unique_ptr<TokenDecoder>> ParseDecoder(const JsonRef& json);

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_DECODERS_H_
