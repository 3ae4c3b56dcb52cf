// The machine's multiply-add peak, measured: independent FMA chains on registers, nothing from memory. Included inside
// the namespace of one isa_*.cc.

// Floating-point operations done; the time is the caller's to take.
static double PeakFma(int64_t iterations, float* sink) {
  F16 acc[kPeakChains];
  // Every lane starts from a value of its own: equal chains would be computed once.
  for (int64_t c = 0; c < kPeakChains; ++c) acc[c] = Add(Set1((float)c), Load(sink));
  const F16 x = Set1(sink[0]);
  const F16 y = Set1(sink[1]);
  for (int64_t i = 0; i < iterations; ++i) {
#pragma GCC unroll 16
    for (int64_t c = 0; c < kPeakChains; ++c) acc[c] = Fma(acc[c], x, y);
  }
  F16 sum = Set1(0.0f);
  for (int64_t c = 0; c < kPeakChains; ++c) sum = Add(sum, acc[c]);
  Store(sink, sum);
  return (double)iterations * (double)(kPeakChains * 16 * 2);
}
