// Task heads: classification from the first token, and masked-LM logits.
#ifndef TRUEVEC_MODELS_HEADS_H_
#define TRUEVEC_MODELS_HEADS_H_

#include <optional>

#include "models/blocks.h"
#include "models/model.h"

namespace truevec {

// labels = out(activation(dense(hidden of the first token))); `dense` [hidden, hidden], `out` [labels, hidden].
Result<std::unique_ptr<Head>> LoadFirstTokenHead(const WeightScope& dense, Activation activation,
                                                 const WeightScope& out, int64_t hidden, ComputeType type);
// labels = out(LN(activation(dense(pooled)))), the pooled state being the first token's or the mean of all
// (ModernBERT); or, with kLateMean, the mean over the tokens of out(activation(dense(hidden))) (EuroBERT).
enum class TokenPooling { kFirst, kMean, kLateMean };
struct PooledHeadWeights {
  WeightScope dense;
  bool dense_bias = true;
  Activation activation = Activation::kGelu;
  std::optional<NormWeights> norm;
  WeightScope out;
};
Result<std::unique_ptr<Head>> LoadPooledHead(const PooledHeadWeights& weights, TokenPooling pooling, int64_t hidden,
                                             ComputeType type);

// logits = decoder(LN(activation(dense(hidden)))) + bias, a row per token; the decoder's weight is the tied word table
// unless the checkpoint has its own.
struct MlmHeadWeights {
  WeightScope dense;
  WeightScope norm;
  double eps;
  Activation activation;
  TensorView decoder;  // [vocabulary, width]
  TensorView bias;     // [vocabulary], or not present
  bool dense_bias = true;
  bool norm_bias = true;
};
Result<std::unique_ptr<Head>> LoadMlmHead(const MlmHeadWeights& weights, int64_t hidden, ComputeType type);

}  // namespace truevec

#endif  // TRUEVEC_MODELS_HEADS_H_
