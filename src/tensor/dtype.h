// Element types as checkpoints store them.
#ifndef TRUEVEC_TENSOR_DTYPE_H_
#define TRUEVEC_TENSOR_DTYPE_H_

#include <cstddef>
#include <string_view>

namespace truevec {

enum class DType { kF32, kF16, kBF16, kF64, kI64, kI32, kI16, kI8, kU8, kBool };

constexpr size_t ElementBytes(DType type) {
  switch (type) {
    case DType::kF64:
    case DType::kI64:
      return 8;
    case DType::kF32:
    case DType::kI32:
      return 4;
    case DType::kF16:
    case DType::kBF16:
    case DType::kI16:
      return 2;
    case DType::kI8:
    case DType::kU8:
    case DType::kBool:
      return 1;
  }
  return 0;
}

// safetensors' names: "F32", "BF16", ...
constexpr std::string_view DTypeName(DType type) {
  switch (type) {
    case DType::kF64:
      return "F64";
    case DType::kI64:
      return "I64";
    case DType::kF32:
      return "F32";
    case DType::kI32:
      return "I32";
    case DType::kF16:
      return "F16";
    case DType::kBF16:
      return "BF16";
    case DType::kI16:
      return "I16";
    case DType::kI8:
      return "I8";
    case DType::kU8:
      return "U8";
    case DType::kBool:
      return "BOOL";
  }
  return "?";
}

}  // namespace truevec

#endif  // TRUEVEC_TENSOR_DTYPE_H_
