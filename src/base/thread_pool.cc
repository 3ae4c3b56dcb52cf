#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

#include "base/check.h"

namespace truevec {

struct ThreadPool::State {
  std::mutex loop_mutex;  // held by the caller for a whole loop
  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable done;
  const FunctionRef<void(int64_t, int)>* body = nullptr;
  int64_t units = 0;
  std::atomic<int64_t> next{0};
  uint64_t generation = 0;
  int running = 0;
  bool stop = false;
  std::vector<std::thread> workers;

  void RunUnits(int worker) {
    for (int64_t unit = next.fetch_add(1); unit < units; unit = next.fetch_add(1)) (*body)(unit, worker);
  }

  void WorkerLoop(int worker) {
    uint64_t seen = 0;
    std::unique_lock lock(mutex);
    while (true) {
      wake.wait(lock, [&] { return stop || generation != seen; });
      if (stop) return;
      seen = generation;
      lock.unlock();
      RunUnits(worker);
      lock.lock();
      if (--running == 0) done.notify_one();
    }
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  TV_CHECK(threads >= 1);
  for (int worker = 1; worker < threads; ++worker) {
    state_->workers.emplace_back([state = state_.get(), worker] { state->WorkerLoop(worker); });
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->wake.notify_all();
  for (std::thread& worker : state_->workers) worker.join();
}

int ThreadPool::threads() const { return static_cast<int>(state_->workers.size()) + 1; }

void ThreadPool::ParallelFor(int64_t units, FunctionRef<void(int64_t unit, int worker)> body) {
  if (units <= 0) return;
  const std::lock_guard loop(state_->loop_mutex);
  if (state_->workers.empty() || units == 1) {
    for (int64_t unit = 0; unit < units; ++unit) body(unit, 0);
    return;
  }
  {
    const std::lock_guard lock(state_->mutex);
    state_->body = &body;
    state_->units = units;
    state_->next = 0;
    state_->running = static_cast<int>(state_->workers.size());
    ++state_->generation;
  }
  state_->wake.notify_all();
  state_->RunUnits(0);
  std::unique_lock lock(state_->mutex);
  state_->done.wait(lock, [&] { return state_->running == 0; });
}

int AvailableCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  // cgroup v2 quota: "max 100000" or "150000 100000"; a quota of 1.5 CPUs means 2 threads.
  if (std::FILE* file = std::fopen("/sys/fs/cgroup/cpu.max", "r")) {
    long long quota = 0;
    long long period = 0;
    if (std::fscanf(file, "%lld %lld", &quota, &period) == 2 && quota > 0 && period > 0) {
      cpus = std::min<int>(cpus, static_cast<int>((quota + period - 1) / period));
    }
    std::fclose(file);
  }
  return std::max(1, cpus);
}

}  // namespace truevec
