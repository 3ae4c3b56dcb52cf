#include <gtest/gtest.h>

#include "tokenizer/tokenizer.h"

namespace truevec {
namespace {

// A vocabulary for hand-made expectations; ids are the places in the list.
constexpr std::string_view kBert = R"({"version": "1.0",
  "added_tokens": [{"id": 0, "content": "[PAD]", "single_word": false, "lstrip": false,
                    "rstrip": false, "special": true, "normalized": false},
                   {"id": 1, "content": "[UNK]", "single_word": false, "lstrip": false,
                    "rstrip": false, "special": true, "normalized": false},
                   {"id": 2, "content": "[CLS]", "single_word": false, "lstrip": false,
                    "rstrip": false, "special": true, "normalized": false},
                   {"id": 3, "content": "[SEP]", "single_word": false, "lstrip": false,
                    "rstrip": false, "special": true, "normalized": false}],
  "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                 "strip_accents": null, "lowercase": true},
  "pre_tokenizer": {"type": "BertPreTokenizer"},
  "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
  "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab":
    {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "cafe": 4, "un": 5, "##able": 6, "!": 7, "日": 8}}})";

std::unique_ptr<Tokenizer> Load(std::string_view text) {
  auto file = JsonFile::Parse(text, "tokenizer.json");
  EXPECT_TRUE(file.ok()) << file.status().message();
  auto tokenizer = Tokenizer::FromJson(*file);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  return tokenizer.ok() ? std::move(*tokenizer) : nullptr;
}

std::vector<int32_t> Ids(const Tokenizer& tokenizer, std::string_view text, const EncodeOptions& options = {}) {
  auto encoding = tokenizer.Encode(text, std::nullopt, options);
  EXPECT_TRUE(encoding.ok()) << encoding.status().message();
  return encoding->ids;
}

TEST(WordPieceTokenizer, NormalisesSplitsAndAddsSpecials) {
  const auto tokenizer = Load(kBert);
  EXPECT_EQ(Ids(*tokenizer, "Café UNABLE!日"), (std::vector<int32_t>{2, 4, 5, 6, 7, 8, 3}));
  EXPECT_EQ(Ids(*tokenizer, ""), (std::vector<int32_t>{2, 3}));
  EXPECT_EQ(Ids(*tokenizer, "cafe[SEP]zz"), (std::vector<int32_t>{2, 4, 3, 1, 3}));
}

TEST(WordPieceTokenizer, OffsetsAreCodePointsOfTheGivenText) {
  const auto tokenizer = Load(kBert);
  EncodeOptions options;
  options.details = true;
  const auto encoding = tokenizer->Encode(" Café unable", std::nullopt, options);
  ASSERT_TRUE(encoding.ok());
  const std::vector<std::pair<int32_t, int32_t>> expected = {{0, 0}, {1, 5}, {6, 8}, {8, 12}, {0, 0}};
  EXPECT_EQ(encoding->offsets, expected);
  EXPECT_EQ(encoding->byte_offsets[1], (std::pair<int32_t, int32_t>(1, 6)));
  EXPECT_EQ(encoding->special_tokens_mask, (std::vector<uint8_t>{1, 0, 0, 0, 1}));
}

TEST(WordPieceTokenizer, TruncatesAndCounts) {
  const auto tokenizer = Load(kBert);
  EncodeOptions options;
  options.truncation = Truncation{.max_length = 4};
  auto encoding = tokenizer->Encode("cafe unable !", std::nullopt, options);
  EXPECT_EQ(encoding->ids, (std::vector<int32_t>{2, 4, 5, 3}));
  EXPECT_EQ(encoding->truncated_tokens, 2);
  options.truncation->side = Side::kLeft;
  EXPECT_EQ(Ids(*tokenizer, "cafe unable !", options), (std::vector<int32_t>{2, 6, 7, 3}));
  options.truncation->max_length = 1;
  EXPECT_FALSE(tokenizer->Encode("cafe", std::nullopt, options).ok());
}

TEST(WordPieceTokenizer, PairsAndTypeIds) {
  const auto tokenizer = Load(kBert);
  const auto encoding = tokenizer->Encode("cafe", "unable", {});
  EXPECT_EQ(encoding->ids, (std::vector<int32_t>{2, 4, 3, 5, 6, 3}));
  EXPECT_EQ(encoding->type_ids, (std::vector<int32_t>{0, 0, 0, 1, 1, 1}));
}

TEST(WordPieceTokenizer, RefusesInvalidUtf8NamingTheByte) {
  const auto tokenizer = Load(kBert);
  EXPECT_EQ(tokenizer->Encode("ab\xFF", std::nullopt, {}).status().message(), "the text is not valid UTF-8 at byte 2");
  EXPECT_FALSE(tokenizer->Encode("\xED\xA0\x80", std::nullopt, {}).ok());  // a surrogate
}

TEST(Split, EmptyMatchesKeepTheirPlacesWhileNeighboursAreMerged) {
  for (const std::string behavior : {"MergedWithNext", "MergedWithPrevious", "Contiguous"}) {
    const auto tokenizer = Load(R"({"pre_tokenizer": {"type": "Split", "pattern": {"String": ""}, "behavior": ")" +
                                behavior + R"(", "invert": true},
      "model": {"type": "WordLevel", "unk_token": "?", "vocab": {"?": 0, "a": 1, "b": 2}}})");
    EXPECT_EQ(Ids(*tokenizer, "ab"), (std::vector<int32_t>{1, 2})) << behavior;  // as tokenizers 0.23.3
  }
}

TEST(TokenizerJson, RefusesUnknownComponentsByPath) {
  const auto refuse = [](const std::string& text) {
    auto file = JsonFile::Parse(text, "tokenizer.json");
    return Tokenizer::FromJson(*file).status().message();
  };
  EXPECT_EQ(refuse(R"({"normalizer": {"type": "Magic"}, "model": {}})"),
            "tokenizer.json: normalizer.type: normalizer \"Magic\" is not supported");
  EXPECT_EQ(refuse(R"({"model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                        "max_input_chars_per_word": 100, "vocab": {"a": 0}}})"),
            "tokenizer.json: model.unk_token: \"[UNK]\" is not in the vocabulary");
  EXPECT_EQ(refuse(R"({"model": {"type": "WordPiece", "unk_token": "a", "continuing_subword_prefix": "##",
                        "max_input_chars_per_word": 100, "vocab": {"a": 0, "b": 0}}})"),
            "tokenizer.json: model.vocab.b: id 0 is given to two tokens");
  const std::string model = R"("model": {"type": "WordLevel", "unk_token": "a", "vocab": {"a": 0}})";
  EXPECT_NE(refuse(R"({"padding": {"strategy": {"Fixed": 1000000000000}, "direction": "Right", "pad_id": 0,
                      "pad_type_id": 0, "pad_token": "a"}, )" +
                   model + "}")
                .find("padding.strategy.Fixed"),
            std::string::npos);
  EXPECT_NE(refuse(R"({"truncation": {"max_length": 2, "stride": 5, "strategy": "LongestFirst"}, )" + model + "}")
                .find("truncation.stride"),
            std::string::npos);
  EXPECT_NE(refuse(R"({"model": {"type": "WordPiece", "unk_token": "a", "continuing_subword_prefix": "##",
                       "max_input_chars_per_word": -1,
                       "vocab": {"a": 0}}})")
                .find("max_input_chars_per_word"),
            std::string::npos);
}

}  // namespace
}  // namespace truevec
