#include "pipeline/words.h"

#include "unicode/unicode.h"

namespace truevec {
namespace {

constexpr std::string_view kPunctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
constexpr uint32_t kCapitalSigma = 0x3A3;

// str.split() also splits at the four information separators, which White_Space lacks.
bool IsPythonSpace(uint32_t cp) { return IsWhiteSpace(cp) || (cp >= 0x1C && cp <= 0x1F); }

bool IsCased(uint32_t cp) {
  const Category c = GeneralCategory(cp);
  return c == Category::kLu || c == Category::kLl || c == Category::kLt;
}

bool IsCaseIgnorable(uint32_t cp) {
  const Category c = GeneralCategory(cp);
  return c == Category::kMn || c == Category::kMe || c == Category::kCf || c == Category::kLm || c == Category::kSk ||
         cp == '\'' || cp == '.' || cp == ':' || cp == 0xB7 || cp == 0x2019;
}

// Unicode's Final_Sigma condition (SpecialCasing.txt), as CPython's handle_capital_sigma.
bool IsFinalSigma(const std::vector<uint32_t>& cps, size_t at) {
  size_t before = at;
  while (before > 0 && IsCaseIgnorable(cps[before - 1])) --before;
  if (before == 0 || !IsCased(cps[before - 1])) return false;
  size_t after = at + 1;
  while (after < cps.size() && IsCaseIgnorable(cps[after])) ++after;
  return after == cps.size() || !IsCased(cps[after]);
}

}  // namespace

std::string LowerLikePython(std::string_view text) {
  const std::vector<uint32_t> cps = DecodeUtf8(text);
  std::string out;
  for (size_t i = 0; i < cps.size(); ++i) {
    if (cps[i] == kCapitalSigma) {
      AppendUtf8(IsFinalSigma(cps, i) ? 0x3C2 : 0x3C3, &out);
      continue;
    }
    uint32_t extra = 0;
    AppendUtf8(ToLower(cps[i], &extra), &out);
    if (extra != 0) AppendUtf8(extra, &out);
  }
  return out;
}

std::vector<std::string> SplitLikePython(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (size_t i = 0; i < text.size();) {
    const size_t start = i;
    const uint32_t cp = NextCodePoint(text, &i);
    if (!IsPythonSpace(cp)) {
      word.append(text.substr(start, i - start));
    } else if (!word.empty()) {
      words.push_back(std::move(word));
      word.clear();
    }
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

WhitespaceTokenizer::WhitespaceTokenizer(const std::vector<std::string>& vocabulary, std::set<std::string> stop_words,
                                         bool lowercase)
    : stop_words_(std::move(stop_words)), lowercase_(lowercase) {
  for (size_t i = 0; i < vocabulary.size(); ++i) ids_[vocabulary[i]] = static_cast<int32_t>(i);  // the last one counts
}

int32_t WhitespaceTokenizer::Find(const std::string& word) const {
  if (stop_words_.contains(word)) return -1;
  const auto found = ids_.find(word);
  return found == ids_.end() ? -2 : found->second;
}

std::vector<int32_t> WhitespaceTokenizer::Tokenize(std::string_view text) const {
  std::vector<int32_t> ids;
  for (std::string& word : SplitLikePython(lowercase_ ? LowerLikePython(text) : std::string(text))) {
    int32_t id = Find(word);
    if (id == -2) {
      const size_t first = word.find_first_not_of(kPunctuation);
      word = first == std::string::npos ? "" : word.substr(first, word.find_last_not_of(kPunctuation) - first + 1);
      id = word.empty() && !stop_words_.contains(word) ? -2 : Find(word);
    }
    if (id == -2) id = Find(LowerLikePython(word));
    if (id >= 0) ids.push_back(id);
  }
  return ids;
}

Result<std::vector<std::string>> ReadWords(const JsonRef& ref) {
  TV_ASSIGN_OR_RETURN(const std::vector<JsonRef> items, ref.Array());
  std::vector<std::string> words;
  for (const JsonRef& item : items) {
    TV_ASSIGN_OR_RETURN(std::string word, item.String());
    words.push_back(std::move(word));
  }
  return words;
}

Result<std::vector<double>> ReadWordWeights(const std::vector<std::string>& vocabulary, const JsonRef& weights,
                                            ConfigReader& reader, double default_unknown) {
  TV_ASSIGN_OR_RETURN(const double unknown, reader.Double({"unknown_word_weight"}, default_unknown));
  if (weights.present()) TV_RETURN_IF_ERROR(weights.ExpectObject());
  std::vector<double> values;
  for (const std::string& word : vocabulary) {
    JsonRef ref = weights[word];
    if (!ref.present()) ref = weights[LowerLikePython(word)];
    double value = unknown;
    if (ref.present()) {
      TV_ASSIGN_OR_RETURN(value, ref.Double());
    }
    values.push_back(value);
  }
  return values;
}

}  // namespace truevec
