// WordPiece: greedy longest match, continuation pieces with a prefix, one unknown token for a word that fails.
// Reference: huggingface/tokenizers tokenizers/src/models/wordpiece/mod.rs.
#include <algorithm>

#include "tokenizer/token_model.h"
#include "unicode/unicode.h"

namespace truevec {
namespace {

class WordPiece : public TokenModel {
 public:
  WordPiece(Vocabulary vocabulary, std::string prefix, int32_t unknown, int64_t max_chars)
      : vocabulary_(std::move(vocabulary)), prefix_(std::move(prefix)), unknown_(unknown), max_chars_(max_chars) {
    for (const auto& [token, id] : vocabulary_) longest_ = std::max(longest_, token.size());
  }

  const Vocabulary& vocabulary() const override { return vocabulary_; }

  void Tokenize(const Text& piece, std::vector<Token>* out) const override {
    const size_t first_token = out->size();
    if (static_cast<int64_t>(piece.size()) > max_chars_) {
      out->push_back({unknown_, piece.front().begin, piece.back().end});
      return;
    }
    std::string word = prefix_;
    std::vector<size_t> bounds;  // byte offset of each character in `word`
    for (const Char& c : piece) {
      bounds.push_back(word.size());
      AppendUtf8(c.cp, &word);
    }
    bounds.push_back(word.size());
    for (size_t start = 0; start < piece.size();) {
      // The prefix is written over the bytes before `start`, so that each candidate is one slice of `word`.
      const size_t key = start == 0 ? bounds[0] : bounds[start] - prefix_.size();
      if (start > 0) std::copy(prefix_.begin(), prefix_.end(), word.begin() + static_cast<std::ptrdiff_t>(key));
      size_t end = piece.size();
      int32_t id = -1;
      for (; end > start; --end) {
        if (bounds[end] - key > longest_) continue;
        const auto found = vocabulary_.find(std::string_view(word).substr(key, bounds[end] - key));
        if (found != vocabulary_.end()) {
          id = found->second;
          break;
        }
      }
      if (id < 0) {
        out->resize(first_token);
        out->push_back({unknown_, piece.front().begin, piece.back().end});
        return;
      }
      out->push_back({id, piece[start].begin, piece[end - 1].end});
      start = end;
    }
  }

 private:
  Vocabulary vocabulary_;
  std::string prefix_;
  int32_t unknown_;
  int64_t max_chars_;
  size_t longest_ = 0;  // bytes of the longest token
};

}  // namespace

Result<std::unique_ptr<TokenModel>> ParseWordPiece(const JsonRef& json) {
  TV_ASSIGN_OR_RETURN(Vocabulary vocabulary, ParseVocabulary(json["vocab"]));
  TV_ASSIGN_OR_RETURN(const std::string unknown, json["unk_token"].String());
  TV_ASSIGN_OR_RETURN(std::string prefix, json["continuing_subword_prefix"].String());
  TV_ASSIGN_OR_RETURN(const int64_t max_chars, json["max_input_chars_per_word"].Int());
  if (max_chars < 0) return json["max_input_chars_per_word"].TypeError("a natural number");
  const auto found = vocabulary.find(unknown);
  if (found == vocabulary.end()) {
    return ModelError(json["unk_token"].Where() + ": \"" + unknown + "\" is not in the vocabulary");
  }
  const int32_t unknown_id = found->second;
  return std::unique_ptr<TokenModel>(
      std::make_unique<WordPiece>(std::move(vocabulary), std::move(prefix), unknown_id, max_chars));
}

}  // namespace truevec
