// Rounding to narrow floats: to nearest, ties to even, as hardware and PyTorch round; and to int8, as CTranslate2
// (src/cpu/kernels.cc, quantize_s8) and ggml (ggml-quants.c, quantize_row_q8_0_ref) round what goes into a product.
#include "tensor/simulation.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace truevec {
namespace {

float ToBFloat16(float x) {
  if (!std::isfinite(x)) return x;
  const auto bits = std::bit_cast<uint32_t>(x);
  return std::bit_cast<float>((bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u);
}

float ToFloat16(float x) {
  if (!std::isfinite(x) || x == 0) return x;
  int exponent = 0;
  std::frexp(x, &exponent);  // |x| in [2^(exponent-1), 2^exponent)
  // 11 bits of precision, subnormals below 2^-14.
  const int scale = std::max(exponent - 11, -24);
  const float rounded = std::ldexp(std::nearbyint(std::ldexp(x, -scale)), scale);
  if (std::abs(rounded) > 65504.0f) return std::copysign(std::numeric_limits<float>::infinity(), x);
  return rounded;
}

}  // namespace

float RoundTo(Rounding rounding, float x) {
  if (rounding == Rounding::kNone) return x;
  return rounding == Rounding::kFloat16 ? ToFloat16(x) : ToBFloat16(x);
}

void RoundTo(Rounding rounding, Matrix x) {
  if (rounding == Rounding::kNone) return;
  for (int64_t r = 0; r < x.rows; ++r) {
    for (int64_t c = 0; c < x.cols; ++c) x.row(r)[c] = RoundTo(rounding, x.row(r)[c]);
  }
}

void QuantizeInputs(InputQuantization how, Matrix x) {
  if (how == InputQuantization::kNone) return;
  const bool blocks = how == InputQuantization::kBlock32;
  const int64_t size = blocks ? 32 : x.cols;
  for (int64_t r = 0; r < x.rows; ++r) {
    for (int64_t first = 0; first < x.cols; first += size) {
      const std::span<float> values(x.row(r) + first, static_cast<size_t>(std::min(size, x.cols - first)));
      float largest = 0;
      for (const float v : values) largest = std::max(largest, std::abs(v));
      if (largest == 0 || !std::isfinite(largest)) continue;
      const float scale = largest / 127;
      const float stored = blocks ? ToFloat16(scale) : scale;
      const float inverse = 1 / scale;
      for (float& v : values) v = (blocks ? std::round(v * inverse) : std::nearbyint(v * inverse)) * stored;
    }
  }
}

}  // namespace truevec
