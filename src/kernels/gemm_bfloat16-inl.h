// Matrix product of bfloat16 activations and weights, pairs of terms multiplied exactly and added in float32 by
// vdpbf16ps (Intel SDM, "VDPBF16PS": denormals count as zero, round to nearest even). Included inside the namespace of
// one isa_*.cc, after gemm-inl.h, where the registers have that instruction (TV_BF16).

static void RoundRow(const float* x, int64_t n, int16_t* out) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) StoreRounded(out + i, Load(x + i));
  if (i == n) return;
  int16_t rest[16];
  StoreRounded(rest, LoadN(x + i, n - i));
  for (int64_t j = i; j < n; ++j) out[j] = rest[j - i];
}

#ifndef TV_AMX
// A: two neighbouring bfloat16 of a row.
struct BFloat16Pairs : FloatDot {
  using A = int32_t;
  using B = uint16_t;
  using Wide = BFloat16Pairs;
  using Row = B16;
  static constexpr int64_t kRowElements = 2 * kPanel;
  TV_INLINE Row LoadRow(const B* p) { return LoadB(p); }
  TV_INLINE Row Broadcast(const A* p) { return SetPairB(p); }
  TV_INLINE Acc MulAdd(Acc acc, Row x, Row y) { return DotB(acc, x, y); }
};
// Weights as packed: two rows of a panel below each other.
struct BFloat16Rows : BFloat16Pairs {
  TV_INLINE Row LoadRow(const B* p) { return PairRows(LoadB(p)); }
};

static inline void UnpackPanel(BFloat16Rows, const uint16_t* from, int64_t pairs, uint16_t* to) {
  for (int64_t i = 0; i < pairs; ++i) StoreB(to + i * 2 * kPanel, PairRows(LoadB(from + i * 2 * kPanel)));
}

static void GemmBFloat16(const GemmArgs& g, int64_t panel_begin, int64_t panel_end) {
  const int64_t block = SumBlock(g.k);  // even, as k is
  GemmWith(Product<BFloat16Rows>{g, (const int32_t*)g.quantized, g.ldq / 2, g.k / 2, block / 2}, panel_begin,
           panel_end);
}
#endif
