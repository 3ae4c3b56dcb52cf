// The fingerprint (CONTRACT section 7): "tv1:" and 128 bits of XXH3 over everything that changes a vector. Same for
// safetensors, shards and pytorch_model.bin; old and new config layouts; any thread count, batch or instruction set.
#ifndef TRUEVEC_PIPELINE_FINGERPRINT_H_
#define TRUEVEC_PIPELINE_FINGERPRINT_H_

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/json.h"
#include "tensor/tensor.h"
#include "weights/weight_scope.h"

namespace truevec {

// Raised when a change of the code changes float32 bits.
inline constexpr int kNumericsVersion = 2;

// The tensors that were used, by module and name; hashed when asked for.
class WeightHash {
 public:
  void Add(std::string name, const TensorView& tensor, std::shared_ptr<const WeightStore> store);
  // {name: dtype, shape and hash}. Reads every tensor, and gives the pages of mapped files back as it goes.
  json::object ToJson() const;

 private:
  struct Entry {
    TensorView tensor;
    std::shared_ptr<const WeightStore> store;  // keeps the tensor
  };
  std::map<std::string, Entry> tensors_;
};

// `description` must be canonical: the hash is over its text.
std::string Fingerprint(const json::object& description);
// The same object with all keys sorted, recursively.
json::value SortKeys(const json::value& value);

}  // namespace truevec

#endif  // TRUEVEC_PIPELINE_FINGERPRINT_H_
