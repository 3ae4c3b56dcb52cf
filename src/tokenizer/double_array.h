// A byte trie as a double array (Aoe 1989): the child of state s by byte c is the unit units[s].base + c, if that
// unit's parent is s. Each unit carries the value of the key that ends there.
#ifndef TRUEVEC_TOKENIZER_DOUBLE_ARRAY_H_
#define TRUEVEC_TOKENIZER_DOUBLE_ARRAY_H_

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace truevec {

// The shape alone: base and parent of each unit, and the unit where each key ends.
struct DoubleArrayShape {
  std::vector<uint32_t> base;
  std::vector<uint32_t> parent;
  std::vector<uint32_t> key_unit;  // by place in the list of keys
};
// REQUIRES: keys sorted by bytes (as std::string_view), unique, none empty.
DoubleArrayShape BuildDoubleArray(const std::vector<std::string_view>& keys);

// Keys with their values, brought into the order that BuildDoubleArray wants.
template <typename Value>
class SortedKeys {
 public:
  explicit SortedKeys(size_t expected) { rows_.reserve(expected); }
  void Add(std::string_view key, const Value& value) { rows_.push_back({FirstBytes(key), key, value}); }
  void Sort() {
    std::sort(rows_.begin(), rows_.end(),
              [](const Row& a, const Row& b) { return a.first != b.first ? a.first < b.first : a.key < b.key; });
    for (const Row& row : rows_) {
      keys_.push_back(row.key);
      values_.push_back(row.value);
    }
  }
  const std::vector<std::string_view>& keys() const { return keys_; }
  const std::vector<Value>& values() const { return values_; }

 private:
  struct Row {
    uint64_t first;  // most comparisons end here, without a look at the text
    std::string_view key;
    Value value;
  };
  static uint64_t FirstBytes(std::string_view key) {
    uint64_t first = 0;
    for (size_t i = 0; i < sizeof first; ++i) {
      first = first << 8 | (i < key.size() ? static_cast<uint8_t>(key[i]) : 0);
    }
    return first;
  }
  std::vector<Row> rows_;
  std::vector<std::string_view> keys_;
  std::vector<Value> values_;
};

template <typename Value>
class DoubleArray {
 public:
  static constexpr uint32_t kRoot = 0;
  static constexpr uint32_t kNone = UINT32_MAX;

  DoubleArray() = default;
  // `none` is the value of a unit where no key ends. Keys as for BuildDoubleArray, values alongside.
  // `key_units`: gets the state where each key ends.
  DoubleArray(const std::vector<std::string_view>& keys, const std::vector<Value>& values, Value none,
              std::vector<uint32_t>* key_units = nullptr) {
    DoubleArrayShape shape = BuildDoubleArray(keys);
    units_.resize(shape.base.size());
    for (size_t i = 0; i < units_.size(); ++i) units_[i] = {shape.base[i], shape.parent[i], none};
    for (size_t i = 0; i < keys.size(); ++i) units_[shape.key_unit[i]].value = values[i];
    if (key_units != nullptr) *key_units = std::move(shape.key_unit);
  }

  // The state after `byte`, or kNone.
  uint32_t Step(uint32_t state, char byte) const {
    const uint32_t next = units_[state].base + static_cast<uint8_t>(byte);
    return units_[next].parent == state ? next : kNone;
  }
  const Value& value(uint32_t state) const { return units_[state].value; }
  // The state after all of `text`, or kNone.
  uint32_t Walk(std::string_view text) const {
    uint32_t state = kRoot;
    for (const char c : text) {
      state = Step(state, c);
      if (state == kNone) break;
    }
    return state;
  }
  size_t size() const { return units_.size(); }
  bool empty() const { return units_.empty(); }

 private:
  struct Unit {
    uint32_t base;
    uint32_t parent;
    Value value;
  };
  std::vector<Unit> units_;
};

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_DOUBLE_ARRAY_H_
