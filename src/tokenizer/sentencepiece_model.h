// Reads a SentencePiece .model file (a protobuf): pieces, character map and unknown id.
// Reference: google/sentencepiece src/sentencepiece_model.proto.
#ifndef TRUEVEC_TOKENIZER_SENTENCEPIECE_MODEL_H_
#define TRUEVEC_TOKENIZER_SENTENCEPIECE_MODEL_H_

#include <cstdint>
#include <string>
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

  static Result<SentencePieceModel> Load(const std::string& path, const std::string& name);

  // [[piece, score]] of pieces[from..].
  json::array Scores(size_t from) const;
  // {piece: id}, and the merges that transformers' generate_merges makes of it: every split into two pieces, by the
  // id of the whole, then the lengths of its halves, then their ids.
  json::object Ids() const;
  json::array Merges() const;
  std::string CharsmapBase64() const;
};

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_SENTENCEPIECE_MODEL_H_
