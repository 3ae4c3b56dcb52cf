// Unigram: the segmentation with the highest sum of log probabilities (Kudo 2018, arXiv 1804.10959), in double, ties to
// the earliest start. Reference: huggingface/tokenizers tokenizers/src/models/unigram/{model,trie}.rs.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "tokenizer/double_array.h"
#include "tokenizer/token_model.h"
#include "tokenizer/utf8-inl.h"
#include "unicode/unicode.h"

namespace truevec {
namespace {

constexpr double kUnknownPenalty = 10.0;

// A byte trie in arrays: the children of a node are neighbours, sorted by label.
class ByteTrie {
 public:
  // `keys` sorted by bytes, values alongside.
  explicit ByteTrie(const std::vector<std::pair<std::string_view, int32_t>>& keys) {
    nodes_.push_back({});
    struct Range {
      size_t node, begin, end, depth;
    };
    std::vector<Range> queue = {{0, 0, keys.size(), 0}};
    for (size_t q = 0; q < queue.size(); ++q) {
      Range r = queue[q];
      while (r.begin < r.end && keys[r.begin].first.size() == r.depth) nodes_[r.node].value = keys[r.begin++].second;
      nodes_[r.node].first = static_cast<uint32_t>(nodes_.size());
      for (size_t i = r.begin; i < r.end;) {
        const auto label = static_cast<uint8_t>(keys[i].first[r.depth]);
        size_t j = i;
        while (j < r.end && static_cast<uint8_t>(keys[j].first[r.depth]) == label) ++j;
        queue.push_back({nodes_.size(), i, j, r.depth + 1});
        nodes_.push_back({0, -1, 0, label});
        ++nodes_[r.node].count;
        i = j;
      }
    }
  }

  // Calls hit(length, value) for every key that is a prefix of `text`, shortest first.
  template <typename Hit>
  void Prefixes(std::string_view text, Hit hit) const {
    const Node* node = nodes_.data();
    for (size_t i = 0; i < text.size(); ++i) {
      const auto label = static_cast<uint8_t>(text[i]);
      const Node* begin = nodes_.data() + node->first;
      const Node* end = begin + node->count;
      const Node* child = std::lower_bound(begin, end, label, [](const Node& n, uint8_t l) { return n.label < l; });
      if (child == end || child->label != label) return;
      node = child;
      if (node->value >= 0) hit(i + 1, node->value);
    }
  }

 private:
  struct Node {
    uint32_t first = 0;
    int32_t value = -1;
    uint16_t count = 0;
    uint8_t label = 0;
  };
  std::vector<Node> nodes_;
};

// What the form on bytes reads; the model owns it.
struct UnigramView {
  const std::vector<std::pair<std::string, double>>& pieces;
  const Vocabulary& vocabulary;
  const int32_t* byte_ids;  // 256 ids of <0xNN>, or -1
  int32_t unk_id;
  bool byte_fallback;
  double unk_score;
};

// The same Viterbi search over a double array with the scores in it.
class UnigramEncoder : public WordEncoder {
 public:
  explicit UnigramEncoder(const UnigramView& model) : model_(model) {
    std::vector<std::string_view> keys;
    for (const auto& [piece, id] : model.vocabulary) {
      if (!piece.empty()) keys.push_back(piece);
    }
    std::sort(keys.begin(), keys.end());
    std::vector<double> scores;
    std::vector<int32_t> ids;
    for (const std::string_view key : keys) {
      ids.push_back(model.vocabulary.find(key)->second);
      scores.push_back(model.pieces[static_cast<size_t>(ids.back())].second);
    }
    std::vector<uint32_t> units;
    trie_ = DoubleArray<double>(keys, scores, kNoScore, &units);
    ids_.resize(trie_.size(), -1);
    for (size_t i = 0; i < keys.size(); ++i) ids_[units[i]] = ids[i];
  }

  void Encode(std::string_view word, ModelScratch* scratch, IdBuffer* out) const override {
    ModelScratch::Place* const places = Search(word, scratch);
    // From the end: the id of a piece, or -1 for a run of unknown characters; where it begins and ends.
    PodBuffer<ModelScratch::Symbol>& path = scratch->symbols;
    path.clear();
    bool open = false;  // the last part is a run of unknown characters
    for (auto end = static_cast<uint32_t>(word.size()); end > 0;) {
      const ModelScratch::Place& place = places[end];
      const bool unknown = place.unit == kUnknown || ids_[place.unit] == model_.unk_id;
      if (unknown && open) {
        path[path.size() - 1].previous = static_cast<int32_t>(place.start);
      } else {
        path.Push({unknown ? -1 : ids_[place.unit], static_cast<int32_t>(place.start), static_cast<int32_t>(end)});
      }
      open = unknown;
      end = place.start;
    }
    for (size_t i = path.size(); i-- > 0;) {
      const ModelScratch::Symbol& part = path[i];
      if (part.id >= 0) {
        out->Push(part.id);
      } else {
        const auto begin = static_cast<size_t>(part.previous);
        PutUnknown(word.substr(begin, static_cast<size_t>(part.next) - begin), out);
      }
    }
  }

 private:
  static constexpr double kNoScore = -std::numeric_limits<double>::infinity();
  static constexpr uint32_t kUnknown = UINT32_MAX;
  static constexpr uint32_t kUnreached = UINT32_MAX;

  // For each byte where a character ends, the best way to get there.
  ModelScratch::Place* Search(std::string_view word, ModelScratch* scratch) const {
    scratch->places.clear();
    ModelScratch::Place* const places = scratch->places.Room(word.size() + 1);
    for (size_t i = 0; i <= word.size(); ++i) places[i].start = kUnreached;
    places[0].score = 0;
    const char* const text = word.data();
    const auto size = static_cast<uint32_t>(word.size());
    for (uint32_t at = 0; at < size;) {
      unsigned length;
      DecodeAt(text + at, &length);
      const uint32_t next = at + length;
      const double here = places[at].score;
      bool single = false;
      uint32_t state = DoubleArray<double>::kRoot;
      for (uint32_t i = at; i < size;) {
        state = trie_.Step(state, text[i++]);
        if (state == DoubleArray<double>::kNone) break;
        const double score = trie_.value(state);
        if (score == kNoScore) continue;
        single = single || i == next;
        Relax(&places[i], score + here, at, state);
      }
      if (!single) Relax(&places[next], model_.unk_score + here, at, kUnknown);
      at = next;
    }
    return places;
  }
  static void Relax(ModelScratch::Place* place, double score, uint32_t start, uint32_t unit) {
    if (place->start == kUnreached || score > place->score) *place = {score, start, unit};
  }

  void PutUnknown(std::string_view part, IdBuffer* out) const {
    const auto byte_id = [this](char c) { return model_.byte_ids[static_cast<uint8_t>(c)]; };
    if (const auto found = model_.vocabulary.find(part); found != model_.vocabulary.end()) {
      out->Push(found->second);
    } else if (model_.byte_fallback && std::all_of(part.begin(), part.end(), [&](char c) { return byte_id(c) >= 0; })) {
      for (const char c : part) out->Push(byte_id(c));
    } else {
      out->Push(model_.unk_id);
    }
  }

  UnigramView model_;
  DoubleArray<double> trie_;
  std::vector<int32_t> ids_;  // by unit
};

class Unigram : public TokenModel {
 public:
  Unigram(std::vector<std::pair<std::string, double>> pieces, Vocabulary vocabulary, int32_t unk_id, bool byte_fallback)
      : pieces_(std::move(pieces)),
        vocabulary_(std::move(vocabulary)),
        trie_(SortedKeys()),
        unk_id_(unk_id),
        byte_fallback_(byte_fallback) {
    double lowest = std::numeric_limits<double>::infinity();
    for (const auto& [piece, score] : pieces_) lowest = std::min(lowest, score);
    unk_score_ = lowest - kUnknownPenalty;
    for (int byte = 0; byte < 256; ++byte) {
      char name[8];
      std::snprintf(name, sizeof name, "<0x%02X>", byte);
      byte_ids_[byte] = Find(name);
    }
  }
  const Vocabulary& vocabulary() const override { return vocabulary_; }
  std::unique_ptr<WordEncoder> MakeWordEncoder(bool byte_level) const override {
    if (byte_level) return nullptr;
    return std::make_unique<UnigramEncoder>(
        UnigramView{pieces_, vocabulary_, byte_ids_, unk_id_, byte_fallback_, unk_score_});
  }

  void Tokenize(const Text& piece, std::vector<Token>* out) const override {
    std::string text;
    std::vector<size_t> char_of;  // character index at each byte
    for (size_t i = 0; i < piece.size(); ++i) {
      AppendUtf8(piece[i].cp, &text);
      char_of.resize(text.size(), i);
    }
    for (const auto& [begin, end] : BestPath(text)) {
      const std::string_view part = std::string_view(text).substr(begin, end - begin);
      const int32_t first = piece[char_of[begin]].begin;
      const int32_t last = piece[char_of[end - 1]].end;
      if (const int32_t id = Find(part); id >= 0) {
        out->push_back({id, first, last});
      } else if (byte_fallback_ && std::all_of(part.begin(), part.end(),
                                               [&](char c) { return byte_ids_[static_cast<uint8_t>(c)] >= 0; })) {
        for (const char c : part) out->push_back({byte_ids_[static_cast<uint8_t>(c)], first, last});
      } else {
        out->push_back({unk_id_, first, last});
      }
    }
  }

  std::vector<std::pair<size_t, std::string>> UnknownTexts(const Text& piece) const override {
    const std::string text = ToUtf8(piece.data(), piece.data() + piece.size());
    std::vector<std::pair<size_t, std::string>> texts;
    size_t index = 0;
    for (const auto& [begin, end] : BestPath(text)) {
      const std::string_view part = std::string_view(text).substr(begin, end - begin);
      const bool known = Find(part) >= 0;
      const bool bytes = !known && byte_fallback_ && std::all_of(part.begin(), part.end(), [&](char c) {
        return byte_ids_[static_cast<uint8_t>(c)] >= 0;
      });
      if (!known && !bytes) texts.emplace_back(index, part);
      index += bytes ? part.size() : 1;
    }
    return texts;
  }

 private:
  struct Node {
    double score = 0;
    int64_t start = -1;  // -1: not reached
    bool unknown = false;
  };

  int32_t Find(std::string_view token) const {
    const auto found = vocabulary_.find(token);
    return found == vocabulary_.end() ? -1 : found->second;
  }

  std::vector<std::pair<std::string_view, int32_t>> SortedKeys() const {
    std::vector<std::pair<std::string_view, int32_t>> keys;
    for (const auto& [piece, id] : vocabulary_) {
      if (!piece.empty()) keys.emplace_back(piece, id);
    }
    std::sort(keys.begin(), keys.end());
    return keys;
  }

  // Spans of the best segmentation; neighbouring unknown characters are one span.
  std::vector<std::pair<size_t, size_t>> BestPath(std::string_view text) const {
    std::vector<Node> best(text.size() + 1);
    for (size_t at = 0; at < text.size();) {
      size_t next = at;
      NextCodePoint(text, &next);
      const double here = best[at].score;
      const auto relax = [&](size_t end, double score, bool unknown) {
        Node& node = best[end];
        if (node.start < 0 || score > node.score) node = {score, static_cast<int64_t>(at), unknown};
      };
      bool single = false;
      trie_.Prefixes(text.substr(at), [&](size_t length, int32_t id) {
        relax(at + length, pieces_[static_cast<size_t>(id)].second + here, id == unk_id_);
        single = single || at + length == next;
      });
      if (!single) relax(next, unk_score_ + here, true);
      at = next;
    }
    std::vector<std::pair<size_t, size_t>> spans;
    bool open = false;  // the last span is a run of unknown characters
    for (size_t end = text.size(); end > 0;) {
      const Node& node = best[end];
      const auto begin = static_cast<size_t>(node.start);
      if (node.unknown && open) {
        spans.back().first = begin;
      } else {
        spans.emplace_back(begin, end);
      }
      open = node.unknown;
      end = begin;
    }
    std::reverse(spans.begin(), spans.end());
    return spans;
  }

  std::vector<std::pair<std::string, double>> pieces_;
  Vocabulary vocabulary_;
  ByteTrie trie_;
  int32_t unk_id_;
  bool byte_fallback_;
  double unk_score_ = 0;
  int32_t byte_ids_[256];
};

}  // namespace

Result<std::unique_ptr<TokenModel>> ParseUnigram(const JsonRef& json) {
  TV_ASSIGN_OR_RETURN(const std::vector<JsonRef> list, json["vocab"].Array());
  std::vector<std::pair<std::string, double>> pieces;
  Vocabulary vocabulary;
  for (const JsonRef& entry : list) {
    if (entry.size() != 2) return entry.TypeError("[piece, score]");
    TV_ASSIGN_OR_RETURN(std::string piece, entry.At(0).String());
    TV_ASSIGN_OR_RETURN(const double score, entry.At(1).Double());
    if (!std::isfinite(score)) return entry.At(1).TypeError("a finite score");
    vocabulary[piece] = static_cast<int32_t>(pieces.size());  // a later duplicate wins
    pieces.emplace_back(std::move(piece), score);
  }
  if (pieces.empty()) return json["vocab"].TypeError("at least one piece");
  const JsonRef unk = json["unk_id"];
  if (!unk.present() || unk.is_null()) {
    return ModelError(unk.Where() + ": a Unigram model without an unknown token fails on unknown characters");
  }
  TV_ASSIGN_OR_RETURN(const int64_t unk_id, unk.Int());
  if (unk_id < 0 || unk_id >= static_cast<int64_t>(pieces.size())) return unk.TypeError("an id of the vocabulary");
  bool byte_fallback = false;
  if (json["byte_fallback"].present()) {
    TV_ASSIGN_OR_RETURN(byte_fallback, json["byte_fallback"].Bool());
  }
  return std::unique_ptr<TokenModel>(
      std::make_unique<Unigram>(std::move(pieces), std::move(vocabulary), static_cast<int32_t>(unk_id), byte_fallback));
}

}  // namespace truevec
