// TensorView (a stored tensor, any dtype, borrowed) and Matrix (float32 rows in memory, borrowed).
#ifndef TRUEVEC_TENSOR_TENSOR_H_
#define TRUEVEC_TENSOR_TENSOR_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tensor/dtype.h"

namespace truevec {

using Shape = std::vector<int64_t>;
int64_t ElementCount(const Shape& shape);
std::string ShapeText(const Shape& shape);  // "[384, 1536]"

// Contiguous row-major elements somewhere else (a mapped file, a vector). Data may be unaligned.
struct TensorView {
  const void* data = nullptr;
  DType dtype = DType::kF32;
  Shape shape;
  bool present() const { return data != nullptr; }
  int64_t count() const { return ElementCount(shape); }
};

// Exact widening of F32/F16/BF16/F64-representable values to float32 (F64 is rounded).
// REQUIRES: a floating dtype.
std::vector<float> ToFloat(const TensorView& tensor);
void ToFloat(const TensorView& tensor, float* out);
void ConvertToFloat(const void* data, DType dtype, int64_t count, float* out);

// rows x cols float32, row r at data + r * stride.
struct Matrix {
  float* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;
  float* row(int64_t r) const { return data + r * stride; }
  Matrix Columns(int64_t first, int64_t count) const { return {data + first, rows, count, stride}; }
  Matrix Rows(int64_t first, int64_t count) const { return {row(first), count, cols, stride}; }
};
struct ConstMatrix {
  const float* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;
  ConstMatrix() = default;
  ConstMatrix(const float* d, int64_t r, int64_t c, int64_t s) : data(d), rows(r), cols(c), stride(s) {}
  ConstMatrix(const Matrix& m)  // NOLINT(google-explicit-constructor)
      : data(m.data), rows(m.rows), cols(m.cols), stride(m.stride) {}
  const float* row(int64_t r) const { return data + r * stride; }
  ConstMatrix Columns(int64_t first, int64_t count) const { return {data + first, rows, count, stride}; }
  ConstMatrix Rows(int64_t first, int64_t count) const { return {row(first), count, cols, stride}; }
};

}  // namespace truevec

#endif  // TRUEVEC_TENSOR_TENSOR_H_
