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

namespace {

// See Simulation::saturate_pairs. `x` [M, in] is already rounded by row; out [M, out].
void SaturatedProduct(const ExecContext& plain, const Linear& linear, ConstMatrix x, Matrix out) {
  const int64_t in = linear.in_features();
  // W^T and the bias, by the products of unit rows and of none.
  const Matrix units = plain.arena->NewMatrix(in + 1, in);
  for (int64_t k = 0; k <= in; ++k) {
    std::fill_n(units.row(k), in, 0.0f);
    if (k < in) units.row(k)[k] = 1;
  }
  constexpr int64_t kRows = 8;
  constexpr int64_t kColumns = 64;  // whole blocks: a known count of columns is vectorised
  const int64_t padded = (out.cols + kColumns - 1) / kColumns * kColumns;
  const Matrix weights = plain.arena->NewMatrix(in + 1, padded);
  for (int64_t k = 0; k <= in; ++k) std::fill_n(weights.row(k), padded, 0.0f);
  truevec::Apply(plain, linear, units, weights.Columns(0, out.cols), Activation::kNone, nullptr);
  const float* bias = weights.row(in);
  std::vector<float> scale(static_cast<size_t>(out.cols));
  std::vector<float> shift(scale.size());  // 128 times the sum of a row's whole numbers
  for (int64_t k = 0; k < in; ++k) {
    for (int64_t n = 0; n < out.cols; ++n) {
      float& largest = scale[static_cast<size_t>(n)];
      largest = std::max(largest, std::abs(weights.row(k)[n] - bias[n]));
    }
  }
  for (float& s : scale) s = s == 0 ? 1 : 127 / s;
  for (int64_t k = 0; k < in; ++k) {
    for (int64_t n = 0; n < out.cols; ++n) {
      float& w = weights.row(k)[n];
      w = std::nearbyint((w - bias[n]) * scale[static_cast<size_t>(n)]);
      shift[static_cast<size_t>(n)] += 128 * w;
    }
  }
  plain.pool->ParallelFor((x.rows + kRows - 1) / kRows, [&](int64_t unit, int) {
    const int64_t first = unit * kRows;
    const int64_t rows = std::min(kRows, x.rows - first);
    std::vector<float> bytes(static_cast<size_t>(rows * (in + 1)), 128.0f);
    std::array<float, kRows> inputs;
    for (int64_t r = 0; r < rows; ++r) {
      const float* values = x.row(first + r);
      float largest = 0;
      for (int64_t k = 0; k < in; ++k) largest = std::max(largest, std::abs(values[k]));
      inputs[static_cast<size_t>(r)] = largest == 0 ? 1 : 127 / largest;
      float* own = bytes.data() + r * (in + 1);
      for (int64_t k = 0; k < in; ++k) own[k] += std::nearbyint(values[k] * inputs[static_cast<size_t>(r)]);
      own[in] = 0;  // the partner of an odd last one
    }
    std::array<float, kRows * kColumns> sums;
    for (int64_t n0 = 0; n0 < out.cols; n0 += kColumns) {
      const int64_t columns = std::min(kColumns, out.cols - n0);
      sums.fill(0);
      for (int64_t k = 0; k < in; k += 2) {
        const float* wa = weights.row(k) + n0;
        const float* wb = weights.row(std::min(k + 1, in - 1)) + n0;
        for (int64_t r = 0; r < rows; ++r) {
          const float* own = bytes.data() + r * (in + 1) + k;
          float* sum = sums.data() + r * kColumns;
          const float a = own[0];
          const float b = own[1];
          for (int64_t n = 0; n < kColumns; ++n) {
            sum[n] += std::min(std::max(a * wa[n] + b * wb[n], -32768.0f), 32767.0f);
          }
        }
      }
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t n = 0; n < columns; ++n) {
          const auto i = static_cast<size_t>(n0 + n);
          const float sum = sums[static_cast<size_t>(r * kColumns + n)] - shift[i];
          out.row(first + r)[n0 + n] = sum / (inputs[static_cast<size_t>(r)] * scale[i]) + bias[n0 + n];
        }
      }
    }
  });
}

}  // namespace

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
  const bool saturate = ctx.simulation->saturate_pairs;
  if (rounding == Rounding::kNone && !ctx.simulation->gelu_float16_table && !saturate) {
    truevec::Apply(plain, linear, x, out, Changed(ctx, activation), residual);
    return;
  }
  const Matrix product = ctx.arena->NewMatrix(out.rows, out.cols);
  if (saturate) {
    SaturatedProduct(plain, linear, x, product);
  } else {
    truevec::Apply(plain, linear, x, product, Activation::kNone, nullptr);
  }
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
