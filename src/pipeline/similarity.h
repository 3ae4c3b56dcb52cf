// Similarity of vectors. Reference: sentence_transformers 6.2 util/similarity.py. Sums run in double.
#ifndef TRUEVEC_PIPELINE_SIMILARITY_H_
#define TRUEVEC_PIPELINE_SIMILARITY_H_

#include <string_view>

#include "base/status.h"
#include "tensor/tensor.h"

namespace truevec {

enum class Similarity { kCosine, kDot, kEuclidean, kManhattan, kMaxSim, kMeanMaxSim };

Result<Similarity> SimilarityByName(std::string_view name);

// Of two single vectors: cosine (norms at least 1e-12), dot, minus the L2 distance, minus the L1 distance.
// REQUIRES: one of those four, equal widths.
double VectorSimilarity(Similarity function, const float* a, const float* b, int64_t width);
// Of two multi-vectors: the sum over query rows of the largest dot product with a document row; an empty document
// gives -1e9 per query row. kMeanMaxSim divides by the number of query rows. REQUIRES: one of those two.
double MultiVectorSimilarity(Similarity function, const ConstMatrix& query, const ConstMatrix& document);

}  // namespace truevec

#endif  // TRUEVEC_PIPELINE_SIMILARITY_H_
