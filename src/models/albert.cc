// ALBERT (Lan et al. 2019, arXiv 1909.11942): BERT with narrow embeddings and layers that share their weights.
// Reference: transformers/models/albert/modeling_albert.py.
#include "models/architectures.h"
#include "models/embeddings.h"
#include "models/heads.h"
#include "models/post_norm_encoder.h"

namespace truevec {
namespace {

constexpr int64_t kMax = int64_t{1} << 24;
constexpr PostNormNames kNames = {"attention.query",     "attention.key", "attention.value", "attention.dense",
                                  "attention.LayerNorm", "ffn",           "ffn_output",      "full_layer_layer_norm"};

struct AlbertConfig {
  EmbeddingsConfig embeddings;
  PostNormConfig encoder;
  int64_t groups = 1;
  int64_t inner = 1;  // layers of one group, run one after the other
};

Result<AlbertConfig> Parse(ConfigReader& config) {
  AlbertConfig c;
  TV_ASSIGN_OR_RETURN(c.embeddings.vocabulary, config.IntIn({"vocab_size"}, 1, kMax, 30000));
  TV_ASSIGN_OR_RETURN(c.embeddings.width, config.IntIn({"embedding_size"}, 1, kMax, 128));
  TV_ASSIGN_OR_RETURN(c.embeddings.positions, config.IntIn({"max_position_embeddings"}, 1, kMax, 512));
  TV_ASSIGN_OR_RETURN(c.embeddings.types, config.IntIn({"type_vocab_size"}, 1, kMax, 2));
  TV_ASSIGN_OR_RETURN(c.encoder.hidden, config.IntIn({"hidden_size"}, 1, kMax, 4096));
  TV_ASSIGN_OR_RETURN(c.encoder.layers, config.IntIn({"num_hidden_layers"}, 0, 1024, 12));
  TV_ASSIGN_OR_RETURN(c.encoder.heads, config.IntIn({"num_attention_heads"}, 1, kMax, 64));
  TV_ASSIGN_OR_RETURN(c.encoder.intermediate, config.IntIn({"intermediate_size"}, 1, kMax, 16384));
  TV_ASSIGN_OR_RETURN(c.groups, config.IntIn({"num_hidden_groups"}, 1, 1024, 1));
  TV_ASSIGN_OR_RETURN(c.inner, config.IntIn({"inner_group_num"}, 1, 1024, 1));
  TV_ASSIGN_OR_RETURN(c.encoder.eps, config.Double({"layer_norm_eps"}, 1e-12));
  c.embeddings.eps = c.encoder.eps;
  TV_ASSIGN_OR_RETURN(c.encoder.activation, ReadActivation(config, {"hidden_act"}, "gelu_new"));
  TV_RETURN_IF_ERROR(config.OneOf({"position_embedding_type"}, {"absolute"}, "absolute").status());
  TV_RETURN_IF_ERROR(CheckHeads(config, "num_attention_heads", c.encoder));
  config.Ignore({"classifier_dropout_prob", "down_scale_factor", "gap_size", "net_structure_type", "num_memory_blocks",
                 "chunk_size_feed_forward"});
  return c;
}

class Albert : public Model {
 public:
  static Result<std::unique_ptr<Albert>> Load(const AlbertConfig& c, const WeightScope& w, ComputeType type) {
    auto albert = std::make_unique<Albert>();
    TV_ASSIGN_OR_RETURN(albert->embeddings_, Embeddings::Load(c.embeddings, w.Sub("embeddings")));
    const WeightScope encoder = w.Sub("encoder");
    TV_ASSIGN_OR_RETURN(albert->projection_, LoadLinear(encoder.Sub("embedding_hidden_mapping_in"), c.embeddings.width,
                                                        c.encoder.hidden, type));
    std::vector<PostNormLayer> layers;
    for (int64_t g = 0; g < c.groups; ++g) {
      for (int64_t i = 0; i < c.inner; ++i) {
        const WeightScope scope = encoder.Sub("albert_layer_groups", g).Sub("albert_layers", i);
        TV_ASSIGN_OR_RETURN(PostNormLayer layer, PostNormLayer::Load(c.encoder, kNames, scope, type));
        layers.push_back(std::move(layer));
      }
    }
    std::vector<size_t> order;
    for (int64_t n = 0; n < c.encoder.layers; ++n) {
      // int(n / (layers / groups)), in floating point as there
      const auto group = static_cast<int64_t>(static_cast<double>(n) /
                                              (static_cast<double>(c.encoder.layers) / static_cast<double>(c.groups)));
      for (int64_t i = 0; i < c.inner; ++i) order.push_back(static_cast<size_t>(group * c.inner + i));
    }
    if (order.empty()) layers.clear();
    albert->encoder_ = PostNormEncoder(c.encoder, std::move(layers), std::move(order));
    return albert;
  }

  int64_t hidden_size() const override { return encoder_.config().hidden; }
  int64_t vocabulary_size() const override { return embeddings_.config().vocabulary; }
  int64_t max_positions() const override { return embeddings_.max_positions(); }
  bool limits_keys() const override { return true; }
  const Embeddings& embeddings() const { return embeddings_; }

  Status Forward(const ForwardRequest& request, const ExecContext& ctx, Matrix hidden) const override {
    {
      const Arena::Scope scope(ctx.arena);
      const Matrix narrow = ctx.arena->NewMatrix(hidden.rows, embeddings_.config().width);
      TV_RETURN_IF_ERROR(embeddings_.Forward(request.batch, ctx, narrow));
      Apply(ctx, projection_, narrow, hidden);
    }
    encoder_.Forward(request, ctx, {}, hidden);
    return Status::Ok();
  }

 private:
  Embeddings embeddings_;
  Linear projection_;
  PostNormEncoder encoder_;
};

Result<std::unique_ptr<Head>> LoadHead(const AlbertConfig& c, const WeightScope& weights, const WeightScope& root,
                                       const Albert& albert, const ModelOptions& options) {
  if (options.task == Task::kSequenceClassification) {
    return LoadFirstTokenHead(root.Sub("pooler"), Activation::kTanh, weights.Sub("classifier"), c.encoder.hidden,
                              options.compute_type);
  }
  const WeightScope head = weights.Sub("predictions");
  TensorView decoder = albert.embeddings().words();
  if (head.Has("decoder.weight")) {
    TV_ASSIGN_OR_RETURN(decoder, head.Get("decoder.weight", decoder.shape));
  }
  TV_ASSIGN_OR_RETURN(const TensorView bias, head.Get("bias", {c.embeddings.vocabulary}));
  head.Ignore("decoder.bias");
  return LoadMlmHead({head.Sub("dense"), head.Sub("LayerNorm"), c.encoder.eps, c.encoder.activation, decoder, bias},
                     c.encoder.hidden, options.compute_type);
}

}  // namespace

Result<LoadedModel> LoadAlbert(ConfigReader& config, const WeightScope& weights, const ModelOptions& options) {
  TV_ASSIGN_OR_RETURN(const AlbertConfig c, Parse(config));
  if (options.task == Task::kCausalLm) {
    return config.Refuse("architectures", "a causal head on an encoder is not supported");
  }
  const WeightScope root = weights.HasAnyUnder("albert") ? weights.Sub("albert") : weights;
  TV_ASSIGN_OR_RETURN(std::unique_ptr<Albert> albert, Albert::Load(c, root, options.compute_type));
  LoadedModel loaded;
  if (options.task != Task::kFeatureExtraction) {
    TV_ASSIGN_OR_RETURN(loaded.head, LoadHead(c, weights, root, *albert, options));
  }
  loaded.model = std::move(albert);
  root.IgnoreUnder("pooler");
  for (const char* head : {"predictions", "sop_classifier", "classifier"}) weights.IgnoreUnder(head);
  return loaded;
}

}  // namespace truevec
