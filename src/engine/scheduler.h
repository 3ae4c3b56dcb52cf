// The online queue: requests to any of several models, batches side by side on shares of the compute threads.
//
// Continuous batching under a token budget: a batch starts as soon as a thread is free, with what waits. Under load
// each thread runs a batch of its own; a request that comes alone gets all threads (batch_plan.h). The budget is what
// the threads do in SchedulerOptions::batch_time, so that a new query never waits long behind a batch.
//
// Two lanes: requests of few tokens (a query) come first, but leave a quarter of the budget to the others. Within a
// lane clients take turns by tokens served (start-time fair queueing, Goyal, Vin, Cheng 1996), and the requests of one
// client one text each. A vector does not depend on its batch, so none of this can be seen in a result.
//
// The queue is bounded in texts, tokens, bytes and in estimated waiting time; beyond it a request is refused with an
// estimate of when to come back. A request whose client is gone or whose deadline is over is dropped before it is run.
#ifndef TRUEVEC_ENGINE_SCHEDULER_H_
#define TRUEVEC_ENGINE_SCHEDULER_H_

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "engine/serving_model.h"

namespace truevec {

enum class TaskKind { kDense, kTokens, kSparse, kMultiVector, kScore };

struct TaskText {
  std::string text = {};
  std::optional<std::string> pair = {};  // kScore
  std::vector<int32_t> ids = {};         // when not empty, fed as they are
  // Set: `text` goes to the tokenizer alone, with or without its special tokens (ServingModel::EncodeAlone).
  std::optional<bool> special_tokens = {};
  // So many tokens of `text` and of `pair` at most, before anything is put around them; 0: all.
  int64_t most_tokens = 0;
  int64_t most_pair_tokens = 0;
};

enum class TaskOutcome {
  kDone,
  kFailed,    // `status` says why; `text` which text when one is to blame
  kTooLong,   // as kFailed: a text would be truncated and the request forbids it
  kFull,      // the queue is full: try again after `retry_after`
  kStopping,  // the scheduler stops
  kLate,      // the deadline was over
  kGone,      // the client was gone; nobody reads this
};

struct TaskResult {
  TaskOutcome outcome = TaskOutcome::kDone;
  Status status = {};
  std::optional<size_t> text = {};
  std::chrono::milliseconds retry_after{0};
  int64_t width = 0;  // of a row: vector width, vocabulary, labels
  // kDense, kScore: [texts, width]. kTokens, kMultiVector: rows of text i are [offsets[i], offsets[i+1]).
  // kSparse: values and columns of text i are [offsets[i], offsets[i+1]).
  std::vector<float> values = {};
  std::vector<int32_t> columns = {};
  std::vector<int64_t> offsets = {};
  std::vector<int32_t> text_tokens = {};  // fed to the model, per text
  int64_t tokens = 0;
  int64_t truncated_texts = 0;
  int64_t truncated_tokens = 0;
  // Waiting for the first batch; tokenising and computing of the batches that held texts of the request; all of it.
  std::chrono::nanoseconds queue_time{0}, tokenize_time{0}, inference_time{0}, total_time{0};
};

using TaskDone = std::function<void(TaskResult)>;
enum class TaskClient { kHere, kDoubtful, kGone };

struct TaskRequest {
  std::shared_ptr<const ServingModel> model;
  TaskKind kind = TaskKind::kDense;
  EmbedOptions embed = {};
  ScoreOptions score = {};
  EncodeTextOptions encode = {};
  std::vector<EncodeTextOptions> encode_texts = {};  // per text, in place of `encode`, when not empty
  std::vector<TaskText> texts = {};
  std::string client = {};  // who asks: shares are fair between clients
  std::optional<std::chrono::steady_clock::time_point> deadline = {};
  // Asked before texts are run; from the scheduler's thread. kDoubtful: served after the others.
  std::function<TaskClient()> state = {};
};

// Bytes of the vectors that a request for token vectors gives, guessed from above; 0 for other kinds.
size_t EstimateTokenVectors(const TaskRequest& request);

struct SchedulerOptions {
  int threads = 0;  // 0: all CPUs of this process
  int64_t max_batch_tokens = 4096;
  size_t max_batch_texts = 512;
  std::chrono::milliseconds batch_time{40};
  size_t max_queue_texts = 16384;
  int64_t max_queue_tokens = int64_t{2} << 20;
  size_t max_queue_bytes = size_t{256} << 20;
  std::chrono::milliseconds max_wait{10000};        // estimated, for requests of few tokens
  std::chrono::milliseconds max_bulk_wait{300000};  // for the others
};

struct SchedulerLoad {
  size_t requests = 0;
  size_t texts = 0;
  int64_t tokens = 0;  // estimated
  size_t bytes = 0;
  double tokens_per_second = 0;  // 0: not known yet
};

// What a batch was, for counters. Called on the scheduler's thread.
struct BatchReport {
  size_t texts = 0;
  int64_t tokens = 0;
  std::chrono::nanoseconds tokenize_time{0}, inference_time{0};
};

class Scheduler {
 public:
  explicit Scheduler(const SchedulerOptions& options, std::function<void(const BatchReport&)> on_batch = {});
  // Stop().
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Any thread. `done` is called once: from one of the scheduler's threads, or before Submit returns when the request
  // is refused. REQUIRES: at least one text.
  void Submit(TaskRequest request, TaskDone done);
  // What every request of at most so many tokens would be answered now, when it would be refused. Any thread.
  std::optional<TaskResult> RefusalOfAny(size_t tokens) const;
  // Answers what waits with kStopping, waits for the running batch. Later requests get kStopping.
  void Stop();
  SchedulerLoad load() const;
  // The compute threads, for work beside the queue (POST /explain).
  ThreadPool* pool();
  const SchedulerOptions& options() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace truevec

#endif  // TRUEVEC_ENGINE_SCHEDULER_H_
