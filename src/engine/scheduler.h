// The online queue of one model: many requests, one stream of batches. A batch takes texts from the waiting requests in
// turn, one each, until its byte budget is full: a large request does not starve a single query, and nothing waits for
// a batch to fill. Texts run together only when their parameters are equal; a vector does not depend on its batch.
#ifndef TRUEVEC_ENGINE_SCHEDULER_H_
#define TRUEVEC_ENGINE_SCHEDULER_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/status.h"
#include "truevec/truevec.h"

namespace truevec {

struct SchedulerOptions {
  size_t max_queue_texts = 16384;  // waiting texts; a request beyond it is refused
  size_t max_queue_bytes = 64 << 20;
  size_t max_batch_texts = 64;
  size_t max_batch_bytes = 16384;  // about four bytes a token
};

struct EmbedResult {
  Status status;  // not OK: the rest is empty. kUnavailable: the queue is full or the scheduler stops.
  size_t width = 0;
  std::vector<float> vectors = {};  // [texts, width], in the order of the texts
  int64_t tokens = 0;
  int64_t truncated_texts = 0;
};

using EmbedDone = std::function<void(EmbedResult)>;

class Scheduler {
 public:
  Scheduler(std::shared_ptr<const Embedder> embedder, const SchedulerOptions& options);
  // Requests still waiting are answered with kUnavailable.
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Any thread. `done` is called once, from the worker thread, or before Submit returns when the request is refused.
  void Submit(std::vector<std::string> texts, const EmbedParams& params, EmbedDone done);
  const Embedder& embedder() const { return *embedder_; }
  size_t waiting_texts() const;

 private:
  struct Job;
  struct Batch;
  void Work();
  Batch TakeBatch();
  void Run(const Batch& batch);
  void RunAlone(const std::shared_ptr<Job>& job);
  void FinishTexts(const std::shared_ptr<Job>& job, size_t count);

  std::shared_ptr<const Embedder> embedder_;
  SchedulerOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Job>> jobs_;  // with texts that no batch has taken yet
  size_t texts_ = 0;
  size_t bytes_ = 0;
  bool stopping_ = false;
  std::thread worker_;
};

}  // namespace truevec

#endif  // TRUEVEC_ENGINE_SCHEDULER_H_
