// The ops with the context's Simulation applied: each op hands over to its namesake here when ctx.simulation is set.
#ifndef TRUEVEC_TENSOR_SIMULATED_OPS_H_
#define TRUEVEC_TENSOR_SIMULATED_OPS_H_

#include "tensor/simulation.h"

namespace truevec::simulated {

void Activate(const ExecContext& ctx, Activation activation, Matrix x);
void GatedActivation(const ExecContext& ctx, Activation activation, ConstMatrix gate_up, bool gate_first, Matrix out);
void LayerNorm(const ExecContext& ctx, ConstMatrix x, const float* weight, const float* bias, double eps, Matrix out,
               const ConstMatrix* residual);
void RmsNorm(const ExecContext& ctx, ConstMatrix x, const float* weight, double eps, float weight_offset, Matrix out);
void RmsNormHeads(const ExecContext& ctx, Matrix x, int64_t head_dim, const float* weight, double eps,
                  float weight_offset);
void Add(const ExecContext& ctx, ConstMatrix a, ConstMatrix b, Matrix out);
void Scale(const ExecContext& ctx, Matrix x, float factor);
void EmbeddingLookup(const ExecContext& ctx, const TensorView& table, std::span<const int32_t> ids, bool accumulate,
                     Matrix out);
void Rope(const ExecContext& ctx, const RopeTable& table, std::span<const int32_t> positions, int64_t head_dim,
          Matrix x);
void Apply(const ExecContext& ctx, const Linear& linear, ConstMatrix x, Matrix out, Activation activation,
           const ConstMatrix* residual);
void Attention(const ExecContext& ctx, const AttentionSpec& spec, std::span<const int32_t> offsets, ConstMatrix q,
               ConstMatrix k, ConstMatrix v, Matrix out);

}  // namespace truevec::simulated

#endif  // TRUEVEC_TENSOR_SIMULATED_OPS_H_
