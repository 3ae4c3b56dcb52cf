// ModernBERT (Warner et al. 2024, arXiv 2412.13663): pre-norm without biases, rotary positions, gated feed-forward,
// local attention windows between global layers, each kind with its own theta.
// Reference: transformers/models/modernbert/modeling_modernbert.py.
#include <cmath>
#include <optional>

#include "models/architectures.h"
#include "models/heads.h"
#include "models/post_norm_encoder.h"
#include "models/rope.h"

namespace truevec {
namespace {

constexpr int64_t kMax = int64_t{1} << 24;

struct ModernBertConfig {
  int64_t vocabulary = 0, hidden = 0, heads = 0, layers = 0, inner = 0, window = 0;
  double eps = 0;
  bool norm_bias = false, attention_bias = false, mlp_bias = false, decoder_bias = true, classifier_bias = false;
  bool mean_pooling = false;  // of the classification head
  Activation activation = Activation::kGelu, classifier_activation = Activation::kGelu;
  std::vector<bool> local;  // per layer
  RotaryEmbedding global_rope, local_rope;
};

// layer_types, or every global_attn_every_n_layers-th layer is global.
Status ReadLayerTypes(ConfigReader& config, ModernBertConfig* c) {
  TV_ASSIGN_OR_RETURN(const int64_t period, config.IntIn({"global_attn_every_n_layers"}, 1, 1024, 3));
  const JsonRef types = config.Raw({"layer_types"});
  const bool over = config.overrides() != nullptr && config.overrides()->Use("global_attn_every_n_layers") != nullptr;
  if (!types.is_array() || over) {
    for (int64_t i = 0; i < c->layers; ++i) c->local.push_back(i % period != 0);
    return Status::Ok();
  }
  for (size_t i = 0; i < types.size(); ++i) {
    TV_ASSIGN_OR_RETURN(const std::string type, types.At(i).String());
    if (type != "full_attention" && type != "sliding_attention") {
      return config.Refuse("layer_types", "\"" + type + "\" is not supported");
    }
    c->local.push_back(type == "sliding_attention");
  }
  if (static_cast<int64_t>(c->local.size()) != c->layers) {
    return config.Refuse("layer_types", "expected " + std::to_string(c->layers) + " entries");
  }
  return Status::Ok();
}

Status ReadHeadKeys(ConfigReader& config, ModernBertConfig* c) {
  TV_ASSIGN_OR_RETURN(const std::string pooling, config.OneOf({"classifier_pooling"}, {"cls", "mean"}, "cls"));
  c->mean_pooling = pooling == "mean";
  TV_ASSIGN_OR_RETURN(c->classifier_bias, config.Bool({"classifier_bias"}, false));
  TV_ASSIGN_OR_RETURN(c->decoder_bias, config.Bool({"decoder_bias"}, true));
  TV_ASSIGN_OR_RETURN(c->classifier_activation, ReadActivation(config, {"classifier_activation"}, "gelu"));
  config.Ignore({"embedding_dropout", "mlp_dropout", "initializer_cutoff_factor", "deterministic_flash_attn",
                 "sparse_prediction", "sparse_pred_ignore_index", "reference_compile", "repad_logits_with_grad"});
  return Status::Ok();
}

Result<ModernBertConfig> Parse(ConfigReader& config) {
  ModernBertConfig c;
  TV_ASSIGN_OR_RETURN(c.vocabulary, config.IntIn({"vocab_size"}, 1, kMax, 50368));
  TV_ASSIGN_OR_RETURN(c.hidden, config.IntIn({"hidden_size"}, 1, kMax, 768));
  TV_ASSIGN_OR_RETURN(c.layers, config.IntIn({"num_hidden_layers"}, 0, 1024, 22));
  TV_ASSIGN_OR_RETURN(c.heads, config.IntIn({"num_attention_heads"}, 1, kMax, 12));
  TV_ASSIGN_OR_RETURN(c.inner, config.IntIn({"intermediate_size"}, 1, kMax, 1152));
  TV_ASSIGN_OR_RETURN(c.window, config.IntIn({"local_attention"}, 2, kMax, 128));
  TV_ASSIGN_OR_RETURN(c.eps, config.Double({"norm_eps"}, 1e-5));
  config.Ignore({"layer_norm_eps"});  // in published files, read by nothing
  TV_ASSIGN_OR_RETURN(c.norm_bias, config.Bool({"norm_bias"}, false));
  TV_ASSIGN_OR_RETURN(c.attention_bias, config.Bool({"attention_bias"}, false));
  TV_ASSIGN_OR_RETURN(c.mlp_bias, config.Bool({"mlp_bias"}, false));
  TV_ASSIGN_OR_RETURN(c.activation, ReadActivation(config, {"hidden_activation"}, "gelu"));
  TV_RETURN_IF_ERROR(config.OneOf({"position_embedding_type"}, {"absolute"}, "absolute").status());
  PostNormConfig heads;
  heads.hidden = c.hidden;
  heads.heads = c.heads;
  TV_RETURN_IF_ERROR(CheckHeads(config, "num_attention_heads", heads));
  TV_RETURN_IF_ERROR(ReadLayerTypes(config, &c));
  TV_RETURN_IF_ERROR(ReadHeadKeys(config, &c));
  RopeKeys keys;
  keys.head_dim = c.hidden / c.heads;
  TV_ASSIGN_OR_RETURN(keys.max_positions, config.IntIn({"max_position_embeddings"}, 1, kMax, 8192));
  keys.layer_type = "full_attention";
  keys.theta = "global_rope_theta";
  keys.default_theta = 160000;
  TV_ASSIGN_OR_RETURN(c.global_rope, RotaryEmbedding::Read(config, keys));
  keys.layer_type = "sliding_attention";
  keys.theta = "local_rope_theta";
  keys.default_theta = 10000;
  TV_ASSIGN_OR_RETURN(c.local_rope, RotaryEmbedding::Read(config, keys));
  return c;
}

struct ModernBertLayer {
  std::optional<NormWeights> attention_norm;  // the first layer has none
  Linear qkv;
  Linear output;
  NormWeights feed_forward_norm;
  std::unique_ptr<FeedForward> feed_forward;
};

Result<ModernBertLayer> LoadLayer(const ModernBertConfig& c, const WeightScope& w, bool first, ComputeType type) {
  ModernBertLayer layer;
  if (!first) {
    TV_ASSIGN_OR_RETURN(layer.attention_norm, NormWeights::Load(w.Sub("attn_norm"), c.hidden, c.eps, c.norm_bias));
  }
  TV_ASSIGN_OR_RETURN(layer.qkv, LoadLinear(w.Sub("attn.Wqkv"), c.hidden, 3 * c.hidden, type, c.attention_bias));
  TV_ASSIGN_OR_RETURN(layer.output, LoadLinear(w.Sub("attn.Wo"), c.hidden, c.hidden, type, c.attention_bias));
  TV_ASSIGN_OR_RETURN(layer.feed_forward_norm, NormWeights::Load(w.Sub("mlp_norm"), c.hidden, c.eps, c.norm_bias));
  TV_ASSIGN_OR_RETURN(Linear both, LoadLinear(w.Sub("mlp.Wi"), c.hidden, 2 * c.inner, type, c.mlp_bias));
  TV_ASSIGN_OR_RETURN(Linear down, LoadLinear(w.Sub("mlp.Wo"), c.inner, c.hidden, type, c.mlp_bias));
  layer.feed_forward = GatedFeedForward(std::move(both), true, c.activation, std::move(down));
  return layer;
}

class ModernBert : public Model {
 public:
  static Result<std::unique_ptr<ModernBert>> Load(ModernBertConfig c, const WeightScope& w, ComputeType type) {
    auto model = std::make_unique<ModernBert>();
    model->store_ = w.store();
    TV_ASSIGN_OR_RETURN(model->words_, w.Get("embeddings.tok_embeddings.weight", {c.vocabulary, c.hidden}));
    TV_ASSIGN_OR_RETURN(model->embedding_norm_,
                        NormWeights::Load(w.Sub("embeddings.norm"), c.hidden, c.eps, c.norm_bias));
    for (int64_t i = 0; i < c.layers; ++i) {
      TV_ASSIGN_OR_RETURN(ModernBertLayer layer, LoadLayer(c, w.Sub("layers", i), i == 0, type));
      model->layers_.push_back(std::move(layer));
    }
    TV_ASSIGN_OR_RETURN(model->final_norm_, NormWeights::Load(w.Sub("final_norm"), c.hidden, c.eps, c.norm_bias));
    model->c_ = std::move(c);
    return model;
  }

  int64_t hidden_size() const override { return c_.hidden; }
  int64_t vocabulary_size() const override { return c_.vocabulary; }
  int64_t max_positions() const override { return 0; }
  bool limits_keys() const override { return true; }
  const TensorView& words() const { return words_; }

  Status Forward(const ForwardRequest& request, const ExecContext& ctx, Matrix hidden) const override {
    TV_RETURN_IF_ERROR(CheckIds(request.batch, c_.vocabulary));
    EmbeddingLookup(ctx, words_, request.batch.ids, false, hidden);
    embedding_norm_.Apply(ctx, hidden, hidden);
    ctx.Record("embeddings", hidden);
    KeepLayer(request, ctx, hidden);
    const BatchRope global = c_.global_rope.ForBatch(request.batch, ctx);
    const BatchRope local = c_.local_rope.ForBatch(request.batch, ctx);
    const std::span<const int32_t> needed = NeededInLastLayer(request, ctx);
    for (size_t i = 0; i < layers_.size(); ++i) {
      const bool is_local = c_.local[i];
      RunLayer(layers_[i], static_cast<int>(i), request.batch, ctx, is_local ? local : global,
               is_local ? c_.window / 2 : -1, i + 1 == layers_.size() ? needed : std::span<const int32_t>(), hidden);
      if (i + 1 < layers_.size()) KeepLayer(request, ctx, hidden);
    }
    final_norm_.Apply(ctx, hidden, hidden);
    ctx.Record("norm", hidden);
    if (!layers_.empty()) KeepLayer(request, ctx, hidden);
    return Status::Ok();
  }

 private:
  // `window` keys on each side are visible, -1: all. needed: the rows to give, empty: all.
  void RunLayer(const ModernBertLayer& layer, int index, const PackedBatch& batch, const ExecContext& ctx,
                const BatchRope& rope, int64_t window, std::span<const int32_t> needed, Matrix hidden) const {
    const Arena::Scope scope(ctx.arena);
    const int64_t width = c_.hidden;
    AttentionSpec spec;
    spec.heads = spec.kv_heads = c_.heads;
    spec.head_dim = width / c_.heads;
    spec.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(spec.head_dim)));
    spec.window_left = spec.window_right = window;
    spec.key_counts = batch.key_counts;
    const Matrix normed = ctx.arena->NewMatrix(hidden.rows, width);
    if (layer.attention_norm) layer.attention_norm->Apply(ctx, hidden, normed);
    const Matrix qkv = ctx.arena->NewMatrix(hidden.rows, 3 * width);
    Apply(ctx, layer.qkv, layer.attention_norm ? normed : hidden, qkv);
    const Matrix q = qkv.Columns(0, width);
    const Matrix k = qkv.Columns(width, width);
    rope.Apply(ctx, spec.head_dim, q);
    rope.Apply(ctx, spec.head_dim, k);
    Matrix context = ctx.arena->NewMatrix(hidden.rows, width);
    Attention(ctx, spec, batch.offsets, q, k, qkv.Columns(2 * width, width), context);
    ctx.Record(index, "attention.self", context);
    const Matrix x = KeepNeeded(ctx, needed, hidden, &context);
    const ConstMatrix residual = x;
    Apply(ctx, layer.output, context, x, Activation::kNone, &residual);
    ctx.Record(index, "attention.output", x);
    const Matrix normed_x = normed.Rows(0, x.rows);
    layer.feed_forward_norm.Apply(ctx, x, normed_x);
    const Matrix branch = ctx.arena->NewMatrix(x.rows, width);
    layer.feed_forward->Forward(ctx, index, normed_x, branch);
    Add(ctx, x, branch, x);
    if (!needed.empty()) ScatterRows(x, needed, hidden);
    ctx.Record(index, "output", hidden);
  }

  ModernBertConfig c_;
  std::shared_ptr<const WeightStore> store_;
  TensorView words_;
  NormWeights embedding_norm_;
  std::vector<ModernBertLayer> layers_;
  NormWeights final_norm_;
};

Result<std::unique_ptr<Head>> LoadHead(const ModernBertConfig& c, const WeightScope& weights, const TensorView& words,
                                       const ModelOptions& options) {
  const WeightScope head = weights.Sub("head");
  if (options.task == Task::kSequenceClassification) {
    PooledHeadWeights w{head.Sub("dense"), c.classifier_bias, c.classifier_activation, {}, weights.Sub("classifier")};
    TV_ASSIGN_OR_RETURN(w.norm, NormWeights::Load(head.Sub("norm"), c.hidden, c.eps, c.norm_bias));
    return LoadPooledHead(w, c.mean_pooling ? TokenPooling::kMean : TokenPooling::kFirst, c.hidden,
                          options.compute_type);
  }
  MlmHeadWeights w{head.Sub("dense"), head.Sub("norm"), c.eps, c.classifier_activation, words, {}};
  w.dense_bias = c.classifier_bias;
  w.norm_bias = c.norm_bias;
  if (weights.Has("decoder.weight")) {
    TV_ASSIGN_OR_RETURN(w.decoder, weights.Get("decoder.weight", words.shape));
  }
  if (c.decoder_bias) {
    TV_ASSIGN_OR_RETURN(w.bias, weights.Get("decoder.bias", {c.vocabulary}));
  }
  return LoadMlmHead(w, c.hidden, options.compute_type);
}

}  // namespace

Result<LoadedModel> LoadModernBert(ConfigReader& config, const WeightScope& weights, const ModelOptions& options) {
  TV_ASSIGN_OR_RETURN(const ModernBertConfig c, Parse(config));
  if (options.task == Task::kCausalLm) {
    return config.Refuse("architectures", "a causal head on an encoder is not supported");
  }
  const WeightScope root = weights.HasAnyUnder("model") ? weights.Sub("model") : weights;
  TV_ASSIGN_OR_RETURN(std::unique_ptr<ModernBert> model, ModernBert::Load(c, root, options.compute_type));
  LoadedModel loaded;
  if (options.task != Task::kFeatureExtraction) {
    TV_ASSIGN_OR_RETURN(loaded.head, LoadHead(c, weights, model->words(), options));
  }
  loaded.model = std::move(model);
  for (const char* head : {"head", "decoder", "classifier"}) weights.IgnoreUnder(head);
  return loaded;
}

}  // namespace truevec
