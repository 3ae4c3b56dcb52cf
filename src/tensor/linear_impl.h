// What Linear keeps: packed panels and bias. Private to tensor.
#ifndef TRUEVEC_TENSOR_LINEAR_IMPL_H_
#define TRUEVEC_TENSOR_LINEAR_IMPL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/kernels.h"
#include "tensor/ops.h"

namespace truevec {

// Zeroed memory at a page's start (a panel row is one cache line, so that no load crosses two), its pages mapped in one
// call: faulting them one by one took a third of the start-up time of a small model.
class AlignedBytes {
 public:
  AlignedBytes() = default;
  explicit AlignedBytes(size_t count);  // throws std::bad_alloc, as new does
  // Memory of somebody else, read only, which `owner` keeps.
  AlignedBytes(const std::byte* data, size_t size, std::shared_ptr<const void> owner)
      : data_(const_cast<std::byte*>(data)), size_(size), owner_(std::move(owner)) {}
  AlignedBytes(AlignedBytes&& other) noexcept { *this = std::move(other); }
  AlignedBytes& operator=(AlignedBytes&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(owner_, other.owner_);
    return *this;
  }
  ~AlignedBytes();
  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  size_t size() const { return size_; }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
  std::shared_ptr<const void> owner_;  // null: the memory is this object's
};

// Every member is in PackedLinear (ops.h), which keeps it in a file.
struct Linear::Impl {
  int64_t in = 0;
  int64_t out = 0;
  kernels::Weights storage = kernels::Weights::kFloat32;
  ComputeType type = ComputeType::kFloat32;
  std::string note;                  // why `type` is not what was asked for; empty: it is
  AlignedBytes packed;               // kernels.h, GemmArgs::packed
  std::vector<float> bias;           // [out] or empty
  std::vector<float> column_scales;  // [out] for kInt8
  int64_t limit = 0;                 // largest quantised activation, for kInt8
};

kernels::Act KernelAct(Activation activation);

}  // namespace truevec

#endif  // TRUEVEC_TENSOR_LINEAR_IMPL_H_
