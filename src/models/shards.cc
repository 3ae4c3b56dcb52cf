#include "models/shards.h"

#include <algorithm>

namespace truevec {
namespace {

// Fewer rows a shard read the weights from memory more often than the arithmetic hides.
constexpr int64_t kLeastTokens = 64;
// A shard's activations stay in a core's cache; all-MiniLM-L6-v2 in float32, `truevec bench`, two threads, tokens per
// second of 8x32, 64x256 and mixed400: 128 7720, 6950, 7553; 256 7738, 7049, 7536; 512 7756, 6936, 7536; whole batches
// 6574, 6677, 7120.
constexpr int64_t kWantedTokens = 256;
// Most that the busiest thread may have above an even share.
constexpr double kMostUneven = 1.15;

// Tokens of the busiest thread when free threads take the next shard in order.
int64_t BusiestThread(std::span<const int32_t> offsets, std::span<const int64_t> boundaries, int threads) {
  std::vector<int64_t> load(static_cast<size_t>(threads), 0);
  for (size_t shard = 0; shard + 1 < boundaries.size(); ++shard) {
    *std::min_element(load.begin(), load.end()) +=
        offsets[static_cast<size_t>(boundaries[shard + 1])] - offsets[static_cast<size_t>(boundaries[shard])];
  }
  return *std::max_element(load.begin(), load.end());
}

// Boundaries nearest to those of `shards` equal parts, each once.
std::vector<int64_t> EvenCuts(std::span<const int32_t> offsets, int64_t shards) {
  const auto sequences = static_cast<int64_t>(offsets.size()) - 1;
  std::vector<int64_t> boundaries = {0};
  for (int64_t i = 1; i < shards; ++i) {
    const double cut = static_cast<double>(offsets.back()) * static_cast<double>(i) / static_cast<double>(shards);
    auto at = std::lower_bound(offsets.begin(), offsets.end() - 1, cut);
    if (at != offsets.begin() && cut - *(at - 1) < *at - cut) --at;
    const int64_t sequence = at - offsets.begin();
    if (sequence > boundaries.back() && sequence < sequences) boundaries.push_back(sequence);
  }
  boundaries.push_back(sequences);
  return boundaries;
}

// The request's part that covers sequences [first, last); the spans of `shard` point into the request and this.
struct Shard {
  std::vector<int32_t> offsets;
  std::vector<int32_t> needed_rows;
  ForwardRequest request;
};

template <typename T>
std::span<const T> Part(std::span<const T> values, int64_t first, int64_t last) {
  return values.empty() ? values : values.subspan(static_cast<size_t>(first), static_cast<size_t>(last - first));
}

void MakeShard(const ForwardRequest& whole, int64_t first, int64_t last, Shard* shard) {
  const PackedBatch& batch = whole.batch;
  const int32_t token0 = batch.offsets[static_cast<size_t>(first)];
  const int32_t token1 = batch.offsets[static_cast<size_t>(last)];
  for (int64_t s = first; s <= last; ++s) shard->offsets.push_back(batch.offsets[static_cast<size_t>(s)] - token0);
  for (const int32_t row : whole.needed_rows) {
    if (row >= token0 && row < token1) shard->needed_rows.push_back(row - token0);
  }
  shard->request.batch.ids = Part(batch.ids, token0, token1);
  shard->request.batch.type_ids = Part(batch.type_ids, token0, token1);
  shard->request.batch.offsets = shard->offsets;
  shard->request.batch.key_counts = Part(batch.key_counts, first, last);
  shard->request.needed_rows = shard->needed_rows;
  shard->request.adapter = whole.adapter;
}

}  // namespace

std::vector<int64_t> ShardBoundaries(std::span<const int32_t> offsets, int threads) {
  const auto sequences = static_cast<int64_t>(offsets.size()) - 1;
  const int64_t tokens = offsets.back();
  const double even = static_cast<double>(tokens) / threads;
  const int64_t wanted = (tokens + kWantedTokens - 1) / kWantedTokens;
  for (int64_t shards = (wanted + threads - 1) / threads * threads;
       tokens / std::max<int64_t>(shards, 1) >= kLeastTokens; shards += threads) {
    std::vector<int64_t> boundaries = EvenCuts(offsets, shards);
    if (static_cast<double>(BusiestThread(offsets, boundaries, threads)) <= even * kMostUneven) return boundaries;
  }
  return {0, sequences};
}

Status ShardedForward(const Model& model, const ForwardRequest& request, const ExecContext& ctx, Matrix hidden) {
  const bool whole = request.all_layers != nullptr || ctx.trace != nullptr || ctx.simulation != nullptr;
  const std::vector<int64_t> boundaries =
      whole ? std::vector<int64_t>{} : ShardBoundaries(request.batch.offsets, ctx.pool->threads());
  if (boundaries.size() <= 2) return model.Forward(request, ctx, hidden);
  const auto shards = static_cast<int64_t>(boundaries.size()) - 1;
  std::vector<Status> status(static_cast<size_t>(shards));
  std::vector<double> flops(static_cast<size_t>(shards), 0.0);
  ctx.arena->MakeChildren(ctx.pool->threads());
  ctx.pool->ParallelFor(shards, [&](int64_t unit, int worker) {
    const auto i = static_cast<size_t>(unit);
    Shard shard;
    MakeShard(request, boundaries[i], boundaries[i + 1], &shard);
    ThreadPool alone(1);
    Arena* arena = ctx.arena->child(worker);
    const Arena::Scope scope(arena);
    const ExecContext own{&alone, arena, nullptr, ctx.flops == nullptr ? nullptr : &flops[i]};
    const int64_t row = request.batch.offsets[static_cast<size_t>(boundaries[i])];
    status[i] =
        model.Forward(shard.request, own, {hidden.row(row), shard.request.batch.tokens(), hidden.cols, hidden.stride});
  });
  for (size_t i = 0; i < status.size(); ++i) {
    ctx.CountFlops(flops[i]);
    TV_RETURN_IF_ERROR(status[i]);
  }
  return Status::Ok();
}

}  // namespace truevec
