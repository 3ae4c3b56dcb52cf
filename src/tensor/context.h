// What the caller brings to a forward pass: threads, scratch memory, an optional trace tap.
// The model itself is const; two threads may run the same model with a context each.
#ifndef TRUEVEC_TENSOR_CONTEXT_H_
#define TRUEVEC_TENSOR_CONTEXT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/thread_pool.h"
#include "tensor/tensor.h"

namespace truevec {

// Bump allocator, 64-byte aligned. Grows by blocks; Reset() keeps the memory, so a warm pass allocates nothing.
class Arena {
 public:
  class Scope;
  template <typename T>
  T* Allocate(int64_t count) {
    return static_cast<T*>(AllocateBytes(static_cast<size_t>(count) * sizeof(T)));
  }
  Matrix NewMatrix(int64_t rows, int64_t cols) { return {Allocate<float>(rows * cols), rows, cols, cols}; }
  void Reset();
  size_t capacity() const;  // bytes, children's included
  // Arenas for threads that work beside each other within one pass; they keep their memory too.
  void MakeChildren(int count);
  Arena* child(int index) { return children_[static_cast<size_t>(index)].get(); }

 private:
  void* AllocateBytes(size_t bytes);
  size_t OwnBytes() const;
  struct Block {
    std::unique_ptr<std::byte[]> memory;
    size_t size = 0;
  };
  std::vector<Block> blocks_;
  size_t block_ = 0;   // index of the block in use
  size_t offset_ = 0;  // first free byte in it
  std::vector<std::unique_ptr<Arena>> children_;
};

// Frees on destruction what was allocated from `arena` since construction.
class Arena::Scope {
 public:
  explicit Scope(Arena* arena) : arena_(arena), block_(arena->block_), offset_(arena->offset_) {}
  ~Scope() {
    arena_->block_ = block_;
    arena_->offset_ = offset_;
  }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  Arena* arena_;
  size_t block_;
  size_t offset_;
};

// Sees every named intermediate: "embeddings", "layer.3.attention.output", "layer.3.output", ...
// `values` is [tokens of the packed batch, width] and only valid during the call.
class Trace {
 public:
  virtual ~Trace() = default;
  virtual void Record(std::string_view name, ConstMatrix values) = 0;
};

struct Simulation;  // simulation.h

struct ExecContext {
  ThreadPool* pool = nullptr;
  Arena* arena = nullptr;
  Trace* trace = nullptr;            // null: not traced
  double* flops = nullptr;           // null: not counted; else multiply and add operations of products are added
  Simulation* simulation = nullptr;  // null: as the model says

  void CountFlops(double operations) const {
    if (flops != nullptr) *flops += operations;
  }

  void Record(std::string_view name, ConstMatrix values) const {
    if (trace != nullptr) trace->Record(name, values);
  }
  // "layer.<index>.<name>"
  void Record(int layer, std::string_view name, ConstMatrix values) const;
};

}  // namespace truevec

#endif  // TRUEVEC_TENSOR_CONTEXT_H_
