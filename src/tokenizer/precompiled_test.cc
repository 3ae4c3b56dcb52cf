// Which characters make one cluster for a character map, with what tokenizers 0.23.3 gives for the same map.
#include "tokenizer/precompiled.h"

#include <gtest/gtest.h>

#include "tokenizer/text.h"
#include "unicode/unicode.h"

namespace truevec {
namespace {

// A map with the one entry A -> x: a double array in which the root's offset is 256 and A's is 1.
std::string OneEntryMap() {
  std::vector<uint32_t> units(0x300);
  units[0] = 256u << 10;
  units[256 ^ 'A'] = 'A' | 1u << 8 | 1u << 10;
  units[256 ^ 'A' ^ 1] = 1u << 31;
  const auto size = static_cast<uint32_t>(units.size() * 4);
  std::string blob(reinterpret_cast<const char*>(&size), 4);
  blob.append(reinterpret_cast<const char*>(units.data()), size);
  return blob + std::string("x\0", 2);
}

std::string Normalized(const std::string& input) {
  auto normalizer = MakePrecompiled(OneEntryMap());
  EXPECT_TRUE(normalizer.ok());
  Text text;
  int32_t at = 0;
  for (const uint32_t cp : DecodeUtf8(input)) {
    text.push_back({cp, at, at + 1});
    ++at;
  }
  EXPECT_TRUE((*normalizer)->Normalize(&text).ok());
  return ToUtf8(text.data(), text.data() + text.size());
}

TEST(Precompiled, AClusterBecomesItsShortestPrefix) {
  EXPECT_EQ(Normalized("A B A\u0300"), "x B x");
  EXPECT_EQ(Normalized("A\u0301\u0302!"), "x!");
  EXPECT_EQ(Normalized("A\u0301\u0302\u0303"), "x\u0301\u0302\u0303");  // 7 bytes: character by character
}

TEST(Precompiled, ClustersAreThoseOfUnicode17) {
  EXPECT_EQ(Normalized("\u0600A\u0300"), "\u0600x\u0300");  // Prepend joins what follows
  EXPECT_EQ(Normalized("A\u102B"), "x\u102B");              // a spacing mark that extends nothing
  EXPECT_EQ(Normalized("A\u0E33"), "x");                    // a letter that does
  EXPECT_EQ(Normalized("A\u1ACF"), "x");                    // new in 17
  EXPECT_EQ(Normalized("\u0600\nA"), "\u0600\nx");
}

}  // namespace
}  // namespace truevec
