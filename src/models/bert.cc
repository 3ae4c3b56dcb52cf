// BERT: post-norm encoder with learned absolute positions (Devlin et al. 2018, arXiv 1810.04805).
// Reference: transformers/models/bert/modeling_bert.py.
#include <cmath>
#include <numeric>

#include "models/architectures.h"
#include "models/blocks.h"

namespace truevec {
namespace {

struct BertConfig {
  int64_t vocabulary, hidden, layers, heads, intermediate, positions, types;
  double eps;
  Activation activation;
};

Result<BertConfig> ParseBert(ConfigReader& config) {
  constexpr int64_t kMax = int64_t{1} << 24;
  BertConfig c{};
  TV_ASSIGN_OR_RETURN(c.vocabulary, config.IntIn({"vocab_size"}, 1, kMax, 30522));
  TV_ASSIGN_OR_RETURN(c.hidden, config.IntIn({"hidden_size"}, 1, kMax, 768));
  TV_ASSIGN_OR_RETURN(c.layers, config.IntIn({"num_hidden_layers"}, 0, 1024, 12));
  TV_ASSIGN_OR_RETURN(c.heads, config.IntIn({"num_attention_heads"}, 1, kMax, 12));
  TV_ASSIGN_OR_RETURN(c.intermediate, config.IntIn({"intermediate_size"}, 1, kMax, 3072));
  TV_ASSIGN_OR_RETURN(c.positions, config.IntIn({"max_position_embeddings"}, 1, kMax, 512));
  TV_ASSIGN_OR_RETURN(c.types, config.IntIn({"type_vocab_size"}, 1, kMax, 2));
  TV_ASSIGN_OR_RETURN(c.eps, config.Double({"layer_norm_eps"}, 1e-12));
  TV_ASSIGN_OR_RETURN(const std::string activation, config.String({"hidden_act"}, "gelu"));
  auto parsed = ActivationByName(activation);
  if (!parsed.ok()) return config.Refuse("hidden_act", parsed.status().message());
  c.activation = *parsed;
  // transformers 5 ignores this key and uses absolute positions; other values mean another model was trained.
  TV_ASSIGN_OR_RETURN(const std::string position_type,
                      config.OneOf({"position_embedding_type"}, {"absolute"}, "absolute"));
  TV_RETURN_IF_ERROR(config.RequireBool({"is_decoder"}, false));
  TV_RETURN_IF_ERROR(config.RequireBool({"add_cross_attention"}, false));
  config.Ignore({"chunk_size_feed_forward", "pooler_num_attention_heads", "pooler_num_fc_layers",
                 "pooler_size_per_head", "pooler_type"});
  if (c.hidden % c.heads != 0) {
    return config.Refuse("num_attention_heads", "hidden_size " + std::to_string(c.hidden) + " is not a multiple of " +
                                                    std::to_string(c.heads) + " heads");
  }
  return c;
}

struct BertLayer {
  Linear qkv;               // hidden -> 3 hidden
  Linear attention_output;  // hidden -> hidden
  NormWeights attention_norm;
  Linear intermediate;  // hidden -> intermediate
  Linear output;        // intermediate -> hidden
  NormWeights output_norm;
};

Result<BertLayer> LoadLayer(const BertConfig& c, const WeightScope& w, ComputeType type) {
  BertLayer layer;
  const WeightScope self = w.Sub("attention.self");
  TV_ASSIGN_OR_RETURN(layer.qkv, LoadFusedLinear({self.Sub("query"), self.Sub("key"), self.Sub("value")}, c.hidden,
                                                 {c.hidden, c.hidden, c.hidden}, type));
  TV_ASSIGN_OR_RETURN(layer.attention_output, LoadLinear(w.Sub("attention.output.dense"), c.hidden, c.hidden, type));
  TV_ASSIGN_OR_RETURN(layer.attention_norm, NormWeights::Load(w.Sub("attention.output.LayerNorm"), c.hidden, c.eps));
  TV_ASSIGN_OR_RETURN(layer.intermediate, LoadLinear(w.Sub("intermediate.dense"), c.hidden, c.intermediate, type));
  TV_ASSIGN_OR_RETURN(layer.output, LoadLinear(w.Sub("output.dense"), c.intermediate, c.hidden, type));
  TV_ASSIGN_OR_RETURN(layer.output_norm, NormWeights::Load(w.Sub("output.LayerNorm"), c.hidden, c.eps));
  return layer;
}

class Bert : public Model {
 public:
  static Result<std::unique_ptr<Model>> Load(const BertConfig& c, const WeightScope& w, ComputeType type) {
    auto bert = std::make_unique<Bert>();
    bert->config_ = c;
    bert->store_ = w.store();
    const WeightScope embeddings = w.Sub("embeddings");
    TV_ASSIGN_OR_RETURN(bert->words_, embeddings.Get("word_embeddings.weight", {c.vocabulary, c.hidden}));
    TV_ASSIGN_OR_RETURN(bert->positions_, embeddings.Get("position_embeddings.weight", {c.positions, c.hidden}));
    TV_ASSIGN_OR_RETURN(bert->types_, embeddings.Get("token_type_embeddings.weight", {c.types, c.hidden}));
    TV_ASSIGN_OR_RETURN(bert->embedding_norm_, NormWeights::Load(embeddings.Sub("LayerNorm"), c.hidden, c.eps));
    embeddings.Ignore("position_ids");  // a buffer 0, 1, 2, ... of old checkpoints
    for (int64_t i = 0; i < c.layers; ++i) {
      TV_ASSIGN_OR_RETURN(BertLayer layer, LoadLayer(c, w.Sub("encoder.layer", i), type));
      bert->layers_.push_back(std::move(layer));
    }
    return std::unique_ptr<Model>(std::move(bert));
  }

  int64_t hidden_size() const override { return config_.hidden; }
  int64_t vocabulary_size() const override { return config_.vocabulary; }
  int64_t max_positions() const override { return config_.positions; }

  Status Forward(const ForwardRequest& request, const ExecContext& ctx, Matrix hidden) const override {
    TV_RETURN_IF_ERROR(Embed(request.batch, ctx, hidden));
    ctx.Record("embeddings", hidden);
    if (request.all_layers != nullptr) KeepLayer(request, ctx, hidden);
    for (size_t i = 0; i < layers_.size(); ++i) {
      RunLayer(layers_[i], static_cast<int>(i), request.batch, ctx, hidden);
      if (request.all_layers != nullptr) KeepLayer(request, ctx, hidden);
    }
    return Status::Ok();
  }

 private:
  static void KeepLayer(const ForwardRequest& request, const ExecContext& ctx, Matrix hidden) {
    const Matrix copy = ctx.arena->NewMatrix(hidden.rows, hidden.cols);
    for (int64_t r = 0; r < hidden.rows; ++r) std::copy(hidden.row(r), hidden.row(r) + hidden.cols, copy.row(r));
    request.all_layers->push_back(copy);
  }

  Status Embed(const PackedBatch& batch, const ExecContext& ctx, Matrix hidden) const {
    const Arena::Scope scope(ctx.arena);
    int32_t* positions = ctx.arena->Allocate<int32_t>(batch.tokens());
    int32_t* types = ctx.arena->Allocate<int32_t>(batch.tokens());
    for (int64_t s = 0; s < batch.sequences(); ++s) {
      const int32_t first = batch.offsets[static_cast<size_t>(s)];
      const int32_t last = batch.offsets[static_cast<size_t>(s) + 1];
      if (last - first > config_.positions) {
        return InputError("a text of " + std::to_string(last - first) + " tokens exceeds the model's " +
                          std::to_string(config_.positions) + " positions (max_position_embeddings)");
      }
      std::iota(positions + first, positions + last, 0);
    }
    for (int64_t t = 0; t < batch.tokens(); ++t) {
      types[t] = batch.type_ids.empty() ? 0 : batch.type_ids[static_cast<size_t>(t)];
      const int32_t id = batch.ids[static_cast<size_t>(t)];
      if (id < 0 || id >= config_.vocabulary || types[t] < 0 || types[t] >= config_.types) {
        return InputError("token id " + std::to_string(id) + " (type " + std::to_string(types[t]) +
                          ") is outside the model's vocabulary of " + std::to_string(config_.vocabulary));
      }
    }
    const size_t n = static_cast<size_t>(batch.tokens());
    EmbeddingLookup(ctx, words_, batch.ids, false, hidden);
    EmbeddingLookup(ctx, types_, {types, n}, true, hidden);
    EmbeddingLookup(ctx, positions_, {positions, n}, true, hidden);
    embedding_norm_.Apply(ctx, hidden, hidden);
    return Status::Ok();
  }

  void RunLayer(const BertLayer& layer, int index, const PackedBatch& batch, const ExecContext& ctx,
                Matrix hidden) const {
    const Arena::Scope scope(ctx.arena);
    const int64_t rows = hidden.rows;
    const int64_t width = config_.hidden;
    const ConstMatrix residual = hidden;
    const Matrix qkv = ctx.arena->NewMatrix(rows, 3 * width);
    Apply(ctx, layer.qkv, hidden, qkv);
    AttentionSpec spec;
    spec.heads = spec.kv_heads = config_.heads;
    spec.head_dim = width / config_.heads;
    spec.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(spec.head_dim)));
    const Matrix context = ctx.arena->NewMatrix(rows, width);
    Attention(ctx, spec, batch.offsets, qkv.Columns(0, width), qkv.Columns(width, width), qkv.Columns(2 * width, width),
              context);
    ctx.Record(index, "attention.self", context);
    Apply(ctx, layer.attention_output, context, hidden, Activation::kNone, &residual);
    layer.attention_norm.Apply(ctx, hidden, hidden);
    ctx.Record(index, "attention.output", hidden);
    const Matrix wide = ctx.arena->NewMatrix(rows, config_.intermediate);
    Apply(ctx, layer.intermediate, hidden, wide, config_.activation);
    ctx.Record(index, "intermediate", wide);
    Apply(ctx, layer.output, wide, hidden, Activation::kNone, &residual);
    layer.output_norm.Apply(ctx, hidden, hidden);
    ctx.Record(index, "output", hidden);
  }

  BertConfig config_{};
  std::shared_ptr<const WeightStore> store_;  // keeps the embedding tables mapped
  TensorView words_;                          // [vocabulary, hidden]
  TensorView positions_;                      // [positions, hidden]
  TensorView types_;                          // [types, hidden]
  NormWeights embedding_norm_;
  std::vector<BertLayer> layers_;
};

}  // namespace

Result<LoadedModel> LoadBert(ConfigReader& config, const WeightScope& weights, const ModelOptions& options) {
  TV_ASSIGN_OR_RETURN(const BertConfig c, ParseBert(config));
  if (options.task != Task::kFeatureExtraction) {
    return config.Refuse("architectures", "task heads are not supported for bert yet");
  }
  // BertModel saves without a prefix, BertForX with "bert.".
  const WeightScope root = weights.HasAnyUnder("bert") ? weights.Sub("bert") : weights;
  LoadedModel loaded;
  TV_ASSIGN_OR_RETURN(loaded.model, Bert::Load(c, root, options.compute_type));
  // AutoModel drops pre-training and task heads; the pooler's output is not used by Sentence Transformers' pooling.
  root.IgnoreUnder("pooler");
  weights.IgnoreUnder("cls");
  weights.IgnoreUnder("classifier");
  return loaded;
}

}  // namespace truevec
