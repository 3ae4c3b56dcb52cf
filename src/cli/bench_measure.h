// Clocks, memory and the machine's multiply-add peak for `bench`.
#ifndef TRUEVEC_CLI_BENCH_MEASURE_H_
#define TRUEVEC_CLI_BENCH_MEASURE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/function_ref.h"
#include "base/status.h"

namespace truevec::cli {

struct Sample {
  double wall = 0;  // seconds
  double cpu = 0;   // seconds of all threads of this process
};

// Runs `body` once.
Sample Measure(FunctionRef<void()> body);
double Median(std::vector<double> values);
// The value at `share` of the sorted list (nearest rank).
double Quantile(std::vector<double> values, double share);

// GFLOP/s of one core by CPU time, the best of `rounds` windows of about 20 ms: float32 FMA chains of the table in use.
double PeakGflops(int rounds = 8);

struct Memory {
  int64_t resident = 0;  // bytes now
  int64_t peak = 0;      // bytes, largest so far
};
Memory ProcessMemory();

// Seconds from fork to the end of `command`; an error when it does not exit with 0. Its output is dropped unless
// `show_output`.
Result<double> RunProcess(const std::vector<std::string>& command, bool show_output = false);

}  // namespace truevec::cli

#endif  // TRUEVEC_CLI_BENCH_MEASURE_H_
