#include "tensor/simulation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tensor/ops.h"
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

// Weights and inputs in bytes, pairs of products in 16 bits: 255 * 127 * 2 does not fit and becomes 32767.
TEST(Simulation, HoldsPairsOfProductsIn16Bits) {
  constexpr int64_t kIn = 5;
  constexpr int64_t kOut = 70;
  std::vector<float> weights(kOut * kIn), x = {127, 126, -127, 3, 64}, out(kOut);
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<float>((i * 37) % 255) - 127;
  for (size_t n = 0; n < kOut; ++n) weights[n * kIn] = 127;  // each row's largest: the scale is 1
  weights[1] = 127;
  const TensorView view{weights.data(), DType::kF32, {kOut, kIn}};
  const Linear linear = Linear::Pack({&view, 1}, {}, ComputeType::kFloat32);
  Simulation simulation;
  simulation.inputs = InputQuantization::kRow;
  simulation.saturate_pairs = true;
  ThreadPool pool(2);
  Arena arena;
  const ExecContext context{.pool = &pool, .arena = &arena, .simulation = &simulation};
  Apply(context, linear, {x.data(), 1, kIn, kIn}, {out.data(), 1, kOut, kOut});
  bool any = false;
  for (size_t n = 0; n < kOut; ++n) {
    int sum = 0;
    for (size_t k = 0; k < kIn; k += 2) {
      int pair = 0;
      for (size_t i = k; i < std::min<size_t>(k + 2, kIn); ++i) {
        const int w = static_cast<int>(weights[n * kIn + i]);
        pair += (static_cast<int>(x[i]) + 128) * w;
        sum -= 128 * w;
      }
      any = any || pair > 32767;
      sum += std::clamp(pair, -32768, 32767);
    }
    EXPECT_EQ(out[n], static_cast<float>(sum)) << n;
  }
  EXPECT_TRUE(any);
}

// Under a mask of large negative numbers a query without a visible key weighs all values of its sequence alike.
TEST(Simulation, AveragesForQueriesThatSeeNothing) {
  constexpr int64_t kTokens = 9;
  constexpr int64_t kText = 4;  // then padding
  std::vector<float> q(kTokens * 4), k(kTokens * 4), v(kTokens * 4), out(kTokens * 4);
  for (size_t i = 0; i < q.size(); ++i) {
    q[i] = std::sin(static_cast<float>(i));
    k[i] = std::cos(static_cast<float>(2 * i));
    v[i] = static_cast<float>(i % 7) - 2;
  }
  std::vector<uint8_t> hidden(kTokens, 1);
  std::fill_n(hidden.begin(), kText, uint8_t{0});
  Simulation simulation;
  simulation.hidden_keys = hidden;
  simulation.average_blind = true;
  ThreadPool pool(1);
  Arena arena;
  const ExecContext context{.pool = &pool, .arena = &arena, .simulation = &simulation};
  AttentionSpec spec;
  spec.heads = spec.kv_heads = 2;
  spec.head_dim = 2;
  spec.scale = 0.7f;
  spec.window_left = spec.window_right = 2;
  const std::vector<int32_t> offsets = {0, kTokens};
  Attention(context, spec, offsets, {q.data(), kTokens, 4, 4}, {k.data(), kTokens, 4, 4}, {v.data(), kTokens, 4, 4},
            {out.data(), kTokens, 4, 4});
  for (int64_t i = 0; i < kTokens; ++i) {
    for (int64_t c = 0; c < 4; ++c) {
      double weights = 0;
      double sum = 0;
      for (int64_t j = 0; j < kTokens; ++j) {
        double score = 0;
        for (int64_t x = 0; x < 2; ++x) {
          const auto at = static_cast<size_t>(c / 2 * 2 + x);
          score += static_cast<double>(q[static_cast<size_t>(i * 4) + at] * k[static_cast<size_t>(j * 4) + at]);
        }
        const bool seen = std::abs(i - j) <= 2 && j < kText;
        const bool blind = i >= kText + 2;
        const double weight = blind ? 1 : seen ? std::exp(0.7 * score) : 0;
        weights += weight;
        sum += weight * static_cast<double>(v[static_cast<size_t>(j * 4 + c)]);
      }
      EXPECT_NEAR(out[static_cast<size_t>(i * 4 + c)], sum / weights, 1e-5) << i << " " << c;
    }
  }
}

}  // namespace
}  // namespace truevec
