// Bucketed relative position bias of T5 and MPNet (Raffel et al. 2019, arXiv 1910.10683, section 2.1).
#ifndef TRUEVEC_MODELS_RELATIVE_BIAS_H_
#define TRUEVEC_MODELS_RELATIVE_BIAS_H_

#include <cstdint>
#include <vector>

namespace truevec {

// As AttentionSpec wants it: values [heads, 2 * span + 1] by key minus query, constant beyond the span.
struct RelativeBias {
  std::vector<float> values;
  int64_t span = 0;
};

// `table` [buckets, heads]. `bidirectional` uses half of the buckets for keys behind the query.
RelativeBias BucketedBias(const std::vector<float>& table, int64_t buckets, int64_t heads, int64_t max_distance,
                          bool bidirectional);

}  // namespace truevec

#endif  // TRUEVEC_MODELS_RELATIVE_BIAS_H_
