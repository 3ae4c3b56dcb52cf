// What several texts in one request, or several requests at once, do to the vectors. Root causes R24 to R28, R34, R35,
// R44, R46.
#include <algorithm>
#include <cmath>

#include "verify/diagnose.h"

namespace truevec {
namespace {

constexpr double kRounding = 1e-4;

struct Fit {
  const Hypothesis* hypothesis = nullptr;
  double worst = 2, mean = 2;
};

std::vector<std::string> TextsOf(const Observations& o, const Asked& asked) {
  std::vector<std::string> texts;
  for (const size_t i : asked.texts) texts.push_back(o.texts[i]);
  return texts;
}

std::vector<Vector> SinglesOf(const Observations& o, const Asked& asked) {
  std::vector<Vector> singles;
  for (const size_t i : asked.texts) singles.push_back(o.singles[i]);
  return singles;
}

// Batches that show the effect: all hypotheses on the first that differs, the best again on the others.
class BatchSearch {
 public:
  BatchSearch(const Observations& o, Lab* lab, const Combination& fitted, double floor)
      : o_(o), lab_(lab), fitted_(fitted), floor_(floor) {
    AddBatchHypotheses(lab->traits(), &rows_);
  }

  // The combination that gives `asked`, worst distance.
  Fit Try(const Hypothesis* h, const Asked& asked) {
    Combination both = fitted_;
    if (h != nullptr) {
      std::erase_if(both, [&](const Hypothesis* x) { return x->cause == h->cause; });
      both.push_back(h);
    }
    Fit fit;
    fit.hypothesis = h;
    const auto vectors = lab_->Run(TextsOf(o_, asked), both);
    if (!vectors.ok()) return fit;
    const Comparison c = Compare(*vectors, asked.vectors);
    fit.worst = c.worst;
    fit.mean = c.mean;
    return fit;
  }

  std::vector<Fit> Rank(const Asked& asked) {
    std::vector<Fit> fits;
    for (const Hypothesis& h : rows_) fits.push_back(Try(&h, asked));
    std::stable_sort(fits.begin(), fits.end(), [](const Fit& a, const Fit& b) { return a.mean < b.mean; });
    return fits;
  }
  double floor() const { return floor_; }

  // How far what `h` does to a batch lies in the direction of what the target's batch does to its own single answers,
  // 1 for the same; 0 where the sizes differ. For targets whose rounding hides more than the floor.
  double Direction(const Hypothesis& h, const Asked& asked) {
    Combination both = fitted_;
    std::erase_if(both, [&](const Hypothesis* x) { return x->cause == h.cause; });
    both.push_back(&h);
    const auto simulated = lab_->Run(TextsOf(o_, asked), both);
    const auto alone = lab_->Run(TextsOf(o_, asked), fitted_);
    if (!simulated.ok() || !alone.ok()) return 0;
    const std::vector<Vector> singles = SinglesOf(o_, asked);
    double xy = 0;
    double xx = 0;
    double yy = 0;
    for (size_t i = 0; i < singles.size(); ++i) {
      if ((*simulated)[i].size() != asked.vectors[i].size()) return 0;
      const double norms[] = {Norm((*simulated)[i]), Norm((*alone)[i]), Norm(asked.vectors[i]), Norm(singles[i])};
      for (size_t d = 0; d < singles[i].size(); ++d) {
        const double x = (*simulated)[i][d] / norms[0] - (*alone)[i][d] / norms[1];
        const double y = asked.vectors[i][d] / norms[2] - singles[i][d] / norms[3];
        xy += x * y;
        xx += x * x;
        yy += y * y;
      }
    }
    return xx > 2 * yy || yy > 2 * xx || xx == 0 ? 0 : xy / std::sqrt(xx * yy);
  }
  const Hypotheses& rows() const { return rows_; }

 private:
  const Observations& o_;
  Lab* lab_;
  const Combination& fitted_;
  double floor_;
  Hypotheses rows_;
};

bool Permuted(const Observations& o, const Asked& asked, Diagnosis* d, double worst) {
  const std::vector<int> match = MatchRows(SinglesOf(o, asked), asked.vectors, 1e-5);
  if (std::find(match.begin(), match.end(), -1) != match.end()) return false;
  std::vector<int> sorted = match;
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  const double share = static_cast<double>(sorted.size()) / static_cast<double>(match.size());
  if (share < 0.9) {
    AddCause(d, "constant-output", "in batches", 0.95,
             "in a batch of " + std::to_string(match.size()) + " texts only " + std::to_string(sorted.size()) +
                 " different vectors came back",
             1 - worst, 1 - worst);
    return true;
  }
  std::string shown;
  for (size_t i = 0; i < std::min<size_t>(6, match.size()); ++i) shown += (i > 0 ? " " : "") + std::to_string(match[i]);
  AddCause(d, "permuted-results", "", 0.99,
           "a batch returns the right vectors in another order: places hold texts " + shown + " …", 1 - worst, 1);
  return true;
}

// A text whose answer changed while others were asked at the same time: unmasked padding of some length, or a mask that
// depends on company.
void Concurrent(const Evidence& e, Lab* lab, const Combination& fitted, double floor, Diagnosis* d) {
  const Observations& o = *e.seen;
  size_t changed = 0;
  double worst = 0;
  const Asked* shown = nullptr;
  for (const Asked& asked : o.concurrent) {
    const double distance = AnswerDistance(o.singles[asked.texts[0]], asked.vectors[0]);
    if (distance <= std::max(1e-6, floor)) continue;
    ++changed;
    if (distance > worst) shown = &asked;
    worst = std::max(worst, distance);
  }
  if (shown == nullptr) return;
  std::vector<Vector> answers;
  for (const Asked& asked : o.concurrent) answers.push_back(asked.vectors[0]);
  const std::vector<int> match = MatchRows(o.singles, answers, std::max(1e-5, floor));
  if (worst > kRounding && std::find(match.begin(), match.end(), -1) == match.end()) {
    AddCause(d, "permuted-results", "concurrent requests", 0.97,
             std::to_string(changed) + " of " + std::to_string(o.concurrent.size()) +
                 " requests that run at the same time get the vector of another one's text",
             1 - worst, 1);
    return;
  }
  const std::string says = std::to_string(changed) + " of " + std::to_string(o.concurrent.size()) +
                           " texts get other vectors when other requests run at the same time";
  if (worst <= kRounding) {
    AddCause(d, "batch-numerics", "concurrent requests", 0.8, says + ", by rounding", 1 - worst, 1 - worst);
    return;
  }
  if (lab != nullptr) {
    const std::string& text = o.texts[shown->texts[0]];
    for (int pads = 1; pads <= 512; pads = pads < 64 ? pads + 1 : pads + 16) {
      Hypothesis padded;
      padded.cause = "padding-attended";
      padded.variant = std::to_string(pads) + " pads";
      padded.edit.ids = [pads](const Part& part, const IdContext& c) {
        std::vector<int32_t> ids = part.text.ids;
        const size_t real = ids.size();
        ids.resize(real + static_cast<size_t>(pads), c.pad);
        Part out = WithIds(part, std::move(ids));
        out.text.pooling_mask.assign(out.text.ids.size(), 0);
        std::fill_n(out.text.pooling_mask.begin(), real, uint8_t{1});
        return std::vector<Part>{out};
      };
      Combination both = fitted;
      both.push_back(&padded);
      const auto vectors = lab->Run({text}, both);
      if (!vectors.ok()) break;
      if (CosineDistance((*vectors)[0], shown->vectors[0]) > std::max(kExactDistance, floor)) continue;
      AddCause(d, "padding-attended", "concurrent requests", 0.95,
               says + "; " + padded.variant + " that are attended to give them", 1 - worst, 1);
      return;
    }
    for (const bool causal : {true, false}) {
      Hypothesis mask;
      mask.cause = causal ? "causal-mask" : "bidirectional-mask";
      mask.edit.simulation = [causal](Simulation* s) {
        s->attention = [causal](AttentionSpec* a) { a->causal = causal; };
      };
      Combination both = fitted;
      both.push_back(&mask);
      const auto vectors = lab->Run({text}, both);
      if (!vectors.ok() || CosineDistance((*vectors)[0], shown->vectors[0]) > std::max(kExactDistance, floor)) continue;
      AddCause(d, mask.cause, "concurrent requests", 0.95,
               says + "; " + (causal ? "a" : "no") + " causal mask gives them", 1 - worst, 1);
      return;
    }
  }
  Cause* unknown = AddCause(d, "unknown", "", 0, says, 1 - worst, 1 - worst);
  unknown->evidence.push_back(
      "a leak between requests, padding or another mask; none that was tried gives these vectors");
}

bool ClaimByDirection(const Observations& o, Lab* lab, const Combination& fitted, double floor, const Asked& asked,
                      Diagnosis* d) {
  const auto alone = lab->Run(TextsOf(o, asked), fitted);
  if (!alone.ok()) return false;
  const std::vector<Vector> singles = SinglesOf(o, asked);
  const Comparison rounding = Compare(*alone, singles);
  const double moved = Compare(singles, asked.vectors).mean;
  if (rounding.worst <= floor || rounding.worst > 5e-2 || moved < 3 * rounding.mean) return false;
  BatchSearch search(o, lab, fitted, floor);
  const Hypothesis* best = nullptr;
  double most = 0;
  double rival = 0;
  for (const Hypothesis& h : search.rows()) {
    const double direction = search.Direction(h, asked);
    if (direction > most) {
      if (best != nullptr && best->cause != h.cause) rival = most;
      most = direction;
      best = &h;
    } else if (best != nullptr && best->cause != h.cause) {
      rival = std::max(rival, direction);
    }
  }
  if (best == nullptr || most < 0.9 || 1 - most > 0.3 * (1 - rival)) return false;
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", most);
  const double worst = Compare(singles, asked.vectors).worst;
  AddCause(d, best->cause, best->variant, 0.85,
           best->says + " as far as the target's rounding lets see: correlation of what a batch changes " + text,
           1 - worst, 1 - worst);
  return true;
}

// Less than what the target's claimed rounding does to single answers: int8 and narrow floats round otherwise in other
// shapes of a product.
bool WithinRounding(const Observations& o, Lab* lab, const Combination& fitted, const Asked& asked,
                    const Diagnosis& d) {
  const bool rounds = std::any_of(d.causes.begin(), d.causes.end(), [](const Cause& cause) {
    return cause.id.starts_with("precision-") || cause.id == "weight-quantization";
  });
  if (!rounds) return false;
  const auto alone = lab->Run(TextsOf(o, asked), fitted);
  if (!alone.ok()) return false;
  const std::vector<Vector> singles = SinglesOf(o, asked);
  const Comparison rounding = Compare(*alone, singles);
  const Comparison moved = Compare(singles, asked.vectors);
  return moved.worst <= rounding.worst && moved.mean <= rounding.mean;
}

}  // namespace

void BatchCauses(const Evidence& e, Lab* lab, const Combination& fitted, Diagnosis* d) {
  const Observations& o = *e.seen;
  if (!o.batch_error.empty()) d->notes.push_back("batches: " + o.batch_error);
  const double floor = std::max(kExactDistance, 10 * e.noise);
  const Asked* first = nullptr;
  double worst = 0;
  bool equal_only = true;
  std::vector<const Asked*> differing;
  for (const Asked& asked : o.batches) {
    const std::vector<Vector> singles = SinglesOf(o, asked);
    double distance = 0;
    for (size_t i = 0; i < singles.size(); ++i)
      distance = std::max(distance, AnswerDistance(singles[i], asked.vectors[i]));
    if (distance <= std::max(1e-6, floor)) continue;
    differing.push_back(&asked);
    equal_only = equal_only && asked.kind == "equal lengths";
    if (first == nullptr) first = &asked;
    worst = std::max(worst, distance);
  }
  if (first == nullptr) {
    Concurrent(e, lab, fitted, floor, d);
    return;
  }
  const std::string kind = equal_only ? "batches of equal lengths" : "batches";
  if (worst <= kRounding) {
    AddCause(d, "batch-numerics", "", 0.8, kind + " differ from single requests by rounding", 1 - worst, 1 - worst);
    return;
  }
  if (Permuted(o, *first, d, worst)) return;
  if (lab != nullptr && e.reference != nullptr) {
    // Without some fault that single requests have: the fault is theirs alone.
    for (size_t i = 0; i <= fitted.size() && !fitted.empty(); ++i) {
      Combination fewer = fitted;
      if (i < fitted.size()) {
        fewer.erase(fewer.begin() + static_cast<ptrdiff_t>(i));
      } else {
        fewer.clear();
      }
      const auto vectors = lab->Run(TextsOf(o, *first), fewer);
      if (!vectors.ok() || Compare(*vectors, first->vectors).worst > floor) continue;
      for (Cause& cause : d->causes) {
        if (i == fitted.size() || cause.id == fitted[i]->cause)
          cause.evidence.push_back("only in requests of one text: batches are right");
      }
      return;
    }
    BatchSearch search(o, lab, fitted, floor);
    const std::vector<Fit> fits = search.Rank(*first);
    const Fit& best = fits.front();
    bool holds = best.worst <= floor ||
                 (best.worst <= 5e-3 && best.mean * 30 < Compare(SinglesOf(o, *first), first->vectors).mean);
    double after = best.worst;
    for (const Asked* asked : differing) {
      const Fit again = search.Try(best.hypothesis, *asked);
      holds = holds && again.worst <= std::max(floor, best.worst * 10);
      after = std::max(after, again.worst);
    }
    double rival = 2;
    for (const Fit& fit : fits) {
      if (fit.hypothesis->cause != best.hypothesis->cause) rival = std::min(rival, fit.mean);
    }
    if (holds && best.mean * 20 < rival) {
      AddCause(d, best.hypothesis->cause, best.hypothesis->variant, 0.97,
               best.hypothesis->says +
                   (equal_only ? " (only when all texts are of one length)" : "; single requests are right"),
               1 - worst, 1 - after);
      return;
    }
  }
  if (lab != nullptr && e.reference != nullptr && ClaimByDirection(o, lab, fitted, floor, *first, d)) return;
  const auto within = [&](const Asked* asked) { return WithinRounding(o, lab, fitted, *asked, *d); };
  if (lab != nullptr && e.reference != nullptr && std::all_of(differing.begin(), differing.end(), within)) {
    AddCause(d, "batch-numerics", "", 0.7, kind + " differ from single requests by less than its rounding does",
             1 - worst, 1 - worst);
    return;
  }
  Cause* unknown =
      AddCause(d, "unknown", "", 0, "vectors change with the texts beside them in " + kind, 1 - worst, 1 - worst);
  unknown->evidence.push_back("a leak, padding or a wrong row; none that was tried gives these vectors");
}

}  // namespace truevec
