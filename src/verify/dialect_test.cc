#include "verify/dialect.h"

#include <gtest/gtest.h>

#include <cmath>

namespace truevec {
namespace {

TEST(Dialect, Base64OfRfc4648) {
  for (const auto& [plain, coded] : {std::pair("", ""), std::pair("f", "Zg=="), std::pair("fo", "Zm8="),
                                     std::pair("foo", "Zm9v"), std::pair("foobar", "Zm9vYmFy")}) {
    EXPECT_EQ(EncodeBase64(plain), coded);
    EXPECT_EQ(DecodeBase64(coded).value(), plain);
  }
  for (const char* bad : {"Zg=", "Z===", "Zg==Zg==", "Z*==", "=g=="}) EXPECT_FALSE(DecodeBase64(bad).ok()) << bad;
}

// Answers as the servers' documentation shows them.
TEST(Dialect, ReadsEveryShape) {
  const Vector wanted = {1, -0.5f};
  for (const char* body : {
           R"([[1,-0.5]])",                                                                     // TEI
           R"({"object":"list","data":[{"index":0,"embedding":[1,-0.5]}]})",                    // OpenAI
           R"({"data":[{"index":0,"embedding":"AACAPwAAAL8="}],"usage":{"prompt_tokens":3}})",  // base64
           R"({"model":"m","embeddings":[[1,-0.5]],"prompt_eval_count":3})",                    // Ollama
           R"({"embedding":[1,-0.5]})",                                                         // Ollama's old route
           R"([{"index":0,"embedding":[[1,-0.5]]}])",                                           // llama.cpp
           R"({"id":"x","embeddings":{"float":[[1,-0.5]]}})",                                   // Cohere
       }) {
    const auto reply = ReadEmbedAnswer(body, "here", 1);
    ASSERT_TRUE(reply.ok()) << body << reply.status().message();
    EXPECT_EQ(reply->vectors[0], wanted) << body;
    EXPECT_TRUE(reply->unpooled.empty());
  }
}

TEST(Dialect, HonoursIndexAndCounts) {
  const auto reply =
      ReadEmbedAnswer(R"({"data":[{"index":1,"embedding":[2]},{"index":0,"embedding":[1]}]})", "here", 2);
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->vectors[0], Vector{1});
  EXPECT_FALSE(
      ReadEmbedAnswer(R"({"data":[{"index":0,"embedding":[2]},{"index":0,"embedding":[1]}]})", "here", 2).ok());
  EXPECT_FALSE(ReadEmbedAnswer(R"([[1]])", "here", 2).ok());
  EXPECT_FALSE(ReadEmbedAnswer(R"({"error":"x"})", "here", 1).ok());
}

TEST(Dialect, NullIsNaNAndMatricesAreUnpooled) {
  const auto reply = ReadEmbedAnswer(R"([[null,1]])", "here", 1);
  ASSERT_TRUE(reply.ok());
  EXPECT_TRUE(std::isnan(reply->vectors[0][0]));
  const auto matrix = ReadEmbedAnswer(R"([{"index":0,"embedding":[[1,2],[3,4]]}])", "here", 1);
  ASSERT_TRUE(matrix.ok());
  EXPECT_EQ(matrix->unpooled[0].size(), 2u);
}

TEST(Dialect, ReadsTokenizeAnswers) {
  const std::vector<int32_t> wanted = {101, 7};
  for (const char* body : {R"([[{"id":101,"text":"[CLS]"},{"id":7,"text":"a"}]])", R"({"tokens":[101,7]})",
                           R"({"count":2,"tokens":[101,7]})"}) {
    EXPECT_EQ(ReadTokenizeAnswer(body, "here").value(), wanted) << body;
  }
}

TEST(Dialect, ErrorTextOfEachDialect) {
  EXPECT_EQ(ErrorText(R"({"error":{"message":"m","code":400}})"), "m");
  EXPECT_EQ(ErrorText(R"({"error":"m","error_type":"Validation"})"), "m");
  EXPECT_EQ(ErrorText(R"({"message":"m","code":422})"), "m");
  EXPECT_EQ(ErrorText("plain"), "plain");
}

}  // namespace
}  // namespace truevec
