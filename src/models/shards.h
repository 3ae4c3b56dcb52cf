// Forward passes over parts of a batch side by side, a thread each: no thread waits for another between layers, and a
// part's activations stay in its core's cache. A model's vectors do not depend on what else is in the batch (DESIGN,
// invariant 2), so the bits are those of one pass.
#ifndef TRUEVEC_MODELS_SHARDS_H_
#define TRUEVEC_MODELS_SHARDS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "models/model.h"

namespace truevec {

// Boundaries of shards in sequences: {0, ..., sequences}. offsets [sequences + 1] as in PackedBatch. {0, sequences},
// one shard, where shards would be too small or too uneven to keep `threads` threads busy.
std::vector<int64_t> ShardBoundaries(std::span<const int32_t> offsets, int threads);

// model.Forward, over shards where that is worth it. A traced, simulated or all_layers pass is never cut.
// On failure the error of the first shard that failed is returned and `hidden` is undefined.
Status ShardedForward(const Model& model, const ForwardRequest& request, const ExecContext& ctx, Matrix hidden);

}  // namespace truevec

#endif  // TRUEVEC_MODELS_SHARDS_H_
