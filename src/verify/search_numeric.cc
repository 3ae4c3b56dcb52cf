// Search: what rounding, quantisation and other small effects explain of what is left, by the direction of the
// residuals: over a few texts those of unrelated causes have a correlation near 0.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "verify/search.h"

namespace truevec {
namespace {

constexpr double kNoRounding = 0.4;                   // what no rounding of weights does to a trained model
constexpr double kFar = 1e-2;                         // from where a small model's residuals do not add up
constexpr int64_t kFewParameters = int64_t{4} << 20;  // of a model that is loaded again in no time: tried all the same
constexpr size_t kTexts = 8;
constexpr int64_t kMostTokens = 48;
constexpr double kAlike = 0.2;       // correlation of what goes in the right direction
constexpr double kCertain = 0.5;     // from which a format that was tried by its size counts
constexpr double kSizedAlike = 0.3;  // from which such a format is tried with other tensors rounded or kept
constexpr double kSame = 0.98;       // nothing else will be nearer
constexpr double kSizes = 10;        // how far a predicted size may be off
constexpr double kLikelySizes = 2;
constexpr double kAnySize = 100;       // for rows of their own, whose rounding of inputs may outweigh that of weights
constexpr double kSizedSeconds = 7;    // of CPU time for formats that are tried by their size
constexpr double kTunable = 0.7;       // correlation from which a row's number is worth estimating
constexpr double kTuneSeconds = 2;     // of CPU time
constexpr double kLeastNumber = 1e-9;  // epsilons of norms
constexpr double kMostNumber = 0.5;

// Unit vectors apart.
std::vector<double> Residual(const Vector& from, const Vector& to) {
  const double a = Norm(from);
  const double b = Norm(to);
  std::vector<double> r(from.size());
  if (a == 0 || b == 0 || from.size() != to.size()) return r;
  for (size_t i = 0; i < r.size(); ++i) r[i] = to[i] / b - from[i] / a;
  return r;
}

double Correlation(const std::vector<double>& x, const std::vector<double>& y) {
  double xy = 0;
  double xx = 0;
  double yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xy += x[i] * y[i];
    xx += x[i] * x[i];
    yy += y[i] * y[i];
  }
  return xx == 0 || yy == 0 ? 0 : xy / std::sqrt(xx * yy);
}

}  // namespace

struct Search::NumericTexts {
  const Combination& fitted;
  std::vector<size_t> which;
  std::vector<std::string> texts;
  std::vector<Vector> plain;  // as fitted
  double mean = 0;            // distance from the target
};

// Correlation and size (here as a distance) of what `row` does; no hypothesis when the model cannot have it.
NumericResult Search::TryNumeric(const NumericTexts& t, const Hypothesis& row) {
  NumericResult result;
  Combination both = t.fitted;
  both.push_back(&row);
  const auto vectors = lab_->Run(t.texts, both);
  if (!vectors.ok()) return result;
  result.hypothesis = &row;
  const auto n = static_cast<double>(t.which.size());
  for (size_t i = 0; i < t.which.size(); ++i) {
    const std::vector<double> simulated = Residual(t.plain[i], (*vectors)[i]);
    result.correlation += Correlation(Residual(t.plain[i], target_[t.which[i]]), simulated) / n;
    result.size += CosineDistance(t.plain[i], (*vectors)[i]) / n;
  }
  return result;
}

// How far, as a logarithm, the distance that `row` should make is off the target's: distances grow with the square of
// the weights' error. 0 before there is a yardstick and for rows that round no matrices.
double Search::SizeOff(const NumericTexts& t, const NumericResult& yardstick, const Hypothesis& row) {
  const double unit = yardstick.hypothesis == nullptr ? 0 : lab_->WeightError(*yardstick.hypothesis);
  if (unit == 0 || yardstick.size == 0) return 0;
  const double error = lab_->WeightError(row) / unit;
  return std::abs(std::log(std::max(error * error * yardstick.size / t.mean, 1e-300)));
}

// The rows that round weights by about as much as the residual shows (of a small model all rows), the likeliest first.
std::vector<const Hypothesis*> Search::OfThatSize(const NumericTexts& t, const NumericResult& yardstick, bool small) {
  std::vector<std::pair<double, const Hypothesis*>> found;
  for (const Hypothesis& h : numeric_) {
    if (!h.sized || !h.refines.empty() || yardstick.hypothesis == nullptr) continue;
    const double off = SizeOff(t, yardstick, h);
    // Within the likely sizes the formats with names of their own come first, as in the list.
    if (off <= std::log(kSizes) || small) found.emplace_back(off <= std::log(kLikelySizes) ? 0 : off, &h);
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<const Hypothesis*> rows;
  for (const auto& [off, row] : found) rows.push_back(row);
  return rows;
}

// The number of `best`'s row that comes nearest, in `best` and on all texts; nothing where none comes nearer.
std::optional<Trial> Search::TuneNumeric(const NumericTexts& t, NumericResult* best) {
  Combination both = t.fitted;
  both.push_back(best->hypothesis);
  const auto trial = TryAll(both);
  if (!trial || trial->worst <= kExactDistance) return std::nullopt;
  deadline_ = std::max(deadline_, std::clock() + static_cast<std::clock_t>(kTuneSeconds * CLOCKS_PER_SEC));
  auto tuned = TuneLog(*trial, t.fitted.size(), kLeastNumber, kMostNumber, t.which.front());
  if (!tuned || tuned->worst >= trial->worst) return std::nullopt;
  *best = TryNumeric(t, *tuned->hypotheses.back());
  return tuned;
}

NumericResult Search::Numeric(const Combination& fitted, double worst) {
  const auto known = numeric_known_.find(fitted);
  return known != numeric_known_.end() ? known->second : numeric_known_[fitted] = FindNumeric(fitted, worst);
}

// The first short texts; nothing where none is off or the model cannot run `fitted`.
std::optional<Search::NumericTexts> Search::TextsFor(const Combination& fitted) {
  NumericTexts t{fitted, {}, {}, {}, 0};
  for (size_t i = 0; i < texts_.size() && t.which.size() < kTexts; ++i) {
    if (lengths_[i] <= kMostTokens && lengths_[i] > 3) t.which.push_back(i);
  }
  for (const size_t i : t.which) t.texts.push_back(texts_[i]);
  auto plain = lab_->Run(t.texts, fitted);
  const auto before = TryOn(fitted, t.which);
  if (!plain.ok() || !before || before->mean == 0) return std::nullopt;
  t.plain = std::move(plain).value();
  t.mean = before->mean;
  return t;
}

// The nearest row so far, and what is known of the others.
struct Search::NumericHunt {
  Search* search;
  const NumericTexts& texts;
  double worst;  // distance
  bool small;    // a model that is loaded again in no time

  bool rounding = small || worst <= kNoRounding;  // of weights: worth trying
  std::clock_t stop{};                            // for formats that are tried by their size
  NumericResult best{};
  NumericResult yardstick{};             // of quantised weights
  std::map<std::string, double> most{};  // correlation by cause
  std::set<std::string> alike{};         // variants that go in the right direction

  bool Late() const { return std::clock() > stop; }
  bool Done() const { return best.correlation >= kSame || Late(); }

  // Returns the correlation.
  double Attempt(const Hypothesis& h) {
    if (!rounding && h.edit.weights) return 0;
    const NumericResult now = search->TryNumeric(texts, h);
    if (now.hypothesis == nullptr) return 0;
    if (now.correlation >= (h.sized ? kSizedAlike : kAlike)) alike.insert(h.variant);
    if (h.cause == "weight-quantization" && yardstick.hypothesis == nullptr) yardstick = now;
    // Of many formats one is a little alike by chance.
    if (h.sized && now.correlation < kCertain) return now.correlation;
    most[h.cause] = std::max(most[h.cause], now.correlation);
    if (now.correlation > best.correlation) best = now;
    return now.correlation;
  }

  // All of them: the last may be nearer than what is near enough.
  void Refine(const Hypothesis& h) {
    for (const Hypothesis& finer : search->numeric_) {
      if (finer.sized && finer.refines == h.variant && !Late()) Attempt(finer);
    }
  }

  void Usual() {
    for (const Hypothesis& h : search->numeric_) {
      if (h.sized || (!h.refines.empty() && !alike.contains(h.refines))) continue;
      const bool own = h.edit.weights && h.refines.empty();
      if (!own || search->SizeOff(texts, yardstick, h) <= std::log(kAnySize)) Attempt(h);
    }
  }

  void Sized() {
    stop = std::clock() + static_cast<std::clock_t>(kSizedSeconds * CLOCKS_PER_SEC);
    if (!rounding || Done()) return;
    std::vector<std::pair<double, const Hypothesis*>> tried;  // by correlation
    for (const Hypothesis* h : search->OfThatSize(texts, yardstick, small)) {
      if (Done()) break;
      tried.emplace_back(-Attempt(*h), h);
      if (alike.contains(h->variant)) Refine(*h);
    }
    // There one tensor more or less leaves little of the direction.
    if (!small || worst <= kFar) return;
    std::stable_sort(tried.begin(), tried.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [correlation, h] : tried) {
      if (!alike.contains(h->variant) && !Done()) Refine(*h);
    }
  }
};

NumericResult Search::FindNumeric(const Combination& fitted, double worst) {
  const auto texts = TextsFor(fitted);
  if (!texts) return {};
  const NumericTexts& t = *texts;
  NumericHunt hunt{this, t, worst, lab_->Parameters() <= kFewParameters};
  hunt.Usual();
  hunt.Sized();
  NumericResult best = hunt.best;
  if (best.hypothesis == nullptr) return best;
  std::optional<Trial> tuned;
  if (best.hypothesis->at && best.correlation >= kTunable) tuned = TuneNumeric(t, &best);
  // The sizes must agree too: a far smaller effect in the same direction is not the cause.
  if (best.size * 30 < t.mean || best.size > t.mean * 30) {
    best.hypothesis = nullptr;
    return best;
  }
  best.size /= t.mean;
  for (const auto& [cause, correlation] : hunt.most) {
    if (cause != best.hypothesis->cause) best.rival = std::max(best.rival, correlation);
  }
  Combination both = fitted;
  both.push_back(best.hypothesis);
  auto trial = tuned ? std::move(tuned) : TryAll(both);
  if (trial) {
    best.exact = trial->worst <= std::min(kExactDistance, worst / 30) || trial->mean * 300 < worst;
    best.trial = std::move(*trial);
  }
  return best;
}

}  // namespace truevec
