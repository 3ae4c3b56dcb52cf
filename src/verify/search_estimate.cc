// Numbers that a cause has, estimated from the answers: length limits and chunk sizes from between the longest text
// that is right and the shortest that is not, windows and padded lengths by trying them, rotary bases by a line search.
#include <algorithm>
#include <cmath>
#include <map>

#include "verify/search.h"

namespace truevec {
namespace {

constexpr int64_t kEstimateTokens = 60000;  // that one estimate may compute
constexpr double kEstimateSeconds = 4;      // of CPU time
constexpr int64_t kGrid = 24;
constexpr int64_t kMostOffset = 16;
constexpr double kLeastBase = 300;  // of rotary tables
constexpr double kMostBase = 1e8;
constexpr double kGolden = 0.61803398874989485;

// Round numbers first: what people set.
std::vector<int64_t> RoundFirst(int64_t low, int64_t high) {
  std::vector<int64_t> values;
  const auto add = [&](auto wanted) {
    for (int64_t v = low; v <= high; ++v) {
      if (wanted(v) && std::find(values.begin(), values.end(), v) == values.end()) values.push_back(v);
    }
  };
  add([](int64_t v) { return v % 50 == 0 || v % 64 == 0; });
  add([](int64_t v) { return v % 10 == 0 || v % 8 == 0 || (v + 2) % 64 == 0; });
  add([](int64_t) { return true; });
  return values;
}

}  // namespace

std::optional<Trial> Search::TryMade(const Combination& start, std::optional<size_t> replaced, Hypothesis row,
                                     const std::vector<size_t>& which) {
  made_.push_back(std::move(row));
  Combination h = start;
  if (replaced) {
    h[*replaced] = &made_.back();
  } else {
    h.push_back(&made_.back());
  }
  auto trial = TryOn(h, which);
  if (!trial) made_.pop_back();
  return trial;
}

// The count of words or characters of the longest text that is right, and one less than that of the shortest wrong one.
// Texts that the model cuts itself may be right however much is lost behind that.
std::pair<int64_t, int64_t> Search::Between(const Trial& start, double floor, bool words) const {
  int64_t right = 1;
  int64_t wrong = int64_t{1} << 40;
  for (size_t i = 0; i < texts_.size(); ++i) {
    int64_t count = words ? 1 : 0;
    for (const char c : texts_[i]) {
      const bool starts = words ? c == ' ' || c == '\n' : (static_cast<unsigned char>(c) & 0xc0) != 0x80;
      count += starts ? 1 : 0;
    }
    const bool whole = lab_->traits().max_length <= 0 || lengths_[i] < lab_->traits().max_length;
    if (start.distance[i] <= floor && whole) right = std::max(right, count);
    if (start.distance[i] > floor) wrong = std::min(wrong, count);
  }
  return {right, wrong - 1};
}

// Tokens of a text that is not cut, as far as the model can run it.
int64_t Search::WholeLength(size_t text) const {
  const bool table = lab_->traits().thetas.empty() && lab_->ids().max_positions > 0;
  const int64_t most = table ? lab_->ids().max_positions : 8 * lab_->traits().max_length;
  const Hypothesis uncut = UncutRow();
  const auto ids = lab_->Ids({texts_[text]}, {&uncut});
  return ids.ok() ? std::min(most, static_cast<int64_t>((*ids)[0].size())) : lengths_[text];
}

// The limit that comes nearest for a text: the more of the text is cut wrongly, the farther its vector is, so the best
// of a grid is looked around in ever finer ones.
std::optional<Trial> Search::NearestLength(const Combination& start, int64_t low, int64_t high, size_t text) {
  std::map<int64_t, std::optional<Trial>> tried;
  std::optional<Trial> best;
  int64_t at = low;
  const auto attempt = [&](int64_t length) {
    const bool exact = best && best->worst <= kExactDistance;
    if (length < low || length > high || tried.contains(length) || exact || Late()) return;
    auto trial = TryMade(start, std::nullopt, MaxLengthRow(length), {text});
    if (trial && (!best || trial->worst < best->worst)) {
      best = trial;
      at = length;
    }
    tried[length] = std::move(trial);
  };
  int64_t step = std::max<int64_t>(1, (high - low) / kGrid);
  for (int64_t length = low; length <= high; length += step) attempt(length);
  attempt(high);
  while (step > 1 && best && best->worst > kExactDistance) {
    const int64_t centre = at;
    const int64_t reach = step;
    step = std::max<int64_t>(1, step / 3);
    for (int64_t length = centre - reach; length <= centre + reach; length += step) attempt(length);
  }
  return best;
}

// Only long texts are wrong: a limit or chunks, whose size lies between the two kinds.
std::optional<Trial> Search::EstimateLength(const Trial& start) {
  const double floor = FloorOf(start);
  int64_t right = 0;
  size_t wrong = texts_.size();
  for (size_t i = 0; i < texts_.size(); ++i) {
    if (start.distance[i] <= floor) right = std::max(right, lengths_[i]);
    if (start.distance[i] > floor && (wrong == texts_.size() || lengths_[i] < lengths_[wrong])) wrong = i;
  }
  if (wrong == texts_.size() || right == 0 || lengths_[wrong] < right) return std::nullopt;
  // Exact ends it; what comes near (the rest may be rounding) is kept, the nearest of it.
  std::optional<Trial> near;
  const auto done = [&](std::optional<Trial> trial) {
    if (!trial || trial->worst > floor) return false;
    const bool exact = trial->worst <= kExactDistance;
    if (!near || trial->worst < near->worst) near = std::move(trial);
    return exact;
  };
  int64_t budget = kEstimateTokens;
  const std::clock_t stop = std::clock() + static_cast<std::clock_t>(kEstimateSeconds * CLOCKS_PER_SEC);
  const auto free = [&](std::string_view cause) {
    return std::none_of(start.hypotheses.begin(), start.hypotheses.end(),
                        [&](const Hypothesis* h) { return h->cause == cause; });
  };
  const bool limited = free("max-length");
  if (limited && lengths_[wrong] == lab_->traits().max_length) {
    size_t longest = wrong;  // a shorter one may be read whole
    for (size_t i = 0; i < texts_.size(); ++i) {
      if (start.distance[i] > floor && texts_[i].size() > texts_[longest].size()) longest = i;
    }
    if (done(NearestLength(start.hypotheses, lengths_[wrong] + 1, WholeLength(longest), longest))) {
      return TryAll(near->hypotheses);
    }
    budget = kEstimateTokens;
  }
  const auto around = static_cast<int64_t>(lab_->ids().prefix.size() + lab_->ids().suffix.size());
  if (!free("chunk-averaging")) return std::nullopt;
  for (const int64_t length : RoundFirst(std::max(right, around + 1), lengths_[wrong] - 1)) {
    if (!limited || budget < 0 || Late()) break;
    budget -= length;
    if (done(TryMade(start.hypotheses, std::nullopt, MaxLengthRow(length), {wrong}))) return TryAll(near->hypotheses);
  }
  budget = kEstimateTokens;
  for (const int64_t size : RoundFirst(std::max<int64_t>(right - around, 4), lengths_[wrong] - around)) {
    std::vector<int64_t> overlaps = {0, size / 10, size / 5, size / 4, size / 2, 10, 16, 20, 32, 50, 64, 100, 128};
    std::sort(overlaps.begin(), overlaps.end());
    overlaps.erase(std::unique(overlaps.begin(), overlaps.end()), overlaps.end());
    for (const int64_t overlap : overlaps) {
      if (overlap >= size) continue;
      for (const int kind : {0, 1, 2, 3}) {
        const Chunks chunks = {size, overlap, (kind & 1) != 0, (kind & 2) != 0};
        if (chunks.raw && !lab_->traits().normalizes) continue;
        if (done(TryMade(start.hypotheses, std::nullopt, ChunkRow(chunks), {wrong}))) return TryAll(near->hypotheses);
      }
      budget -= lengths_[wrong] - size + 1 + overlap;
    }
    budget -= size;
    if (budget < 0 || Late() || std::clock() > stop) break;
  }
  return near ? TryAll(near->hypotheses) : std::nullopt;
}

// Only texts of more than some count of words or characters are wrong, whatever their tokens.
std::optional<Trial> Search::EstimateTextCut(const Trial& start) {
  const double floor = FloorOf(start);
  size_t wrong = texts_.size();
  for (size_t i = 0; i < texts_.size(); ++i) {
    const bool shorter = wrong == texts_.size() || texts_[i].size() < texts_[wrong].size();
    if (start.distance[i] > floor && shorter) wrong = i;
  }
  const bool taken = std::any_of(start.hypotheses.begin(), start.hypotheses.end(),
                                 [](const Hypothesis* h) { return h->edit.text != nullptr; });
  if (wrong == texts_.size() || taken) return std::nullopt;
  std::optional<Trial> near;
  for (const bool words : {true, false}) {
    const auto [low, high] = Between(start, floor, words);
    if (low < 2) continue;  // no text is right
    int64_t budget = kEstimateTokens / 4;
    for (const int64_t count : RoundFirst(low, high)) {
      budget -= lengths_[wrong];
      if (budget < 0 || Late()) break;
      auto trial = TryMade(start.hypotheses, std::nullopt, TextCutRow(count, words), {wrong});
      if (!trial || trial->worst > std::min(floor, near ? near->worst : floor)) continue;
      near = std::move(trial);
      if (near->worst <= kExactDistance) return TryAll(near->hypotheses);
    }
  }
  return near ? TryAll(near->hypotheses) : std::nullopt;
}

// Only texts shorter than some length are wrong: unmasked padding up to a length between the two kinds.
std::optional<Trial> Search::EstimatePadding(const Trial& start) {
  const double floor = FloorOf(start);
  int64_t right = 0;
  size_t wrong = texts_.size();
  for (size_t i = 0; i < texts_.size(); ++i) {
    if (start.distance[i] <= floor) {
      right = right == 0 ? lengths_[i] : std::min(right, lengths_[i]);
    } else if (wrong == texts_.size() || lengths_[i] > lengths_[wrong]) {
      wrong = i;
    }
  }
  if (wrong == texts_.size() || right <= lengths_[wrong]) return std::nullopt;
  std::optional<Trial> near;
  int64_t budget = kEstimateTokens;
  for (const int64_t length : RoundFirst(lengths_[wrong] + 1, right)) {
    budget -= length;
    if (budget < 0 || Late()) break;
    auto trial = TryMade(start.hypotheses, std::nullopt, PaddedRow(length), {wrong});
    if (!trial || trial->worst > std::min(floor, near ? near->worst : floor)) continue;
    near = std::move(trial);
    if (near->worst <= kExactDistance) break;
  }
  return near ? TryAll(near->hypotheses) : std::nullopt;
}

// Every text is wrong: positions moved by more than the rows of their own have.
std::optional<Trial> Search::EstimateOffset(const Trial& start) {
  if (!start.hypotheses.empty() || lab_->ids().max_positions <= 0 || !lab_->traits().thetas.empty()) {
    return std::nullopt;
  }
  const std::vector<size_t> screen = Screen(start, 1);
  if (screen.empty() || start.median <= FloorOf(start)) return std::nullopt;
  for (int64_t shift = 3; shift <= kMostOffset && !Late(); ++shift) {
    for (const int64_t signed_shift : {shift, -shift}) {
      auto trial = TryMade(start.hypotheses, std::nullopt, PositionRow(signed_shift), screen);
      if (trial && trial->worst <= kExactDistance) return TryAll(trial->hypotheses);
    }
  }
  return std::nullopt;
}

// Rotary bases between those that have rows of their own, where no row comes nearer than the model's own base.
std::optional<Trial> Search::EstimateTheta(const Trial& start) {
  if (!start.hypotheses.empty() || start.worst <= FloorOf(start)) return std::nullopt;
  // The shortest of those that it leaves clearly wrong.
  size_t text = texts_.size();
  for (size_t i = 0; i < texts_.size(); ++i) {
    if (start.distance[i] < start.worst / 30) continue;
    if (text == texts_.size() || lengths_[i] < lengths_[text]) text = i;
  }
  for (const double theta : lab_->traits().thetas) {
    auto trial = TryMade({}, std::nullopt, ThetaRow(theta * 2, lab_->traits().thetas.size() > 1 ? theta : 0), {text});
    if (!trial) continue;
    auto tuned = TuneLog(*trial, 0, kLeastBase, kMostBase, text);
    if (tuned && tuned->worst <= kExactDistance) return tuned;
  }
  return std::nullopt;
}

// Steps through whole numbers for a text; the first that is exact wins, else the nearest that reaches the floor.
std::optional<Trial> Search::TuneWhole(const Trial& trial, size_t member, const std::vector<int64_t>& values,
                                       size_t text, int64_t cost) {
  const double floor = FloorOf(trial);
  std::optional<Trial> near;
  int64_t budget = kEstimateTokens;
  for (const int64_t value : values) {
    budget -= cost > 0 ? cost : value;
    if (budget < 0 || Late()) break;
    auto at = TryMade(trial.hypotheses, member, trial.hypotheses[member]->at(static_cast<double>(value)), {text});
    if (!at || at->worst > std::min(floor, near ? near->worst : floor)) continue;
    near = std::move(at);
    if (near->worst <= kExactDistance) break;
  }
  return near ? TryAll(near->hypotheses) : std::nullopt;
}

// A grid over the logarithm of the number, then golden sections round the best; a round number where it fits as well.
std::optional<Trial> Search::TuneLog(const Trial& trial, size_t member, double low, double high, size_t text) {
  const auto at = [&](double log) {
    auto t = TryMade(trial.hypotheses, member, trial.hypotheses[member]->at(std::exp(log)), {text});
    return t ? t->worst : 2.0;
  };
  const double step = 0.15;
  double best = std::log(low);
  double least = 2;
  for (double x = std::log(low); x <= std::log(high) && !Late(); x += step) {
    const double d = at(x);
    if (d < least) {
      least = d;
      best = x;
    }
  }
  double a = best - step;
  double b = best + step;
  double x1 = b - kGolden * (b - a);
  double x2 = a + kGolden * (b - a);
  double f1 = at(x1);
  double f2 = at(x2);
  while (b - a > 1e-7 && !Late()) {
    if (f1 < f2) {
      b = x2;
      x2 = x1;
      f2 = f1;
      x1 = b - kGolden * (b - a);
      f1 = at(x1);
    } else {
      a = x1;
      x1 = x2;
      f1 = f2;
      x2 = a + kGolden * (b - a);
      f2 = at(x2);
    }
  }
  const double found = std::exp((a + b) / 2);
  std::vector<size_t> all(texts_.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = i;
  for (const double digits : {1.0, 10.0, 100.0, 1000.0, 1e5}) {
    const double unit = std::pow(10, std::floor(std::log10(found))) / digits;
    auto t = TryMade(trial.hypotheses, member, trial.hypotheses[member]->at(std::round(found / unit) * unit), all);
    if (t && t->worst <= kExactDistance) return t;
  }
  return TryMade(trial.hypotheses, member, trial.hypotheses[member]->at(found), all);
}

Trial Search::Refine(Trial trial) {
  if (trial.worst <= kExactDistance || trial.distance.size() != texts_.size()) return trial;
  for (size_t m = 0; m < trial.hypotheses.size(); ++m) {
    const Hypothesis* h = trial.hypotheses[m];
    if (!h->at || Late() || !tuned_.insert(TuneKey(trial, m)).second) continue;
    // The shortest text that is clearly wrong.
    const double floor = FloorOf(trial);
    size_t text = texts_.size();
    int64_t longest_wrong = 0;
    int64_t shortest_right = int64_t{1} << 40;
    for (size_t i = 0; i < texts_.size(); ++i) {
      if (trial.distance[i] <= floor) continue;
      const bool telling = trial.distance[i] > trial.worst / 30;
      if (telling && (text == texts_.size() || std::abs(lengths_[i] - 12) < std::abs(lengths_[text] - 12))) text = i;
    }
    for (size_t i = 0; i < texts_.size(); ++i) {
      if (trial.distance[i] > floor) {
        longest_wrong = std::max(longest_wrong, lengths_[i]);
      } else {
        shortest_right = std::min(shortest_right, lengths_[i]);
      }
    }
    if (text == texts_.size()) continue;
    std::optional<Trial> better;
    if (h->parameter == "rope_theta") better = TuneLog(trial, m, kLeastBase, kMostBase, text);
    if (h->parameter == "factor") better = TuneLog(trial, m, 1.05, 64, text);
    if (h->parameter == "window_reach") {
      better = TuneWhole(trial, m, RoundFirst(1, std::min<int64_t>(lengths_[text], 512)), text, lengths_[text]);
    }
    if (h->parameter == "padded_length") {
      const int64_t high = std::min<int64_t>({shortest_right, 1024, longest_wrong * 2 + 64});
      better = TuneWhole(trial, m, RoundFirst(longest_wrong + 1, high), text, 0);
    }
    if (better && better->score < trial.score) trial = std::move(*better);
  }
  return trial;
}

std::string Search::TuneKey(const Trial& trial, size_t member) {
  std::string key = trial.hypotheses[member]->cause + "\n" + trial.hypotheses[member]->parameter;
  if (trial.hypotheses[member]->parameter == "rope_theta") {
    key += trial.hypotheses[member]->variant.substr(0, trial.hypotheses[member]->variant.find("->") + 1);
  }
  for (size_t i = 0; i < trial.hypotheses.size(); ++i) {
    if (i != member) key += "\n" + trial.hypotheses[i]->Name();
  }
  return key;
}

}  // namespace truevec
