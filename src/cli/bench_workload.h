// What `bench --workload` names: fixed workloads, and any TEXTSxTOKENS.
#ifndef TRUEVEC_CLI_BENCH_WORKLOAD_H_
#define TRUEVEC_CLI_BENCH_WORKLOAD_H_

#include <string>
#include <vector>

#include "base/status.h"

namespace truevec::cli {

enum class WorkloadKind { kEmbed, kTokenize, kStart };

struct Workload {
  std::string name;
  std::string about;
  WorkloadKind kind = WorkloadKind::kEmbed;
  int64_t texts = 0;
  int64_t tokens = 0;     // a text; 0: mixed lengths
  int repeats_scale = 1;  // short ones repeat more often
};

// Names for the help text, comma separated.
std::string WorkloadNames();
// The workloads of `names` in the order of the table, those of the form TEXTSxTOKENS behind them; all of the table for
// no names. A usage error for a name that is none.
Result<std::vector<Workload>> WorkloadsByName(const std::vector<std::string>& names);

}  // namespace truevec::cli

#endif  // TRUEVEC_CLI_BENCH_WORKLOAD_H_
