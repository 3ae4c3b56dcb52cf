#include "models/blocks.h"

namespace truevec {

Result<NormWeights> NormWeights::Load(const WeightScope& scope, int64_t width, double eps) {
  NormWeights norm;
  TV_ASSIGN_OR_RETURN(norm.weight, scope.GetFloats("weight", {width}));
  TV_ASSIGN_OR_RETURN(norm.bias, scope.GetFloats("bias", {width}));
  norm.eps = eps;
  return norm;
}

Result<Linear> LoadLinear(const WeightScope& scope, int64_t in, int64_t out, ComputeType type) {
  return LoadFusedLinear({scope}, in, {out}, type);
}

Result<Linear> LoadFusedLinear(const std::vector<WeightScope>& scopes, int64_t in, const std::vector<int64_t>& outs,
                               ComputeType type) {
  std::vector<TensorView> weights;
  std::vector<TensorView> biases;
  for (size_t i = 0; i < scopes.size(); ++i) {
    TV_ASSIGN_OR_RETURN(TensorView weight, scopes[i].Get("weight", {outs[i], in}));
    TV_ASSIGN_OR_RETURN(TensorView bias, scopes[i].Get("bias", {outs[i]}));
    weights.push_back(std::move(weight));
    biases.push_back(std::move(bias));
  }
  return Linear::Pack(weights, biases, type);
}

}  // namespace truevec
