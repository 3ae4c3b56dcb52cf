// The post-norm transformer encoder that BERT, RoBERTa, ELECTRA, DistilBERT and MPNet share: x = LN(x + attention(x)),
// x = LN(x + ffn(x)). What differs between them is tensor names, embeddings and heads.
#ifndef TRUEVEC_MODELS_POST_NORM_ENCODER_H_
#define TRUEVEC_MODELS_POST_NORM_ENCODER_H_

#include <vector>

#include "models/blocks.h"
#include "models/model.h"

namespace truevec {

// Names under one layer's scope.
struct PostNormNames {
  std::string_view query, key, value, attention_output, attention_norm, intermediate, output, output_norm;
};

struct PostNormConfig {
  int64_t hidden = 0, layers = 0, heads = 0, intermediate = 0;
  double eps = 0;
  Activation activation = Activation::kGelu;
  bool simulate_causal = false;  // a fault that `diagnose` injects
};

// Refuses head counts that do not divide the width.
Status CheckHeads(const ConfigReader& config, std::string_view key, const PostNormConfig& c);

class PostNormEncoder {
 public:
  // Layers are `layers_scope.Sub(i)`: "<layers>.<i>".
  static Result<PostNormEncoder> Load(const PostNormConfig& c, const PostNormNames& names, const WeightScope& parent,
                                      std::string_view layers, ComputeType type);
  // hidden [tokens, width] holds the embeddings and receives the last hidden state. `relative_bias` (may be null):
  // [heads, 2 * span + 1] as AttentionSpec has it. Records and keeps every layer.
  void Forward(const ForwardRequest& request, const ExecContext& ctx, const float* relative_bias, int64_t span,
               Matrix hidden) const;
  const PostNormConfig& config() const { return config_; }

 private:
  struct Layer {
    Linear qkv;               // width -> 3 width
    Linear attention_output;  // width -> width
    NormWeights attention_norm;
    Linear intermediate;  // width -> intermediate
    Linear output;        // intermediate -> width
    NormWeights output_norm;
  };
  void RunLayer(const Layer& layer, int index, const PackedBatch& batch, const ExecContext& ctx,
                const AttentionSpec& spec, Matrix hidden) const;
  PostNormConfig config_;
  std::vector<Layer> layers_;
};

// A copy of `hidden` in the arena for ForwardRequest::all_layers.
void KeepLayer(const ForwardRequest& request, const ExecContext& ctx, Matrix hidden);

}  // namespace truevec

#endif  // TRUEVEC_MODELS_POST_NORM_ENCODER_H_
