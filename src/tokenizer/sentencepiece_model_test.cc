// SentencePiece files: pieces, scores and merges of a hand-made protobuf, and refusals of broken ones.
#include "tokenizer/sentencepiece_model.h"

#include <gtest/gtest.h>

#include <fstream>

namespace truevec {
namespace {

Result<SentencePieceModel> Load(const std::string& bytes) {
  const std::string path = testing::TempDir() + "/sentencepiece_model_test.model";
  std::ofstream(path, std::ios::binary) << bytes;
  return SentencePieceModel::Load(path, "spiece.model");
}

// A piece with score -1.5 (0xBFC00000).
std::string Piece(const std::string& text) {
  const std::string body =
      "\x0a" + std::string(1, static_cast<char>(text.size())) + text + std::string("\x15\x00\x00\xc0\xbf", 5);
  return "\x0a" + std::string(1, static_cast<char>(body.size())) + body;
}

TEST(SentencePieceModel, ReadsPiecesAndMakesMerges) {
  auto model = Load(Piece("a") + Piece("b") + Piece("ab") + Piece("aba") + Piece("ba"));
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(WriteJson(model->Scores(4)), R"([["ba",-1.5]])");
  EXPECT_EQ(WriteJson(model->Merges()), R"([["a","b"],["a","ba"],["ab","a"],["b","a"]])");
}

TEST(SentencePieceModel, RefusesBrokenFiles) {
  const std::string good = Piece("abc");
  for (size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(Load(good.substr(0, size)).ok()) << size;
  EXPECT_FALSE(Load(Piece("\xff")).ok());
  EXPECT_FALSE(Load("\x0b").ok());
}

}  // namespace
}  // namespace truevec
