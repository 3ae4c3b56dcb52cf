#include "base/serde_json.h"
#include "base/unique_keys.h"

#include <gtest/gtest.h>

namespace truevec {
namespace {

// What tokenizers 0.23.3 makes of these scores (Tokenizer.from_str, then to_str).
TEST(Json, DoublesAsSerdeReadsThem) {
  const std::pair<std::string, double> cases[] = {
      {"-10.283012390136719", -0x1.490e700000001p+3},  // differs
      {"-7.3093791007995605", -0x1.d3ccddfffffffp+2},  // differs
      {"-7.3235273361206055", -0x1.d4b4abfffffffp+2},  // differs
      {"-0.1", -0x1.999999999999ap-4},
      {"1e-7", 0x1.ad7f29abcaf48p-24},
      {"-12.345678901234567890123", -0x1.8b0fcd32f707ap+3},
      {"123456789012345678901234567890.5", 0x1.8ee90ff6c373ep+96},
      {"0.30000000000000004", 0x1.3333333333334p-2},
      {"1.7976931348623157e308", 0x1.fffffffffffffp+1023},
      {"4.9e-324", 0x0.0000000000001p-1022},
      {"2.2250738585072011e-308", 0x1.0000000000000p-1022},  // differs
      {"-1e-400", -0x0.0p+0},
      {"1e-320", 0x0.00000000007e8p-1022},
      {"9007199254740993.0", 0x1.0000000000001p+53},  // differs
      {"18446744073709551615.5", 0x1.0000000000000p+64},
      {"18446744073709551616.25", 0x1.0000000000000p+64},
      {"3.141592653589793238462643383279", 0x1.921fb54442d18p+1},
      {"1E+5", 0x1.86a0000000000p+16},
      {"5e-310", 0x0.05c0ab9347ed7p-1022},
      {"-0.0", -0x0.0p+0},
      {"184467440737095516.159", 0x1.47ae147ae147bp+57},
  };
  for (const auto& [text, expected] : cases) {
    const auto value = ParseJsonAsSerde("[" + text + "]", "test");
    ASSERT_TRUE(value.ok());
    EXPECT_EQ(value->as_array()[0].as_double(), expected) << text;
  }
}

TEST(Json, DoublesAreCorrectlyRounded) {
  const auto value = ParseJson("[-10.283012390136719, 9007199254740993.0]", "test");
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(value->as_array()[0].as_double(), -10.283012390136719);
  EXPECT_EQ(value->as_array()[1].as_double(), 9007199254740992.0);
}

// As Python's json: a model's own files are read so.
TEST(Json, LastOfTwoKeysCounts) {
  EXPECT_EQ(ParseJson(R"({"a":1,"b":2,"a":3})", "test")->at("a"), 3);
  std::string many = "{\"k7\":-1";
  for (int i = 0; i < 40; ++i) many += ",\"k" + std::to_string(i) + "\":" + std::to_string(i);
  EXPECT_EQ(ParseJson(many + ",\"k5\":-2}", "test")->at("k5"), -2);
  EXPECT_EQ(ParseJson(many + "}", "test")->at("k7"), 7);
}

TEST(Json, UniqueKeysNamesThePath) {
  const auto message = [](std::string_view text) {
    const auto value = ParseJsonWithUniqueKeys(text, "body");
    return value.ok() ? "" : value.status().message();
  };
  EXPECT_EQ(message(R"({"a":1,"b":{"a":2},"c":[{"a":1},{"a":2}],"d":{}})"), "");
  EXPECT_EQ(message(R"(["a","a"])"), "");
  EXPECT_EQ(message(R"({"a":1,"b":2,"a":3})"), "body: a is given twice");
  EXPECT_EQ(message(R"({"p":{"q":{},"r":[1,"x",[],{"s":true,"t":{"u":0},"s":null}]}})"),
            "body: p.r[3].s is given twice");
  EXPECT_EQ(message(R"([[{"x":1,"y":{"x":0},"x":2}]])"), "body: [0][0].x is given twice");
  // Compared without their escapes; the outermost key may be empty.
  EXPECT_EQ(message(R"({"input":1,"\u0069nput":2})"), "body: input is given twice");
  EXPECT_EQ(message("\xEF\xBB\xBF{\"a\":{\"\":1,\"\":2}}"), "body: a. is given twice");
  EXPECT_EQ(message(R"({"a":1,"a":)"), "body: invalid JSON at byte 11: incomplete JSON");
}

}  // namespace
}  // namespace truevec
