// What Linear keeps: packed panels and bias. Private to tensor.
#ifndef TRUEVEC_TENSOR_LINEAR_IMPL_H_
#define TRUEVEC_TENSOR_LINEAR_IMPL_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

#include "kernels/kernels.h"
#include "tensor/ops.h"

namespace truevec {

// Floats at a cache line's start: a panel row is one line, so that no load crosses two.
class AlignedFloats {
 public:
  AlignedFloats() = default;
  explicit AlignedFloats(int64_t count)
      : data_(static_cast<float*>(::operator new(static_cast<size_t>(count) * sizeof(float), kAlign))) {
    std::fill_n(data_.get(), count, 0.0f);
  }
  float* data() const { return data_.get(); }

 private:
  static constexpr std::align_val_t kAlign{64};
  struct Free {
    void operator()(float* data) const { ::operator delete(data, kAlign); }
  };
  std::unique_ptr<float, Free> data_;
};

struct Linear::Impl {
  int64_t in = 0;
  int64_t out = 0;
  AlignedFloats packed;     // [ceil(out / 16)][in][16]
  std::vector<float> bias;  // [out] or empty
};

kernels::Act KernelAct(Activation activation);

}  // namespace truevec

#endif  // TRUEVEC_TENSOR_LINEAR_IMPL_H_
