// The search: structure first (NaN, dimension, constant, repeats, batches), then single faults, then pairs and triples
// built on the best ones. A cause is claimed only when the vectors with it reach the rounding floor.
#include "verify/diagnose.h"

#include <algorithm>
#include <cmath>

namespace truevec {
namespace {

constexpr double kFloor = 1e-9;  // 1 - cosine of one float32 engine to another, with room
constexpr double kClearly = 20;  // how many times better than the rest a cause must be
constexpr size_t kBeam = 6;
constexpr size_t kMaxCombination = 3;

Result<std::vector<Vector>> Ask(Target* target, const std::vector<std::string>& texts, size_t batch) {
  std::vector<Vector> out;
  for (size_t first = 0; first < texts.size(); first += batch) {
    const std::vector<std::string> part(texts.begin() + static_cast<ptrdiff_t>(first),
                                        texts.begin() + static_cast<ptrdiff_t>(std::min(first + batch, texts.size())));
    TV_ASSIGN_OR_RETURN(TargetReply reply, target->Embed(part, {}));
    if (reply.vectors.size() != part.size()) {
      return EndpointError(target->Description() + ": " + std::to_string(reply.vectors.size()) + " vectors for " +
                           std::to_string(part.size()) + " texts");
    }
    for (Vector& v : reply.vectors) out.push_back(std::move(v));
  }
  return out;
}

Cause Structural(std::string id, std::string evidence, std::string fix, const Comparison& c) {
  Cause cause;
  cause.id = std::move(id);
  cause.confidence = 0.95;
  cause.cosine_before = 1 - c.worst;
  cause.cosine_after = 1 - c.worst;
  cause.evidence.push_back(std::move(evidence));
  cause.fix = std::move(fix);
  return cause;
}

bool AllEqual(const std::vector<Vector>& vectors) {
  for (size_t i = 1; i < vectors.size(); ++i) {
    if (CosineDistance(vectors[0], vectors[i]) > 1e-7) return false;
  }
  return vectors.size() > 2;
}

// What shows without a forward pass. Appends at most one cause.
void StructuralCauses(const std::vector<Vector>& reference, const std::vector<Vector>& target, Diagnosis* d) {
  const Comparison& c = d->comparison;
  const auto add = [&](const char* id, std::string evidence, const char* fix) {
    d->causes.push_back(Structural(id, std::move(evidence), fix, c));
  };
  if (c.not_finite > 0) {
    add("overflow-nan", std::to_string(c.not_finite) + " vectors hold NaN or infinity",
        "run in float32 or bfloat16 instead of float16");
  } else if (!c.same_dimension) {
    const std::string sizes =
        "dimension " + std::to_string(target[0].size()) + " instead of " + std::to_string(reference[0].size());
    if (target[0].size() * 4 == reference[0].size()) {
      add("serialization", sizes + ": float bytes read as base64", "set encoding_format to float in the client");
    } else {
      add("unknown", sizes, "check the model and its dimensions setting");
    }
  } else if (AllEqual(target)) {
    add("constant-output", "every text has the same vector", "the server reads the wrong buffer: update it");
  }
}

// The same texts asked together and again: what only batches or repeats show.
Status BatchCauses(Target* target, const std::vector<std::string>& texts, const std::vector<Vector>& singles,
                   Diagnosis* d) {
  if (!target->HasBatches()) return Status::Ok();
  const size_t size = std::min(target->MaxBatch(), texts.size());
  TV_ASSIGN_OR_RETURN(const std::vector<Vector> batch, Ask(target, texts, size));
  const std::vector<std::string> few(texts.begin(),
                                     texts.begin() + static_cast<ptrdiff_t>(std::min<size_t>(3, texts.size())));
  TV_ASSIGN_OR_RETURN(const std::vector<Vector> again, Ask(target, few, 1));
  const Comparison repeat =
      Compare(std::vector<Vector>(singles.begin(), singles.begin() + static_cast<ptrdiff_t>(few.size())), again);
  const Comparison c = Compare(singles, batch);
  if (repeat.worst > 1e-6) {
    d->causes.push_back(Structural("nondeterministic", "the same request gave two answers",
                                   "run one replica; check the build", repeat));
  } else if (c.worst > 1e-4) {
    const std::vector<int> match = MatchRows(singles, batch, 1e-6);
    const bool permuted = std::find(match.begin(), match.end(), -1) == match.end();
    const bool distinct = !AllEqual(batch);
    const char* id = !distinct ? "constant-output" : permuted ? "permuted-results" : "unknown";
    const char* says = !distinct  ? "in a batch every text has the same vector"
                       : permuted ? "a batch returns the right vectors in another order"
                                  : "vectors change with the texts beside them, asked alone they do not (a batch "
                                    "leak, attended padding and a wrong last token look alike here)";
    d->causes.push_back(Structural(id, says, "send one text a request until the server is mended", c));
    d->causes.back().confidence = permuted || !distinct ? 0.99 : 0.5;
  } else if (c.worst > 1e-6) {
    d->causes.push_back(
        Structural("batch-numerics", "batches differ from single requests by rounding", "use float32", c));
  }
  return Status::Ok();
}

struct Trial {
  std::vector<const Fault*> faults;
  double worst = 2, mean = 2;
  double norm_error = 0;
};

bool Compatible(const std::vector<const Fault*>& chosen, const Fault& next) {
  return std::none_of(chosen.begin(), chosen.end(), [&](const Fault* f) { return f->cause == next.cause; });
}

// Faults that change no text of the set, or fail on this model, are left out.
bool TryFaults(Lab* lab, const std::vector<std::string>& texts, const std::vector<Vector>& target, Trial* trial) {
  const auto vectors = lab->Run(texts, trial->faults);
  if (!vectors.ok()) return false;
  const Comparison c = Compare(*vectors, target);
  trial->worst = c.worst;
  trial->mean = c.mean;
  return true;
}

bool Better(const Trial& a, const Trial& b) { return a.mean < b.mean; }

// Cheapest combinations first; stops when one reaches `floor`.
std::vector<Trial> Search(Lab* lab, const std::vector<Fault>& faults, const std::vector<std::string>& texts,
                          const std::vector<Vector>& target, double base_mean) {
  std::vector<Trial> all;
  std::vector<Trial> beam = {{}};
  beam[0].mean = base_mean;
  for (size_t size = 1; size <= kMaxCombination; ++size) {
    std::vector<Trial> next;
    for (const Trial& start : beam) {
      for (const Fault& fault : faults) {
        if (!Compatible(start.faults, fault)) continue;
        Trial trial = start;
        trial.faults.push_back(&fault);
        if (TryFaults(lab, texts, target, &trial) && trial.mean < start.mean * 0.999) next.push_back(std::move(trial));
      }
    }
    std::sort(next.begin(), next.end(), Better);
    all.insert(all.end(), next.begin(), next.end());
    if (next.empty() || next.front().worst <= kFloor) break;
    next.resize(std::min(next.size(), kBeam));
    beam = std::move(next);
  }
  std::stable_sort(all.begin(), all.end(), Better);
  return all;
}

bool SameCauses(const Trial& a, const Trial& b) {
  const auto has = [](const Trial& t, const std::string& cause) {
    return std::any_of(t.faults.begin(), t.faults.end(), [&](const Fault* f) { return f->cause == cause; });
  };
  return std::all_of(a.faults.begin(), a.faults.end(), [&](const Fault* f) { return has(b, f->cause); });
}

// The worst and the usual error are of one size: rounding, not a fault that some texts show.
bool LooksLikeRounding(double worst, double median) { return worst <= 30 * std::max(median, 1e-12); }

void Claim(const std::vector<Trial>& trials, Diagnosis* d) {
  const Comparison& c = d->comparison;
  const Trial& best = trials.front();
  double rival = c.mean;
  for (const Trial& t : trials) {
    if (!SameCauses(best, t)) rival = std::min(rival, t.mean);
  }
  const bool exact = best.worst <= 1e-6 && best.mean * kClearly < rival;
  const bool rounded = best.worst <= 1e-3 && best.mean * 2 * kClearly < rival && c.mean > 1e-4;
  if (!exact && !rounded) {
    Cause unknown = Structural("unknown", "no listed cause explains the difference", "", c);
    unknown.evidence.push_back("closest: " + best.faults.front()->cause + " " + best.faults.front()->variant);
    unknown.cosine_after = 1 - best.worst;
    unknown.confidence = 0;
    d->causes.push_back(std::move(unknown));
    return;
  }
  for (const Fault* fault : best.faults) {
    Cause cause = Structural(fault->cause, fault->says, fault->fix, c);
    cause.variant = fault->variant;
    cause.cosine_after = 1 - best.worst;
    cause.confidence = exact ? 0.99 : 0.9;
    d->causes.push_back(std::move(cause));
  }
}

void RuleOut(const std::vector<Trial>& trials, Diagnosis* d) {
  for (const Trial& t : trials) {
    if (t.faults.size() != 1 || d->ruled_out.size() >= 10) continue;
    const std::string& id = t.faults[0]->cause;
    const auto same = [&](const auto& entry) { return entry.first == id; };
    const auto claimed = [&](const Cause& cause) { return cause.id == id; };
    if (std::any_of(d->ruled_out.begin(), d->ruled_out.end(), same)) continue;
    if (std::any_of(d->causes.begin(), d->causes.end(), claimed)) continue;
    d->ruled_out.emplace_back(id, 1 - t.worst);
  }
}

// Rounding classes, claimed only when no fault explains the residual.
bool PrecisionExplains(const Trial* best, Diagnosis* d) {
  const Comparison& c = d->comparison;
  const Tolerance size = ClassOf(c.worst, c.max_abs);
  if (size == Tolerance::kNone || !LooksLikeRounding(c.worst, c.median)) return false;
  if (best != nullptr && best->mean * kClearly < c.mean) return false;
  if (size == Tolerance::kFloat32) return true;
  const char* id = size == Tolerance::kFloat16    ? "precision-float16"
                   : size == Tolerance::kBfloat16 ? "precision-bfloat16"
                                                  : "weight-quantization";
  d->causes.push_back(Structural(id, "the residual is small, of one size on every text, and no fault explains it",
                                 "serve in float32 for the reference's vectors", c));
  d->causes.back().confidence = 0.5;
  return true;
}

void NormCause(Diagnosis* d) {
  const Comparison& c = d->comparison;
  if (NormsAgree(c)) return;
  for (const Cause& cause : d->causes) {
    if (cause.id == "output-quantization" || cause.id == "overflow-nan" || cause.id == "constant-output") return;
  }
  d->causes.push_back(
      Structural("normalization",
                 "norm ratio from " + std::to_string(c.norm_ratio_min) + " to " + std::to_string(c.norm_ratio_max),
                 "set the server's normalize option as the model's modules.json says", c));
}

void Conclude(const DiagnoseOptions& options, Diagnosis* d) {
  const Comparison& c = d->comparison;
  d->tolerance = ClassOf(c.worst, c.max_abs);
  const bool faulty = std::any_of(d->causes.begin(), d->causes.end(), [](const Cause& cause) {
    return !cause.id.starts_with("precision-") && cause.id != "weight-quantization" && cause.id != "batch-numerics";
  });
  if (faulty || !NormsAgree(c) || d->tolerance > options.tolerance) {
    d->verdict = "different";
  } else {
    d->verdict = d->tolerance == Tolerance::kFloat32 ? "identical" : "equivalent";
  }
}

}  // namespace

Result<Diagnosis> VerifyStored(const std::vector<Probe>& probes, const std::vector<Vector>& reference, Target* target,
                               const DiagnoseOptions& options) {
  Diagnosis d;
  d.target = target->Description();
  d.probes = probes;
  std::vector<std::string> texts;
  for (const Probe& probe : probes) texts.push_back(probe.text);
  if (texts.empty()) return InputError(d.target + ": no texts to compare");
  TV_ASSIGN_OR_RETURN(const std::vector<Vector> answers, Ask(target, texts, 1));
  d.comparison = Compare(reference, answers);
  d.neighbour_overlap = NeighbourOverlap(reference, answers, 5);
  StructuralCauses(reference, answers, &d);
  NormCause(&d);
  d.requests = target->Requests();
  Conclude(options, &d);
  return d;
}

Result<Diagnosis> Diagnose(Lab* lab, Target* target, const std::vector<Probe>& probes, const DiagnoseOptions& options) {
  Diagnosis d;
  d.target = target->Description();
  d.probes = probes;
  std::vector<std::string> texts;
  for (const Probe& probe : probes) texts.push_back(probe.text);
  if (texts.empty()) return InputError(d.target + ": no texts to compare");
  TV_ASSIGN_OR_RETURN(const std::vector<Vector> reference, lab->Reference(texts));
  TV_ASSIGN_OR_RETURN(const std::vector<Vector> answers, Ask(target, texts, 1));
  d.comparison = Compare(reference, answers);
  d.neighbour_overlap = NeighbourOverlap(reference, answers, 5);
  StructuralCauses(reference, answers, &d);
  if (d.causes.empty()) TV_RETURN_IF_ERROR(BatchCauses(target, texts, answers, &d));
  const bool repeatable = d.causes.empty() || d.causes.front().id != "nondeterministic";
  const bool structural = !d.causes.empty() && (!d.comparison.same_dimension || d.comparison.not_finite > 0 ||
                                                d.causes.front().id == "constant-output");
  if (options.find_causes && repeatable && !structural && d.comparison.worst > kFloor) {
    const std::vector<Fault> faults = AllFaults(lab->pipeline());
    const std::vector<Trial> trials = Search(lab, faults, texts, answers, d.comparison.mean);
    const Trial* best = trials.empty() ? nullptr : &trials.front();
    if (!PrecisionExplains(best, &d)) {
      if (best != nullptr) {
        Claim(trials, &d);
      } else {
        d.causes.push_back(Structural("unknown", "no listed cause explains the difference", "", d.comparison));
        d.causes.back().confidence = 0;
      }
    }
    RuleOut(trials, &d);
  }
  NormCause(&d);
  d.requests = target->Requests();
  Conclude(options, &d);
  return d;
}

}  // namespace truevec
