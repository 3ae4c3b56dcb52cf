// The post-norm transformer encoder that BERT, RoBERTa, ELECTRA, DistilBERT, MPNet, ALBERT, JinaBERT, NomicBERT and GTE
// share: x = LN(x + attention(x)), x = LN(x + ffn(x)). What differs between them is tensor names, positions, the
// feed-forward, embeddings and heads.
#ifndef TRUEVEC_MODELS_POST_NORM_ENCODER_H_
#define TRUEVEC_MODELS_POST_NORM_ENCODER_H_

#include <optional>
#include <vector>

#include "models/blocks.h"
#include "models/feed_forward.h"
#include "models/model.h"
#include "models/rope.h"

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

struct PostNormLayer {
  Linear qkv;                                       // width -> 3 width
  std::optional<NormWeights> query_norm, key_norm;  // over all heads at once (JinaBERT's code models)
  Linear attention_output;                          // width -> width
  std::optional<NormWeights> extra_norm;            // LN(x + attention) before attention_norm adds x again (ditto)
  NormWeights attention_norm;
  std::unique_ptr<FeedForward> feed_forward;
  NormWeights output_norm;

  // BERT's kind: separate q, k, v, all with biases, and a plain feed-forward.
  static Result<PostNormLayer> Load(const PostNormConfig& c, const PostNormNames& names, const WeightScope& layer,
                                    ComputeType type);
};

// How tokens know their places, besides position embeddings; all may be null or empty.
struct PositionScheme {
  const float* relative_bias = nullptr;  // [heads, 2 * relative_span + 1] as AttentionSpec has it
  int64_t relative_span = 0;
  const float* alibi_slopes = nullptr;  // [heads]
  BatchRope rope;                       // applied to q and k when its table has cos
};

class PostNormEncoder {
 public:
  // Layers are `layers_scope.Sub(i)`: "<layers>.<i>".
  static Result<PostNormEncoder> Load(const PostNormConfig& c, const PostNormNames& names, const WeightScope& parent,
                                      std::string_view layers, ComputeType type);
  PostNormEncoder() = default;
  // Runs layers[order[0]], layers[order[1]], ...; an empty order means each once.
  PostNormEncoder(const PostNormConfig& c, std::vector<PostNormLayer> layers, std::vector<size_t> order = {});

  // hidden [tokens, width] holds the embeddings and receives the last hidden state (with request.needed_rows: only
  // those rows). Records and keeps every layer.
  void Forward(const ForwardRequest& request, const ExecContext& ctx, const PositionScheme& positions,
               Matrix hidden) const;
  const PostNormConfig& config() const { return config_; }

 private:
  void RunLayer(const PostNormLayer& layer, int index, const PackedBatch& batch, const ExecContext& ctx,
                const AttentionSpec& spec, const PositionScheme& positions, std::span<const int32_t> needed,
                Matrix hidden) const;
  PostNormConfig config_;
  std::vector<PostNormLayer> layers_;
  std::vector<size_t> order_;
};

// The rows that the last layer must give behind its attention; empty: all. Whoever looks at every layer sees every row.
std::span<const int32_t> NeededInLastLayer(const ForwardRequest& request, const ExecContext& ctx);

// A copy of `hidden` in the arena for ForwardRequest::all_layers.
void KeepLayer(const ForwardRequest& request, const ExecContext& ctx, Matrix hidden);

}  // namespace truevec

#endif  // TRUEVEC_MODELS_POST_NORM_ENCODER_H_
