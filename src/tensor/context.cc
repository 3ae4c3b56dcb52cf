#include "tensor/context.h"

#include <algorithm>
#include <string>

namespace truevec {
namespace {

constexpr size_t kAlign = 64;
constexpr size_t kMinBlock = size_t{1} << 20;

std::byte* Align(std::byte* p) {
  const auto address = reinterpret_cast<uintptr_t>(p);
  return p + ((kAlign - address % kAlign) % kAlign);
}

}  // namespace

void* Arena::AllocateBytes(size_t bytes) {
  bytes = (std::max<size_t>(bytes, 1) + kAlign - 1) / kAlign * kAlign;
  while (block_ < blocks_.size()) {
    Block& block = blocks_[block_];
    if (offset_ + bytes <= block.size) {
      std::byte* p = Align(block.memory.get()) + offset_;
      offset_ += bytes;
      return p;
    }
    ++block_;
    offset_ = 0;
  }
  Block block;
  block.size = std::max({bytes, kMinBlock, OwnBytes()});
  block.memory = std::make_unique_for_overwrite<std::byte[]>(block.size + kAlign);
  blocks_.push_back(std::move(block));
  block_ = blocks_.size() - 1;
  offset_ = bytes;
  return Align(blocks_.back().memory.get());
}

void Arena::Reset() {
  // One block that holds all is faster than several; keep the total.
  if (blocks_.size() > 1) {
    const size_t total = OwnBytes();
    blocks_.clear();
    Block block;
    block.size = total;
    block.memory = std::make_unique_for_overwrite<std::byte[]>(total + kAlign);
    blocks_.push_back(std::move(block));
  }
  block_ = 0;
  offset_ = 0;
  for (const std::unique_ptr<Arena>& child : children_) child->Reset();
}

size_t Arena::OwnBytes() const {
  size_t total = 0;
  for (const Block& block : blocks_) total += block.size;
  return total;
}

size_t Arena::capacity() const {
  size_t total = OwnBytes();
  for (const std::unique_ptr<Arena>& child : children_) total += child->capacity();
  return total;
}

void Arena::MakeChildren(int count) {
  while (static_cast<int>(children_.size()) < count) children_.push_back(std::make_unique<Arena>());
}

void ExecContext::Record(int layer, std::string_view name, ConstMatrix values) const {
  if (trace != nullptr) trace->Record("layer." + std::to_string(layer) + "." + std::string(name), values);
}

}  // namespace truevec
