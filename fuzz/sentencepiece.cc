// A SentencePiece .model: what parses has pieces, scores, merges and a character map that can be read.
#include <cstdint>
#include <string>
#include <string_view>

#include "tokenizer/sentencepiece_model.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace truevec;
  const auto model =
      SentencePieceModel::Parse(std::string_view(reinterpret_cast<const char*>(data), size), "fuzz.model");
  if (!model.ok()) return 0;
  (void)model->Scores(0);
  (void)model->Ids();
  (void)model->Merges();
  (void)model->CharsmapBase64();
  return 0;
}
