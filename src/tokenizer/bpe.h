// What the two forms of the BPE model share: the one with offsets (bpe.cc) and the one on bytes (bpe_encoder.cc).
#ifndef TRUEVEC_TOKENIZER_BPE_H_
#define TRUEVEC_TOKENIZER_BPE_H_

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "tokenizer/token_model.h"
#include "tokenizer/word_encoder.h"

namespace truevec {

struct BpeMerge {
  int32_t rank;
  int32_t id;
};
using BpeMerges = std::unordered_map<uint64_t, BpeMerge>;  // by left id << 32 | right id

struct BpeOptions {
  std::optional<std::string> unk_token;
  std::string prefix;  // continuing_subword_prefix
  std::string suffix;  // end_of_word_suffix
  bool fuse_unk = false;
  bool byte_fallback = false;
  bool ignore_merges = false;
};

// What an encoder of a piece reads; the model owns it.
struct BpeView {
  const Vocabulary& vocabulary;
  const BpeMerges& merges;
  const BpeOptions& options;
  const int32_t* byte_ids;  // 256 ids of <0xNN>, or -1
  int32_t unk;              // or -1
};

// Null when the model has no form on bytes: a prefix or suffix, or too large a vocabulary.
std::unique_ptr<WordEncoder> MakeBpeEncoder(const BpeView& model, bool byte_level);

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_BPE_H_
