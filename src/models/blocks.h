// Blocks that several architectures share: normalisation weights, fused q/k/v, feed-forward. Each takes one small
// struct; a different wiring is a different forward in the architecture's own file.
#ifndef TRUEVEC_MODELS_BLOCKS_H_
#define TRUEVEC_MODELS_BLOCKS_H_

#include <array>
#include <string_view>
#include <vector>

#include "tensor/ops.h"
#include "weights/weight_scope.h"

namespace truevec {

// LayerNorm with weight [width] and bias [width] under the scope ("LayerNorm.weight").
struct NormWeights {
  std::vector<float> weight;
  std::vector<float> bias;
  double eps = 0;

  static Result<NormWeights> Load(const WeightScope& scope, int64_t width, double eps);
  // LN(x), or LN(x + residual).
  void Apply(const ExecContext& ctx, ConstMatrix x, Matrix out, const ConstMatrix* residual = nullptr) const {
    LayerNorm(ctx, x, weight.data(), bias.empty() ? nullptr : bias.data(), eps, out, residual);
  }
};

// RMSNorm: x / rms(x) * (offset + weight), weight [width] under the scope; Gemma's offset is 1. In double, rounded
// once.
struct RmsWeights {
  std::vector<float> weight;
  double eps = 0;
  float offset = 0;

  static Result<RmsWeights> Load(const WeightScope& scope, int64_t width, double eps, float offset = 0);
  void Apply(const ExecContext& ctx, ConstMatrix x, Matrix out) const {  // out may be x
    RmsNorm(ctx, x, weight.data(), eps, offset, out);
  }
  void ApplyPerHead(const ExecContext& ctx, Matrix x) const {  // heads of width columns
    RmsNormHeads(ctx, x, static_cast<int64_t>(weight.size()), weight.data(), eps, offset);
  }
};

// "<scope>.weight" [out, in] and "<scope>.bias" [out].
Result<Linear> LoadLinear(const WeightScope& scope, int64_t in, int64_t out, ComputeType type);
Result<Linear> LoadLinearNoBias(const WeightScope& scope, int64_t in, int64_t out, ComputeType type);
// Several linears over one input, packed side by side; their outputs are neighbouring column blocks.
Result<Linear> LoadFusedLinear(const std::vector<WeightScope>& scopes, int64_t in, const std::vector<int64_t>& outs,
                               ComputeType type, bool bias = true);

}  // namespace truevec

#endif  // TRUEVEC_MODELS_BLOCKS_H_
