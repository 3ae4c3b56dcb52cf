// The fingerprint (CONTRACT section 7): "tv1:" and 128 bits of XXH3 over everything that changes a vector. Same for
// safetensors, shards and pytorch_model.bin; old and new config layouts; any thread count, batch or instruction set.
#ifndef TRUEVEC_PIPELINE_FINGERPRINT_H_
#define TRUEVEC_PIPELINE_FINGERPRINT_H_

#include <map>
#include <string>
#include <string_view>

#include "base/json.h"
#include "tensor/tensor.h"

namespace truevec {

// Raised when a change of the code changes float32 bits.
inline constexpr int kNumericsVersion = 2;

// Hashes of the tensors that were used, by module and name.
class WeightHash {
 public:
  void Add(std::string name, const TensorView& tensor);
  json::object ToJson() const;

 private:
  std::map<std::string, std::string> hashes_;
};

// `description` must be canonical: the hash is over its text.
std::string Fingerprint(const json::object& description);
// The same object with all keys sorted, recursively.
json::value SortKeys(const json::value& value);

}  // namespace truevec

#endif  // TRUEVEC_PIPELINE_FINGERPRINT_H_
