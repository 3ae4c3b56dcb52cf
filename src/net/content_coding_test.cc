#include "net/content_coding.h"

#include <gtest/gtest.h>

namespace truevec {
namespace {

TEST(ContentCoding, RoundTrip) {
  std::string text;
  for (int i = 0; i < 100000; ++i) text += std::to_string(i * 7919 % 1000);
  for (const char* coding : {"gzip", "zstd"}) {
    const std::string packed = EncodeContent(coding, text);
    EXPECT_LT(packed.size(), text.size() / 2) << coding;
    EXPECT_EQ(DecodeContent(coding, packed, 1 << 20).value(), text);
    EXPECT_EQ(DecodeContent(coding, packed, text.size() - 1).status().code(), Code::kResource);
    EXPECT_EQ(DecodeContent(coding, packed.substr(0, packed.size() / 2), 1 << 20).status().code(), Code::kBadInput);
    EXPECT_EQ(DecodeContent(coding, "nonsense", 1 << 20).status().code(), Code::kBadInput);
    EXPECT_EQ(DecodeContent(coding, "", 1 << 20).status().code(), Code::kBadInput);
  }
  const std::string twice = EncodeContent("zstd", EncodeContent("gzip", text));
  EXPECT_EQ(DecodeContent("gzip, zstd", twice, 1 << 20).value(), text);
  EXPECT_EQ(DecodeContent("br", text, 1 << 20).status().code(), Code::kUsage);
}

TEST(ContentCoding, ZeroBombIsCut) {
  const std::string bomb = EncodeContent("gzip", std::string(size_t{64} << 20, '\0'));
  EXPECT_EQ(DecodeContent("gzip", bomb, 1 << 20).status().code(), Code::kResource);
}

TEST(ContentCoding, Choice) {
  EXPECT_EQ(ChooseCoding("gzip, deflate, zstd"), "zstd");
  EXPECT_EQ(ChooseCoding("gzip;q=1.0, zstd;q=0.5"), "gzip");
  EXPECT_EQ(ChooseCoding("gzip;q=0"), "");
  EXPECT_EQ(ChooseCoding("identity"), "");
  EXPECT_EQ(ChooseCoding(""), "");
  EXPECT_EQ(ChooseCoding("*"), "zstd");
  EXPECT_EQ(ChooseCoding("*;q=0.1, zstd;q=0"), "gzip");
}

}  // namespace
}  // namespace truevec
