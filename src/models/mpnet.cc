// MPNet (Song et al. 2020, arXiv 2004.09297): BERT's encoder with RoBERTa's positions (padding id 1, hard-coded), no
// types, and one relative position bias that all layers add to their scores.
// Reference: transformers/models/mpnet/modeling_mpnet.py.
#include <algorithm>
#include <cmath>

#include "models/architectures.h"
#include "models/embeddings.h"
#include "models/heads.h"
#include "models/post_norm_encoder.h"
#include "models/relative_bias.h"

namespace truevec {
namespace {

constexpr PostNormNames kNames = {"attention.attn.q",    "attention.attn.k",   "attention.attn.v", "attention.attn.o",
                                  "attention.LayerNorm", "intermediate.dense", "output.dense",     "output.LayerNorm"};
constexpr int32_t kPaddingId = 1;
constexpr int64_t kMaxDistance = 128;

class Mpnet : public Model {
 public:
  Mpnet(Embeddings embeddings, PostNormEncoder encoder, RelativeBias bias)
      : embeddings_(std::move(embeddings)), encoder_(std::move(encoder)), bias_(std::move(bias)) {}
  int64_t hidden_size() const override { return encoder_.config().hidden; }
  int64_t vocabulary_size() const override { return embeddings_.config().vocabulary; }
  int64_t max_positions() const override { return embeddings_.max_positions(); }
  bool limits_keys() const override { return true; }
  Status Forward(const ForwardRequest& request, const ExecContext& ctx, Matrix hidden) const override {
    TV_RETURN_IF_ERROR(embeddings_.Forward(request.batch, ctx, hidden));
    PositionScheme positions;
    positions.relative_bias = bias_.values.data();
    positions.relative_span = bias_.span;
    encoder_.Forward(request, ctx, positions, hidden);
    return Status::Ok();
  }

 private:
  Embeddings embeddings_;
  PostNormEncoder encoder_;
  RelativeBias bias_;
};

Result<std::unique_ptr<Head>> LoadHead(const WeightScope& weights, const Embeddings& embeddings,
                                       const PostNormConfig& c, const ModelOptions& options) {
  if (options.task == Task::kSequenceClassification) {
    const WeightScope classifier = weights.Sub("classifier");
    return LoadFirstTokenHead(classifier.Sub("dense"), Activation::kTanh, classifier.Sub("out_proj"), c.hidden,
                              options.compute_type);
  }
  const WeightScope head = weights.Sub("lm_head");
  TensorView decoder = embeddings.words();
  if (head.Has("decoder.weight")) {
    TV_ASSIGN_OR_RETURN(decoder, head.Get("decoder.weight", embeddings.words().shape));
  }
  TV_ASSIGN_OR_RETURN(const TensorView bias, head.Get("bias", {embeddings.config().vocabulary}));
  return LoadMlmHead({head.Sub("dense"), head.Sub("layer_norm"), c.eps, Activation::kGelu, decoder, bias}, c.hidden,
                     options.compute_type);
}

}  // namespace

Result<LoadedModel> LoadMpnet(ConfigReader& config, const WeightScope& weights, const ModelOptions& options) {
  constexpr int64_t kMax = int64_t{1} << 24;
  EmbeddingsConfig e;
  PostNormConfig c;
  TV_ASSIGN_OR_RETURN(e.vocabulary, config.IntIn({"vocab_size"}, 1, kMax, 30527));
  TV_ASSIGN_OR_RETURN(e.positions, config.IntIn({"max_position_embeddings"}, kPaddingId + 2, kMax, 512));
  TV_ASSIGN_OR_RETURN(c.hidden, config.IntIn({"hidden_size"}, 1, kMax, 768));
  TV_ASSIGN_OR_RETURN(c.layers, config.IntIn({"num_hidden_layers"}, 0, 1024, 12));
  TV_ASSIGN_OR_RETURN(c.heads, config.IntIn({"num_attention_heads"}, 1, kMax, 12));
  TV_ASSIGN_OR_RETURN(c.intermediate, config.IntIn({"intermediate_size"}, 1, kMax, 3072));
  TV_ASSIGN_OR_RETURN(c.eps, config.Double({"layer_norm_eps"}, 1e-12));
  TV_ASSIGN_OR_RETURN(const int64_t buckets, config.IntIn({"relative_attention_num_buckets"}, 4, 4096, 32));
  TV_ASSIGN_OR_RETURN(c.activation, ReadActivation(config, {"hidden_act"}, "gelu"));
  e.eps = c.eps;
  e.width = c.hidden;
  e.padding_id = kPaddingId;
  TV_RETURN_IF_ERROR(CheckHeads(config, "num_attention_heads", c));
  const WeightScope root = weights.HasAnyUnder("mpnet") ? weights.Sub("mpnet") : weights;
  TV_ASSIGN_OR_RETURN(Embeddings embeddings, Embeddings::Load(e, root.Sub("embeddings")));
  TV_ASSIGN_OR_RETURN(PostNormEncoder encoder,
                      PostNormEncoder::Load(c, kNames, root, "encoder.layer", options.compute_type));
  TV_ASSIGN_OR_RETURN(const std::vector<float> table,
                      root.GetFloats("encoder.relative_attention_bias.weight", {buckets, c.heads}));
  LoadedModel loaded;
  if (options.task == Task::kCausalLm) {
    return config.Refuse("architectures", "a causal head on an encoder is not supported");
  }
  if (options.task != Task::kFeatureExtraction) {
    TV_ASSIGN_OR_RETURN(loaded.head, LoadHead(weights, embeddings, c, options));
  }
  RelativeBias bias = BucketedBias(table, buckets, c.heads, kMaxDistance, true);
  loaded.model = std::make_unique<Mpnet>(std::move(embeddings), std::move(encoder), std::move(bias));
  root.IgnoreUnder("pooler");
  weights.IgnoreUnder("lm_head");
  weights.IgnoreUnder("classifier");
  return loaded;
}

}  // namespace truevec
