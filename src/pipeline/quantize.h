// Output quantisation of vectors. Reference: sentence_transformers 6.2 util/quantization.py (float32 arithmetic).
#ifndef TRUEVEC_PIPELINE_QUANTIZE_H_
#define TRUEVEC_PIPELINE_QUANTIZE_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tensor/tensor.h"

namespace truevec {

enum class Precision { kFloat32, kInt8, kUInt8, kBinary, kUBinary };

Result<Precision> PrecisionByName(std::string_view name);
// int8 and uint8 need ranges: of a calibration set, or of the whole result.
bool NeedsRanges(Precision precision);
// Bytes per vector of `width` values.
int64_t QuantizedBytes(Precision precision, int64_t width);

// Least and greatest value of each column.
struct QuantizationRanges {
  std::vector<float> low;
  std::vector<float> high;
};
// Takes rows as they come. An error for fewer than two rows in all: every value would be its own range.
class RangeCollector {
 public:
  explicit RangeCollector(int64_t width);
  void Add(std::span<const float> row);
  Result<QuantizationRanges> Finish() const;
  int64_t rows() const { return rows_; }

 private:
  QuantizationRanges ranges_;
  int64_t rows_ = 0;
};

// One vector -> QuantizedBytes bytes (int8 and binary as two's complement). `ranges` is used by int8 and uint8 only.
void Quantize(Precision precision, std::span<const float> row, const QuantizationRanges& ranges, uint8_t* out);

}  // namespace truevec

#endif  // TRUEVEC_PIPELINE_QUANTIZE_H_
