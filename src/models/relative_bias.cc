#include "models/relative_bias.h"

#include <algorithm>
#include <cmath>

namespace truevec {
namespace {

// relative_position_bucket of modeling_t5.py; delta = key - query. The logarithm is float32 there too.
int64_t Bucket(int64_t delta, int64_t buckets, int64_t max_distance, bool bidirectional) {
  int64_t bucket = 0;
  int64_t distance = -delta;
  if (bidirectional) {
    buckets /= 2;
    if (delta > 0) bucket += buckets;
    distance = std::abs(distance);
  } else {
    distance = std::max<int64_t>(distance, 0);
  }
  const int64_t exact = buckets / 2;
  if (distance < exact) return bucket + distance;
  const float ratio = std::log(static_cast<float>(distance) / static_cast<float>(exact)) /
                      static_cast<float>(std::log(static_cast<double>(max_distance) / static_cast<double>(exact))) *
                      static_cast<float>(buckets - exact);
  return bucket + std::min(exact + static_cast<int64_t>(ratio), buckets - 1);
}

}  // namespace

RelativeBias BucketedBias(const std::vector<float>& table, int64_t buckets, int64_t heads, int64_t max_distance,
                          bool bidirectional) {
  RelativeBias bias;
  bias.span = max_distance + 1;
  const int64_t width = 2 * bias.span + 1;
  bias.values.resize(static_cast<size_t>(heads * width));
  for (int64_t i = 0; i < width; ++i) {
    const int64_t bucket = Bucket(i - bias.span, buckets, max_distance, bidirectional);
    for (int64_t h = 0; h < heads; ++h) {
      bias.values[static_cast<size_t>(h * width + i)] = table[static_cast<size_t>(bucket * heads + h)];
    }
  }
  return bias;
}

}  // namespace truevec
