// Loading of post-norm layers with rotary positions (NomicBERT, GTE, Jina v3), each published under two sets of names:
// the publisher's, with fused products, and transformers' own.
#ifndef TRUEVEC_MODELS_ROTARY_LAYERS_H_
#define TRUEVEC_MODELS_ROTARY_LAYERS_H_

#include "models/embeddings.h"
#include "models/post_norm_encoder.h"
#include "models/rope.h"

namespace truevec {

// Names under one layer's scope. A fused name that is not in the checkpoint gives way to the separate ones.
struct RotaryLayerNames {
  std::string_view qkv;                // [3 width, width]
  std::string_view query, key, value;  // or these
  std::string_view attention_output;
  std::string_view attention_norm;
  std::string_view gate_up;        // [2 inner, width], `first` rows first
  std::string_view first, second;  // or these
  std::string_view down;
  std::string_view output_norm;
};

// Which names a checkpoint uses: publisher's when `published` + ".0." has tensors under `root`.
struct RotaryNaming {
  std::string_view layers;  // "encoder.layer"
  RotaryLayerNames names;
};
// transformers' own names for them, the same in nomic_bert and gte.
inline constexpr RotaryNaming kNativeRotaryNaming = {
    "layers",
    {"", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "post_attention_layernorm", "",
     "mlp.up_proj", "mlp.gate_proj", "mlp.down_proj", "post_mlp_layernorm"}};
const RotaryNaming& ChooseNaming(const WeightScope& root, const RotaryNaming& published, const RotaryNaming& native);

Result<Linear> LoadQkv(const WeightScope& layer, const RotaryLayerNames& names, int64_t width, bool bias,
                       ComputeType type);
Result<Linear> LoadGateUp(const WeightScope& layer, const RotaryLayerNames& names, int64_t width, int64_t inner,
                          bool bias, ComputeType type);

// Embeddings without positions, then post-norm layers with one rope.
class RotaryEncoder : public Model {
 public:
  RotaryEncoder(Embeddings embeddings, PostNormEncoder encoder, RotaryEmbedding rope)
      : embeddings_(std::move(embeddings)), encoder_(std::move(encoder)), rope_(std::move(rope)) {}
  int64_t hidden_size() const override { return encoder_.config().hidden; }
  int64_t vocabulary_size() const override { return embeddings_.config().vocabulary; }
  int64_t max_positions() const override { return embeddings_.max_positions(); }
  bool limits_keys() const override { return true; }
  Status Forward(const ForwardRequest& request, const ExecContext& ctx, Matrix hidden) const override;

 private:
  Embeddings embeddings_;
  PostNormEncoder encoder_;
  RotaryEmbedding rope_;
};

}  // namespace truevec

#endif  // TRUEVEC_MODELS_ROTARY_LAYERS_H_
