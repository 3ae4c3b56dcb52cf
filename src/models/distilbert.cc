// DistilBERT (Sanh et al. 2019, arXiv 1910.01108): BERT's encoder without types, LayerNorm eps fixed at 1e-12.
// Reference: transformers/models/distilbert/modeling_distilbert.py.
#include "models/architectures.h"
#include "models/embeddings.h"
#include "models/heads.h"
#include "models/post_norm_encoder.h"

namespace truevec {
namespace {

constexpr PostNormNames kNames = {"attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin",
                                  "sa_layer_norm",   "ffn.lin1",        "ffn.lin2",        "output_layer_norm"};

class DistilBert : public Model {
 public:
  DistilBert(Embeddings embeddings, PostNormEncoder encoder)
      : embeddings_(std::move(embeddings)), encoder_(std::move(encoder)) {}
  int64_t hidden_size() const override { return encoder_.config().hidden; }
  int64_t vocabulary_size() const override { return embeddings_.config().vocabulary; }
  int64_t max_positions() const override { return embeddings_.max_positions(); }
  bool limits_keys() const override { return true; }
  Status Forward(const ForwardRequest& request, const ExecContext& ctx, Matrix hidden) const override {
    TV_RETURN_IF_ERROR(embeddings_.Forward(request.batch, ctx, hidden));
    encoder_.Forward(request, ctx, {}, hidden);
    return Status::Ok();
  }

 private:
  Embeddings embeddings_;
  PostNormEncoder encoder_;
};

Result<std::unique_ptr<Head>> LoadHead(const WeightScope& weights, const Embeddings& embeddings,
                                       const PostNormConfig& c, const ModelOptions& options) {
  if (options.task == Task::kSequenceClassification) {
    return LoadFirstTokenHead(weights.Sub("pre_classifier"), Activation::kRelu, weights.Sub("classifier"), c.hidden,
                              options.compute_type);
  }
  const WeightScope projector = weights.Sub("vocab_projector");
  TensorView decoder = embeddings.words();
  if (projector.Has("weight")) {
    TV_ASSIGN_OR_RETURN(decoder, projector.Get("weight", embeddings.words().shape));
  }
  TV_ASSIGN_OR_RETURN(const TensorView bias, projector.Get("bias", {embeddings.config().vocabulary}));
  return LoadMlmHead(
      {weights.Sub("vocab_transform"), weights.Sub("vocab_layer_norm"), c.eps, c.activation, decoder, bias}, c.hidden,
      options.compute_type);
}

}  // namespace

Result<LoadedModel> LoadDistilBert(ConfigReader& config, const WeightScope& weights, const ModelOptions& options) {
  constexpr int64_t kMax = int64_t{1} << 24;
  EmbeddingsConfig e;
  PostNormConfig c;
  TV_ASSIGN_OR_RETURN(e.vocabulary, config.IntIn({"vocab_size"}, 1, kMax, 30522));
  TV_ASSIGN_OR_RETURN(e.positions, config.IntIn({"max_position_embeddings"}, 1, kMax, 512));
  TV_ASSIGN_OR_RETURN(c.hidden, config.IntIn({"dim", "hidden_size"}, 1, kMax, 768));
  TV_ASSIGN_OR_RETURN(c.layers, config.IntIn({"n_layers", "num_hidden_layers"}, 0, 1024, 6));
  TV_ASSIGN_OR_RETURN(c.heads, config.IntIn({"n_heads", "num_attention_heads"}, 1, kMax, 12));
  TV_ASSIGN_OR_RETURN(c.intermediate, config.IntIn({"hidden_dim"}, 1, kMax, 3072));
  TV_ASSIGN_OR_RETURN(c.activation, ReadActivation(config, {"activation"}, "gelu"));
  c.eps = e.eps = 1e-12;
  e.width = c.hidden;
  TV_RETURN_IF_ERROR(CheckHeads(config, "n_heads", c));
  config.Ignore({"sinusoidal_pos_embds", "dropout", "attention_dropout", "qa_dropout", "seq_classif_dropout"});
  const WeightScope root = weights.HasAnyUnder("distilbert") ? weights.Sub("distilbert") : weights;
  TV_ASSIGN_OR_RETURN(Embeddings embeddings, Embeddings::Load(e, root.Sub("embeddings")));
  TV_ASSIGN_OR_RETURN(PostNormEncoder encoder,
                      PostNormEncoder::Load(c, kNames, root, "transformer.layer", options.compute_type));
  LoadedModel loaded;
  if (options.task == Task::kCausalLm) {
    return config.Refuse("architectures", "a causal head on an encoder is not supported");
  }
  if (options.task != Task::kFeatureExtraction) {
    TV_ASSIGN_OR_RETURN(loaded.head, LoadHead(weights, embeddings, c, options));
  }
  loaded.model = std::make_unique<DistilBert>(std::move(embeddings), std::move(encoder));
  for (const char* head : {"vocab_transform", "vocab_layer_norm", "vocab_projector", "pre_classifier", "classifier"}) {
    weights.IgnoreUnder(head);
  }
  return loaded;
}

}  // namespace truevec
