#include "tensor/simulation.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tensor/tensor.h"

namespace truevec {
namespace {

// Every float16 and bfloat16 value stays, and the values between two neighbours go to the nearer one (ties to even).
TEST(Simulation, RoundsToNearestEven) {
  for (const auto& [rounding, dtype] :
       {std::pair(Rounding::kFloat16, DType::kF16), std::pair(Rounding::kBFloat16, DType::kBF16)}) {
    float previous = 0;
    bool odd = false;
    for (uint32_t bits = 0; bits < 0x7c00; ++bits) {
      const auto narrow = static_cast<uint16_t>(bits);
      float x = 0;
      ConvertToFloat(&narrow, dtype, 1, &x);
      if (!std::isfinite(x)) break;
      ASSERT_EQ(RoundTo(rounding, x), x);
      ASSERT_EQ(RoundTo(rounding, -x), -x);
      if (bits > 0 && bits % 37 == 0) {
        const float middle = static_cast<float>((static_cast<double>(previous) + x) / 2);
        if (static_cast<double>(middle) == (static_cast<double>(previous) + x) / 2) {
          ASSERT_EQ(RoundTo(rounding, middle), odd ? x : previous) << bits;
          ASSERT_EQ(RoundTo(rounding, std::nextafter(middle, INFINITY)), x) << bits;
        }
      }
      previous = x;
      odd = bits % 2 == 1;
    }
  }
  EXPECT_TRUE(std::isinf(RoundTo(Rounding::kFloat16, 65520.0f)));
  EXPECT_EQ(RoundTo(Rounding::kFloat16, 65519.0f), 65504.0f);
}

// Whole rows round ties to even, blocks of 32 away from zero; each has a scale of its own (in float16 for blocks).
TEST(Simulation, QuantizesInputs) {
  std::vector<float> values(40);
  values[0] = 127;
  values[1] = -63.5f;
  values[2] = 0.5f;
  values[32] = 254;
  values[33] = 3;
  std::vector<float> rows = values;
  QuantizeInputs(InputQuantization::kRow, {rows.data(), 1, 40, 40});
  EXPECT_EQ(rows[0], 128);  // 63.5 steps of 2
  EXPECT_EQ(rows[1], -64);
  EXPECT_EQ(rows[2], 0);
  EXPECT_EQ(rows[32], 254);
  EXPECT_EQ(rows[33], 4);
  std::vector<float> blocks = values;
  QuantizeInputs(InputQuantization::kBlock32, {blocks.data(), 1, 40, 40});
  EXPECT_EQ(blocks[0], 127);
  EXPECT_EQ(blocks[1], -64);
  EXPECT_EQ(blocks[2], 1);
  EXPECT_EQ(blocks[32], 254);
  EXPECT_EQ(blocks[33], 4);
  std::vector<float> none(3);
  QuantizeInputs(InputQuantization::kRow, {none.data(), 1, 3, 3});
  EXPECT_EQ(none, std::vector<float>(3));
}

}  // namespace
}  // namespace truevec
