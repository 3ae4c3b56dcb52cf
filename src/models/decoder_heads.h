// Heads of decoders. Reference: transformers/modeling_layers.py (GenericForSequenceClassification), *ForCausalLM.
#ifndef TRUEVEC_MODELS_DECODER_HEADS_H_
#define TRUEVEC_MODELS_DECODER_HEADS_H_

#include <optional>

#include "models/blocks.h"
#include "models/model.h"

namespace truevec {

// labels = weight . hidden of the text's last token whose id is not `padding` (the first token when all are);
// `out` has weight [labels, hidden] and no bias.
Result<std::unique_ptr<Head>> LoadLastTokenHead(const WeightScope& out, int64_t hidden, std::optional<int32_t> padding,
                                                ComputeType type);
// logits = softcap(weight . hidden), a row per token; weight [vocabulary, hidden], softcap 0: none.
std::unique_ptr<Head> MakeCausalLmHead(const TensorView& weight, double softcap, ComputeType type);

}  // namespace truevec

#endif  // TRUEVEC_MODELS_DECODER_HEADS_H_
