// Token ids of another vocabulary: root cause R4. Where no cause fits, the id that a one-token text reached the model
// as is looked up: every id of the vocabulary is run, and the one that gives the target's vector names itself.
#include <algorithm>
#include <ctime>
#include <optional>

#include "verify/diagnose.h"

namespace truevec {
namespace {

constexpr double kSeconds = 15;  // of CPU time, for one text
constexpr size_t kAtOnce = 512;
constexpr size_t kTexts = 2;
constexpr size_t kOwnIdTexts = 3;

struct Found {
  int32_t id = 0;
  bool bare = false;  // without special tokens
};

// The only id that gives `target` in place of a one-token text; nullopt: none, several, or the time is over.
std::optional<Found> Look(Lab* lab, const Vector& target, double floor) {
  const IdContext& c = lab->ids();
  const int32_t most = c.tokenizer->max_id();
  const std::clock_t deadline = std::clock() + static_cast<std::clock_t>(kSeconds * CLOCKS_PER_SEC);
  std::optional<Found> found;
  for (const bool bare : {false, true}) {
    if (bare && c.prefix.empty() && c.suffix.empty()) continue;
    for (int32_t first = 0; first <= most; first += static_cast<int32_t>(kAtOnce)) {
      std::vector<std::vector<int32_t>> batch;
      for (int32_t id = first; id <= std::min<int32_t>(most, first + static_cast<int32_t>(kAtOnce) - 1); ++id) {
        batch.push_back(bare ? std::vector<int32_t>{id} : Join(c.prefix, {id}, c.suffix));
      }
      const auto vectors = lab->RunIds(batch);
      if (!vectors.ok()) break;  // fewer rows in the model than ids in the tokenizer
      for (size_t i = 0; i < vectors->size(); ++i) {
        if (CosineDistance((*vectors)[i], target) > floor) continue;
        if (found) return std::nullopt;
        found = Found{first + static_cast<int32_t>(i), bare};
      }
      if (std::clock() > deadline) return std::nullopt;
    }
    if (found) return found;
  }
  return std::nullopt;
}

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
  if (c.tokenizer == nullptr || c.prompt_tokens > 0 || !d->comparison.same_dimension) return false;
  const size_t around = c.prefix.size() + c.suffix.size();
  const double floor = std::max(kExactDistance, 10 * e.noise);
  std::string says;
  size_t names = 0;
  size_t looked = 0;
  for (size_t i = 0; i < o.texts.size() && looked < kTexts; ++i) {
    const auto ids = lab->Ids({o.texts[i]}, {});
    if (!ids.ok() || (*ids)[0].size() != around + 1) continue;
    ++looked;
    const int32_t own = (*ids)[0][c.prefix.size()];
    const auto found = Look(lab, o.singles[i], floor);
    if (!found) continue;
    if (found->id == own || c.tokenizer->IsSpecial(found->id)) return false;
    ++names;
    says += (says.empty() ? "" : "; ") + ("\"" + o.texts[i] + "\" reached the model as token ") +
            std::to_string(found->id) + " (\"" + c.tokenizer->IdToToken(found->id).value_or("") + "\") instead of " +
            std::to_string(own) + (found->bare ? ", without special tokens" : "");
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
