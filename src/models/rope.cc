#include "models/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "models/rope_config.h"
#include "models/torch_pow.h"

namespace truevec {
namespace {

float F(double x) { return static_cast<float>(x); }

// arange(0, dim, 2) / denominator
std::vector<float> Exponents(int64_t dim, int64_t denominator) {
  std::vector<float> exponents;
  for (int64_t i = 0; i < dim; i += 2) exponents.push_back(static_cast<float>(i) / static_cast<float>(denominator));
  return exponents;
}

// 1.0 / base ** exponents
std::vector<float> Inverse(float base, std::span<const float> exponents) {
  std::vector<float> values = TorchPow(base, exponents);
  for (float& x : values) x = 1.0f / x;
  return values;
}

// _compute_dynamic_ntk_parameters with `length` a tensor, as the forward pass calls it: float32 throughout.
float DynamicBase(const RopeParameters& p, int64_t dim, int64_t length) {
  const float positions = static_cast<float>(p.max_positions);
  const float grown = F(*p.factor) * static_cast<float>(length) / positions - F(*p.factor - 1);
  const double exponent = static_cast<double>(dim) / static_cast<double>(dim - 2);
  return F(p.theta) * static_cast<float>(std::pow(static_cast<double>(grown), exponent));
}

// The same in Python floats.
float DoubleDynamicBase(const RopeParameters& p, int64_t dim, int64_t length) {
  const double grown = *p.factor * static_cast<double>(length) / static_cast<double>(p.max_positions) - (*p.factor - 1);
  return F(p.theta * std::pow(grown, static_cast<double>(dim) / static_cast<double>(dim - 2)));
}

// NTKScalingRotaryEmbedding of Alibaba-NLP/new-impl.
std::vector<float> FixedNtk(const RopeParameters& p, int64_t dim) {
  if (*p.factor <= 1) return Inverse(F(p.theta), Exponents(dim, dim));
  std::vector<float> inverse = Inverse(F(p.mixed_b ? p.theta : p.theta * *p.factor), Exponents(dim, dim));
  if (!p.mixed_b) {
    const float divisor = F(std::pow(*p.factor, 2.0 / static_cast<double>(dim)));
    for (float& x : inverse) x /= divisor;
    return inverse;
  }
  const float a = F(std::log(F(*p.factor))) / F(std::pow(static_cast<double>(dim) / 2, *p.mixed_b));
  for (size_t i = 0; i < inverse.size(); ++i) {
    inverse[i] /= std::exp(a * std::pow(static_cast<float>(i + 1), F(*p.mixed_b)));
  }
  return inverse;
}

std::vector<float> Yarn(const RopeParameters& p, int64_t dim) {
  const auto correction = [&](double rotations) {
    const double positions = static_cast<double>(p.original_positions);
    return static_cast<double>(dim) * std::log(positions / (rotations * 2 * std::numbers::pi)) /
           (2 * std::log(p.theta));
  };
  double low = correction(p.beta_fast);
  double high = correction(p.beta_slow);
  if (p.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(dim - 1));
  if (low == high) high += 0.001;
  const std::vector<float> frequencies = TorchPow(F(p.theta), Exponents(dim, dim));
  std::vector<float> inverse;
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const float ramp = std::clamp((static_cast<float>(i) - F(low)) / F(high - low), 0.0f, 1.0f);
    const float extrapolated = 1.0f - ramp;
    inverse.push_back(1.0f / (F(*p.factor) * frequencies[i]) * (1.0f - extrapolated) +
                      1.0f / frequencies[i] * extrapolated);
  }
  return inverse;
}

std::vector<float> Llama3(const RopeParameters& p, int64_t dim) {
  std::vector<float> inverse = Inverse(F(p.theta), Exponents(dim, dim));
  const double positions = static_cast<double>(p.original_positions);
  const float low_wavelength = F(positions / p.low_freq_factor);
  const float high_wavelength = F(positions / p.high_freq_factor);
  const float factor = F(*p.factor);
  for (float& x : inverse) {
    const float wavelength = 1.0f / x * F(2 * std::numbers::pi);
    if (wavelength > low_wavelength) {
      x = x / factor;
    } else if (!(wavelength < high_wavelength)) {
      const float smooth =
          (1.0f / wavelength * F(positions) - F(p.low_freq_factor)) / F(p.high_freq_factor - p.low_freq_factor);
      x = (1.0f - smooth) * x / factor + smooth * x;
    }
  }
  return inverse;
}

std::vector<float> LongRope(const RopeParameters& p, int64_t dim, bool is_long) {
  const std::vector<double>& factors = is_long ? p.long_factor : p.short_factor;
  std::vector<float> inverse = TorchPow(F(p.theta), Exponents(dim, dim));
  for (size_t i = 0; i < inverse.size(); ++i) inverse[i] = 1.0f / (F(factors[i]) * inverse[i]);
  return inverse;
}

std::vector<float> Proportional(const RopeParameters& p, int64_t head_dim) {
  const auto angles = static_cast<int64_t>(std::floor(std::trunc(p.partial * static_cast<double>(head_dim)) / 2));
  std::vector<float> inverse = Inverse(F(p.theta), Exponents(2 * angles, head_dim));
  inverse.resize(static_cast<size_t>(head_dim / 2), 0.0f);
  for (float& x : inverse) x /= F(p.factor.value_or(1.0));
  return inverse;
}

double YarnScale(double factor, double mscale) { return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0; }

float AttentionScaling(const RopeParameters& p) {
  if (p.type != "yarn" && p.type != "longrope") return 1.0f;
  if (p.attention_factor.has_value()) return F(*p.attention_factor);
  const double factor =
      p.factor.value_or(static_cast<double>(p.max_positions) / static_cast<double>(p.original_positions));
  if (p.type == "longrope") {
    return factor <= 1 ? 1.0f
                       : F(std::sqrt(1 + std::log(factor) / std::log(static_cast<double>(p.original_positions))));
  }
  const double mscale = p.mscale.value_or(0);
  const double all = p.mscale_all_dim.value_or(0);
  return F(mscale != 0 && all != 0 ? YarnScale(factor, mscale) / YarnScale(factor, all) : YarnScale(factor, 1));
}

// cos and sin of x >= 0 in double, without libm so that every machine gives the same bits: reduction by pi/2 in three
// parts and the polynomials of FreeBSD msun k_cos.c and k_sin.c. Absolute error below 1e-15 for x < 2^20.
void CosSin(double x, double* cos, double* sin) {
  const double n = std::rint(x * 6.36619772367581382433e-01);
  double r = x - n * 1.57079632673412561417e+00;
  r -= n * 6.07710050630396597660e-11;
  r -= n * 2.02226624879595063154e-21;
  const double z = r * r;
  const double s = r + r * z *
                           (-1.66666666666666324348e-01 +
                            z * (8.33333333332248946124e-03 +
                                 z * (-1.98412698298579493134e-04 +
                                      z * (2.75573137070700676789e-06 +
                                           z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10)))));
  const double c =
      1.0 - (0.5 * z - z * z *
                           (4.16666666666666019037e-02 +
                            z * (-1.38888888888741095749e-03 +
                                 z * (2.48015872894767294178e-05 +
                                      z * (-2.75573143513906633035e-07 +
                                           z * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11))))));
  switch (static_cast<int64_t>(n) & 3) {
    case 0:
      *cos = c, *sin = s;
      break;
    case 1:
      *cos = -s, *sin = c;
      break;
    case 2:
      *cos = -c, *sin = -s;
      break;
    default:
      *cos = s, *sin = -c;
  }
}

}  // namespace

Result<RotaryEmbedding> RotaryEmbedding::Create(const RopeParameters& parameters, int64_t head_dim) {
  RotaryEmbedding rope;
  rope.parameters_ = parameters;
  rope.head_dim_ = head_dim;
  rope.rotary_dim_ = parameters.type == "proportional"
                         ? head_dim
                         : static_cast<int64_t>(static_cast<double>(head_dim) * parameters.partial);
  TV_RETURN_IF_ERROR(CheckRope(parameters, head_dim, rope.rotary_dim_));
  rope.attention_scaling_ = AttentionScaling(parameters);
  rope.inverse_ = rope.Frequencies(0);
  return rope;
}

Result<RotaryEmbedding> RotaryEmbedding::Read(ConfigReader& config, const RopeKeys& keys) {
  TV_ASSIGN_OR_RETURN(const RopeParameters parameters, ReadRopeParameters(config, keys));
  return Create(parameters, keys.head_dim);
}

int64_t RotaryEmbedding::Variant(int64_t length) const {
  if (parameters_.type == "dynamic" && length > parameters_.max_positions) return length;
  if (parameters_.type == "longrope" && length > parameters_.original_positions) {
    return parameters_.original_positions + 1;
  }
  return 0;
}

std::vector<float> RotaryEmbedding::Frequencies(int64_t variant) const {
  const RopeParameters& p = parameters_;
  if (p.type == "yarn") return Yarn(p, rotary_dim_);
  if (p.type == "llama3") return Llama3(p, rotary_dim_);
  if (p.type == "longrope") return LongRope(p, rotary_dim_, variant > 0);
  if (p.type == "proportional") return Proportional(p, head_dim_);
  if (p.type == "ntk") return FixedNtk(p, rotary_dim_);
  const bool grown = p.type == "dynamic" && variant > 0;
  float base = F(p.theta);
  if (grown) {
    base = p.double_base ? DoubleDynamicBase(p, rotary_dim_, variant) : DynamicBase(p, rotary_dim_, variant);
  }
  std::vector<float> inverse = Inverse(base, Exponents(rotary_dim_, rotary_dim_));
  if (p.type == "linear") {
    for (float& x : inverse) x /= F(*p.factor);
  }
  return inverse;
}

std::vector<float> RotaryEmbedding::InverseFrequencies(int64_t length) const {
  const int64_t variant = Variant(length);
  return variant == 0 ? inverse_ : Frequencies(variant);
}

BatchRope RotaryEmbedding::ForBatch(const PackedBatch& batch, const ExecContext& ctx, bool interleaved) const {
  struct Part {
    int64_t variant = 0;
    int64_t length = 0;  // of the longest text
    int64_t first_row = 0;
    std::vector<float> inverse;
  };
  std::vector<Part> parts;
  const auto part_of = [&](int64_t length) -> Part& {
    const int64_t variant = Variant(length);
    for (Part& part : parts) {
      if (part.variant == variant) return part;
    }
    parts.push_back({variant, 0, 0, variant == 0 ? inverse_ : Frequencies(variant)});
    return parts.back();
  };
  const auto length_of = [&](int64_t s) {
    return int64_t{batch.offsets[static_cast<size_t>(s) + 1]} - batch.offsets[static_cast<size_t>(s)];
  };
  for (int64_t s = 0; s < batch.sequences(); ++s) {
    Part& part = part_of(length_of(s));
    part.length = std::max(part.length, length_of(s));
  }
  int64_t rows = 0;
  for (Part& part : parts) {
    part.first_row = rows;
    rows += part.length;
  }
  const auto half = static_cast<int64_t>(inverse_.size());
  float* cos = ctx.arena->Allocate<float>(rows * half);
  float* sin = ctx.arena->Allocate<float>(rows * half);
  for (const Part& part : parts) {
    constexpr int64_t kBlock = 64;
    ctx.pool->ParallelFor((part.length + kBlock - 1) / kBlock, [&](int64_t block, int) {
      for (int64_t p = block * kBlock; p < std::min(part.length, (block + 1) * kBlock); ++p) {
        for (int64_t i = 0; i < half; ++i) {
          double c = 0;
          double s = 0;
          CosSin(static_cast<float>(p) * part.inverse[static_cast<size_t>(i)], &c, &s);
          cos[(part.first_row + p) * half + i] = static_cast<float>(c) * attention_scaling_;
          sin[(part.first_row + p) * half + i] = static_cast<float>(s) * attention_scaling_;
        }
      }
    });
  }
  int32_t* token_rows = ctx.arena->Allocate<int32_t>(batch.tokens());
  for (int64_t s = 0; s < batch.sequences(); ++s) {
    const int64_t first = part_of(length_of(s)).first_row;
    for (int64_t i = 0; i < length_of(s); ++i) {
      token_rows[batch.offsets[static_cast<size_t>(s)] + i] = static_cast<int32_t>(first + i);
    }
  }
  return {{cos, sin, 2 * half, rows, interleaved}, {token_rows, static_cast<size_t>(batch.tokens())}};
}

}  // namespace truevec
