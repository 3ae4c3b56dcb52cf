#include "verify/weight_formats.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/file.h"
#include "base/json.h"

namespace truevec {
namespace {

const WeightFormat* FormatOf(std::string_view name) {
  for (const auto* list : {&UsualWeightFormats(), &OtherWeightFormats()}) {
    for (const WeightFormat& format : *list) {
      if (format.name == name) return &format;
    }
  }
  return nullptr;
}

std::vector<float> Floats(const json::value& array) {
  std::vector<float> values;
  for (const json::value& x : array.as_array()) values.push_back(static_cast<float>(x.to_number<double>()));
  return values;
}

double SizeOf(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::pow(static_cast<double>(a[i]) - b[i], 2);
  return std::sqrt(sum);
}

// tests/verify/weight_formats.json: ggml's, PyTorch's and bitsandbytes' own (tools/goldens/make_weight_formats.py).
TEST(WeightFormats, AsTheirEnginesQuantise) {
  const std::string path = std::string(TRUEVEC_SOURCE_DIR) + "/tests/verify/weight_formats.json";
  const auto text = ReadFile(path);
  ASSERT_TRUE(text.ok());
  const auto parsed = ParseJson(*text, path);
  ASSERT_TRUE(parsed.ok());
  const json::object& golden = parsed->as_object();
  const std::vector<float> original = Floats(golden.at("values"));
  for (const auto& [name, wanted] : golden.at("formats").as_object()) {
    SCOPED_TRACE(std::string(name));
    const WeightFormat* format = FormatOf(name);
    ASSERT_NE(format, nullptr);
    std::vector<float> values = original;
    ASSERT_TRUE(ApplyWeightFormat(*format, golden.at("cols").to_number<int64_t>(), &values));
    const std::vector<float> engine = Floats(wanted);
    // Ties and sums in another order move single values by a step.
    EXPECT_LT(SizeOf(values, engine), 0.05 * SizeOf(original, engine));
  }
}

TEST(WeightFormats, BlocksMustFit) {
  std::vector<float> values(2 * 48, 1.0f);
  EXPECT_FALSE(ApplyWeightFormat(*FormatOf("Q4_1"), 48, &values));
  EXPECT_FALSE(ApplyWeightFormat(*FormatOf("NF4"), 48, &values));  // 96 values are no whole blocks either
  values.resize(4 * 48, 1.0f);
  EXPECT_TRUE(ApplyWeightFormat(*FormatOf("NF4"), 48, &values));  // across rows
  EXPECT_TRUE(ApplyWeightFormat(*FormatOf("int8 per row"), 48, &values));
}

TEST(WeightFormats, ZerosStay) {
  for (const auto* list : {&UsualWeightFormats(), &OtherWeightFormats()}) {
    for (const WeightFormat& format : *list) {
      std::vector<float> values(512, 0.0f);
      ASSERT_TRUE(ApplyWeightFormat(format, 256, &values)) << format.name;
      for (const float x : values) ASSERT_EQ(x, 0.0f) << format.name;
    }
  }
}

}  // namespace
}  // namespace truevec
