// WeightScope: names tensors by path prefix, so that a model's loader reads like the checkpoint, and keeps account of
// what was read: a missing tensor is an error, and so is one that nobody read (DESIGN invariant 1).
#ifndef TRUEVEC_WEIGHTS_WEIGHT_SCOPE_H_
#define TRUEVEC_WEIGHTS_WEIGHT_SCOPE_H_

#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tensor/tensor.h"

namespace truevec {

// One tensor of a checkpoint and the file it lies in.
struct WeightEntry {
  std::string name;
  TensorView view;
  std::string file;  // relative to the model directory
};

// What tells a checkpoint on a disk from another, or from itself after a change, without reading it.
struct WeightIdentity {
  std::string place;   // its directory, links resolved; empty: there is none (merged, edited, made in memory)
  std::string files;   // name, size, times and inode of each file
  timespec changed{};  // the latest change
};

class PackedCache;  // packed_cache.h

// All tensors of a checkpoint (one file, shards, a .bin, adapters merged), by name. Owns mappings and buffers.
class WeightStore {
 public:
  virtual ~WeightStore() = default;
  virtual const WeightEntry* Find(std::string_view name) const = 0;
  virtual std::vector<std::string> Names() const = 0;  // sorted
  virtual std::string Description() const = 0;         // "model.safetensors" for messages
  virtual WeightIdentity Identity() const { return {}; }
  // Gives mapped pages back to the system once all is packed; tables that are read in place come back on use.
  virtual void ReleasePages() const {}
  // The same for the pages of one of its tensors, and perhaps of its neighbours' ends.
  virtual void ReleaseTensor(const TensorView& tensor) const { (void)tensor; }
};

// A cheap handle: (store, prefix). Copies share the account of what was read. Not for concurrent use.
class WeightScope {
 public:
  explicit WeightScope(std::shared_ptr<const WeightStore> store);

  // The scope under "<prefix><name>." / "<prefix><name>.<index>."
  WeightScope Sub(std::string_view name) const;
  WeightScope Sub(std::string_view name, int64_t index) const;
  const std::string& prefix() const { return prefix_; }
  const std::shared_ptr<const WeightStore>& store() const { return store_; }

  bool Has(std::string_view name) const;
  bool HasAnyUnder(std::string_view name) const;  // some tensor starts with "<prefix><name>."
  // The tensor with exactly `shape` (-1 matches any extent) and a floating dtype; marks it read.
  // Errors name tensor, file, expected and got.
  Result<TensorView> Get(std::string_view name, const Shape& shape) const;
  // Like Get; a tensor that is absent gives a view that is not present().
  Result<TensorView> GetOptional(std::string_view name, const Shape& shape) const;
  // The values widened to float32 (for norms and biases).
  Result<std::vector<float>> GetFloats(std::string_view name, const Shape& shape) const;
  // Marks as known and unused: heads and buffers that this task does not need.
  void Ignore(std::string_view name) const;
  void IgnoreUnder(std::string_view name) const;
  // Full names that nobody read or ignored, sorted (of the whole store).
  std::vector<std::string> Leftovers() const;
  std::vector<std::string> Used() const;
  // Where loaders look for packed matrices first, and leave those that they packed; null: nowhere.
  void SetPacked(std::shared_ptr<PackedCache> packed) const;
  PackedCache* packed() const;
  // Remarks of loaders for the user, with the tensor's name: a layer that keeps more precision than was asked for.
  void Note(const std::string& text) const;
  std::vector<std::string> Notes() const;  // of the whole store

 private:
  struct Account;
  std::shared_ptr<const WeightStore> store_;
  std::shared_ptr<Account> account_;
  std::string prefix_;
};

}  // namespace truevec

#endif  // TRUEVEC_WEIGHTS_WEIGHT_SCOPE_H_
