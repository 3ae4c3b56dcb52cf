// Added tokens: literal strings that become one id before normalisation and pre-tokenisation see them.
// Reference: huggingface/tokenizers tokenizers/src/tokenizer/added_vocabulary.rs.
#ifndef TRUEVEC_TOKENIZER_ADDED_VOCABULARY_H_
#define TRUEVEC_TOKENIZER_ADDED_VOCABULARY_H_

#include <array>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "tokenizer/double_array.h"
#include "tokenizer/normalizers.h"
#include "tokenizer/text.h"
#include "tokenizer/token_model.h"

namespace truevec {

struct AddedToken {
  std::string content;
  int32_t id = 0;
  bool single_word = false;
  bool lstrip = false;
  bool rstrip = false;
  bool normalized = false;
  bool special = false;
  std::string decoded;  // what it stands for when decoding: the normalised content of a normalized token
};

// A stretch of text, or one added token.
struct Segment {
  Text text;
  const AddedToken* token = nullptr;
};

// The same as bytes of the text that was split.
struct ByteSegment {
  std::string_view text;
  const AddedToken* token = nullptr;
};

class AddedVocabulary {
 public:
  // The "added_tokens" array. An id in the file does not count: a token has its id in the model's vocabulary, or the
  // next free one, in file order.
  static Result<AddedVocabulary> Parse(const JsonRef& json, const Vocabulary& vocabulary, const Normalizer* normalizer);

  // Splits on tokens that match the raw text (normalized = false) or the normalised text (normalized = true):
  // leftmost, then longest. Appends the segments of `text`.
  void Split(const Text& text, bool normalized, std::vector<Segment>* out) const;
  // The same on UTF-8.
  void SplitBytes(std::string_view text, bool normalized, std::vector<ByteSegment>* out) const;
  // False: no token is in `text`.
  bool MayMatch(std::string_view text, bool normalized) const;
  bool has_normalized() const { return !byte_normalized_.trie.empty(); }
  const std::vector<AddedToken>& tokens() const { return tokens_; }
  // Special tokens in a text are plain text (tokenizers' encode_special_tokens, transformers' split_special_tokens).
  void set_encode_special_tokens(bool value) { encode_special_tokens_ = value; }

 private:
  struct Pattern {
    std::vector<uint32_t> text;
    size_t token;
  };
  using Patterns = std::unordered_map<uint32_t, std::vector<Pattern>>;  // by first character, longest first
  static void AddPattern(Patterns* patterns, Pattern pattern);
  // Patterns as UTF-8: a set of their first bytes, and a trie with the place of the token in tokens_.
  struct BytePatterns {
    std::array<bool, 256> first{};
    DoubleArray<int32_t> trie;
  };
  static BytePatterns ToBytes(const Patterns& patterns);

  bool encode_special_tokens_ = false;
  std::vector<AddedToken> tokens_;
  Patterns raw_;
  Patterns normalized_;
  BytePatterns byte_raw_;
  BytePatterns byte_normalized_;
};

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_ADDED_VOCABULARY_H_
