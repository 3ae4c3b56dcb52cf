#include "server/duplicate_keys.h"

#include <gtest/gtest.h>

namespace truevec {
namespace {

TEST(DuplicateKeyTest, InOneObjectOnly) {
  EXPECT_EQ(DuplicateKey(R"({"a":1,"b":{"a":2},"c":[{"a":1},{"a":2}]})"), std::nullopt);
  EXPECT_EQ(DuplicateKey(R"({"a":1,"b":2,"a":3})"), "a");
  EXPECT_EQ(DuplicateKey(R"({"a":[[{"x":1,"y":{"x":0},"x":2}]]})"), "x");
  EXPECT_EQ(DuplicateKey(R"(["a","a"])"), std::nullopt);
  EXPECT_EQ(DuplicateKey(R"({})"), std::nullopt);
}

TEST(DuplicateKeyTest, KeysAreComparedWithoutTheirEscapes) {
  EXPECT_EQ(DuplicateKey(R"({"input":1,"\u0069nput":2})"), "input");
  EXPECT_EQ(DuplicateKey("\xEF\xBB\xBF{\"\":1,\"\":2}"), "");
}

}  // namespace
}  // namespace truevec
