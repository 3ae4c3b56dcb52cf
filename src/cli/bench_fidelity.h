// What a dtype costs: cosines with float32 of the same model, and the matrices that int8 left to bfloat16.
#ifndef TRUEVEC_CLI_BENCH_FIDELITY_H_
#define TRUEVEC_CLI_BENCH_FIDELITY_H_

#include <string>
#include <vector>

#include "cli/command.h"

namespace truevec::cli {

struct Fidelity {
  std::string dtype;
  int64_t texts = 0;
  double worst = 0;  // cosine with float32
  double mean = 0;
  std::vector<std::string> fallbacks;  // "layer: why", where more precision is kept than was asked for

  json::object ToJson() const;
  void Print() const;
};

// Loads the model in each dtype of `dtypes` but float32, one at a time, and compares mixed sentences with float32.
Result<std::vector<Fidelity>> MeasureFidelity(const std::string& model, const CommonOptions& common,
                                              const std::string& as, const std::vector<std::string>& dtypes);

}  // namespace truevec::cli

#endif  // TRUEVEC_CLI_BENCH_FIDELITY_H_
