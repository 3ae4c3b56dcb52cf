// Special tokens and sub-words: root causes R6 to R15.
#include <algorithm>
#include <map>

#include "verify/hypothesis.h"

namespace truevec {
namespace {

using Ids = std::vector<int32_t>;

// prefix + content + suffix, the content cut so that all fit in the limit; `room`: tokens that the server's own
// truncation leaves for special tokens.
Edit* Around(Hypotheses* out, const char* cause, const std::string& variant, const std::string& says,
             std::function<std::pair<Ids, Ids>(const IdContext&)> specials, bool reference_room) {
  Edit* edit = AddHypothesis(out, cause, variant, says);
  edit->untruncated = true;
  edit->ids = [specials, reference_room](const Part& part, const IdContext& c) {
    const auto [prefix, suffix] = specials(c);
    Ids content = ContentOf(part, c);
    const size_t room = reference_room ? c.prefix.size() + c.suffix.size() : prefix.size() + suffix.size();
    const size_t limit = c.max_length > 0 ? static_cast<size_t>(c.max_length) : content.size() + room;
    content.resize(std::min(content.size(), limit > room ? limit - room : 1));
    return std::vector<Part>{WithIds(part, Join(prefix, content, suffix))};
  };
  return edit;
}

// Both places where servers cut: before and after the special tokens are added.
void AroundBoth(Hypotheses* out, const char* cause, const std::string& variant, const std::string& says,
                const std::function<std::pair<Ids, Ids>(const IdContext&)>& specials) {
  Around(out, cause, variant, says, specials, true);
  Around(out, cause, variant + (variant.empty() ? "" : ", ") + "cut to the full limit", says, specials, false);
}

void AddWrongEos(const ModelTraits& model, Hypotheses* out) {
  const Tokenizer& tokenizer = model.pipeline->tokenizer();
  const Ids own = tokenizer.SuffixIds();
  int found = 0;
  for (int32_t id = tokenizer.max_id(); id >= 0 && found < 8; --id) {
    if (!tokenizer.IsSpecial(id) || (own.size() == 1 && own[0] == id)) continue;
    ++found;
    const std::string name = tokenizer.IdToToken(id).value_or(std::to_string(id));
    if (own.size() == 1) {
      AroundBoth(out, "eos-wrong", name, "with " + name + " as the closing token the vectors agree",
                 [id](const IdContext& c) { return std::pair(c.prefix, Ids{id}); });
    } else if (own.empty()) {
      AroundBoth(out, "eos-wrong", "extra " + name, "with " + name + " appended the vectors agree",
                 [id](const IdContext& c) { return std::pair(c.prefix, Ids{id}); });
    }
  }
}

struct Piece {
  std::string text;
  int32_t id;
};

constexpr size_t kLongestPiece = 64;  // characters

// The pieces of a "word" put together and cut again: longest match first, or SentencePiece's greedy merging by score.
Ids Recut(const std::vector<Piece>& word, const IdContext& c, bool merge) {
  std::string text;
  for (const Piece& piece : word) text += piece.text;
  std::vector<std::string> parts;
  for (size_t at = 0; at < text.size();) {
    size_t size = 1;
    while (at + size < text.size() && (static_cast<unsigned char>(text[at + size]) & 0xc0) == 0x80) ++size;
    parts.push_back(text.substr(at, size));
    at += size;
  }
  Ids ids;
  const auto id_of = [&](const std::string& piece) { return c.tokenizer->TokenToId(piece); };
  if (merge) {
    for (;;) {
      size_t best = parts.size();
      float best_score = 0;
      for (size_t i = 0; i + 1 < parts.size(); ++i) {
        const auto id = id_of(parts[i] + parts[i + 1]);
        if (!id.has_value()) continue;
        const auto index = static_cast<size_t>(*id);
        const float score =
            c.scores != nullptr && index < c.scores->size() ? (*c.scores)[index] : -static_cast<float>(index);
        if (best == parts.size() || score > best_score) {
          best = i;
          best_score = score;
        }
      }
      if (best == parts.size()) break;
      parts[best] += parts[best + 1];
      parts.erase(parts.begin() + static_cast<ptrdiff_t>(best) + 1);
    }
    for (const std::string& part : parts) ids.push_back(id_of(part).value_or(-1));
  } else {
    for (size_t at = 0; at < parts.size();) {
      size_t last = std::min(parts.size(), at + kLongestPiece);
      std::optional<int32_t> id;
      for (; last > at; --last) {
        std::string piece;
        for (size_t i = at; i < last; ++i) piece += parts[i];
        id = id_of(piece);
        if (id.has_value()) break;
      }
      ids.push_back(id.value_or(-1));
      at = std::max(last, at + 1);
    }
  }
  return ids;
}

bool StartsWord(const std::string& token) { return token.starts_with("\u2581") || token.starts_with("\u0120"); }

// Re-segments every word of the content; pieces whose text is lost (unknown, bytes) keep their ids.
Part Resegment(const Part& part, const IdContext& c, bool merge, bool across_words) {
  Ids out;
  std::vector<Piece> word;
  const auto flush = [&] {
    if (word.empty()) return;
    const Ids cut = Recut(word, c, merge);
    if (std::find(cut.begin(), cut.end(), -1) != cut.end()) {
      for (const Piece& piece : word) out.push_back(piece.id);
    } else {
      out.insert(out.end(), cut.begin(), cut.end());
    }
    word.clear();
  };
  for (const int32_t id : ContentOf(part, c)) {
    const std::string token = c.tokenizer->IdToToken(id).value_or("");
    if (token.empty() || c.tokenizer->IsSpecial(id)) {
      flush();
      out.push_back(id);
      continue;
    }
    if (StartsWord(token) && !across_words) flush();
    word.push_back({token, id});
  }
  flush();
  const size_t around = c.prefix.size() + c.suffix.size();
  const size_t limit = c.max_length > 0 ? static_cast<size_t>(c.max_length) : out.size() + around;
  out.resize(std::min(out.size(), limit - std::min(limit, around)));
  return WithIds(part, Join(c.prefix, out, c.suffix));
}

}  // namespace

Part WithIds(const Part& part, Ids ids) {
  Part copy = part;
  if (!copy.text.type_ids.empty()) copy.text.type_ids.assign(ids.size(), copy.text.type_ids.front());
  copy.text.pooling_mask.clear();
  copy.hidden_keys.clear();
  copy.weight = static_cast<double>(ids.size());
  copy.text.ids = std::move(ids);
  return copy;
}

Ids Join(const Ids& a, const Ids& b, const Ids& c) {
  Ids ids = a;
  ids.insert(ids.end(), b.begin(), b.end());
  ids.insert(ids.end(), c.begin(), c.end());
  return ids;
}

Ids ContentOf(const Part& part, const IdContext& c) {
  const Ids& ids = part.text.ids;
  const size_t front =
      ids.size() >= c.prefix.size() && std::equal(c.prefix.begin(), c.prefix.end(), ids.begin()) ? c.prefix.size() : 0;
  const size_t back =
      ids.size() >= front + c.suffix.size() && std::equal(c.suffix.rbegin(), c.suffix.rend(), ids.rbegin())
          ? c.suffix.size()
          : 0;
  return {ids.begin() + static_cast<ptrdiff_t>(front), ids.end() - static_cast<ptrdiff_t>(back)};
}

void AddSpecialTokenHypotheses(const ModelTraits& model, Hypotheses* out) {
  using Pair = std::pair<Ids, Ids>;
  const bool both = model.prefix > 0 && model.suffix > 0;
  if (both || (model.prefix > 0 && model.suffix == 0)) {
    AroundBoth(out, "special-tokens-missing", "all", "without the special tokens the vectors agree",
               [](const IdContext&) { return Pair(); });
  }
  if (both) {
    AroundBoth(out, "special-tokens-missing", "first", "without the first special token the vectors agree",
               [](const IdContext& c) { return Pair({}, c.suffix); });
  }
  if (model.suffix > 0) {
    const bool eos = model.prefix == 0 || model.pooling == "lasttoken";
    AroundBoth(out, eos ? "eos-missing" : "special-tokens-missing", eos ? "" : "last",
               "without the closing special token the vectors agree",
               [](const IdContext& c) { return Pair(c.prefix, {}); });
  }
  if (model.prefix > 0) {
    AroundBoth(out, "special-tokens-doubled", "first", "with the first special token twice the vectors agree",
               [](const IdContext& c) { return Pair(Join(c.prefix, c.prefix, {}), c.suffix); });
  }
  if (model.suffix > 0) {
    AroundBoth(out, "special-tokens-doubled", "last", "with the closing special token twice the vectors agree",
               [](const IdContext& c) { return Pair(c.prefix, Join(c.suffix, c.suffix, {})); });
  }
  if (both) {
    AroundBoth(out, "special-tokens-doubled", "all", "with all special tokens twice the vectors agree",
               [](const IdContext& c) { return Pair(Join(c.prefix, c.prefix, {}), Join(c.suffix, c.suffix, {})); });
  }
  AddWrongEos(model, out);
  for (const int32_t by : {1, -1, 2, -2, 3, -3}) {
    const std::string text = (by > 0 ? "+" : "") + std::to_string(by);
    Edit* edit = AddHypothesis(out, "foreign-token-ids", "ids " + text,
                               "with every token id of the text moved by " + text + " the vectors agree");
    out->back().parameter = "id_offset";
    out->back().value = by;
    const int32_t most = model.pipeline->tokenizer().max_id();
    edit->ids = [by, most](const Part& part, const IdContext& c) {
      Ids content = ContentOf(part, c);
      for (int32_t& id : content) id = std::clamp<int32_t>(id + by, 0, most);
      return std::vector<Part>{WithIds(part, Join(c.prefix, content, c.suffix))};
    };
  }
}

void AddTokenizerHypotheses(const ModelTraits& model, Hypotheses* out) {
  struct Row {
    const char* cause;
    const char* variant;
    const char* says;
    const char* edit;
  };
  static constexpr Row kRows[] = {
      {"lowercase-missing", "cased", "without lower-casing the vectors agree", "cased"},
      {"lowercase-missing", "and accents", "without lower-casing and accent stripping the vectors agree",
       "cased-accents"},
      {"lowercase-forced", "", "with lower-casing the vectors agree", "uncased"},
      {"accents", "kept", "with accents kept the vectors agree", "keep-accents"},
      {"accents", "stripped", "with accents stripped the vectors agree", "strip-accents"},
      {"basic-tokenization", "no-cjk", "without splitting of ideographs the vectors agree", "no-cjk"},
      {"basic-tokenization", "no-clean", "without removal of control characters the vectors agree", "no-clean"},
      {"basic-tokenization", "no-punctuation", "without splitting of punctuation the vectors agree", "no-punctuation"},
      {"basic-tokenization", "ascii-punctuation", "with only ASCII punctuation split the vectors agree",
       "ascii-punctuation"},
      {"basic-tokenization", "none", "with splitting at white space only the vectors agree", "no-basic"},
      {"basic-tokenization", "none, control characters kept",
       "with splitting at white space only and control characters kept the vectors agree", "no-basic-no-clean"},
      {"metaspace-prefix", "missing", "without the space before the first word the vectors agree", "no-prefix-space"},
      {"metaspace-prefix", "added", "with a space before the first word the vectors agree", "prefix-space"},
      {"metaspace-prefix", "runs", "with runs of spaces kept the vectors agree", "keep-space-runs"},
      {"special-tokens-in-text", "plain", "with special tokens in the text read as plain text the vectors agree",
       "plain-specials"},
  };
  for (const Row& row : kRows) AddHypothesis(out, row.cause, row.variant, row.says)->tokenizer = row.edit;
  const std::string form = model.pipeline->tokenizer().CanonicalForm();
  if (form.find("\"WordPiece\"") != std::string::npos) return;
  for (const bool merge : {true, false}) {
    for (const bool across : {false, true}) {
      if (merge && across) continue;  // what the model itself does, or too slow
      Edit* edit =
          AddHypothesis(out, "subword-algorithm",
                        std::string(merge ? "greedy merging" : "longest match") + (across ? " across words" : ""),
                        merge ? "with pieces merged greedily by score the vectors agree"
                              : "with the longest piece taken first the vectors agree");
      edit->untruncated = true;
      edit->ids = [merge, across](const Part& part, const IdContext& c) {
        return std::vector<Part>{Resegment(part, c, merge, across)};
      };
    }
  }
}

}  // namespace truevec
