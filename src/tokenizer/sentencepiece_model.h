// Reads a SentencePiece .model file (a protobuf): pieces, character map and unknown id.
// Reference: google/sentencepiece src/sentencepiece_model.proto.
#ifndef TRUEVEC_TOKENIZER_SENTENCEPIECE_MODEL_H_
#define TRUEVEC_TOKENIZER_SENTENCEPIECE_MODEL_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace truevec {

struct SentencePieceModel {
  struct Piece {
    std::string text;
    float score = 0;
    int64_t type = 1;  // 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte
  };
  std::vector<Piece> pieces;
  std::string charsmap;  // normalizer_spec.precompiled_charsmap
  int64_t unk_id = 0;
  int64_t bos_id = 1;
  int64_t eos_id = 2;
  std::string unk_piece = "<unk>";
  std::string bos_piece = "<s>";
  std::string eos_piece = "</s>";
  int64_t model_type = 1;  // 1 Unigram, 2 BPE, 3 word, 4 char
  bool byte_fallback = false;

  static Result<SentencePieceModel> Load(const std::string& path, const std::string& name);
  static Result<SentencePieceModel> Parse(std::string_view data, const std::string& name);

  // [[piece, score]] of pieces[from..].
  json::array Scores(size_t from) const;
  // {piece: id}, and the merges that transformers' generate_merges makes of it: every split into two pieces, by the
  // id of the whole, then the lengths of its halves, then their ids.
  json::object Ids() const;
  json::array Merges() const;
  std::string CharsmapBase64() const;
  // The tokenizer.json that a model without a tokenizer class of its own amounts to in transformers
  // (convert_slow_tokenizer.py, build_tokenizer_from_spm_proto). Word and character models are refused.
  Result<json::value> ToTokenizerJson(const std::string& name) const;
};

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_SENTENCEPIECE_MODEL_H_
