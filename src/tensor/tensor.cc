#include "tensor/tensor.h"

#include <cstring>

#include "base/check.h"

namespace truevec {

int64_t ElementCount(const Shape& shape) {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  return count;
}

std::string ShapeText(const Shape& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

namespace {

float HalfToFloat(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t exponent = (half >> 10) & 0x1Fu;
  uint32_t mantissa = half & 0x3FFu;
  uint32_t bits = 0;
  if (exponent == 31) {
    bits = sign | 0x7F800000u | (mantissa << 13);
  } else if (exponent != 0) {
    bits = sign | ((exponent + 112) << 23) | (mantissa << 13);
  } else if (mantissa == 0) {
    bits = sign;
  } else {  // subnormal half: normalise
    uint32_t shift = 0;
    while ((mantissa & 0x400u) == 0) {
      mantissa <<= 1;
      ++shift;
    }
    bits = sign | ((113 - shift) << 23) | ((mantissa & 0x3FFu) << 13);
  }
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

float BFloatToFloat(uint16_t bfloat) {
  const uint32_t bits = static_cast<uint32_t>(bfloat) << 16;
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

template <typename Stored, typename Convert>
void ConvertAll(const void* data, int64_t count, float* out, Convert convert) {
  const char* bytes = static_cast<const char*>(data);
  for (int64_t i = 0; i < count; ++i) {
    Stored stored;
    std::memcpy(&stored, bytes + static_cast<size_t>(i) * sizeof stored, sizeof stored);
    out[i] = convert(stored);
  }
}

}  // namespace

void ConvertToFloat(const void* data, DType dtype, int64_t count, float* out) {
  switch (dtype) {
    case DType::kF32:
      std::memcpy(out, data, static_cast<size_t>(count) * sizeof(float));
      return;
    case DType::kF16:
      ConvertAll<uint16_t>(data, count, out, HalfToFloat);
      return;
    case DType::kBF16:
      ConvertAll<uint16_t>(data, count, out, BFloatToFloat);
      return;
    case DType::kF64:
      ConvertAll<double>(data, count, out, [](double x) { return static_cast<float>(x); });
      return;
    default:
      TV_CHECK(false && "a floating dtype");
  }
}

void ToFloat(const TensorView& tensor, float* out) { ConvertToFloat(tensor.data, tensor.dtype, tensor.count(), out); }

std::vector<float> ToFloat(const TensorView& tensor) {
  std::vector<float> out(static_cast<size_t>(tensor.count()));
  ToFloat(tensor, out.data());
  return out;
}

}  // namespace truevec
