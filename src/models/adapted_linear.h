// Products and tables with one low-rank adapter per task (LoRA; Hu et al. 2021, arXiv 2106.09685) beside the base
// weight, as torch.nn.utils.parametrize stores them: "parametrizations.weight.original" and
// "parametrizations.weight.0.lora_A", "lora_B". A task's weight is W + scaling * B A; without a task it is W.
#ifndef TRUEVEC_MODELS_ADAPTED_LINEAR_H_
#define TRUEVEC_MODELS_ADAPTED_LINEAR_H_

#include <span>
#include <string>
#include <vector>

#include "models/blocks.h"

namespace truevec {

struct AdapterConfig {
  std::vector<std::string> tasks;  // empty: no adapters
  int64_t rank = 0;
  double scaling = 0;
  // Index of a task, -1 for the empty name; an unknown one is a usage error that lists the known ones.
  Result<int> Find(std::string_view task) const;
};

struct AdaptedLinear {
  Linear base;
  std::vector<Linear> down;  // per task: in -> rank
  std::vector<Linear> up;    // per task: rank -> out, scaled

  // `scope` holds "weight" (no adapters) or the parametrised tensors, and "bias" [out].
  static Result<AdaptedLinear> Load(const AdapterConfig& c, const WeightScope& scope, int64_t in, int64_t out,
                                    ComputeType type);
  // out = activation(x W^T + b); `task` -1: none.
  void Apply(const ExecContext& ctx, int task, ConstMatrix x, Matrix out,
             Activation activation = Activation::kNone) const;
};

class AdaptedTable {
 public:
  static Result<AdaptedTable> Load(const AdapterConfig& c, const WeightScope& scope, int64_t rows, int64_t width);
  // out.row(i) (+)= table[ids[i]]
  void Lookup(const ExecContext& ctx, int task, std::span<const int32_t> ids, bool accumulate, Matrix out) const;

 private:
  std::shared_ptr<const WeightStore> store_;
  TensorView base_;                 // [rows, width]
  std::vector<TensorView> narrow_;  // per task: [rows, rank]
  std::vector<Linear> up_;          // per task: rank -> width, scaled
};

}  // namespace truevec

#endif  // TRUEVEC_MODELS_ADAPTED_LINEAR_H_
