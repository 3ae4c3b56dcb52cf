#include "engine/scheduler.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace truevec {
namespace {

// vector = (length, first byte); "bad" fails; the first call waits for the gate so that requests pile up.
class FakeEmbedder : public Embedder {
 public:
  explicit FakeEmbedder(std::shared_future<void> gate) : gate_(std::move(gate)) {}
  size_t dimension() const override { return 2; }
  size_t width(const EmbedParams&) const override { return 2; }
  int64_t max_length() const override { return 0; }
  std::string fingerprint() const override { return "tv1:fake"; }
  std::string InspectJson() const override { return "{}"; }
  Error TokenizeJson(std::string_view, const EmbedParams&, std::string*) const override { return {}; }
  Error Embed(std::span<const std::string_view> texts, const EmbedParams&, std::span<float> out,
              EmbedStats* stats) const override {
    gate_.wait();
    for (size_t i = 0; i < texts.size(); ++i) {
      if (texts[i] == "bad") return {4, "text " + std::to_string(i) + ": bad"};
      out[2 * i] = static_cast<float>(texts[i].size());
      out[2 * i + 1] = static_cast<float>(texts[i][0]);
      ++stats->tokens;
      if (stats->text_tokens != nullptr) stats->text_tokens->push_back(1);
      if (stats->text_truncated != nullptr) stats->text_truncated->push_back(0);
    }
    return {};
  }

 private:
  std::shared_future<void> gate_;
};

struct Waiter {
  std::promise<EmbedResult> promise;
  std::future<EmbedResult> future = promise.get_future();
  EmbedDone Done() {
    return [this](EmbedResult result) { promise.set_value(std::move(result)); };
  }
};

class SchedulerTest : public testing::Test {
 protected:
  std::promise<void> gate_;
  std::shared_ptr<FakeEmbedder> embedder_ = std::make_shared<FakeEmbedder>(gate_.get_future().share());
};

TEST_F(SchedulerTest, EveryRequestGetsItsOwnVectorsInOrder) {
  Scheduler scheduler(embedder_, {.max_batch_texts = 3});
  std::vector<Waiter> waiters(40);
  for (size_t r = 0; r < waiters.size(); ++r) {
    std::vector<std::string> texts;
    for (size_t i = 0; i <= r % 7; ++i) texts.emplace_back(i + 1, static_cast<char>('A' + r));
    scheduler.Submit(texts, {}, waiters[r].Done());
  }
  gate_.set_value();
  for (size_t r = 0; r < waiters.size(); ++r) {
    const EmbedResult result = waiters[r].future.get();
    ASSERT_TRUE(result.status.ok());
    ASSERT_EQ(result.vectors.size(), 2 * (r % 7 + 1));
    EXPECT_EQ(result.tokens, static_cast<int64_t>(r % 7 + 1));
    for (size_t i = 0; i <= r % 7; ++i) {
      EXPECT_EQ(result.vectors[2 * i], static_cast<float>(i + 1));
      EXPECT_EQ(result.vectors[2 * i + 1], static_cast<float>('A' + r));
    }
  }
  EXPECT_EQ(scheduler.waiting_texts(), 0U);
}

TEST_F(SchedulerTest, BadTextFailsOnlyItsRequestWithItsIndex) {
  Scheduler scheduler(embedder_, {});
  Waiter blocker, good, bad;
  scheduler.Submit({"x"}, {}, blocker.Done());
  scheduler.Submit({"fine", "also"}, {}, good.Done());
  scheduler.Submit({"a", "b", "bad"}, {}, bad.Done());
  gate_.set_value();
  EXPECT_TRUE(good.future.get().status.ok());
  const Status status = bad.future.get().status;
  EXPECT_EQ(status.code(), Code::kBadInput);
  EXPECT_EQ(status.message(), "text 2: bad");
  // The worker counts a failed request off after its answer; a later answer shows that it has.
  Waiter later;
  scheduler.Submit({"z"}, {}, later.Done());
  EXPECT_TRUE(later.future.get().status.ok());
  EXPECT_EQ(scheduler.waiting_texts(), 0U);
}

TEST_F(SchedulerTest, SmallRequestOvertakesALargeOne) {
  Scheduler scheduler(embedder_, {.max_batch_texts = 4});
  Waiter large, query;
  std::atomic<bool> large_done = false;
  scheduler.Submit(std::vector<std::string>(1000, "t"), {}, [&](EmbedResult result) {
    large_done = true;
    large.promise.set_value(std::move(result));
  });
  std::promise<bool> overtook;
  scheduler.Submit({"q"}, {}, [&](EmbedResult) { overtook.set_value(!large_done); });
  gate_.set_value();
  EXPECT_TRUE(overtook.get_future().get());
  EXPECT_EQ(large.future.get().vectors.size(), 2000U);
}

TEST_F(SchedulerTest, FullQueueRefuses) {
  Scheduler scheduler(embedder_, {.max_queue_texts = 2});
  Waiter first, refused;
  scheduler.Submit({"a", "b"}, {}, first.Done());
  scheduler.Submit({"c"}, {}, refused.Done());
  EXPECT_EQ(refused.future.get().status.code(), Code::kUnavailable);
  gate_.set_value();
  EXPECT_TRUE(first.future.get().status.ok());
}

TEST_F(SchedulerTest, StopAnswersWhoWaits) {
  Waiter running, waiting;
  {
    Scheduler scheduler(embedder_, {.max_batch_texts = 1});
    scheduler.Submit({"a"}, {}, running.Done());
    scheduler.Submit({"b", "c"}, {}, waiting.Done());
    gate_.set_value();
  }
  EXPECT_EQ(running.future.wait_for(std::chrono::seconds(0)), std::future_status::ready);
  EXPECT_EQ(waiting.future.wait_for(std::chrono::seconds(0)), std::future_status::ready);
}

}  // namespace
}  // namespace truevec
