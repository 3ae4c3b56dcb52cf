// Decoders and overflow windows, with the values that tokenizers 0.23.3 gives, and what is refused.
#include <gtest/gtest.h>

#include "tokenizer/decoders.h"
#include "tokenizer/tokenizer.h"

namespace truevec {
namespace {

std::string Decoded(const std::string& decoder, std::vector<std::string> tokens) {
  const auto file = JsonFile::Parse(decoder, "decoder");
  const auto parsed = ParseDecoder(file->root());
  if (!parsed.ok()) return "refused: " + parsed.status().message();
  EXPECT_TRUE((*parsed)->Decode(&tokens).ok());
  std::string out;
  for (const std::string& token : tokens) out += token;
  return out;
}

TEST(Decoders, AsTheReference) {
  EXPECT_EQ(
      Decoded(R"({"type": "WordPiece", "prefix": "##", "cleanup": true})", {"hel", "##lo", ",", "do", "not", "!"}),
      "hello, do not!");
  EXPECT_EQ(Decoded(R"({"type": "BPEDecoder", "suffix": "</w>"})", {"he", "llo</w>", "you</w>"}), "hello you");
  EXPECT_EQ(Decoded(R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true})",
                    {"▁a", "b", "▁c"}),
            "ab c");
  EXPECT_EQ(Decoded(R"({"type": "ByteFallback"})", {"<0xE5>", "<0x8f>", "<0xab>", "a"}), "叫a");
  EXPECT_EQ(Decoded(R"({"type": "ByteFallback"})", {"<0xE5>", "<0x8f>", "a"}), "\uFFFD\uFFFDa");
  EXPECT_EQ(Decoded(R"({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true})", {"ĠaÃ", "©", "Ã"}),
            " aé\uFFFD");
  EXPECT_EQ(Decoded(R"({"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": true})",
                    {"<pad>", "h", "h", "<pad>", "h", "e", "|", "y"}),
            "hhe y");
  EXPECT_EQ(Decoded(R"({"type": "Sequence", "decoders": [{"type": "Fuse"},
              {"type": "Strip", "content": " ", "start": 1, "stop": 0}]})",
                    {" ", " a"}),
            " a");
  EXPECT_EQ(Decoded(R"({"suffix": "@"})", {"a@", "b@"}), "a b");  // no type: told by its shape
}

TEST(Decoders, RefuseWhatTheyDoNotKnow) {
  EXPECT_EQ(Decoded(R"({"type": "Magic"})", {}), "refused: decoder: type: decoder \"Magic\" is not supported");
  EXPECT_NE(Decoded(R"({"type": "Strip", "content": "ab", "start": 0, "stop": 0})", {}).find("one character"),
            std::string::npos);
}

constexpr std::string_view kWords = R"({"model": {"type": "WordLevel", "unk_token": "u",
    "vocab": {"u": 0, "a": 1, "b": 2, "c": 3, "d": 4, "[": 5}},
  "pre_tokenizer": {"type": "WhitespaceSplit"},
  "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "[", "type_id": 0}},
      {"Sequence": {"id": "A", "type_id": 0}}], "pair": [{"SpecialToken": {"id": "[", "type_id": 0}},
      {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {"[": {"id": "[", "ids": [5], "tokens": ["["]}}}})";

TEST(Overflow, WindowsOverlapByTheStride) {
  const auto file = JsonFile::Parse(kWords, "tokenizer.json");
  const auto tokenizer = Tokenizer::FromJson(*file);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EncodeOptions options;
  options.overflow = true;
  options.truncation = Truncation{.max_length = 3, .stride = 1};
  auto encoding = (*tokenizer)->Encode("a b c d", std::nullopt, options);
  ASSERT_TRUE(encoding.ok());
  EXPECT_EQ(encoding->ids, (std::vector<int32_t>{5, 1, 2}));
  ASSERT_EQ(encoding->overflowing.size(), 2u);
  EXPECT_EQ(encoding->overflowing[0].ids, (std::vector<int32_t>{5, 2, 3}));
  EXPECT_EQ(encoding->overflowing[1].ids, (std::vector<int32_t>{5, 3, 4}));
  options.truncation->side = Side::kLeft;
  encoding = (*tokenizer)->Encode("a b c d", std::nullopt, options);
  EXPECT_EQ(encoding->ids, (std::vector<int32_t>{5, 3, 4}));
  EXPECT_EQ(encoding->overflowing[1].ids, (std::vector<int32_t>{5, 1, 2}));
  options.truncation->stride = 2;  // leaves no step
  EXPECT_FALSE((*tokenizer)->Encode("a b c d", std::nullopt, options).ok());
}

TEST(Overflow, IsBounded) {
  const auto file = JsonFile::Parse(kWords, "tokenizer.json");
  const auto tokenizer = Tokenizer::FromJson(*file);
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += "a ";
  EncodeOptions options;
  options.overflow = true;
  options.truncation = Truncation{.max_length = 1'002, .stride = 1'000};
  EXPECT_NE((*tokenizer)->Encode(text, std::nullopt, options).status().message().find("windows"), std::string::npos);
}

}  // namespace
}  // namespace truevec
