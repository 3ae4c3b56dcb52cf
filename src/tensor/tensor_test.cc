// Ops against double precision, and the same bits from every instruction set, thread count and batch.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <random>

#include "kernels/kernels.h"
#include "tensor/ops.h"

namespace truevec {
namespace {

std::vector<float> Random(int64_t n, uint32_t seed, float scale = 1) {
  std::mt19937 generator(seed);
  std::vector<float> values(static_cast<size_t>(n));
  // Uniform in [-scale, scale) from the raw generator: the same on every platform.
  for (float& v : values) v = scale * (static_cast<float>(generator() >> 8) / 8388608.0f - 1.0f);
  return values;
}

TensorView View(const std::vector<float>& values, Shape shape) {
  return {values.data(), DType::kF32, std::move(shape)};
}

// Runs body with every table and thread count and checks that all outputs are the same bits.
void ExpectSameBits(int64_t outputs, const std::function<void(const ExecContext&, float*)>& body) {
  const kernels::KernelTable* const* tables = nullptr;
  const int count = kernels::AvailableTables(&tables);
  const std::string best = kernels::Active().name;
  std::vector<float> expected;
  for (int i = 0; i < count; ++i) {
    ASSERT_TRUE(kernels::ForceTable(tables[i]->name));
    for (const int threads : {1, 2, 5}) {
      ThreadPool pool(threads);
      Arena arena;
      std::vector<float> out(static_cast<size_t>(outputs), NAN);
      body({&pool, &arena, nullptr}, out.data());
      if (expected.empty()) expected = out;
      EXPECT_EQ(std::memcmp(out.data(), expected.data(), out.size() * sizeof(float)), 0)
          << tables[i]->name << " with " << threads << " threads";
    }
  }
  ASSERT_TRUE(kernels::ForceTable(best.c_str()));
}

// Bound for a sum of k products accumulated in blocks: gamma_n of Higham, n = block + number of blocks.
double SumBound(int64_t k, double magnitude) {
  const double terms = static_cast<double>(std::min<int64_t>(k, kernels::kMaxKBlock) + k / kernels::kMaxKBlock + 2);
  return terms * 6e-8 * magnitude;
}

TEST(Linear, MatchesDoublePrecisionForAwkwardShapes) {
  for (const auto& [m, n, k] : std::vector<std::array<int64_t, 3>>{
           {1, 1, 1}, {3, 33, 7}, {13, 65, 300}, {25, 96, 513}, {100, 31, 64}, {12, 32, 256}, {7, 48, 1536}}) {
    const auto x = Random(m * k, 1);
    const auto w = Random(n * k, 2);
    const auto b = Random(n, 3);
    const TensorView weight = View(w, {n, k});
    const TensorView bias = View(b, {n});
    const Linear linear = Linear::Pack({&weight, 1}, {&bias, 1}, ComputeType::kFloat32);
    ThreadPool pool(2);
    Arena arena;
    const Matrix out = arena.NewMatrix(m, n);
    Apply({&pool, &arena, nullptr}, linear, {x.data(), m, k, k}, out);
    for (int64_t r = 0; r < m; ++r) {
      for (int64_t c = 0; c < n; ++c) {
        double sum = b[static_cast<size_t>(c)];
        double magnitude = std::abs(sum);
        for (int64_t i = 0; i < k; ++i) {
          const double term =
              static_cast<double>(x[static_cast<size_t>(r * k + i)]) * w[static_cast<size_t>(c * k + i)];
          sum += term;
          magnitude += std::abs(term);
        }
        ASSERT_NEAR(out.row(r)[c], sum, SumBound(k, magnitude)) << m << "x" << n << "x" << k;
      }
    }
  }
}

TEST(Linear, SameBitsOnEveryIsaThreadCountAndBatch) {
  constexpr int64_t m = 64, n = 100, k = 700;
  const auto x = Random(m * k, 4);
  const auto w = Random(n * k, 5);
  const auto r = Random(m * n, 6);
  const TensorView weight = View(w, {n, k});
  const Linear linear = Linear::Pack({&weight, 1}, {}, ComputeType::kFloat32);
  const ConstMatrix residual(r.data(), m, n, n);
  ExpectSameBits(m * n, [&](const ExecContext& ctx, float* out) {
    Apply(ctx, linear, {x.data(), m, k, k}, {out, m, n, n}, Activation::kGelu, &residual);
  });
  // Rows alone or in batches of 7 give the rows of the whole.
  ThreadPool pool(2);
  Arena arena;
  const ExecContext ctx{&pool, &arena, nullptr};
  std::vector<float> whole(m * n);
  std::vector<float> parts(m * n);
  Apply(ctx, linear, {x.data(), m, k, k}, {whole.data(), m, n, n});
  for (int64_t first = 0; first < m; first += 7) {
    const int64_t rows = std::min<int64_t>(7, m - first);
    Apply(ctx, linear, {x.data() + first * k, rows, k, k}, {parts.data() + first * n, rows, n, n});
  }
  EXPECT_EQ(whole, parts);
}

TEST(Linear, StacksWeightsAndWidensHalfPrecision) {
  const std::vector<uint16_t> bf16 = {0x3F80, 0x4000, 0x4040, 0xC080};  // 1 2 3 -4
  const std::vector<uint16_t> f16 = {0x3C00, 0xC000};                   // 1 -2
  const TensorView weights[] = {{bf16.data(), DType::kBF16, {2, 2}}, {f16.data(), DType::kF16, {1, 2}}};
  const Linear linear = Linear::Pack(weights, {}, ComputeType::kFloat32);
  ThreadPool pool(1);
  Arena arena;
  const std::vector<float> x = {10, 1};
  const Matrix out = arena.NewMatrix(1, 3);
  Apply({&pool, &arena, nullptr}, linear, {x.data(), 1, 2, 2}, out);
  EXPECT_EQ(out.data[0], 12);
  EXPECT_EQ(out.data[1], 26);
  EXPECT_EQ(out.data[2], 8);
}

// |sum - exact| for weights rounded to bfloat16 (2^-8 of each at most) or int8 (half a step of its row) and, for int8,
// inputs rounded to half a step of their row.
TEST(Linear, LowPrecisionStaysWithinItsRounding) {
  for (const auto& [m, n, k] :
       std::vector<std::array<int64_t, 3>>{{1, 1, 1}, {9, 33, 7}, {25, 96, 513}, {7, 48, 1536}}) {
    const auto x = Random(m * k, 21);
    const auto w = Random(n * k, 22);
    const TensorView weight = View(w, {n, k});
    for (const ComputeType type : {ComputeType::kBFloat16, ComputeType::kInt8}) {
      const Linear linear = Linear::Pack({&weight, 1}, {}, type);
      ASSERT_EQ(linear.compute_type(), type) << linear.fallback_note();
      ExpectSameBits(m * n, [&](const ExecContext& ctx, float* out) {
        Apply(ctx, linear, {x.data(), m, k, k}, {out, m, n, n});
        for (int64_t r = 0; r < m; ++r) {
          for (int64_t c = 0; c < n; ++c) {
            double sum = 0, magnitude = 0, inputs = 0, weights = 0, top = 0, input_top = 0;
            for (int64_t i = 0; i < k; ++i) {
              const double a = x[static_cast<size_t>(r * k + i)], b = w[static_cast<size_t>(c * k + i)];
              sum += a * b;
              magnitude += std::abs(a * b);
              inputs += std::abs(a);
              weights += std::abs(b);
              top = std::max(top, std::abs(b));
              input_top = std::max(input_top, std::abs(a));
            }
            const double rounding = type == ComputeType::kBFloat16
                                        ? magnitude / 256
                                        : inputs * top / 254 + weights * input_top / (2.0 * 1023) * 1.01;
            ASSERT_NEAR(out[r * n + c], sum, rounding + SumBound(k, magnitude)) << m << "x" << n << "x" << k;
          }
        }
      });
    }
  }
}

TEST(Linear, LowPrecisionRowsDoNotDependOnTheirBatch) {
  constexpr int64_t m = 61, n = 80, k = 384;
  const auto x = Random(m * k, 23);
  const auto w = Random(n * k, 24);
  const TensorView weight = View(w, {n, k});
  ThreadPool pool(2);
  Arena arena;
  const ExecContext ctx{&pool, &arena, nullptr};
  for (const ComputeType type : {ComputeType::kBFloat16, ComputeType::kInt8}) {
    const Linear linear = Linear::Pack({&weight, 1}, {}, type);
    std::vector<float> whole(m * n);
    std::vector<float> parts(m * n);
    Apply(ctx, linear, {x.data(), m, k, k}, {whole.data(), m, n, n}, Activation::kGelu);
    for (int64_t first = 0; first < m; first += 7) {
      const int64_t rows = std::min<int64_t>(7, m - first);
      Apply(ctx, linear, {x.data() + first * k, rows, k, k}, {parts.data() + first * n, rows, n, n}, Activation::kGelu);
    }
    EXPECT_EQ(whole, parts);
  }
}

TEST(Linear, Int8IsRefusedWithAReasonWhereItWouldHurt) {
  // One weight a row dwarfs the others: 127 levels leave them one or two.
  constexpr int64_t n = 16, k = 256;
  auto w = Random(n * k, 25);
  for (int64_t r = 0; r < n; ++r) w[static_cast<size_t>(r * k)] = 30;
  const TensorView outliers = View(w, {n, k});
  const Linear kept = Linear::Pack({&outliers, 1}, {}, ComputeType::kInt8);
  EXPECT_EQ(kept.compute_type(), ComputeType::kBFloat16);
  EXPECT_NE(kept.fallback_note().find("int8 would change the weights by"), std::string::npos);
  // Too many inputs for exact int32 sums of useful activations.
  const std::vector<float> wide(20000, 0.5f);
  const TensorView row = View(wide, {1, 20000});
  EXPECT_EQ(Linear::Pack({&row, 1}, {}, ComputeType::kInt8).compute_type(), ComputeType::kBFloat16);
}

// The largest weights and activations everywhere: sums reach the bound that keeps them inside int32.
TEST(Linear, Int8SumsDoNotOverflow) {
  for (const int64_t k : {384, 1536, 8960, 16000}) {
    const std::vector<float> x(static_cast<size_t>(k), -2);
    const std::vector<float> w(static_cast<size_t>(k), 3);
    const TensorView weight = View(w, {1, k});
    const Linear linear = Linear::Pack({&weight, 1}, {}, ComputeType::kInt8);
    ASSERT_EQ(linear.compute_type(), ComputeType::kInt8);
    ExpectSameBits(1, [&](const ExecContext& ctx, float* out) {
      Apply(ctx, linear, {x.data(), 1, k, k}, {out, 1, 1, 1});
      EXPECT_NEAR(out[0] / (-6.0 * static_cast<double>(k)), 1, 1e-6);
    });
  }
}

// A bfloat16 checkpoint computed in float32 keeps its 16 bits in memory and gives the bits of the widened weights.
TEST(Linear, StoredBFloat16GivesTheBitsOfItsWidening) {
  constexpr int64_t m = 17, n = 40, k = 300;
  const auto x = Random(m * k, 26);
  std::vector<uint16_t> halves;
  for (const float v : Random(n * k, 27)) {
    uint32_t bits = 0;
    std::memcpy(&bits, &v, 4);
    halves.push_back(static_cast<uint16_t>(bits >> 16));
  }
  const TensorView stored{halves.data(), DType::kBF16, {n, k}};
  const std::vector<float> widened = ToFloat(stored);
  const TensorView wide = View(widened, {n, k});
  const Linear a = Linear::Pack({&stored, 1}, {}, ComputeType::kFloat32);
  const Linear b = Linear::Pack({&wide, 1}, {}, ComputeType::kFloat32);
  const Linear rounded = Linear::Pack({&wide, 1}, {}, ComputeType::kBFloat16);
  ThreadPool pool(1);
  Arena arena;
  const ExecContext ctx{&pool, &arena, nullptr};
  std::vector<float> out[3];
  const Linear* linears[3] = {&a, &b, &rounded};
  for (int i = 0; i < 3; ++i) {
    out[i].resize(m * n);
    Apply(ctx, *linears[i], {x.data(), m, k, k}, {out[i].data(), m, n, n});
  }
  EXPECT_EQ(out[0], out[1]);
  EXPECT_EQ(out[0], out[2]);
}

TEST(Activation, MatchesDoublePrecision) {
  const auto check = [](const char* name, double tolerance, const std::function<double(double)>& f) {
    std::vector<float> x;
    for (double v = -12; v <= 12; v += 0.00137) x.push_back(static_cast<float>(v));
    std::vector<float> y = x;
    ThreadPool pool(1);
    Arena arena;
    const auto n = static_cast<int64_t>(x.size());
    Activate({&pool, &arena, nullptr}, *ActivationByName(name), {y.data(), 1, n, n});
    for (size_t i = 0; i < x.size(); ++i) {
      ASSERT_NEAR(y[i], f(x[i]), tolerance * std::max(1.0, std::abs(static_cast<double>(x[i])))) << name << " " << x[i];
    }
  };
  check("gelu", 1e-7, [](double x) { return x * 0.5 * std::erfc(-x / std::sqrt(2.0)); });
  check("gelu_new", 2e-7,
        [](double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); });
  check("silu", 2e-7, [](double x) { return x / (1 + std::exp(-x)); });
  check("quick_gelu", 2e-7, [](double x) { return x / (1 + std::exp(-1.702 * x)); });
  check("tanh", 1.5e-7, [](double x) { return std::tanh(x); });
  check("sigmoid", 1e-7, [](double x) { return 1 / (1 + std::exp(-x)); });
  check("mish", 3e-7, [](double x) { return x * std::tanh(std::log1p(std::exp(x))); });
  check("relu", 0, [](double x) { return std::max(x, 0.0); });
  EXPECT_FALSE(ActivationByName("swoosh").ok());
}

TEST(Norms, MatchDoublePrecisionAndSameBits) {
  constexpr int64_t rows = 5, n = 391;
  const auto x = Random(rows * n, 7, 3);
  const auto w = Random(n, 8);
  const auto b = Random(n, 9);
  ThreadPool pool(1);
  Arena arena;
  const ExecContext ctx{&pool, &arena, nullptr};
  const Matrix layer = arena.NewMatrix(rows, n);
  const Matrix rms = arena.NewMatrix(rows, n);
  LayerNorm(ctx, {x.data(), rows, n, n}, w.data(), b.data(), 1e-5, layer);
  RmsNorm(ctx, {x.data(), rows, n, n}, w.data(), 1e-6, 1.0f, rms);
  for (int64_t r = 0; r < rows; ++r) {
    double mean = 0, variance = 0, squares = 0;
    for (int64_t i = 0; i < n; ++i) mean += x[static_cast<size_t>(r * n + i)] / static_cast<double>(n);
    for (int64_t i = 0; i < n; ++i) {
      const double v = x[static_cast<size_t>(r * n + i)];
      variance += (v - mean) * (v - mean) / n;
      squares += v * v / n;
    }
    for (int64_t i = 0; i < n; ++i) {
      const auto c = static_cast<size_t>(i);
      const double v = x[static_cast<size_t>(r * n + i)];
      EXPECT_NEAR(layer.row(r)[i], (v - mean) / std::sqrt(variance + 1e-5) * w[c] + b[c], 3e-7);
      EXPECT_NEAR(rms.row(r)[i], v / std::sqrt(squares + 1e-6) * (1.0 + w[c]), 3e-7);
    }
  }
  ExpectSameBits(rows * n, [&](const ExecContext& c, float* out) {
    LayerNorm(c, {x.data(), rows, n, n}, w.data(), b.data(), 1e-5, {out, rows, n, n});
    L2Normalize(c, {out, rows, n, n});
  });
}

// softmax(scale q k + bias) v in double, by the definition in ops.h.
std::vector<double> NaiveAttention(const AttentionSpec& s, const std::vector<int32_t>& offsets,
                                   const std::vector<float>& q, const std::vector<float>& k,
                                   const std::vector<float>& v) {
  const int64_t d = s.head_dim, qw = s.heads * d, kw = s.kv_heads * d;
  std::vector<double> out(q.size(), 0);
  for (size_t seq = 0; seq + 1 < offsets.size(); ++seq) {
    const int64_t length = offsets[seq + 1] - offsets[seq];
    for (int64_t h = 0; h < s.heads; ++h) {
      const int64_t kv = h / (s.heads / s.kv_heads);
      for (int64_t i = 0; i < length; ++i) {
        std::vector<double> p(static_cast<size_t>(length), 0);
        double top = -1e300, sum = 0;
        const auto visible = [&](int64_t j) {
          return (!s.causal || j <= i) && (s.window_left < 0 || i - j <= s.window_left) &&
                 (s.window_right < 0 || j - i <= s.window_right);
        };
        for (int64_t j = 0; j < length; ++j) {
          if (!visible(j)) continue;
          double dot = 0;
          for (int64_t c = 0; c < d; ++c) {
            dot += static_cast<double>(q[static_cast<size_t>((offsets[seq] + i) * qw + h * d + c)]) *
                   k[static_cast<size_t>((offsets[seq] + j) * kw + kv * d + c)];
          }
          dot *= s.scale;
          if (s.softcap > 0) dot = s.softcap * std::tanh(dot / s.softcap);
          if (s.alibi_slopes != nullptr) dot -= s.alibi_slopes[h] * static_cast<double>(std::abs(j - i));
          if (s.relative_bias != nullptr) {
            const int64_t delta = std::clamp(j - i, -s.relative_span, s.relative_span);
            dot += s.relative_bias[h * (2 * s.relative_span + 1) + delta + s.relative_span];
          }
          p[static_cast<size_t>(j)] = dot;
          top = std::max(top, dot);
        }
        for (int64_t j = 0; j < length; ++j) {
          p[static_cast<size_t>(j)] = visible(j) ? std::exp(p[static_cast<size_t>(j)] - top) : 0;
          sum += p[static_cast<size_t>(j)];
        }
        for (int64_t j = 0; sum > 0 && j < length; ++j) {
          for (int64_t c = 0; c < d; ++c) {
            out[static_cast<size_t>((offsets[seq] + i) * qw + h * d + c)] +=
                p[static_cast<size_t>(j)] / sum * v[static_cast<size_t>((offsets[seq] + j) * kw + kv * d + c)];
          }
        }
      }
    }
  }
  return out;
}

TEST(Attention, MasksWindowsBiasesAndGqaMatchTheDefinition) {
  const std::vector<int32_t> offsets = {0, 1, 14, 14, 84, 384};
  const auto slopes = Random(4, 10, 0.02f);
  const auto bias = Random(4 * 21, 11);
  std::vector<AttentionSpec> specs(7);
  for (AttentionSpec& s : specs) {
    s.heads = 4;
    s.kv_heads = 4;
    s.head_dim = 24;
    s.scale = 0.4f;
  }
  specs[1].causal = true;
  specs[2].window_left = specs[2].window_right = 5;
  specs[3].causal = true;
  specs[3].window_left = 40;
  specs[3].kv_heads = 2;
  specs[4].alibi_slopes = slopes.data();
  specs[5].relative_bias = bias.data();
  specs[5].relative_span = 10;
  specs[6].softcap = 2;
  specs[6].kv_heads = 1;
  for (size_t i = 0; i < specs.size(); ++i) {
    const AttentionSpec& s = specs[i];
    const int64_t rows = offsets.back(), qw = s.heads * s.head_dim, kw = s.kv_heads * s.head_dim;
    const auto q = Random(rows * qw, 12);
    const auto k = Random(rows * kw, 13);
    const auto v = Random(rows * kw, 14);
    const std::vector<double> expected = NaiveAttention(s, offsets, q, k, v);
    ExpectSameBits(rows * qw, [&](const ExecContext& ctx, float* out) {
      Attention(ctx, s, offsets, {q.data(), rows, qw, qw}, {k.data(), rows, kw, kw}, {v.data(), rows, kw, kw},
                {out, rows, qw, qw});
      for (size_t j = 0; j < expected.size(); ++j)
        ASSERT_NEAR(out[j], expected[j], 2e-6) << "spec " << i << " at " << j;
    });
  }
}

TEST(Rope, RotatesHalvesOrPairs) {
  const std::vector<float> cos = {1, 1, 0, 0.5f};
  const std::vector<float> sin = {0, 0, 1, 0.25f};
  std::vector<float> x = {1, 2, 3, 4, 9};
  ThreadPool pool(1);
  Arena arena;
  const std::vector<int32_t> positions = {1};
  Rope({&pool, &arena, nullptr}, {cos.data(), sin.data(), 4, 2, false}, positions, 5, {x.data(), 1, 5, 5});
  EXPECT_EQ(x, (std::vector<float>{-3, 0, 1, 2.5f, 9}));
  x = {1, 2, 3, 4, 9};
  Rope({&pool, &arena, nullptr}, {cos.data(), sin.data(), 4, 2, true}, positions, 5, {x.data(), 1, 5, 5});
  EXPECT_EQ(x, (std::vector<float>{-2, 1, 0.5f, 2.75f, 9}));
}

TEST(Tensor, WidensHalfPrecisionExactly) {
  const std::vector<uint16_t> halves = {0x0001, 0x03FF, 0x0400, 0x7BFF, 0x8000, 0xFC00};
  const std::vector<float> f = ToFloat({halves.data(), DType::kF16, {6}});
  EXPECT_EQ(f[0], std::ldexp(1.0f, -24));
  EXPECT_EQ(f[1], 1023 * std::ldexp(1.0f, -24));
  EXPECT_EQ(f[2], std::ldexp(1.0f, -14));
  EXPECT_EQ(f[3], 65504.0f);
  EXPECT_TRUE(f[4] == 0 && std::signbit(f[4]));
  EXPECT_EQ(f[5], -INFINITY);
}

TEST(Arena, ReusesMemoryAndAligns) {
  Arena arena;
  float* first = arena.Allocate<float>(100);
  {
    const Arena::Scope scope(&arena);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(arena.Allocate<float>(3)) % 64, 0u);
    arena.Allocate<float>(1 << 20);
  }
  const size_t capacity = arena.capacity();
  arena.Reset();
  EXPECT_EQ(arena.capacity(), capacity);
  EXPECT_NE(arena.Allocate<float>(10), nullptr);
  (void)first;
}

TEST(Dispatch, TheForcedTableIsTheOneThatRuns) {
  const std::string best = kernels::Active().name;
  ASSERT_TRUE(kernels::ForceTable("scalar"));
  EXPECT_STREQ(kernels::Active().name, "scalar");
  EXPECT_FALSE(kernels::ForceTable("mmx"));
  ASSERT_TRUE(kernels::ForceTable(best.c_str()));
}

}  // namespace
}  // namespace truevec
