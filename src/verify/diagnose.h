// Verdict and root causes: asks the target, compares with our engine, tests the faults that explain the difference.
#ifndef TRUEVEC_VERIFY_DIAGNOSE_H_
#define TRUEVEC_VERIFY_DIAGNOSE_H_

#include <string>
#include <vector>

#include "base/json.h"
#include "verify/lab.h"
#include "verify/probes.h"
#include "verify/target.h"

namespace truevec {

struct Cause {
  std::string id;
  std::string variant;
  double confidence = 0;
  double cosine_before = 0, cosine_after = 0;  // worst text
  std::vector<std::string> evidence;
  std::string fix;
};

struct Diagnosis {
  std::string verdict;  // identical, equivalent, different, inconclusive
  std::string target;
  std::vector<Probe> probes;
  Comparison comparison;
  double neighbour_overlap = 1;
  Tolerance tolerance = Tolerance::kNone;
  std::vector<Cause> causes;
  std::vector<std::pair<std::string, double>> ruled_out;  // cause and the worst cosine with it
  int64_t requests = 0;
};

struct DiagnoseOptions {
  bool find_causes = true;
  Tolerance tolerance = Tolerance::kInt8;  // what still counts as equivalent
};

Result<Diagnosis> Diagnose(Lab* lab, Target* target, const std::vector<Probe>& probes, const DiagnoseOptions& options);
// The comparison alone, against stored vectors (locks).
Result<Diagnosis> VerifyStored(const std::vector<Probe>& probes, const std::vector<Vector>& reference, Target* target,
                               const DiagnoseOptions& options);

json::value DiagnosisToJson(const Diagnosis& diagnosis);
std::string DiagnosisToText(const Diagnosis& diagnosis);
std::string DiagnosisToHtml(const Diagnosis& diagnosis);

}  // namespace truevec

#endif  // TRUEVEC_VERIFY_DIAGNOSE_H_
