// Texts by trap; the measurements behind the choice are in docs/diagnose.md.
#include "verify/probes.h"

#include <algorithm>
#include <array>

namespace truevec {
namespace {

struct Row {
  const char* name;
  const char* text;
  const char* trap;
};

constexpr std::array<Row, 26> kRows = {{
    {"plain", "the weather is nice today and we walk along the river", "control"},
    {"plain2", "a short history of the steam engine in four parts", "control"},
    {"one-word", "hello", "special tokens, positions, pooling"},
    {"one-char", "a", "special tokens"},
    {"two-words", "good morning", "special tokens, equal lengths"},
    {"two-words-b", "cold winter", "equal lengths in a batch"},
    {"caps-a", "THE MARKET REPORT IS LATE", "lower-casing; collides with caps-b when capitals are unknown"},
    {"caps-b", "SCIENCE AND MUSIC", "lower-casing"},
    {"mixed-case", "Paris and London are Cities; NASA launched Apollo in July", "lower-casing"},
    {"accents", "café crème in são paulo, naïve façade, ångström", "accents, without capitals"},
    {"cyrillic", "москва ёлка привет", "accents of other scripts"},
    {"cjk", "日本語の文 東京 模型 向量", "splitting of ideographs"},
    {"punct", "didn't?! well-known (really), e.g. u.s.a... \"quoted\" #1", "splitting of punctuation"},
    {"unicode-punct", "“quoted” — a dash… «guillemets», 「日本」 ¿qué? 10‰", "punctuation beyond ASCII"},
    {"control", "zero\u200bwidth and\x07 bell and soft\u00adhyphen", "control characters"},
    {"edge-space", "  leading and trailing spaces  ", "stripping by a client"},
    {"space-runs", "many    spaces   between     words", "collapsing by a client"},
    {"newlines", "first line\nsecond line\n\nthird line", "newlines replaced by a client"},
    {"html", "if a < b && c > d then \"x\" & y", "escaping by a client"},
    {"literal-special", "what does [SEP] or </s> or <|endoftext|> or <eos> mean", "special tokens inside the text"},
    {"rare-long", "pneumonoultramicroscopicsilicovolcanoconiosis antidisestablishmentarianism", "sub-word algorithm"},
    {"code", "for (int i = 0; i < n; ++i) { sum += a[i]; }", "punctuation, white space"},
    {"numbers", "3.14159 1,024 2024-06-07 50%", "digits"},
    {"nfkc", "ﬁne ｆｕｌｌｗｉｄｔｈ ① Ⅳ", "compatibility characters"},
    {"rare-mixed", "overparameterised backpropagation ``` transformerlike unbelievableness", "sub-word algorithm"},
    {"emoji", "thumbs up 👍🏽 and family 👩\u200d👩\u200d👧 ok", "code points beyond the first plane"},
}};

constexpr std::array<const char*, 24> kWords = {"morning", "simple", "mountain", "history", "office", "island",
                                                "summer",  "number", "market",   "paper",   "doctor", "planet",
                                                "music",   "window", "kitchen",  "colour",  "river",  "garden",
                                                "travel",  "letter", "engine",   "village", "animal", "language"};

// `words` common words, different ones in head, middle and tail (one token each in most vocabularies).
std::string LongText(int64_t words, uint32_t seed) {
  std::string text;
  uint32_t state = seed;
  for (int64_t i = 0; i < words; ++i) {
    state = state * 1664525u + 1013904223u;
    if (i > 0) text += ' ';
    text += kWords[(state >> 16) % kWords.size()];
  }
  return text;
}

}  // namespace

std::vector<Probe> BuiltInProbes(int64_t max_length) {
  std::vector<Probe> probes;
  for (const Row& row : kRows) probes.push_back({row.name, row.text, row.trap});
  std::vector<int64_t> lengths = {60, 110, 140, 300, 600};
  if (max_length > 0) {
    lengths.push_back(std::max<int64_t>(1, max_length - 2));
    lengths.push_back(max_length + max_length / 4);
  }
  std::sort(lengths.begin(), lengths.end());
  lengths.erase(std::unique(lengths.begin(), lengths.end()), lengths.end());
  for (const int64_t length : lengths) {
    if (length > 2600) continue;
    probes.push_back({"len-" + std::to_string(length), LongText(length, static_cast<uint32_t>(length) * 7919u + 1u),
                      "truncation, windows, chunking"});
  }
  return probes;
}

}  // namespace truevec
