#include "models/disentangled.h"

#include <algorithm>
#include <cmath>

namespace truevec {
namespace {

// Place of position `p` of [0, 2 * span) when they are ordered span, span - 1, span + 1, span - 2, ...
int64_t Place(int64_t p, int64_t span) {
  const int64_t distance = p - span;
  return distance < 0 ? -2 * distance - 1 : 2 * distance;
}

// projection(embeddings), per head, in blocks of kBlock positions.
Result<std::vector<std::vector<Linear>>> PackPositions(const DisentangledConfig& c, const WeightScope& projection,
                                                       ConstMatrix embeddings, ComputeType type) {
  TV_ASSIGN_OR_RETURN(const Linear linear, LoadLinear(projection, c.width, c.width, ComputeType::kFloat32));
  ThreadPool pool(1);
  Arena arena;
  const Matrix projected = arena.NewMatrix(embeddings.rows, c.width);
  Apply({&pool, &arena, nullptr}, linear, embeddings, projected);
  const int64_t span = embeddings.rows / 2;
  const int64_t head_dim = c.width / c.heads;
  std::vector<std::vector<Linear>> heads(static_cast<size_t>(c.heads));
  std::vector<float> block;
  for (int64_t h = 0; h < c.heads; ++h) {
    for (int64_t first = 0; first < 2 * span; first += PositionScores::kBlock) {
      const int64_t count = std::min(PositionScores::kBlock, 2 * span - first);
      block.assign(static_cast<size_t>(count * head_dim), 0.0f);
      for (int64_t p = 0; p < 2 * span; ++p) {
        const int64_t place = Place(p, span) - first;
        if (place < 0 || place >= count) continue;
        std::copy(projected.row(p) + h * head_dim, projected.row(p) + (h + 1) * head_dim,
                  block.data() + place * head_dim);
      }
      const TensorView view{block.data(), DType::kF32, {count, head_dim}};
      heads[static_cast<size_t>(h)].push_back(Linear::Pack({&view, 1}, {}, type));
    }
  }
  return heads;
}

// content [tokens, head_dim] times the positions of the first blocks.
Matrix Multiply(const ExecContext& ctx, const std::vector<Linear>& blocks, int64_t count, ConstMatrix content) {
  int64_t width = 0;
  for (int64_t b = 0; b < count; ++b) width += blocks[static_cast<size_t>(b)].out_features();
  const Matrix out = ctx.arena->NewMatrix(content.rows, width);
  int64_t column = 0;
  for (int64_t b = 0; b < count; ++b) {
    const Linear& block = blocks[static_cast<size_t>(b)];
    Apply(ctx, block, content, out.Columns(column, block.out_features()));
    column += block.out_features();
  }
  return out;
}

}  // namespace

float DisentangledConfig::Scale() const {
  const int64_t head_size = width / heads;
  const int64_t terms = 1 + (content_to_position ? 1 : 0) + (position_to_content ? 1 : 0);
  // The square root is float32 there, whatever the model's type.
  return static_cast<float>(1.0 / static_cast<double>(std::sqrt(static_cast<float>(head_size * terms))));
}

int64_t LogBucket(int64_t delta, int64_t buckets, int64_t max_distance) {
  const int64_t mid = buckets / 2;
  const int64_t distance = std::abs(delta);
  if (distance <= mid) return delta;
  // float32, as there
  const float ratio = std::log(static_cast<float>(distance) / static_cast<float>(mid)) /
                      std::log(static_cast<float>(static_cast<double>(max_distance - 1) / static_cast<double>(mid)));
  const auto bucket = static_cast<int64_t>(std::ceil(ratio * static_cast<float>(mid - 1))) + mid;
  return delta < 0 ? -bucket : bucket;
}

Result<PositionScores> PositionScores::Load(const DisentangledConfig& c, const WeightScope& self,
                                            ConstMatrix embeddings, ComputeType type) {
  PositionScores scores;
  if (c.content_to_position) {
    const WeightScope projection = self.Sub(c.shared ? "key_proj" : "pos_key_proj");
    TV_ASSIGN_OR_RETURN(scores.keys, PackPositions(c, projection, embeddings, type));
  }
  if (c.position_to_content) {
    const WeightScope projection = self.Sub(c.shared ? "query_proj" : "pos_query_proj");
    TV_ASSIGN_OR_RETURN(scores.queries, PackPositions(c, projection, embeddings, type));
  }
  return scores;
}

PositionIndex PositionIndex::ForBatch(const DisentangledConfig& c, const PackedBatch& batch) {
  PositionIndex result;
  if (!c.relative) return result;
  for (int64_t s = 0; s < batch.sequences(); ++s) {
    const auto i = static_cast<size_t>(s);
    result.span = std::max<int64_t>(result.span, batch.offsets[i + 1] - batch.offsets[i] - 1);
  }
  int64_t furthest = 0;
  for (int64_t delta = -result.span; delta <= result.span; ++delta) {
    const int64_t bucket = c.buckets > 0 ? LogBucket(delta, c.buckets, c.max_distance) : delta;
    const int64_t place = Place(std::clamp<int64_t>(bucket + c.Span(), 0, 2 * c.Span() - 1), c.Span());
    result.index.push_back(static_cast<int32_t>(place));
    furthest = std::max(furthest, place);
  }
  result.blocks = furthest / PositionScores::kBlock + 1;
  return result;
}

void DisentangledAttention(const ExecContext& ctx, const DisentangledConfig& c, const PositionScores& positions,
                           const PositionIndex& index, std::span<const int32_t> offsets, Matrix qkv, Matrix out) {
  AttentionSpec spec;
  spec.heads = spec.kv_heads = c.heads;
  spec.head_dim = c.width / c.heads;
  spec.scale = c.Scale();
  const Matrix q = qkv.Columns(0, c.width);
  const Matrix k = qkv.Columns(c.width, c.width);
  const Matrix v = qkv.Columns(2 * c.width, c.width);
  if (positions.keys.empty() && positions.queries.empty()) {
    Attention(ctx, spec, offsets, q, k, v, out);
    return;
  }
  spec.heads = spec.kv_heads = 1;
  for (int64_t h = 0; h < c.heads; ++h) {
    const Arena::Scope scope(ctx.arena);
    const auto head = static_cast<size_t>(h);
    const int64_t column = h * spec.head_dim;
    DisentangledScores scores;
    scores.index = index.index.data();
    scores.span = index.span;
    scores.scale = spec.scale;
    const Matrix q_head = q.Columns(column, spec.head_dim);
    const Matrix k_head = k.Columns(column, spec.head_dim);
    if (!positions.keys.empty()) {
      scores.content_to_position = Multiply(ctx, positions.keys[head], index.blocks, q_head);
    }
    if (!positions.queries.empty()) {
      scores.position_to_content = Multiply(ctx, positions.queries[head], index.blocks, k_head);
    }
    spec.disentangled = &scores;
    Attention(ctx, spec, offsets, q_head, k_head, v.Columns(column, spec.head_dim), out.Columns(column, spec.head_dim));
  }
}

}  // namespace truevec
