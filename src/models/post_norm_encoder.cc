#include "models/post_norm_encoder.h"

#include <algorithm>
#include <cmath>

namespace truevec {

Status CheckHeads(const ConfigReader& config, std::string_view key, const PostNormConfig& c) {
  if (c.hidden % c.heads == 0) return Status::Ok();
  return config.Refuse(key, "a hidden size of " + std::to_string(c.hidden) + " is not a multiple of " +
                                std::to_string(c.heads) + " heads");
}

void KeepLayer(const ForwardRequest& request, const ExecContext& ctx, Matrix hidden) {
  if (request.all_layers == nullptr) return;
  const Matrix copy = ctx.arena->NewMatrix(hidden.rows, hidden.cols);
  for (int64_t r = 0; r < hidden.rows; ++r) std::copy(hidden.row(r), hidden.row(r) + hidden.cols, copy.row(r));
  request.all_layers->push_back(copy);
}

Result<PostNormEncoder> PostNormEncoder::Load(const PostNormConfig& c, const PostNormNames& names,
                                              const WeightScope& parent, std::string_view layers, ComputeType type) {
  PostNormEncoder encoder;
  encoder.config_ = c;
  for (int64_t i = 0; i < c.layers; ++i) {
    const WeightScope w = parent.Sub(layers, i);
    Layer layer;
    TV_ASSIGN_OR_RETURN(layer.qkv, LoadFusedLinear({w.Sub(names.query), w.Sub(names.key), w.Sub(names.value)}, c.hidden,
                                                   {c.hidden, c.hidden, c.hidden}, type));
    TV_ASSIGN_OR_RETURN(layer.attention_output, LoadLinear(w.Sub(names.attention_output), c.hidden, c.hidden, type));
    TV_ASSIGN_OR_RETURN(layer.attention_norm, NormWeights::Load(w.Sub(names.attention_norm), c.hidden, c.eps));
    TV_ASSIGN_OR_RETURN(layer.intermediate, LoadLinear(w.Sub(names.intermediate), c.hidden, c.intermediate, type));
    TV_ASSIGN_OR_RETURN(layer.output, LoadLinear(w.Sub(names.output), c.intermediate, c.hidden, type));
    TV_ASSIGN_OR_RETURN(layer.output_norm, NormWeights::Load(w.Sub(names.output_norm), c.hidden, c.eps));
    encoder.layers_.push_back(std::move(layer));
  }
  return encoder;
}

void PostNormEncoder::Forward(const ForwardRequest& request, const ExecContext& ctx, const float* relative_bias,
                              int64_t span, Matrix hidden) const {
  AttentionSpec spec;
  spec.heads = spec.kv_heads = config_.heads;
  spec.head_dim = config_.hidden / config_.heads;
  spec.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(spec.head_dim)));
  spec.causal = config_.simulate_causal;
  spec.relative_bias = relative_bias;
  spec.relative_span = span;
  spec.key_counts = request.batch.key_counts;
  ctx.Record("embeddings", hidden);
  KeepLayer(request, ctx, hidden);
  for (size_t i = 0; i < layers_.size(); ++i) {
    RunLayer(layers_[i], static_cast<int>(i), request.batch, ctx, spec, hidden);
    KeepLayer(request, ctx, hidden);
  }
}

void PostNormEncoder::RunLayer(const Layer& layer, int index, const PackedBatch& batch, const ExecContext& ctx,
                               const AttentionSpec& spec, Matrix hidden) const {
  const Arena::Scope scope(ctx.arena);
  const int64_t rows = hidden.rows;
  const int64_t width = config_.hidden;
  const ConstMatrix residual = hidden;
  const Matrix qkv = ctx.arena->NewMatrix(rows, 3 * width);
  Apply(ctx, layer.qkv, hidden, qkv);
  const Matrix context = ctx.arena->NewMatrix(rows, width);
  Attention(ctx, spec, batch.offsets, qkv.Columns(0, width), qkv.Columns(width, width), qkv.Columns(2 * width, width),
            context);
  ctx.Record(index, "attention.self", context);
  const Matrix branch = ctx.arena->NewMatrix(rows, width);
  Apply(ctx, layer.attention_output, context, branch);
  layer.attention_norm.Apply(ctx, branch, hidden, &residual);
  ctx.Record(index, "attention.output", hidden);
  const Matrix wide = ctx.arena->NewMatrix(rows, config_.intermediate);
  Apply(ctx, layer.intermediate, hidden, wide, config_.activation);
  ctx.Record(index, "intermediate", wide);
  Apply(ctx, layer.output, wide, branch);
  layer.output_norm.Apply(ctx, branch, hidden, &residual);
  ctx.Record(index, "output", hidden);
}

}  // namespace truevec
