// From answers to verdict: structure, search, batches, norms, precision.
#include "verify/diagnose.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace truevec {

void DimensionCauses(const Evidence& evidence, Diagnosis* d);  // structural.cc

namespace {

constexpr double kSearchSeconds = 14;  // of CPU time
constexpr double kConstantSeconds = 6;

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

constexpr size_t kIdProbes = 8;

std::vector<std::pair<int32_t, std::string>> Pieces(const Lab& lab, const std::vector<int32_t>& ids) {
  std::vector<std::pair<int32_t, std::string>> pieces;
  for (const int32_t id : ids) pieces.emplace_back(id, lab.pipeline().tokenizer().IdToToken(id).value_or("?"));
  return pieces;
}

// Ids that the target's own /tokenize gives, when it has one, else those that the causes make.
void CompareIds(Target* target, Lab* lab, const Observations& o, const Combination& fitted, Diagnosis* d) {
  if (!lab->pipeline().has_tokenizer()) return;
  bool tells = true;
  for (size_t i = 0; i < o.texts.size() && d->id_differences.size() < kIdProbes; ++i) {
    auto theirs = tells && i < kIdProbes ? target->Tokenize(o.texts[i]) : EndpointError("not asked");
    if (!theirs.ok() && i == 0) tells = false;
    std::string by = "the target";
    if (!theirs.ok() && !tells) {
      by = "the causes";
      const auto simulated = lab->Ids({o.texts[i]}, fitted);
      if (simulated.ok()) theirs = (*simulated)[0];
    }
    const auto ours = lab->Ids({o.texts[i]}, {});
    if (!theirs.ok() || !ours.ok() || (*ours)[0] == *theirs) continue;
    d->id_differences.push_back({o.probes[i].name, by, Pieces(*lab, (*ours)[0]), Pieces(*lab, *theirs)});
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

// The same vectors without a change of the token count, where the target's own counts say that there is none.
const Hypothesis* CountedTie(const SearchResult& result, const Hypothesis* claimed, const Observations& o, Lab* lab) {
  for (const Hypothesis* tie : result.ties) {
    Combination other = result.best.hypotheses;
    std::replace(other.begin(), other.end(), claimed, tie);
    if (TokenEvidence(o, lab, other) != kCountsDisagree) return tie;
  }
  return nullptr;
}

// Tokens when nothing is cut.
int64_t LongestText(const std::vector<std::string>& texts, Lab* lab) {
  const Hypothesis uncut = UncutRow();
  int64_t longest = 0;
  const auto ids = lab->Ids(texts, {&uncut});
  if (!ids.ok()) return longest;
  for (const auto& list : *ids) longest = std::max(longest, static_cast<int64_t>(list.size()));
  return longest;
}

void ClaimSearch(const SearchResult& result, const Observations& o, Lab* lab, Diagnosis* d) {
  const double before = 1 - d->comparison.worst;
  const double after = 1 - result.best.worst;
  const std::string tokens = TokenEvidence(o, lab, result.best.hypotheses);
  const int64_t longest = LongestText(o.texts, lab);
  for (const Hypothesis* h : result.best.hypotheses) {
    if (tokens == kCountsDisagree && h->edit.ChangesText()) {
      if (const Hypothesis* tie = CountedTie(result, h, o, lab)) {
        AddCause(d, tie->cause, tie->variant, 0.9, tie->says, before, after)
            ->evidence.push_back("the target's own token counts are the reference's: not " + h->Name());
        continue;
      }
    }
    const double confidence = result.ties.empty() ? (result.exact ? 0.99 : 0.9) : 0.6;
    Cause* cause = AddCause(d, h->cause, h->variant, confidence, h->says, before, after);
    cause->parameter = h->parameter;
    cause->value = h->value;
    if (!tokens.empty() && h->edit.ChangesText()) cause->evidence.push_back(tokens);
    if (h->cause == "max-length" && !h->asked && h->value.as_int64() > longest) {
      cause->evidence.push_back("no text is longer than " + std::to_string(longest) +
                                " tokens: any limit from there on gives these vectors");
    }
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
  // Only what is a name from a hub or a file: servers also show aliases.
  if (told.find('/') == std::string::npos && !told.ends_with(".gguf")) return "";
  const auto plain = [](std::string name) {
    while (name.ends_with('/')) name.pop_back();
    std::string letters;
    for (const char c : name.substr(name.find_last_of('/') + 1)) {
      if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
        letters += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      }
    }
    return letters;
  };
  const std::string own = plain(lab.directory());
  const std::string theirs = plain(told);
  // "all-MiniLM-L6-v2-Q8_0.gguf" is the same model.
  const bool same = own == theirs || (own.size() >= 8 && theirs.find(own) != std::string::npos);
  return same ? "" : told;
}

void ClaimUnknown(const SearchResult& result, const Evidence& e, const Lab& lab, Diagnosis* d) {
  const double before = 1 - d->comparison.worst;
  // Answers that are as far from each other as from the reference need no other cause.
  const bool random =
      std::any_of(d->causes.begin(), d->causes.end(), [](const Cause& c) { return c.id == "nondeterministic"; });
  if (random && e.noise * 20 >= d->comparison.worst) return;
  if (d->geometry > 1 - 1e-6 && d->comparison.median > 1e-3) {
    if (IsPermutation(*e.reference, e.seen->singles)) {
      AddCause(d, "dimensions-order", "permuted", 0.97, "the same values in another order of dimensions", before, 1);
      return;
    }
  }
  const std::string other = OtherName(*d, lab);
  // Another trained model: its space has nothing to do with this one's, yet like texts are alike in both.
  const double best = *std::min_element(d->comparison.distance.begin(), d->comparison.distance.end());
  const bool unrelated = best > 0.6 && std::abs(1 - d->comparison.mean) < 0.1 && !d->may_be_random;
  if (!other.empty() || (unrelated && d->geometry > 0.3 && d->geometry < 0.999)) {
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
  if (!d->nearest_rounding.empty()) unknown->evidence.push_back("most like " + d->nearest_rounding);
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
  // A text on which the model is unstable makes rounding look uneven: then only what is exact counts.
  const bool even = LooksLikeRounding(worst, fitted.median);
  if (!even && *std::min_element(fitted.distance.begin(), fitted.distance.end()) <= kExactDistance) return false;
  const NumericResult result = search->Numeric(fitted.hypotheses, worst);
  if (!even && !result.exact) return false;
  const double before = 1 - worst;
  char text[64];
  // Below that the direction still tells where the size is right and no other cause goes that way: over eight texts
  // the correlation of unrelated residuals stays within 0.1 or so.
  const bool faint =
      result.correlation >= 0.2 && result.rival * 2 <= result.correlation && result.size >= 1.0 / 3 && result.size <= 3;
  if (result.hypothesis != nullptr && (result.exact || result.correlation >= 0.35 || faint)) {
    // Engines with int8 weights round activations too, which no simulation repeats: half of the residual is enough.
    const bool coarse = result.hypothesis->cause == "weight-quantization" && result.correlation >= 0.5 && worst <= 5e-2;
    const bool small = worst <= 1e-2 || result.exact || result.correlation >= 0.9 || coarse;
    if (small) {
      std::snprintf(text, sizeof text, "correlation of the residuals %.2f", result.correlation);
      Cause* cause = AddCause(d, result.hypothesis->cause, result.hypothesis->variant,
                              result.exact ? 0.97 : 0.5 + 0.4 * result.correlation, result.hypothesis->says, before,
                              1 - result.trial.worst);
      cause->evidence.push_back(text);
      cause->parameter = result.hypothesis->parameter;
      cause->value = result.hypothesis->value;
      return true;
    }
  }
  if (result.hypothesis != nullptr && result.correlation >= 0.2) {
    std::snprintf(text, sizeof text, "%.2f", result.correlation);
    d->nearest_rounding = result.hypothesis->Name() + " (correlation of the residuals " + text + ")";
  }
  const Tolerance size = ClassOf(worst, d->comparison.unit_max_abs);
  if (size == Tolerance::kFloat32 || (worst <= 1e-6 && !fitted.hypotheses.empty())) return true;
  // By its size alone only where nothing else is wrong (beside a claimed cause the rest may be a second one), and only
  // float16's: what bfloat16 does to the weights shows in the residual's direction.
  const bool like_bfloat16 = size == Tolerance::kBfloat16 && result.hypothesis != nullptr &&
                             result.hypothesis->cause == "precision-bfloat16" && result.correlation >= 0.2;
  if (fitted.hypotheses.empty() && (size == Tolerance::kFloat16 || like_bfloat16)) {
    AddCause(d, size == Tolerance::kFloat16 ? "precision-float16" : "precision-bfloat16", "", 0.4,
             "the residual is small, of one size on every text, and no cause explains it", before, before);
    return true;
  }
  return false;
}

// Every value is round, and the vectors come nearer with ours rounded so too: below what directions show.
void ClaimOutputRounding(Search* search, const Hypothesis& row, const Trial& fitted, Diagnosis* d) {
  Combination both = fitted.hypotheses;
  both.push_back(&row);
  const auto trial = search->TryAll(both);
  if (!trial || trial->mean * 30 > fitted.mean) return;
  Cause* cause = AddCause(d, row.cause, row.variant, 0.97, row.says, 1 - fitted.worst, 1 - trial->worst);
  cause->parameter = row.parameter;
  cause->value = row.value;
}

// A limit that the target itself showed, where what is left on the long texts is no more than on the others: what the
// search cannot accept, as the rest is too coarse for it.
std::optional<Trial> ClaimAskedLength(Search* search, Lab* lab, const Hypotheses& asked, const Trial& base,
                                      Diagnosis* d) {
  std::optional<Trial> best;
  for (const Hypothesis& row : asked) {
    auto trial = search->TryAll({lab->Keep(row)});
    if (trial && (!best || trial->mean < best->mean)) best = std::move(trial);
  }
  if (!best) return std::nullopt;
  double before = 0;
  double after = 0;
  double others = 0;
  for (size_t i = 0; i < base.distance.size(); ++i) {
    const bool changed = base.distance[i] != best->distance[i];
    if (changed) before = std::max(before, base.distance[i]);
    (changed ? after : others) = std::max(changed ? after : others, best->distance[i]);
  }
  if (after > 2 * others || after * 2 > before) return std::nullopt;
  const Hypothesis* row = best->hypotheses[0];
  Cause* cause = AddCause(d, row->cause, row->variant, 0.9, row->says, 1 - base.worst, 1 - best->worst);
  cause->parameter = row->parameter;
  cause->value = row->value;
  return best;
}

}  // namespace

double NoiseOf(const Observations& o) {
  double noise = 0;
  for (const Asked& asked : o.again) {
    noise = std::max(noise, AnswerDistance(o.singles[asked.texts[0]], asked.vectors[0]));
  }
  return std::min(noise, 1.0);
}

void FillDiagnosis(const Observations& o, Target* target, const std::vector<Vector>& reference, Diagnosis* d) {
  d->probes = o.probes;
  d->refused = o.refused;
  d->about = target->About();
  d->dialect = target->Dialect();
  d->comparison = Compare(reference, o.singles);
  const auto unit = [](const Vector& v) { return std::abs(Norm(v) - 1) < 1e-3; };
  const bool always = d->dialect == "tei" || d->dialect == "ollama" || d->dialect == "llamacpp";
  if (always && !NormsAgree(d->comparison) && std::all_of(o.singles.begin(), o.singles.end(), unit)) {
    std::vector<Vector> units = reference;
    for (Vector& v : units) {
      const double norm = Norm(v);
      for (float& x : v) x = norm == 0 ? x : static_cast<float>(x / norm);
    }
    d->comparison = Compare(units, o.singles);
    d->notes.push_back(
        "this API brings vectors to length 1 unless told otherwise; the model's own are not: compared by "
        "direction");
  }
  if (d->comparison.same_dimension) {
    d->neighbour_overlap = NeighbourOverlap(reference, o.singles, 5);
    d->geometry = Geometry(reference, o.singles);
  }
}

void Conclude(const DiagnoseOptions& options, Diagnosis* d) {
  const Comparison& c = d->comparison;
  d->tolerance = ClassOf(c.worst, c.max_abs);
  const auto numeric = [](const Cause& cause) {
    return cause.id.starts_with("precision-") || cause.id == "weight-quantization" || cause.id == "batch-numerics" ||
           cause.id == "gelu-variant" || (cause.id == "output-quantization" && cause.variant.starts_with(kRoundedTo)) ||
           (cause.id == "layernorm" && cause.variant.starts_with("eps"));
  };
  const bool faulty = !std::all_of(d->causes.begin(), d->causes.end(), numeric);
  if (faulty || !NormsAgree(c) || d->tolerance > options.tolerance || !c.same_dimension) {
    d->verdict = "different";
  } else {
    d->verdict = d->tolerance == Tolerance::kFloat32 ? "identical" : "equivalent";
  }
  const auto batches = [](const Cause& cause) { return cause.id == "batch-numerics"; };
  if (d->verdict == "identical" && std::any_of(d->causes.begin(), d->causes.end(), batches)) d->verdict = "equivalent";
  if (d->verdict == "identical") std::erase_if(d->causes, numeric);
  std::stable_sort(d->causes.begin(), d->causes.end(),
                   [&](const Cause& a, const Cause& b) { return numeric(a) < numeric(b); });
}

namespace {

using Clock = std::chrono::steady_clock;

double Since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// A causal mask and a pooling that only sees the first token: the usual way to one vector for every text.
SearchResult CausalFirstToken(Search* search) {
  SearchResult result;
  for (const Hypothesis& mask : search->hypotheses()) {
    if (mask.cause != "causal-mask") continue;
    for (const Hypothesis& pooling : search->hypotheses()) {
      if (pooling.cause != "pooling-mode") continue;
      auto trial = search->TryAll({&mask, &pooling});
      if (!trial || trial->worst > kExactDistance) continue;
      result.best = *std::move(trial);
      result.found = result.exact = true;
      return result;
    }
  }
  return result;
}

// One vector for every text has a cause of its own where the engine gives that very vector: a causal mask before the
// first token is pooled, say.
Combination ExplainConstant(Lab* lab, const Evidence& e, Diagnosis* d) {
  const Observations& o = *e.seen;
  const auto constant = std::find_if(d->causes.begin(), d->causes.end(),
                                     [](const Cause& c) { return c.id == "constant-output" && c.variant.empty(); });
  if (constant == d->causes.end() || !d->comparison.same_dimension || !IsFinite(o.singles[0])) return {};
  Search search(lab, o.texts, o.singles);
  SearchResult result = CausalFirstToken(&search);
  if (!result.found) result = search.Run(kConstantSeconds);
  if (!result.found) return {};
  // What makes a constant of any vectors explains nothing.
  for (const Hypothesis* h : result.best.hypotheses) {
    if (h->edit.output) return {};
  }
  const std::string says = constant->evidence.front();
  d->causes.erase(constant);
  const size_t known = d->causes.size();
  ClaimSearch(result, o, lab, d);
  if (!result.exact) ClaimNumeric(&search, result.best, d);
  for (size_t i = known; i < d->causes.size(); ++i) d->causes[i].evidence.push_back(says);
  d->explained = result.best.distance;
  Combination fitted;
  for (const Hypothesis* h : result.best.hypotheses) fitted.push_back(lab->Keep(*h));
  return fitted;
}

Status FindCauses(Lab* lab, Target* target, const Evidence& e, Diagnosis* d) {
  const Observations& o = *e.seen;
  const bool hopeless = StructuralCauses(e, d);
  const bool random = std::any_of(d->causes.begin(), d->causes.end(), [](const Cause& c) {
    return c.id == "nondeterministic" && 1 - c.cosine_before > 1e-3;
  });
  Combination fitted;
  if (hopeless) fitted = ExplainConstant(lab, e, d);
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
    const auto rounding = OutputRounding(answers);
    if (rounding) search->AddNumeric(*rounding);
    const auto base = search->TryAll({});
    const bool fine = base && base->worst <= (whole.empty() ? kExactDistance : 3e-2) &&
                      (d->comparison.unit_max_abs <= 1e-5 || !whole.empty());
    if (base && !fine) {
      // Small and even: first what rounding can explain exactly.
      bool done = false;
      if (base->worst <= 5e-2 && LooksLikeRounding(base->worst, base->median) && d->comparison.same_dimension) {
        const NumericResult numeric = search->Numeric({}, base->worst);
        if (numeric.exact) done = ClaimNumeric(&*search, *base, d);
      }
      if (!done) {
        const Hypotheses asked = AskedLengths(e, lab, target, texts, base->distance);
        search->Prefer(asked);
        const SearchResult result = search->Run(kSearchSeconds);
        if (result.found) {
          ClaimSearch(result, o, lab, d);
          fitted = result.best.hypotheses;
          if (!result.exact) ClaimNumeric(&*search, result.best, d);
          if (result.exact && rounding) ClaimOutputRounding(&*search, *rounding, result.best, d);
          d->explained = result.best.distance;
        } else if (!d->comparison.same_dimension) {
          DimensionCauses(e, d);
        } else if (const auto limited = ClaimAskedLength(&*search, lab, asked, *base, d)) {
          fitted = limited->hypotheses;
          if (!ClaimNumeric(&*search, *limited, d)) ClaimUnknown(result, e, *lab, d);
        } else if (!ClaimNumeric(&*search, *base, d) && !RandomWeights(e, lab, d) && !ForeignIds(e, lab, d) &&
                   !ForeignWords(e, lab, target, d)) {
          ClaimUnknown(result, e, *lab, d);
          ExplainUnknown(e, lab, target, d);
        }
        RuleOut(result, d);
      }
    }
  }
  if (!hopeless && !random) BatchCauses(e, lab, fitted, d);
  if (!hopeless || !fitted.empty()) NormCauses(e, lab, fitted, d);
  if (!d->causes.empty()) CompareIds(target, lab, o, fitted, d);
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
  FillDiagnosis(o, target, reference, &d);
  TV_ASSIGN_OR_RETURN(const auto ids, lab->Ids(o.texts, {}));
  for (const auto& list : ids) d.lengths.push_back(static_cast<int64_t>(list.size()));
  d.model = {{"directory", lab->directory()},
             {"fingerprint", lab->pipeline().spec().fingerprint()},
             {"prompt", lab->prompt()}};
  Evidence e;
  e.seen = &o;
  e.reference = &reference;
  e.noise = NoiseOf(o);
  if (options.find_causes) {
    TV_RETURN_IF_ERROR(FindCauses(lab, target, e, &d));
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
  FillDiagnosis(o, target, kept, &d);
  Evidence e;
  e.seen = &o;
  e.reference = &kept;
  e.noise = NoiseOf(o);
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

}  // namespace truevec
