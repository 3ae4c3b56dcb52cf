// What Linear keeps: packed panels and bias. Private to tensor.
#ifndef TRUEVEC_TENSOR_LINEAR_IMPL_H_
#define TRUEVEC_TENSOR_LINEAR_IMPL_H_

#include <cstdint>
#include <vector>

#include "kernels/kernels.h"
#include "tensor/ops.h"

namespace truevec {

struct Linear::Impl {
  int64_t in = 0;
  int64_t out = 0;
  std::vector<float> packed;  // [ceil(out / 32)][in][32]
  std::vector<float> bias;    // [out] or empty
};

kernels::Act KernelAct(Activation activation);

}  // namespace truevec

#endif  // TRUEVEC_TENSOR_LINEAR_IMPL_H_
