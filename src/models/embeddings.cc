#include "models/embeddings.h"

#include <algorithm>
#include <numeric>

namespace truevec {

Result<Embeddings> Embeddings::Load(const EmbeddingsConfig& c, const WeightScope& w) {
  return Load(c, w, w.Sub("LayerNorm"));
}

Result<Embeddings> Embeddings::Load(const EmbeddingsConfig& c, const WeightScope& w, const WeightScope& norm) {
  Embeddings e;
  e.config_ = c;
  e.store_ = w.store();
  TV_ASSIGN_OR_RETURN(e.words_, w.Get("word_embeddings.weight", {c.vocabulary, c.width}));
  if (c.positions > 0) {
    TV_ASSIGN_OR_RETURN(e.positions_, w.Get("position_embeddings.weight", {c.positions, c.width}));
  }
  if (c.types > 0) {
    TV_ASSIGN_OR_RETURN(e.types_, w.Get("token_type_embeddings.weight", {c.types, c.width}));
  }
  if (c.has_norm) {
    TV_ASSIGN_OR_RETURN(e.norm_, NormWeights::Load(norm, c.width, c.eps));
  }
  w.Ignore("position_ids");  // buffers 0, 1, 2, ... and zeros of old checkpoints
  w.Ignore("token_type_ids");
  return e;
}

Status Embeddings::CheckBatch(const PackedBatch& batch) const {
  for (int64_t s = 0; s < batch.sequences(); ++s) {
    const int64_t length = batch.offsets[static_cast<size_t>(s) + 1] - batch.offsets[static_cast<size_t>(s)];
    if (max_positions() > 0 && length > max_positions()) {
      return InputError("a text of " + std::to_string(length) + " tokens exceeds the model's " +
                        std::to_string(max_positions()) + " positions (max_position_embeddings)");
    }
  }
  return CheckIds(batch, config_.vocabulary, config_.types);
}

void Embeddings::Positions(const PackedBatch& batch, int32_t* positions) const {
  for (int64_t s = 0; s < batch.sequences(); ++s) {
    const int32_t first = batch.offsets[static_cast<size_t>(s)];
    const int32_t last = batch.offsets[static_cast<size_t>(s) + 1];
    if (!config_.padding_id) {
      std::iota(positions + first, positions + last, 0);
      continue;
    }
    int32_t count = 0;
    for (int32_t t = first; t < last; ++t) {
      const bool real = batch.ids[static_cast<size_t>(t)] != *config_.padding_id;
      positions[t] = *config_.padding_id + (real ? ++count : 0);
    }
  }
}

Status Embeddings::Forward(const PackedBatch& batch, const ExecContext& ctx, Matrix out) const {
  TV_RETURN_IF_ERROR(CheckBatch(batch));
  const Arena::Scope scope(ctx.arena);
  const auto n = static_cast<size_t>(batch.tokens());
  EmbeddingLookup(ctx, words_, batch.ids, false, out);
  if (config_.types > 0) {
    int32_t* types = ctx.arena->Allocate<int32_t>(batch.tokens());
    for (size_t t = 0; t < n; ++t) types[t] = batch.type_ids.empty() ? 0 : batch.type_ids[t];
    EmbeddingLookup(ctx, types_, {types, n}, true, out);
  }
  if (config_.positions > 0) {
    int32_t* positions = ctx.arena->Allocate<int32_t>(batch.tokens());
    Positions(batch, positions);
    for (int64_t t = 0; config_.simulate_position_shift != 0 && t < batch.tokens(); ++t) {
      positions[t] = static_cast<int32_t>(
          std::clamp<int64_t>(positions[t] + config_.simulate_position_shift, 0, config_.positions - 1));
    }
    EmbeddingLookup(ctx, positions_, {positions, n}, true, out);
  }
  if (config_.has_norm) norm_.Apply(ctx, out, out);
  return Status::Ok();
}

}  // namespace truevec
