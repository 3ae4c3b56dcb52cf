#include "engine/scheduler.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "engine/batch_plan.h"
#include "engine/fake_pipeline.h"
#include "engine/thread_shares.h"

namespace truevec {
namespace {

struct Waiter {
  std::promise<TaskResult> promise;
  std::future<TaskResult> future = promise.get_future();
  TaskDone Done() {
    return [this](TaskResult result) { promise.set_value(std::move(result)); };
  }
};

class SchedulerTest : public testing::Test {
 protected:
  TaskRequest Request(const std::vector<std::string>& texts, const std::string& client = "") const {
    TaskRequest request;
    request.model = model_;
    request.client = client;
    for (const std::string& text : texts) request.texts.push_back({text});
    return request;
  }
  // Batches wait for the gate, so that requests pile up, and take `slow_`.
  SchedulerTest() {
    pipeline_->before_batch = [this, open = gate_.get_future().share()] {
      open.wait();
      std::this_thread::sleep_for(slow_);
    };
  }
  std::promise<void> gate_;
  std::chrono::milliseconds slow_{0};
  std::shared_ptr<FakePipeline> pipeline_ = std::make_shared<FakePipeline>();
  std::shared_ptr<const ServingModel> model_ = ServingModel::Wrap(pipeline_, {});
};

TEST_F(SchedulerTest, EveryRequestGetsItsOwnVectorsInOrder) {
  Scheduler scheduler({.threads = 2, .max_batch_texts = 3});
  std::vector<Waiter> waiters(40);
  for (size_t r = 0; r < waiters.size(); ++r) {
    std::vector<std::string> texts;
    for (size_t i = 0; i <= r % 7; ++i) texts.emplace_back(i + 1, static_cast<char>('A' + r));
    scheduler.Submit(Request(texts, std::to_string(r % 3)), waiters[r].Done());
  }
  gate_.set_value();
  for (size_t r = 0; r < waiters.size(); ++r) {
    const TaskResult result = waiters[r].future.get();
    ASSERT_EQ(result.outcome, TaskOutcome::kDone);
    ASSERT_EQ(result.values.size(), 2 * (r % 7 + 1));
    for (size_t i = 0; i <= r % 7; ++i) {
      EXPECT_EQ(result.values[2 * i], static_cast<float>(i + 1));
      EXPECT_EQ(result.values[2 * i + 1], static_cast<float>('A' + r));
      EXPECT_EQ(result.text_tokens[i], static_cast<int32_t>(i + 1));
    }
  }
  scheduler.Stop();
  EXPECT_EQ(scheduler.load().texts, 0U);
  EXPECT_EQ(scheduler.load().bytes, 0U);
  EXPECT_EQ(scheduler.load().tokens, 0);
  EXPECT_EQ(scheduler.load().requests, 0U);
}

TEST_F(SchedulerTest, TokenRowsKeepTheirTexts) {
  Scheduler scheduler({.threads = 1, .max_batch_texts = 2});
  TaskRequest request = Request({"abc", "", "z"});
  request.kind = TaskKind::kTokens;
  Waiter waiter;
  scheduler.Submit(std::move(request), waiter.Done());
  const TaskResult result = waiter.future.get();
  EXPECT_EQ(result.offsets, (std::vector<int64_t>{0, 3, 3, 4}));
  EXPECT_EQ(result.values, (std::vector<float>{'a', 'b', 'c', 'z'}));
}

TEST_F(SchedulerTest, BadTextFailsOnlyItsRequestWithItsIndex) {
  Scheduler scheduler({.threads = 2});
  Waiter blocker, good, bad, unreadable, too_long;
  scheduler.Submit(Request({"x"}), blocker.Done());
  scheduler.Submit(Request({"fine", "also"}), good.Done());
  scheduler.Submit(Request({"a", "b", "bad"}), bad.Done());
  scheduler.Submit(Request({"a", "no"}), unreadable.Done());
  TaskRequest cut = Request({"abcdef"});
  cut.encode.max_length = 3;
  cut.encode.error_when_long = true;
  scheduler.Submit(std::move(cut), too_long.Done());
  gate_.set_value();
  EXPECT_EQ(good.future.get().outcome, TaskOutcome::kDone);
  const TaskResult failed = bad.future.get();
  EXPECT_EQ(failed.outcome, TaskOutcome::kFailed);
  EXPECT_EQ(failed.status.message(), "text 2: bad");
  EXPECT_EQ(unreadable.future.get().text, 1U);
  const TaskResult cut_result = too_long.future.get();
  EXPECT_EQ(cut_result.outcome, TaskOutcome::kTooLong);
  EXPECT_EQ(cut_result.status.message(), "the text has 6 tokens; the model takes 3");
  scheduler.Stop();
  EXPECT_EQ(scheduler.load().texts, 0U);
  EXPECT_EQ(scheduler.load().bytes, 0U);
}

TEST_F(SchedulerTest, QueryOvertakesALargeRequestWithoutStoppingIt) {
  slow_ = std::chrono::milliseconds(1);
  Scheduler scheduler({.threads = 1, .max_batch_tokens = 1000});
  std::atomic<bool> large_done = false;
  Waiter large, query;
  scheduler.Submit(Request(std::vector<std::string>(400, std::string(100, 't')), "bulk"), [&](TaskResult result) {
    large_done = true;
    large.promise.set_value(std::move(result));
  });
  std::promise<bool> overtook;
  scheduler.Submit(Request({"q"}, "user"), [&](TaskResult) { overtook.set_value(!large_done); });
  gate_.set_value();
  EXPECT_TRUE(overtook.get_future().get());
  // A stream of queries that never ends leaves room for the large request.
  while (!large_done) {
    Waiter one;
    scheduler.Submit(Request({std::string(200, 'q')}, "user"), one.Done());
    one.future.get();
  }
  EXPECT_EQ(large.future.get().values.size(), 800U);
}

TEST_F(SchedulerTest, ClientsShareFairly) {
  slow_ = std::chrono::milliseconds(1);
  Scheduler scheduler({.threads = 1, .max_batch_tokens = 256});
  std::vector<Waiter> many(50);
  std::promise<int> before_other;
  std::atomic<int> many_done = 0;
  for (Waiter& waiter : many) {
    scheduler.Submit(Request({std::string(200, 'a')}, "greedy"), [&](TaskResult result) {
      ++many_done;
      waiter.promise.set_value(std::move(result));
    });
  }
  scheduler.Submit(Request({std::string(200, 'b')}, "modest"), [&](TaskResult) { before_other.set_value(many_done); });
  gate_.set_value();
  EXPECT_LT(before_other.get_future().get(), 12);
  for (Waiter& waiter : many) waiter.future.get();
}

TEST_F(SchedulerTest, GoneAndLateRequestsAreNotRun) {
  Scheduler scheduler({.threads = 1});
  Waiter first, gone, late, doubtful;
  scheduler.Submit(Request({"a"}), first.Done());
  while (scheduler.load().tokens > 0) std::this_thread::yield();  // the first batch runs
  TaskRequest leaves = Request({"b"});
  leaves.state = [] { return TaskClient::kGone; };
  scheduler.Submit(std::move(leaves), gone.Done());
  TaskRequest hurried = Request({"c"});
  hurried.deadline = std::chrono::steady_clock::now();
  scheduler.Submit(std::move(hurried), late.Done());
  TaskRequest half = Request({"d"});
  half.state = [] { return TaskClient::kDoubtful; };
  scheduler.Submit(std::move(half), doubtful.Done());
  gate_.set_value();
  EXPECT_EQ(gone.future.get().outcome, TaskOutcome::kGone);
  EXPECT_EQ(late.future.get().outcome, TaskOutcome::kLate);
  EXPECT_EQ(doubtful.future.get().outcome, TaskOutcome::kDone);
  EXPECT_EQ(pipeline_->embedded, 2);
}

TEST_F(SchedulerTest, LongTextsAreTokenisedBesideTheQueue) {
  Scheduler scheduler({.threads = 1});
  Waiter plain, unreadable;
  scheduler.Submit(Request({std::string(70000, 'x'), "y"}), plain.Done());
  scheduler.Submit(Request({std::string(70000, 'x'), "no"}), unreadable.Done());
  gate_.set_value();
  EXPECT_EQ(plain.future.get().values, (std::vector<float>{70000, 'x', 1, 'y'}));
  EXPECT_EQ(unreadable.future.get().text, 1U);
}

TEST_F(SchedulerTest, FullQueueRefuses) {
  Scheduler scheduler({.threads = 1, .max_queue_texts = 2});
  Waiter first, second, refused;
  EXPECT_FALSE(scheduler.RefusalOfAny(1).has_value());
  scheduler.Submit(Request({"a"}), first.Done());
  while (scheduler.load().tokens > 0) std::this_thread::yield();
  EXPECT_FALSE(scheduler.RefusalOfAny(1).has_value());
  scheduler.Submit(Request({"b"}), second.Done());
  EXPECT_EQ(scheduler.RefusalOfAny(1024)->outcome, TaskOutcome::kFull);
  EXPECT_FALSE(scheduler.RefusalOfAny(1025).has_value());  // may be for the other lane
  scheduler.Submit(Request({"c"}), refused.Done());
  const TaskResult full = refused.future.get();
  EXPECT_EQ(full.outcome, TaskOutcome::kFull);
  EXPECT_GT(full.retry_after.count(), 0);
  gate_.set_value();
  EXPECT_EQ(first.future.get().outcome, TaskOutcome::kDone);
  EXPECT_EQ(second.future.get().outcome, TaskOutcome::kDone);
}

TEST_F(SchedulerTest, TokenVectorsAreEstimatedFromAbove) {
  TaskRequest request;
  request.model = model_;
  request.texts.assign(3, {.text = std::string(400, 'a')});
  EXPECT_EQ(EstimateTokenVectors(request), 0u);
  request.kind = TaskKind::kTokens;
  EXPECT_EQ(EstimateTokenVectors(request), 3u * 204 * 2 * sizeof(float));
  request.encode.max_length = 10;
  EXPECT_EQ(EstimateTokenVectors(request), 3u * 10 * 2 * sizeof(float));
}

TEST_F(SchedulerTest, StopAnswersWhoWaits) {
  Waiter running, waiting, after;
  Scheduler scheduler({.threads = 1, .max_batch_texts = 1});
  scheduler.Submit(Request({"a"}), running.Done());
  scheduler.Submit(Request({"b", "c"}), waiting.Done());
  gate_.set_value();
  scheduler.Stop();
  EXPECT_EQ(running.future.wait_for(std::chrono::seconds(0)), std::future_status::ready);
  EXPECT_EQ(waiting.future.wait_for(std::chrono::seconds(0)), std::future_status::ready);
  scheduler.Submit(Request({"d"}), after.Done());
  EXPECT_EQ(after.future.get().outcome, TaskOutcome::kStopping);
}

// One request of many texts fills all threads; each of its batches waits here until another one runs.
TEST_F(SchedulerTest, OneRequestRunsInBatchesSideBySide) {
  std::atomic<int> inside = 0;
  pipeline_->before_batch = [&] {
    const int mine = ++inside;
    while (inside < mine + 1 && inside < 8) std::this_thread::yield();
  };
  Scheduler scheduler({.threads = 2, .max_batch_texts = 1});
  std::vector<std::string> texts;
  for (int i = 0; i < 8; ++i) texts.emplace_back(600, static_cast<char>('a' + i));
  Waiter waiter;
  scheduler.Submit(Request(texts), waiter.Done());
  const TaskResult result = waiter.future.get();
  ASSERT_EQ(result.outcome, TaskOutcome::kDone);
  for (size_t i = 0; i < 8; ++i) EXPECT_EQ(result.values[2 * i + 1], static_cast<float>('a' + i));
  EXPECT_EQ(result.tokens, 4800);
}

// A request that fails in one batch while another one still has a text of it is answered once.
TEST_F(SchedulerTest, FailsOnceFromSeveralBatches) {
  gate_.set_value();
  for (int round = 0; round < 50; ++round) {
    Scheduler scheduler({.threads = 4, .max_batch_texts = 1});
    std::atomic<int> answers = 0;
    Waiter good;
    scheduler.Submit(Request({"bad", "bad", "no", "fine", "bad"}), [&](TaskResult result) {
      ++answers;
      EXPECT_EQ(result.outcome, TaskOutcome::kFailed);
    });
    scheduler.Submit(Request({"x", "y", "z"}), good.Done());
    EXPECT_EQ(good.future.get().values, (std::vector<float>{1, 'x', 1, 'y', 1, 'z'}));
    scheduler.Stop();
    EXPECT_EQ(answers, 1);
    EXPECT_EQ(scheduler.load().texts, 0U);
    EXPECT_EQ(scheduler.load().bytes, 0U);
    EXPECT_EQ(scheduler.load().tokens, 0);
    EXPECT_EQ(scheduler.load().requests, 0U);
  }
}

TEST(ThreadSharesTest, NeverLendsMoreThanThereAre) {
  for (const int threads : {1, 2, 3, 6, 7}) {
    ThreadShares shares(threads);
    std::vector<ThreadPool*> lent;
    while (shares.free() > 0) {
      lent.push_back(shares.Take(1));
      EXPECT_EQ(lent.back()->threads(), 1);
    }
    EXPECT_EQ(lent.size(), static_cast<size_t>(threads));
    for (const ThreadPool* pool : lent) shares.Return(pool);
    ThreadPool* const all = shares.Take(threads + 5);
    EXPECT_EQ(all->threads(), threads);
    EXPECT_EQ(all, shares.all());
    EXPECT_EQ(shares.free(), 0);
    shares.Return(all);
  }
  ThreadShares shares(8);
  ThreadPool* const one = shares.Take(1);
  ThreadPool* const four = shares.Take(7);  // of 4 + 2 + 1 that are left
  ThreadPool* const other = shares.Take(1);
  ThreadPool* const two = shares.Take(2);  // the single ones are siblings
  EXPECT_EQ(four->threads(), 4);
  EXPECT_EQ(two->threads(), 2);
  EXPECT_EQ(shares.free(), 0);
  for (const ThreadPool* pool : {one, four, other, two}) shares.Return(pool);
  EXPECT_EQ(shares.free(), 8);
}

TEST(BatchPlanTest, ThreadsFollowTheLoad) {
  const SchedulerOptions options;
  const BatchInputs alone{
      .threads = 8, .free_threads = 8, .first_tokens = 40, .waiting_tokens = 40, .tokens_per_second = 4000};
  EXPECT_EQ(BatchThreads(options, alone), 8);
  BatchInputs busy = alone;
  busy.concurrent_requests = 4;
  EXPECT_EQ(BatchThreads(options, busy), 2);
  BatchInputs queued = alone;
  queued.waiting_tokens = 4000;
  queued.concurrent_requests = 100;
  EXPECT_EQ(BatchThreads(options, queued), 1);
  EXPECT_EQ(BatchTokens(options, queued, 1), 160);
  BatchInputs slow = queued;  // a large model: one thread would hold its batch for seconds
  slow.tokens_per_second = 200;
  EXPECT_EQ(BatchThreads(options, slow), 5);
  BatchInputs few = alone;  // what waits is shared with the other threads
  few.waiting_tokens = 400;
  few.free_threads = 1;
  EXPECT_EQ(BatchThreads(options, few), 1);
  EXPECT_EQ(BatchTokens(options, few, 1), 48);
  few.waiting_tokens = 1600;
  EXPECT_EQ(BatchTokens(options, few, 1), 100);
  few.first_tokens = 300;
  EXPECT_EQ(BatchTokens(options, few, 1), 160);
}

TEST(BatchPlanTest, RunningTokensAreBounded) {
  const SchedulerOptions options{.max_batch_tokens = 4096};
  BatchInputs long_text{.threads = 2, .free_threads = 1, .first_tokens = 8192, .waiting_tokens = 8192};
  EXPECT_TRUE(FitsBeside(options, long_text));
  long_text.running_tokens = 100;
  EXPECT_FALSE(FitsBeside(options, long_text));
  long_text.first_tokens = 3900;
  EXPECT_TRUE(FitsBeside(options, long_text));
}

}  // namespace
}  // namespace truevec
