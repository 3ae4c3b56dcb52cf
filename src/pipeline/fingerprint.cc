#define XXH_INLINE_ALL
#include "pipeline/fingerprint.h"

#include <xxhash.h>

#include <algorithm>
#include <cstdio>

namespace truevec {
namespace {

std::string Hex(XXH128_hash_t hash) {
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return text;
}

}  // namespace

void WeightHash::Add(std::string name, const TensorView& tensor, std::shared_ptr<const WeightStore> store) {
  tensors_[std::move(name)] = {tensor, std::move(store)};
}

json::object WeightHash::ToJson() const {
  json::object object;
  for (const auto& [name, entry] : tensors_) {
    const TensorView& tensor = entry.tensor;
    const size_t bytes = static_cast<size_t>(tensor.count()) * ElementBytes(tensor.dtype);
    object[name] =
        std::string(DTypeName(tensor.dtype)) + ShapeText(tensor.shape) + ":" + Hex(XXH3_128bits(tensor.data, bytes));
    if (entry.store != nullptr) entry.store->ReleaseTensor(tensor);
  }
  return object;
}

json::value SortKeys(const json::value& value) {
  if (value.is_array()) {
    json::array array;
    for (const json::value& item : value.get_array()) array.push_back(SortKeys(item));
    return array;
  }
  if (!value.is_object()) return value;
  std::vector<std::string> keys;
  for (const auto& member : value.get_object()) keys.emplace_back(member.key());
  std::sort(keys.begin(), keys.end());
  json::object object;
  for (const std::string& key : keys) object[key] = SortKeys(value.get_object().at(key));
  return object;
}

std::string Fingerprint(const json::object& description) {
  const std::string text = WriteJson(SortKeys(description));
  return "tv1:" + Hex(XXH3_128bits(text.data(), text.size()));
}

}  // namespace truevec
