// Verdict and root causes: asks the target, compares with our engine, tests the hypotheses that explain the difference.
#ifndef TRUEVEC_VERIFY_DIAGNOSE_H_
#define TRUEVEC_VERIFY_DIAGNOSE_H_

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "verify/observe.h"
#include "verify/search.h"

namespace truevec {

struct Cause {
  std::string id;
  std::string variant;
  double confidence = 0;
  double cosine_before = 0, cosine_after = 0;  // worst text
  std::string parameter;                       // a number or name that was estimated, or ""
  json::value value = nullptr;
  std::vector<std::string> evidence;
  std::string fix;
};

// Token ids of a probe that differ from the reference's.
struct IdDifference {
  std::string probe;
  std::string by;  // who says so: "the target" (its own /tokenize) or "the causes" (as simulated)
  std::vector<std::pair<int32_t, std::string>> reference, target;  // id and piece
};

struct Diagnosis {
  std::string verdict;  // identical, equivalent, different, inconclusive
  std::string target;
  std::string dialect;
  json::object about;  // what the target says about itself
  json::object model;  // directory, fingerprint, prompt
  std::vector<Probe> probes;
  std::vector<int64_t> lengths;  // tokens of each probe
  Comparison comparison;
  std::vector<double> explained;  // 1 - cosine of each probe with the causes simulated; empty: none found
  std::string nearest_rounding;   // the rounding whose residual is most like the target's, where none was claimed
  bool may_be_random = false;     // the texts lie to each other as in this model at a random start, yet not clearly so
  double neighbour_overlap = 1;
  double geometry = 1;  // correlation of pairwise similarities
  Tolerance tolerance = Tolerance::kNone;
  std::vector<Cause> causes;
  std::vector<std::pair<std::string, double>> ruled_out;  // cause and the worst cosine with it
  std::vector<std::pair<std::string, std::string>> refused;
  std::vector<std::string> notes;
  // First intermediate that differs, of local pairs: name and relative error; and all of them.
  std::vector<std::pair<std::string, double>> layers;
  std::vector<IdDifference> id_differences;
  int64_t requests = 0;
  double seconds = 0;
};

struct DiagnoseOptions {
  bool find_causes = true;
  Tolerance tolerance = Tolerance::kInt8;  // what still counts as equivalent
};

Result<Diagnosis> Diagnose(Lab* lab, Target* target, const std::vector<Probe>& probes, const DiagnoseOptions& options);
// Against stored vectors (a lock), without a model: the comparison and what shows without a forward pass.
Result<Diagnosis> DiagnoseStored(const std::vector<Probe>& probes, const std::vector<Vector>& reference, Target* target,
                                 const DiagnoseOptions& options);
// Without anything to compare with: repeatability, batches, norms, encodings, case and accents, the length limit.
Result<Diagnosis> DiagnoseAlone(Target* target, const std::vector<Probe>& probes);

// Largest distance between two answers to one request.
double NoiseOf(const Observations& observations);
// Probes, what the target says, and the comparison with `reference`.
void FillDiagnosis(const Observations& observations, Target* target, const std::vector<Vector>& reference,
                   Diagnosis* d);

// Steps of the above, one file each. All append to d->causes.
struct Evidence {
  const Observations* seen = nullptr;
  const std::vector<Vector>* reference = nullptr;
  double noise = 0;  // distance between two answers to one request
};
// What shows without a forward pass: NaN, dimensions, constants, encodings, repeats. True when no search makes sense.
bool StructuralCauses(const Evidence& evidence, Diagnosis* d);
void NormCauses(const Evidence& evidence, Lab* lab, const Combination& fitted, Diagnosis* d);
void BatchCauses(const Evidence& evidence, Lab* lab, const Combination& fitted, Diagnosis* d);
// Rows of max-length at what the target says when asked with texts of growing length; none where not only long texts
// are wrong. `distance`: of each of `texts` to the reference.
Hypotheses AskedLengths(const Evidence& evidence, Lab* lab, Target* target, const std::vector<std::string>& texts,
                        const std::vector<double>& distance);
// The vocabulary searched for the id that a one-token text reached the model as; true when a cause was added.
bool ForeignIds(const Evidence& evidence, Lab* lab, Diagnosis* d);
// The same for a prompt whose tokens are foreign too: asks the target for repeated words. True when a cause was added.
bool ForeignWords(const Evidence& evidence, Lab* lab, Target* target, Diagnosis* d);
// Whether the target is one more random start of some part of the weights; true when a cause was added.
bool RandomWeights(const Evidence& evidence, Lab* lab, Diagnosis* d);
// Whether the target is right when it is given the reference's ids: evidence for an unknown cause.
void ExplainUnknown(const Evidence& evidence, Lab* lab, Target* target, Diagnosis* d);
// Whole-number outputs: which kind, and the vectors turned back to floats. Empty: none.
std::string OutputQuantization(const std::vector<Vector>& reference, std::vector<Vector>* target, double* after);
// A numeric row that rounds vectors as all of `target` are round: to decimals, digits, bfloat16 or float16.
std::optional<Hypothesis> OutputRounding(const std::vector<Vector>& target);
inline constexpr char kRoundedTo[] = "rounded to ";  // starts the variant of that row
// Adds a cause; the same id again only adds its evidence.
Cause* AddCause(Diagnosis* d, const std::string& id, const std::string& variant, double confidence,
                const std::string& evidence, double before, double after);
void Conclude(const DiagnoseOptions& options, Diagnosis* d);

// How the cause is mended in the server family `dialect` and in the others that we know.
std::string FixFor(const std::string& cause, const std::string& variant, const std::string& dialect);

json::value DiagnosisToJson(const Diagnosis& diagnosis);
std::string DiagnosisToText(const Diagnosis& diagnosis);
std::string DiagnosisToHtml(const Diagnosis& diagnosis);

}  // namespace truevec

#endif  // TRUEVEC_VERIFY_DIAGNOSE_H_
