#include "weights/weight_scope.h"

#include <algorithm>
#include <set>

#include "weights/packed_cache.h"

namespace truevec {

struct WeightScope::Account {
  std::set<std::string, std::less<>> used;
  std::set<std::string, std::less<>> ignored;
  std::vector<std::string> notes;
  std::shared_ptr<PackedCache> packed;
};

namespace {

bool IsFloating(DType type) {
  return type == DType::kF32 || type == DType::kF16 || type == DType::kBF16 || type == DType::kF64;
}

bool ShapeMatches(const Shape& actual, const Shape& expected) {
  if (actual.size() != expected.size()) return false;
  for (size_t i = 0; i < actual.size(); ++i) {
    if (expected[i] >= 0 && actual[i] != expected[i]) return false;
  }
  return true;
}

}  // namespace

WeightScope::WeightScope(std::shared_ptr<const WeightStore> store)
    : store_(std::move(store)), account_(std::make_shared<Account>()) {}

WeightScope WeightScope::Sub(std::string_view name) const {
  WeightScope sub = *this;
  sub.prefix_ = prefix_ + std::string(name) + ".";
  return sub;
}

WeightScope WeightScope::Sub(std::string_view name, int64_t index) const {
  return Sub(std::string(name) + "." + std::to_string(index));
}

bool WeightScope::Has(std::string_view name) const { return store_->Find(prefix_ + std::string(name)) != nullptr; }

bool WeightScope::HasAnyUnder(std::string_view name) const {
  const std::string start = prefix_ + std::string(name) + ".";
  const std::vector<std::string> names = store_->Names();
  const auto found = std::lower_bound(names.begin(), names.end(), start);
  return found != names.end() && found->starts_with(start);
}

Result<TensorView> WeightScope::Get(std::string_view name, const Shape& shape) const {
  const std::string full = prefix_ + std::string(name);
  const WeightEntry* entry = store_->Find(full);
  if (entry == nullptr) {
    return ModelError(store_->Description() + ": tensor " + full + " is missing (expected " + ShapeText(shape) + ")");
  }
  account_->used.insert(full);
  if (!ShapeMatches(entry->view.shape, shape)) {
    return ModelError(entry->file + ": tensor " + full + ": expected shape " + ShapeText(shape) + ", got " +
                      ShapeText(entry->view.shape));
  }
  if (!IsFloating(entry->view.dtype)) {
    return ModelError(entry->file + ": tensor " + full + ": expected a floating dtype (F32, F16, BF16), got " +
                      std::string(DTypeName(entry->view.dtype)));
  }
  return entry->view;
}

Result<TensorView> WeightScope::GetOptional(std::string_view name, const Shape& shape) const {
  if (!Has(name)) return TensorView{};
  return Get(name, shape);
}

Result<std::vector<float>> WeightScope::GetFloats(std::string_view name, const Shape& shape) const {
  TV_ASSIGN_OR_RETURN(const TensorView view, Get(name, shape));
  return ToFloat(view);
}

void WeightScope::Ignore(std::string_view name) const { account_->ignored.insert(prefix_ + std::string(name)); }

void WeightScope::IgnoreUnder(std::string_view name) const {
  const std::string start = prefix_ + std::string(name) + ".";
  for (const std::string& full : store_->Names()) {
    if (full.starts_with(start)) account_->ignored.insert(full);
  }
}

std::vector<std::string> WeightScope::Leftovers() const {
  std::vector<std::string> left;
  for (std::string& name : store_->Names()) {
    if (!account_->used.contains(name) && !account_->ignored.contains(name)) left.push_back(std::move(name));
  }
  return left;
}

std::vector<std::string> WeightScope::Used() const { return {account_->used.begin(), account_->used.end()}; }

void WeightScope::SetPacked(std::shared_ptr<PackedCache> packed) const { account_->packed = std::move(packed); }

PackedCache* WeightScope::packed() const { return account_->packed.get(); }

void WeightScope::Note(const std::string& text) const {
  account_->notes.push_back((prefix_.empty() ? "" : prefix_.substr(0, prefix_.size() - 1) + ": ") + text);
}

std::vector<std::string> WeightScope::Notes() const { return account_->notes; }

}  // namespace truevec
