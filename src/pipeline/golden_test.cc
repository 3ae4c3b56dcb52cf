// Runs every folder of tests/golden/pipeline: a tiny model directory and golden.json with texts, ids and float64
// results of the reference (tools/goldens/pipeline.py makes them). Ids must be equal, vectors of class `exact`.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "pipeline/pipeline.h"

namespace truevec {
namespace {

namespace fs = std::filesystem;

const std::string kRoot = std::string(TRUEVEC_SOURCE_DIR) + "/tests/golden/pipeline";

std::vector<std::string> Folders() {
  std::vector<std::string> names;
  if (!fs::is_directory(kRoot)) return names;
  for (const auto& entry : fs::directory_iterator(kRoot)) {
    if (fs::exists(entry.path() / "golden.json")) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<double> Doubles(const JsonRef& ref) {
  std::vector<double> values;
  for (size_t i = 0; i < ref.size(); ++i) {
    const JsonRef item = ref.At(i);
    if (item.is_array()) {
      const std::vector<double> inner = Doubles(item);
      values.insert(values.end(), inner.begin(), inner.end());
    } else {
      values.push_back(item.Double().value());
    }
  }
  return values;
}

struct Errors {
  double worst = 0;
  double sum = 0;
  int64_t count = 0;
};

// max |a - b| / ||b||, rows of `width`.
void Compare(const std::vector<float>& actual, const std::vector<double>& expected, int64_t width, bool absolute,
             Errors* errors) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t row = 0; row < expected.size(); row += static_cast<size_t>(width)) {
    double norm = 0;
    double worst = 0;
    for (size_t i = row; i < row + static_cast<size_t>(width); ++i) {
      norm += expected[i] * expected[i];
      worst = std::max(worst, std::abs(static_cast<double>(actual[i]) - expected[i]));
    }
    const double error = absolute || norm == 0 ? worst : worst / std::sqrt(norm);
    errors->worst = std::max(errors->worst, error);
    errors->sum += error;
    errors->count++;
  }
}

class PipelineGoldens : public ::testing::Test {
 protected:
  PipelineGoldens() : pool_(2) { ctx_ = {&pool_, &arena_, nullptr}; }

  EncodedText Encode(const Pipeline& pipeline, const JsonRef& c) {
    EncodeTextOptions options;
    if (c["prompt"].is_string()) options.prompt.prompt = c["prompt"].String().value();
    if (c["prompt_name"].is_string()) options.prompt.prompt_name = c["prompt_name"].String().value();
    if (c["task"].is_string()) options.prompt.task = c["task"].String().value();
    const std::string text = c["text"].String().value();
    auto encoded = c["pair"].is_string() ? pipeline.EncodePair(text, c["pair"].String().value(), options)
                                         : pipeline.Encode(text, options);
    EXPECT_TRUE(encoded.ok()) << encoded.status().message();
    return encoded.ok() ? std::move(encoded).value() : EncodedText();
  }

  std::vector<float> Run(const Pipeline& pipeline, const std::string& kind, const JsonRef& c, const EncodedText& text,
                         int64_t* width) {
    const EncodedText* one[] = {&text};
    if (kind == "dense") {
      EmbedOptions options;
      if (c["normalize"].is_bool()) options.normalize = c["normalize"].Bool().value();
      if (c["truncate_dim"].is_number()) options.truncate_dim = c["truncate_dim"].Int().value();
      *width = pipeline.OutputWidth(options);
      std::vector<float> out(static_cast<size_t>(*width));
      const Status status = pipeline.Embed(one, options, ctx_, {out.data(), 1, *width, *width});
      EXPECT_TRUE(status.ok()) << status.message();
      return out;
    }
    if (kind == "scores") {
      *width = pipeline.labels();
      std::vector<float> out(static_cast<size_t>(*width));
      ScoreOptions options;
      if (c["raw"].is_bool()) options.raw = c["raw"].Bool().value();
      if (c["softmax"].is_bool()) options.softmax = c["softmax"].Bool().value();
      const Status status = pipeline.Score(one, options, ctx_, {out.data(), 1, *width, *width});
      EXPECT_TRUE(status.ok()) << status.message();
      return out;
    }
    if (kind == "sparse") {
      const int64_t active = c["max_active_dims"].is_number() ? c["max_active_dims"].Int().value() : 0;
      auto sparse = pipeline.EmbedSparse(one, active, ctx_);
      EXPECT_TRUE(sparse.ok()) << sparse.status().message();
      if (!sparse.ok()) return {};
      *width = sparse->width;
      std::vector<float> out(static_cast<size_t>(*width));
      for (size_t i = 0; i < sparse->values.size(); ++i) {
        out[static_cast<size_t>(sparse->columns[i])] = sparse->values[i];
      }
      return out;
    }
    auto tokens = kind == "tokens" ? pipeline.EmbedTokens(one, ctx_) : pipeline.EmbedMultiVector(one, ctx_);
    EXPECT_TRUE(tokens.ok()) << tokens.status().message();
    if (!tokens.ok()) return {};
    *width = tokens->width;
    return tokens->values;
  }

  void RunFolder(const std::string& name, Errors* errors, Errors* torch, std::string* kind);

  ThreadPool pool_;
  Arena arena_;
  ExecContext ctx_;
};

class PipelineGolden : public PipelineGoldens, public ::testing::WithParamInterface<std::string> {};

// One golden folder: ids equal, errors of the vectors in `errors`, PyTorch float32's own in `torch`.
void PipelineGoldens::RunFolder(const std::string& name, Errors* errors, Errors* torch, std::string* kind) {
  const std::string folder = kRoot + "/" + name;
  auto golden = JsonFile::Load(folder + "/golden.json", "golden.json");
  ASSERT_TRUE(golden.ok()) << golden.status().message();
  const JsonRef root = golden->root();
  SpecOptions options;
  if (root["as"].is_string()) options.as = root["as"].String().value();
  for (const std::string& key : root["override"].Keys()) options.overrides.Set(key, root["override"][key].value());
  auto pipeline = Pipeline::Load(folder, options);
  ASSERT_TRUE(pipeline.ok()) << pipeline.status().message();
  *kind = root["kind"].String().value();
  const JsonRef cases = root["cases"];
  ASSERT_GT(cases.size(), 0u);
  for (size_t i = 0; i < cases.size(); ++i) {
    const JsonRef c = cases.At(i);
    SCOPED_TRACE(name + " case " + std::to_string(i) + ": " + c["text"].String().value().substr(0, 60));
    const EncodedText text = Encode(**pipeline, c);
    if (c["ids"].is_array()) {
      const std::vector<double> ids = Doubles(c["ids"]);
      ASSERT_EQ(std::vector<double>(text.ids.begin(), text.ids.end()), ids);
    }
    int64_t width = 1;
    const std::vector<float> actual = Run(**pipeline, *kind, c, text, &width);
    ASSERT_NO_FATAL_FAILURE(Compare(actual, Doubles(c["expected"]), width, *kind == "scores", errors));
  }
  torch->worst = root["float32_error"]["worst"].Double().value();
  torch->sum = root["float32_error"]["mean"].Double().value() * static_cast<double>(errors->count);
  torch->count = errors->count;
}

// A dozen texts through sixteen dimensions: one rounding more or less moves the figures, so each folder alone has
// leeway, and TogetherNotAbovePyTorch holds all of them to CONTRACT section 5, class exact.
TEST_P(PipelineGolden, GivesTheReferencesVectors) {
  Errors errors;
  Errors torch;
  std::string kind;
  ASSERT_NO_FATAL_FAILURE(RunFolder(GetParam(), &errors, &torch, &kind));
  const double floor = kind == "scores" ? 4e-6 : 6e-7;
  EXPECT_LE(errors.worst, std::max(3 * torch.worst, floor));
}

TEST_F(PipelineGoldens, TogetherNotAbovePyTorch) {
  Errors all;
  Errors torch_all;
  for (const std::string& name : Folders()) {
    Errors errors;
    Errors torch;
    std::string kind;
    RunFolder(name, &errors, &torch, &kind);
    if (HasFatalFailure()) return;
    if (kind == "scores") continue;
    all.worst = std::max(all.worst, errors.worst);
    all.sum += errors.sum;
    all.count += errors.count;
    torch_all.worst = std::max(torch_all.worst, torch.worst);
    torch_all.sum += torch.sum;
  }
  ASSERT_GE(Folders().size(), 60u);
  RecordProperty("mean", std::to_string(all.sum / static_cast<double>(all.count)));
  // The largest of some 1,400 errors is one rounding in one badly conditioned vector (four dimensions left of sixteen):
  // held to the bound that CONTRACT section 5 gives for dense vectors; the mean is held to PyTorch's.
  EXPECT_LE(all.worst, 2e-6);
  EXPECT_LE(all.sum, torch_all.sum);
}

// DESIGN invariant 2: a text's bits do not depend on the batch, here for every module at once.
TEST_F(PipelineGoldens, OneBatchGivesTheBitsOfEachTextAlone) {
  for (const std::string& name : Folders()) {
    const auto golden = JsonFile::Load(kRoot + "/" + name + "/golden.json", "golden.json");
    ASSERT_TRUE(golden.ok());
    if (golden->root()["kind"].String().value() != "dense") continue;
    SpecOptions load;
    if (golden->root()["as"].is_string()) load.as = golden->root()["as"].String().value();
    const auto pipeline = Pipeline::Load(kRoot + "/" + name, load);
    ASSERT_TRUE(pipeline.ok()) << pipeline.status().message();
    const JsonRef cases = golden->root()["cases"];
    std::vector<EncodedText> texts;
    for (size_t i = 0; i < cases.size(); ++i) texts.push_back(Encode(**pipeline, cases.At(i)));
    std::vector<const EncodedText*> all;
    for (const EncodedText& text : texts) all.push_back(&text);
    const int64_t width = (*pipeline)->OutputWidth({});
    const auto rows = static_cast<int64_t>(all.size());
    std::vector<float> batch(static_cast<size_t>(rows * width));
    ASSERT_TRUE((*pipeline)->Embed(all, {}, ctx_, {batch.data(), rows, width, width}).ok()) << name;
    for (size_t i = 0; i < all.size(); ++i) {
      std::vector<float> alone(static_cast<size_t>(width));
      ASSERT_TRUE((*pipeline)->Embed(std::span(&all[i], 1), {}, ctx_, {alone.data(), 1, width, width}).ok());
      const auto start = batch.begin() + static_cast<int64_t>(i) * width;
      EXPECT_EQ(alone, std::vector<float>(start, start + width)) << name << " case " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, PipelineGolden, ::testing::ValuesIn(Folders()), [](const auto& param) {
  std::string name = param.param;
  std::replace_if(name.begin(), name.end(), [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
  return name;
});
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(PipelineGolden);

}  // namespace
}  // namespace truevec
