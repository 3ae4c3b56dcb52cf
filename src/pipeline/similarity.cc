#include "pipeline/similarity.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace truevec {
namespace {

constexpr std::array<std::string_view, 6> kNames = {"cosine", "dot", "euclidean", "manhattan", "maxsim", "meanmaxsim"};
constexpr double kTinyNorm = 1e-12;
constexpr double kEmptyDocument = -1e9;

double Dot(const float* a, const float* b, int64_t width) {
  double sum = 0;
  for (int64_t i = 0; i < width; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

}  // namespace

Result<Similarity> SimilarityByName(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<Similarity>(i);
  }
  return UsageError("similarity \"" + std::string(name) +
                    "\": expected cosine, dot, euclidean, manhattan, maxsim or meanmaxsim");
}

double VectorSimilarity(Similarity function, const float* a, const float* b, int64_t width) {
  if (function == Similarity::kDot) return Dot(a, b, width);
  if (function == Similarity::kCosine) {
    return Dot(a, b, width) /
           (std::max(std::sqrt(Dot(a, a, width)), kTinyNorm) * std::max(std::sqrt(Dot(b, b, width)), kTinyNorm));
  }
  TV_CHECK(function == Similarity::kEuclidean || function == Similarity::kManhattan);
  double sum = 0;
  for (int64_t i = 0; i < width; ++i) {
    const double d = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += function == Similarity::kEuclidean ? d * d : std::abs(d);
  }
  return function == Similarity::kEuclidean ? -std::sqrt(sum) : -sum;
}

double MultiVectorSimilarity(Similarity function, const ConstMatrix& query, const ConstMatrix& document) {
  TV_CHECK(function == Similarity::kMaxSim || function == Similarity::kMeanMaxSim);
  double sum = 0;
  for (int64_t q = 0; q < query.rows; ++q) {
    double best = kEmptyDocument;
    for (int64_t d = 0; d < document.rows; ++d) {
      best = std::max(best, Dot(query.row(q), document.row(d), query.cols));
    }
    sum += best;
  }
  if (function == Similarity::kMeanMaxSim) sum /= static_cast<double>(std::max<int64_t>(query.rows, 1));
  return sum;
}

}  // namespace truevec
