#include "verify/search.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

namespace truevec {
namespace {

constexpr double kClearly = 20;          // how many times better than the rest a cause must be
constexpr double kRoundingWorst = 5e-3;  // largest residual that may be rounding (bfloat16 on unlucky models)
constexpr size_t kBeam = 6;
constexpr size_t kMost = 3;  // causes at once
constexpr size_t kScreen = 8;
constexpr size_t kFirst = 3;    // texts on which a row has to help before it is tried on all of the screen
constexpr int64_t kShort = 48;  // tokens of a cheap text
constexpr int64_t kCheap = 80;  // tokens of the texts that every kept row is tried on

void Summarise(Trial* t) {
  t->score = 0;
  for (const double d : t->distance) t->score += std::log10(std::clamp(d, 1e-12, 2.0));
  const auto n = static_cast<double>(t->distance.size());
  t->score /= n;
  std::vector<double> sorted = t->distance;
  std::sort(sorted.begin(), sorted.end());
  t->worst = sorted.back();
  t->median = sorted[sorted.size() / 2];
  t->mean = std::accumulate(sorted.begin(), sorted.end(), 0.0) / n;
}

bool Better(const Trial& a, const Trial& b) { return a.score < b.score; }

// The worst and the usual error are of one size: rounding, not a fault that some texts show.
bool LooksLikeRounding(const Trial& t) { return t.worst <= 60 * std::max(t.median, 1e-10); }

std::set<std::string> Causes(const Combination& h) {
  std::set<std::string> causes;
  for (const Hypothesis* hypothesis : h) causes.insert(hypothesis->cause);
  return causes;
}

// Two rows that set the same thing cannot act together.
bool Compatible(const Combination& chosen, const Hypothesis& next) {
  for (const Hypothesis* h : chosen) {
    const Edit& a = h->edit;
    const Edit& b = next.edit;
    const bool family = h->cause.substr(0, 4) == next.cause.substr(0, 4);  // special-tokens-…, prompt-…, precision-…
    if (h->cause == next.cause || (family && a.ChangesText() == b.ChangesText())) return false;
    if (a.prompt && b.prompt) return false;
    if (!a.tokenizer.empty() && !b.tokenizer.empty()) return false;
    if (a.max_length && b.max_length) return false;
    if (!a.pooling.empty() && !b.pooling.empty()) return false;
  }
  return true;
}

}  // namespace

Search::Search(Lab* lab, std::vector<std::string> texts, std::vector<Vector> target)
    : lab_(lab), texts_(std::move(texts)), target_(std::move(target)) {
  all_ = AllHypotheses(lab->traits());
  AddNumericHypotheses(lab->traits(), &numeric_);
  for (const Hypothesis& h : all_) {
    if (h.numeric) numeric_.push_back(h);
  }
  std::erase_if(all_, [](const Hypothesis& h) { return h.numeric; });
  const auto ids = lab->Ids(texts_, {});
  for (size_t i = 0; i < texts_.size(); ++i) {
    lengths_.push_back(ids.ok() ? static_cast<int64_t>((*ids)[i].size()) : static_cast<int64_t>(texts_[i].size()));
  }
  if (auto base = TryAll({})) base_ = std::move(*base);
}

void Search::Prefer(Hypotheses rows) {
  rows.insert(rows.end(), std::make_move_iterator(all_.begin()), std::make_move_iterator(all_.end()));
  all_ = std::move(rows);
}

std::optional<Trial> Search::TryOn(const Combination& h, const std::vector<size_t>& which) {
  std::vector<std::string> texts;
  for (const size_t i : which) texts.push_back(texts_[i]);
  const auto vectors = lab_->Run(texts, h);
  if (!vectors.ok() || which.empty()) return std::nullopt;
  Trial trial;
  trial.hypotheses = h;
  for (size_t i = 0; i < which.size(); ++i) trial.distance.push_back(CosineDistance((*vectors)[i], target_[which[i]]));
  Summarise(&trial);
  return trial;
}

std::optional<Trial> Search::TryAll(const Combination& h) {
  std::vector<size_t> which(texts_.size());
  std::iota(which.begin(), which.end(), size_t{0});
  return TryOn(h, which);
}

// What counts as explained: the rest may still be rounded.
double Search::FloorOf(const Trial& from) const {
  return from.worst <= kRoundingWorst ? kExactDistance : std::max(kExactDistance, from.worst / 300);
}

// The shortest texts that `from` leaves unexplained, at most half of them of one length.
std::vector<size_t> Search::Screen(const Trial& from, size_t count) const {
  const double floor = FloorOf(from);
  std::vector<size_t> which;
  for (size_t i = 0; i < texts_.size(); ++i) {
    if (from.distance[i] > floor) which.push_back(i);
  }
  std::stable_sort(which.begin(), which.end(), [&](size_t a, size_t b) { return lengths_[a] < lengths_[b]; });
  if (which.size() > count) {
    // Every step-th of the cheap ones, so that different traps are among them.
    size_t cheap = 0;
    while (cheap < which.size() && lengths_[which[cheap]] <= kShort) ++cheap;
    std::vector<size_t> spread;
    const size_t from_count = std::max(cheap, std::min(count, which.size()));
    for (size_t i = 0; i < count; ++i) spread.push_back(which[i * from_count / count]);
    which = std::move(spread);
  }
  return which;
}

// Without a forward pass: whether ids (and whatever the model does) stay as they are for all of `which`.
bool Search::ChangesNothing(const Combination& start, const Hypothesis& next, const std::vector<size_t>& which) {
  if (!next.edit.ChangesText() || next.edit.ChangesModel() || next.cause == "pooling-mask" ||
      next.cause == "last-token-index" || next.cause == "padding-attended") {
    return false;
  }
  std::vector<std::string> texts;
  for (const size_t i : which) texts.push_back(texts_[i]);
  Combination both = start;
  both.push_back(&next);
  const auto before = lab_->Ids(texts, start);
  const auto after = lab_->Ids(texts, both);
  return !after.ok() || (before.ok() && *before == *after);
}

// Texts of `screen` that `next` can change, at most kFirst, short and long ones.
std::vector<size_t> Search::Changed(const Combination& start, const Hypothesis& next,
                                    const std::vector<size_t>& screen) {
  std::vector<size_t> changed;
  for (const size_t i : screen) {
    if (!ChangesNothing(start, next, {i})) changed.push_back(i);
  }
  if (changed.size() <= kFirst) return changed;
  std::vector<size_t> spread;
  for (size_t i = 0; i < kFirst; ++i) spread.push_back(changed[(2 * i + 1) * changed.size() / (2 * kFirst)]);
  return spread;
}

bool Search::Spoils(const Combination& h, const Trial& from) {
  const double floor = FloorOf(from);
  std::vector<size_t> right;
  for (size_t i = 0; i < texts_.size(); ++i) {
    if (from.distance[i] <= floor && lengths_[i] <= kShort) right.push_back(i);
  }
  if (right.empty()) return false;
  // Not the shortest alone: much leaves one token as it is.
  std::stable_sort(right.begin(), right.end(), [&](size_t a, size_t b) { return lengths_[a] < lengths_[b]; });
  std::vector<size_t> two = {right[right.size() / 2]};
  if (right.size() > 2) two.push_back(right[right.size() * 3 / 4]);
  const auto trial = TryOn(h, two);
  if (!trial) return true;
  for (size_t i = 0; i < two.size(); ++i) {
    if (trial->distance[i] > std::max(floor, 10 * from.distance[two[i]])) return true;
  }
  return false;
}

std::optional<Trial> Search::TryWhole(const Trial& screened, const Trial& from) {
  if (*std::min_element(screened.distance.begin(), screened.distance.end()) <= FloorOf(from)) {
    return TryAll(screened.hypotheses);
  }
  std::vector<size_t> which;
  for (size_t i = 0; i < texts_.size(); ++i) {
    if (lengths_[i] <= kCheap) which.push_back(i);
  }
  auto trial = TryOn(screened.hypotheses, which);
  if (!trial) return std::nullopt;
  double before = 0;
  for (const size_t i : which) before += from.distance[i] / static_cast<double>(which.size());
  if (trial->mean * 10 < before) return TryAll(screened.hypotheses);
  std::vector<double> distance = from.distance;
  for (size_t i = 0; i < which.size(); ++i) distance[which[i]] = trial->distance[i];
  trial->distance = std::move(distance);
  Summarise(&*trial);
  return trial;
}

// One more hypothesis on top of `start`, on texts that it leaves unexplained; sorted by score. Each is first tried on
// a few texts that it changes, and only what helps there on all of the screen.
std::vector<Trial> Search::Extend(const Trial& start) {
  const std::vector<size_t> screen = Screen(start, kScreen);
  std::vector<Trial> out;
  if (screen.empty()) return out;
  const bool only_long = std::none_of(screen.begin(), screen.end(), [&](size_t i) { return lengths_[i] <= kShort; });
  const std::vector<size_t> few(
      screen.begin(),
      screen.begin() + static_cast<ptrdiff_t>(only_long ? std::min<size_t>(3, screen.size()) : screen.size()));
  const auto helps = [&](const Trial& trial, const std::vector<size_t>& which) {
    const auto before = TryOn(start.hypotheses, which);
    return before && (trial.score < before->score - 0.02 || trial.mean < before->mean * 0.98);
  };
  for (const Hypothesis& next : all_) {
    if (Late() && !start.hypotheses.empty()) break;
    if (!Compatible(start.hypotheses, next) || (next.long_only && !only_long)) continue;
    const std::vector<size_t> first = Changed(start.hypotheses, next, few);
    if (first.empty()) continue;
    Combination both = start.hypotheses;
    both.push_back(&next);
    if (Spoils(both, start)) continue;
    const auto sample = TryOn(both, first);
    if (!sample || !helps(*sample, first)) continue;
    auto trial = TryOn(both, few);
    if (trial && helps(*trial, few)) out.push_back(std::move(*trial));
  }
  std::stable_sort(out.begin(), out.end(), Better);
  return out;
}

// All pairs on three short texts: for causes that only help together.
std::vector<Trial> Search::Pairs() {
  const std::vector<size_t> few = Screen(base_, 3);
  std::vector<Trial> out;
  if (few.empty()) return out;
  std::vector<const Hypothesis*> rows;
  for (const Hypothesis& h : all_) {
    if (h.long_only || h.decoy || ChangesNothing({}, h, few) || !TryOn({&h}, few)) continue;
    rows.push_back(&h);
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    for (size_t j = i + 1; j < rows.size() && !Late(); ++j) {
      if (!Compatible({rows[i]}, *rows[j])) continue;
      // Altered weights of two kinds would need a model for each pair.
      if ((rows[i]->edit.weights || !rows[i]->edit.config.empty()) &&
          (rows[j]->edit.weights || !rows[j]->edit.config.empty())) {
        continue;
      }
      if (auto trial = TryOn({rows[i], rows[j]}, few)) out.push_back(std::move(*trial));
    }
  }
  std::stable_sort(out.begin(), out.end(), Better);
  out.resize(std::min(out.size(), 2 * kBeam));
  return out;
}

bool Search::Accept(const Trial& t) const {
  if (t.hypotheses.empty()) return false;
  if (t.worst <= kExactDistance) return base_.worst > kExactDistance * 10;
  return t.worst <= kRoundingWorst && LooksLikeRounding(t) && t.mean * 30 < base_.mean && base_.worst > 1e-5;
}

// A member without which the trial is as good is not part of the explanation.
Trial Search::DropNeedless(Trial trial) {
  for (size_t i = 0; trial.hypotheses.size() > 1 && i < trial.hypotheses.size();) {
    Combination fewer = trial.hypotheses;
    fewer.erase(fewer.begin() + static_cast<ptrdiff_t>(i));
    auto without = TryAll(fewer);
    if (without && without->worst <= std::max(kExactDistance, trial.worst * 2)) {
      trial = std::move(*without);
      i = 0;
    } else {
      ++i;
    }
  }
  return trial;
}

// Under a causal mask a missing end token and the token before it pooled give the same vectors; the first is the usual
// fault. Token counts, where the target tells them, decide later.
int RareCauses(const Trial& t) {
  return static_cast<int>(std::count_if(t.hypotheses.begin(), t.hypotheses.end(),
                                        [](const Hypothesis* h) { return h->cause == "last-token-index"; }));
}

Trial MoreUsual(const Trial& best, const std::vector<Trial>& tried) {
  if (best.worst > kExactDistance || RareCauses(best) == 0) return best;
  for (const Trial& t : tried) {
    if (t.worst <= kExactDistance && t.hypotheses.size() <= best.hypotheses.size() &&
        RareCauses(t) < RareCauses(best)) {
      return t;
    }
  }
  return best;
}

void Search::Judge(const Trial& best, SearchResult* result) {
  result->best = best;
  result->exact = best.worst <= kExactDistance;
  const std::set<std::string> causes = Causes(best.hypotheses);
  double rival = base_.mean;
  for (const Trial& t : result->tried) {
    const std::set<std::string> others = Causes(t.hypotheses);
    if (std::includes(others.begin(), others.end(), causes.begin(), causes.end())) continue;
    const bool ties = result->exact ? t.worst <= kExactDistance : t.mean <= best.mean * 1.5;
    if (ties && t.hypotheses.size() <= best.hypotheses.size()) {
      for (const Hypothesis* h : t.hypotheses) {
        if (!causes.contains(h->cause)) result->ties.push_back(h);
      }
      continue;
    }
    rival = std::min(rival, t.mean);
  }
  result->found = best.mean * kClearly < rival || (result->exact && best.worst * 10 < rival);
}

// Takes the best of what was tried if it explains all and nothing else comes near.
bool Search::Settle(SearchResult* result) {
  for (const Trial& t : result->tried) {
    if (!Accept(t)) continue;
    Judge(DropNeedless(MoreUsual(t, result->tried)), result);
    return result->found;
  }
  return false;
}

// What was taken for rounding may be one more cause that moves every text a little.
void Search::Deepen(SearchResult* result) {
  if (result->best.hypotheses.size() >= kMost) return;
  const Trial start = result->best;
  std::vector<Trial> grown = Extend(start);
  grown.resize(std::min(grown.size(), kBeam));
  for (const Trial& t : grown) {
    auto all = TryAll(t.hypotheses);
    if (!all || all->mean * 30 > start.mean || !Accept(*all)) continue;
    SearchResult deeper = *result;
    deeper.ties.clear();
    deeper.tried.insert(deeper.tried.begin(), *all);
    Judge(DropNeedless(*all), &deeper);
    if (!deeper.found) continue;
    *result = std::move(deeper);
    return;
  }
}

SearchResult Search::Run(double seconds) {
  SearchResult result;
  deadline_ = std::clock() + static_cast<std::clock_t>(seconds * CLOCKS_PER_SEC);
  if (base_.distance.empty() || base_.worst <= kExactDistance) return result;
  std::vector<Trial> beam = {base_};
  bool paired = false;
  for (size_t size = 1; size <= kMost && !beam.empty(); ++size) {
    std::vector<Trial> next;
    for (const Trial& start : beam) {
      if (size > 1 && Late()) break;
      std::vector<Trial> grown = Extend(start);
      grown.resize(std::min(grown.size(), 2 * kBeam));
      next.insert(next.end(), grown.begin(), grown.end());
    }
    if (size == 2 && !paired) {
      // Only when nothing yet explains some text exactly.
      paired = true;
      const std::vector<double>& known = result.tried.empty() ? base_.distance : result.tried[0].distance;
      if (*std::min_element(known.begin(), known.end()) > 1e-5) {
        const std::vector<Trial> pairs = Pairs();
        next.insert(next.end(), pairs.begin(), pairs.end());
      }
    }
    std::vector<Trial> full;
    std::stable_sort(next.begin(), next.end(), Better);
    std::vector<std::vector<const Hypothesis*>> seen;
    for (const Trial& t : next) {
      if (full.size() >= 2 * kBeam) break;
      Combination sorted = t.hypotheses;
      std::sort(sorted.begin(), sorted.end());
      if (std::find(seen.begin(), seen.end(), sorted) != seen.end()) continue;
      seen.push_back(sorted);
      if (auto all = TryWhole(t, base_)) full.push_back(Refine(std::move(*all)));
    }
    std::stable_sort(full.begin(), full.end(), Better);
    result.tried.insert(result.tried.end(), full.begin(), full.end());
    std::stable_sort(result.tried.begin(), result.tried.end(), Better);
    if (Settle(&result)) {
      if (!result.exact) Deepen(&result);
      return result;
    }
    // What is left may be a matter of length with a number of its own.
    for (size_t b = 0; b < std::min<size_t>(beam.size(), 3); ++b) {
      if (beam[b].hypotheses.size() >= kMost) continue;
      for (auto estimate : {&Search::EstimateLength, &Search::EstimateTextCut, &Search::EstimatePadding,
                            &Search::EstimateOffset, &Search::EstimateTheta}) {
        auto found = (this->*estimate)(beam[b]);
        if (!found) continue;
        result.tried.insert(result.tried.begin(), std::move(*found));
        if (Settle(&result)) return result;
      }
    }
    if (full.size() > kBeam) full.resize(kBeam);
    beam = std::move(full);
    result.stopped = Late();
    if (result.stopped) break;
  }
  if (!result.tried.empty()) result.best = result.tried.front();
  return result;
}

}  // namespace truevec
