// Attention within each sequence of a packed batch. Keys (transposed) and values are packed once per sequence and kv
// head into 16-column panels, so that scores and outputs use the same register tiles as the matrix product; blocks of
// queries are the units of work. A window bounds the keys that are touched, so its cost does not grow with length.
#include <algorithm>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "kernels/kernels.h"
#include "tensor/ops.h"
#include "tensor/simulated_ops.h"

namespace truevec {
namespace {

using kernels::kPanel;

// Query rows that share a pass over the keys: a multiple of every register tile (6, 12, 4 rows), fewer for long keys so
// that the scores stay in the second-level cache.
constexpr int64_t kQueryRows = 48;
constexpr int64_t kMinQueryRows = 12;
constexpr int64_t kScoreFloats = 1 << 15;
constexpr float kHidden = -1e30f;  // bias of a key that no query sees: its weight underflows to 0

int64_t RoundUp(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

struct Unit {
  int64_t sequence;
  int64_t head;
  int64_t query;  // first row of the block, within the sequence
};

// One call's geometry and packed keys and values.
struct Plan {
  const AttentionSpec& spec;
  std::span<const int32_t> offsets;
  int64_t value_panels;           // per kv head: ceil(head_dim / 16)
  std::vector<int64_t> key_base;  // per sequence: first float of its packed keys
  std::vector<int64_t> value_base;
  float* keys;
  float* values;

  int64_t KeyCount(int64_t s) const {
    return spec.key_counts.empty() ? Length(s) : std::min<int64_t>(spec.key_counts[static_cast<size_t>(s)], Length(s));
  }
  int64_t Length(int64_t s) const { return offsets[static_cast<size_t>(s) + 1] - offsets[static_cast<size_t>(s)]; }
  // [ceil(length / 16)][head_dim][16]
  float* Keys(int64_t s, int64_t kv) const {
    return keys + key_base[static_cast<size_t>(s)] + kv * RoundUp(Length(s), kPanel) * spec.head_dim;
  }
  // [value_panels][length][16]
  float* Values(int64_t s, int64_t kv) const {
    return values + value_base[static_cast<size_t>(s)] + kv * value_panels * Length(s) * kPanel;
  }
};

void PackHead(const Plan& plan, int64_t s, int64_t kv, ConstMatrix k, ConstMatrix v) {
  const int64_t d = plan.spec.head_dim;
  const int64_t length = plan.Length(s);
  const int64_t row0 = plan.offsets[static_cast<size_t>(s)];
  float* keys = plan.Keys(s, kv);
  for (int64_t j0 = 0; j0 < length; j0 += kPanel) {
    float* panel = keys + j0 * d;
    const int64_t count = std::min(kPanel, length - j0);
    if (count < kPanel) std::fill(panel, panel + d * kPanel, 0.0f);
    kernels::Active().transpose(k.row(row0 + j0) + kv * d, k.stride, count, d, panel, kPanel);
  }
  float* values = plan.Values(s, kv);
  for (int64_t p = 0; p < plan.value_panels; ++p) {
    const int64_t count = std::min(kPanel, d - p * kPanel);
    for (int64_t j = 0; j < length; ++j) {
      float* to = values + (p * length + j) * kPanel;
      const float* from = v.row(row0 + j) + kv * d + p * kPanel;
      if (count == kPanel) {
        std::memcpy(to, from, kPanel * sizeof(float));  // a known size: no call
      } else {
        std::copy(from, from + count, to);
        std::fill(to + count, to + kPanel, 0.0f);
      }
    }
  }
}

// Additive bias of one query row over keys [first, first + columns).
// `row0`: the sequence's first row in the batch.
void FillBias(const AttentionSpec& spec, int64_t row0, int64_t head, int64_t query, int64_t first, int64_t columns,
              float* bias) {
  for (int64_t c = 0; c < columns; ++c) {
    const int64_t delta = first + c - query;
    float value = 0;
    if (spec.alibi_slopes != nullptr) {
      value -= spec.alibi_slopes[head] * static_cast<float>(delta < 0 ? -delta : delta);
    }
    if (spec.relative_bias != nullptr) {
      const int64_t clamped = std::clamp(delta, -spec.relative_span, spec.relative_span);
      value += spec.relative_bias[head * (2 * spec.relative_span + 1) + clamped + spec.relative_span];
    }
    const auto key = static_cast<size_t>(row0 + first + c);
    if (key < spec.hidden_keys.size() && spec.hidden_keys[key] != 0) value = kHidden;
    bias[c] = value;
  }
}

// Adds the disentangled scores of query `query` of the sequence whose rows begin at `row0`, over the same keys.
void AddDisentangled(const DisentangledScores& d, int64_t row0, int64_t query, int64_t first, int64_t columns,
                     float* bias) {
  const float* forward = d.content_to_position.data == nullptr ? nullptr : d.content_to_position.row(row0 + query);
  for (int64_t c = 0; c < columns; ++c) {
    const int64_t key = first + c;
    const int32_t p = d.index[std::clamp(query - key, -d.span, d.span) + d.span];
    float score = forward == nullptr ? 0.0f : forward[p];
    if (d.position_to_content.data != nullptr) score += d.position_to_content.row(row0 + key)[p];
    bias[c] += score * d.scale;
  }
}

struct Range {
  int64_t begin;
  int64_t end;
};

// `keys`: how many of the sequence's tokens are keys at all. An empty range has begin == end.
Range Visible(const AttentionSpec& spec, int64_t query, int64_t keys) {
  Range range{0, keys};
  if (spec.causal) range.end = std::min(range.end, query + 1);
  if (spec.window_left >= 0) range.begin = std::max(range.begin, query - spec.window_left);
  if (spec.window_right >= 0) range.end = std::min(range.end, query + spec.window_right + 1);
  range.begin = std::min(range.begin, range.end);
  return range;
}

// Query and key pairs that the mask lets through.
double VisiblePairs(const AttentionSpec& spec, int64_t length) {
  int64_t pairs = 0;
  for (int64_t query = 0; query < length; ++query) {
    const Range range = Visible(spec, query, length);
    pairs += range.end - range.begin;
  }
  return static_cast<double>(pairs);
}

// What one worker needs for a block of `rows` queries over `columns` keys.
struct Scratch {
  float* scores;  // [rows][columns]
  float* result;  // [rows][value_panels * 16]
  float* bias;    // [columns]
};

void RunTile(const Plan& plan, const Unit& unit, int64_t query, int64_t rows, ConstMatrix q, Matrix out,
             const Scratch& scratch) {
  const AttentionSpec& spec = plan.spec;
  const kernels::KernelTable& table = kernels::Active();
  const int64_t d = spec.head_dim;
  const int64_t length = plan.Length(unit.sequence);
  const int64_t visible = plan.KeyCount(unit.sequence);
  const int64_t row0 = plan.offsets[static_cast<size_t>(unit.sequence)];
  const int64_t kv = unit.head / (spec.heads / spec.kv_heads);
  const Range low = Visible(spec, query, visible);
  const Range high = Visible(spec, query + rows - 1, visible);
  // Keys that any row of the block sees, in whole panels; first is a multiple of the softmax lanes.
  const int64_t first = std::min(low.begin, high.begin) / kPanel * kPanel;
  const int64_t last = std::max({low.end, high.end, first + 1});
  const int64_t columns = RoundUp(last - first, kPanel);
  table.tile({.rows = rows,
              .panels = columns / kPanel,
              .k = d,
              .k_origin = 0,
              .a = q.row(row0 + query) + unit.head * d,
              .lda = q.stride,
              .b = plan.Keys(unit.sequence, kv) + first * d,
              .panel_stride = d * kPanel,
              .out = scratch.scores,
              .ldo = columns});
  double sums[kQueryRows];
  const bool biased = spec.alibi_slopes != nullptr || spec.relative_bias != nullptr || spec.disentangled != nullptr ||
                      !spec.hidden_keys.empty();
  for (int64_t r = 0; r < rows; ++r) {
    const Range range = Visible(spec, query + r, visible);
    if (biased) FillBias(spec, row0, unit.head, query + r, first, columns, scratch.bias);
    if (spec.disentangled != nullptr) {
      AddDisentangled(*spec.disentangled, row0, query + r, first, std::min(columns, length - first), scratch.bias);
    }
    sums[r] = table.softmax({scratch.scores + r * columns, columns, range.begin - first, range.end - first, spec.scale,
                             spec.softcap, biased ? scratch.bias : nullptr});
  }
  const int64_t width = plan.value_panels * kPanel;
  table.tile({.rows = rows,
              .panels = plan.value_panels,
              .k = last - first,
              .k_origin = first,
              .a = scratch.scores,
              .lda = columns,
              .b = plan.Values(unit.sequence, kv) + first * kPanel,
              .panel_stride = length * kPanel,
              .out = scratch.result,
              .ldo = width});
  table.divide_rows(scratch.result, width, sums, rows, d, out.row(row0 + query) + unit.head * d, out.stride);
}

}  // namespace

void Attention(const ExecContext& ctx, const AttentionSpec& spec, std::span<const int32_t> offsets, ConstMatrix q,
               ConstMatrix k, ConstMatrix v, Matrix out) {
  if (ctx.simulation != nullptr) return simulated::Attention(ctx, spec, offsets, q, k, v, out);
  TV_CHECK(spec.heads % spec.kv_heads == 0 && q.cols == spec.heads * spec.head_dim && out.cols == q.cols);
  TV_CHECK(k.cols == spec.kv_heads * spec.head_dim && v.cols == k.cols);
  TV_CHECK(spec.disentangled == nullptr || spec.heads == 1);
  const Arena::Scope scope(ctx.arena);
  const int64_t sequences = static_cast<int64_t>(offsets.size()) - 1;
  Plan plan{spec, offsets, RoundUp(spec.head_dim, kPanel) / kPanel, {}, {}, nullptr, nullptr};
  std::vector<Unit> units;
  int64_t key_floats = 0;
  int64_t value_floats = 0;
  int64_t longest = 0;
  for (int64_t s = 0; s < sequences; ++s) longest = std::max(longest, plan.Length(s));
  const int64_t columns = RoundUp(longest, kPanel) + kPanel;
  const int64_t block_rows =
      std::clamp(kScoreFloats / columns / kMinQueryRows * kMinQueryRows, kMinQueryRows, kQueryRows);
  for (int64_t s = 0; s < sequences; ++s) {
    plan.key_base.push_back(key_floats);
    plan.value_base.push_back(value_floats);
    const int64_t length = plan.Length(s);
    key_floats += spec.kv_heads * RoundUp(length, kPanel) * spec.head_dim;
    value_floats += spec.kv_heads * plan.value_panels * length * kPanel;
    if (ctx.flops != nullptr) {
      ctx.CountFlops(VisiblePairs(spec, length) * 4.0 * static_cast<double>(spec.heads * spec.head_dim));
    }
    for (int64_t head = 0; head < spec.heads; ++head) {
      for (int64_t query = 0; query < length; query += block_rows) units.push_back({s, head, query});
    }
  }
  plan.keys = ctx.arena->Allocate<float>(key_floats);
  plan.values = ctx.arena->Allocate<float>(value_floats);
  ctx.pool->ParallelFor(sequences * spec.kv_heads,
                        [&](int64_t unit, int) { PackHead(plan, unit / spec.kv_heads, unit % spec.kv_heads, k, v); });
  const int64_t width = plan.value_panels * kPanel;
  const int64_t scratch = block_rows * (columns + width) + columns;
  float* buffers = ctx.arena->Allocate<float>(scratch * ctx.pool->threads());
  ctx.pool->ParallelFor(static_cast<int64_t>(units.size()), [&](int64_t index, int worker) {
    const Unit& unit = units[static_cast<size_t>(index)];
    float* scores = buffers + worker * scratch;
    float* result = scores + block_rows * columns;
    const int64_t rows = std::min(block_rows, plan.Length(unit.sequence) - unit.query);
    RunTile(plan, unit, unit.query, rows, q, out, {scores, result, result + block_rows * width});
  });
}

}  // namespace truevec
