// Token ids of another vocabulary: root cause R4. Where no cause fits, the id that a one-token text reached the model
// as is looked up: every id of the vocabulary is run, and the one that gives the target's vector names itself.
#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>
#include <numeric>
#include <optional>

#include "verify/diagnose.h"

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

double Dot(const float* a, const float* b, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

// Solves (k + ridge I) x = b in place, k symmetric [n, n]: Cholesky.
std::vector<double> SolveRidge(std::vector<double> k, std::vector<double> b) {
  const size_t n = b.size();
  double trace = 0;
  for (size_t i = 0; i < n; ++i) trace += k[i * n + i];
  for (size_t i = 0; i < n; ++i) k[i * n + i] += 1e-3 * trace / static_cast<double>(n) + 1e-12;
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      double sum = k[i * n + j];
      for (size_t p = 0; p < j; ++p) sum -= k[i * n + p] * k[j * n + p];
      k[i * n + j] = i == j ? std::sqrt(std::max(sum, 1e-300)) : sum / k[j * n + j];
    }
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t p = 0; p < i; ++p) b[i] -= k[i * n + p] * b[p];
    b[i] /= k[i * n + i];
  }
  for (size_t i = n; i-- > 0;) {
    for (size_t p = i + 1; p < n; ++p) b[i] -= k[p * n + i] * b[p];
    b[i] /= k[i * n + i];
  }
  return b;
}

Vector Unit(const Vector& v) {
  Vector unit = v;
  const double norm = Norm(v);
  for (float& x : unit) x = norm == 0 ? x : static_cast<float>(x / norm);
  return unit;
}

// All ids, those first whose embedding is most like the one that a ridge regression from vectors to embeddings, learnt
// on `sample`, gives for `target`: the way back through the model.
std::vector<int32_t> MostLikely(const Table& table, int32_t most, const std::vector<int32_t>& sample,
                                const std::vector<Vector>& vectors, const Vector& target) {
  const size_t n = sample.size();
  const size_t dims = target.size();
  Vector mean(dims);
  std::vector<Vector> x;
  for (const Vector& v : vectors) x.push_back(Unit(v));
  for (const Vector& v : x) {
    for (size_t d = 0; d < dims; ++d) mean[d] += v[d] / static_cast<float>(n);
  }
  Vector wanted = Unit(target);
  for (size_t d = 0; d < dims; ++d) wanted[d] -= mean[d];
  std::vector<double> right(n);
  std::vector<double> kernel(n * n);
  for (Vector& v : x) {
    for (size_t d = 0; d < dims; ++d) v[d] -= mean[d];
  }
  for (size_t i = 0; i < n; ++i) {
    right[i] = Dot(x[i].data(), wanted.data(), dims);
    for (size_t j = 0; j <= i; ++j) kernel[i * n + j] = kernel[j * n + i] = Dot(x[i].data(), x[j].data(), dims);
  }
  const std::vector<double> weights = SolveRidge(std::move(kernel), std::move(right));
  const auto cols = static_cast<size_t>(table.cols);
  const auto row = [&](int32_t id) { return table.values.data() + static_cast<size_t>(id) * cols; };
  Vector centre(cols);
  for (const int32_t id : sample) {
    for (size_t c = 0; c < cols; ++c) centre[c] += row(id)[c] / static_cast<float>(n);
  }
  Vector guess(cols);
  for (size_t i = 0; i < n; ++i) {
    for (size_t c = 0; c < cols; ++c) guess[c] += static_cast<float>(weights[i]) * (row(sample[i])[c] - centre[c]);
  }
  std::vector<std::pair<double, int32_t>> order;
  Vector centred(cols);
  for (int32_t id = 0; id <= most; ++id) {
    for (size_t c = 0; c < cols; ++c) centred[c] = row(id)[c] - centre[c];
    order.emplace_back(-Dot(centred.data(), guess.data(), cols) / std::max(Norm(centred), 1e-12), id);
  }
  std::sort(order.begin(), order.end());
  std::vector<int32_t> ids;
  for (const auto& [likeness, id] : order) ids.push_back(id);
  return ids;
}

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
    return MostLikely(table_, most, sample_, learnt_[around], target);
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
