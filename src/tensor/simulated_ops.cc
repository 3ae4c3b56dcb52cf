#include "tensor/simulated_ops.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace truevec::simulated {
namespace {

ExecContext Plain(const ExecContext& ctx) {
  ExecContext plain = ctx;
  plain.simulation = nullptr;
  return plain;
}

Activation Changed(const ExecContext& ctx, Activation activation) {
  return ctx.simulation->activation ? ctx.simulation->activation(activation) : activation;
}

bool IsGelu(Activation activation) { return activation == Activation::kGelu || activation == Activation::kGeluTanh; }

void CopyRows(ConstMatrix from, Matrix to) {
  for (int64_t r = 0; r < to.rows; ++r) std::copy(from.row(r), from.row(r) + to.cols, to.row(r));
}

// The base of a plain table, from the angle of its second pair at position 1, to 4 digits.
double ThetaOf(const RopeTable& table) {
  const int64_t half = table.rotary_dim / 2;
  if (half < 2 || table.positions < 2) return 0;
  const double angle = std::atan2(static_cast<double>(table.sin[half + 1]), static_cast<double>(table.cos[half + 1]));
  if (angle <= 0) return 0;
  const double theta = std::pow(angle, -static_cast<double>(table.rotary_dim) / 2);
  const double unit = std::pow(10, std::floor(std::log10(theta)) - 3);
  return std::round(theta / unit) * unit;
}

bool SkipsNorm(const ExecContext& ctx) { return ctx.simulation->norms_seen++ == ctx.simulation->skip_norm; }

}  // namespace

void Activate(const ExecContext& ctx, Activation activation, Matrix x) {
  const Activation changed = Changed(ctx, activation);
  const bool table = ctx.simulation->gelu_float16_table && IsGelu(changed);
  if (table) RoundTo(Rounding::kFloat16, x);
  truevec::Activate(Plain(ctx), table ? Activation::kGeluTanh : changed, x);
  RoundTo(table ? Rounding::kFloat16 : ctx.simulation->rounding, x);
}

void GatedActivation(const ExecContext& ctx, Activation activation, ConstMatrix gate_up, bool gate_first, Matrix out) {
  CopyRows(gate_up.Columns(gate_first ? 0 : out.cols, out.cols), out);
  simulated::Activate(ctx, activation, out);
  const ConstMatrix up = gate_up.Columns(gate_first ? out.cols : 0, out.cols);
  for (int64_t r = 0; r < out.rows; ++r) {
    for (int64_t c = 0; c < out.cols; ++c) out.row(r)[c] *= up.row(r)[c];
  }
  RoundTo(ctx.simulation->rounding, out);
}

void LayerNorm(const ExecContext& ctx, ConstMatrix x, const float* weight, const float* bias, double eps, Matrix out,
               const ConstMatrix* residual) {
  const Rounding rounding = ctx.simulation->rounding;
  const bool skip = SkipsNorm(ctx);
  if (residual != nullptr && (skip || rounding != Rounding::kNone)) {
    truevec::Add(Plain(ctx), x, *residual, out);
    RoundTo(rounding, out);
    x = out;
    residual = nullptr;
  }
  if (skip) {
    if (x.data != out.data) CopyRows(x, out);
    return;
  }
  truevec::LayerNorm(Plain(ctx), x, weight, bias, ctx.simulation->norm_eps.value_or(eps), out, residual);
  RoundTo(rounding, out);
}

void RmsNorm(const ExecContext& ctx, ConstMatrix x, const float* weight, double eps, float weight_offset, Matrix out) {
  if (SkipsNorm(ctx)) {
    if (x.data != out.data) CopyRows(x, out);
    return;
  }
  truevec::RmsNorm(Plain(ctx), x, weight, ctx.simulation->norm_eps.value_or(eps), weight_offset, out);
  RoundTo(ctx.simulation->rounding, out);
}

void RmsNormHeads(const ExecContext& ctx, Matrix x, int64_t head_dim, const float* weight, double eps,
                  float weight_offset) {
  ++ctx.simulation->head_norms_seen;
  if (ctx.simulation->skip_head_norms) return;
  truevec::RmsNormHeads(Plain(ctx), x, head_dim, weight, ctx.simulation->norm_eps.value_or(eps), weight_offset);
  RoundTo(ctx.simulation->rounding, x);
}

void Add(const ExecContext& ctx, ConstMatrix a, ConstMatrix b, Matrix out) {
  truevec::Add(Plain(ctx), a, b, out);
  RoundTo(ctx.simulation->rounding, out);
}

void Scale(const ExecContext& ctx, Matrix x, float factor) {
  ++ctx.simulation->scales_seen;
  if (ctx.simulation->skip_scale) return;
  truevec::Scale(Plain(ctx), x, factor);
  RoundTo(ctx.simulation->rounding, x);
}

void EmbeddingLookup(const ExecContext& ctx, const TensorView& table, std::span<const int32_t> ids, bool accumulate,
                     Matrix out) {
  truevec::EmbeddingLookup(Plain(ctx), table, ids, accumulate, out);
  RoundTo(ctx.simulation->rounding, out);
}

void Rope(const ExecContext& ctx, const RopeTable& table, std::span<const int32_t> positions, int64_t head_dim,
          Matrix x) {
  const double theta = ThetaOf(table);
  std::vector<double>& seen = ctx.simulation->thetas_seen;
  if (std::find(seen.begin(), seen.end(), theta) == seen.end()) seen.push_back(theta);
  if (!ctx.simulation->rope || positions.empty()) {
    truevec::Rope(Plain(ctx), table, positions, head_dim, x);
  } else {
    const int64_t half = table.rotary_dim / 2;
    RopeTable changed = table;
    changed.positions = *std::max_element(positions.begin(), positions.end()) + 1;
    std::vector<float> cosines(static_cast<size_t>(changed.positions * half));
    std::vector<float> sines(cosines.size());
    for (int64_t i = 0; i < half; ++i) {
      const auto frequency = static_cast<float>(ctx.simulation->rope(theta, i, table.rotary_dim));
      for (int64_t p = 0; p < changed.positions; ++p) {
        const float angle = static_cast<float>(p) * frequency;
        cosines[static_cast<size_t>(p * half + i)] = static_cast<float>(std::cos(static_cast<double>(angle)));
        sines[static_cast<size_t>(p * half + i)] = static_cast<float>(std::sin(static_cast<double>(angle)));
      }
    }
    changed.cos = cosines.data();
    changed.sin = sines.data();
    truevec::Rope(Plain(ctx), changed, positions, head_dim, x);
  }
  RoundTo(ctx.simulation->rounding, x);
}

// Narrow engines round after the product, after the activation and after the residual.
void Apply(const ExecContext& ctx, const Linear& linear, ConstMatrix x, Matrix out, Activation activation,
           const ConstMatrix* residual) {
  const ExecContext plain = Plain(ctx);
  const Rounding rounding = ctx.simulation->rounding;
  const Arena::Scope scope(ctx.arena);
  if (ctx.simulation->inputs != InputQuantization::kNone) {
    const Matrix inputs = ctx.arena->NewMatrix(x.rows, x.cols);
    CopyRows(x, inputs);
    QuantizeInputs(ctx.simulation->inputs, inputs);
    x = inputs;
  }
  if (rounding == Rounding::kNone && !ctx.simulation->gelu_float16_table) {
    truevec::Apply(plain, linear, x, out, Changed(ctx, activation), residual);
    return;
  }
  const Matrix product = ctx.arena->NewMatrix(out.rows, out.cols);
  truevec::Apply(plain, linear, x, product, Activation::kNone, nullptr);
  RoundTo(rounding, product);
  if (activation != Activation::kNone) simulated::Activate(ctx, activation, product);
  if (residual != nullptr) {
    truevec::Add(plain, product, *residual, out);
    RoundTo(rounding, out);
  } else {
    CopyRows(product, out);
  }
}

namespace {

// A query that sees no key at all: a mask of large negative numbers, as PyTorch engines add it, leaves every score the
// same, and the row gets the mean of all values of the padded sequence.
void AverageWhereBlind(const AttentionSpec& spec, std::span<const int32_t> offsets, ConstMatrix v, Matrix out) {
  const int64_t d = spec.head_dim;
  for (size_t s = 0; s + 1 < offsets.size(); ++s) {
    const int64_t first = offsets[s];
    const int64_t length = offsets[s + 1] - first;
    for (int64_t i = 0; i < length; ++i) {
      const int64_t begin = spec.window_left >= 0 ? std::max<int64_t>(0, i - spec.window_left) : 0;
      int64_t end = spec.causal ? i + 1 : length;
      if (spec.window_right >= 0) end = std::min(end, i + spec.window_right + 1);
      const auto hidden = spec.hidden_keys.begin() + first;
      if (std::find(hidden + begin, hidden + std::max(begin, end), uint8_t{0}) != hidden + std::max(begin, end))
        continue;
      for (int64_t h = 0; h < spec.heads; ++h) {
        const int64_t kv = h / (spec.heads / spec.kv_heads);
        for (int64_t c = 0; c < d; ++c) {
          double sum = 0;
          for (int64_t j = 0; j < length; ++j) sum += static_cast<double>(v.row(first + j)[kv * d + c]);
          out.row(first + i)[h * d + c] = static_cast<float>(sum / static_cast<double>(length));
        }
      }
    }
  }
}

}  // namespace

void Attention(const ExecContext& ctx, const AttentionSpec& spec, std::span<const int32_t> offsets, ConstMatrix q,
               ConstMatrix k, ConstMatrix v, Matrix out) {
  AttentionSpec changed = spec;
  Simulation& simulation = *ctx.simulation;
  simulation.window_seen = simulation.window_seen || spec.window_left >= 0 || spec.window_right >= 0;
  simulation.causal_seen = simulation.causal_seen || spec.causal;
  simulation.alibi_seen = simulation.alibi_seen || spec.alibi_slopes != nullptr;
  simulation.relative_seen = simulation.relative_seen || spec.relative_bias != nullptr;
  if (ctx.simulation->attention) ctx.simulation->attention(&changed);
  changed.hidden_keys = ctx.simulation->hidden_keys;
  const std::array<int32_t, 2> merged = {offsets.front(), offsets.back()};
  if (ctx.simulation->merge_sequences) offsets = merged;
  truevec::Attention(Plain(ctx), changed, offsets, q, k, v, out);
  if (simulation.average_blind && !changed.hidden_keys.empty()) AverageWhereBlind(changed, offsets, v, out);
  RoundTo(ctx.simulation->rounding, out);
}

}  // namespace truevec::simulated
