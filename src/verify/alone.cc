// Without a model: what a target's own answers say. Repeatability, batches, concurrency, norms, encodings, what its
// tokenizer merges, and where it cuts long texts.
#include <algorithm>
#include <chrono>
#include <cmath>

#include "verify/diagnose.h"
#include "verify/length_limit.h"

namespace truevec {
namespace {

constexpr int64_t kMostWords = 8192;

Result<std::string> FindLimit(Target* target, double noise) {
  TV_ASSIGN_OR_RETURN(const WordLimit limit, FindWordLimit(target, 4, kMostWords, noise));
  if (!limit.limited) return "texts of " + std::to_string(limit.read) + " words are read to their end";
  std::string says = limit.at_more.refused ? "texts longer than about " : "texts are cut after about ";
  says += std::to_string(limit.read) + " common words" + (limit.at_more.refused ? " are refused" : "");
  if (limit.at_more.tokens && !limit.at_more.refused) {
    says += "; it counts " + std::to_string(*limit.at_more.tokens) + " tokens there";
  }
  return says;
}

struct Twins {
  const char* a;
  const char* b;
  const char* same;       // said when the vectors agree
  const char* different;  // said when they do not; "" says nothing
};

constexpr std::array<Twins, 6> kTwins = {{
    {"paris and london are cities", "Paris and London are Cities", "capitals make no difference",
     "capitals make a difference"},
    {"creme brulee in sao paulo", "crème brûlée in são paulo", "accents make no difference",
     "accents make a difference"},
    {"a quiet river", "  a quiet river  ", "white space at the ends makes no difference",
     "white space at the ends makes a difference"},
    {"first line second line", "first line\nsecond line", "newlines are read as spaces", ""},
    {"salt & pepper", "salt &amp; pepper", "texts are HTML-unescaped", ""},
    {"what does it mean", "what does it mean</s>", "a closing </s> in a text makes no difference", ""},
}};

Status CompareTwins(Target* target, double noise, Diagnosis* d) {
  const auto distance = [&](const char* a, const char* b) -> Result<double> {
    TV_ASSIGN_OR_RETURN(const TargetReply x, target->Embed({a}, {}));
    TV_ASSIGN_OR_RETURN(const TargetReply y, target->Embed({b}, {}));
    return CosineDistance(x.vectors[0], y.vectors[0]);
  };
  const double floor = 10 * noise + 1e-9;
  for (const Twins& twins : kTwins) {
    const auto apart = distance(twins.a, twins.b);
    if (!apart.ok()) {
      if (apart.status().code() == Code::kBadInput) continue;
      return apart.status();
    }
    const char* says = *apart <= floor ? twins.same : twins.different;
    if (*says != 0) d->notes.emplace_back(says);
  }
  // Different words of one number: equal only where capitals are unknown to the vocabulary.
  TV_ASSIGN_OR_RETURN(const double capitals, distance("RIVER GARDEN WINDOW", "LETTER DOCTOR PLANET"));
  if (capitals <= floor) {
    AddCause(d, "lowercase-missing", "", 0.8,
             "unrelated texts in capitals have one vector: the vocabulary knows no capitals and nothing lower-cases",
             capitals, capitals);
  }
  return Status::Ok();
}

}  // namespace

Result<Diagnosis> DiagnoseAlone(Target* target, const std::vector<Probe>& probes) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  Diagnosis d;
  d.target = target->Description();
  std::vector<int64_t> lengths;
  for (const Probe& probe : probes) {
    lengths.push_back(1 + std::count(probe.text.begin(), probe.text.end(), ' '));
  }
  TV_ASSIGN_OR_RETURN(const Observations o, Observe(target, probes, lengths));
  FillDiagnosis(o, target, o.singles, &d);
  Evidence e;
  e.seen = &o;
  e.noise = NoiseOf(o);
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
  if (d.causes.empty() && target->HasBatches()) {
    TV_RETURN_IF_ERROR(CompareTwins(target, e.noise, &d));
    TV_ASSIGN_OR_RETURN(const std::string limit, FindLimit(target, e.noise));
    d.notes.push_back(limit);
  }
  d.requests = target->Requests();
  d.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  d.verdict = d.causes.empty() ? "inconclusive" : "different";
  return d;
}

}  // namespace truevec
