#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

#include "base/check.h"

namespace truevec {

namespace {

// How long an idle thread watches for work before it sleeps in the kernel: longer than the serial work between two
// loops of a forward pass (a few microseconds), shorter than what a neighbour on a busy machine would notice.
constexpr std::chrono::microseconds kSpin{30};

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Watches for at most kSpin; whether `ready` came true.
template <typename Ready>
bool SpinUntil(Ready ready) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 32; ++i) {
      if (ready()) return true;
      Pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  return ready();
}

}  // namespace

// A loop is open while its caller runs units; workers that come while it is open enter and leave. The caller closes it
// and waits for those inside only: a worker that sleeps or was descheduled delays nobody.
struct ThreadPool::State {
  // Fields of `gate`.
  static constexpr uint64_t kOpen = uint64_t{1} << 31;
  static constexpr uint64_t kInside = kOpen - 1;
  static constexpr int kGenerationShift = 32;

  std::mutex loop_mutex;  // held by the caller for a whole loop
  const FunctionRef<void(int64_t, int)>* body = nullptr;
  int64_t units = 0;
  std::atomic<int64_t> next{0};
  std::atomic<uint64_t> gate{0};   // generation, open, workers inside
  std::atomic<uint32_t> wake{0};   // changes with each loop; idle workers sleep on it
  std::atomic<uint32_t> leave{0};  // changes when the last worker leaves a closed loop; the caller sleeps on it
  std::atomic<bool> stop{false};
  std::vector<std::thread> workers;

  void RunUnits(int worker) {
    for (int64_t unit = next.fetch_add(1); unit < units; unit = next.fetch_add(1)) (*body)(unit, worker);
  }

  static bool HasWork(uint64_t gate_value, uint64_t seen) {
    return (gate_value & kOpen) != 0 && gate_value >> kGenerationShift != seen;
  }

  void WorkerLoop(int worker) {
    uint64_t seen = 0;
    while (true) {
      const uint32_t ticket = wake.load();
      const bool ready = SpinUntil([&] { return stop.load() || HasWork(gate.load(), seen); });
      if (stop.load()) return;
      if (!ready) {
        if (wake.load() == ticket) wake.wait(ticket);
        continue;
      }
      uint64_t value = gate.load();
      if (!HasWork(value, seen) || !gate.compare_exchange_strong(value, value + 1)) continue;
      seen = value >> kGenerationShift;
      RunUnits(worker);
      if ((gate.fetch_sub(1) & (kOpen | kInside)) == 1) {
        leave.fetch_add(1);
        leave.notify_one();
      }
    }
  }

  void RunLoop() {
    next.store(0);
    const uint64_t generation = (gate.load() >> kGenerationShift) + 1;
    gate.store(generation << kGenerationShift | kOpen);
    wake.fetch_add(1);
    wake.notify_all();
    RunUnits(0);
    gate.fetch_and(~kOpen);
    const auto empty = [&] { return (gate.load() & kInside) == 0; };
    while (!SpinUntil(empty)) {
      const uint32_t ticket = leave.load();
      if (empty()) break;
      leave.wait(ticket);
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
  state_->stop.store(true);
  state_->wake.fetch_add(1);
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
  state_->body = &body;
  state_->units = units;
  state_->RunLoop();
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
