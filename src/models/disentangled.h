// Disentangled attention of DeBERTa-v2 (He et al. 2020, arXiv 2006.03654, section 3; log buckets as in 2111.09543).
//
// The relative position embeddings and their projections are weights, so the position keys and queries of each head
// are computed once at load and packed; a batch only multiplies with the positions that its longest text reaches.
#ifndef TRUEVEC_MODELS_DISENTANGLED_H_
#define TRUEVEC_MODELS_DISENTANGLED_H_

#include <vector>

#include "models/blocks.h"
#include "models/model.h"

namespace truevec {

struct DisentangledConfig {
  int64_t width = 0, heads = 0;
  bool relative = false;  // relative_attention; without it only content scores, but scaled as pos_att_type says
  bool content_to_position = false, position_to_content = false;
  bool shared = false;       // share_att_key: positions go through the contents' projections
  int64_t buckets = -1;      // position_buckets; < 1: every distance is its own
  int64_t max_distance = 0;  // max_relative_positions
  int64_t Span() const { return buckets > 0 ? buckets : max_distance; }
  float Scale() const;  // 1 / sqrt(head_dim * (1 + number of position terms))
};

// make_log_bucket_position of the reference: `delta` = query - key; odd in delta.
int64_t LogBucket(int64_t delta, int64_t buckets, int64_t max_distance);

// One layer's position keys (content to position) and queries (position to content).
class PositionScores {
 public:
  // `embeddings` [2 * span, width] after their norm; projections under `self` ("attention.self").
  static Result<PositionScores> Load(const DisentangledConfig& c, const WeightScope& self, ConstMatrix embeddings,
                                     ComputeType type);
  // Positions are ordered by their distance from 0 and packed in blocks: [head][block].
  static constexpr int64_t kBlock = 64;
  std::vector<std::vector<Linear>> keys, queries;
};

// Which position (in PositionScores' order) each query - key of a batch has, and how many blocks they reach.
struct PositionIndex {
  std::vector<int32_t> index;  // [2 * span + 1]
  int64_t span = 0;
  int64_t blocks = 0;
  static PositionIndex ForBatch(const DisentangledConfig& c, const PackedBatch& batch);
};

// qkv [tokens, 3 * width] -> out [tokens, width].
void DisentangledAttention(const ExecContext& ctx, const DisentangledConfig& c, const PositionScores& positions,
                           const PositionIndex& index, std::span<const int32_t> offsets, Matrix qkv, Matrix out);

}  // namespace truevec

#endif  // TRUEVEC_MODELS_DISENTANGLED_H_
