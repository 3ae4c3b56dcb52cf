// Which token a vector may come from: the way back through the model, learnt from vectors of known tokens.
#ifndef TRUEVEC_VERIFY_LIKELY_IDS_H_
#define TRUEVEC_VERIFY_LIKELY_IDS_H_

#include <vector>

#include "verify/lab.h"

namespace truevec {

// All ids up to `most`, those first whose embedding is most like the one that a ridge regression from vectors to
// embeddings gives for `target`. `vectors[i]`: of a text of the token sample[i].
std::vector<int32_t> LikelyIds(const Table& table, int32_t most, const std::vector<int32_t>& sample,
                               const std::vector<Vector>& vectors, const Vector& target);

}  // namespace truevec

#endif  // TRUEVEC_VERIFY_LIKELY_IDS_H_
