// Counters of the server and their text form: Prometheus 0.0.4 or OpenMetrics 1.0, with Text Embeddings Inference's
// names beside ours. Any thread.
#ifndef TRUEVEC_SERVER_METRICS_H_
#define TRUEVEC_SERVER_METRICS_H_

#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "engine/scheduler.h"

namespace truevec {

// Upper bounds are start * factor^i; the last bucket has none.
class Histogram {
 public:
  static constexpr size_t kBuckets = 35;
  Histogram(double start, double factor) : start_(start), factor_(factor) {}
  void Add(double value);
  // Appends the samples of `name`; `labels` like `route="/embed"` or "".
  void Write(std::string* out, const std::string& name, const std::string& labels) const;

 private:
  double start_;
  double factor_;
  mutable std::mutex mutex_;
  std::array<uint64_t, kBuckets + 1> counts_{};
  double sum_ = 0;
  uint64_t count_ = 0;
};

class Metrics {
 public:
  // One answered request. `kind` is an ErrorKind's name, "" for a success.
  void AddRequest(std::string_view route, int status, std::string_view kind, std::chrono::nanoseconds duration,
                  bool batch);
  void AddTask(const TaskResult& result);
  void AddBatch(const BatchReport& batch);
  std::string Write(const SchedulerLoad& load, size_t connections, bool open_metrics) const;

 private:
  struct Key {
    std::string route;
    int status;
    auto operator<=>(const Key&) const = default;
  };
  // Durations in seconds: from 15 us on, as TEI's buckets.
  static constexpr double kStart = 0.000015, kFactor = 1.5;
  mutable std::mutex mutex_;
  std::map<Key, uint64_t> requests_;
  std::map<std::string, uint64_t, std::less<>> failures_;
  std::array<uint64_t, 2> methods_{};    // single, batch
  std::array<uint64_t, 2> successes_{};  // single, batch
  std::atomic<uint64_t> tokens_{0}, texts_{0}, truncated_texts_{0}, truncated_tokens_{0}, batches_{0};
  Histogram duration_{kStart, kFactor}, queue_{kStart, kFactor}, tokenize_{kStart, kFactor},
      inference_{kStart, kFactor};
  Histogram text_tokens_{1, 1.5}, batch_texts_{1, 1.5}, batch_tokens_{1, 1.5};
};

}  // namespace truevec

#endif  // TRUEVEC_SERVER_METRICS_H_
