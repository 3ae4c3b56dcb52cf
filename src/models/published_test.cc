// Configs as publishers ship them (tests/golden/published.json, made by tools/goldens/published.py): every key must be
// read or known to be harmless, and every tensor of the golden that stands in for the model's weights must be read.
#include <gtest/gtest.h>

#include <set>

#include "models/model.h"
#include "weights/weight_files.h"

namespace truevec {
namespace {

const std::string kRoot = std::string(TRUEVEC_SOURCE_DIR) + "/tests/golden";

// Keys that a golden's size or tensors decide.
const std::set<std::string, std::less<>> kSizes = {"vocab_size",
                                                   "hidden_size",
                                                   "num_hidden_layers",
                                                   "num_attention_heads",
                                                   "intermediate_size",
                                                   "max_position_embeddings",
                                                   "type_vocab_size",
                                                   "dim",
                                                   "n_layers",
                                                   "n_heads",
                                                   "hidden_dim",
                                                   "d_model",
                                                   "d_kv",
                                                   "d_ff",
                                                   "num_layers",
                                                   "num_heads",
                                                   "position_buckets",
                                                   "max_relative_positions",
                                                   "pooler_hidden_size",
                                                   "relative_attention_num_buckets"};

TEST(Published, EveryConfigLoadsWithoutAFlag) {
  const auto file = JsonFile::Load(kRoot + "/published.json", "published.json");
  ASSERT_TRUE(file.ok());
  const JsonRef root = file->root();
  EXPECT_GE(root.size(), 50u);
  for (const std::string& name : root.Keys()) {
    SCOPED_TRACE(name);
    const std::string folder = kRoot + "/models/" + root[name]["golden"].String().value();
    const auto golden = JsonFile::Load(folder + "/config.json", "config.json");
    const auto cases = JsonFile::Load(folder + "/cases.json", "cases.json");
    ASSERT_TRUE(golden.ok() && cases.ok());
    json::value config = root[name]["config"].value();
    for (auto& [key, value] : config.as_object()) {
      if (!kSizes.contains(std::string_view(key))) continue;
      const JsonRef size = golden->root()[key];
      if (size.present()) value = size.value();
    }
    if (std::string_view(config.as_object()["model_type"].as_string()) == "deberta-v2") {
      config.as_object()["pooler_hidden_size"] = config.as_object()["hidden_size"];
    }
    ConfigReader reader(JsonRef(&config, "config.json"), nullptr, nullptr, "test");
    const auto weights = OpenWeights(folder);
    ASSERT_TRUE(weights.ok());
    const WeightScope scope(*weights);
    const std::string task = cases->root()["task"].String().value();
    ModelOptions options;
    if (task == "classification") options.task = Task::kSequenceClassification;
    if (task == "mlm") options.task = Task::kMaskedLm;
    const auto loaded = LoadModel(reader, scope, options);
    EXPECT_TRUE(loaded.ok()) << loaded.status().message();
    if (!loaded.ok()) continue;
    EXPECT_EQ(scope.Leftovers(), std::vector<std::string>{});
    for (const std::string& key : reader.UnreadKeys()) {
      // Read by the pipeline: the activation of cross-encoders.
      EXPECT_TRUE(key == "sentence_transformers" || key == "sbert_ce_default_activation_function") << key;
    }
  }
}

}  // namespace
}  // namespace truevec
