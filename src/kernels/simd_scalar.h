// 16 virtual lanes in plain C; __builtin_fmaf is a correctly rounded fused multiply-add (libm's when the CPU has none).
// Included inside the namespace of one isa_*.cc.
#define TV_INLINE static inline
struct F16 {
  float v[16];
};
struct D16 {
  double v[16];
};

#define TV_LANES for (int i = 0; i < 16; ++i)
static inline F16 Set1(float x) {
  F16 r;
  TV_LANES r.v[i] = x;
  return r;
}
static inline F16 Load(const float* p) {
  F16 r;
  TV_LANES r.v[i] = p[i];
  return r;
}
// bfloat16 bits, widened exactly.
static inline F16 Load(const uint16_t* p) {
  F16 r;
  TV_LANES {
    const uint32_t bits = (uint32_t)p[i] << 16;
    __builtin_memcpy(&r.v[i], &bits, 4);
  }
  return r;
}
static inline F16 LoadN(const float* p, int64_t n) {
  F16 r;
  TV_LANES r.v[i] = i < n ? p[i] : 0.0f;
  return r;
}
static inline void Store(float* p, F16 a) { TV_LANES p[i] = a.v[i]; }
static inline void StoreN(float* p, F16 a, int64_t n) { TV_LANES if (i < n) p[i] = a.v[i]; }
static inline F16 Add(F16 a, F16 b) {
  TV_LANES a.v[i] += b.v[i];
  return a;
}
static inline F16 Sub(F16 a, F16 b) {
  TV_LANES a.v[i] -= b.v[i];
  return a;
}
static inline F16 Mul(F16 a, F16 b) {
  TV_LANES a.v[i] *= b.v[i];
  return a;
}
static inline F16 Div(F16 a, F16 b) {
  TV_LANES a.v[i] /= b.v[i];
  return a;
}
static inline F16 Fma(F16 a, F16 b, F16 c) {
  TV_LANES c.v[i] = __builtin_fmaf(a.v[i], b.v[i], c.v[i]);
  return c;
}
static inline F16 Max(F16 a, F16 b) {  // as x86 maxps: b when either is NaN
  TV_LANES a.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i];
  return a;
}
static inline F16 Min(F16 a, F16 b) {
  TV_LANES a.v[i] = a.v[i] < b.v[i] ? a.v[i] : b.v[i];
  return a;
}
static inline F16 Abs(F16 a) {
  TV_LANES a.v[i] = __builtin_fabsf(a.v[i]);
  return a;
}
// a < b ? x : y
static inline F16 SelectLess(F16 a, F16 b, F16 x, F16 y) {
  TV_LANES x.v[i] = a.v[i] < b.v[i] ? x.v[i] : y.v[i];
  return x;
}
static inline F16 RoundEven(F16 a) {
  TV_LANES a.v[i] = __builtin_rintf(a.v[i]);
  return a;
}
// 2^n for integral n in [-126, 127]
// x * 2^n with n the integer in the low bits of `shifted` (see kRoundingShift); x and the result normal.
static inline F16 TimesPow2(F16 x, F16 shifted) {
  TV_LANES {
    uint32_t bits;
    uint32_t n;
    __builtin_memcpy(&bits, &x.v[i], 4);
    __builtin_memcpy(&n, &shifted.v[i], 4);
    bits += n << 23;
    __builtin_memcpy(&x.v[i], &bits, 4);
  }
  return x;
}
static inline float ReduceMax(F16 a) {
  float m = a.v[0];
  TV_LANES m = a.v[i] > m ? a.v[i] : m;
  return m;
}
static inline D16 ZeroD() {
  D16 r;
  TV_LANES r.v[i] = 0;
  return r;
}
static inline D16 Set1D(double x) {
  D16 r;
  TV_LANES r.v[i] = x;
  return r;
}
static inline D16 Widen(F16 a) {
  D16 r;
  TV_LANES r.v[i] = a.v[i];
  return r;
}
static inline D16 WidenLoad(const float* p) { return Widen(Load(p)); }
static inline F16 Narrow(D16 a) {
  F16 r;
  TV_LANES r.v[i] = (float)a.v[i];
  return r;
}
static inline D16 AddD(D16 a, D16 b) {
  TV_LANES a.v[i] += b.v[i];
  return a;
}
static inline D16 SubD(D16 a, D16 b) {
  TV_LANES a.v[i] -= b.v[i];
  return a;
}
static inline D16 MulD(D16 a, D16 b) {
  TV_LANES a.v[i] *= b.v[i];
  return a;
}
static inline D16 FmaD(D16 a, D16 b, D16 c) {
  TV_LANES c.v[i] = __builtin_fma(a.v[i], b.v[i], c.v[i]);
  return c;
}
static inline D16 LoadD(const double* p) {
  D16 r;
  TV_LANES r.v[i] = p[i];
  return r;
}
static inline void StoreD(double* p, D16 a) { TV_LANES p[i] = a.v[i]; }
// Lanes added by halves: 8, 4, 2, 1.
static inline double ReduceD(D16 x) {
  for (int width = 8; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) x.v[i] += x.v[i + width];
  }
  return x.v[0];
}
// 16 lanes of int32.
struct I16 {
  int32_t v[16];
};
// 16 columns of two neighbouring k.
struct P16 {
  int16_t v[32];
};
static inline I16 ZeroI() {
  I16 r;
  TV_LANES r.v[i] = 0;
  return r;
}
static inline I16 LoadI(const int32_t* p) {
  I16 r;
  TV_LANES r.v[i] = p[i];
  return r;
}
static inline void StoreI(int32_t* p, I16 a) { TV_LANES p[i] = a.v[i]; }
static inline I16 AddI(I16 a, I16 b) {
  TV_LANES a.v[i] += b.v[i];
  return a;
}
static inline F16 ToFloats(I16 a) {
  F16 r;
  TV_LANES r.v[i] = (float)a.v[i];
  return r;
}
static inline P16 LoadPairs(const int8_t* p) {
  P16 r;
  for (int i = 0; i < 32; ++i) r.v[i] = p[i];  // NOLINT(bugprone-signed-char-misuse): a number, not a character
  return r;
}
static inline P16 LoadPairs(const int16_t* p) {
  P16 r;
  __builtin_memcpy(r.v, p, sizeof r.v);
  return r;
}
static inline void StorePairs(int16_t* p, P16 x) { __builtin_memcpy(p, x.v, sizeof x.v); }
static inline P16 SetPair(const int32_t* p) {
  int16_t pair[2];
  __builtin_memcpy(pair, p, 4);
  P16 r;
  for (int i = 0; i < 32; ++i) r.v[i] = pair[i % 2];
  return r;
}
// acc + x0 y0 + x1 y1
static inline I16 DotPairs(I16 acc, P16 x, P16 y) {
  TV_LANES acc.v[i] += (int32_t)x.v[2 * i] * y.v[2 * i] + (int32_t)x.v[2 * i + 1] * y.v[2 * i + 1];
  return acc;
}
// Integral values within int16, 16 of them.
static inline void StoreInt16(int16_t* p, F16 a) { TV_LANES p[i] = (int16_t)a.v[i]; }
#undef TV_LANES
