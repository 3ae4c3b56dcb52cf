// Rows of the hypotheses against the same change made another way: by a setting of the model's own, or by hand.
#include <gtest/gtest.h>

#include <algorithm>

#include "verify/lab.h"

namespace truevec {
namespace {

const std::string kModels = std::string(TRUEVEC_SOURCE_DIR) + "/tests/golden/pipeline/";
const std::vector<std::string> kTexts = {"the weather is nice today and we walk along the river", "hello",
                                         "many words in a line of text so that positions matter a little more"};

std::unique_ptr<Lab> LabOf(const std::string& directory, const std::string& key = "", const json::value& value = {}) {
  SpecOptions options;
  if (!key.empty()) options.overrides.Set(key, value);
  auto lab = Lab::Load(directory, options, {}, 1);
  EXPECT_TRUE(lab.ok()) << lab.status().message();
  return lab.ok() ? std::move(lab).value() : nullptr;
}

const Hypothesis* RowOf(const Hypotheses& rows, std::string_view cause, std::string_view variant) {
  const auto found = std::find_if(rows.begin(), rows.end(),
                                  [&](const Hypothesis& h) { return h.cause == cause && h.variant == variant; });
  EXPECT_NE(found, rows.end()) << cause << " (" << variant << ")";
  return found == rows.end() ? nullptr : &*found;
}

double Farthest(const std::vector<Vector>& a, const std::vector<Vector>& b) {
  double farthest = 0;
  for (size_t i = 0; i < a.size(); ++i) farthest = std::max(farthest, CosineDistance(a[i], b[i]));
  return farthest;
}

// The row on the model as it is gives what the model gives with the setting, and not what it gives without.
void ExpectSameAsSetting(const std::string& model, const std::string& cause, const std::string& variant,
                         const std::string& key, const json::value& value) {
  SCOPED_TRACE(cause + " (" + variant + ")");
  const auto plain = LabOf(model);
  const auto set = LabOf(model, key, value);
  ASSERT_TRUE(plain != nullptr && set != nullptr);
  const Hypotheses rows = AllHypotheses(plain->traits());
  const Hypothesis* row = RowOf(rows, cause, variant);
  ASSERT_NE(row, nullptr);
  const auto simulated = plain->Run(kTexts, {row});
  const auto wanted = set->Reference(kTexts);
  const auto healthy = plain->Reference(kTexts);
  ASSERT_TRUE(simulated.ok() && wanted.ok() && healthy.ok());
  EXPECT_LT(Farthest(*simulated, *wanted), 1e-10);
  EXPECT_GT(Farthest(*healthy, *wanted), 1e-7);
}

TEST(Hypotheses, RotaryScalingAsTheModelsOwnSetting) {
  const std::string model = kModels + "qwen3_embedding";
  ExpectSameAsSetting(model, "rope-scaling", "linear 4", "rope_scaling", {{"rope_type", "linear"}, {"factor", 4.0}});
  ExpectSameAsSetting(model, "rope-theta", "10000", "rope_theta", 10000.0);
}

TEST(Hypotheses, QuickGeluAsTheModelsOwnSetting) {
  ExpectSameAsSetting(std::string(TRUEVEC_SOURCE_DIR) + "/tests/verify/model", "gelu-variant", "quick", "hidden_act",
                      "quick_gelu");
  ExpectSameAsSetting(kModels + "bert_gelu_new", "gelu-variant", "quick for tanh", "hidden_act", "quick_gelu");
}

// Special tokens left out: content is cut to what fits beside the model's own, or to the whole limit.
TEST(Hypotheses, WhereTextsAreCut) {
  const auto lab = LabOf(std::string(TRUEVEC_SOURCE_DIR) + "/tests/verify/model");
  ASSERT_NE(lab, nullptr);
  std::string text = "hello";
  for (int i = 0; i < 300; ++i) text += " hello";
  const auto limit = static_cast<size_t>(lab->ids().max_length);
  const Hypotheses rows = AllHypotheses(lab->traits());
  for (const auto& [variant, length] : {std::pair("all", limit - 2), std::pair("all, cut to the full limit", limit)}) {
    const Hypothesis* row = RowOf(rows, "special-tokens-missing", variant);
    ASSERT_NE(row, nullptr);
    const auto ids = lab->Ids({text}, {row});
    ASSERT_TRUE(ids.ok());
    EXPECT_EQ((*ids)[0].size(), length) << variant;
    EXPECT_EQ(std::count((*ids)[0].begin(), (*ids)[0].end(), (*ids)[0][0]), static_cast<ptrdiff_t>(length));
  }
}

TEST(Hypotheses, TextsCutByWordsOrCharacters) {
  EXPECT_EQ(TextCutRow(2, true).edit.text("one two three"), "one two");
  EXPECT_EQ(TextCutRow(3, true).edit.text("one two three"), "one two three");
  EXPECT_EQ(TextCutRow(3, false).edit.text("\u00e9t\u00e9s"), "\u00e9t\u00e9");
  EXPECT_EQ(TextCutRow(9, false).edit.text("short"), "short");
}

// A sum in place of the mean shows behind a projection with an activation only; its length then is the count of tokens.
TEST(Hypotheses, SumInPlaceOfTheMean) {
  const auto lab = LabOf(kModels + "dense_tanh");
  ASSERT_NE(lab, nullptr);
  const Hypotheses rows = AllHypotheses(lab->traits());
  const Hypothesis* sum = RowOf(rows, "pooling-mask", "sum");
  const Hypothesis* bare = RowOf(rows, "projection-missing", "all");
  ASSERT_TRUE(sum != nullptr && bare != nullptr);
  const auto mean = lab->Run(kTexts, {bare});
  const auto both = lab->Run(kTexts, {bare, sum});
  const auto ids = lab->Ids(kTexts, {});
  ASSERT_TRUE(mean.ok() && both.ok() && ids.ok());
  for (size_t i = 0; i < kTexts.size(); ++i) {
    EXPECT_LT(CosineDistance((*mean)[i], (*both)[i]), 1e-10);
    if (!lab->traits().normalizes) {
      EXPECT_NEAR(Norm((*both)[i]) / Norm((*mean)[i]), static_cast<double>((*ids)[i].size()), 1e-3);
    }
  }
  const auto moved = lab->Run(kTexts, {sum});
  const auto healthy = lab->Reference(kTexts);
  ASSERT_TRUE(moved.ok() && healthy.ok());
  EXPECT_GT(Farthest(*moved, *healthy), 1e-6);
}

// Tables and Dense modules are rounded by some engines and kept by others: each way has a row.
TEST(Hypotheses, WeightFormatsByKindOfTensor) {
  ModelTraits traits;
  traits.dense = 1;
  Hypotheses rows;
  AddNumericHypotheses(traits, &rows);
  const auto changes = [&](std::string_view variant, const std::string& tensor) {
    const Hypothesis* row = RowOf(rows, "weight-quantization", variant);
    EXPECT_NE(row, nullptr) << variant;
    std::vector<float> values = {0.1f, 0.7f, -0.3f, 0.9f};
    values.resize(128, 0.25f);
    const WeightEntry entry = {tensor, {values.data(), DType::kF32, {2, 64}}, "model.safetensors"};
    return row != nullptr && row->edit.weights(entry, &values);
  };
  const std::string matrix = "encoder.block.0.layer.0.SelfAttention.q.weight";
  for (const std::string table : {"shared.weight", "embeddings.word_embeddings.weight", "embed_tokens.weight",
                                  "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"}) {
    EXPECT_FALSE(changes("NF4", table)) << table;
    EXPECT_FALSE(changes("NF4, Dense modules exact", table)) << table;
    EXPECT_TRUE(changes("NF4, tables too", table)) << table;
    EXPECT_TRUE(changes("Q8_0, Dense modules exact", table)) << table;
  }
  for (const auto variant : {"NF4", "NF4, tables too", "Q8_0", "int8 per row"}) {
    EXPECT_TRUE(changes(variant, matrix)) << variant;
    EXPECT_TRUE(changes(variant, "linear.weight")) << variant;
    EXPECT_TRUE(changes(variant + std::string(", Dense modules exact"), matrix)) << variant;
    EXPECT_FALSE(changes(variant + std::string(", Dense modules exact"), "linear.weight")) << variant;
  }
  traits.dense = 0;
  rows.clear();
  AddNumericHypotheses(traits, &rows);
  EXPECT_TRUE(std::none_of(rows.begin(), rows.end(),
                           [](const Hypothesis& h) { return h.variant.find("Dense") != std::string::npos; }));
}

TEST(Hypotheses, PaddingUpToAMultiple) {
  const auto lab = LabOf(std::string(TRUEVEC_SOURCE_DIR) + "/tests/verify/model");
  ASSERT_NE(lab, nullptr);
  const Hypotheses rows = AllHypotheses(lab->traits());
  const Hypothesis* row = RowOf(rows, "padding-attended", "to a multiple of 8");
  ASSERT_NE(row, nullptr);
  const auto own = lab->Ids(kTexts, {});
  const auto padded = lab->Ids(kTexts, {row});
  ASSERT_TRUE(own.ok() && padded.ok());
  for (size_t i = 0; i < kTexts.size(); ++i) EXPECT_EQ((*padded)[i].size(), ((*own)[i].size() + 7) / 8 * 8);
}

}  // namespace
}  // namespace truevec
