// What weights become in the formats that engines store them in: quantised and brought back, in place. Simulated by
// `diagnose`, never used to compute vectors. Sources: ggml-quants.c of llama.cpp, onnxruntime's quantize_dynamic,
// NNCF's weight compression, bitsandbytes' NF4 and FP4, the OCP 8-bit floating point formats.
#ifndef TRUEVEC_VERIFY_WEIGHT_FORMATS_H_
#define TRUEVEC_VERIFY_WEIGHT_FORMATS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace truevec {

// Values that share a scale.
inline constexpr int64_t kWholeRow = 0;
inline constexpr int64_t kWholeTensor = -1;

struct WeightFormat {
  std::string name;
  int64_t block = kWholeRow;  // values of a row, or one of the above
  std::function<void(float* x, int64_t n)> quantize;
  bool across_rows = false;  // blocks of the tensor as one row (bitsandbytes)
};

// Those of engines that are met most, which also tell how far a rounding of weights moves a model's vectors.
const std::vector<WeightFormat>& UsualWeightFormats();
// The others.
const std::vector<WeightFormat>& OtherWeightFormats();

// Tables that are looked up, not multiplied: of words, positions, types and relative positions.
bool IsEmbeddingTable(const std::string& tensor);

// False, and nothing done, where the rows are no whole number of blocks.
bool ApplyWeightFormat(const WeightFormat& format, int64_t cols, std::vector<float>* values);

}  // namespace truevec

#endif  // TRUEVEC_VERIFY_WEIGHT_FORMATS_H_
