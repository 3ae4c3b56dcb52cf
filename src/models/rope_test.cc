// Rotary frequencies against the reference's buffers bit by bit (tests/golden/rope.json, tools/goldens/rope.py), tables
// against libm, refusals, overrides.
#include "models/rope.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "base/json.h"
#include "tensor/context.h"

namespace truevec {
namespace {

RopeKeys KeysFor(const std::string& kind, const JsonRef& config) {
  RopeKeys keys;
  const auto number = [&](const char* key, int64_t fallback) {
    return config[key].is_number() ? *config[key].Int() : fallback;
  };
  keys.head_dim = number("head_dim", number("hidden_size", 0) / number("num_attention_heads", 1));
  keys.max_positions = number("max_position_embeddings", kind == "phi3" ? 4096 : 2048);
  keys.partial = kind == "phi3";
  keys.longrope_aliases = kind == "phi3";
  return keys;
}

Result<RotaryEmbedding> ReadText(const std::string& text, RopeKeys keys, const std::vector<std::string>& overrides = {},
                                 Settings* settings = nullptr) {
  const auto file = JsonFile::Parse(text, "config.json");
  const auto parsed = Overrides::Parse(overrides);
  ConfigReader reader(file->root(), &*parsed, settings, "test");
  return RotaryEmbedding::Read(reader, keys);
}

TEST(Rope, FrequenciesAreTheReferencesBits) {
  const auto file = JsonFile::Load(std::string(TRUEVEC_SOURCE_DIR) + "/tests/golden/rope.json", "rope.json");
  const JsonRef cases = file->root()["cases"];
  ASSERT_GE(cases.size(), 80u);
  for (size_t i = 0; i < cases.size(); ++i) {
    const JsonRef c = cases.At(i);
    SCOPED_TRACE(WriteJson(c["config"].value()) + " length " + WriteJson(c["length"].value()));
    const std::string kind = *c["kind"].String();
    ConfigReader reader(c["config"], nullptr, nullptr, "test");
    const auto rope = RotaryEmbedding::Read(reader, KeysFor(kind, c["config"]));
    ASSERT_TRUE(rope.ok()) << rope.status().message();
    EXPECT_EQ(rope->attention_scaling(), static_cast<float>(*c["attention_scaling"].Double()));
    const std::vector<float> actual = rope->InverseFrequencies(*c["length"].Int());
    const JsonRef bits = c["inverse_bits"];
    ASSERT_EQ(actual.size(), bits.size());
    for (size_t j = 0; j < actual.size(); ++j) {
      EXPECT_EQ(std::bit_cast<uint32_t>(actual[j]), static_cast<uint32_t>(*bits.At(j).Int())) << j;
    }
  }
}

TEST(Rope, TablesAreTheNearestFloats) {
  const auto rope = ReadText(R"({"rope_theta": 10000.0})", {.head_dim = 64, .max_positions = 300000});
  ASSERT_TRUE(rope.ok());
  const std::vector<int32_t> ids(70000, 0);
  const std::vector<int32_t> offsets = {0, 3, 70000};
  ThreadPool pool(2);
  Arena arena;
  const ExecContext ctx{&pool, &arena, nullptr};
  const BatchRope tables = rope->ForBatch({ids, {}, offsets}, ctx);
  const std::vector<float> inverse = rope->InverseFrequencies(1);
  for (size_t t : {0u, 1u, 2u, 3u, 4u, 503u, 7003u, 69999u}) {
    const int64_t position = static_cast<int64_t>(t) - (t < 3 ? 0 : 3);
    for (size_t i = 0; i < 32; ++i) {
      const double angle = static_cast<float>(position) * inverse[i];
      const int64_t at = tables.rows[t] * 32 + static_cast<int64_t>(i);
      EXPECT_EQ(tables.table.cos[at], static_cast<float>(std::cos(angle))) << position << " " << i;
      EXPECT_EQ(tables.table.sin[at], static_cast<float>(std::sin(angle))) << position << " " << i;
    }
  }
}

// A short text keeps its own frequencies beside a long one, unlike in a batch of the reference.
TEST(Rope, DynamicScalingFollowsEachTextsOwnLength) {
  const auto rope =
      ReadText(R"({"rope_scaling": {"type": "dynamic", "factor": 4.0}})", {.head_dim = 8, .max_positions = 10});
  ASSERT_TRUE(rope.ok());
  const std::vector<int32_t> ids(45, 0);
  const std::vector<int32_t> offsets = {0, 5, 25, 35, 45};
  ThreadPool pool(1);
  Arena arena;
  const BatchRope tables = rope->ForBatch({ids, {}, offsets}, {&pool, &arena, nullptr});
  const auto row = [&](size_t t) { return tables.table.cos + tables.rows[t] * 4; };
  const std::vector<float> grown = rope->InverseFrequencies(20);
  EXPECT_EQ(row(4)[1], static_cast<float>(std::cos(static_cast<double>(4 * rope->InverseFrequencies(10)[1]))));
  EXPECT_EQ(row(5 + 4)[1], static_cast<float>(std::cos(static_cast<double>(4 * grown[1]))));
  EXPECT_EQ(row(25 + 4)[1], row(4)[1]);
  EXPECT_NE(row(5 + 4)[1], row(4)[1]);
}

TEST(Rope, RefusesByKey) {
  const RopeKeys keys{.head_dim = 8, .max_positions = 100};
  const auto message = [&](const std::string& text) { return ReadText(text, keys).status().message(); };
  EXPECT_NE(message(R"({"rope_scaling": {"type": "mrope", "mrope_section": [1, 2]}})").find("\"mrope\""),
            std::string::npos);
  EXPECT_NE(message(R"({"rope_scaling": {"type": "linear"}})").find("rope_scaling.factor"), std::string::npos);
  EXPECT_NE(message(R"({"rope_scaling": {"type": "linear", "factor": 2, "new_key": 1}})").find("new_key"),
            std::string::npos);
  EXPECT_NE(message(R"({"partial_rotary_factor": 0.5})").find("partial_rotary_factor"), std::string::npos);
  EXPECT_NE(message(R"({"rope_theta": -1})").find("rope_theta"), std::string::npos);
  EXPECT_NE(message(R"({"rope_scaling": {"type": "longrope", "short_factor": [1, 1], "long_factor": [1, 2, 3, 4]}})")
                .find("expected 4 numbers each, got 2 and 4"),
            std::string::npos);
}

TEST(Rope, OverridesWinAndAreRecorded) {
  Settings settings;
  const std::string text = R"({"rope_parameters": {"rope_type": "linear", "factor": 8.0, "rope_theta": 500.0}})";
  const RopeKeys keys{.head_dim = 8, .max_positions = 100};
  EXPECT_EQ(ReadText(text, keys)->parameters().theta, 500.0);
  const auto plain = ReadText(text, keys, {"rope_scaling=null", "rope_theta=777"}, &settings);
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->parameters().type, "default");
  EXPECT_EQ(plain->parameters().theta, 777.0);
  EXPECT_EQ(settings.Find("rope_theta")->source.kind, SettingSource::Kind::kOverride);
  EXPECT_EQ(ReadText(text, keys, {"rope_scaling=null"})->parameters().theta, 500.0);
}

}  // namespace
}  // namespace truevec
