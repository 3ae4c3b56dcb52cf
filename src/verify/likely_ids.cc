// Kernel ridge regression, then a ranking by cosine.
#include "verify/likely_ids.h"

#include <algorithm>
#include <cmath>

namespace truevec {
namespace {

double Dot(const float* a, const float* b, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

// Solves (k + ridge I) x = b in place, k symmetric [n, n]: Cholesky.
std::vector<double> SolveRidge(std::vector<double> k, std::vector<double> b) {
  const size_t n = b.size();
  double trace = 0;
  for (size_t i = 0; i < n; ++i) trace += k[i * n + i];
  for (size_t i = 0; i < n; ++i) k[i * n + i] += 1e-3 * trace / static_cast<double>(n) + 1e-12;
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      double sum = k[i * n + j];
      for (size_t p = 0; p < j; ++p) sum -= k[i * n + p] * k[j * n + p];
      k[i * n + j] = i == j ? std::sqrt(std::max(sum, 1e-300)) : sum / k[j * n + j];
    }
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t p = 0; p < i; ++p) b[i] -= k[i * n + p] * b[p];
    b[i] /= k[i * n + i];
  }
  for (size_t i = n; i-- > 0;) {
    for (size_t p = i + 1; p < n; ++p) b[i] -= k[p * n + i] * b[p];
    b[i] /= k[i * n + i];
  }
  return b;
}

Vector Unit(const Vector& v) {
  Vector unit = v;
  const double norm = Norm(v);
  for (float& x : unit) x = norm == 0 ? x : static_cast<float>(x / norm);
  return unit;
}

}  // namespace

std::vector<int32_t> LikelyIds(const Table& table, int32_t most, const std::vector<int32_t>& sample,
                               const std::vector<Vector>& vectors, const Vector& target) {
  const size_t n = sample.size();
  const size_t dims = target.size();
  Vector mean(dims);
  std::vector<Vector> x;
  for (const Vector& v : vectors) x.push_back(Unit(v));
  for (const Vector& v : x) {
    for (size_t d = 0; d < dims; ++d) mean[d] += v[d] / static_cast<float>(n);
  }
  Vector wanted = Unit(target);
  for (size_t d = 0; d < dims; ++d) wanted[d] -= mean[d];
  std::vector<double> right(n);
  std::vector<double> kernel(n * n);
  for (Vector& v : x) {
    for (size_t d = 0; d < dims; ++d) v[d] -= mean[d];
  }
  for (size_t i = 0; i < n; ++i) {
    right[i] = Dot(x[i].data(), wanted.data(), dims);
    for (size_t j = 0; j <= i; ++j) kernel[i * n + j] = kernel[j * n + i] = Dot(x[i].data(), x[j].data(), dims);
  }
  const std::vector<double> weights = SolveRidge(std::move(kernel), std::move(right));
  const auto cols = static_cast<size_t>(table.cols);
  const auto row = [&](int32_t id) { return table.values.data() + static_cast<size_t>(id) * cols; };
  Vector centre(cols);
  for (const int32_t id : sample) {
    for (size_t c = 0; c < cols; ++c) centre[c] += row(id)[c] / static_cast<float>(n);
  }
  Vector guess(cols);
  for (size_t i = 0; i < n; ++i) {
    for (size_t c = 0; c < cols; ++c) guess[c] += static_cast<float>(weights[i]) * (row(sample[i])[c] - centre[c]);
  }
  std::vector<std::pair<double, int32_t>> order;
  Vector centred(cols);
  for (int32_t id = 0; id <= most; ++id) {
    for (size_t c = 0; c < cols; ++c) centred[c] = row(id)[c] - centre[c];
    order.emplace_back(-Dot(centred.data(), guess.data(), cols) / std::max(Norm(centred), 1e-12), id);
  }
  std::sort(order.begin(), order.end());
  std::vector<int32_t> ids;
  for (const auto& [likeness, id] : order) ids.push_back(id);
  return ids;
}

}  // namespace truevec
