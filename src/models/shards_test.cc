// Where a batch is cut, and what a shard sees of the request. Equal bits for every model: golden_test.cc.
#include "models/shards.h"

#include <gtest/gtest.h>

namespace truevec {
namespace {

std::vector<int32_t> Offsets(const std::vector<int32_t>& lengths) {
  std::vector<int32_t> offsets = {0};
  for (const int32_t length : lengths) offsets.push_back(offsets.back() + length);
  return offsets;
}

std::vector<int64_t> Boundaries(const std::vector<int32_t>& lengths, int threads) {
  return ShardBoundaries(Offsets(lengths), threads);
}

TEST(Shards, CutAtSequencesIntoEvenParts) {
  EXPECT_EQ(Boundaries(std::vector<int32_t>(8, 32), 2), (std::vector<int64_t>{0, 4, 8}));
  EXPECT_EQ(Boundaries(std::vector<int32_t>(8, 32), 1), (std::vector<int64_t>{0, 8}));
  EXPECT_EQ(Boundaries({256, 256, 256, 256}, 1), (std::vector<int64_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(Boundaries({500, 20, 480}, 2), (std::vector<int64_t>{0, 1, 2, 3}));
  // Two parts would be uneven, four are not.
  EXPECT_EQ(Boundaries({40, 40, 40, 40, 20, 20, 80, 40, 40}, 2).size(), 3u);
}

TEST(Shards, OneWhereThreadsWouldWait) {
  EXPECT_EQ(Boundaries({}, 2), (std::vector<int64_t>{0, 0}));
  EXPECT_EQ(Boundaries({512}, 2), (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(Boundaries({400, 8}, 2), (std::vector<int64_t>{0, 2}));
  EXPECT_EQ(Boundaries({8, 400}, 2), (std::vector<int64_t>{0, 2}));
  EXPECT_EQ(Boundaries({8, 8, 8, 8}, 4), (std::vector<int64_t>{0, 4}));                 // too few tokens
  EXPECT_EQ(Boundaries(std::vector<int32_t>(8, 32), 8), (std::vector<int64_t>{0, 8}));  // four shards, eight threads
}

TEST(Shards, EveryCutIsComplete) {
  for (int threads = 1; threads <= 9; ++threads) {
    for (int32_t count = 1; count < 60; ++count) {
      std::vector<int32_t> lengths;
      for (int32_t i = 0; i < count; ++i) lengths.push_back((i * 7919 + count * 104729) % 97);
      const std::vector<int64_t> boundaries = Boundaries(lengths, threads);
      ASSERT_EQ(boundaries.front(), 0);
      ASSERT_EQ(boundaries.back(), count);
      for (size_t i = 1; i < boundaries.size(); ++i) ASSERT_LT(boundaries[i - 1], boundaries[i]);
    }
  }
}

// Writes what it is given: the sum of a token's id, type, sequence length and key count; refuses id 13.
class Echo : public Model {
 public:
  int64_t hidden_size() const override { return 1; }
  int64_t vocabulary_size() const override { return 1000; }
  int64_t max_positions() const override { return 0; }
  Status Forward(const ForwardRequest& request, const ExecContext& ctx, Matrix hidden) const override {
    const PackedBatch& batch = request.batch;
    for (int64_t s = 0; s < batch.sequences(); ++s) {
      const int32_t length = batch.offsets[static_cast<size_t>(s) + 1] - batch.offsets[static_cast<size_t>(s)];
      for (int32_t t = batch.offsets[static_cast<size_t>(s)]; t < batch.offsets[static_cast<size_t>(s) + 1]; ++t) {
        const auto i = static_cast<size_t>(t);
        if (batch.ids[i] == 13) return InputError("text of " + std::to_string(length) + " tokens");
        *hidden.row(t) = static_cast<float>(batch.ids[i] + batch.type_ids[i] * 1000 + length * 10000 +
                                            batch.key_counts[static_cast<size_t>(s)] * 1000000);
      }
    }
    ctx.CountFlops(static_cast<double>(batch.tokens()));
    return Status::Ok();
  }
};

TEST(Shards, SeeTheirPartOfTheRequest) {
  const std::vector<int32_t> offsets = Offsets(std::vector<int32_t>(10, 40));
  std::vector<int32_t> ids, types, keys;
  for (int32_t t = 0; t < 400; ++t) {
    ids.push_back(100 + t % 97);
    types.push_back(t % 2);
  }
  for (int32_t s = 0; s < 10; ++s) keys.push_back(s + 1);
  ForwardRequest request;
  request.batch = {ids, types, offsets, keys};
  ThreadPool pool(2);
  Arena arena;
  const Matrix whole = arena.NewMatrix(400, 1);
  const Matrix parts = arena.NewMatrix(400, 1);
  double flops = 0;
  ASSERT_TRUE(Echo().Forward(request, {&pool, &arena}, whole).ok());
  ASSERT_TRUE(ShardedForward(Echo(), request, {&pool, &arena, nullptr, &flops}, parts).ok());
  for (int64_t t = 0; t < 400; ++t) EXPECT_EQ(*whole.row(t), *parts.row(t)) << t;
  EXPECT_EQ(flops, 400);
  ids[399] = ids[10] = 13;
  const Status status = ShardedForward(Echo(), request, {&pool, &arena}, parts);
  EXPECT_EQ(status.message(), "text of 40 tokens");
}

}  // namespace
}  // namespace truevec
