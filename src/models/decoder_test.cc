// What the goldens cannot show: where the mask comes from, refusals by key, same bits for any batch and threads, and
// that a text's rope does not depend on its neighbours.
#include "models/decoder.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "models/model.h"
#include "weights/weight_files.h"

namespace truevec {
namespace {

const std::string kRoot = std::string(TRUEVEC_SOURCE_DIR) + "/tests/golden/models/";

struct Loaded {
  Status status;
  LoadedModel model;
  Settings settings;
};

// The golden's model with `keys` of its config.json replaced (null removes).
Loaded LoadWith(const std::string& golden, const std::string& keys, const std::vector<std::string>& override_texts = {},
                Task task = Task::kFeatureExtraction) {
  Loaded out;
  const auto file = JsonFile::Load(kRoot + golden + "/config.json", "config.json");
  json::object object = file->root().value().get_object();
  const auto changes = ParseJson(keys, "changes");
  for (const auto& member : changes->get_object()) {
    object.erase(member.key());
    if (!member.value().is_null()) object[member.key()] = member.value();
  }
  const json::value root(std::move(object));
  const auto overrides = Overrides::Parse(override_texts);
  ConfigReader reader(JsonRef(&root, "config.json"), &*overrides, &out.settings, "test");
  auto model = LoadModel(reader, WeightScope(*OpenWeights(kRoot + golden)), {ComputeType::kFloat32, task});
  if (model.ok() && !reader.UnreadKeys().empty()) {
    out.status = reader.Refuse(reader.UnreadKeys().front(), "unread");
  } else if (model.ok()) {
    out.model = std::move(*model);
  } else {
    out.status = model.status();
  }
  return out;
}

std::string Attention(const Loaded& loaded) {
  const Setting* found = loaded.settings.Find("attention");
  return found == nullptr ? "" : std::string(found->value.get_string()) + " from " + found->source.Describe();
}

TEST(Decoder, SaysWhichFileDecidedTheMask) {
  const std::string remote = R"("auto_map": {"AutoModel": "modeling_qwen.Qwen2Model"})";
  EXPECT_EQ(Attention(LoadWith("qwen2-bidirectional", "{}")), "bidirectional from config.json: is_causal");
  EXPECT_EQ(Attention(LoadWith("qwen2", "{}")).substr(0, 6), "causal");
  // Alibaba's own code is bidirectional; its config's is_causal, and an override, come first.
  EXPECT_EQ(Attention(LoadWith("qwen2", "{" + remote + "}")), "bidirectional from config.json: auto_map.AutoModel");
  const Loaded own = LoadWith("qwen2", "{" + remote + R"(, "is_causal": true})");
  EXPECT_EQ(Attention(own), "causal from config.json: is_causal");
  ASSERT_EQ(own.settings.Find("attention")->conflicts.size(), 1u);
  EXPECT_EQ(own.settings.Find("attention")->conflicts[0].source.key, "auto_map.AutoModel");
  const Loaded over = LoadWith("qwen2-bidirectional", "{}", {"is_causal=true"});
  EXPECT_EQ(Attention(over), "causal from --override is_causal=true");
  EXPECT_EQ(over.settings.Find("attention")->conflicts.size(), 1u);
  EXPECT_EQ(Attention(LoadWith("embeddinggemma", "{}")), "bidirectional from config.json: use_bidirectional_attention");
  EXPECT_EQ(Attention(LoadWith("llama", R"({"model_type": "llama_bidirec", "pooling": "avg", "temperature": 0.02})")),
            "bidirectional from config.json: model_type");
}

TEST(Decoder, RefusesByKey) {
  const auto message = [](const std::string& golden, const std::string& keys) {
    const Loaded loaded = LoadWith(golden, keys);
    return loaded.status.ok() ? "loaded" : loaded.status.message();
  };
  const struct {
    const char* golden;
    const char* keys;
    const char* names;
  } kCases[] = {
      {"llama", R"({"num_key_value_heads": 3})", "num_key_value_heads"},
      {"llama", R"({"hidden_act": "swiglu"})", "hidden_act"},
      {"llama", R"({"is_causal": "no"})", "is_causal"},
      {"llama", R"({"sliding_window": 4})", "sliding_window"},
      {"llama", R"({"use_bidirectional_attention": true})", "use_bidirectional_attention"},
      {"llama", R"({"attention_bias": true})", "q_proj.bias"},
      {"llama", R"({"head_dim": 16})", "q_proj.weight"},
      {"llama", R"({"num_hidden_layers": 4})", "layers.3"},
      {"llama", R"({"tie_word_embeddings": 1})", "tie_word_embeddings"},
      {"llama", R"({"rope_parameters": {"rope_type": "mrope"}})", "rope_type"},
      {"llama", R"({"rope_parameters": {"rope_type": "llama3", "factor": 2.0}})", "low_freq_factor"},
      {"mistral", R"({"sliding_window": 0})", "sliding_window"},
      {"qwen2", R"({"layer_types": ["full_attention", "chunked_attention", "full_attention"]})", "layer_types[1]"},
      {"qwen2", R"({"layer_types": ["full_attention"]})", "layer_types"},
      {"qwen2", R"({"use_mrope": true})", "use_mrope"},
      {"phi3", R"({"rope_parameters": {"rope_type": "linear", "factor": 2.0}})", "rope_scaling"},
      {"gemma", R"({"use_bidirectional_attention": true})", "use_bidirectional_attention"},
      {"gemma2", R"({"use_bidirectional_attention": true})", "use_bidirectional_attention"},
      {"gemma2", R"({"attn_logit_softcapping": -1})", "attn_logit_softcapping"},
      {"gemma2", R"({"query_pre_attn_scalar": 0})", "query_pre_attn_scalar"},
      {"gemma3", R"({"attn_logit_softcapping": 50.0})", "attn_logit_softcapping"},
      {"gemma3", R"({"some_new_key": true})", "some_new_key"},
  };
  for (const auto& c : kCases) {
    const std::string text = message(c.golden, c.keys);
    EXPECT_NE(text.find(c.names), std::string::npos) << c.golden << " " << c.keys << ": " << text;
  }
}

TEST(Decoder, CausalHeadNeedsItsWeightsOrTies) {
  EXPECT_TRUE(LoadWith("qwen3", R"({"tie_word_embeddings": true})", {}, Task::kCausalLm).status.ok());
  const Loaded untied = LoadWith("qwen3", "{}", {}, Task::kCausalLm);
  EXPECT_NE(untied.status.message().find("lm_head.weight is missing"), std::string::npos);
  EXPECT_NE(LoadWith("qwen3", "{}", {}, Task::kSequenceClassification).status.message().find("score.weight"),
            std::string::npos);
}

std::vector<float> HiddenOf(const Model& model, const std::vector<std::vector<int32_t>>& texts, size_t which,
                            int threads) {
  std::vector<int32_t> ids;
  std::vector<int32_t> offsets = {0};
  for (const auto& text : texts) {
    ids.insert(ids.end(), text.begin(), text.end());
    offsets.push_back(static_cast<int32_t>(ids.size()));
  }
  ThreadPool pool(threads);
  Arena arena;
  const Matrix hidden = arena.NewMatrix(static_cast<int64_t>(ids.size()), model.hidden_size());
  ForwardRequest request;
  request.batch = {ids, {}, offsets};
  EXPECT_TRUE(model.Forward(request, {&pool, &arena, nullptr}, hidden).ok());
  return {hidden.row(offsets[which]), hidden.row(offsets[which + 1])};
}

TEST(Decoder, SameBitsAloneOrPackedAndForAnyThreads) {
  std::vector<int32_t> lengthy;
  for (int32_t i = 0; i < 90; ++i) lengthy.push_back(i * 7 % 60);
  const std::vector<std::vector<int32_t>> texts = {{2, 5, 6, 3}, lengthy, {9}, {2, 7, 8, 9, 10, 11, 12, 13, 14, 3}};
  for (const char* name : {"llama-dynamic-rope", "phi3-longrope", "gemma2", "gemma3", "embeddinggemma", "mistral",
                           "qwen2-window", "qwen3-biases"}) {
    const Loaded loaded = LoadWith(name, "{}");
    ASSERT_TRUE(loaded.status.ok()) << loaded.status.message();
    for (size_t t = 0; t < texts.size(); ++t) {
      const std::vector<float> alone = HiddenOf(*loaded.model.model, {texts[t]}, 0, 1);
      EXPECT_EQ(alone, HiddenOf(*loaded.model.model, texts, t, 1)) << name << " text " << t;
      EXPECT_EQ(alone, HiddenOf(*loaded.model.model, texts, t, 3)) << name << " text " << t;
    }
  }
}

// Saying by override what the model's own files say changes nothing, the window included.
TEST(Decoder, AnOverrideThatAgreesChangesNothing) {
  std::vector<int32_t> text;
  for (int32_t i = 0; i < 40; ++i) text.push_back(i * 7 % 60);
  for (const auto& [golden, override_text] :
       {std::pair("embeddinggemma", "is_causal=false"), std::pair("gemma3", "is_causal=true"),
        std::pair("mistral-bidirectional", "is_causal=false"), std::pair("qwen2", "is_causal=true")}) {
    const Loaded plain = LoadWith(golden, "{}");
    const Loaded over = LoadWith(golden, "{}", {override_text});
    EXPECT_EQ(HiddenOf(*plain.model.model, {text}, 0, 1), HiddenOf(*over.model.model, {text}, 0, 1)) << golden;
  }
}

TEST(Decoder, RefusesIdsOutsideTheTable) {
  const Loaded loaded = LoadWith("llama", "{}");
  const std::vector<int32_t> ids = {2, 60};
  const std::vector<int32_t> offsets = {0, 2};
  ThreadPool pool(1);
  Arena arena;
  ForwardRequest request;
  request.batch = {ids, {}, offsets};
  const Status status = loaded.model.model->Forward(request, {&pool, &arena, nullptr}, arena.NewMatrix(2, 24));
  EXPECT_NE(status.message().find("token id 60"), std::string::npos);
}

}  // namespace
}  // namespace truevec
