#include "verify/weight_formats.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "tensor/simulation.h"

namespace truevec {
namespace {

float Half(float x) { return RoundTo(Rounding::kFloat16, x); }
float Inverse(float x) { return x != 0 ? 1 / x : 0; }

float LargestOf(const float* x, int64_t n) {
  float largest = 0;
  for (int64_t i = 0; i < n; ++i) largest = std::max(largest, std::abs(x[i]));
  return largest;
}

// The value of largest magnitude, with its sign.
float SignedLargestOf(const float* x, int64_t n) {
  float largest = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (std::abs(x[i]) > std::abs(largest)) largest = x[i];
  }
  return largest;
}

// quantize_row_q8_0_ref: scale max/127, held in float16.
void Q8Block(float* x, int64_t n) {
  const float scale = LargestOf(x, n) / 127;
  const float inverse = Inverse(scale);
  const float stored = Half(scale);
  for (int64_t i = 0; i < n; ++i) x[i] = std::round(x[i] * inverse) * stored;
}

// quantize_row_q4_0_ref and q5_0: scaled by the value of largest magnitude, -top..top-1.
template <int kTop>
void SignedBlock(float* x, int64_t n) {
  const float scale = SignedLargestOf(x, n) / -kTop;
  const float inverse = Inverse(scale);
  const float stored = Half(scale);
  for (int64_t i = 0; i < n; ++i) {
    const int q = std::min(2 * kTop - 1, static_cast<int>(x[i] * inverse + (kTop + 0.5f))) - kTop;
    x[i] = static_cast<float>(q) * stored;
  }
}

// quantize_row_q4_1_ref and q5_1: from the least to the largest value in `steps`, both ends in float16.
template <int kSteps>
void MinimumBlock(float* x, int64_t n) {
  const float low = *std::min_element(x, x + n);
  const float scale = (*std::max_element(x, x + n) - low) / kSteps;
  const float inverse = Inverse(scale);
  for (int64_t i = 0; i < n; ++i) {
    const int q = std::min(kSteps, static_cast<int>(std::floor((x[i] - low) * inverse + 0.5f)));
    x[i] = static_cast<float>(q) * Half(scale) + Half(low);
  }
}

// make_qkx2_quants: scale and minimum (at most 0) of least squared error, weighted by size, among `steps` starts.
struct Affine {
  float scale = 0;
  float minimum = 0;
};
Affine FitAffine(const float* x, int64_t n, int top, float first, int steps) {
  float squares = 0;
  for (int64_t i = 0; i < n; ++i) squares += x[i] * x[i];
  const float usual = std::sqrt(squares / static_cast<float>(n));
  const auto weight = [&](int64_t i) { return usual + std::abs(x[i]); };
  float low = std::min(0.0f, *std::min_element(x, x + n));  // of the best so far: later starts count from there
  const float high = *std::max_element(x, x + n);
  if (high == low) return {0, -low};
  const auto level = [&](int64_t i, float inverse) {
    return std::clamp(std::nearbyint(inverse * (x[i] - low)), 0.0f, static_cast<float>(top));
  };
  const auto error = [&](float inverse, const Affine& a) {
    float sum = 0;
    for (int64_t i = 0; i < n; ++i) {
      const float off = a.scale * level(i, inverse) + a.minimum - x[i];
      sum += weight(i) * off * off;
    }
    return sum;
  };
  const float plain = static_cast<float>(top) / (high - low);
  Affine best = {1 / plain, low};
  float least = error(plain, best);
  for (int step = 0; step <= steps; ++step) {
    const float inverse = (first + 0.1f * static_cast<float>(step) + static_cast<float>(top)) / (high - low);
    float w = 0;
    float wx = 0;
    float l1 = 0;
    float l2 = 0;
    float xl = 0;
    for (int64_t i = 0; i < n; ++i) {
      const float l = level(i, inverse);
      w += weight(i);
      wx += weight(i) * x[i];
      l1 += weight(i) * l;
      l2 += weight(i) * l * l;
      xl += weight(i) * l * x[i];
    }
    const float det = w * l2 - l1 * l1;
    if (det <= 0) continue;
    Affine now = {(w * xl - wx * l1) / det, (l2 * wx - l1 * xl) / det};
    if (now.minimum > 0) now = {xl / l2, 0};
    const float sum = error(inverse, now);
    if (sum < least) {
      least = sum;
      best = now;
      low = now.minimum;
    }
  }
  return {best.scale, -best.minimum};
}

// quantize_row_q4_K_ref and q5_K: eight blocks of 32, their scales and minima in 6 bits.
template <int kTop>
void AffineSuperBlock(float* x, int64_t n) {
  constexpr int64_t kSmall = 32;
  std::array<Affine, 8> fits;
  float scales = 0;
  float minima = 0;
  for (int64_t b = 0; b < n / kSmall; ++b) {
    Affine& fit = fits[static_cast<size_t>(b)];
    fit = kTop == 15 ? FitAffine(x + b * kSmall, kSmall, kTop, -1, 20)
                     : FitAffine(x + b * kSmall, kSmall, kTop, -0.5f, 15);
    scales = std::max(scales, fit.scale);
    minima = std::max(minima, fit.minimum);
  }
  const auto six_bits = [](float value, float largest) {
    return largest > 0 ? std::min(63.0f, std::nearbyint(63 / largest * value)) : 0.0f;
  };
  for (int64_t b = 0; b < n / kSmall; ++b) {
    const Affine& fit = fits[static_cast<size_t>(b)];
    const float scale = Half(scales / 63) * six_bits(fit.scale, scales);
    const float minimum = Half(minima / 63) * six_bits(fit.minimum, minima);
    for (int64_t i = b * kSmall; i < (b + 1) * kSmall; ++i) {
      const float q = scale == 0 ? 0 : std::clamp(std::nearbyint((x[i] + minimum) / scale), 0.0f, float{kTop});
      x[i] = scale * q - minimum;
    }
  }
}

// make_qx_quants with weights x^2: the scale of least error for -top..top-1.
float FitScale(const float* x, int64_t n, int top) {
  const float largest = SignedLargestOf(x, n);
  if (std::abs(largest) < 1e-15f) return 0;
  float scale = 0;
  float best = 0;
  for (const int step : {0, -9, -8, -7, -6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
    const float inverse = -(static_cast<float>(top) + 0.1f * static_cast<float>(step)) / largest;
    float lx = 0;
    float l2 = 0;
    for (int64_t i = 0; i < n; ++i) {
      const float l = std::clamp(std::nearbyint(inverse * x[i]), static_cast<float>(-top), static_cast<float>(top - 1));
      lx += x[i] * x[i] * x[i] * l;
      l2 += x[i] * x[i] * l * l;
    }
    if (l2 > 0 && (step == 0 || lx * lx > best * l2)) {
      scale = lx / l2;
      best = scale * lx;
    }
  }
  return scale;
}

// quantize_row_q6_K_ref: sixteen blocks of 16, their scales in 8 bits.
void Q6SuperBlock(float* x, int64_t n) {
  constexpr int64_t kSmall = 16;
  std::array<float, 16> scales{};
  for (int64_t b = 0; b < n / kSmall; ++b) scales[static_cast<size_t>(b)] = FitScale(x + b * kSmall, kSmall, 32);
  const float largest = SignedLargestOf(scales.data(), n / kSmall);
  const float inverse = largest == 0 ? 0 : -128 / largest;
  const float stored = Half(Inverse(inverse));
  for (int64_t b = 0; b < n / kSmall; ++b) {
    const float scale = stored * std::min(127.0f, std::nearbyint(inverse * scales[static_cast<size_t>(b)]));
    for (int64_t i = b * kSmall; i < (b + 1) * kSmall; ++i) {
      x[i] = scale == 0 ? 0 : scale * std::clamp(std::nearbyint(x[i] / scale), -32.0f, 31.0f);
    }
  }
}

// Symmetric: round(x / scale), scale max/top.
void Symmetric(float* x, int64_t n, int top) {
  const float scale = LargestOf(x, n) / static_cast<float>(top);
  if (scale == 0) return;
  for (int64_t i = 0; i < n; ++i) x[i] = std::nearbyint(x[i] / scale) * scale;
}

// Symmetric with one level more below zero: scale max/(top + 1), largest magnitude at the lower end (NNCF's int4_sym).
void SymmetricLow(float* x, int64_t n, int top) {
  const float scale = SignedLargestOf(x, n) / static_cast<float>(-top - 1);
  if (scale == 0) return;
  for (int64_t i = 0; i < n; ++i) {
    x[i] = std::clamp(std::nearbyint(x[i] / scale), static_cast<float>(-top - 1), static_cast<float>(top)) * scale;
  }
}

// Asymmetric with a whole zero point, so that zero is exact: onnxruntime's quantize_dynamic, NNCF's int8_asym.
void Asymmetric(float* x, int64_t n, int steps) {
  const float low = std::min(0.0f, *std::min_element(x, x + n));
  const float high = std::max(0.0f, *std::max_element(x, x + n));
  if (high == low) return;
  const auto top = static_cast<float>(steps);
  const float scale = (high - low) / top;
  const float zero = std::nearbyint(-low / scale);
  for (int64_t i = 0; i < n; ++i) x[i] = (std::clamp(std::nearbyint(x[i] / scale) + zero, 0.0f, top) - zero) * scale;
}

// From the least value in equal steps; scale and least value in float16 (MLX, HQQ).
void FromMinimum(float* x, int64_t n, int steps) {
  const float low = *std::min_element(x, x + n);
  const float scale = (*std::max_element(x, x + n) - low) / static_cast<float>(steps);
  if (scale == 0) return;
  const float stored = Half(scale);
  for (int64_t i = 0; i < n; ++i) {
    const float q = std::clamp(std::nearbyint((x[i] - Half(low)) / stored), 0.0f, static_cast<float>(steps));
    x[i] = q * stored + Half(low);
  }
}

// Round to nearest of a float of 8 bits; beyond `largest` it saturates.
float RoundToSmallFloat(float x, int mantissa_bits, int least_exponent, float largest) {
  if (x == 0 || !std::isfinite(x)) return x;
  int exponent = 0;
  std::frexp(x, &exponent);
  const float unit = std::ldexp(1.0f, std::max(exponent - 1, least_exponent) - mantissa_bits);
  return std::clamp(std::nearbyint(x / unit) * unit, -largest, largest);
}
float E4M3(float x) { return RoundToSmallFloat(x, 3, -6, 448); }
float E5M2(float x) { return RoundToSmallFloat(x, 2, -14, 57344); }

void Each(float* x, int64_t n, float (*round)(float)) {
  for (int64_t i = 0; i < n; ++i) x[i] = round(x[i]);
}
void ScaledE4M3(float* x, int64_t n) {
  const float scale = LargestOf(x, n) / 448;
  if (scale == 0) return;
  for (int64_t i = 0; i < n; ++i) x[i] = E4M3(x[i] / scale) * scale;
}

// The nearest of `levels` (ascending, in [-1, 1]) times the block's largest magnitude.
template <size_t kCount>
void ToLevels(float* x, int64_t n, const std::array<float, kCount>& levels) {
  const float scale = LargestOf(x, n);
  if (scale == 0) return;
  for (int64_t i = 0; i < n; ++i) {
    const float wanted = x[i] / scale;
    const auto nearer = [&](float a, float b) { return std::abs(a - wanted) < std::abs(b - wanted); };
    x[i] = *std::min_element(levels.begin(), levels.end(), nearer) * scale;
  }
}

// Quantiles of the normal distribution (Dettmers et al. 2023, "QLoRA", appendix E).
constexpr std::array<float, 16> kNormalFloat = {
    -1.0f,       -0.69619280f, -0.52507305f, -0.39491749f, -0.28444138f, -0.18477343f, -0.09105004f, 0.0f,
    0.07958030f, 0.16093020f,  0.24611230f,  0.33791524f,  0.44070983f,  0.56261700f,  0.72295684f,  1.0f};
// bitsandbytes' FP4: sign, two bits of exponent, one of mantissa.
constexpr std::array<float, 15> kFloat4 = {-1.0f,        -0.66666667f, -0.5f, -0.33333333f, -0.25f,
                                           -0.16666667f, -0.00520833f, 0.0f,  0.00520833f,  0.16666667f,
                                           0.25f,        0.33333333f,  0.5f,  0.66666667f,  1.0f};
// OCP MXFP4's values, scaled by powers of two.
constexpr std::array<float, 15> kE2M1 = {-6, -4, -3, -2, -1.5f, -1, -0.5f, 0, 0.5f, 1, 1.5f, 2, 3, 4, 6};

void MicroScaledFloat4(float* x, int64_t n) {
  const float largest = LargestOf(x, n);
  if (largest == 0) return;
  const float scale = std::ldexp(1.0f, static_cast<int>(std::floor(std::log2(largest))) - 2);
  for (int64_t i = 0; i < n; ++i) {
    const float wanted = x[i] / scale;
    const auto nearer = [&](float a, float b) { return std::abs(a - wanted) < std::abs(b - wanted); };
    x[i] = *std::min_element(kE2M1.begin(), kE2M1.end(), nearer) * scale;
  }
}

std::vector<WeightFormat> MakeOthers() {
  std::vector<WeightFormat> formats = {
      {"Q4_1", 32, MinimumBlock<15>},
      {"Q5_0", 32, SignedBlock<16>},
      {"Q5_1", 32, MinimumBlock<31>},
      {"Q4_K", 256, AffineSuperBlock<15>},
      {"Q5_K", 256, AffineSuperBlock<31>},
      {"Q6_K", 256, Q6SuperBlock},
      {"MXFP4", 32, MicroScaledFloat4},
      {"NF4", 64, [](float* x, int64_t n) { ToLevels(x, n, kNormalFloat); }, true},
      {"FP4", 64, [](float* x, int64_t n) { ToLevels(x, n, kFloat4); }, true},
      {"float8 e4m3", kWholeTensor, [](float* x, int64_t n) { Each(x, n, E4M3); }},
      {"float8 e4m3, scale per tensor", kWholeTensor, ScaledE4M3},
      {"float8 e4m3, scale per row", kWholeRow, ScaledE4M3},
      {"float8 e5m2", kWholeTensor, [](float* x, int64_t n) { Each(x, n, E5M2); }},
  };
  const auto name = [](int bits, int64_t block, const char* kind) {
    return "int" + std::to_string(bits) + (block == kWholeRow ? " per row" : " in groups of " + std::to_string(block)) +
           ", " + kind;
  };
  for (const int bits : {8, 6, 5, 4, 3, 2}) {
    const int steps = (1 << bits) - 1;
    for (const int64_t block : {kWholeRow, int64_t{16}, int64_t{32}, int64_t{64}, int64_t{128}}) {
      formats.push_back(
          {name(bits, block, "asymmetric"), block, [=](float* x, int64_t n) { Asymmetric(x, n, steps); }});
      formats.push_back(
          {name(bits, block, "from the minimum"), block, [=](float* x, int64_t n) { FromMinimum(x, n, steps); }});
      if (bits > 2 && (bits < 8 || block != kWholeRow)) {
        formats.push_back(
            {name(bits, block, "symmetric"), block, [=](float* x, int64_t n) { Symmetric(x, n, steps / 2); }});
      }
      if (bits == 4) {
        formats.push_back(
            {name(bits, block, "symmetric to -8"), block, [=](float* x, int64_t n) { SymmetricLow(x, n, steps / 2); }});
      }
    }
  }
  return formats;
}

}  // namespace

const std::vector<WeightFormat>& UsualWeightFormats() {
  static const std::vector<WeightFormat> kFormats = {
      {"Q8_0", 32, Q8Block},
      {"Q4_0", 32, SignedBlock<8>},
      {"int8 per row", kWholeRow, [](float* x, int64_t n) { Symmetric(x, n, 127); }},
      {"int8 per tensor", kWholeTensor, [](float* x, int64_t n) { Symmetric(x, n, 127); }},
      {"uint8 per tensor", kWholeTensor, [](float* x, int64_t n) { Asymmetric(x, n, 255); }},
  };
  return kFormats;
}

const std::vector<WeightFormat>& OtherWeightFormats() {
  static const std::vector<WeightFormat> kFormats = MakeOthers();
  return kFormats;
}

bool IsEmbeddingTable(const std::string& tensor) {
  return tensor.find("emb") != std::string::npos || tensor == "shared.weight" ||
         tensor.find("relative_attention_bias") != std::string::npos;
}

bool ApplyWeightFormat(const WeightFormat& format, int64_t cols, std::vector<float>* values) {
  const auto total = static_cast<int64_t>(values->size());
  const int64_t size = format.block == kWholeTensor ? total : format.block == kWholeRow ? cols : format.block;
  if (size <= 0 || total % size != 0 || (format.block > 0 && !format.across_rows && cols % size != 0)) return false;
  for (int64_t at = 0; at < total; at += size) format.quantize(values->data() + at, size);
  return true;
}

}  // namespace truevec
