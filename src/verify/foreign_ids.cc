// Token ids of another vocabulary: root cause R4. Where no cause fits, the id that a one-token text reached the model
// as is looked up: every id of the vocabulary is run, and the one that gives the target's vector names itself.
#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>
#include <numeric>
#include <optional>

#include "verify/diagnose.h"
#include "verify/likely_ids.h"

namespace truevec {
namespace {

constexpr double kSeconds = 1.2;  // of CPU time, for one text in one place
constexpr size_t kAtOnce = 512;
constexpr size_t kTexts = 2;
constexpr size_t kOwnIdTexts = 3;
constexpr int32_t kSample = 768;           // ids from which the way back is learnt
constexpr size_t kSmallVocabulary = 6000;  // searched as a whole

// What stands around the one token: the prompt too, the special tokens, nothing.
enum Around { kPrompted, kSpecials, kBare };
constexpr const char* kAroundSays[] = {"", ", without the prompt", ", without special tokens"};

struct Found {
  int32_t id = 0;
  Around around = kPrompted;
};

// One-token texts by id, as the model sees them.
class Vocabulary {
 public:
  // `own`: a one-token text as the reference feeds it, the token at `place`.
  Vocabulary(Lab* lab, const std::vector<int32_t>& own, size_t place) : lab_(lab), table_(lab->TokenTable()) {
    before_.assign(own.begin(), own.begin() + static_cast<ptrdiff_t>(place));
    after_.assign(own.begin() + static_cast<ptrdiff_t>(place) + 1, own.end());
  }

  // The only id that gives `target` in place of a one-token text; nullopt: none, several, or the time is over.
  std::optional<Found> Look(const Vector& target, double floor) {
    const IdContext& c = lab_->ids();
    for (const Around around : {kPrompted, kSpecials, kBare}) {
      if (around == kSpecials && c.prompt_tokens == 0) continue;
      if (around == kBare && c.prefix.empty() && c.suffix.empty()) continue;
      bool several = false;
      const auto found = LookAmong(Order(around, target), around, target, floor, &several);
      if (found || several) return found;
    }
    return std::nullopt;
  }

 private:
  Result<std::vector<Vector>> Run(const std::vector<int32_t>& ids, Around around) {
    const IdContext& c = lab_->ids();
    std::vector<std::vector<int32_t>> batch;
    for (const int32_t id : ids) {
      batch.push_back(around == kBare       ? std::vector<int32_t>{id}
                      : around == kSpecials ? Join(c.prefix, {id}, c.suffix)
                                            : Join(before_, {id}, after_));
    }
    return lab_->RunIds(batch);
  }

  std::vector<int32_t> Order(Around around, const Vector& target) {
    const int32_t most = lab_->ids().tokenizer->max_id();
    std::vector<int32_t> all;
    for (int32_t id = 0; id <= most; ++id) all.push_back(id);
    if (table_.rows == 0 || all.size() <= kSmallVocabulary) return all;
    if (sample_.empty()) {
      const int32_t step = (most + 1) / kSample;
      for (int32_t id = step / 2; id <= most; id += step) sample_.push_back(id);
      sample_.resize(std::min<size_t>(sample_.size(), kSample));
    }
    if (learnt_[around].empty()) {
      auto vectors = Run(sample_, around);
      if (!vectors.ok()) return all;
      learnt_[around] = std::move(*vectors);
    }
    return LikelyIds(table_, most, sample_, learnt_[around], target);
  }

  std::optional<Found> LookAmong(const std::vector<int32_t>& order, Around around, const Vector& target, double floor,
                                 bool* several) {
    const std::clock_t deadline = std::clock() + static_cast<std::clock_t>(kSeconds * CLOCKS_PER_SEC);
    std::optional<Found> found;
    for (size_t first = 0; first < order.size() && !found; first += kAtOnce) {
      const auto begin = order.begin() + static_cast<ptrdiff_t>(first);
      const std::vector<int32_t> ids(begin, begin + static_cast<ptrdiff_t>(std::min(kAtOnce, order.size() - first)));
      const auto vectors = Run(ids, around);
      if (!vectors.ok()) break;  // fewer rows in the model than ids in the tokenizer
      for (size_t i = 0; i < vectors->size(); ++i) {
        if (CosineDistance((*vectors)[i], target) > floor) continue;
        *several = found.has_value();
        if (*several) return std::nullopt;
        found = Found{ids[i], around};
      }
      if (std::clock() > deadline) break;
    }
    return found;
  }

  Lab* lab_;
  Table table_;
  std::vector<int32_t> sample_;
  std::array<std::vector<Vector>, 3> learnt_;
  std::vector<int32_t> before_, after_;
};

// With ids in place of text: says whether the fault lies before the model.
void AskOwnIds(const Evidence& e, Lab* lab, Target* target, Cause* cause) {
  size_t asked = 0;
  for (size_t i = 0; i < e.seen->texts.size() && asked < kOwnIdTexts; ++i) {
    const auto ids = lab->Ids({e.seen->texts[i]}, {});
    if (!ids.ok() || CosineDistance((*e.reference)[i], e.seen->singles[i]) <= 1e-3) continue;
    const auto reply = target->EmbedIds((*ids)[0]);
    if (!reply.ok() || CosineDistance((*e.reference)[i], *reply) > 1e-4) return;
    ++asked;
  }
  if (asked == 0) return;
  cause->evidence.push_back(
      "asked with the reference's own token ids the target gives the reference's vectors: the "
      "fault lies before the model, in the text or its tokens");
}

}  // namespace

bool ForeignIds(const Evidence& e, Lab* lab, Diagnosis* d) {
  const Observations& o = *e.seen;
  const IdContext& c = lab->ids();
  if (c.tokenizer == nullptr || !d->comparison.same_dimension) return false;
  const size_t place = c.prefix.size() + static_cast<size_t>(c.prompt_tokens);
  const double floor = std::max(kExactDistance, 10 * e.noise);
  std::string says;
  size_t names = 0;
  size_t looked = 0;
  std::optional<Vocabulary> vocabulary;
  // A single character is one token in most vocabularies.
  std::vector<size_t> order(o.texts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return o.texts[a].size() < o.texts[b].size(); });
  for (const size_t i : order) {
    if (looked == kTexts) break;
    const auto ids = lab->Ids({o.texts[i]}, {});
    if (!ids.ok() || (*ids)[0].size() != place + 1 + c.suffix.size()) continue;
    ++looked;
    const int32_t own = (*ids)[0][place];
    if (!vocabulary) vocabulary.emplace(lab, (*ids)[0], place);
    const auto found = vocabulary->Look(o.singles[i], floor);
    if (!found) break;
    if (found->id == own || c.tokenizer->IsSpecial(found->id)) return false;
    ++names;
    says += (says.empty() ? "" : "; ") + ("\"" + o.texts[i] + "\" reached the model as token ") +
            std::to_string(found->id) + " (\"" + c.tokenizer->IdToToken(found->id).value_or("") + "\") instead of " +
            std::to_string(own) + kAroundSays[found->around];
  }
  if (names == 0) return false;
  AddCause(d, "foreign-token-ids", "", names > 1 ? 0.95 : 0.8, says + ": ids of another vocabulary",
           1 - d->comparison.worst, 1 - d->comparison.worst);
  return true;
}

void ExplainUnknown(const Evidence& e, Lab* lab, Target* target, Diagnosis* d) {
  for (Cause& cause : d->causes) {
    if (cause.id == "unknown") AskOwnIds(e, lab, target, &cause);
  }
}

}  // namespace truevec
