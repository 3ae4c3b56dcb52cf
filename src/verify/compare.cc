// Distances, summaries and the tolerance classes.
#include "verify/compare.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace truevec {

double AnswerDistance(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && !IsFinite(a) && !IsFinite(b) ? 0 : CosineDistance(a, b);
}

double Norm(std::span<const float> v) {
  double sum = 0;
  for (const float x : v) sum += static_cast<double>(x) * x;
  return std::sqrt(sum);
}

bool IsFinite(std::span<const float> v) {
  return std::all_of(v.begin(), v.end(), [](float x) { return std::isfinite(x); });
}

double CosineDistance(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size() || !IsFinite(a) || !IsFinite(b)) return 2;
  const double na = Norm(a);
  const double nb = Norm(b);
  if (na == 0 || nb == 0) return na == nb ? 0 : 2;
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double d = a[i] / na - b[i] / nb;
    sum += d * d;
  }
  return sum / 2;
}

double MaxAbs(std::span<const float> reference, std::span<const float> target) {
  if (reference.size() != target.size() || !IsFinite(target)) return INFINITY;
  const double norm = Norm(reference);
  const double scale = norm == 0 ? 1 : 1 / norm;
  double worst = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(reference[i]) - target[i]) * scale);
  }
  return worst;
}

double UnitMaxAbs(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size() || !IsFinite(b)) return INFINITY;
  const double na = Norm(a);
  const double nb = Norm(b);
  if (na == 0 || nb == 0) return na == nb ? 0 : INFINITY;
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] / na - b[i] / nb));
  return worst;
}

Tolerance ClassOf(double worst_distance, double worst_max_abs) {
  if (worst_distance <= 1e-6 && worst_max_abs <= 1e-5) return Tolerance::kFloat32;
  if (worst_distance <= 1e-4) return Tolerance::kFloat16;
  if (worst_distance <= 1e-3) return Tolerance::kBfloat16;
  if (worst_distance <= 1e-2) return Tolerance::kInt8;
  return Tolerance::kNone;
}

std::string_view ToleranceName(Tolerance tolerance) {
  switch (tolerance) {
    case Tolerance::kFloat32:
      return "float32";
    case Tolerance::kFloat16:
      return "float16";
    case Tolerance::kBfloat16:
      return "bfloat16";
    case Tolerance::kInt8:
      return "int8";
    case Tolerance::kNone:
      break;
  }
  return "none";
}

Result<Tolerance> ParseTolerance(std::string_view name) {
  for (const Tolerance t : {Tolerance::kFloat32, Tolerance::kFloat16, Tolerance::kBfloat16, Tolerance::kInt8}) {
    if (ToleranceName(t) == name) return t;
  }
  return UsageError("--tolerance \"" + std::string(name) + "\": expected float32, float16, bfloat16 or int8");
}

Comparison Compare(std::span<const Vector> reference, std::span<const Vector> target) {
  Comparison c;
  TV_CHECK(reference.size() == target.size());
  c.texts = reference.size();
  if (c.texts == 0) return c;
  c.norm_ratio_min = INFINITY;
  c.norm_ratio_max = 0;
  for (size_t i = 0; i < c.texts; ++i) {
    c.same_dimension = c.same_dimension && reference[i].size() == target[i].size();
    if (!IsFinite(target[i])) ++c.not_finite;
    c.distance.push_back(CosineDistance(reference[i], target[i]));
    c.max_abs = std::max(c.max_abs, MaxAbs(reference[i], target[i]));
    if (IsFinite(target[i])) c.unit_max_abs = std::max(c.unit_max_abs, UnitMaxAbs(reference[i], target[i]));
    const double norm = Norm(reference[i]);
    if (norm > 0 && IsFinite(target[i])) {
      const double ratio = Norm(target[i]) / norm;
      c.norm_ratio_min = std::min(c.norm_ratio_min, ratio);
      c.norm_ratio_max = std::max(c.norm_ratio_max, ratio);
    }
  }
  std::vector<double> sorted = c.distance;
  std::sort(sorted.begin(), sorted.end());
  c.worst = sorted.back();
  c.median = sorted[sorted.size() / 2];
  c.p99 = sorted[static_cast<size_t>(static_cast<double>(sorted.size() - 1) * 0.99)];
  c.mean = std::accumulate(sorted.begin(), sorted.end(), 0.0) / static_cast<double>(sorted.size());
  if (c.norm_ratio_max == 0) c.norm_ratio_min = 0;
  return c;
}

bool NormsAgree(const Comparison& c) {
  // A rounding error moves the norm by about its own relative size, the square root of 2 (1 - cosine).
  const double slack = std::max(1e-4, 2 * std::sqrt(2 * c.worst));
  return c.norm_ratio_min >= 1 - slack && c.norm_ratio_max <= 1 + slack;
}

bool LengthsAgree(const Comparison& c) { return c.norm_ratio_min >= 1 - 1e-3 && c.norm_ratio_max <= 1 + 1e-3; }

double NeighbourOverlap(std::span<const Vector> a, std::span<const Vector> b, size_t k) {
  const size_t n = a.size();
  if (n < 2) return 1;
  k = std::min(k, n - 1);
  const auto nearest = [&](std::span<const Vector> set, size_t i) {
    std::vector<std::pair<double, size_t>> order;
    for (size_t j = 0; j < n; ++j) {
      if (j != i) order.emplace_back(CosineDistance(set[i], set[j]), j);
    }
    std::sort(order.begin(), order.end());
    std::vector<size_t> ids;
    for (size_t j = 0; j < k; ++j) ids.push_back(order[j].second);
    std::sort(ids.begin(), ids.end());
    return ids;
  };
  double sum = 0;
  for (size_t i = 0; i < n; ++i) {
    const std::vector<size_t> x = nearest(a, i);
    const std::vector<size_t> y = nearest(b, i);
    std::vector<size_t> both;
    std::set_intersection(x.begin(), x.end(), y.begin(), y.end(), std::back_inserter(both));
    sum += static_cast<double>(both.size()) / static_cast<double>(k);
  }
  return sum / static_cast<double>(n);
}

std::vector<int> MatchRows(std::span<const Vector> wanted, std::span<const Vector> rows, double tolerance) {
  std::vector<int> match;
  for (size_t i = 0; i < rows.size(); ++i) {
    int best = -1;
    double best_distance = tolerance;
    for (size_t j = 0; j < wanted.size(); ++j) {
      double d = CosineDistance(wanted[j], rows[i]);
      if (i == j) d -= 1e-12;  // equal texts: the place itself wins
      if (d < best_distance) {
        best_distance = d;
        best = static_cast<int>(j);
      }
    }
    match.push_back(best);
  }
  return match;
}

}  // namespace truevec
