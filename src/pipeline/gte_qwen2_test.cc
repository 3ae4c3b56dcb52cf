// gte-Qwen2-1.5B-instruct's published directory at tiny size (tools/goldens/pipeline_decoders.py): whose file says that
// the mask is bidirectional, what a causal mask gives instead, and when the end token is appended.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "pipeline/inspect.h"
#include "pipeline/pipeline.h"

namespace truevec {
namespace {

namespace fs = std::filesystem;

const std::string kFolder = std::string(TRUEVEC_SOURCE_DIR) + "/tests/golden/pipeline/gte_qwen2";

struct Case {
  std::string text;
  std::string prompt_name;
  std::vector<int32_t> ids;
  std::vector<double> expected;
};

std::vector<Case> Cases(const std::string& name) {
  std::vector<Case> cases;
  const auto file = JsonFile::Load(kFolder + "/" + name, name);
  const JsonRef list = file->root()["cases"];
  for (size_t i = 0; i < list.size(); ++i) {
    const JsonRef c = list.At(i);
    Case one;
    one.text = *c["text"].String();
    if (c["prompt_name"].is_string()) one.prompt_name = *c["prompt_name"].String();
    for (size_t j = 0; j < c["ids"].size(); ++j) one.ids.push_back(static_cast<int32_t>(*c["ids"].At(j).Int()));
    for (size_t j = 0; j < c["expected"].size(); ++j) one.expected.push_back(*c["expected"].At(j).Double());
    cases.push_back(std::move(one));
  }
  return cases;
}

SpecOptions With(const std::vector<std::string>& overrides) {
  SpecOptions options;
  const auto parsed = Overrides::Parse(overrides);
  for (const auto& [key, value] : parsed->values()) options.overrides.Set(key, value);
  return options;
}

EncodedText Encode(const Pipeline& pipeline, const Case& c) {
  EncodeTextOptions options;
  if (!c.prompt_name.empty()) options.prompt.prompt_name = c.prompt_name;
  return *pipeline.Encode(c.text, options);
}

std::vector<float> Embed(const Pipeline& pipeline, const Case& c) {
  ThreadPool pool(1);
  Arena arena;
  const ExecContext ctx{&pool, &arena, nullptr};
  const EncodedText text = Encode(pipeline, c);
  const EncodedText* one[] = {&text};
  std::vector<float> out(c.expected.size());
  const auto width = static_cast<int64_t>(out.size());
  const Status status = pipeline.Embed(one, {}, ctx, {out.data(), 1, width, width});
  EXPECT_TRUE(status.ok()) << status.message();
  return out;
}

double Cosine(const std::vector<float>& a, const std::vector<double>& b) {
  double dot = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    dot += a[i] * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += b[i] * b[i];
  }
  return dot / std::sqrt(aa * bb);
}

double WorstError(const std::vector<float>& a, const std::vector<double>& b) {  // b has length 1
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
  return worst;
}

TEST(GteQwen2, OverrideGivesTheCausalVectors) {
  const auto causal = Pipeline::Load(kFolder, With({"is_causal=true"}));
  ASSERT_TRUE(causal.ok()) << causal.status().message();
  const auto by_name = Pipeline::Load(kFolder, With({"attention=causal"}));
  ASSERT_TRUE(by_name.ok()) << by_name.status().message();
  const std::vector<Case> expected = Cases("golden_causal.json");
  const std::vector<Case> bidirectional = Cases("golden.json");
  int different = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const std::vector<float> vector = Embed(**causal, expected[i]);
    EXPECT_LT(WorstError(vector, expected[i].expected), 3e-6) << expected[i].text;
    EXPECT_EQ(vector, Embed(**by_name, expected[i]));
    if (expected[i].ids.size() > 1) {
      EXPECT_LT(Cosine(vector, bidirectional[i].expected), 0.99) << expected[i].text;
      ++different;
    }
  }
  EXPECT_GE(different, 6);
}

TEST(GteQwen2, InspectSaysWhichFileDecided) {
  const auto report = InspectModel(kFolder, With({}));
  ASSERT_TRUE(report.ok() && Supported(*report));
  const Setting* attention = report->spec.settings.Find("attention");
  ASSERT_NE(attention, nullptr);
  EXPECT_EQ(attention->value, json::value("bidirectional"));
  EXPECT_EQ(attention->source.Describe(), "config.json: is_causal");
  const auto causal = InspectModel(kFolder, With({"is_causal=true"}));
  const Setting* over = causal->spec.settings.Find("attention");
  EXPECT_EQ(over->value, json::value("causal"));
  ASSERT_EQ(over->conflicts.size(), 2u);  // the override lost against nothing: config.json and the remote code lost
  EXPECT_EQ(over->conflicts[0].source.key, "is_causal");
  EXPECT_EQ(over->conflicts[1].source.key, "auto_map.AutoModel");
  EXPECT_NE(report->spec.fingerprint(), causal->spec.fingerprint());
}

// Without tokenization_qwen.py the reference's own class runs and appends nothing (golden.json's ids); with it, as the
// published directory has it, add_eos_token holds.
TEST(GteQwen2, EndTokenFollowsThePublishedTokenizerCode) {
  const fs::path copy = fs::temp_directory_path() / ("gte_qwen2_" + std::to_string(::getpid()));
  fs::copy(kFolder, copy, fs::copy_options::recursive);
  std::ofstream(copy / "tokenization_qwen.py") << "# the publisher's tokenizer\n";
  const auto plain = Pipeline::Load(kFolder, With({}));
  const auto published = Pipeline::Load(copy.string(), With({}));
  ASSERT_TRUE(published.ok()) << published.status().message();
  for (const Case& c : Cases("golden.json")) {
    EXPECT_EQ(Encode(**plain, c).ids, c.ids);
    std::vector<int32_t> with_end = c.ids;
    with_end.push_back(327);
    EXPECT_EQ(Encode(**published, c).ids, with_end);
  }
  const auto report = InspectModel(copy.string(), With({}));
  EXPECT_EQ(report->spec.settings.Find("special_tokens")->source.Describe(), "tokenizer_config.json: add_eos_token");
  fs::remove_all(copy);
}

}  // namespace
}  // namespace truevec
