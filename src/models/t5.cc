// The encoders of T5 (Raffel et al. 2019, arXiv 1910.10683), mT5 and UMT5 (one position bias per layer), as
// sentence-t5, GTR and INSTRUCTOR use them: pre-norm with RMSNorm, no biases, unscaled scores plus a bucketed relative
// bias. Reference: transformers/models/{t5,mt5,umt5}/modeling_*.py (T5EncoderModel).
#include "models/architectures.h"
#include "models/feed_forward.h"
#include "models/post_norm_encoder.h"
#include "models/relative_bias.h"

namespace truevec {
namespace {

constexpr int64_t kMax = int64_t{1} << 24;

struct T5Config {
  int64_t vocabulary = 0, width = 0, head_dim = 0, heads = 0, inner = 0, layers = 0;
  int64_t buckets = 0, max_distance = 0;
  bool bias_per_layer = false;
  bool gated = false;
  Activation activation = Activation::kRelu;
  double eps = 0;
};

// "relu", "gated-gelu" (which means the tanh form) or "gated-<name>"; newer files repeat the parts in two more keys.
Status ReadFeedForward(ConfigReader& config, bool gated_default, T5Config* c) {
  TV_ASSIGN_OR_RETURN(const std::string form,
                      config.String({"feed_forward_proj"}, gated_default ? "gated-gelu" : "relu"));
  constexpr std::string_view kGated = "gated-";
  c->gated = form.starts_with(kGated);
  std::string name = c->gated ? form.substr(kGated.size()) : form;
  if (form == "gated-gelu") name = "gelu_new";
  // The reference lets the repetition win.
  TV_ASSIGN_OR_RETURN(name, config.String({"dense_act_fn"}, name));
  TV_ASSIGN_OR_RETURN(c->gated, config.Bool({"is_gated_act"}, c->gated));
  auto activation = ActivationByName(name);
  if (!activation.ok()) {
    return config.Refuse(config.Has("dense_act_fn") ? "dense_act_fn" : "feed_forward_proj",
                         activation.status().message());
  }
  c->activation = *activation;
  return Status::Ok();
}

Result<T5Config> Parse(ConfigReader& config) {
  T5Config c;
  TV_ASSIGN_OR_RETURN(const std::string type, config.String({"model_type"}));
  const bool original = type == "t5";
  c.bias_per_layer = type == "umt5";
  TV_ASSIGN_OR_RETURN(c.vocabulary, config.IntIn({"vocab_size"}, 1, kMax, original ? 32128 : 250112));
  TV_ASSIGN_OR_RETURN(c.width, config.IntIn({"d_model"}, 1, kMax, 512));
  TV_ASSIGN_OR_RETURN(c.head_dim, config.IntIn({"d_kv"}, 1, kMax, 64));
  TV_ASSIGN_OR_RETURN(c.heads, config.IntIn({"num_heads"}, 1, kMax, original ? 8 : 6));
  TV_ASSIGN_OR_RETURN(c.inner, config.IntIn({"d_ff"}, 1, kMax, original ? 2048 : 1024));
  TV_ASSIGN_OR_RETURN(c.layers, config.IntIn({"num_layers"}, 0, 1024, original ? 6 : 8));
  TV_ASSIGN_OR_RETURN(c.buckets, config.IntIn({"relative_attention_num_buckets"}, 4, 4096, 32));
  TV_ASSIGN_OR_RETURN(c.max_distance, config.IntIn({"relative_attention_max_distance"}, 2, 1 << 20, 128));
  TV_ASSIGN_OR_RETURN(c.eps, config.Double({"layer_norm_epsilon"}, 1e-6));
  if (c.max_distance <= c.buckets / 4) {
    return config.Refuse("relative_attention_max_distance", "must exceed a quarter of the buckets");
  }
  TV_RETURN_IF_ERROR(ReadFeedForward(config, !original, &c));
  TV_RETURN_IF_ERROR(config.RequireBool({"is_decoder"}, false));
  // The decoder half, generation and old bookkeeping.
  config.Ignore({"num_decoder_layers", "is_encoder_decoder", "dropout_rate", "task_specific_params", "n_positions",
                 "scale_decoder_outputs", "output_past", "tokenizer_class", "max_new_tokens",
                 "relative_attention_max_distance_decoder", "use_relative_attention_bias", "scalable_attention"});
  return c;
}

struct T5Layer {
  std::vector<float> attention_norm;
  Linear qkv;
  Linear output;
  std::vector<float> feed_forward_norm;
  std::unique_ptr<FeedForward> feed_forward;
  RelativeBias bias;  // empty: the first layer's
};

Result<T5Layer> LoadLayer(const T5Config& c, const WeightScope& w, bool has_bias, ComputeType type) {
  T5Layer layer;
  const WeightScope attention = w.Sub("layer.0.SelfAttention");
  const int64_t inner = c.heads * c.head_dim;
  TV_ASSIGN_OR_RETURN(layer.attention_norm, w.Sub("layer.0.layer_norm").GetFloats("weight", {c.width}));
  TV_ASSIGN_OR_RETURN(layer.qkv, LoadFusedLinear({attention.Sub("q"), attention.Sub("k"), attention.Sub("v")}, c.width,
                                                 {inner, inner, inner}, type, false));
  TV_ASSIGN_OR_RETURN(layer.output, LoadLinear(attention.Sub("o"), inner, c.width, type, false));
  if (has_bias) {
    TV_ASSIGN_OR_RETURN(const std::vector<float> table,
                        attention.GetFloats("relative_attention_bias.weight", {c.buckets, c.heads}));
    layer.bias = BucketedBias(table, c.buckets, c.heads, c.max_distance, true);
  }
  TV_ASSIGN_OR_RETURN(layer.feed_forward_norm, w.Sub("layer.1.layer_norm").GetFloats("weight", {c.width}));
  const WeightScope dense = w.Sub("layer.1.DenseReluDense");
  TV_ASSIGN_OR_RETURN(Linear down, LoadLinear(dense.Sub("wo"), c.inner, c.width, type, false));
  if (c.gated) {
    TV_ASSIGN_OR_RETURN(
        Linear both, LoadFusedLinear({dense.Sub("wi_0"), dense.Sub("wi_1")}, c.width, {c.inner, c.inner}, type, false));
    layer.feed_forward = GatedFeedForward(std::move(both), true, c.activation, std::move(down));
  } else {
    TV_ASSIGN_OR_RETURN(Linear up, LoadLinear(dense.Sub("wi"), c.width, c.inner, type, false));
    layer.feed_forward = PlainFeedForward(std::move(up), c.activation, std::move(down));
  }
  return layer;
}

class T5 : public Model {
 public:
  static Result<std::unique_ptr<T5>> Load(const T5Config& c, const WeightScope& weights, ComputeType type) {
    auto t5 = std::make_unique<T5>();
    t5->c_ = c;
    t5->store_ = weights.store();
    // One table under up to three names.
    const WeightScope encoder = weights.Sub("encoder");
    const bool shared = weights.Has("shared.weight");
    const WeightScope words = shared ? weights.Sub("shared") : encoder.Sub("embed_tokens");
    TV_ASSIGN_OR_RETURN(t5->words_, words.Get("weight", {c.vocabulary, c.width}));
    encoder.IgnoreUnder("embed_tokens");
    for (int64_t i = 0; i < c.layers; ++i) {
      const bool has_bias = i == 0 || c.bias_per_layer;
      TV_ASSIGN_OR_RETURN(T5Layer layer, LoadLayer(c, encoder.Sub("block", i), has_bias, type));
      t5->layers_.push_back(std::move(layer));
    }
    TV_ASSIGN_OR_RETURN(t5->final_norm_, encoder.Sub("final_layer_norm").GetFloats("weight", {c.width}));
    return t5;
  }

  int64_t hidden_size() const override { return c_.width; }
  int64_t vocabulary_size() const override { return c_.vocabulary; }
  int64_t max_positions() const override { return 0; }

  Status Forward(const ForwardRequest& request, const ExecContext& ctx, Matrix hidden) const override {
    TV_RETURN_IF_ERROR(CheckIds(request.batch, c_.vocabulary));
    EmbeddingLookup(ctx, words_, request.batch.ids, false, hidden);
    ctx.Record("embeddings", hidden);
    KeepLayer(request, ctx, hidden);
    const std::span<const int32_t> needed = NeededInLastLayer(request, ctx);
    for (size_t i = 0; i < layers_.size(); ++i) {
      RunLayer(layers_[i], static_cast<int>(i), request.batch, ctx,
               i + 1 == layers_.size() ? needed : std::span<const int32_t>(), hidden);
      if (i + 1 < layers_.size()) KeepLayer(request, ctx, hidden);
    }
    RmsNorm(ctx, hidden, final_norm_.data(), c_.eps, 0.0f, hidden);
    ctx.Record("norm", hidden);
    if (!layers_.empty()) KeepLayer(request, ctx, hidden);
    return Status::Ok();
  }

 private:
  // needed: the rows to give, empty: all.
  void RunLayer(const T5Layer& layer, int index, const PackedBatch& batch, const ExecContext& ctx,
                std::span<const int32_t> needed, Matrix hidden) const {
    const Arena::Scope scope(ctx.arena);
    const int64_t inner = c_.heads * c_.head_dim;
    const RelativeBias& bias = layer.bias.values.empty() ? layers_.front().bias : layer.bias;
    AttentionSpec spec;
    spec.heads = spec.kv_heads = c_.heads;
    spec.head_dim = c_.head_dim;
    spec.scale = 1.0f;
    spec.relative_bias = bias.values.data();
    spec.relative_span = bias.span;
    const Matrix normed = ctx.arena->NewMatrix(hidden.rows, c_.width);
    RmsNorm(ctx, hidden, layer.attention_norm.data(), c_.eps, 0.0f, normed);
    const Matrix qkv = ctx.arena->NewMatrix(hidden.rows, 3 * inner);
    Apply(ctx, layer.qkv, normed, qkv);
    Matrix context = ctx.arena->NewMatrix(hidden.rows, inner);
    Attention(ctx, spec, batch.offsets, qkv.Columns(0, inner), qkv.Columns(inner, inner), qkv.Columns(2 * inner, inner),
              context);
    ctx.Record(index, "attention.self", context);
    const Matrix x = KeepNeeded(ctx, needed, hidden, &context);
    const ConstMatrix residual = x;
    Apply(ctx, layer.output, context, x, Activation::kNone, &residual);
    ctx.Record(index, "attention.output", x);
    const Matrix normed_x = normed.Rows(0, x.rows);
    RmsNorm(ctx, x, layer.feed_forward_norm.data(), c_.eps, 0.0f, normed_x);
    const Matrix branch = ctx.arena->NewMatrix(x.rows, c_.width);
    layer.feed_forward->Forward(ctx, index, normed_x, branch);
    Add(ctx, x, branch, x);
    if (!needed.empty()) ScatterRows(x, needed, hidden);
    ctx.Record(index, "output", hidden);
  }

  T5Config c_;
  std::shared_ptr<const WeightStore> store_;
  TensorView words_;
  std::vector<T5Layer> layers_;
  std::vector<float> final_norm_;
};

}  // namespace

Result<LoadedModel> LoadT5(ConfigReader& config, const WeightScope& weights, const ModelOptions& options) {
  TV_ASSIGN_OR_RETURN(const T5Config c, Parse(config));
  if (options.task != Task::kFeatureExtraction) {
    return config.Refuse("architectures", "heads of T5 run through its decoder, which is not supported");
  }
  // XForSequenceClassification nests the model.
  const WeightScope root = weights.HasAnyUnder("transformer") ? weights.Sub("transformer") : weights;
  TV_ASSIGN_OR_RETURN(std::unique_ptr<T5> t5, T5::Load(c, root, options.compute_type));
  LoadedModel loaded;
  loaded.model = std::move(t5);
  root.IgnoreUnder("decoder");
  for (const char* head : {"lm_head", "classification_head", "qa_outputs", "classifier"}) weights.IgnoreUnder(head);
  return loaded;
}

}  // namespace truevec
