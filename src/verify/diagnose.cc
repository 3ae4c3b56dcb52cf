// From answers to verdict: structure, search, batches, norms, precision.
#include "verify/diagnose.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace truevec {

void DimensionCauses(const Evidence& evidence, Diagnosis* d);  // structural.cc

namespace {

constexpr double kSearchSeconds = 40;  // of CPU time

double Noise(const Observations& o) {
  double noise = 0;
  for (const Asked& asked : o.again) {
    noise = std::max(noise, CosineDistance(o.singles[asked.texts[0]], asked.vectors[0]));
  }
  return std::min(noise, 1.0);
}

double Geometry(const std::vector<Vector>& a, const std::vector<Vector>& b) {
  std::vector<double> x;
  std::vector<double> y;
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      x.push_back(CosineDistance(a[i], a[j]));
      y.push_back(CosineDistance(b[i], b[j]));
    }
  }
  const auto n = static_cast<double>(x.size());
  if (n < 2) return 1;
  double mx = 0, my = 0, xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    mx += x[i] / n;
    my += y[i] / n;
  }
  for (size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mx) * (y[i] - my);
    xx += (x[i] - mx) * (x[i] - mx);
    yy += (y[i] - my) * (y[i] - my);
  }
  return xx == 0 || yy == 0 ? 0 : xy / std::sqrt(xx * yy);
}

// As ids that the target's own /tokenize gives, when it has one: special tokens and a few traps.
void CompareIds(Target* target, Lab* lab, const Observations& o, Diagnosis* d) {
  for (size_t i = 0; i < std::min<size_t>(o.texts.size(), 8); ++i) {
    const auto theirs = target->Tokenize(o.texts[i]);
    if (!theirs.ok()) return;
    const auto ours = lab->Ids({o.texts[i]}, {});
    if (!ours.ok() || (*ours)[0] == *theirs) continue;
    d->id_differences.push_back(o.probes[i].name + ": " + std::to_string(theirs->size()) + " ids instead of " +
                                std::to_string((*ours)[0].size()));
  }
}

constexpr const char* kCountsDisagree = "the target's own token counts say otherwise";

std::string TokenEvidence(const Observations& o, Lab* lab, const Combination& fitted) {
  const auto base = lab->Ids(o.texts, {});
  const auto with = lab->Ids(o.texts, fitted);
  if (!base.ok() || !with.ok()) return "";
  size_t as_fitted = 0;
  size_t as_base = 0;
  size_t told = 0;
  for (size_t i = 0; i < o.texts.size(); ++i) {
    if (!o.tokens[i].has_value() || (*base)[i].size() == (*with)[i].size()) continue;
    ++told;
    as_fitted += *o.tokens[i] == static_cast<int64_t>((*with)[i].size()) ? 1 : 0;
    as_base += *o.tokens[i] == static_cast<int64_t>((*base)[i].size()) ? 1 : 0;
  }
  if (told == 0) return "";
  if (as_fitted * 2 > told) return "the target's own token counts agree with it";
  if (as_base * 2 > told) return kCountsDisagree;
  return "";
}

void ClaimSearch(const SearchResult& result, const Observations& o, Lab* lab, Diagnosis* d) {
  const double before = 1 - d->comparison.worst;
  const double after = 1 - result.best.worst;
  const std::string tokens = TokenEvidence(o, lab, result.best.hypotheses);
  for (const Hypothesis* h : result.best.hypotheses) {
    if (h->cause == "eos-missing" && tokens == kCountsDisagree) {
      const auto pooled = std::find_if(result.ties.begin(), result.ties.end(),
                                       [](const Hypothesis* tie) { return tie->cause == "last-token-index"; });
      if (pooled != result.ties.end()) {
        AddCause(d, (*pooled)->cause, (*pooled)->variant, 0.9, (*pooled)->says, before, after)
            ->evidence.push_back("the target's own token counts include the end token");
        continue;
      }
    }
    const double confidence = result.ties.empty() ? (result.exact ? 0.99 : 0.9) : 0.6;
    Cause* cause = AddCause(d, h->cause, h->variant, confidence, h->says, before, after);
    if (!tokens.empty() && h->edit.ChangesText()) cause->evidence.push_back(tokens);
    if (h->cause == "client-text-changed" && (h->variant == "strip" || h->variant == "collapse")) {
      cause->evidence.push_back("Sentence Transformers up to 5.3 stripped texts itself: the same vectors");
      AddCause(d, "reference-version", "strip", confidence * 0.5,
               "an engine that follows Sentence Transformers 5.3 or older strips texts: the same vectors", before,
               after);
    }
    for (const Hypothesis* tie : result.ties) {
      cause->evidence.push_back("these texts cannot tell it from " + tie->Name());
    }
  }
}

// Each target dimension is one of the reference's: the order, or "" when it is no permutation.
bool IsPermutation(const std::vector<Vector>& reference, const std::vector<Vector>& target) {
  const size_t dims = reference[0].size();
  std::vector<bool> taken(dims);
  for (size_t t = 0; t < dims; ++t) {
    bool found = false;
    for (size_t r = 0; r < dims && !found; ++r) {
      if (taken[r]) continue;
      double worst = 0;
      for (size_t i = 0; i < target.size() && worst < 1e-5; ++i) {
        worst = std::max(worst, std::abs(target[i][t] / Norm(target[i]) - reference[i][r] / Norm(reference[i])));
      }
      if (worst >= 1e-5) continue;
      taken[r] = true;
      found = true;
    }
    if (!found) return false;
  }
  return true;
}

// The name under which the target serves, when it names one that is not the model's.
std::string OtherName(const Diagnosis& d, const Lab& lab) {
  std::string told;
  if (const json::value* id = d.about.if_contains("model_id"); id != nullptr && id->is_string()) {
    told = std::string(id->get_string());
  }
  if (const json::value* path = d.about.if_contains("model_path"); path != nullptr && path->is_string()) {
    told = std::string(path->get_string());
  }
  const auto base = [](std::string name) {
    while (name.ends_with('/')) name.pop_back();
    return name.substr(name.find_last_of('/') + 1);
  };
  return told.empty() || base(told) == base(lab.directory()) ? "" : told;
}

void ClaimUnknown(const SearchResult& result, const Evidence& e, const Lab& lab, Diagnosis* d) {
  const double before = 1 - d->comparison.worst;
  if (d->geometry > 1 - 1e-6 && d->comparison.median > 1e-3) {
    if (IsPermutation(*e.reference, e.seen->singles)) {
      AddCause(d, "dimensions-order", "permuted", 0.97, "the same values in another order of dimensions", before, 1);
      return;
    }
  }
  const std::string other = OtherName(*d, lab);
  const double best = *std::min_element(d->comparison.distance.begin(), d->comparison.distance.end());
  if (!other.empty() || (best > 0.6 && d->geometry > 0.3 && d->geometry < 0.999)) {
    AddCause(d, "wrong-model", "", other.empty() ? 0.6 : 0.8,
             other.empty()
                 ? "no text is near the reference's, yet the texts lie to each other as in another trained model"
                 : "the target says that it serves " + other + ", and no other cause gives its vectors",
             before, before);
    return;
  }
  Cause* unknown =
      AddCause(d, "unknown", "", 0, "no listed cause, alone or with others, gives these vectors", before, before);
  if (d->geometry > 1 - 1e-6)
    unknown->evidence.push_back("pairwise similarities are the reference's: a rotation of the space");
  if (result.best.hypotheses.empty()) return;
  std::string names;
  for (const Hypothesis* h : result.best.hypotheses) names += (names.empty() ? "" : " + ") + h->Name();
  unknown->cosine_after = 1 - result.best.worst;
  unknown->evidence.push_back("closest: " + names);
  if (result.stopped) d->notes.push_back("the search stopped before all combinations were tried");
}

void RuleOut(const SearchResult& result, Diagnosis* d) {
  for (const Trial& t : result.tried) {
    if (t.hypotheses.size() != 1 || d->ruled_out.size() >= 10) continue;
    const std::string& id = t.hypotheses[0]->cause;
    const auto same = [&](const auto& entry) { return entry.first == id; };
    const auto claimed = [&](const Cause& cause) { return cause.id == id; };
    if (std::any_of(d->ruled_out.begin(), d->ruled_out.end(), same)) continue;
    if (std::any_of(d->causes.begin(), d->causes.end(), claimed)) continue;
    d->ruled_out.emplace_back(id, 1 - t.worst);
  }
}

bool LooksLikeRounding(double worst, double median) { return worst <= 60 * std::max(median, 1e-10); }

// Names what is left after `fitted`: precision, quantisation, activation. True when something was claimed or nothing
// needs to be.
bool ClaimNumeric(Search* search, const Trial& fitted, Diagnosis* d) {
  const double worst = fitted.worst;
  if (worst <= kExactDistance && d->comparison.unit_max_abs <= 1e-5) return true;
  if (!LooksLikeRounding(worst, fitted.median)) return false;
  const NumericResult result = search->Numeric(fitted.hypotheses, worst);
  const double before = 1 - worst;
  char text[64];
  if (result.hypothesis != nullptr && (result.exact || result.correlation >= 0.35)) {
    const bool small = worst <= 1e-2 || result.exact || result.correlation >= 0.9;
    if (small) {
      std::snprintf(text, sizeof text, "correlation of the residuals %.2f", result.correlation);
      Cause* cause = AddCause(d, result.hypothesis->cause, result.hypothesis->variant,
                              result.exact ? 0.97 : 0.5 + 0.4 * result.correlation, result.hypothesis->says, before,
                              1 - result.trial.worst);
      cause->evidence.push_back(text);
      return true;
    }
  }
  const Tolerance size = ClassOf(worst, d->comparison.unit_max_abs);
  if (size == Tolerance::kFloat32 || worst <= 1e-6) return true;
  // By its size alone only where nothing else is wrong: beside a claimed cause the rest may be a second one.
  if (fitted.hypotheses.empty() && (size == Tolerance::kFloat16 || size == Tolerance::kBfloat16)) {
    AddCause(d, size == Tolerance::kFloat16 ? "precision-float16" : "precision-bfloat16", "", 0.4,
             "the residual is small, of one size on every text, and no cause explains it", before, before);
    return true;
  }
  return false;
}

}  // namespace

void Conclude(const DiagnoseOptions& options, Diagnosis* d) {
  const Comparison& c = d->comparison;
  d->tolerance = ClassOf(c.worst, c.max_abs);
  const auto numeric = [](const Cause& cause) {
    return cause.id.starts_with("precision-") || cause.id == "weight-quantization" || cause.id == "batch-numerics" ||
           cause.id == "gelu-variant" || (cause.id == "layernorm" && cause.variant.starts_with("eps"));
  };
  const bool faulty = !std::all_of(d->causes.begin(), d->causes.end(), numeric);
  if (faulty || !NormsAgree(c) || d->tolerance > options.tolerance || !c.same_dimension) {
    d->verdict = "different";
  } else {
    d->verdict = d->tolerance == Tolerance::kFloat32 ? "identical" : "equivalent";
  }
  if (d->verdict == "identical") std::erase_if(d->causes, numeric);
  std::stable_sort(d->causes.begin(), d->causes.end(),
                   [&](const Cause& a, const Cause& b) { return numeric(a) < numeric(b); });
}

namespace {

using Clock = std::chrono::steady_clock;

double Since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

void Fill(const Observations& o, Target* target, const std::vector<Vector>& reference, Diagnosis* d) {
  d->probes = o.probes;
  d->refused = o.refused;
  d->about = target->About();
  d->dialect = target->Dialect();
  d->comparison = Compare(reference, o.singles);
  if (d->comparison.same_dimension) {
    d->neighbour_overlap = NeighbourOverlap(reference, o.singles, 5);
    d->geometry = Geometry(reference, o.singles);
  }
}

Status FindCauses(Lab* lab, const Evidence& e, Diagnosis* d) {
  const Observations& o = *e.seen;
  const bool hopeless = StructuralCauses(e, d);
  const bool random = std::any_of(d->causes.begin(), d->causes.end(), [](const Cause& c) {
    return c.id == "nondeterministic" && 1 - c.cosine_before > 1e-3;
  });
  Combination fitted;
  std::optional<Search> search;
  if (!hopeless && !random) {
    // Texts with NaN are left out; whole numbers are turned back first.
    std::vector<std::string> texts;
    std::vector<Vector> answers;
    std::vector<Vector> wanted;
    for (size_t i = 0; i < o.texts.size(); ++i) {
      if (!IsFinite(o.singles[i])) continue;
      texts.push_back(o.texts[i]);
      answers.push_back(o.singles[i]);
      wanted.push_back((*e.reference)[i]);
    }
    double after = 0;
    std::string whole;
    if (d->comparison.same_dimension) whole = OutputQuantization(wanted, &answers, &after);
    if (!whole.empty()) {
      AddCause(
          d, "output-quantization", whole, 0.97,
          "every value is a whole number; with a scale for each dimension they agree to " + std::to_string(1 - after),
          1 - d->comparison.worst, 1 - after);
    }
    search.emplace(lab, texts, answers);
    const auto base = search->TryAll({});
    const bool fine = base && base->worst <= (whole.empty() ? kExactDistance : 3e-2) &&
                      (d->comparison.unit_max_abs <= 1e-5 || !whole.empty());
    if (base && !fine) {
      // Small and even: first what rounding can explain exactly.
      bool done = false;
      if (base->worst <= 1e-2 && LooksLikeRounding(base->worst, base->median) && d->comparison.same_dimension) {
        const NumericResult numeric = search->Numeric({}, base->worst);
        if (numeric.exact) done = ClaimNumeric(&*search, *base, d);
      }
      if (!done) {
        const SearchResult result = search->Run(kSearchSeconds);
        if (result.found) {
          ClaimSearch(result, o, lab, d);
          fitted = result.best.hypotheses;
          if (!result.exact) ClaimNumeric(&*search, result.best, d);
          d->explained = result.best.distance;
        } else if (!d->comparison.same_dimension) {
          DimensionCauses(e, d);
        } else if (!ClaimNumeric(&*search, *base, d)) {
          ClaimUnknown(result, e, *lab, d);
        }
        RuleOut(result, d);
      }
    }
  }
  if (!hopeless && !random) BatchCauses(e, lab, fitted, d);
  if (!hopeless) NormCauses(e, lab, fitted, d);
  return Status::Ok();
}

}  // namespace

Result<Diagnosis> Diagnose(Lab* lab, Target* target, const std::vector<Probe>& probes, const DiagnoseOptions& options) {
  const Clock::time_point start = Clock::now();
  Diagnosis d;
  d.target = target->Description();
  if (probes.empty()) return InputError(d.target + ": no texts to compare");
  std::vector<std::string> texts;
  for (const Probe& probe : probes) texts.push_back(probe.text);
  std::vector<int64_t> lengths(texts.size());
  if (lab->pipeline().has_tokenizer()) {
    TV_ASSIGN_OR_RETURN(const auto ids, lab->Ids(texts, {}));
    for (size_t i = 0; i < ids.size(); ++i) lengths[i] = static_cast<int64_t>(ids[i].size());
  }
  TV_ASSIGN_OR_RETURN(const Observations o, Observe(target, probes, lengths));
  TV_ASSIGN_OR_RETURN(const std::vector<Vector> reference, lab->Reference(o.texts));
  Fill(o, target, reference, &d);
  TV_ASSIGN_OR_RETURN(const auto ids, lab->Ids(o.texts, {}));
  for (const auto& list : ids) d.lengths.push_back(static_cast<int64_t>(list.size()));
  d.model = {{"directory", lab->directory()},
             {"fingerprint", lab->pipeline().spec().fingerprint()},
             {"prompt", lab->prompt()}};
  Evidence e;
  e.seen = &o;
  e.reference = &reference;
  e.noise = Noise(o);
  if (options.find_causes) {
    TV_RETURN_IF_ERROR(FindCauses(lab, e, &d));
    if (!d.causes.empty()) CompareIds(target, lab, o, &d);
  } else {
    StructuralCauses(e, &d);
    BatchCauses(e, nullptr, {}, &d);
    NormCauses(e, nullptr, {}, &d);
  }
  d.requests = target->Requests();
  d.seconds = Since(start);
  Conclude(options, &d);
  return d;
}

Result<Diagnosis> DiagnoseStored(const std::vector<Probe>& probes, const std::vector<Vector>& reference, Target* target,
                                 const DiagnoseOptions& options) {
  const Clock::time_point start = Clock::now();
  Diagnosis d;
  d.target = target->Description();
  if (probes.empty()) return InputError(d.target + ": no texts to compare");
  std::vector<int64_t> lengths;
  for (const Probe& probe : probes) lengths.push_back(static_cast<int64_t>(probe.text.size()));
  TV_ASSIGN_OR_RETURN(const Observations o, Observe(target, probes, lengths));
  std::vector<Vector> kept;
  for (size_t i = 0, p = 0; i < o.texts.size(); ++i, ++p) {
    while (probes[p].text != o.texts[i]) ++p;
    kept.push_back(reference[p]);
  }
  Fill(o, target, kept, &d);
  Evidence e;
  e.seen = &o;
  e.reference = &kept;
  e.noise = Noise(o);
  StructuralCauses(e, &d);
  if (!d.comparison.same_dimension && d.causes.empty()) DimensionCauses(e, &d);
  BatchCauses(e, nullptr, {}, &d);
  NormCauses(e, nullptr, {}, &d);
  d.requests = target->Requests();
  d.seconds = Since(start);
  Conclude(options, &d);
  if (!o.refused.empty() && d.verdict != "different") {
    d.verdict = "different";
    d.notes.push_back("the target refuses texts of the lock");
  }
  return d;
}

Result<Diagnosis> DiagnoseAlone(Target* target, const std::vector<Probe>& probes) {
  const Clock::time_point start = Clock::now();
  Diagnosis d;
  d.target = target->Description();
  std::vector<int64_t> lengths;
  for (const Probe& probe : probes) {
    lengths.push_back(1 + std::count(probe.text.begin(), probe.text.end(), ' '));
  }
  TV_ASSIGN_OR_RETURN(const Observations o, Observe(target, probes, lengths));
  Fill(o, target, o.singles, &d);
  Evidence e;
  e.seen = &o;
  e.noise = Noise(o);
  StructuralCauses(e, &d);
  BatchCauses(e, nullptr, {}, &d);
  double low = INFINITY;
  double high = 0;
  for (const Vector& v : o.singles) {
    low = std::min(low, Norm(v));
    high = std::max(high, Norm(v));
  }
  d.notes.push_back("dimension " + std::to_string(o.singles[0].size()) + ", norms from " + std::to_string(low) +
                    " to " + std::to_string(high));
  d.requests = target->Requests();
  d.seconds = Since(start);
  d.verdict = d.causes.empty() ? "inconclusive" : "different";
  return d;
}

}  // namespace truevec
