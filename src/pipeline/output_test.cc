// Quantisation and similarity against values of sentence-transformers' own tests (tests/util/test_quantization.py,
// test_similarity.py), and the mathematics of exact_math.h against libm.
#include <gtest/gtest.h>

#include <cmath>

#include "pipeline/exact_math.h"
#include "pipeline/quantize.h"
#include "pipeline/similarity.h"

namespace truevec {
namespace {

QuantizationRanges Calibration() {
  RangeCollector collector(3);
  const std::vector<float> a = {1, 20, -3};
  const std::vector<float> b = {4, 5, -60};
  collector.Add(a);
  collector.Add(b);
  return collector.Finish().value();
}

std::vector<int> Quantized(Precision precision, const std::vector<float>& row) {
  std::vector<uint8_t> bytes(static_cast<size_t>(QuantizedBytes(precision, static_cast<int64_t>(row.size()))));
  Quantize(precision, row, Calibration(), bytes.data());
  std::vector<int> values;
  const bool is_signed = precision == Precision::kInt8 || precision == Precision::kBinary;
  for (const uint8_t byte : bytes) values.push_back(is_signed ? static_cast<int8_t>(byte) : byte);
  return values;
}

TEST(Quantize, ScalarValuesOfTheReferencesTest) {
  EXPECT_EQ(Quantized(Precision::kInt8, {-15, 15, 1}), (std::vector<int>{-128, 42, 127}));
  EXPECT_EQ(Quantized(Precision::kUInt8, {-15, 15, 1}), (std::vector<int>{0, 170, 255}));
}

// numpy: packbits([1,-1,0,2,...] > 0)
TEST(Quantize, BinaryPacksHighBitFirst) {
  const std::vector<float> row = {1, -1, 0, 2, -3, 4, 5, -6, 7};
  EXPECT_EQ(Quantized(Precision::kUBinary, row), (std::vector<int>{0b10010110, 0b10000000}));
  EXPECT_EQ(Quantized(Precision::kBinary, row), (std::vector<int>{0b10010110 - 128, 0}));
}

TEST(Quantize, ALoneVectorHasNoRanges) {
  RangeCollector collector(2);
  const std::vector<float> row = {1, 2};
  collector.Add(row);
  EXPECT_EQ(collector.Finish().status().code(), Code::kUsage);
  EXPECT_FALSE(PrecisionByName("int4").ok());
}

TEST(Similarity, FunctionsOfTheReference) {
  const float a[] = {1, 2, 2};
  const float b[] = {4, 0, 3};
  EXPECT_DOUBLE_EQ(VectorSimilarity(Similarity::kDot, a, b, 3), 10);
  EXPECT_DOUBLE_EQ(VectorSimilarity(Similarity::kCosine, a, b, 3), 10.0 / 15.0);
  EXPECT_DOUBLE_EQ(VectorSimilarity(Similarity::kEuclidean, a, b, 3), -std::sqrt(14.0));
  EXPECT_DOUBLE_EQ(VectorSimilarity(Similarity::kManhattan, a, b, 3), -6);
  const float zero[] = {0, 0, 0};
  EXPECT_EQ(VectorSimilarity(Similarity::kCosine, a, zero, 3), 0);
}

TEST(Similarity, MaxSimSumsTheBestDocumentRow) {
  const float query[] = {1, 0, 0, 1};
  const float document[] = {0.5f, 0, 0.25f, 2};
  const ConstMatrix q(query, 2, 2, 2);
  const ConstMatrix d(document, 2, 2, 2);
  EXPECT_DOUBLE_EQ(MultiVectorSimilarity(Similarity::kMaxSim, q, d), 2.5);
  EXPECT_DOUBLE_EQ(MultiVectorSimilarity(Similarity::kMeanMaxSim, q, d), 1.25);
  EXPECT_DOUBLE_EQ(MultiVectorSimilarity(Similarity::kMaxSim, q, ConstMatrix(document, 0, 2, 2)), -2e9);
}

// Bound: 4 units in the last place of a double, far below float32's.
TEST(ExactMath, AgreesWithLibm) {
  const auto near = [](double a, double b) { return std::abs(a - b) <= 4 * 2.3e-16 * std::abs(b) + 1e-320; };
  for (int i = -4000; i <= 4000; ++i) {
    const double x = i * 0.01713;
    EXPECT_TRUE(near(exact::Exp(x), std::exp(x))) << x;
    EXPECT_TRUE(near(exact::Expm1(x), std::expm1(x))) << x;
    EXPECT_TRUE(near(exact::Log(std::abs(x) + 1e-9), std::log(std::abs(x) + 1e-9))) << x;
    EXPECT_TRUE(near(exact::Log1p(std::abs(x)), std::log1p(std::abs(x)))) << x;
    EXPECT_TRUE(near(exact::Log1p(1e-6 * std::abs(x)), std::log1p(1e-6 * std::abs(x)))) << x;
  }
  EXPECT_EQ(exact::Exp(-800), 0);
  EXPECT_TRUE(std::isinf(exact::Exp(800)));
}

}  // namespace
}  // namespace truevec
