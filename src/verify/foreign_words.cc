// Token ids of another vocabulary where the prompt's are foreign too, so that no text reaches the model as one unknown
// token: root cause R4. One word many times over drowns the prompt: the id that it reached the model as stands out as
// the one whose repetition is far nearer than any other's. What is found so must then foretell the vectors of two words
// in turn.
#include <algorithm>
#include <array>
#include <ctime>

#include "verify/diagnose.h"
#include "verify/likely_ids.h"

namespace truevec {
namespace {

constexpr double kSeconds = 5;  // of CPU time
constexpr int64_t kMostRepeats = 150;
constexpr int64_t kFewestRepeats = 32;
constexpr size_t kAtOnce = 64;
constexpr int32_t kSample = 256;
constexpr double kStandsOut = 2;   // times nearer than the second
constexpr double kForetells = 4;   // times nearer than with any other pair
constexpr size_t kCandidates = 5;  // words

constexpr std::array<const char*, 24> kWords = {"the", "of",   "and", "to",  "in",  "is",   "for", "that",
                                                "not", "with", "are", "as",  "be",  "by",   "it",  "on",
                                                "or",  "this", "an",  "can", "was", "from", "has", "new"};

std::string Repeat(const std::string& words, int64_t times) {
  std::string text;
  for (int64_t i = 0; i < times; ++i) text += (i > 0 ? " " : "") + words;
  return text;
}

struct Word {
  std::string word;
  Vector target;
  std::vector<int32_t> own;  // ids of its repetition
  int32_t id = -1;
  double nearest = 2, second = 2;
  int32_t second_id = -1;

  void See(int32_t candidate, double distance) {
    if (distance < nearest) {
      second = nearest;
      second_id = id;
      nearest = distance;
      id = candidate;
    } else if (distance < second) {
      second = distance;
      second_id = candidate;
    }
  }
  double Ratio() const { return second / std::max(nearest, 1e-12); }
};

class RepeatedWords {
 public:
  RepeatedWords(Lab* lab, Target* target, int64_t repeats) : lab_(lab), target_(target), repeats_(repeats) {}

  bool Ask() {
    for (const char* word : kWords) {
      auto reply = target_->Embed({Repeat(word, repeats_)}, {});
      const auto own = lab_->Ids({Repeat(word, repeats_)}, {});
      if (!reply.ok() || reply->vectors.empty() || !IsFinite(reply->vectors[0]) || !own.ok()) return false;
      words_.push_back({word, std::move(reply->vectors[0]), (*own)[0]});
    }
    return true;
  }

  // Runs ids, the likely ones of each word in turn first, until all are done or the time is over.
  void Search() {
    const std::clock_t deadline = std::clock() + static_cast<std::clock_t>(kSeconds * CLOCKS_PER_SEC);
    const int32_t most = lab_->ids().tokenizer->max_id();
    std::vector<int32_t> sample;
    const int32_t step = std::max(1, (most + 1) / kSample);
    for (int32_t id = step / 2; id <= most; id += step) sample.push_back(id);
    std::vector<Vector> vectors;
    if (!See(sample, &vectors)) return;
    std::vector<bool> seen(static_cast<size_t>(most) + 1);
    for (const int32_t id : sample) seen[static_cast<size_t>(id)] = true;
    const Table table = lab_->TokenTable();
    std::vector<std::vector<int32_t>> orders;
    for (const Word& word : words_) {
      if (table.rows == 0) break;
      orders.push_back(LikelyIds(table, most, sample, vectors, word.target));
    }
    if (orders.empty()) {
      orders.emplace_back();
      for (int32_t id = 0; id <= most; ++id) orders[0].push_back(id);
    }
    std::vector<int32_t> batch;
    for (size_t rank = 0; rank < orders[0].size(); ++rank) {
      for (const auto& order : orders) {
        if (seen[static_cast<size_t>(order[rank])]) continue;
        seen[static_cast<size_t>(order[rank])] = true;
        batch.push_back(order[rank]);
      }
      if (batch.size() < kAtOnce && rank + 1 < orders[0].size()) continue;
      if (!batch.empty() && !See(batch, nullptr)) return;
      batch.clear();
      if (std::clock() > deadline) return;
    }
  }

  // Words whose id stands out, is none of their own and no special token, and is no other word's; best first.
  std::vector<Word> Found() const {
    std::vector<Word> found;
    for (const Word& word : words_) {
      const bool own = std::find(word.own.begin(), word.own.end(), word.id) != word.own.end();
      const bool shared = std::any_of(words_.begin(), words_.end(), [&](const Word& other) {
        return other.word != word.word && other.id == word.id;
      });
      if (own || shared || word.Ratio() < kStandsOut || lab_->ids().tokenizer->IsSpecial(word.id)) continue;
      found.push_back(word);
    }
    std::stable_sort(found.begin(), found.end(), [](const Word& a, const Word& b) { return a.Ratio() > b.Ratio(); });
    found.resize(std::min(found.size(), kCandidates));
    return found;
  }

  // Whether the two ids in turn give the target's vector for the two words in turn, and no pair with another id does.
  bool Foretells(const Word& a, const Word& b) {
    const auto reply = target_->Embed({Repeat(a.word + " " + b.word, repeats_ / 2)}, {});
    if (!reply.ok() || reply->vectors.empty()) return false;
    const int32_t own_a = Usual(a.own);
    const int32_t own_b = Usual(b.own);
    const std::vector<std::array<int32_t, 2>> pairs = {{a.id, b.id},  {own_a, own_b},      {own_a, b.id},
                                                       {a.id, own_b}, {a.second_id, b.id}, {a.id, b.second_id},
                                                       {a.id, a.id},  {b.id, b.id}};
    std::vector<std::vector<int32_t>> batch;
    for (const auto& pair : pairs) {
      std::vector<int32_t> ids;
      for (int64_t i = 0; i < repeats_ / 2; ++i) ids.insert(ids.end(), pair.begin(), pair.end());
      batch.push_back(Join(lab_->ids().prefix, ids, lab_->ids().suffix));
    }
    const auto vectors = lab_->RunIds(batch);
    if (!vectors.ok()) return false;
    const double fits = CosineDistance((*vectors)[0], reply->vectors[0]);
    double other = 2;
    for (size_t i = 1; i < vectors->size(); ++i) {
      other = std::min(other, CosineDistance((*vectors)[i], reply->vectors[0]));
    }
    return fits * kForetells < other;
  }

 private:
  static int32_t Usual(const std::vector<int32_t>& ids) {
    return *std::max_element(ids.begin(), ids.end(), [&](int32_t a, int32_t b) {
      return std::count(ids.begin(), ids.end(), a) < std::count(ids.begin(), ids.end(), b);
    });
  }

  // Repetitions of `ids` against every word.
  bool See(const std::vector<int32_t>& ids, std::vector<Vector>* out) {
    for (size_t first = 0; first < ids.size(); first += kAtOnce) {
      std::vector<std::vector<int32_t>> batch;
      for (size_t i = first; i < std::min(ids.size(), first + kAtOnce); ++i) {
        const std::vector<int32_t> content(static_cast<size_t>(repeats_), ids[i]);
        batch.push_back(Join(lab_->ids().prefix, content, lab_->ids().suffix));
      }
      auto vectors = lab_->RunIds(batch);
      if (!vectors.ok()) return false;
      for (size_t i = 0; i < vectors->size(); ++i) {
        for (Word& word : words_) word.See(ids[first + i], CosineDistance((*vectors)[i], word.target));
      }
      if (out != nullptr) out->insert(out->end(), vectors->begin(), vectors->end());
    }
    return true;
  }

  Lab* lab_;
  Target* target_;
  int64_t repeats_;
  std::vector<Word> words_;
};

}  // namespace

bool ForeignWords(const Evidence& e, Lab* lab, Target* target, Diagnosis* d) {
  const IdContext& c = lab->ids();
  if (!target->HasBatches() || c.tokenizer == nullptr || c.prompt_tokens == 0 || !d->comparison.same_dimension) {
    return false;
  }
  // Where one text is right, its ids are.
  for (size_t i = 0; i < e.seen->texts.size(); ++i) {
    if (CosineDistance((*e.reference)[i], e.seen->singles[i]) <= 1e-4) return false;
  }
  const auto around = static_cast<int64_t>(c.prefix.size() + c.suffix.size()) + c.prompt_tokens;
  const int64_t repeats = std::min(kMostRepeats, (c.max_length > 0 ? c.max_length : kMostRepeats) - around);
  if (repeats < kFewestRepeats) return false;
  RepeatedWords words(lab, target, repeats);
  if (!words.Ask()) return false;
  words.Search();
  const std::vector<Word> found = words.Found();
  for (size_t i = 0; i + 1 < found.size(); ++i) {
    const Word& a = found[i];
    const Word& b = found[i + 1];
    if (!words.Foretells(a, b)) continue;
    const auto piece = [&](const Word& w) {
      return "\"" + w.word + "\" as token " + std::to_string(w.id) + " (\"" +
             c.tokenizer->IdToToken(w.id).value_or("") + "\")";
    };
    char ratios[96];
    std::snprintf(ratios, sizeof ratios, "%.0f and %.0f times nearer than any other id", a.Ratio(), b.Ratio());
    AddCause(d, "foreign-token-ids", "", 0.85,
             "repeated " + std::to_string(repeats) + " times, " + piece(a) + " and " + piece(b) +
                 " reached the model: " + ratios +
                 ", and in turn they give what the target answers for the two words "
                 "in turn; ids of another vocabulary, the prompt's too",
             1 - d->comparison.worst, 1 - d->comparison.worst);
    return true;
  }
  return false;
}

}  // namespace truevec
