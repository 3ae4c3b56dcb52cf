// WordPiece: greedy longest match, continuation pieces with a prefix, one unknown token for a word that fails.
// Reference: huggingface/tokenizers tokenizers/src/models/wordpiece/mod.rs.
#include <algorithm>

#include "tokenizer/double_array.h"
#include "tokenizer/token_model.h"
#include "unicode/unicode.h"

namespace truevec {
namespace {

// The same on bytes: the longest token is the last one on a walk through a trie.
class WordPieceEncoder : public WordEncoder {
 public:
  WordPieceEncoder(const Vocabulary& vocabulary, const std::string& prefix, int32_t unknown, int64_t max_chars)
      : trie_(MakeTrie(vocabulary)), inner_(trie_.Walk(prefix)), unknown_(unknown), max_chars_(max_chars) {}

  void Encode(std::string_view word, ModelScratch* /*scratch*/, IdBuffer* out) const override {
    const size_t before = out->size();
    out->Reserve(before + word.size());
    if (static_cast<int64_t>(word.size()) > max_chars_ && CountCharacters(word) > max_chars_) {
      out->Push(unknown_);
      return;
    }
    const char* p = word.data();
    const char* const end = p + word.size();
    uint32_t state = trie_.kRoot;
    while (p < end) {
      int32_t id = -1;
      const char* after = p;
      for (const char* q = p; q < end && state != trie_.kNone;) {
        state = trie_.Step(state, *q++);
        if (state != trie_.kNone && trie_.value(state) >= 0) {
          id = trie_.value(state);
          after = q;
        }
      }
      if (id < 0) {
        out->set_size(before);
        out->Push(unknown_);
        return;
      }
      out->Push(id);
      p = after;
      state = inner_;
    }
  }

 private:
  static DoubleArray<int32_t> MakeTrie(const Vocabulary& vocabulary) {
    SortedKeys<int32_t> sorted(vocabulary.size());
    for (const auto& [token, id] : vocabulary) {
      if (!token.empty()) sorted.Add(token, id);
    }
    sorted.Sort();
    return {sorted.keys(), sorted.values(), -1};
  }
  static int64_t CountCharacters(std::string_view word) {
    return std::count_if(word.begin(), word.end(), [](char c) { return (c & 0xC0) != 0x80; });
  }

  DoubleArray<int32_t> trie_;
  uint32_t inner_;  // the state behind the prefix of continuation tokens
  int32_t unknown_;
  int64_t max_chars_;
};

class WordPiece : public TokenModel {
 public:
  WordPiece(Vocabulary vocabulary, std::string prefix, int32_t unknown, int64_t max_chars)
      : vocabulary_(std::move(vocabulary)), prefix_(std::move(prefix)), unknown_(unknown), max_chars_(max_chars) {
    for (const auto& [token, id] : vocabulary_) longest_ = std::max(longest_, token.size());
  }

  const Vocabulary& vocabulary() const override { return vocabulary_; }
  std::unique_ptr<WordEncoder> MakeWordEncoder(bool byte_level) const override {
    if (byte_level) return nullptr;
    return std::make_unique<WordPieceEncoder>(vocabulary_, prefix_, unknown_, max_chars_);
  }

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
