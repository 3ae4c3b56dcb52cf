// A tiny random BERT against the reference, layer by layer (tests/golden/bert, made by tools/goldens/bert.py).
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/file.h"
#include "models/model.h"
#include "weights/safetensors.h"
#include "weights/weight_files.h"

namespace truevec {
namespace {

const std::string kGolden = std::string(TRUEVEC_SOURCE_DIR) + "/tests/golden/bert";

struct Fixture {
  std::unique_ptr<Model> model;
  std::shared_ptr<const WeightStore> values;
  std::vector<std::vector<int32_t>> ids;
};

Fixture Load(const std::vector<std::string>& override_texts = {}) {
  Fixture f;
  auto config = JsonFile::Load(kGolden + "/model/config.json", "config.json");
  auto overrides = Overrides::Parse(override_texts);
  ConfigReader reader(config->root(), &*overrides, nullptr, "test");
  auto weights = OpenWeights(kGolden + "/model");
  EXPECT_TRUE(weights.ok()) << weights.status().message();
  WeightScope scope(*weights);
  auto loaded = LoadModel(reader, scope, {});
  EXPECT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ(scope.Leftovers(), std::vector<std::string>{});
  EXPECT_EQ(reader.UnreadKeys(), std::vector<std::string>{});
  f.model = std::move(loaded->model);
  auto cases = ReadFile(kGolden + "/cases.jsonl");
  for (size_t begin = 0; begin < cases->size();) {
    const size_t end = cases->find('\n', begin);
    auto line = JsonFile::Parse(cases->substr(begin, end - begin), "cases.jsonl");
    f.ids.emplace_back();
    const JsonRef ids = line->root()["ids"];
    for (size_t i = 0; i < ids.size(); ++i) f.ids.back().push_back(static_cast<int32_t>(*ids.At(i).Int()));
    begin = end + 1;
  }
  // values.safetensors lies beside the model: map it as a store of its own.
  auto bytes = MappedFile::Open(kGolden + "/values.safetensors");
  struct Store : WeightStore {
    MappedFile file;
    std::vector<WeightEntry> entries;
    const WeightEntry* Find(std::string_view name) const override {
      for (const WeightEntry& e : entries) {
        if (e.name == name) return &e;
      }
      return nullptr;
    }
    std::vector<std::string> Names() const override { return {}; }
    std::string Description() const override { return "values.safetensors"; }
  };
  auto store = std::make_shared<Store>();
  store->file = std::move(*bytes);
  store->entries = std::move(*ParseSafetensors(store->file.bytes(), "values.safetensors"));
  f.values = store;
  return f;
}

// Largest |a - b| over the largest |b|.
double RelativeError(ConstMatrix actual, const WeightEntry& expected, int64_t first_row) {
  double worst = 0;
  double scale = 0;
  for (int64_t r = 0; r < expected.view.shape[0]; ++r) {
    for (int64_t c = 0; c < expected.view.shape[1]; ++c) {
      double want = 0;
      std::memcpy(&want, static_cast<const char*>(expected.view.data) + (r * expected.view.shape[1] + c) * 8, 8);
      worst = std::max(worst, std::abs(actual.row(first_row + r)[c] - want));
      scale = std::max(scale, std::abs(want));
    }
  }
  return worst / scale;
}

struct LayerTrace : Trace {
  std::map<std::string, std::vector<float>> values;
  void Record(std::string_view name, ConstMatrix m) override {
    std::vector<float>& copy = values[std::string(name)];
    for (int64_t r = 0; r < m.rows; ++r) copy.insert(copy.end(), m.row(r), m.row(r) + m.cols);
  }
};

TEST(Bert, EveryLayerIsTheReferences) {
  const Fixture f = Load();
  ThreadPool pool(2);
  // All texts in one packed batch: nothing may leak between them.
  std::vector<int32_t> ids;
  std::vector<int32_t> offsets = {0};
  for (const auto& text : f.ids) {
    ids.insert(ids.end(), text.begin(), text.end());
    offsets.push_back(static_cast<int32_t>(ids.size()));
  }
  Arena arena;
  LayerTrace trace;
  const ExecContext ctx{&pool, &arena, &trace};
  const Matrix hidden = arena.NewMatrix(static_cast<int64_t>(ids.size()), f.model->hidden_size());
  ForwardRequest request;
  request.batch = {ids, {}, offsets};
  ASSERT_TRUE(f.model->Forward(request, ctx, hidden).ok());
  const std::vector<std::string> names = {"embeddings", "layer.0.output", "layer.1.output", "layer.2.output"};
  for (size_t layer = 0; layer < names.size(); ++layer) {
    ASSERT_TRUE(trace.values.contains(names[layer])) << names[layer];
    std::vector<float>& values = trace.values[names[layer]];
    const ConstMatrix m(values.data(), hidden.rows, hidden.cols, hidden.cols);
    for (size_t t = 0; t < f.ids.size(); ++t) {
      const WeightEntry* expected = f.values->Find("text" + std::to_string(t) + ".layer" + std::to_string(layer));
      ASSERT_NE(expected, nullptr);
      // CONTRACT section 5: float32 never above 2e-6; PyTorch's own on these weights is about 5e-7.
      EXPECT_LT(RelativeError(m, *expected, offsets[t]), 2e-6) << names[layer] << " text " << t;
    }
  }
}

TEST(Bert, GoldensTellWrongVariantsApart) {
  for (const char* wrong : {"hidden_act=relu", "hidden_act=gelu_new", "layer_norm_eps=0.1", "num_attention_heads=2"}) {
    const Fixture f = Load({wrong});
    ThreadPool pool(1);
    Arena arena;
    const ExecContext ctx{&pool, &arena, nullptr};
    const std::vector<int32_t>& ids = f.ids[1];
    const std::vector<int32_t> offsets = {0, static_cast<int32_t>(ids.size())};
    const Matrix hidden = arena.NewMatrix(static_cast<int64_t>(ids.size()), f.model->hidden_size());
    ForwardRequest request;
    request.batch = {ids, {}, offsets};
    ASSERT_TRUE(f.model->Forward(request, ctx, hidden).ok());
    EXPECT_GT(RelativeError(hidden, *f.values->Find("text1.layer3"), 0), 1e-4) << wrong;
  }
}

TEST(Bert, SameBitsAloneOrPackedAndForAnyThreads) {
  const Fixture f = Load();
  std::vector<std::vector<float>> alone;
  for (const auto& ids : f.ids) {
    ThreadPool pool(1);
    Arena arena;
    const std::vector<int32_t> offsets = {0, static_cast<int32_t>(ids.size())};
    const Matrix hidden = arena.NewMatrix(static_cast<int64_t>(ids.size()), f.model->hidden_size());
    ForwardRequest request;
    request.batch = {ids, {}, offsets};
    ASSERT_TRUE(f.model->Forward(request, {&pool, &arena, nullptr}, hidden).ok());
    alone.emplace_back(hidden.data, hidden.data + hidden.rows * hidden.cols);
  }
  std::vector<int32_t> ids;
  std::vector<int32_t> offsets = {0};
  std::vector<float> expected;
  for (size_t t = f.ids.size(); t-- > 0;) {  // in reverse order
    ids.insert(ids.end(), f.ids[t].begin(), f.ids[t].end());
    offsets.push_back(static_cast<int32_t>(ids.size()));
    expected.insert(expected.end(), alone[t].begin(), alone[t].end());
  }
  for (const int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    Arena arena;
    const Matrix hidden = arena.NewMatrix(static_cast<int64_t>(ids.size()), f.model->hidden_size());
    ForwardRequest request;
    request.batch = {ids, {}, offsets};
    ASSERT_TRUE(f.model->Forward(request, {&pool, &arena, nullptr}, hidden).ok());
    EXPECT_EQ(std::memcmp(hidden.data, expected.data(), expected.size() * sizeof(float)), 0) << threads;
  }
}

TEST(Bert, RefusesIdsAndLengthsOutsideTheTables) {
  const Fixture f = Load();
  ThreadPool pool(1);
  Arena arena;
  const ExecContext ctx{&pool, &arena, nullptr};
  const std::vector<int32_t> bad = {2, 9999, 3};
  const std::vector<int32_t> offsets = {0, 3};
  ForwardRequest request;
  request.batch = {bad, {}, offsets};
  const Status status = f.model->Forward(request, ctx, arena.NewMatrix(3, f.model->hidden_size()));
  EXPECT_NE(status.message().find("9999"), std::string::npos);
  const std::vector<int32_t> long_ids(60, 5);
  const std::vector<int32_t> long_offsets = {0, 60};
  request.batch = {long_ids, {}, long_offsets};
  EXPECT_EQ(f.model->Forward(request, ctx, arena.NewMatrix(60, f.model->hidden_size())).code(), Code::kBadInput);
}

}  // namespace
}  // namespace truevec
