// Integer matrix product: int16 activations (one scale a row) times int8 weights (one scale a column), summed exactly
// in int32, so that the result does not depend on order, batch or instruction set. Included inside the namespace of one
// isa_*.cc, after gemm-inl.h.
// int16 activations: eight bits lose the outlier channels that attention reads (all-MiniLM-L6-v2: mean cosine 0.9956
// with int8 activations, 0.9993 with these), and a pair of int16 products is what vpmaddwd, vpdpwssd and smlal take.

// Row of x as integers q = round(x * limit / max|x|) and the scale max|x| / limit that undoes it; q is padded with a
// zero to an even count. NaN becomes the limit.
static float QuantizeRow(const float* x, int64_t n, int64_t limit, int16_t* q) {
  F16 top = Set1(0.0f);
  int64_t j = 0;
  for (; j + 16 <= n; j += 16) top = Max(Abs(Load(x + j)), top);
  if (j < n) top = Max(Abs(LoadN(x + j, n - j)), top);
  const float max = ReduceMax(top);
  const F16 bound = Set1((float)limit);
  const F16 low = Set1(-(float)limit);
  const F16 inverse = Set1(max > 0 ? (float)limit / max : 0.0f);
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    StoreInt16(q + i, Max(Min(RoundEven(Mul(Load(x + i), inverse)), bound), low));
  }
  if (i < n) {
    int16_t rest[16];
    StoreInt16(rest, Max(Min(RoundEven(Mul(LoadN(x + i, n - i), inverse)), bound), low));
    for (j = i; j < n; ++j) q[j] = rest[j - i];
  }
  if (n % 2 != 0) q[n] = 0;
  return max / (float)limit;
}

// A: two neighbouring int16 of a row. Sums are exact, so that blocks and their order mean nothing.
struct PairDot {
  using A = int32_t;
  using B = int16_t;
  using Wide = PairDot;
  using Row = P16;
  using Acc = I16;
  using Sum = int32_t;
  static constexpr int64_t kRowElements = 2 * kPanel;
  TV_INLINE Row LoadRow(const B* p) { return LoadPairs(p); }
  TV_INLINE Row Broadcast(const A* p) { return SetPair(p); }
  TV_INLINE Acc Zero() { return ZeroI(); }
  TV_INLINE Acc MulAdd(Acc acc, Row x, Row y) { return DotPairs(acc, x, y); }
  TV_INLINE Acc AddTo(const Sum* p, Acc x) { return AddI(LoadI(p), x); }
  TV_INLINE void Put(Sum* p, Acc x) { StoreI(p, x); }
};
struct Int8Dot : PairDot {
  using B = int8_t;
  TV_INLINE Row LoadRow(const B* p) { return LoadPairs(p); }
};

static inline void UnpackPanel(Int8Dot, const int8_t* from, int64_t pairs, int16_t* to) {
  for (int64_t i = 0; i < pairs; ++i) StorePairs(to + i * 2 * kPanel, LoadPairs(from + i * 2 * kPanel));
}

static inline void FinishStrip(PairDot, const GemmArgs& g, const Strip& s, int64_t row0, int64_t rows,
                               const int32_t* strip, int64_t ldt) {
  const F16 scale = LoadN(g.column_scales + s.column, s.count);
  Finish(g, s, row0, rows, [&](int64_t r) TV_ALWAYS_INLINE {
    return Mul(ToFloats(LoadI(strip + r * ldt)), Mul(scale, Set1(g.row_scales[row0 + r])));
  });
}

static void GemmInt8(const GemmArgs& g, int64_t panel_begin, int64_t panel_end) {
  const int64_t pairs = (g.k + 1) / 2;
  const int64_t block = pairs < kGemmDepth ? (pairs > 0 ? pairs : 1) : kGemmDepth;
  GemmWith(Product<Int8Dot>{g, (const int32_t*)g.quantized, g.ldq / 2, pairs, block}, panel_begin, panel_end);
}
