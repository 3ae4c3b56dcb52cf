// The pre-norm transformer with rotary positions that Llama, Mistral, Qwen2, Qwen3, Gemma and Phi-3 share, causal or
// bidirectional: x += attention(norm(x)), x += ffn(norm(x)), last a norm. What differs between them is a DecoderConfig.
#ifndef TRUEVEC_MODELS_DECODER_H_
#define TRUEVEC_MODELS_DECODER_H_

#include <vector>

#include "models/blocks.h"
#include "models/model.h"
#include "models/rope.h"

namespace truevec {

// One layer's view of the text. Windows are as AttentionSpec has them.
struct DecoderLayerKind {
  int64_t window_left = -1;
  int64_t window_right = -1;
  int rope = 0;  // index into DecoderConfig::ropes
};

struct DecoderConfig {
  int64_t vocabulary = 0, hidden = 0, layers = 0, heads = 0, kv_heads = 0, head_dim = 0, intermediate = 0;
  int64_t max_positions = 0;  // max_position_embeddings, which some rope scalings depend on
  double eps = 0;
  float norm_offset = 0;      // Gemma: 1
  bool branch_norms = false;  // Gemma 2 and 3: norms behind attention and feed-forward, before they are added
  bool head_norms = false;    // Qwen3, Gemma 3: RMSNorm of each query and key head
  bool qkv_bias = false, output_bias = false, mlp_bias = false;
  bool fused_names = false;  // Phi-3: one tensor qkv_proj and one gate_up_proj
  Activation activation = Activation::kSilu;
  double embedding_scale = 1;  // Gemma: sqrt(hidden)
  double attention_scale = 0;  // of q.k
  double softcap = 0;          // of scores; 0: none
  double logits_softcap = 0;   // of a language model's logits
  bool causal = true;
  bool tied = false;                    // the language model's head is the word table
  std::vector<DecoderLayerKind> kinds;  // one per layer
  std::vector<RotaryEmbedding> ropes;
};

class Decoder : public Model {
 public:
  static Result<std::unique_ptr<Decoder>> Load(DecoderConfig config, const WeightScope& root, ComputeType type);

  int64_t hidden_size() const override { return config_.hidden; }
  int64_t vocabulary_size() const override { return config_.vocabulary; }
  bool limits_keys() const override { return true; }
  int64_t max_positions() const override { return 0; }  // rotary: the reference takes any length
  // Records "embeddings", "layer.<i>.attention.self", ".attention.output", ".intermediate", ".output" and "norm".
  Status Forward(const ForwardRequest& request, const ExecContext& ctx, Matrix hidden) const override;
  const DecoderConfig& config() const { return config_; }
  const TensorView& words() const { return words_; }

 private:
  struct Layer {
    RmsWeights input_norm, attention_norm;  // attention_norm: behind the attention, with branch_norms
    RmsWeights ffn_norm, output_norm;       // output_norm: behind the feed-forward, with branch_norms
    RmsWeights query_norm, key_norm;
    Linear qkv, attention_output, gate_up, down;
  };
  static Result<Layer> LoadLayer(const DecoderConfig& c, const WeightScope& w, ComputeType type);
  Status CheckIds(const PackedBatch& batch) const;
  // out: `hidden` itself, or, when only the rows `needed` are, a copy of those; they receive the layer's attention.
  void RunAttention(const Layer& layer, int index, const PackedBatch& batch, const BatchRope& rope,
                    const ExecContext& ctx, ConstMatrix hidden, std::span<const int32_t> needed, Matrix out) const;
  void RunFeedForward(const Layer& layer, int index, const ExecContext& ctx, Matrix hidden) const;
  DecoderConfig config_;
  std::shared_ptr<const WeightStore> store_;  // keeps the word table mapped
  TensorView words_;                          // [vocabulary, hidden]
  std::vector<Layer> layers_;
  RmsWeights norm_;
};

// Builds the decoder and the head that options.task asks for, from a checkpoint with or without the prefix "model.":
// sequence classification is `score` at a text's last token that is not pad_token_id, a causal LM `lm_head`.
Result<LoadedModel> LoadDecoder(ConfigReader& config, const WeightScope& weights, const ModelOptions& options,
                                DecoderConfig c);

}  // namespace truevec

#endif  // TRUEVEC_MODELS_DECODER_H_
