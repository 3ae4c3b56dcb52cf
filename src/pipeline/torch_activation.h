// The classes of torch.nn.modules.activation that take no arguments, by their dotted path, as Dense and CrossEncoder
// configs name them. Formulas and defaults: torch/nn/modules/activation.py, torch/nn/functional.py.
#ifndef TRUEVEC_PIPELINE_TORCH_ACTIVATION_H_
#define TRUEVEC_PIPELINE_TORCH_ACTIVATION_H_

#include <string>
#include <string_view>

#include "base/json.h"
#include "tensor/ops.h"
#include "weights/weight_scope.h"

namespace truevec {

class TorchActivation {
 public:
  TorchActivation() = default;  // identity
  // `where` names file and key for refusals. PReLU reads its weight from `weights`. `width` is the input's; per_token
  // inputs are 3-dimensional in the reference, which changes what Softmax means there (refused).
  static Result<TorchActivation> Load(const std::string& path, const std::string& where, const WeightScope& weights,
                                      int64_t width, bool per_token);
  // The same without weights (CrossEncoder's activation_fn): PReLU is refused.
  static Result<TorchActivation> FromPath(const std::string& path, const std::string& where, int64_t width);
  // In place, except GLU, which returns a narrower matrix of the arena.
  Matrix Run(const ExecContext& ctx, Matrix x) const;
  int64_t OutputWidth(int64_t width) const;
  json::value Describe() const;

 private:
  static Result<TorchActivation> Find(const std::string& path, const std::string& where, int64_t width, bool per_token);
  int row_ = -1;     // index into the table; -1: identity
  float prelu_ = 0;  // PReLU's learned slope
};

}  // namespace truevec

#endif  // TRUEVEC_PIPELINE_TORCH_ACTIVATION_H_
