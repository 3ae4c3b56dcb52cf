#include "models/token_convolution.h"

#include <algorithm>

namespace truevec {

Result<TokenConvolution> TokenConvolution::Load(const WeightScope& scope, int64_t width, int64_t kernel,
                                                int64_t groups) {
  TokenConvolution convolution;
  convolution.kernel_ = kernel;
  const int64_t in = width / groups;
  TV_ASSIGN_OR_RETURN(const std::vector<float> weight, scope.GetFloats("weight", {width, in, kernel}));
  TV_ASSIGN_OR_RETURN(const std::vector<float> bias, scope.GetFloats("bias", {width}));
  std::vector<float> taps(static_cast<size_t>(in * kernel * in));
  for (int64_t g = 0; g < groups; ++g) {
    for (int64_t o = 0; o < in; ++o) {
      for (int64_t i = 0; i < in; ++i) {
        for (int64_t t = 0; t < kernel; ++t) {
          taps[static_cast<size_t>((o * kernel + t) * in + i)] =
              weight[static_cast<size_t>(((g * in + o) * in + i) * kernel + t)];
        }
      }
    }
    const TensorView weights{taps.data(), DType::kF32, {in, kernel * in}};
    const TensorView biases{bias.data() + g * in, DType::kF32, {in}};
    convolution.groups_.push_back(Linear::Pack({&weights, 1}, {&biases, 1}, ComputeType::kFloat32));
  }
  return convolution;
}

void TokenConvolution::Forward(std::span<const int32_t> offsets, const ExecContext& ctx, ConstMatrix x,
                               Matrix out) const {
  const Arena::Scope scope(ctx.arena);
  const int64_t in = x.cols / static_cast<int64_t>(groups_.size());
  const Matrix windows = ctx.arena->NewMatrix(x.rows, kernel_ * in);
  for (size_t g = 0; g < groups_.size(); ++g) {
    const int64_t column = static_cast<int64_t>(g) * in;
    for (size_t s = 0; s + 1 < offsets.size(); ++s) {
      for (int64_t r = offsets[s]; r < offsets[s + 1]; ++r) {
        for (int64_t tap = 0; tap < kernel_; ++tap) {
          const int64_t from = r + tap - (kernel_ - 1) / 2;
          float* to = windows.row(r) + tap * in;
          if (from < offsets[s] || from >= offsets[s + 1]) {
            std::fill(to, to + in, 0.0f);
          } else {
            std::copy(x.row(from) + column, x.row(from) + column + in, to);
          }
        }
      }
    }
    Apply(ctx, groups_[g], windows, out.Columns(column, in));
  }
}

}  // namespace truevec
