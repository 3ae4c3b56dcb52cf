// DeBERTa-v2 and -v3 (He et al. 2020, arXiv 2006.03654; 2021, arXiv 2111.09543): attention scores of content with
// content plus content with relative positions, in logarithmic buckets; an optional convolution beside the first layer.
// Reference: transformers/models/deberta_v2/modeling_deberta_v2.py.
#include <algorithm>
#include <cmath>
#include <optional>

#include "models/architectures.h"
#include "models/disentangled.h"
#include "models/embeddings.h"
#include "models/heads.h"
#include "models/post_norm_encoder.h"
#include "models/token_convolution.h"

namespace truevec {
namespace {

constexpr int64_t kMax = int64_t{1} << 24;

struct DebertaConfig {
  EmbeddingsConfig embeddings;
  PostNormConfig encoder;
  DisentangledConfig positions;
  bool norm_positions = false;
  int64_t conv_kernel = 0, conv_groups = 1;
  Activation conv_activation = Activation::kTanh;
  Activation pooler_activation = Activation::kGelu;
  bool legacy_mlm = true;
};

// "c2p|p2c" or ["c2p", "p2c"]
Status ReadAttentionTypes(ConfigReader& config, DisentangledConfig* c) {
  const JsonRef ref = config.Raw({"pos_att_type"});
  std::vector<std::string> names;
  if (ref.is_array()) {
    for (size_t i = 0; i < ref.size(); ++i) {
      TV_ASSIGN_OR_RETURN(std::string name, ref.At(i).String());
      names.push_back(std::move(name));
    }
  } else if (ref.present() && !ref.is_null()) {
    TV_ASSIGN_OR_RETURN(const std::string list, ref.String());
    std::string name;
    for (const char ch : list + "|") {
      if (ch == '|') {
        if (!name.empty()) names.push_back(name);
        name.clear();
      } else if (ch != ' ') {
        name += static_cast<char>(ch >= 'A' && ch <= 'Z' ? ch + 32 : ch);
      }
    }
  }
  for (const std::string& name : names) {
    if (name != "c2p" && name != "p2c") {
      return config.Refuse("pos_att_type", "\"" + name + "\" is not supported; expected: c2p, p2c");
    }
    (name == "c2p" ? c->content_to_position : c->position_to_content) = true;
  }
  return Status::Ok();
}

Status ReadPositions(ConfigReader& config, DebertaConfig* c) {
  TV_ASSIGN_OR_RETURN(c->positions.relative, config.Bool({"relative_attention"}, false));
  TV_RETURN_IF_ERROR(ReadAttentionTypes(config, &c->positions));
  TV_ASSIGN_OR_RETURN(c->positions.max_distance, config.IntIn({"max_relative_positions"}, -1, kMax, -1));
  TV_ASSIGN_OR_RETURN(const int64_t positions, config.IntIn({"max_position_embeddings"}, 1, kMax, 512));
  if (c->positions.max_distance < 1) c->positions.max_distance = positions;
  TV_ASSIGN_OR_RETURN(c->positions.buckets, config.IntIn({"position_buckets"}, -1, kMax, -1));
  TV_ASSIGN_OR_RETURN(c->positions.shared, config.Bool({"share_att_key"}, false));
  if (c->positions.buckets > 0 && c->positions.max_distance - 1 <= c->positions.buckets / 2) {
    return config.Refuse("position_buckets", "needs max_relative_positions beyond half of the buckets");
  }
  TV_ASSIGN_OR_RETURN(const std::string norm, config.String({"norm_rel_ebd"}, "none"));
  if (norm != "none" && norm != "layer_norm") {
    return config.Refuse("norm_rel_ebd", "\"" + norm + "\" is not supported; expected: layer_norm, none");
  }
  c->norm_positions = norm == "layer_norm";
  TV_ASSIGN_OR_RETURN(const bool absolute, config.Bool({"position_biased_input"}, true));
  c->embeddings.positions = absolute ? positions : 0;
  return Status::Ok();
}

Result<DebertaConfig> Parse(ConfigReader& config) {
  DebertaConfig c;
  TV_ASSIGN_OR_RETURN(c.embeddings.vocabulary, config.IntIn({"vocab_size"}, 1, kMax, 128100));
  TV_ASSIGN_OR_RETURN(c.encoder.hidden, config.IntIn({"hidden_size"}, 1, kMax, 1536));
  TV_ASSIGN_OR_RETURN(c.encoder.layers, config.IntIn({"num_hidden_layers"}, 0, 1024, 24));
  TV_ASSIGN_OR_RETURN(c.encoder.heads, config.IntIn({"num_attention_heads"}, 1, kMax, 24));
  TV_ASSIGN_OR_RETURN(c.encoder.intermediate, config.IntIn({"intermediate_size"}, 1, kMax, 6144));
  TV_ASSIGN_OR_RETURN(c.embeddings.types, config.IntIn({"type_vocab_size"}, 0, kMax, 0));
  TV_ASSIGN_OR_RETURN(c.encoder.eps, config.Double({"layer_norm_eps"}, 1e-7));
  TV_ASSIGN_OR_RETURN(c.embeddings.width, config.IntIn({"embedding_size"}, 1, kMax, c.encoder.hidden));
  c.embeddings.has_norm = false;
  TV_ASSIGN_OR_RETURN(c.encoder.activation, ReadActivation(config, {"hidden_act"}, "gelu"));
  TV_RETURN_IF_ERROR(ReadPositions(config, &c));
  TV_ASSIGN_OR_RETURN(c.conv_kernel, config.IntIn({"conv_kernel_size"}, 0, 1024, 0));
  if (c.conv_kernel > 0) {
    if (c.conv_kernel % 2 == 0) return config.Refuse("conv_kernel_size", "an even kernel changes the length");
    TV_ASSIGN_OR_RETURN(c.conv_groups, config.IntIn({"conv_groups"}, 1, kMax, 1));
    if (c.encoder.hidden % c.conv_groups != 0) return config.Refuse("conv_groups", "does not divide hidden_size");
    TV_ASSIGN_OR_RETURN(c.conv_activation, ReadActivation(config, {"conv_act"}, "tanh"));
  }
  TV_ASSIGN_OR_RETURN(c.pooler_activation, ReadActivation(config, {"pooler_hidden_act"}, "gelu"));
  TV_ASSIGN_OR_RETURN(c.legacy_mlm, config.Bool({"legacy"}, true));
  TV_ASSIGN_OR_RETURN(const int64_t pooler, config.IntIn({"pooler_hidden_size"}, 1, kMax, c.encoder.hidden));
  if (pooler != c.encoder.hidden) return config.Refuse("pooler_hidden_size", "must equal hidden_size");
  TV_RETURN_IF_ERROR(CheckHeads(config, "num_attention_heads", c.encoder));
  if (const JsonRef head = config.Raw({"attention_head_size"}); head.present() && !head.is_null()) {
    TV_ASSIGN_OR_RETURN(const int64_t size, head.Int());
    if (size * c.encoder.heads != c.encoder.hidden) {
      return config.Refuse("attention_head_size", "only hidden_size / num_attention_heads is supported");
    }
  }
  config.Ignore({"pooler_dropout", "cls_dropout", "padding_idx", "conv_dropout", "chunk_size_feed_forward"});
  c.positions.heads = c.encoder.heads;
  c.positions.width = c.encoder.hidden;
  return c;
}

struct DebertaLayer {
  Linear qkv;
  PositionScores positions;
  Linear attention_output;
  NormWeights attention_norm;
  std::unique_ptr<FeedForward> feed_forward;
  NormWeights output_norm;
};

Result<DebertaLayer> LoadLayer(const DebertaConfig& c, const WeightScope& w, ConstMatrix position_embeddings,
                               ComputeType type) {
  DebertaLayer layer;
  const int64_t width = c.encoder.hidden;
  const WeightScope self = w.Sub("attention.self");
  TV_ASSIGN_OR_RETURN(layer.qkv, LoadFusedLinear({self.Sub("query_proj"), self.Sub("key_proj"), self.Sub("value_proj")},
                                                 width, {width, width, width}, type));
  if (c.positions.relative) {
    TV_ASSIGN_OR_RETURN(layer.positions, PositionScores::Load(c.positions, self, position_embeddings, type));
  }
  TV_ASSIGN_OR_RETURN(layer.attention_output, LoadLinear(w.Sub("attention.output.dense"), width, width, type));
  TV_ASSIGN_OR_RETURN(layer.attention_norm,
                      NormWeights::Load(w.Sub("attention.output.LayerNorm"), width, c.encoder.eps));
  TV_ASSIGN_OR_RETURN(Linear up, LoadLinear(w.Sub("intermediate.dense"), width, c.encoder.intermediate, type));
  TV_ASSIGN_OR_RETURN(Linear down, LoadLinear(w.Sub("output.dense"), c.encoder.intermediate, width, type));
  layer.feed_forward = PlainFeedForward(std::move(up), c.encoder.activation, std::move(down));
  TV_ASSIGN_OR_RETURN(layer.output_norm, NormWeights::Load(w.Sub("output.LayerNorm"), width, c.encoder.eps));
  return layer;
}

class Deberta : public Model {
 public:
  static Result<std::unique_ptr<Deberta>> Load(const DebertaConfig& c, const WeightScope& w, ComputeType type) {
    auto deberta = std::make_unique<Deberta>();
    deberta->c_ = c;
    const WeightScope embeddings = w.Sub("embeddings");
    TV_ASSIGN_OR_RETURN(deberta->embeddings_, Embeddings::Load(c.embeddings, embeddings));
    if (c.embeddings.width != c.encoder.hidden) {
      TV_ASSIGN_OR_RETURN(deberta->projection_,
                          LoadLinear(embeddings.Sub("embed_proj"), c.embeddings.width, c.encoder.hidden, type, false));
    }
    TV_ASSIGN_OR_RETURN(deberta->norm_,
                        NormWeights::Load(embeddings.Sub("LayerNorm"), c.encoder.hidden, c.encoder.eps));
    // transformers drops a table that position_biased_input has switched off.
    if (c.embeddings.positions == 0) embeddings.IgnoreUnder("position_embeddings");
    const WeightScope encoder = w.Sub("encoder");
    std::vector<float> table;
    Matrix positions{nullptr, 0, c.encoder.hidden, c.encoder.hidden};
    std::optional<NormWeights> norm;
    if (c.norm_positions) {
      TV_ASSIGN_OR_RETURN(norm, NormWeights::Load(encoder.Sub("LayerNorm"), c.encoder.hidden, c.encoder.eps));
    }
    if (!c.norm_positions) encoder.IgnoreUnder("LayerNorm");
    if (!c.positions.relative) encoder.IgnoreUnder("rel_embeddings");
    if (c.positions.relative) {
      positions.rows = 2 * c.positions.Span();
      TV_ASSIGN_OR_RETURN(table, encoder.GetFloats("rel_embeddings.weight", {positions.rows, c.encoder.hidden}));
      positions.data = table.data();
      ThreadPool pool(1);
      Arena arena;
      if (norm) norm->Apply({&pool, &arena, nullptr}, positions, positions);
    }
    for (int64_t i = 0; i < c.encoder.layers; ++i) {
      TV_ASSIGN_OR_RETURN(DebertaLayer layer, LoadLayer(c, encoder.Sub("layer", i), positions, type));
      deberta->layers_.push_back(std::move(layer));
    }
    if (c.conv_kernel > 0) {
      const WeightScope conv = encoder.Sub("conv");
      TV_ASSIGN_OR_RETURN(deberta->convolution_,
                          TokenConvolution::Load(conv.Sub("conv"), c.encoder.hidden, c.conv_kernel, c.conv_groups));
      TV_ASSIGN_OR_RETURN(deberta->conv_norm_,
                          NormWeights::Load(conv.Sub("LayerNorm"), c.encoder.hidden, c.encoder.eps));
    }
    return deberta;
  }

  int64_t hidden_size() const override { return c_.encoder.hidden; }
  int64_t vocabulary_size() const override { return c_.embeddings.vocabulary; }
  int64_t max_positions() const override { return embeddings_.max_positions(); }
  const Embeddings& embeddings() const { return embeddings_; }

  Status Forward(const ForwardRequest& request, const ExecContext& ctx, Matrix hidden) const override {
    if (projection_) {
      const Arena::Scope scope(ctx.arena);
      const Matrix narrow = ctx.arena->NewMatrix(hidden.rows, c_.embeddings.width);
      TV_RETURN_IF_ERROR(embeddings_.Forward(request.batch, ctx, narrow));
      Apply(ctx, *projection_, narrow, hidden);
    } else {
      TV_RETURN_IF_ERROR(embeddings_.Forward(request.batch, ctx, hidden));
    }
    norm_.Apply(ctx, hidden, hidden);
    ctx.Record("embeddings", hidden);
    KeepLayer(request, ctx, hidden);
    const PositionIndex index = PositionIndex::ForBatch(c_.positions, request.batch);
    const Matrix first = convolution_ ? ctx.arena->NewMatrix(hidden.rows, hidden.cols) : hidden;
    if (convolution_) {
      for (int64_t r = 0; r < hidden.rows; ++r) std::copy(hidden.row(r), hidden.row(r) + hidden.cols, first.row(r));
    }
    const std::span<const int32_t> needed = NeededInLastLayer(request, ctx);
    for (size_t i = 0; i < layers_.size(); ++i) {
      const bool narrow = i + 1 == layers_.size() && !(i == 0 && convolution_);  // which reads the neighbours
      RunLayer(layers_[i], static_cast<int>(i), request.batch, index, ctx, narrow ? needed : std::span<const int32_t>(),
               hidden);
      if (i == 0 && convolution_) AddConvolution(request.batch, ctx, first, hidden);
      ctx.Record(static_cast<int>(i), "output", hidden);
      KeepLayer(request, ctx, hidden);
    }
    return Status::Ok();
  }

 private:
  void AddConvolution(const PackedBatch& batch, const ExecContext& ctx, ConstMatrix embeddings, Matrix hidden) const {
    const Arena::Scope scope(ctx.arena);
    const Matrix out = ctx.arena->NewMatrix(hidden.rows, hidden.cols);
    convolution_->Forward(batch.offsets, ctx, embeddings, out);
    Activate(ctx, c_.conv_activation, out);
    const ConstMatrix residual = hidden;
    conv_norm_.Apply(ctx, out, hidden, &residual);
  }

  // needed: the rows to give, empty: all.
  void RunLayer(const DebertaLayer& layer, int number, const PackedBatch& batch, const PositionIndex& index,
                const ExecContext& ctx, std::span<const int32_t> needed, Matrix hidden) const {
    const Arena::Scope scope(ctx.arena);
    const int64_t width = c_.encoder.hidden;
    const Matrix qkv = ctx.arena->NewMatrix(hidden.rows, 3 * width);
    Apply(ctx, layer.qkv, hidden, qkv);
    Matrix context = ctx.arena->NewMatrix(hidden.rows, width);
    DisentangledAttention(ctx, c_.positions, layer.positions, index, batch.offsets, qkv, context);
    ctx.Record(number, "attention.self", context);
    const Matrix x = KeepNeeded(ctx, needed, hidden, &context);
    const ConstMatrix residual = x;
    const Matrix branch = ctx.arena->NewMatrix(x.rows, width);
    Apply(ctx, layer.attention_output, context, branch);
    layer.attention_norm.Apply(ctx, branch, x, &residual);
    ctx.Record(number, "attention.output", x);
    layer.feed_forward->Forward(ctx, number, x, branch);
    layer.output_norm.Apply(ctx, branch, x, &residual);
    if (!needed.empty()) ScatterRows(x, needed, hidden);
  }

  DebertaConfig c_;
  Embeddings embeddings_;
  std::optional<Linear> projection_;
  NormWeights norm_;
  std::vector<DebertaLayer> layers_;
  std::optional<TokenConvolution> convolution_;
  NormWeights conv_norm_;
};

Result<std::unique_ptr<Head>> LoadHead(const DebertaConfig& c, const WeightScope& weights, const Deberta& deberta,
                                       ConfigReader& config, const ModelOptions& options) {
  if (options.task == Task::kSequenceClassification) {
    return LoadFirstTokenHead(weights.Sub("pooler.dense"), c.pooler_activation, weights.Sub("classifier"),
                              c.encoder.hidden, options.compute_type);
  }
  TensorView decoder = deberta.embeddings().words();
  if (!c.legacy_mlm) {
    if (c.embeddings.width != c.encoder.hidden) {
      return config.Refuse("legacy", "a masked-LM head over narrow embeddings is not supported");
    }
    const WeightScope head = weights.Sub("lm_predictions.lm_head");
    TV_ASSIGN_OR_RETURN(const TensorView bias, head.Get("bias", {c.embeddings.vocabulary}));
    return LoadMlmHead({head.Sub("dense"), head.Sub("LayerNorm"), c.encoder.eps, c.encoder.activation, decoder, bias},
                       c.encoder.hidden, options.compute_type);
  }
  const WeightScope head = weights.Sub("cls.predictions");
  if (head.Has("decoder.weight")) {
    TV_ASSIGN_OR_RETURN(decoder, head.Get("decoder.weight", decoder.shape));
  }
  TV_ASSIGN_OR_RETURN(const TensorView bias, head.Get("bias", {c.embeddings.vocabulary}));
  head.Ignore("decoder.bias");
  return LoadMlmHead({head.Sub("transform.dense"), head.Sub("transform.LayerNorm"), c.encoder.eps, c.encoder.activation,
                      decoder, bias},
                     c.encoder.hidden, options.compute_type);
}

}  // namespace

Result<LoadedModel> LoadDebertaV2(ConfigReader& config, const WeightScope& weights, const ModelOptions& options) {
  TV_ASSIGN_OR_RETURN(const DebertaConfig c, Parse(config));
  if (options.task == Task::kCausalLm) {
    return config.Refuse("architectures", "a causal head on an encoder is not supported");
  }
  const WeightScope root = weights.HasAnyUnder("deberta") ? weights.Sub("deberta") : weights;
  TV_ASSIGN_OR_RETURN(std::unique_ptr<Deberta> deberta, Deberta::Load(c, root, options.compute_type));
  LoadedModel loaded;
  if (options.task != Task::kFeatureExtraction) {
    TV_ASSIGN_OR_RETURN(loaded.head, LoadHead(c, weights, *deberta, config, options));
  }
  loaded.model = std::move(deberta);
  for (const char* head : {"pooler", "classifier", "cls", "lm_predictions", "mask_predictions"}) {
    weights.IgnoreUnder(head);
  }
  return loaded;
}

}  // namespace truevec
