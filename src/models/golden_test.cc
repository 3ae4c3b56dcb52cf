// Every checkpoint of tests/golden/models against the reference, layer by layer (made by tools/goldens/models.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>

#include "base/file.h"
#include "models/model.h"
#include "models/shards.h"
#include "weights/safetensors.h"
#include "weights/weight_files.h"

namespace truevec {
namespace {

const std::string kRoot = std::string(TRUEVEC_SOURCE_DIR) + "/tests/golden/models";

struct Golden {
  std::string name;
  std::vector<std::vector<int32_t>> ids;
  std::vector<double> torch_errors;  // per text, of the last value
  double torch_layer_error = 0;      // worst of any layer
  std::vector<std::string> wrong;    // overrides that must move text 3 below a cosine of 0.99
  std::vector<std::string> near;     // subtler ones (tanh for erf) that must still be told apart
  Task task = Task::kFeatureExtraction;
  std::string adapter;
  MappedFile file;
  std::map<std::string, WeightEntry> values;

  static Golden Load(const std::string& name) {
    Golden g;
    g.name = name;
    auto cases = JsonFile::Load(kRoot + "/" + name + "/cases.json", "cases.json");
    const JsonRef root = cases->root();
    const JsonRef texts = root["ids"];
    for (size_t i = 0; i < texts.size(); ++i) {
      g.ids.emplace_back();
      for (size_t j = 0; j < texts.At(i).size(); ++j) {
        g.ids.back().push_back(static_cast<int32_t>(*texts.At(i).At(j).Int()));
      }
    }
    const JsonRef errors = root["torch_float32_error"];
    for (size_t i = 0; i < errors.size(); ++i) g.torch_errors.push_back(*errors.At(i).Double());
    g.torch_layer_error = *root["torch_float32_layer_error"].Double();
    const JsonRef wrong = root["wrong"];
    for (size_t i = 0; i < wrong.size(); ++i) g.wrong.push_back(*wrong.At(i).String());
    const JsonRef near = root["near"];
    for (size_t i = 0; i < near.size(); ++i) g.near.push_back(*near.At(i).String());
    if (root["adapter"].present()) g.adapter = *root["adapter"].String();
    const std::string task = *root["task"].String();
    if (task == "classification") g.task = Task::kSequenceClassification;
    if (task == "mlm") g.task = Task::kMaskedLm;
    if (task == "causal") g.task = Task::kCausalLm;
    g.file = std::move(*MappedFile::Open(kRoot + "/" + name + "/values.safetensors"));
    const auto entries = ParseSafetensors(g.file.bytes(), "values");
    for (const WeightEntry& e : *entries) g.values[e.name] = e;
    return g;
  }
  double At(const std::string& value, int64_t row, int64_t column) const {
    const TensorView& view = values.at(value).view;
    double x = 0;
    std::memcpy(&x, static_cast<const char*>(view.data) + (row * view.shape[1] + column) * 8, 8);
    return x;
  }
};

std::vector<std::string> Names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kRoot)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

LoadedModel Load(const Golden& g, const std::vector<std::string>& override_texts) {
  auto config = JsonFile::Load(kRoot + "/" + g.name + "/config.json", "config.json");
  auto overrides = Overrides::Parse(override_texts);
  ConfigReader reader(config->root(), &*overrides, nullptr, "test");
  auto weights = OpenWeights(kRoot + "/" + g.name);
  EXPECT_TRUE(weights.ok()) << weights.status().message();
  WeightScope scope(*weights);
  auto loaded = LoadModel(reader, scope, {ComputeType::kFloat32, g.task});
  EXPECT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ(scope.Leftovers(), std::vector<std::string>{});
  EXPECT_EQ(reader.UnreadKeys(), std::vector<std::string>{});
  return std::move(*loaded);
}

struct LayerTrace : Trace {
  std::map<std::string, std::vector<float>> values;
  void Record(std::string_view name, ConstMatrix m) override {
    std::vector<float>& copy = values[std::string(name)];
    copy.clear();
    for (int64_t r = 0; r < m.rows; ++r) copy.insert(copy.end(), m.row(r), m.row(r) + m.cols);
  }
};

struct Outputs {
  LayerTrace trace;
  std::vector<int32_t> offsets = {0};
  int64_t width = 0;
  std::vector<float> logits;
  int64_t labels = 0;
};

// All texts in one packed batch: nothing may leak between them.
Outputs Forward(const Golden& g, const LoadedModel& loaded) {
  Outputs run;
  std::vector<int32_t> ids;
  for (const auto& text : g.ids) {
    ids.insert(ids.end(), text.begin(), text.end());
    run.offsets.push_back(static_cast<int32_t>(ids.size()));
  }
  ThreadPool pool(2);
  Arena arena;
  const ExecContext ctx{&pool, &arena, &run.trace};
  run.width = loaded.model->hidden_size();
  const Matrix hidden = arena.NewMatrix(static_cast<int64_t>(ids.size()), run.width);
  ForwardRequest request;
  request.batch = {ids, {}, run.offsets};
  request.adapter = g.adapter;
  const Status status = loaded.model->Forward(request, ctx, hidden);
  EXPECT_TRUE(status.ok()) << status.message();
  if (loaded.head != nullptr) {
    run.labels = loaded.head->outputs();
    const int64_t rows = loaded.head->per_token() ? hidden.rows : request.batch.sequences();
    const Matrix out = arena.NewMatrix(rows, run.labels);
    EXPECT_TRUE(loaded.head->Forward(request.batch, hidden, ctx, out).ok());
    run.logits.assign(out.data, out.data + rows * run.labels);
  }
  return run;
}

// Largest |a - b| over the largest |b| of one text's value; rows of `actual` begin at `first`.
double Error(const Golden& g, const std::string& value, const std::vector<float>& actual, int64_t first) {
  const Shape& shape = g.values.at(value).view.shape;
  double worst = 0;
  double scale = 0;
  for (int64_t r = 0; r < shape[0]; ++r) {
    for (int64_t c = 0; c < shape[1]; ++c) {
      const double want = g.At(value, r, c);
      worst = std::max(worst, std::abs(actual[static_cast<size_t>((first + r) * shape[1] + c)] - want));
      scale = std::max(scale, std::abs(want));
    }
  }
  return worst / scale;
}

double Cosine(const Golden& g, const std::string& value, const std::vector<float>& actual, int64_t first) {
  const Shape& shape = g.values.at(value).view.shape;
  double dot = 0, a2 = 0, b2 = 0;
  for (int64_t r = 0; r < shape[0]; ++r) {
    for (int64_t c = 0; c < shape[1]; ++c) {
      const double a = actual[static_cast<size_t>((first + r) * shape[1] + c)];
      const double b = g.At(value, r, c);
      dot += a * b;
      a2 += a * a;
      b2 += b * b;
    }
  }
  return dot / std::sqrt(a2 * b2);
}

int Layers(const Golden& g, const std::string& text) {
  int layers = 0;
  while (g.values.contains(text + ".layer" + std::to_string(layers))) ++layers;
  return layers;
}

// transformers' last hidden state is behind the final norm, where a model has one.
std::string LayerName(const Outputs& run, int layer, int layers) {
  for (const char* norm : {"norm", "final_norm"}) {
    if (layer == layers - 1 && run.trace.values.contains(norm)) return norm;
  }
  return layer == 0 ? "embeddings" : "layer." + std::to_string(layer - 1) + ".output";
}

class ModelGolden : public ::testing::TestWithParam<std::string> {};

// CONTRACT section 5: float32 is typically within 2e-6; an ill-conditioned random checkpoint is held to twice what
// PyTorch float32 itself loses on it. All goldens together are held to PyTorch's error below.
double Limit(const Golden& g) {
  const double torch = std::max(g.torch_layer_error, *std::max_element(g.torch_errors.begin(), g.torch_errors.end()));
  return std::max(2e-6, 2 * torch);
}

TEST_P(ModelGolden, EveryLayerIsTheReferences) {
  const Golden g = Golden::Load(GetParam());
  const Outputs run = Forward(g, Load(g, {}));
  for (size_t t = 0; t < g.ids.size(); ++t) {
    const std::string text = "text" + std::to_string(t);
    const int layers = Layers(g, text);
    for (int layer = 0; layer < layers; ++layer) {
      const std::string name = LayerName(run, layer, layers);
      const auto found = run.trace.values.find(name);
      ASSERT_NE(found, run.trace.values.end()) << name;
      EXPECT_LT(Error(g, text + ".layer" + std::to_string(layer), found->second, run.offsets[t]), Limit(g))
          << name << " of " << text;
    }
    if (g.task != Task::kFeatureExtraction) {
      const int64_t first = g.task == Task::kSequenceClassification ? static_cast<int64_t>(t) : run.offsets[t];
      EXPECT_LT(Error(g, text + ".logits", run.logits, first), Limit(g)) << text;
    }
  }
}

// The value that a task's result is: the last hidden state, or the logits.
struct Final {
  std::string value;
  const std::vector<float>* actual;
  int64_t first;
};
Final FinalOf(const Golden& g, const Outputs& run, size_t t) {
  const std::string text = "text" + std::to_string(t);
  const int64_t first = run.offsets[t];
  if (g.task == Task::kSequenceClassification) return {text + ".logits", &run.logits, static_cast<int64_t>(t)};
  if (g.task != Task::kFeatureExtraction) return {text + ".logits", &run.logits, first};
  const int layers = Layers(g, text);
  return {text + ".layer" + std::to_string(layers - 1), &run.trace.values.at(LayerName(run, layers - 1, layers)),
          first};
}

TEST_P(ModelGolden, TellsWrongVariantsApart) {
  const Golden g = Golden::Load(GetParam());
  for (const std::string& wrong : g.wrong) {
    const Outputs run = Forward(g, Load(g, {wrong}));
    const Final f = FinalOf(g, run, 3);
    if (g.task == Task::kSequenceClassification) {
      EXPECT_GT(Error(g, f.value, *f.actual, f.first), 1000 * Limit(g)) << wrong;
    } else {
      EXPECT_LT(Cosine(g, f.value, *f.actual, f.first), 0.99) << wrong;
    }
  }
  for (const std::string& near : g.near) {
    const Outputs run = Forward(g, Load(g, {near}));
    const Final f = FinalOf(g, run, 3);
    EXPECT_GT(Error(g, f.value, *f.actual, f.first), 20 * Limit(g)) << near;
  }
}

// needed_rows saves work in the last layer; what it leaves defined must be what the full pass gives.
TEST_P(ModelGolden, NeededRowsHaveTheSameBits) {
  const Golden g = Golden::Load(GetParam());
  const LoadedModel loaded = Load(g, {});
  std::vector<int32_t> ids;
  std::vector<int32_t> offsets = {0};
  std::vector<int32_t> needed;
  for (const auto& text : g.ids) {
    needed.push_back(static_cast<int32_t>(ids.size()));
    ids.insert(ids.end(), text.begin(), text.end());
    if (text.size() > 1) needed.push_back(static_cast<int32_t>(ids.size()) - 1);
    offsets.push_back(static_cast<int32_t>(ids.size()));
  }
  ThreadPool pool(2);
  Arena arena;
  const ExecContext ctx{&pool, &arena, nullptr};
  ForwardRequest request;
  request.batch = {ids, {}, offsets};
  request.adapter = g.adapter;
  const Matrix all = arena.NewMatrix(static_cast<int64_t>(ids.size()), loaded.model->hidden_size());
  ASSERT_TRUE(loaded.model->Forward(request, ctx, all).ok());
  request.needed_rows = needed;
  const Matrix some = arena.NewMatrix(all.rows, all.cols);
  ASSERT_TRUE(loaded.model->Forward(request, ctx, some).ok());
  for (const int32_t row : needed) {
    EXPECT_EQ(std::memcmp(all.row(row), some.row(row), static_cast<size_t>(all.cols) * sizeof(float)), 0) << row;
  }
}

// A batch that is cut between threads, with needed rows and without.
TEST_P(ModelGolden, ShardsHaveTheSameBits) {
  const Golden g = Golden::Load(GetParam());
  const LoadedModel loaded = Load(g, {});
  std::vector<int32_t> ids;
  std::vector<int32_t> offsets = {0};
  std::vector<int32_t> needed;
  while (ids.size() < 1500) {
    for (const auto& text : g.ids) {
      if (!text.empty()) needed.push_back(static_cast<int32_t>(ids.size()));
      ids.insert(ids.end(), text.begin(), text.end());
      offsets.push_back(static_cast<int32_t>(ids.size()));
    }
  }
  ThreadPool one(1);
  ThreadPool three(3);
  ASSERT_GE(ShardBoundaries(offsets, 3).size(), 4u);
  Arena arena;
  ForwardRequest request;
  request.batch = {ids, {}, offsets};
  request.adapter = g.adapter;
  const Matrix whole = arena.NewMatrix(static_cast<int64_t>(ids.size()), loaded.model->hidden_size());
  const Matrix parts = arena.NewMatrix(whole.rows, whole.cols);
  double flops = 0;
  double flops_of_parts = 0;
  ASSERT_TRUE(loaded.model->Forward(request, {&one, &arena, nullptr, &flops}, whole).ok());
  ASSERT_TRUE(ShardedForward(*loaded.model, request, {&three, &arena, nullptr, &flops_of_parts}, parts).ok());
  EXPECT_EQ(std::memcmp(whole.data, parts.data, static_cast<size_t>(whole.rows * whole.cols) * sizeof(float)), 0);
  EXPECT_EQ(flops, flops_of_parts);
  request.needed_rows = needed;
  ASSERT_TRUE(ShardedForward(*loaded.model, request, {&three, &arena, nullptr}, parts).ok());
  for (const int32_t row : needed) {
    EXPECT_EQ(std::memcmp(whole.row(row), parts.row(row), static_cast<size_t>(whole.cols) * sizeof(float)), 0) << row;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ModelGolden, ::testing::ValuesIn(Names()), [](const auto& test) {
  std::string name = test.param;
  std::replace_if(name.begin(), name.end(), [](char c) { return c == '-' || c == '.'; }, '_');
  return name;
});

// The class `exact`: over all goldens, worst and mean error not above PyTorch float32's own.
TEST(ModelGoldens, TogetherAreAsExactAsPyTorchFloat32) {
  double worst = 0, torch_worst = 0, sum = 0, torch_sum = 0;
  for (const std::string& name : Names()) {
    const Golden g = Golden::Load(name);
    const Outputs run = Forward(g, Load(g, {}));
    for (size_t t = 0; t < g.ids.size(); ++t) {
      const Final f = FinalOf(g, run, t);
      const double error = Error(g, f.value, *f.actual, f.first);
      worst = std::max(worst, error);
      torch_worst = std::max(torch_worst, g.torch_errors[t]);
      sum += error;
      torch_sum += g.torch_errors[t];
    }
  }
  EXPECT_LE(worst, torch_worst);
  EXPECT_LE(sum, torch_sum);
}

}  // namespace
}  // namespace truevec
