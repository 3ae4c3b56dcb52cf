// How many threads and tokens the next batch gets (internal to scheduler.cc). Pure functions of what is known then.
//
// One thread does more with a batch of its own than two threads with a batch in common, so under load batches run side
// by side, one thread each. A request that is alone gets all threads: nobody else would use them.
#ifndef TRUEVEC_ENGINE_BATCH_PLAN_H_
#define TRUEVEC_ENGINE_BATCH_PLAN_H_

#include <cstdint>

#include "engine/scheduler.h"

namespace truevec {

// A batch of so many tokens uses a thread well: reading the weights costs little beside it.
inline constexpr int64_t kLeastBatchTokens = 160;
// A batch of so many is worth a thread while little waits.
inline constexpr int64_t kSmallBatchTokens = 48;

struct BatchInputs {
  int threads = 1;
  int free_threads = 1;
  int64_t first_tokens = 1;      // of the text that is next
  int64_t waiting_tokens = 1;    // all that wait
  int64_t running_tokens = 0;    // of the batches that run
  double tokens_per_second = 0;  // of one thread; 0: not known yet
  // Requests that were in the system when the last ones came, each counted with itself: 1 when requests come one by
  // one.
  double concurrent_requests = 1;
};

// Whether a batch may start beside those that run: together they have a bounded number of tokens, and memory.
bool FitsBeside(const SchedulerOptions& options, const BatchInputs& inputs);
// Threads of the next batch, in [1, free_threads]. REQUIRES: free_threads >= 1.
int BatchThreads(const SchedulerOptions& options, const BatchInputs& inputs);
// Tokens that a batch on `threads` threads takes at most (its first text may have more).
int64_t BatchTokens(const SchedulerOptions& options, const BatchInputs& inputs, int threads);

}  // namespace truevec

#endif  // TRUEVEC_ENGINE_BATCH_PLAN_H_
