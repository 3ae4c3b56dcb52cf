#include "models/blocks.h"

#include <algorithm>
#include <numeric>

#include "weights/packed_cache.h"

namespace truevec {

Result<Activation> ReadActivation(ConfigReader& config, const ConfigReader::Names& names, std::string fallback) {
  TV_ASSIGN_OR_RETURN(const std::string name, config.String(names, std::move(fallback)));
  auto activation = ActivationByName(name);
  if (activation.ok()) return *activation;
  for (const std::string_view key : names) {
    if (config.Has(key)) return config.Refuse(key, activation.status().message());
  }
  return config.Refuse(names.front(), activation.status().message());
}

Result<NormWeights> NormWeights::Load(const WeightScope& scope, int64_t width, double eps, bool has_bias) {
  NormWeights norm;
  TV_ASSIGN_OR_RETURN(norm.weight, scope.GetFloats("weight", {width}));
  if (has_bias) {
    TV_ASSIGN_OR_RETURN(norm.bias, scope.GetFloats("bias", {width}));
  }
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

Result<Linear> LoadLinear(const WeightScope& scope, int64_t in, int64_t out, ComputeType type, bool bias) {
  return LoadFusedLinear({scope}, in, {out}, type, bias);
}

Result<Linear> LoadLinearNoBias(const WeightScope& scope, int64_t in, int64_t out, ComputeType type) {
  return LoadFusedLinear({scope}, in, {out}, type, false);
}

namespace {

// From the cache of packed matrices, or packed now; then the weights' pages of the file are given back.
Linear PackedLinearOf(const std::vector<WeightScope>& scopes, const std::vector<TensorView>& weights,
                      const std::vector<TensorView>& biases, int64_t in, const std::vector<int64_t>& outs,
                      ComputeType type) {
  PackedCache* const cache = scopes[0].packed();
  std::string name = std::to_string(static_cast<int>(type));
  for (size_t i = 0; i < scopes.size(); ++i) {
    name += " " + scopes[i].prefix() + (i < biases.size() && biases[i].present() ? "+" : "-");
  }
  if (cache != nullptr) {
    std::optional<Linear> kept = cache->Find(name);
    const int64_t out = std::accumulate(outs.begin(), outs.end(), int64_t{0});
    if (kept && kept->in_features() == in && kept->out_features() == out) return std::move(*kept);
  }
  Linear linear = Linear::Pack(weights, biases, type);
  if (cache != nullptr) cache->Add(name, linear);
  for (const TensorView& weight : weights) scopes[0].store()->ReleaseTensor(weight);
  return linear;
}

}  // namespace

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
  Linear linear = PackedLinearOf(scopes, weights, biases, in, outs, type);
  if (!linear.fallback_note().empty()) scopes[0].Note("bfloat16 is used: " + linear.fallback_note());
  return linear;
}

Matrix GatherRows(const ExecContext& ctx, ConstMatrix from, std::span<const int32_t> rows) {
  const Matrix out = ctx.arena->NewMatrix(static_cast<int64_t>(rows.size()), from.cols);
  for (int64_t i = 0; i < out.rows; ++i) {
    const float* row = from.row(rows[static_cast<size_t>(i)]);
    std::copy(row, row + from.cols, out.row(i));
  }
  return out;
}

void ScatterRows(ConstMatrix from, std::span<const int32_t> rows, Matrix out) {
  for (int64_t i = 0; i < from.rows; ++i) {
    std::copy(from.row(i), from.row(i) + from.cols, out.row(rows[static_cast<size_t>(i)]));
  }
}

Matrix KeepNeeded(const ExecContext& ctx, std::span<const int32_t> needed, Matrix hidden, Matrix* context) {
  if (needed.empty()) return hidden;
  *context = GatherRows(ctx, *context, needed);
  return GatherRows(ctx, hidden, needed);
}

}  // namespace truevec
