#include "cli/bench_measure.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "kernels/kernels.h"

namespace truevec::cli {
namespace {

double Seconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace

Sample Measure(FunctionRef<void()> body) {
  const double cpu = Seconds(CLOCK_PROCESS_CPUTIME_ID);
  const double wall = Seconds(CLOCK_MONOTONIC);
  body();
  return {Seconds(CLOCK_MONOTONIC) - wall, Seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu};
}

double Quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<int64_t>(std::ceil(share * static_cast<double>(values.size()))) - 1;
  return values[static_cast<size_t>(std::clamp<int64_t>(rank, 0, static_cast<int64_t>(values.size()) - 1))];
}

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double PeakGflops(int rounds) {
  float sink[16] = {0.5f, 1e-3f};
  const kernels::KernelTable& table = kernels::Active();
  int64_t iterations = 1000;
  double best = 0;
  for (int round = 0; round < rounds;) {
    const double start = Seconds(CLOCK_THREAD_CPUTIME_ID);
    const double flops = table.peak_fma(iterations, sink);
    const double elapsed = Seconds(CLOCK_THREAD_CPUTIME_ID) - start;
    sink[0] = 0.5f;
    sink[1] = 1e-3f;
    if (elapsed < 0.01) {
      iterations *= 4;
      continue;
    }
    best = std::max(best, flops / elapsed * 1e-9);
    ++round;
  }
  return best;
}

Memory ProcessMemory() {
  Memory memory;
  std::FILE* file = std::fopen("/proc/self/status", "r");
  if (file == nullptr) return memory;
  char line[256];
  while (std::fgets(line, sizeof line, file) != nullptr) {
    long long kilobytes = 0;
    if (std::sscanf(line, "VmRSS: %lld kB", &kilobytes) == 1) memory.resident = kilobytes * 1024;
    if (std::sscanf(line, "VmHWM: %lld kB", &kilobytes) == 1) memory.peak = kilobytes * 1024;
  }
  std::fclose(file);
  return memory;
}

Result<double> RunProcess(const std::vector<std::string>& command, bool show_output) {
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (!show_output) posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  const double start = Seconds(CLOCK_MONOTONIC);
  pid_t child = 0;
  const int failed = posix_spawn(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return ResourceError(command[0] + ": " + std::strerror(failed));
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  const double elapsed = Seconds(CLOCK_MONOTONIC) - start;
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return ResourceError(command[0] + ": the child failed");
  return elapsed;
}

}  // namespace truevec::cli
