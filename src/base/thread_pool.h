// A fixed set of threads that run one parallel loop at a time: units are taken from an atomic counter, so results
// must not depend on who runs which unit. Idle threads spin for 30 microseconds, then sleep: a fork and join costs
// about a microsecond inside a forward pass, and nothing afterwards.
#ifndef TRUEVEC_BASE_THREAD_POOL_H_
#define TRUEVEC_BASE_THREAD_POOL_H_

#include <cstdint>
#include <memory>

#include "base/function_ref.h"

namespace truevec {

class ThreadPool {
 public:
  // `threads` counts the caller: 1 runs everything inline. REQUIRES: threads >= 1.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;
  // Calls body(unit, worker) once for each unit in [0, units), worker in [0, threads()), and waits for all.
  // One caller at a time: a second thread waits for the first loop to end. Not re-entrant.
  void ParallelFor(int64_t units, FunctionRef<void(int64_t unit, int worker)> body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Logical CPUs this process may run on (affinity and cgroup quota respected); at least 1.
int AvailableCpus();

}  // namespace truevec

#endif  // TRUEVEC_BASE_THREAD_POOL_H_
