// The ids-only path gives the ids of the path with offsets: for every golden tokenizer and a set of pipelines made
// here, over random texts.
#include "tokenizer/ids_encoder.h"

#include <gtest/gtest.h>
#include <time.h>

#include <chrono>
#include <filesystem>
#include <random>
#include <thread>

#include "tokenizer/tokenizer.h"
#include "tokenizer/utf8-inl.h"
#include "unicode/unicode.h"

namespace truevec {
namespace {

namespace fs = std::filesystem;

class TextMaker {
 public:
  explicit TextMaker(uint32_t seed) : random_(seed) {}
  std::string Next() {
    static constexpr std::pair<uint32_t, uint32_t> kBlocks[] = {
        {0x20, 0x7F},     {0x20, 0x7F},     {0x61, 0x7B},       {0x61, 0x7B},      {0xA0, 0x250},
        {0x300, 0x370},   {0x370, 0x530},   {0x590, 0x700},     {0x900, 0xE80},    {0x1100, 0x1200},
        {0x1E00, 0x2100}, {0x2000, 0x2070}, {0x3000, 0x3100},   {0x4E00, 0x4F00},  {0xAC00, 0xAD00},
        {0xFB00, 0xFFFE}, {0, 0x20},        {0x1F300, 0x1F700}, {0x20000, 0x20100}};
    static constexpr std::string_view kLiterals[] = {" ",
                                                     " ",
                                                     "  ",
                                                     "\n",
                                                     "\r\n",
                                                     "the ",
                                                     "hello world",
                                                     "don't",
                                                     "'RE",
                                                     "<s>",
                                                     "</s>",
                                                     "[SEP]",
                                                     "<mask>",
                                                     "▁",
                                                     "▁▁",
                                                     "Ġ",
                                                     "##",
                                                     "1234567",
                                                     "e\u0301\u0302",
                                                     "か\u3099",
                                                     "ﾊﾟ",
                                                     "İ",
                                                     "👩‍👩‍👧",
                                                     "\u00ad",
                                                     "\u3000",
                                                     "<0x41>",
                                                     "quick brown",
                                                     "aaaaaaaaaaaaaaaaaaaaaaaa",
                                                     "日本語",
                                                     "русский язык",
                                                     "हिन्दी"};
    std::string text;
    for (uint32_t n = random_() % 24; n > 0; --n) {
      if (random_() % 2 == 0) {
        text += kLiterals[random_() % std::size(kLiterals)];
      } else {
        const auto [low, high] = kBlocks[random_() % std::size(kBlocks)];
        AppendUtf8(low + random_() % (high - low), &text);
      }
    }
    return text;
  }

 private:
  std::mt19937 random_;
};

void Compare(const Tokenizer& tokenizer, const std::string& text) {
  EncodeOptions details;
  details.details = true;
  const auto slow = tokenizer.Encode(text, std::nullopt, details);
  const auto fast = tokenizer.Encode(text, std::nullopt, {});
  ASSERT_EQ(slow.ok(), fast.ok()) << text;
  std::vector<int32_t> ids = {-7};
  ASSERT_EQ(tokenizer.EncodeIds(text, {}, &ids).ok(), slow.ok());
  if (slow.ok()) {
    ASSERT_EQ(slow->ids, fast->ids) << text;
    ASSERT_EQ(ids.front(), -7);
    ids.erase(ids.begin());
    ASSERT_EQ(slow->ids, ids) << text;
  }
}

class IdsEncoderGolden : public ::testing::TestWithParam<std::string> {
 public:
  static std::vector<std::string> Names() {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(std::string(TRUEVEC_SOURCE_DIR) + "/tests/golden/tokenizers")) {
      const std::string name = entry.path().stem().string();
      if (entry.path().extension() == ".json" && name != "meta") names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    return names;
  }
};

TEST_P(IdsEncoderGolden, GivesTheIdsOfThePathWithOffsets) {
  const auto tokenizer =
      Tokenizer::LoadFile(std::string(TRUEVEC_SOURCE_DIR) + "/tests/golden/tokenizers/" + GetParam() + ".json");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  TextMaker maker(11);
  for (int i = 0; i < 800 && !HasFatalFailure(); ++i) Compare(**tokenizer, maker.Next());
}

INSTANTIATE_TEST_SUITE_P(All, IdsEncoderGolden, ::testing::ValuesIn(IdsEncoderGolden::Names()), [](const auto& test) {
  std::string name = test.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

// Character-level vocabularies, so that every difference in the text before the model shows in the ids.
std::string CharacterVocabulary() {
  std::string vocab = R"({"<unk>": 0)";
  int id = 1;
  for (const auto& [low, high] : {std::pair<uint32_t, uint32_t>{0x20, 0x7F},
                                  {0xA0, 0x180},
                                  {0x300, 0x320},
                                  {0x3040, 0x30A0},
                                  {0x1100, 0x1115},
                                  {0x2581, 0x2582},
                                  {0x4E00, 0x4E20}}) {
    for (uint32_t cp = low; cp < high; ++cp) {
      vocab += ", \"";
      if (cp == '"' || cp == '\\') vocab += '\\';
      AppendUtf8(cp, &vocab);
      vocab += "\": " + std::to_string(id++);
    }
  }
  return vocab + "}";
}

std::unique_ptr<Tokenizer> Load(const std::string& text) {
  auto file = JsonFile::Parse(text, "tokenizer.json");
  EXPECT_TRUE(file.ok()) << file.status().message();
  auto tokenizer = Tokenizer::FromJson(*file);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  return tokenizer.ok() ? std::move(*tokenizer) : nullptr;
}

TEST(IdsEncoder, EveryNormalizerAndPreTokenizer) {
  const std::vector<std::string> normalizers = {
      "null",
      R"({"type": "BertNormalizer", "lowercase": true, "clean_text": true, "handle_chinese_chars": true, "strip_accents": null})",
      R"({"type": "BertNormalizer", "lowercase": true, "strip_accents": false, "handle_chinese_chars": false, "clean_text": true})",
      R"({"type": "BertNormalizer", "lowercase": false, "clean_text": false, "handle_chinese_chars": true, "strip_accents": null})",
      R"({"type": "NFC"})",
      R"({"type": "NFD"})",
      R"({"type": "NFKC"})",
      R"({"type": "NFKD"})",
      R"({"type": "Lowercase"})",
      R"({"type": "StripAccents"})",
      R"({"type": "Nmt"})",
      R"({"type": "Strip", "strip_left": true, "strip_right": true})",
      R"({"type": "Strip", "strip_left": false, "strip_right": true})",
      R"({"type": "Prepend", "prepend": "▁"})",
      R"({"type": "Replace", "pattern": {"String": " "}, "content": "▁"})",
      R"({"type": "Replace", "pattern": {"String": "a"}, "content": ""})",
      R"({"type": "Replace", "pattern": {"String": "th"}, "content": "longer text"})",
      R"({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"})",
      R"({"type": "Replace", "pattern": {"Regex": "\\s{2,}|[\\n\\r\\t]"}, "content": " "})",
      R"({"type": "Sequence", "normalizers": [{"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"}]})",
  };
  const std::vector<std::string> pre_tokenizers = {
      "null",
      R"({"type": "BertPreTokenizer"})",
      R"({"type": "Whitespace"})",
      R"({"type": "WhitespaceSplit"})",
      R"({"type": "Digits", "individual_digits": true})",
      R"({"type": "Punctuation", "behavior": "MergedWithPrevious"})",
      R"({"type": "CharDelimiterSplit", "delimiter": "e"})",
      R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"})",
      R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false})",
      R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never"})",
      R"({"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"},
          {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"}]})",
      R"({"type": "Split", "pattern": {"String": "l"}, "behavior": "Removed", "invert": true})",
      R"({"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithNext", "invert": false})",
      R"({"type": "Split", "pattern": {"Regex": "[a-m]+"}, "behavior": "Contiguous", "invert": false})",
      R"({"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": false}, {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true}]})",
      R"({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false})",
  };
  const std::vector<std::string> models = {
      R"({"type": "WordPiece", "unk_token": "<unk>", "continuing_subword_prefix": "", "max_input_chars_per_word": 100, "vocab": VOCAB})",
      R"({"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "vocab": VOCAB, "merges": [["t", "h"], ["l", "l"]]})",
      R"({"type": "WordLevel", "unk_token": "<unk>", "vocab": VOCAB})",
  };
  // content, the flag that is set beside "normalized", and "normalized"
  const auto token = [](const char* content, const char* flag, bool normalized) {
    std::string json = R"({"id": 0, "special": false, "content": ")" + std::string(content) + R"(", "normalized": )";
    json += normalized ? "true" : "false";
    for (const char* name : {"lstrip", "rstrip", "single_word"}) {
      json += ", \"" + std::string(name) + (std::string_view(name) == flag ? "\": true" : "\": false");
    }
    return json + "}";
  };
  const std::string added = "[" + token("<s>", "lstrip", false) + ", " + token("hello", "", true) + ", " +
                            token("hel", "rstrip", true) + ", " + token("日", "single_word", false) + "]";
  std::string vocabulary = CharacterVocabulary();
  vocabulary.pop_back();
  vocabulary += R"(, "th": 1001, "ll": 1002})";
  TextMaker maker(5);
  int combination = 0;
  for (const std::string& normalizer : normalizers) {
    for (const std::string& pre_tokenizer : pre_tokenizers) {
      for (std::string model : models) {
        model.replace(model.find("VOCAB"), 5, vocabulary);
        for (const bool with_added : {false, true, true}) {
          if (++combination % 2 == 0) continue;
          const auto tokenizer =
              Load(R"({"version": "1.0", "added_tokens": )" + (with_added ? added : "[]") + R"(, "normalizer": )" +
                   normalizer + R"(, "pre_tokenizer": )" + pre_tokenizer + R"(, "model": )" + model + "}");
          ASSERT_NE(tokenizer, nullptr);
          for (int i = 0; i < 16; ++i) Compare(*tokenizer, maker.Next());
          ASSERT_FALSE(HasFatalFailure()) << normalizer << pre_tokenizer << model.substr(0, 40);
        }
      }
    }
  }
}

// Characters without tokens, in every combination of what BPE may do about them.
TEST(IdsEncoder, BpeUnknownCharacters) {
  for (const std::string unk : {"null", "\"<unk>\""}) {
    for (const std::string fuse : {"false", "true"}) {
      for (const std::string fallback : {"false", "true"}) {
        for (const std::string bytes : {"", R"(, "<0xE6>": 10, "<0x97>": 11, "<0xA5>": 12)", R"(, "<0x78>": 10)"}) {
          const auto tokenizer = Load(R"({"model": {"type": "BPE", "unk_token": )" + unk + R"(, "fuse_unk": )" + fuse +
                                      R"(, "byte_fallback": )" + fallback +
                                      R"(, "vocab": {"<unk>": 0, "a": 1, "b": 2, "ab": 3, "ba": 4, "aba": 5,
              "bb": 6, "abab": 7)" + bytes +
                                      R"(}, "merges": [["a", "b"], ["b", "a"], ["ab", "a"], ["b", "b"],
              ["ab", "ab"]]}})");
          ASSERT_NE(tokenizer, nullptr);
          std::mt19937 random(3);
          for (int i = 0; i < 400; ++i) {
            std::string text;
            static constexpr std::string_view kParts[] = {"a", "b", "a", "b", "x", "日", "é"};
            for (uint32_t n = random() % 70; n > 0; --n) text += kParts[random() % std::size(kParts)];
            Compare(*tokenizer, text);
            ASSERT_FALSE(HasFatalFailure()) << unk << fuse << fallback << bytes;
          }
        }
      }
    }
  }
}

double ThreadSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// A third of a megabyte of one character: a quadratic step anywhere would take minutes.
TEST(IdsEncoder, LongRunsTakeLinearTime) {
  for (const char* name : {"bert", "gpt2", "qwen", "gemma", "xlm-r", "t5"}) {
    const auto tokenizer =
        Tokenizer::LoadFile(std::string(TRUEVEC_SOURCE_DIR) + "/tests/golden/tokenizers/" + name + ".json");
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
    for (const std::string_view unit : {"a", " ", "日", "\u0301", "İ"}) {
      std::string text;
      while (text.size() < 300'000) text += unit;
      const double begin = ThreadSeconds();
      EXPECT_TRUE((*tokenizer)->Encode(text, std::nullopt, {}).ok());
      EXPECT_LT(ThreadSeconds() - begin, 1.0) << name << " " << unit;
    }
  }
}

// One tokenizer, many threads: a scratch is never shared (TSan sees it), and the ids are those of one thread.
TEST(IdsEncoder, ManyThreads) {
  const auto tokenizer = Tokenizer::LoadFile(std::string(TRUEVEC_SOURCE_DIR) + "/tests/golden/tokenizers/bert.json");
  ASSERT_TRUE(tokenizer.ok());
  std::vector<std::string> texts;
  TextMaker maker(2);
  for (int i = 0; i < 200; ++i) texts.push_back(maker.Next());
  std::vector<std::vector<int32_t>> expected;
  for (const std::string& text : texts) expected.push_back((*tokenizer)->Encode(text, std::nullopt, {})->ids);
  std::atomic<int> different = 0;
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < texts.size() * 3; ++i) {
        const size_t at = (i * 7 + t * 31) % texts.size();
        different += (*tokenizer)->Encode(texts[at], std::nullopt, {})->ids != expected[at] ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(different, 0);
}

}  // namespace
}  // namespace truevec
