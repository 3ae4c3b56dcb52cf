#include "models/blocks.h"

namespace truevec {

Result<NormWeights> NormWeights::Load(const WeightScope& scope, int64_t width, double eps) {
  NormWeights norm;
  TV_ASSIGN_OR_RETURN(norm.weight, scope.GetFloats("weight", {width}));
  TV_ASSIGN_OR_RETURN(norm.bias, scope.GetFloats("bias", {width}));
  norm.eps = eps;
  return norm;
}

Result<RmsWeights> RmsWeights::Load(const WeightScope& scope, int64_t width, double eps, float offset) {
  RmsWeights norm;
  TV_ASSIGN_OR_RETURN(norm.weight, scope.GetFloats("weight", {width}));
  norm.eps = eps;
  norm.offset = offset;
  return norm;
}

Result<Linear> LoadLinear(const WeightScope& scope, int64_t in, int64_t out, ComputeType type) {
  return LoadFusedLinear({scope}, in, {out}, type);
}

Result<Linear> LoadLinearNoBias(const WeightScope& scope, int64_t in, int64_t out, ComputeType type) {
  return LoadFusedLinear({scope}, in, {out}, type, false);
}

Result<Linear> LoadFusedLinear(const std::vector<WeightScope>& scopes, int64_t in, const std::vector<int64_t>& outs,
                               ComputeType type, bool bias) {
  std::vector<TensorView> weights;
  std::vector<TensorView> biases;
  for (size_t i = 0; i < scopes.size(); ++i) {
    TV_ASSIGN_OR_RETURN(TensorView weight, scopes[i].Get("weight", {outs[i], in}));
    weights.push_back(std::move(weight));
    if (!bias) continue;
    TV_ASSIGN_OR_RETURN(TensorView values, scopes[i].Get("bias", {outs[i]}));
    biases.push_back(std::move(values));
  }
  return Linear::Pack(weights, biases, type);
}

}  // namespace truevec
