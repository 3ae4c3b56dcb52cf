// Directories that must be refused, and with what message: each row changes one file of a golden model. The same
// copies show that the fingerprint follows what changes vectors, and not the files' layout.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "pipeline/inspect.h"
#include "weights/safetensors.h"

namespace truevec {
namespace {

namespace fs = std::filesystem;

const std::string kGolden = std::string(TRUEVEC_SOURCE_DIR) + "/tests/golden/pipeline/";

struct Row {
  const char* name;
  const char* model;  // folder of tests/golden/pipeline
  const char* file;   // changed: `from` becomes `to`; from "" replaces the whole; to nullptr removes the file, "@x"
                      // makes it a link to x
  const char* from;
  const char* to;
  const char* message;  // part of it
};

void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

const Row kRows[] = {
#include "pipeline/refusal_cases.inc"
};

std::string Copy(const std::string& model, const std::string& name) {
  const std::string folder = ::testing::TempDir() + "/refusal_" + name;
  fs::remove_all(folder);
  fs::copy(kGolden + model, folder, fs::copy_options::recursive);
  return folder;
}

void Change(const std::string& path, const Row& row) {
  if (row.to == nullptr) {
    ASSERT_TRUE(fs::remove(path)) << path;
    return;
  }
  if (*row.to == '@') {
    ASSERT_TRUE(fs::remove(path)) << path;
    fs::create_symlink(row.to + 1, path);
    return;
  }
  std::string text = row.to;
  if (*row.from != '\0') {
    const auto old = ReadFile(path);
    ASSERT_TRUE(old.ok()) << path;
    const size_t at = old->find(row.from);
    ASSERT_NE(at, std::string::npos) << path << " lacks " << row.from;
    text = old->substr(0, at) + row.to + old->substr(at + std::string(row.from).size());
  }
  std::ofstream(path, std::ios::binary) << text;
}

class Refusals : public ::testing::TestWithParam<Row> {};

TEST_P(Refusals, NameFileAndReason) {
  const Row& row = GetParam();
  const std::string folder = Copy(row.model, row.name);
  ASSERT_NO_FATAL_FAILURE(Change(folder + "/" + row.file, row));
  const auto loaded = Pipeline::Load(folder, {});
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.status().code(), Code::kModelRefused) << loaded.status().message();
  EXPECT_NE(loaded.status().message().find(row.message), std::string::npos) << loaded.status().message();
}

INSTANTIATE_TEST_SUITE_P(All, Refusals, ::testing::ValuesIn(kRows),
                         [](const auto& param) { return std::string(param.param.name); });

std::string FingerprintOf(const std::string& folder, const std::vector<std::string>& overrides = {}) {
  SpecOptions options;
  options.overrides = Overrides::Parse(overrides).value();
  const auto pipeline = Pipeline::Load(folder, options);
  EXPECT_TRUE(pipeline.ok()) << pipeline.status().message();
  return pipeline.ok() ? (*pipeline)->spec().fingerprint() : "";
}

TEST(FingerprintOfModels, IsTheSameForOldAndNewLayouts) {
  const std::string folder = Copy("normalize", "old_layout");
  std::ofstream(folder + "/modules.json")
      << R"([{"idx":0,"name":"0","path":"","type":"sentence_transformers.models.Transformer"},
            {"idx":1,"name":"1","path":"1_Pooling","type":"sentence_transformers.models.Pooling"},
            {"idx":2,"name":"2","path":"2_Normalize","type":"sentence_transformers.models.Normalize"}])";
  std::ofstream(folder + "/1_Pooling/config.json")
      << R"({"word_embedding_dimension":16,"pooling_mode_cls_token":false,"pooling_mode_mean_tokens":true,
            "pooling_mode_max_tokens":false,"pooling_mode_mean_sqrt_len_tokens":false})";
  EXPECT_EQ(FingerprintOf(folder), FingerprintOf(kGolden + "normalize"));
}

// model.safetensors as two shards with an index.
void Shard(const std::string& folder) {
  const std::string bytes = ReadFile(folder + "/model.safetensors").value();
  const auto entries = ParseSafetensors(std::as_bytes(std::span(bytes)), "model.safetensors");
  ASSERT_TRUE(entries.ok());
  json::object map;
  for (int shard = 0; shard < 2; ++shard) {
    const std::string name = "model-0000" + std::to_string(shard + 1) + "-of-00002.safetensors";
    json::object header;
    std::string data;
    for (size_t i = static_cast<size_t>(shard); i < entries->size(); i += 2) {
      const WeightEntry& entry = (*entries)[i];
      const size_t size = static_cast<size_t>(entry.view.count()) * ElementBytes(entry.view.dtype);
      json::array shape(entry.view.shape.begin(), entry.view.shape.end());
      header[entry.name] = json::object{{"dtype", DTypeName(entry.view.dtype)},
                                        {"shape", shape},
                                        {"data_offsets", json::array{data.size(), data.size() + size}}};
      data.append(static_cast<const char*>(entry.view.data), size);
      map[entry.name] = json::value(name);
    }
    const std::string text = WriteJson(header);
    const uint64_t length = text.size();
    std::ofstream file(folder + "/" + name, std::ios::binary);
    file.write(reinterpret_cast<const char*>(&length), sizeof length);
    file << text << data;
  }
  std::ofstream(folder + "/model.safetensors.index.json")
      << WriteJson(json::object{{"metadata", json::object()}, {"weight_map", map}});
  fs::remove(folder + "/model.safetensors");
}

TEST(FingerprintOfModels, IsTheSameForEveryWeightLayout) {
  const std::string sharded = Copy("normalize", "sharded");
  ASSERT_NO_FATAL_FAILURE(Shard(sharded));
  EXPECT_EQ(FingerprintOf(sharded), FingerprintOf(kGolden + "normalize"));
  const std::string bin = Copy("old2_bert", "safetensors_of_bin");
  EXPECT_NE(FingerprintOf(bin), "");
  fs::rename(bin + "/twin/model.safetensors", bin + "/model.safetensors");
  fs::remove(bin + "/pytorch_model.bin");
  EXPECT_EQ(FingerprintOf(bin), FingerprintOf(kGolden + "old2_bert"));
}

TEST(FingerprintOfModels, FollowsWhatChangesVectors) {
  const std::string base = FingerprintOf(kGolden + "normalize");
  EXPECT_EQ(base.substr(0, 4), "tv1:");
  for (const char* change : {"pooling=cls", "normalize=false", "max_length=9", "truncate_dim=3", "truncation_side=left",
                             "prompts={\"query\":\"q: \"}", "special_tokens={\"prefix\":[],\"suffix\":[]}"}) {
    EXPECT_NE(FingerprintOf(kGolden + "normalize", {change}), base) << change;
  }
}

TEST(OverridesOfModels, UnusedOneIsAnError) {
  SpecOptions options;
  options.overrides = Overrides::Parse({"no_such_setting=1"}).value();
  EXPECT_EQ(Pipeline::Load(kGolden + "normalize", options).status().code(), Code::kUsage);
}

}  // namespace
}  // namespace truevec
