// Pre-tokenizers of tokenizer.json. Reference: huggingface/tokenizers tokenizers/src/pre_tokenizers/.
#ifndef TRUEVEC_TOKENIZER_PRE_TOKENIZERS_H_
#define TRUEVEC_TOKENIZER_PRE_TOKENIZERS_H_

#include <memory>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "tokenizer/byte_stages.h"
#include "tokenizer/text.h"

namespace truevec {

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  // Replaces each piece by its parts; empty parts are dropped. Fails only when a pattern exceeds its step budget.
  virtual Status Split(std::vector<Text>* pieces) const = 0;
  // Appends the stages that do the same on bytes (the ids-only path). This object must outlive them.
  virtual void AddBytes(ByteSplitters* out) const { out->push_back(ThroughText(this)); }
};

// From the "pre_tokenizer" object of tokenizer.json; null gives a null pointer.
Result<std::unique_ptr<PreTokenizer>> ParsePreTokenizer(const JsonRef& json);

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_PRE_TOKENIZERS_H_
