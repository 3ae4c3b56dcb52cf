#include "tokenizer/double_array.h"

#include <algorithm>
#include <bit>

namespace truevec {
namespace {

constexpr uint32_t kFree = UINT32_MAX;

class Builder {
 public:
  explicit Builder(const std::vector<std::string_view>& keys) : keys_(keys) {
    shape_.key_unit.resize(keys.size());
    Grow(512);
    Take(0, kFree - 1);  // the root's parent is no state
  }

  DoubleArrayShape Build() {
    struct Range {
      uint32_t state;
      size_t begin, end, depth;
    };
    std::vector<Range> stack = {{0, 0, keys_.size(), 0}};
    std::vector<uint8_t> labels;
    std::vector<size_t> starts;
    while (!stack.empty()) {
      Range r = stack.back();
      stack.pop_back();
      if (r.begin < r.end && keys_[r.begin].size() == r.depth) shape_.key_unit[r.begin++] = r.state;
      labels.clear();
      starts.clear();
      for (size_t i = r.begin; i < r.end; ++i) {
        const auto label = static_cast<uint8_t>(keys_[i][r.depth]);
        if (labels.empty() || labels.back() != label) {
          labels.push_back(label);
          starts.push_back(i);
        }
      }
      if (labels.empty()) continue;
      starts.push_back(r.end);
      const uint32_t base = Place(labels);
      shape_.base[r.state] = base;
      for (size_t i = labels.size(); i-- > 0;) {
        Take(base + labels[i], r.state);
        stack.push_back({base + labels[i], starts[i], starts[i + 1], r.depth + 1});
      }
    }
    // A step by any byte from any state stays inside.
    const uint32_t last = *std::max_element(shape_.base.begin(), shape_.base.end());
    if (shape_.base.size() < last + 256) Grow(last + 256);
    shape_.base.resize(last + 256);
    shape_.parent.resize(last + 256, kFree);
    return std::move(shape_);
  }

 private:
  void Grow(size_t size) {
    size = (size + 63) / 64 * 64;
    shape_.base.resize(size, 0);
    shape_.parent.resize(size, kFree);
    taken_.resize(size / 64, 0);
  }
  void Take(uint32_t unit, uint32_t parent) {
    shape_.parent[unit] = parent;
    taken_[unit / 64] |= uint64_t{1} << (unit % 64);
    while (first_ < taken_.size() && taken_[first_] == ~uint64_t{0}) ++first_;
  }
  // A bit for each of the 64 units from `unit` on: 1 for those that are free. REQUIRES: unit + 128 <= units.
  uint64_t FreeFrom(uint32_t unit) const {
    const size_t word = unit / 64;
    const unsigned shift = unit % 64;
    const uint64_t low = ~taken_[word] >> shift;
    return shift == 0 ? low : low | ~taken_[word + 1] << (64 - shift);
  }

  // A base at which all labels are free, 64 candidates at a time. Sets of several labels give up on crowded stretches
  // after a few rounds, which costs some room and keeps the build linear.
  uint32_t Place(const std::vector<uint8_t>& labels) {
    constexpr int kRounds = 2;
    const bool several = labels.size() > 1;
    uint32_t unit = static_cast<uint32_t>(first_ * 64);
    if (several) unit = std::max(unit, several_from_);
    uint32_t base = unit - labels.front();
    for (int round = 0;; ++round, base += 64) {
      if (base + 384 > taken_.size() * 64) Grow(std::max<size_t>(base + 512, taken_.size() * 64 * 3 / 2));
      uint64_t free = ~uint64_t{0};
      for (size_t i = 0; i < labels.size() && free != 0; ++i) free &= FreeFrom(base + labels[i]);
      if (free == 0) continue;
      if (several && round >= kRounds) several_from_ = base + labels.front();
      return base + static_cast<uint32_t>(std::countr_zero(free));
    }
  }

  const std::vector<std::string_view>& keys_;
  DoubleArrayShape shape_;
  std::vector<uint64_t> taken_;
  // The first word of taken_ with a free unit, from 256 on: below, units that no label reaches would stay free for
  // ever.
  size_t first_ = 4;
  uint32_t several_from_ = 0;
};

}  // namespace

DoubleArrayShape BuildDoubleArray(const std::vector<std::string_view>& keys) { return Builder(keys).Build(); }

}  // namespace truevec
