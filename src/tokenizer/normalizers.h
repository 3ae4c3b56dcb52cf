// Normalizers of tokenizer.json. Reference: huggingface/tokenizers tokenizers/src/normalizers/.
#ifndef TRUEVEC_TOKENIZER_NORMALIZERS_H_
#define TRUEVEC_TOKENIZER_NORMALIZERS_H_

#include <memory>

#include "base/json.h"
#include "base/status.h"
#include "tokenizer/byte_stages.h"
#include "tokenizer/text.h"

namespace truevec {

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  // Fails only when a pattern exceeds its step budget.
  virtual Status Normalize(Text* text) const = 0;
  // Appends the stages that do the same on bytes (the ids-only path). This object must outlive them.
  virtual void AddBytes(ByteNormalizers* out) const { out->push_back(ThroughText(this)); }
};

// From the "normalizer" object of tokenizer.json; null gives a null pointer. Unknown types are refused by JSON path.
Result<std::unique_ptr<Normalizer>> ParseNormalizer(const JsonRef& json);

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_NORMALIZERS_H_
