// Every tokenizer of tests/golden/tokenizers against the reference's ids and offsets (tools/goldens/tokenizers.py), and
// the ids-only path against the one with details.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "tokenizer/tokenizer.h"

namespace truevec {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> Names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(std::string(TRUEVEC_SOURCE_DIR) + "/tests/golden/tokenizers")) {
    if (entry.path().extension() == ".jsonl") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class TokenizerGolden : public ::testing::TestWithParam<std::string> {};

TEST_P(TokenizerGolden, IdsAndOffsetsAreTheReferences) {
  const std::string base = std::string(TRUEVEC_SOURCE_DIR) + "/tests/golden/tokenizers/" + GetParam();
  auto tokenizer = Tokenizer::LoadFile(base + ".json");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  auto cases = ReadFile(base + ".jsonl");
  ASSERT_TRUE(cases.ok());
  int count = 0;
  for (size_t begin = 0; begin < cases->size(); ++count) {
    const size_t end = cases->find('\n', begin);
    auto line = JsonFile::Parse(cases->substr(begin, end - begin), "case");
    begin = end + 1;
    const std::string text = *line->root()["text"].String();
    EncodeOptions options;
    options.details = true;
    auto encoding = (*tokenizer)->Encode(text, std::nullopt, options);
    ASSERT_TRUE(encoding.ok()) << encoding.status().message();
    const JsonRef ids = line->root()["ids"];
    const JsonRef offsets = line->root()["offsets"];
    ASSERT_EQ(encoding->ids.size(), ids.size()) << text;
    for (size_t i = 0; i < ids.size(); ++i) {
      ASSERT_EQ(encoding->ids[i], *ids.At(i).Int()) << text << " token " << i;
      ASSERT_EQ(encoding->offsets[i].first, *offsets.At(i).At(0).Int()) << text << " token " << i;
      ASSERT_EQ(encoding->offsets[i].second, *offsets.At(i).At(1).Int()) << text << " token " << i;
    }
    auto plain = (*tokenizer)->Encode(text, std::nullopt, {});
    ASSERT_TRUE(plain.ok());
    EXPECT_EQ(plain->ids, encoding->ids);
  }
  EXPECT_GT(count, 90);
}

INSTANTIATE_TEST_SUITE_P(All, TokenizerGolden, ::testing::ValuesIn(Names()), [](const auto& test) {
  std::string name = test.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace truevec
