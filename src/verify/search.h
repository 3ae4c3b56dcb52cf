// The search for the combination of hypotheses that gives the target's vectors. Singles first, on the probes that can
// show them; then combinations of up to three, grown from those that explain a subset of the texts; accepted only at
// the floor of float32 or of a rounding class, and only when every other cause is clearly worse.
#ifndef TRUEVEC_VERIFY_SEARCH_H_
#define TRUEVEC_VERIFY_SEARCH_H_

#include <ctime>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "verify/lab.h"

namespace truevec {

// 1 - cosine of two engines in float32, with room (measured: below 1e-10).
inline constexpr double kExactDistance = 1e-7;

struct Trial {
  Combination hypotheses;
  std::vector<double> distance;  // of each text that was tried
  double score = 0;              // mean log10 of the distances: falls with every text that is explained exactly
  double worst = 2, mean = 2, median = 2;
};

struct SearchResult {
  bool found = false;
  bool exact = false;    // to the float32 floor; else to a rounding class
  bool stopped = false;  // the time was over before all was tried
  Trial best;
  // Other causes that fit as well: they cannot be told apart on these texts.
  std::vector<const Hypothesis*> ties;
  std::vector<Trial> tried;  // on all texts, best first
};

// Residual classes of a difference that `fitted` leaves.
struct NumericResult {
  const Hypothesis* hypothesis = nullptr;
  double correlation = 0;  // of the target's residual with the simulated one
  double rival = 0;        // the largest correlation of another cause's
  double size = 0;         // of the simulated residual, in those of the target
  bool exact = false;      // the hypothesis reaches the float32 floor
  Trial trial;
};

class Search {
 public:
  // `target[i]` is the answer for texts[i] asked alone. All pointers outlive the search.
  Search(Lab* lab, std::vector<std::string> texts, std::vector<Vector> target);

  // Rows to try before all others. REQUIRES: before Run.
  void Prefer(Hypotheses rows);
  // Stops growing combinations after about `seconds` of CPU time.
  SearchResult Run(double seconds);
  // What rounding explains `worst`, the largest distance that `fitted` leaves. search_numeric.cc.
  NumericResult Numeric(const Combination& fitted, double worst);
  // One more row of rounding and other small effects, the first to be tried. REQUIRES: before Numeric and Run.
  void AddNumeric(Hypothesis row) { numeric_.insert(numeric_.begin(), std::move(row)); }
  // On all texts; nullopt when the model cannot have it.
  std::optional<Trial> TryAll(const Combination& h);
  const Hypotheses& hypotheses() const { return all_; }

 private:
  std::optional<Trial> TryOn(const Combination& h, const std::vector<size_t>& which);
  std::vector<size_t> Screen(const Trial& from, size_t count) const;
  // Whether `h` moves a text that `from` explains away: it is then no part of the explanation.
  bool Spoils(const Combination& h, const Trial& from);
  // TryAll, or on the short texts alone while no text is explained; the others then keep their distance in `from`.
  std::optional<Trial> TryWhole(const Trial& screened, const Trial& from);
  bool ChangesNothing(const Combination& start, const Hypothesis& next, const std::vector<size_t>& which);
  std::vector<size_t> Changed(const Combination& start, const Hypothesis& next, const std::vector<size_t>& screen);
  std::vector<Trial> Extend(const Trial& start);
  std::vector<Trial> Pairs();
  double FloorOf(const Trial& from) const;
  bool Settle(SearchResult* result);
  void Deepen(SearchResult* result);
  // search_numeric.cc
  struct NumericTexts;
  struct NumericHunt;
  std::optional<NumericTexts> TextsFor(const Combination& fitted);
  NumericResult FindNumeric(const Combination& fitted, double worst);
  NumericResult TryNumeric(const NumericTexts& texts, const Hypothesis& row);
  std::optional<Trial> TuneNumeric(const NumericTexts& texts, NumericResult* best);
  double SizeOff(const NumericTexts& texts, const NumericResult& yardstick, const Hypothesis& row);
  std::vector<const Hypothesis*> OfThatSize(const NumericTexts& texts, const NumericResult& yardstick, bool small);
  // search_estimate.cc
  Trial Refine(Trial trial);
  std::optional<Trial> EstimateLength(const Trial& start);
  std::optional<Trial> NearestLength(const Combination& start, int64_t low, int64_t high, size_t text);
  std::pair<int64_t, int64_t> Between(const Trial& start, double floor, bool words) const;
  int64_t WholeLength(size_t text) const;
  std::optional<Trial> EstimateTextCut(const Trial& start);
  std::optional<Trial> EstimatePadding(const Trial& start);
  std::optional<Trial> EstimateOffset(const Trial& start);
  std::optional<Trial> EstimateTheta(const Trial& start);
  // `row` added to `start`, or in place of its member `replaced`.
  std::optional<Trial> TryMade(const Combination& start, std::optional<size_t> replaced, Hypothesis row,
                               const std::vector<size_t>& which);
  std::optional<Trial> TuneWhole(const Trial& trial, size_t member, const std::vector<int64_t>& values, size_t text,
                                 int64_t cost);
  std::optional<Trial> TuneLog(const Trial& trial, size_t member, double low, double high, size_t text);
  static std::string TuneKey(const Trial& trial, size_t member);
  bool Late() const { return std::clock() > deadline_; }
  bool Accept(const Trial& trial) const;
  void Judge(const Trial& best, SearchResult* result);
  Trial DropNeedless(Trial trial);

  Lab* lab_;
  std::vector<std::string> texts_;
  std::vector<Vector> target_;
  std::vector<int64_t> lengths_;  // tokens
  Trial base_;
  std::clock_t deadline_ = 0;  // of this process's CPU time
  Hypotheses all_;
  Hypotheses numeric_;
  std::deque<Hypothesis> made_;  // by refining
  std::set<std::string> tuned_;  // what was refined already
  std::map<Combination, NumericResult> numeric_known_;
};

}  // namespace truevec

#endif  // TRUEVEC_VERIFY_SEARCH_H_
