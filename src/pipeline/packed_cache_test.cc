// Packed weights kept between starts: the same bits as without, and whatever happens to the file, no error and no
// wrong vector. The checkpoint is a golden model of tests/golden/pipeline.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "base/file.h"
#include "base/thread_pool.h"
#include "pipeline/pipeline.h"

namespace truevec {
namespace {

namespace fs = std::filesystem;

class PackedCacheTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string name = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    root_ = ::testing::TempDir() + "/packed_" + name;
    fs::remove_all(root_);
    fs::create_directories(root_);
    model_ = root_ + "/model";
    fs::copy(std::string(TRUEVEC_SOURCE_DIR) + "/tests/golden/pipeline/normalize", model_, fs::copy_options::recursive);
    for (const auto& entry : fs::recursive_directory_iterator(model_)) {
      fs::permissions(entry.path(), fs::perms::owner_write, fs::perm_options::add);
    }
    cache_ = root_ + "/deep/cache";
    plain_ = Embed("", ComputeType::kFloat32);
    ASSERT_FALSE(plain_.empty());
  }

  std::vector<float> Embed(const std::string& cache, ComputeType type = ComputeType::kFloat32, double min_age = 0) {
    SpecOptions options;
    options.compute_type = type;
    options.packed_cache.directory = cache;
    options.packed_cache.min_age_seconds = min_age;
    const auto pipeline = Pipeline::Load(model_, options);
    if (!pipeline.ok()) {
      ADD_FAILURE() << pipeline.status().message();
      return {};
    }
    const auto text = (*pipeline)->Encode("the quick brown fox", {});
    if (!text.ok()) {
      ADD_FAILURE() << text.status().message();
      return {};
    }
    ThreadPool pool(1);
    Arena arena;
    const EncodedText* one = &*text;
    std::vector<float> out(static_cast<size_t>((*pipeline)->dimension()));
    const auto width = static_cast<int64_t>(out.size());
    const Status status = (*pipeline)->Embed({&one, 1}, {}, {&pool, &arena}, {out.data(), 1, width, width});
    EXPECT_TRUE(status.ok()) << status.message();
    return out;
  }
  std::vector<std::string> Files() const {
    std::vector<std::string> files;
    if (!fs::exists(cache_)) return files;
    for (const auto& entry : fs::directory_iterator(cache_)) files.push_back(entry.path().string());
    return files;
  }
  std::string OnlyFile() const {
    const std::vector<std::string> files = Files();
    EXPECT_EQ(files.size(), 1u);
    return files.empty() ? "" : files[0];
  }
  static ino_t Inode(const std::string& path) {
    struct stat info{};
    EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
    return info.st_ino;
  }
  static void Write(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  }

  std::string root_, model_, cache_;
  std::vector<float> plain_;
};

TEST_F(PackedCacheTest, TheSecondStartReadsWhatTheFirstWrote) {
  for (const ComputeType type : {ComputeType::kFloat32, ComputeType::kBFloat16, ComputeType::kInt8}) {
    fs::remove_all(cache_);
    const std::vector<float> packed = Embed("", type);
    EXPECT_EQ(Embed(cache_, type), packed);
    const std::string file = OnlyFile();
    const ino_t inode = Inode(file);
    EXPECT_EQ(Embed(cache_, type), packed);
    EXPECT_EQ(Inode(OnlyFile()), inode) << "not read: whoever does not read writes a new file";
  }
}

TEST_F(PackedCacheTest, EachDtypeHasAFileOfItsOwn) {
  Embed(cache_);
  Embed(cache_, ComputeType::kInt8);
  EXPECT_EQ(Files().size(), 2u);
  EXPECT_EQ(Embed(cache_), plain_);
}

TEST_F(PackedCacheTest, AChangedCheckpointIsPackedAgain) {
  Embed(cache_);
  const ino_t before = Inode(OnlyFile());
  std::string bytes = ReadFile(model_ + "/model.safetensors").value();
  // One bit of each of the last 4,000 values, in place: same size, same inode.
  for (size_t i = bytes.size() - 16000; i < bytes.size(); i += 4) bytes[i + 2] = static_cast<char>(bytes[i + 2] ^ 0x40);
  Write(model_ + "/model.safetensors", bytes);
  const std::vector<float> changed = Embed("");
  ASSERT_NE(changed, plain_);
  EXPECT_EQ(Embed(cache_), changed);
  EXPECT_NE(Inode(OnlyFile()), before);
  EXPECT_EQ(Embed(cache_), changed);
}

TEST_F(PackedCacheTest, AFreshCheckpointIsNotCached) {
  EXPECT_EQ(Embed(cache_, ComputeType::kFloat32, 3600), plain_);
  EXPECT_TRUE(Files().empty());
}

TEST_F(PackedCacheTest, ATruncatedFileIsWrittenAnew) {
  Embed(cache_);
  const std::string file = OnlyFile();
  const std::string whole = ReadFile(file).value();
  for (const size_t size :
       {size_t{0}, size_t{1}, size_t{31}, size_t{32}, size_t{4096}, whole.size() / 2, whole.size() - 1}) {
    Write(file, whole.substr(0, size));
    EXPECT_EQ(Embed(cache_), plain_) << size;
    EXPECT_EQ(ReadFile(OnlyFile()).value().size(), whole.size()) << size;
  }
  Write(file, whole + "x");
  EXPECT_EQ(Embed(cache_), plain_);
}

TEST_F(PackedCacheTest, AFlippedByteIsNeverUsed) {
  Embed(cache_);
  const std::string file = OnlyFile();
  const std::string whole = ReadFile(file).value();
  for (size_t at = 0; at < whole.size(); at += whole.size() / 97 + 1) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x20);
    Write(file, bytes);
    fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
    ASSERT_EQ(Embed(cache_), plain_) << "byte " << at << " of " << whole.size();
  }
}

TEST_F(PackedCacheTest, AFileThatOthersMayWriteIsNotRead) {
  Embed(cache_);
  const std::string file = OnlyFile();
  const ino_t before = Inode(file);
  fs::permissions(file, fs::perms::others_write, fs::perm_options::add);
  EXPECT_EQ(Embed(cache_), plain_);
  EXPECT_NE(Inode(OnlyFile()), before);
}

TEST_F(PackedCacheTest, ManyWritersLeaveOneWholeFile) {
  std::vector<std::vector<float>> results(8);
  std::vector<std::thread> threads;
  for (std::vector<float>& result : results) threads.emplace_back([&] { result = Embed(cache_); });
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<float>& result : results) EXPECT_EQ(result, plain_);
  EXPECT_EQ(Files().size(), 1u);
  EXPECT_EQ(Embed(cache_), plain_);
}

TEST_F(PackedCacheTest, APlaceThatCannotBeWrittenIsNoError) {
  Write(root_ + "/file", "x");
  EXPECT_EQ(Embed(root_ + "/file/cache"), plain_);
  EXPECT_EQ(Embed("/proc/truevec"), plain_);  // root may write to a read-only directory, but not there
  fs::create_directories(root_ + "/readonly");
  fs::permissions(root_ + "/readonly", fs::perms::owner_read | fs::perms::owner_exec);
  EXPECT_EQ(Embed(root_ + "/readonly"), plain_);
  if (geteuid() != 0) {
    EXPECT_TRUE(fs::is_empty(root_ + "/readonly"));
  }
}

TEST_F(PackedCacheTest, TheOldestFilesMakeRoom) {
  Embed(cache_);
  const std::string first = OnlyFile();
  const auto size = fs::file_size(first);
  SpecOptions options;
  options.compute_type = ComputeType::kBFloat16;
  options.packed_cache = {cache_, true, 0, size, size};
  ASSERT_TRUE(Pipeline::Load(model_, options).ok());
  EXPECT_FALSE(fs::exists(first));
  EXPECT_EQ(Files().size(), 1u);
  options.compute_type = ComputeType::kFloat32;
  options.packed_cache.max_file_bytes = size / 2;
  ASSERT_TRUE(Pipeline::Load(model_, options).ok());
  EXPECT_FALSE(fs::exists(first)) << "larger than a file may be";
}

}  // namespace
}  // namespace truevec
