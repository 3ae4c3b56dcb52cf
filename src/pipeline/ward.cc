// Nearest-neighbour chains with Lance-Williams updates, as scipy/cluster/_hierarchy.pyx (nn_chain, label,
// cluster_maxclust_monocrit, cluster_monocrit) has them: ties and the order of labels follow it.
#include "pipeline/ward.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace truevec {
namespace {

struct Merge {
  int64_t left;
  int64_t right;
  double distance;
};

class Condensed {
 public:
  Condensed(std::vector<double> values, int64_t n) : values_(std::move(values)), n_(n) {}
  double& at(int64_t i, int64_t j) {
    if (i > j) std::swap(i, j);
    return values_[static_cast<size_t>(n_ * i - i * (i + 1) / 2 + (j - i - 1))];
  }

 private:
  std::vector<double> values_;
  int64_t n_;
};

double WardDistance(double xi, double yi, double xy, int64_t nx, int64_t ny, int64_t ni) {
  const double t = 1.0 / static_cast<double>(nx + ny + ni);
  return std::sqrt(static_cast<double>(ni + nx) * t * xi * xi + static_cast<double>(ni + ny) * t * yi * yi -
                   static_cast<double>(ni) * t * xy * xy);
}

std::vector<Merge> Chain(Condensed* d, int64_t n) {
  std::vector<Merge> merges;
  std::vector<int64_t> size(static_cast<size_t>(n), 1);
  std::vector<int64_t> chain;
  for (int64_t k = 0; k + 1 < n; ++k) {
    if (chain.empty())
      chain.push_back(std::find_if(size.begin(), size.end(), [](int64_t s) { return s > 0; }) - size.begin());
    int64_t x = 0;
    int64_t y = 0;
    double least = 0;
    while (true) {
      x = chain.back();
      // The previous element is preferred as the minimum, so that ties do not go round in circles.
      const bool has_previous = chain.size() > 1;
      y = has_previous ? chain[chain.size() - 2] : -1;
      least = has_previous ? d->at(x, y) : std::numeric_limits<double>::infinity();
      for (int64_t i = 0; i < n; ++i) {
        if (size[static_cast<size_t>(i)] == 0 || i == x) continue;
        const double distance = d->at(x, i);
        if (distance < least) {
          least = distance;
          y = i;
        }
      }
      if (has_previous && y == chain[chain.size() - 2]) break;
      chain.push_back(y);
    }
    chain.resize(chain.size() - 2);
    if (x > y) std::swap(x, y);
    const int64_t nx = size[static_cast<size_t>(x)];
    const int64_t ny = size[static_cast<size_t>(y)];
    merges.push_back({x, y, least});
    size[static_cast<size_t>(x)] = 0;
    size[static_cast<size_t>(y)] = nx + ny;
    for (int64_t i = 0; i < n; ++i) {
      const int64_t ni = size[static_cast<size_t>(i)];
      if (ni == 0 || i == y) continue;
      d->at(i, y) = WardDistance(d->at(i, x), d->at(i, y), least, nx, ny, ni);
    }
  }
  std::stable_sort(merges.begin(), merges.end(),
                   [](const Merge& a, const Merge& b) { return a.distance < b.distance; });
  return merges;
}

// Replaces points by the clusters that they belong to at that step: ids from n upwards.
void Relabel(std::vector<Merge>* merges, int64_t n) {
  std::vector<int64_t> parent(static_cast<size_t>(2 * n - 1));
  std::iota(parent.begin(), parent.end(), int64_t{0});
  const auto find = [&](int64_t node) {
    while (parent[static_cast<size_t>(node)] != node) node = parent[static_cast<size_t>(node)];
    return node;
  };
  int64_t next = n;
  for (Merge& merge : *merges) {
    const int64_t a = find(merge.left);
    const int64_t b = find(merge.right);
    merge.left = std::min(a, b);
    merge.right = std::max(a, b);
    parent[static_cast<size_t>(a)] = parent[static_cast<size_t>(b)] = next++;
  }
}

// Walks the tree; nodes at or below `cutoff` are one cluster. Returns the number of clusters and fills labels.
int64_t Label(const std::vector<Merge>& merges, const std::vector<double>& height, int64_t n, double cutoff,
              std::vector<int32_t>* labels) {
  int64_t clusters = 0;
  int64_t leader = -1;
  std::vector<int64_t> stack = {n - 2};  // indices into merges
  std::vector<bool> visited(static_cast<size_t>(2 * n - 1), false);
  while (!stack.empty()) {
    const int64_t root = stack.back();
    const Merge& merge = merges[static_cast<size_t>(root)];
    if (leader == -1 && height[static_cast<size_t>(root)] <= cutoff) {
      leader = root;
      ++clusters;
    }
    bool descended = false;
    for (const int64_t child : {merge.left, merge.right}) {
      if (child < n || visited[static_cast<size_t>(child)]) continue;
      visited[static_cast<size_t>(child)] = true;
      stack.push_back(child - n);
      descended = true;
      break;
    }
    if (descended) continue;
    for (const int64_t child : {merge.left, merge.right}) {
      if (child >= n) continue;
      if (leader == -1) ++clusters;
      (*labels)[static_cast<size_t>(child)] = static_cast<int32_t>(clusters - 1);
    }
    if (leader == root) leader = -1;
    stack.pop_back();
  }
  return clusters;
}

}  // namespace

std::vector<int32_t> WardClusters(std::vector<double> distances, int64_t n, int64_t clusters) {
  std::vector<int32_t> labels(static_cast<size_t>(n), 0);
  if (n < 2) return labels;
  Condensed condensed(std::move(distances), n);
  std::vector<Merge> merges = Chain(&condensed, n);
  Relabel(&merges, n);
  // The largest distance in each subtree.
  std::vector<double> height;
  for (const Merge& merge : merges) {
    double most = merge.distance;
    for (const int64_t child : {merge.left, merge.right}) {
      if (child >= n) most = std::max(most, height[static_cast<size_t>(child - n)]);
    }
    height.push_back(most);
  }
  int64_t lower = 0;
  int64_t upper = n - 1;
  std::vector<int32_t> scratch(static_cast<size_t>(n), 0);
  while (upper - lower > 1) {
    const int64_t middle = (lower + upper) / 2;
    const bool many = Label(merges, height, n, height[static_cast<size_t>(middle)], &scratch) > clusters;
    (many ? lower : upper) = middle;
  }
  // The reference reads one past its n - 1 heights when upper stays n - 1; the root's height gives one cluster there.
  const double cutoff = upper < n - 1 ? height[static_cast<size_t>(upper)] : height.back();
  Label(merges, height, n, cutoff, &labels);
  return labels;
}

}  // namespace truevec
