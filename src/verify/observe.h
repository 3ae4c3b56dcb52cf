// The request plan: what a target is asked, and its answers. The same texts alone, in mixed and equal-length batches,
// in another order, again, at the same time, and in base64. Bounded; texts that the target refuses are set aside.
#ifndef TRUEVEC_VERIFY_OBSERVE_H_
#define TRUEVEC_VERIFY_OBSERVE_H_

#include <optional>
#include <string>
#include <vector>

#include "verify/probes.h"
#include "verify/target.h"

namespace truevec {

// One request and its answer; `texts` are indices of Observations.probes.
struct Asked {
  std::string kind;  // "mixed batch", "equal lengths", "other order", "concurrent", "again"
  std::vector<size_t> texts;
  std::vector<Vector> vectors;
};

struct Observations {
  std::vector<Probe> probes;  // those that were answered
  std::vector<std::string> texts;
  std::vector<Vector> singles;                               // asked alone, in order
  std::vector<std::vector<Vector>> unpooled;                 // per probe, when matrices came back
  std::vector<std::optional<int64_t>> tokens;                // what the target says it read
  std::vector<std::pair<std::string, std::string>> refused;  // probe and message
  std::vector<Asked> again;                                  // single texts, asked once more
  std::vector<Asked> batches;
  std::vector<Asked> concurrent;  // single texts, several requests at once
  std::vector<Asked> base64;      // single texts
  std::string base64_error;
  std::string batch_error;
};

// `lengths`: tokens of each probe as the reference cuts them; equal ones make the equal-length batch.
Result<Observations> Observe(Target* target, const std::vector<Probe>& probes, const std::vector<int64_t>& lengths);

}  // namespace truevec

#endif  // TRUEVEC_VERIFY_OBSERVE_H_
