// The word-level tokenizers of old Sentence Transformers models (BoW, WordEmbeddings): words looked up in a list.
// Reference: sentence_transformer/modules/tokenizer/whitespace.py.
#ifndef TRUEVEC_PIPELINE_WORDS_H_
#define TRUEVEC_PIPELINE_WORDS_H_

#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/config_reader.h"

namespace truevec {

// Python's str.lower() (final sigma included).
std::string LowerLikePython(std::string_view text);
// Python's str.split().
std::vector<std::string> SplitLikePython(std::string_view text);

// Splits at white space; a word counts as it is, else stripped of ASCII punctuation, else lower-cased; stop words and
// unknown words are dropped.
class WhitespaceTokenizer {
 public:
  WhitespaceTokenizer() = default;
  WhitespaceTokenizer(const std::vector<std::string>& vocabulary, std::set<std::string> stop_words, bool lowercase);
  std::vector<int32_t> Tokenize(std::string_view text) const;
  size_t size() const { return ids_.size(); }

 private:
  // The id; -1 for a stop word; -2 when not found.
  int32_t Find(const std::string& word) const;
  std::unordered_map<std::string, int32_t> ids_;
  std::set<std::string> stop_words_;
  bool lowercase_ = false;
};

Result<std::vector<std::string>> ReadWords(const JsonRef& ref);
// One weight per word: its own, that of its lower-case form, else unknown_word_weight (read from `reader`).
Result<std::vector<double>> ReadWordWeights(const std::vector<std::string>& vocabulary, const JsonRef& weights,
                                            ConfigReader& reader, double default_unknown);

}  // namespace truevec

#endif  // TRUEVEC_PIPELINE_WORDS_H_
