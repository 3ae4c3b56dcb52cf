// safetensors: an 8-byte little-endian header length, a JSON header, then the tensors' bytes. Memory-mapped.
// Format: https://github.com/huggingface/safetensors (README "Format"); its rules are checked as its own reader does.
#ifndef TRUEVEC_WEIGHTS_SAFETENSORS_H_
#define TRUEVEC_WEIGHTS_SAFETENSORS_H_

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "weights/weight_scope.h"

namespace truevec {

// Entries point into `bytes`. Checks: header size and JSON, dtypes, shapes, offsets inside the file, equal to
// shape x dtype, contiguous from 0 to the end without holes or overlaps. Errors name `file` and the tensor.
Result<std::vector<WeightEntry>> ParseSafetensors(std::span<const std::byte> bytes, const std::string& file);

}  // namespace truevec

#endif  // TRUEVEC_WEIGHTS_SAFETENSORS_H_
