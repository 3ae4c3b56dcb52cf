#include "engine/batch_plan.h"

#include <algorithm>
#include <cmath>

namespace truevec {
namespace {

double Seconds(std::chrono::milliseconds time) { return std::chrono::duration<double>(time).count(); }

// A text, or a batch worth its while, that takes one thread longer than this gets more.
constexpr int kPatience = 4;  // times batch_time

int64_t MostRunning(const SchedulerOptions& options, const BatchInputs& inputs) {
  return std::max(options.max_batch_tokens, 2 * kLeastBatchTokens * inputs.threads);
}

}  // namespace

bool FitsBeside(const SchedulerOptions& options, const BatchInputs& inputs) {
  return inputs.running_tokens == 0 || inputs.running_tokens + inputs.first_tokens <= MostRunning(options, inputs);
}

int BatchThreads(const SchedulerOptions& options, const BatchInputs& inputs) {
  const auto free = static_cast<double>(inputs.free_threads);
  const auto first = static_cast<double>(inputs.first_tokens);
  const auto waiting = static_cast<double>(std::max(inputs.waiting_tokens, inputs.first_tokens));
  // Its part of the machine, and of the threads that are free now.
  const double part = std::round(inputs.threads / std::max(inputs.concurrent_requests, 1.0));
  double threads = std::min(part, std::floor(free * first / waiting));
  if (inputs.tokens_per_second > 0) {
    const double tokens = std::max(first, std::min(waiting, static_cast<double>(kLeastBatchTokens)));
    threads =
        std::max(threads, std::ceil(tokens / (inputs.tokens_per_second * kPatience * Seconds(options.batch_time))));
  }
  return static_cast<int>(std::clamp(threads, 1.0, free));
}

int64_t BatchTokens(const SchedulerOptions& options, const BatchInputs& inputs, int threads) {
  const double in_time = inputs.tokens_per_second * threads * Seconds(options.batch_time);
  int64_t most = std::clamp(static_cast<int64_t>(in_time), std::min(kLeastBatchTokens, options.max_batch_tokens),
                            options.max_batch_tokens);
  // Half a thread's part of what waits: all answers of a batch come at its end, and the next text waits for it.
  const int64_t part = inputs.waiting_tokens * threads / (2 * inputs.threads);
  most = std::min(most, std::max({inputs.first_tokens, kSmallBatchTokens, part}));
  return std::min(most, std::max(inputs.first_tokens, MostRunning(options, inputs) - inputs.running_tokens));
}

}  // namespace truevec
