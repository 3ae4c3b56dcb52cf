#include "pipeline/quantize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

namespace truevec {
namespace {

constexpr std::array<std::string_view, 5> kNames = {"float32", "int8", "uint8", "binary", "ubinary"};

// floor((x - low) / step) in [0, 255]; a constant column has step 1.
uint8_t Bucket(float x, float low, float high) {
  float step = (high - low) / 255.0f;
  if (step == 0) step = 1;
  return static_cast<uint8_t>(std::clamp(std::floor((x - low) / step), 0.0f, 255.0f));
}

}  // namespace

Result<Precision> PrecisionByName(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<Precision>(i);
  }
  return UsageError("precision \"" + std::string(name) + "\": expected float32, int8, uint8, binary or ubinary");
}

bool NeedsRanges(Precision precision) { return precision == Precision::kInt8 || precision == Precision::kUInt8; }

int64_t QuantizedBytes(Precision precision, int64_t width) {
  if (precision == Precision::kFloat32) return width * 4;
  return NeedsRanges(precision) ? width : (width + 7) / 8;
}

RangeCollector::RangeCollector(int64_t width) {
  ranges_.low.assign(static_cast<size_t>(width), std::numeric_limits<float>::infinity());
  ranges_.high.assign(static_cast<size_t>(width), -std::numeric_limits<float>::infinity());
}

void RangeCollector::Add(std::span<const float> row) {
  TV_CHECK(row.size() == ranges_.low.size());
  for (size_t i = 0; i < row.size(); ++i) {
    ranges_.low[i] = std::min(ranges_.low[i], row[i]);
    ranges_.high[i] = std::max(ranges_.high[i], row[i]);
  }
  ++rows_;
}

Result<QuantizationRanges> RangeCollector::Finish() const {
  if (rows_ >= 2) return ranges_;
  return UsageError("int8 and uint8 need the ranges of at least two vectors: give more texts or calibration vectors");
}

void Quantize(Precision precision, std::span<const float> row, const QuantizationRanges& ranges, uint8_t* out) {
  if (precision == Precision::kFloat32) {
    std::memcpy(out, row.data(), row.size_bytes());
    return;
  }
  if (NeedsRanges(precision)) {
    const uint8_t offset = precision == Precision::kInt8 ? 128 : 0;
    for (size_t i = 0; i < row.size(); ++i) {
      out[i] = static_cast<uint8_t>(Bucket(row[i], ranges.low[i], ranges.high[i]) - offset);
    }
    return;
  }
  // numpy.packbits: the first value is the highest bit.
  const size_t bytes = (row.size() + 7) / 8;
  for (size_t b = 0; b < bytes; ++b) {
    uint8_t byte = 0;
    for (size_t i = b * 8; i < std::min(row.size(), b * 8 + 8); ++i) {
      if (row[i] > 0) byte = static_cast<uint8_t>(byte | (0x80u >> (i % 8)));
    }
    out[b] = precision == Precision::kBinary ? static_cast<uint8_t>(byte - 128) : byte;
  }
}

}  // namespace truevec
