// Ward's hierarchical clustering cut into at most k clusters, label for label as
// scipy.cluster.hierarchy.fcluster(linkage(d, "ward"), k, "maxclust") gives it.
#ifndef TRUEVEC_PIPELINE_WARD_H_
#define TRUEVEC_PIPELINE_WARD_H_

#include <cstdint>
#include <vector>

namespace truevec {

// `distances`: condensed upper triangle of n points, n * (n - 1) / 2 values, row by row. Returns labels from 0, [n].
// REQUIRES: n >= 1, clusters >= 1. O(n^2) time.
std::vector<int32_t> WardClusters(std::vector<double> distances, int64_t n, int64_t clusters);

}  // namespace truevec

#endif  // TRUEVEC_PIPELINE_WARD_H_
