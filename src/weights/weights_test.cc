// Weight files: the same tensors from safetensors, shards and pytorch_model.bin; malformed files refused.
// tests/golden/weights is made by tools/goldens/weights.py.
#include <gtest/gtest.h>

#include <cstring>

#include "base/file.h"
#include "weights/safetensors.h"
#include "weights/torch_zip.h"
#include "weights/unpickler.h"
#include "weights/weight_files.h"

namespace truevec {
namespace {

const std::string kRoot = std::string(TRUEVEC_SOURCE_DIR) + "/tests/golden/weights/";

std::string Refusal(const std::string& folder) {
  auto store = OpenWeights(kRoot + folder);
  return store.ok() ? "" : store.status().message();
}

TEST(WeightFiles, EveryLayoutHoldsTheSameTensors) {
  auto reference = OpenWeights(kRoot + "safetensors");
  ASSERT_TRUE(reference.ok()) << reference.status().message();
  EXPECT_EQ((*reference)->Names().size(), 5u);
  for (const char* layout : {"sharded", "bin", "bin_sharded", "bin_protocol4"}) {
    auto store = OpenWeights(kRoot + layout);
    ASSERT_TRUE(store.ok()) << store.status().message();
    ASSERT_EQ((*store)->Names(), (*reference)->Names()) << layout;
    for (const std::string& name : (*reference)->Names()) {
      const TensorView& want = (*reference)->Find(name)->view;
      const TensorView& got = (*store)->Find(name)->view;
      EXPECT_EQ(got.dtype, want.dtype) << name;
      ASSERT_EQ(got.shape, want.shape) << name;
      EXPECT_EQ(std::memcmp(got.data, want.data, static_cast<size_t>(want.count()) * ElementBytes(want.dtype)), 0)
          << layout << " " << name;
    }
  }
}

TEST(WeightFiles, RefusesCodeInAPickle) {
  EXPECT_NE(Refusal("bin_evil").find("global posix.system is not allowed"), std::string::npos) << Refusal("bin_evil");
  EXPECT_NE(Refusal("bin_not_tensors").find("is no tensor"), std::string::npos) << Refusal("bin_not_tensors");
}

TEST(WeightFiles, RefusesCompressedAndTruncatedArchives) {
  EXPECT_NE(Refusal("bin_compressed").find("is compressed"), std::string::npos) << Refusal("bin_compressed");
  auto bytes = ReadFile(kRoot + "bin/pytorch_model.bin");
  ASSERT_TRUE(bytes.ok());
  // Cut anywhere, or with any byte of the directory or pickle flipped, it is read or refused, never worse.
  for (size_t cut = 0; cut < bytes->size(); cut += 37) {
    EXPECT_FALSE(ReadTorchZip(std::as_bytes(std::span(bytes->data(), cut)), "t").ok()) << cut;
  }
  for (size_t i = 0; i < bytes->size(); i += 3) {
    std::string copy = *bytes;
    copy[i] = static_cast<char>(copy[i] ^ 0x5A);
    const auto archive = ReadTorchZip(std::as_bytes(std::span(copy)), "t");
    if (archive.ok() && archive->contains("data.pkl")) (void)ReadStateDict(archive->at("data.pkl"), "t");
  }
}

TEST(WeightFiles, MissingAndMisplacedShards) {
  EXPECT_NE(Refusal("sharded_missing").find("model-00002-of-00002.safetensors"), std::string::npos);
  EXPECT_NE(Refusal("nothing").find("no weights"), std::string::npos);
}

TEST(WeightScope, AccountsForEveryTensor) {
  auto store = OpenWeights(kRoot + "safetensors");
  ASSERT_TRUE(store.ok());
  const WeightScope scope(*store);
  EXPECT_TRUE(scope.Sub("layer", 0).Get("weight", {3, 4}).ok());
  EXPECT_NE(scope.Sub("layer", 0).Get("bias", {4}).status().message().find("expected shape [4], got [3]"),
            std::string::npos);
  EXPECT_NE(scope.Get("nope", {1}).status().message().find("tensor nope is missing"), std::string::npos);
  EXPECT_NE(scope.Get("ids", {2}).status().message().find("got I64"), std::string::npos);
  EXPECT_FALSE(scope.GetOptional("nope", {1})->present());
  scope.Ignore("half");
  EXPECT_EQ(scope.Leftovers(), (std::vector<std::string>{"transposed"}));
}

TEST(Safetensors, RefusesHoles) {
  std::string header = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})";
  std::string file(8, '\0');
  file[0] = static_cast<char>(header.size());
  file += header + std::string(8, '\0');
  EXPECT_NE(ParseSafetensors(std::as_bytes(std::span(file)), "f").status().message().find("hole"), std::string::npos);
  EXPECT_FALSE(ParseSafetensors(std::as_bytes(std::span(file.data(), 4)), "f").ok());
}

}  // namespace
}  // namespace truevec
