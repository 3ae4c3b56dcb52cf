// 16 virtual lanes in one (float) or two (double) 512-bit registers. Included inside the namespace of isa_avx512.cc.
struct F16 {
  __m512 v;
};
struct D16 {
  __m512d a, b;
};

#define TV_INLINE static inline __attribute__((always_inline))
TV_INLINE __mmask16 TailMask(int64_t n) { return n >= 16 ? (__mmask16)0xFFFF : (__mmask16)((1u << n) - 1u); }
TV_INLINE F16 Set1(float x) { return {_mm512_set1_ps(x)}; }
TV_INLINE F16 Load(const float* p) { return {_mm512_loadu_ps(p)}; }
TV_INLINE F16 LoadN(const float* p, int64_t n) { return {_mm512_maskz_loadu_ps(TailMask(n), p)}; }
// bfloat16 bits, widened exactly.
TV_INLINE F16 Load(const uint16_t* p) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)p)), 16))};
}
TV_INLINE void Store(float* p, F16 x) { _mm512_storeu_ps(p, x.v); }
TV_INLINE void StoreN(float* p, F16 x, int64_t n) { _mm512_mask_storeu_ps(p, TailMask(n), x.v); }
TV_INLINE F16 Add(F16 x, F16 y) { return {_mm512_add_ps(x.v, y.v)}; }
TV_INLINE F16 Sub(F16 x, F16 y) { return {_mm512_sub_ps(x.v, y.v)}; }
TV_INLINE F16 Mul(F16 x, F16 y) { return {_mm512_mul_ps(x.v, y.v)}; }
TV_INLINE F16 Div(F16 x, F16 y) { return {_mm512_div_ps(x.v, y.v)}; }
TV_INLINE F16 Fma(F16 x, F16 y, F16 z) { return {_mm512_fmadd_ps(x.v, y.v, z.v)}; }
TV_INLINE F16 Max(F16 x, F16 y) { return {_mm512_max_ps(x.v, y.v)}; }
TV_INLINE F16 Min(F16 x, F16 y) { return {_mm512_min_ps(x.v, y.v)}; }
TV_INLINE F16 Abs(F16 x) { return {_mm512_abs_ps(x.v)}; }
TV_INLINE F16 SelectLess(F16 p, F16 q, F16 x, F16 y) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(p.v, q.v, _CMP_LT_OQ), y.v, x.v)};
}
TV_INLINE F16 RoundEven(F16 x) { return {_mm512_roundscale_ps(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
// x * 2^n with n the integer in the low bits of `shifted` (see kRoundingShift); x and the result normal.
TV_INLINE F16 TimesPow2(F16 x, F16 shifted) {
  return {_mm512_castsi512_ps(
      _mm512_add_epi32(_mm512_castps_si512(x.v), _mm512_slli_epi32(_mm512_castps_si512(shifted.v), 23)))};
}
TV_INLINE float ReduceMax(F16 x) { return _mm512_reduce_max_ps(x.v); }
TV_INLINE D16 Set1D(double x) { return {_mm512_set1_pd(x), _mm512_set1_pd(x)}; }
TV_INLINE D16 ZeroD() { return Set1D(0); }
TV_INLINE D16 Widen(F16 x) {
  return {_mm512_cvtps_pd(_mm512_castps512_ps256(x.v)), _mm512_cvtps_pd(_mm512_extractf32x8_ps(x.v, 1))};
}
TV_INLINE D16 WidenLoad(const float* p) {
  return {_mm512_cvtps_pd(_mm256_loadu_ps(p)), _mm512_cvtps_pd(_mm256_loadu_ps(p + 8))};
}
TV_INLINE F16 Narrow(D16 x) {
  return {_mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(x.a)), _mm512_cvtpd_ps(x.b), 1)};
}
TV_INLINE D16 AddD(D16 x, D16 y) { return {_mm512_add_pd(x.a, y.a), _mm512_add_pd(x.b, y.b)}; }
TV_INLINE D16 SubD(D16 x, D16 y) { return {_mm512_sub_pd(x.a, y.a), _mm512_sub_pd(x.b, y.b)}; }
TV_INLINE D16 MulD(D16 x, D16 y) { return {_mm512_mul_pd(x.a, y.a), _mm512_mul_pd(x.b, y.b)}; }
TV_INLINE D16 FmaD(D16 x, D16 y, D16 z) { return {_mm512_fmadd_pd(x.a, y.a, z.a), _mm512_fmadd_pd(x.b, y.b, z.b)}; }
TV_INLINE D16 LoadD(const double* p) { return {_mm512_loadu_pd(p), _mm512_loadu_pd(p + 8)}; }
TV_INLINE void StoreD(double* p, D16 x) {
  _mm512_storeu_pd(p, x.a);
  _mm512_storeu_pd(p + 8, x.b);
}
// Lanes added by halves: 8, 4, 2, 1.
TV_INLINE double ReduceD(D16 x) {
  double lanes[8];
  _mm512_storeu_pd(lanes, _mm512_add_pd(x.a, x.b));
  const __m256d v = _mm256_add_pd(_mm256_loadu_pd(lanes), _mm256_loadu_pd(lanes + 4));
  const __m128d h = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
  return _mm_cvtsd_f64(_mm_add_sd(h, _mm_unpackhi_pd(h, h)));
}

// 16 lanes of int32.
struct I16 {
  __m512i v;
};
using P16 = I16;  // 16 columns of two neighbouring k, as int16
TV_INLINE I16 ZeroI() { return {_mm512_setzero_si512()}; }
TV_INLINE I16 LoadI(const int32_t* p) { return {_mm512_loadu_si512(p)}; }
TV_INLINE void StoreI(int32_t* p, I16 x) { _mm512_storeu_si512(p, x.v); }
TV_INLINE I16 AddI(I16 x, I16 y) { return {_mm512_add_epi32(x.v, y.v)}; }
TV_INLINE F16 ToFloats(I16 x) { return {_mm512_cvtepi32_ps(x.v)}; }
// 16 columns of two neighbouring k, int8 widened to int16.
TV_INLINE P16 LoadPairs(const int8_t* p) { return {_mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i*)p))}; }
TV_INLINE P16 LoadPairs(const int16_t* p) { return {_mm512_loadu_si512(p)}; }
TV_INLINE void StorePairs(int16_t* p, P16 x) { _mm512_storeu_si512(p, x.v); }
TV_INLINE P16 SetPair(const int32_t* p) { return {_mm512_set1_epi32(*p)}; }
// acc + x0 y0 + x1 y1
TV_INLINE I16 DotPairs(I16 acc, P16 x, P16 y) {
#ifdef TV_VNNI
  return {_mm512_dpwssd_epi32(acc.v, x.v, y.v)};
#else
  acc = {_mm512_add_epi32(acc.v, _mm512_madd_epi16(x.v, y.v))};
#ifndef TRUEVEC_SIMDE
  asm("" : "+v"(acc.v));  // compilers would add the products of unrolled steps first, which spills them
#endif
  return acc;
#endif
}
// Integral values within int16, 16 of them.
TV_INLINE void StoreInt16(int16_t* p, F16 x) {
  _mm256_storeu_si256((__m256i*)p, _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(x.v)));
}

#ifdef TV_BF16
// 16 columns of two neighbouring k, as bfloat16
struct B16 {
  __m512i v;
};
TV_INLINE B16 LoadB(const uint16_t* p) { return {_mm512_loadu_si512(p)}; }
TV_INLINE void StoreB(uint16_t* p, B16 x) { _mm512_storeu_si512(p, x.v); }
TV_INLINE B16 SetPairB(const int32_t* p) { return {_mm512_set1_epi32(*p)}; }
// Two rows of 16 columns as 16 pairs.
TV_INLINE B16 PairRows(B16 rows) {
  static const int16_t kOrder[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                     8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  return {_mm512_permutexvar_epi16(_mm512_loadu_si512(kOrder), rows.v)};
}
// acc + x1 y1 + x0 y0
TV_INLINE F16 DotB(F16 acc, B16 x, B16 y) {
  __m512bh a;
  __m512bh b;
  __builtin_memcpy(&a, &x.v, sizeof a);
  __builtin_memcpy(&b, &y.v, sizeof b);
  return {_mm512_dpbf16_ps(acc.v, a, b)};
}
// Rounded to bfloat16, to nearest even.
TV_INLINE void StoreRounded(int16_t* p, F16 x) {
  const __m256bh rounded = _mm512_cvtneps_pbh(x.v);
  __builtin_memcpy(p, &rounded, sizeof rounded);
}
#endif
