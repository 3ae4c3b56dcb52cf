// Comparing two sets of vectors: CONTRACT section 5's classes. All sums in double.
#ifndef TRUEVEC_VERIFY_COMPARE_H_
#define TRUEVEC_VERIFY_COMPARE_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace truevec {

using Vector = std::vector<float>;

// 1 - cosine, computed without cancellation (half the squared distance of the unit vectors): exact down to 1e-16.
// 2 when a value is not finite, a vector is zero while the other is not, or the dimensions differ.
double CosineDistance(std::span<const float> a, std::span<const float> b);
// The same of two answers to one text: 0 too when neither is finite.
double AnswerDistance(std::span<const float> a, std::span<const float> b);
double Norm(std::span<const float> v);
bool IsFinite(std::span<const float> v);
// Largest |reference - target| after scaling each side by the reference's norm.
double MaxAbs(std::span<const float> reference, std::span<const float> target);
// The same of the unit vectors.
double UnitMaxAbs(std::span<const float> a, std::span<const float> b);

enum class Tolerance { kFloat32, kFloat16, kBfloat16, kInt8, kNone };
// The smallest class that holds the error; kNone: different.
Tolerance ClassOf(double worst_distance, double worst_max_abs);
Result<Tolerance> ParseTolerance(std::string_view name);
std::string_view ToleranceName(Tolerance tolerance);

struct Comparison {
  size_t texts = 0;
  std::vector<double> distance;  // 1 - cosine of each text
  double worst = 0, mean = 0, median = 0, p99 = 0;
  double max_abs = 0;       // as CONTRACT section 5: after scaling by the reference's norm
  double unit_max_abs = 0;  // the same with both at length 1, of the texts without NaN
  double norm_ratio_min = 1, norm_ratio_max = 1;
  size_t not_finite = 0;
  bool same_dimension = true;
};
// REQUIRES: as many targets as references.
Comparison Compare(std::span<const Vector> reference, std::span<const Vector> target);
// Norms agree within what rounding explains.
bool NormsAgree(const Comparison& comparison);
// Norms are the same, whatever the directions.
bool LengthsAgree(const Comparison& comparison);

// Share of each text's k nearest others that both sets agree on, averaged: the user-level effect.
double NeighbourOverlap(std::span<const Vector> a, std::span<const Vector> b, size_t k);
// For each row of `rows` the row of `wanted` that it equals best; -1 where none is closer than `tolerance`.
std::vector<int> MatchRows(std::span<const Vector> wanted, std::span<const Vector> rows, double tolerance);

}  // namespace truevec

#endif  // TRUEVEC_VERIFY_COMPARE_H_
