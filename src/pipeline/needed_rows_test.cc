// Pooling of one token lets the last layer leave the others out; the vectors keep their bits in every precision.
#include <gtest/gtest.h>

#include <cstring>

#include "pipeline/pipeline.h"

namespace truevec {
namespace {

class NeededRows : public ::testing::TestWithParam<const char*> {
 protected:
  std::shared_ptr<const Pipeline> Load(ComputeType type) {
    SpecOptions options;
    options.compute_type = type;
    auto pipeline = Pipeline::Load(std::string(TRUEVEC_SOURCE_DIR) + "/tests/golden/pipeline/" + GetParam(), options);
    EXPECT_TRUE(pipeline.ok()) << pipeline.status().message();
    return pipeline.ok() ? *pipeline : nullptr;
  }

  // Several lengths, one with an excluded prompt, one with a mask of its own.
  std::vector<EncodedText> Texts(const Pipeline& pipeline) {
    std::vector<EncodedText> texts;
    std::string text;
    for (const char* word : {"the", "cat", "sat", "on", "a", "mat", "and", "looked"}) {
      text += (text.empty() ? "" : " ") + std::string(word);
      auto encoded = pipeline.Encode(text, {});
      EXPECT_TRUE(encoded.ok()) << encoded.status().message();
      texts.push_back(std::move(encoded).value());
    }
    texts[3].prompt_length = 2;
    texts[4].pooling_mask.assign(texts[4].ids.size(), 0);
    texts[4].pooling_mask[1] = 1;
    return texts;
  }
};

TEST_P(NeededRows, EmbedHasTheBitsOfPoolingAllTokenVectors) {
  const bool one_token =
      std::string_view(GetParam()) != "pooling_mean" && std::string_view(GetParam()) != "pooling_two";
  for (const ComputeType type : {ComputeType::kFloat32, ComputeType::kBFloat16, ComputeType::kInt8}) {
    const auto pipeline = Load(type);
    ASSERT_NE(pipeline, nullptr);
    const std::vector<EncodedText> texts = Texts(*pipeline);
    std::vector<const EncodedText*> views;
    for (const EncodedText& text : texts) views.push_back(&text);
    ThreadPool pool(2);
    Arena arena;
    double flops = 0;
    double flops_of_all = 0;
    const int64_t width = pipeline->OutputWidth({});
    const auto count = static_cast<int64_t>(texts.size());
    const Matrix direct = arena.NewMatrix(count, width);
    const Matrix from_tokens = arena.NewMatrix(count, width);
    ASSERT_TRUE(pipeline->Embed(views, {}, {&pool, &arena, nullptr, &flops}, direct).ok());
    const auto tokens = pipeline->EmbedTokens(views, {&pool, &arena, nullptr, &flops_of_all});
    ASSERT_TRUE(tokens.ok());
    ASSERT_TRUE(pipeline->EmbedFromTokens(views, *tokens, {}, {&pool, &arena, nullptr}, from_tokens).ok());
    EXPECT_EQ(std::memcmp(direct.data, from_tokens.data, static_cast<size_t>(count * width) * sizeof(float)), 0);
    if (one_token) {
      EXPECT_LT(flops, flops_of_all);
    } else {
      EXPECT_EQ(flops, flops_of_all);
    }
  }
}

// pooling_two: lasttoken and mean.
INSTANTIATE_TEST_SUITE_P(Poolings, NeededRows,
                         ::testing::Values("pooling_cls", "pooling_lasttoken", "pooling_mean", "pooling_two",
                                           "gte_qwen2", "qwen3_embedding"));

}  // namespace
}  // namespace truevec
