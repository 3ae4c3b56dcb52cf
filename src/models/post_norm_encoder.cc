#include "models/post_norm_encoder.h"

#include <algorithm>
#include <cmath>
#include <numeric>

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

std::span<const int32_t> NeededInLastLayer(const ForwardRequest& request, const ExecContext& ctx) {
  const bool all = request.all_layers != nullptr || ctx.trace != nullptr || ctx.simulation != nullptr;
  return all ? std::span<const int32_t>() : request.needed_rows;
}

Result<PostNormLayer> PostNormLayer::Load(const PostNormConfig& c, const PostNormNames& names, const WeightScope& w,
                                          ComputeType type) {
  PostNormLayer layer;
  TV_ASSIGN_OR_RETURN(layer.qkv, LoadFusedLinear({w.Sub(names.query), w.Sub(names.key), w.Sub(names.value)}, c.hidden,
                                                 {c.hidden, c.hidden, c.hidden}, type));
  TV_ASSIGN_OR_RETURN(layer.attention_output, LoadLinear(w.Sub(names.attention_output), c.hidden, c.hidden, type));
  TV_ASSIGN_OR_RETURN(layer.attention_norm, NormWeights::Load(w.Sub(names.attention_norm), c.hidden, c.eps));
  TV_ASSIGN_OR_RETURN(Linear intermediate, LoadLinear(w.Sub(names.intermediate), c.hidden, c.intermediate, type));
  TV_ASSIGN_OR_RETURN(Linear output, LoadLinear(w.Sub(names.output), c.intermediate, c.hidden, type));
  layer.feed_forward = PlainFeedForward(std::move(intermediate), c.activation, std::move(output));
  TV_ASSIGN_OR_RETURN(layer.output_norm, NormWeights::Load(w.Sub(names.output_norm), c.hidden, c.eps));
  return layer;
}

PostNormEncoder::PostNormEncoder(const PostNormConfig& c, std::vector<PostNormLayer> layers, std::vector<size_t> order)
    : config_(c), layers_(std::move(layers)), order_(std::move(order)) {
  if (!order_.empty()) return;
  order_.resize(layers_.size());
  std::iota(order_.begin(), order_.end(), size_t{0});
}

Result<PostNormEncoder> PostNormEncoder::Load(const PostNormConfig& c, const PostNormNames& names,
                                              const WeightScope& parent, std::string_view layers, ComputeType type) {
  std::vector<PostNormLayer> loaded;
  for (int64_t i = 0; i < c.layers; ++i) {
    TV_ASSIGN_OR_RETURN(PostNormLayer layer, PostNormLayer::Load(c, names, parent.Sub(layers, i), type));
    loaded.push_back(std::move(layer));
  }
  return PostNormEncoder(c, std::move(loaded));
}

void PostNormEncoder::Forward(const ForwardRequest& request, const ExecContext& ctx, const PositionScheme& positions,
                              Matrix hidden) const {
  AttentionSpec spec;
  spec.heads = spec.kv_heads = config_.heads;
  spec.head_dim = config_.hidden / config_.heads;
  spec.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(spec.head_dim)));
  spec.causal = config_.simulate_causal;
  spec.relative_bias = positions.relative_bias;
  spec.relative_span = positions.relative_span;
  spec.alibi_slopes = positions.alibi_slopes;
  spec.key_counts = request.batch.key_counts;
  const std::span<const int32_t> needed = NeededInLastLayer(request, ctx);
  ctx.Record("embeddings", hidden);
  KeepLayer(request, ctx, hidden);
  for (size_t i = 0; i < order_.size(); ++i) {
    const bool last = i + 1 == order_.size();
    RunLayer(layers_[order_[i]], static_cast<int>(i), request.batch, ctx, spec, positions,
             last ? needed : std::span<const int32_t>(), hidden);
    KeepLayer(request, ctx, hidden);
  }
}

void PostNormEncoder::RunLayer(const PostNormLayer& layer, int index, const PackedBatch& batch, const ExecContext& ctx,
                               const AttentionSpec& spec, const PositionScheme& positions,
                               std::span<const int32_t> needed, Matrix hidden) const {
  const Arena::Scope scope(ctx.arena);
  const int64_t width = config_.hidden;
  const Matrix qkv = ctx.arena->NewMatrix(hidden.rows, 3 * width);
  Apply(ctx, layer.qkv, hidden, qkv);
  const Matrix q = qkv.Columns(0, width);
  const Matrix k = qkv.Columns(width, width);
  if (layer.query_norm) layer.query_norm->Apply(ctx, q, q);
  if (layer.key_norm) layer.key_norm->Apply(ctx, k, k);
  if (positions.rope.table.cos != nullptr) {
    positions.rope.Apply(ctx, spec.head_dim, q);
    positions.rope.Apply(ctx, spec.head_dim, k);
  }
  Matrix context = ctx.arena->NewMatrix(hidden.rows, width);
  Attention(ctx, spec, batch.offsets, q, k, qkv.Columns(2 * width, width), context);
  ctx.Record(index, "attention.self", context);
  // From here each row goes its own way.
  const Matrix x = KeepNeeded(ctx, needed, hidden, &context);
  const ConstMatrix residual = x;
  const Matrix branch = ctx.arena->NewMatrix(x.rows, width);
  Apply(ctx, layer.attention_output, context, branch);
  if (layer.extra_norm) layer.extra_norm->Apply(ctx, branch, branch, &residual);
  layer.attention_norm.Apply(ctx, branch, x, &residual);
  ctx.Record(index, "attention.output", x);
  layer.feed_forward->Forward(ctx, index, x, branch);
  layer.output_norm.Apply(ctx, branch, x, &residual);
  if (!needed.empty()) ScatterRows(x, needed, hidden);
  ctx.Record(index, "output", hidden);
}

}  // namespace truevec
