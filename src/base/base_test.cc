// Tests of the small pieces of base: Status, JSON, config reading, files, thread pool.
#include <gtest/gtest.h>

#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <vector>

#include "base/config_reader.h"
#include "base/file.h"
#include "base/json.h"
#include "base/thread_pool.h"

namespace truevec {
namespace {

TEST(Json, ReadsNumbersCorrectlyRounded) {
  auto value = ParseJson("[0.1, 1e-12, 3.0517578125e-05, 123456789012345678, -9.482512474060059]", "t");
  ASSERT_TRUE(value.ok()) << value.status().message();
  const auto& array = value->get_array();
  EXPECT_EQ(array[0].get_double(), 0.1);
  EXPECT_EQ(array[1].get_double(), 1e-12);
  EXPECT_EQ(array[2].get_double(), 3.0517578125e-05);
  EXPECT_EQ(array[3].get_int64(), 123456789012345678);
  EXPECT_EQ(array[4].get_double(), -9.482512474060059);
}

TEST(Json, RefusesTruncatedAndTrailingText) {
  EXPECT_NE(ParseJson("{\"a\": 1", "config.json").status().message().find("config.json: invalid JSON"),
            std::string::npos);
  EXPECT_FALSE(ParseJson("{} x", "t").ok());
  EXPECT_FALSE(ParseJson(std::string(100, '['), "t").ok());
}

TEST(Json, ErrorsNameFileAndKey) {
  auto file = JsonFile::Parse(R"({"a": {"b": [1, "x"]}})", "config.json");
  ASSERT_TRUE(file.ok());
  const auto result = file->root()["a"]["b"].At(1).Int();
  EXPECT_EQ(result.status().message(), "config.json: a.b[1]: expected an integer, got \"x\"");
  EXPECT_EQ(result.status().code(), Code::kModelRefused);
}

TEST(Json, WritesShortestRoundTrip) {
  json::value value = {{"a", 0.1}, {"b", 2.0}, {"c", "é\n"}};
  EXPECT_EQ(WriteJson(value), "{\"a\":0.1,\"b\":2.0,\"c\":\"é\\n\"}");
}

TEST(ConfigReader, OverridesWinAndSourcesAreRecorded) {
  auto file = JsonFile::Parse(R"({"hidden_size": 8, "n_head": 2, "extra": 1})", "config.json");
  ASSERT_TRUE(file.ok());
  auto overrides = Overrides::Parse({"hidden_size=16"});
  ASSERT_TRUE(overrides.ok());
  Settings settings;
  ConfigReader reader(file->root(), &*overrides, &settings, "transformers 5");
  EXPECT_EQ(*reader.Int({"hidden_size"}), 16);
  EXPECT_EQ(*reader.Int({"num_attention_heads", "n_head"}), 2);
  EXPECT_EQ(*reader.Double({"layer_norm_eps"}, 1e-12), 1e-12);
  EXPECT_FALSE(reader.Int({"missing"}).ok());
  EXPECT_EQ(reader.UnreadKeys(), std::vector<std::string>{"extra"});
  EXPECT_EQ(settings.Find("hidden_size")->source.Describe(), "--override hidden_size=16");
  EXPECT_EQ(settings.Find("num_attention_heads")->source.Describe(), "config.json: n_head");
  EXPECT_EQ(settings.Find("layer_norm_eps")->source.Describe(), "default of transformers 5");
}

TEST(AtomicFileWriter, LeavesNothingWithoutCommit) {
  std::string folder = ::testing::TempDir() + "truevec_atomic_XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  {
    auto writer = AtomicFileWriter::Create(folder + "/a");
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE((*writer)->Write("half").ok());
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder));
  auto writer = AtomicFileWriter::Create(folder + "/a");
  ASSERT_TRUE((*writer)->Write("whole").ok());
  ASSERT_TRUE((*writer)->Commit().ok());
  EXPECT_EQ(*ReadFile(folder + "/a"), "whole");
  EXPECT_FALSE(AtomicFileWriter::Create("/no/such/folder/x").ok());
  std::filesystem::remove_all(folder);
}

TEST(ThreadPool, RunsEveryUnitOnce) {
  ThreadPool pool(3);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::atomic<int>> counts(97);
    pool.ParallelFor(97, [&](int64_t unit, int worker) {
      EXPECT_LT(worker, 3);
      counts[static_cast<size_t>(unit)]++;
    });
    for (const auto& count : counts) EXPECT_EQ(count, 1);
  }
}

}  // namespace
}  // namespace truevec
