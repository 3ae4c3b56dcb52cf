// Blocks that several architectures share: normalisation weights, fused q/k/v, feed-forward. Each takes one small
// struct; a different wiring is a different forward in the architecture's own file.
#ifndef TRUEVEC_MODELS_BLOCKS_H_
#define TRUEVEC_MODELS_BLOCKS_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/config_reader.h"
#include "tensor/ops.h"
#include "weights/weight_scope.h"

namespace truevec {

// The activation that a config names; refused by that key when it is unknown.
Result<Activation> ReadActivation(ConfigReader& config, const ConfigReader::Names& names, std::string fallback);

// LayerNorm with weight [width] and, unless the architecture has none, bias [width] under the scope
// ("LayerNorm.weight").
struct NormWeights {
  std::vector<float> weight;
  std::vector<float> bias;
  double eps = 0;

  static Result<NormWeights> Load(const WeightScope& scope, int64_t width, double eps, bool has_bias = true);
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

// "<scope>.weight" [out, in] and, with `bias`, "<scope>.bias" [out].
Result<Linear> LoadLinear(const WeightScope& scope, int64_t in, int64_t out, ComputeType type, bool bias = true);
Result<Linear> LoadLinearNoBias(const WeightScope& scope, int64_t in, int64_t out, ComputeType type);
// Several linears over one input, packed side by side; their outputs are neighbouring column blocks.
Result<Linear> LoadFusedLinear(const std::vector<WeightScope>& scopes, int64_t in, const std::vector<int64_t>& outs,
                               ComputeType type, bool bias = true);

// out.row(i) = from.row(rows[i]), in the arena; and back, the other rows of `out` untouched.
Matrix GatherRows(const ExecContext& ctx, ConstMatrix from, std::span<const int32_t> rows);
void ScatterRows(ConstMatrix from, std::span<const int32_t> rows, Matrix out);
// The rows of `hidden` that a layer goes on with after attention, and those of `context` with them: copies of the
// `needed` ones; all of them, in place, when `needed` is empty.
Matrix KeepNeeded(const ExecContext& ctx, std::span<const int32_t> needed, Matrix hidden, Matrix* context);

}  // namespace truevec

#endif  // TRUEVEC_MODELS_BLOCKS_H_
