// Token models of tokenizer.json: a pre-tokenized piece in, token ids out.
// Reference: huggingface/tokenizers tokenizers/src/models/.
#ifndef TRUEVEC_TOKENIZER_TOKEN_MODEL_H_
#define TRUEVEC_TOKENIZER_TOKEN_MODEL_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "tokenizer/text.h"
#include "tokenizer/word_encoder.h"

namespace truevec {

struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view s) const { return std::hash<std::string_view>()(s); }
};
using Vocabulary = std::unordered_map<std::string, int32_t, StringHash, std::equal_to<>>;

class TokenModel {
 public:
  virtual ~TokenModel() = default;
  virtual void Tokenize(const Text& piece, std::vector<Token>* out) const = 0;
  virtual const Vocabulary& vocabulary() const = 0;
  // The ids-only form of Tokenize, which reads this model; null when there is none. `byte_level`: its words are bytes
  // that stand for characters of GPT-2's alphabet.
  virtual std::unique_ptr<WordEncoder> MakeWordEncoder(bool /*byte_level*/) const { return nullptr; }
  // The texts that are not those of the vocabulary, as (index among the piece's tokens, text): a Unigram model's
  // unknown token stands for the text itself. Only for encodings with details.
  virtual std::vector<std::pair<size_t, std::string>> UnknownTexts(const Text&) const { return {}; }
};

// From the "model" object of tokenizer.json.
Result<std::unique_ptr<TokenModel>> ParseTokenModel(const JsonRef& json);
// {"token": id, ...}: ids unique, in [0, 2^24).
Result<Vocabulary> ParseVocabulary(const JsonRef& json);

Result<std::unique_ptr<TokenModel>> ParseWordPiece(const JsonRef& json);
Result<std::unique_ptr<TokenModel>> ParseBpe(const JsonRef& json);
Result<std::unique_ptr<TokenModel>> ParseUnigram(const JsonRef& json);

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_TOKEN_MODEL_H_
