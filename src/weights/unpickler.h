// A pickle reader that can only rebuild a state dict of tensors: it knows the opcodes and globals that torch.save
// writes for one and refuses everything else by name. Nothing is ever called or imported.
// Format: CPython Lib/pickletools.py; torch/_utils.py (_rebuild_tensor_v2), torch/serialization.py (persistent ids).
#ifndef TRUEVEC_WEIGHTS_UNPICKLER_H_
#define TRUEVEC_WEIGHTS_UNPICKLER_H_

#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "tensor/tensor.h"

namespace truevec {

// A tensor of the state dict as a strided view of a storage ("data/<key>" of the archive).
struct PickledTensor {
  std::string name;
  std::string storage;
  DType dtype = DType::kF32;
  int64_t storage_elements = 0;
  int64_t offset = 0;  // in elements
  Shape shape;
  Shape stride;  // in elements
};

// The tensors of a {name: tensor} dictionary in file order. Errors name `file`, the byte and what is not allowed.
Result<std::vector<PickledTensor>> ReadStateDict(std::span<const std::byte> pickle, const std::string& file);

}  // namespace truevec

#endif  // TRUEVEC_WEIGHTS_UNPICKLER_H_
