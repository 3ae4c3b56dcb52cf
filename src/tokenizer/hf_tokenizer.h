// The classic pipeline of Hugging Face tokenizers: added tokens, normalizer, added tokens again, pre-tokenizer, model,
// truncation, post-processor, padding. Reference: tokenizers/src/tokenizer/mod.rs.
#ifndef TRUEVEC_TOKENIZER_HF_TOKENIZER_H_
#define TRUEVEC_TOKENIZER_HF_TOKENIZER_H_

#include <memory>
#include <string>
#include <vector>

#include "tokenizer/added_vocabulary.h"
#include "tokenizer/decoders.h"
#include "tokenizer/encoding_ops.h"
#include "tokenizer/normalizers.h"
#include "tokenizer/post_processors.h"
#include "tokenizer/pre_tokenizers.h"
#include "tokenizer/token_model.h"
#include "tokenizer/tokenizer.h"

namespace truevec {

// Everything that decides ids. Filled by the loaders.
struct TokenizerParts {
  std::unique_ptr<Normalizer> normalizer;
  std::unique_ptr<PreTokenizer> pre_tokenizer;
  std::unique_ptr<TokenModel> model;
  AddedVocabulary added;
  PostProcessor post_processor;
  std::unique_ptr<TokenDecoder> decoder;
  std::optional<Truncation> truncation;
  std::optional<Padding> padding;
  std::optional<int64_t> model_max_length;
  Side truncation_side = Side::kRight;
  Side padding_side = Side::kRight;
  std::optional<int32_t> pad_id;
  std::optional<int32_t> mask_id;
  std::optional<int32_t> eos_id;
  std::string canonical;  // for the fingerprint
};

// Reads `root` (a tokenizer.json). `keep_padding_and_truncation` is false for directories.
Result<TokenizerParts> ParseTokenizerJson(const JsonRef& root, bool keep_padding_and_truncation);
std::unique_ptr<Tokenizer> MakeTokenizer(TokenizerParts parts);

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_HF_TOKENIZER_H_
