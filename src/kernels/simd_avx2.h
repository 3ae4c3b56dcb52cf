// 16 virtual lanes in two (float) or four (double) 256-bit registers. Included inside the namespace of isa_avx2.cc.
struct F16 {
  __m256 a, b;
};
struct D16 {
  __m256d a, b, c, d;
};

#define TV_INLINE static inline __attribute__((always_inline))
TV_INLINE __m256i TailMask(int64_t n) {  // lanes i < n of 8
  const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const int32_t count = n <= 0 ? 0 : n >= 8 ? 8 : (int32_t)n;
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), index);
}
TV_INLINE F16 Set1(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
TV_INLINE F16 Load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
TV_INLINE F16 LoadN(const float* p, int64_t n) {
  return {_mm256_maskload_ps(p, TailMask(n)), _mm256_maskload_ps(p + 8, TailMask(n - 8))};
}
// bfloat16 bits, widened exactly.
TV_INLINE __m256 WidenBf16(__m128i bits) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
TV_INLINE F16 Load(const uint16_t* p) {
  return {WidenBf16(_mm_loadu_si128((const __m128i*)p)), WidenBf16(_mm_loadu_si128((const __m128i*)(p + 8)))};
}
TV_INLINE void Store(float* p, F16 x) {
  _mm256_storeu_ps(p, x.a);
  _mm256_storeu_ps(p + 8, x.b);
}
TV_INLINE void StoreN(float* p, F16 x, int64_t n) {
  _mm256_maskstore_ps(p, TailMask(n), x.a);
  _mm256_maskstore_ps(p + 8, TailMask(n - 8), x.b);
}
TV_INLINE F16 Add(F16 x, F16 y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
TV_INLINE F16 Sub(F16 x, F16 y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
TV_INLINE F16 Mul(F16 x, F16 y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
TV_INLINE F16 Div(F16 x, F16 y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
TV_INLINE F16 Fma(F16 x, F16 y, F16 z) { return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)}; }
TV_INLINE F16 Max(F16 x, F16 y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
TV_INLINE F16 Min(F16 x, F16 y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
TV_INLINE F16 Abs(F16 x) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_andnot_ps(sign, x.a), _mm256_andnot_ps(sign, x.b)};
}
TV_INLINE F16 SelectLess(F16 p, F16 q, F16 x, F16 y) {
  return {_mm256_blendv_ps(y.a, x.a, _mm256_cmp_ps(p.a, q.a, _CMP_LT_OQ)),
          _mm256_blendv_ps(y.b, x.b, _mm256_cmp_ps(p.b, q.b, _CMP_LT_OQ))};
}
TV_INLINE F16 RoundEven(F16 x) {
  return {_mm256_round_ps(x.a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
          _mm256_round_ps(x.b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
// x * 2^n with n the integer in the low bits of `shifted` (see kRoundingShift); x and the result normal.
TV_INLINE __m256 TimesPow2Half(__m256 x, __m256 shifted) {
  return _mm256_castsi256_ps(
      _mm256_add_epi32(_mm256_castps_si256(x), _mm256_slli_epi32(_mm256_castps_si256(shifted), 23)));
}
TV_INLINE F16 TimesPow2(F16 x, F16 shifted) { return {TimesPow2Half(x.a, shifted.a), TimesPow2Half(x.b, shifted.b)}; }
TV_INLINE float ReduceMax(F16 x) {
  const __m256 m = _mm256_max_ps(x.a, x.b);
  __m128 h = _mm_max_ps(_mm256_castps256_ps128(m), _mm256_extractf128_ps(m, 1));
  h = _mm_max_ps(h, _mm_movehl_ps(h, h));
  h = _mm_max_ss(h, _mm_shuffle_ps(h, h, 1));
  return _mm_cvtss_f32(h);
}
TV_INLINE D16 Set1D(double x) {
  const __m256d v = _mm256_set1_pd(x);
  return {v, v, v, v};
}
TV_INLINE D16 ZeroD() { return Set1D(0); }
TV_INLINE D16 Widen(F16 x) {
  return {_mm256_cvtps_pd(_mm256_castps256_ps128(x.a)), _mm256_cvtps_pd(_mm256_extractf128_ps(x.a, 1)),
          _mm256_cvtps_pd(_mm256_castps256_ps128(x.b)), _mm256_cvtps_pd(_mm256_extractf128_ps(x.b, 1))};
}
TV_INLINE D16 WidenLoad(const float* p) {
  return {_mm256_cvtps_pd(_mm_loadu_ps(p)), _mm256_cvtps_pd(_mm_loadu_ps(p + 4)), _mm256_cvtps_pd(_mm_loadu_ps(p + 8)),
          _mm256_cvtps_pd(_mm_loadu_ps(p + 12))};
}
TV_INLINE F16 Narrow(D16 x) {
  return {_mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(x.a)), _mm256_cvtpd_ps(x.b), 1),
          _mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(x.c)), _mm256_cvtpd_ps(x.d), 1)};
}
#define TV_D_OP(Name, op) \
  TV_INLINE D16 Name(D16 x, D16 y) { return {op(x.a, y.a), op(x.b, y.b), op(x.c, y.c), op(x.d, y.d)}; }
TV_D_OP(AddD, _mm256_add_pd)
TV_D_OP(SubD, _mm256_sub_pd)
TV_D_OP(MulD, _mm256_mul_pd)
#undef TV_D_OP
TV_INLINE D16 FmaD(D16 x, D16 y, D16 z) {
  return {_mm256_fmadd_pd(x.a, y.a, z.a), _mm256_fmadd_pd(x.b, y.b, z.b), _mm256_fmadd_pd(x.c, y.c, z.c),
          _mm256_fmadd_pd(x.d, y.d, z.d)};
}
TV_INLINE D16 LoadD(const double* p) {
  return {_mm256_loadu_pd(p), _mm256_loadu_pd(p + 4), _mm256_loadu_pd(p + 8), _mm256_loadu_pd(p + 12)};
}
TV_INLINE void StoreD(double* p, D16 x) {
  _mm256_storeu_pd(p, x.a);
  _mm256_storeu_pd(p + 4, x.b);
  _mm256_storeu_pd(p + 8, x.c);
  _mm256_storeu_pd(p + 12, x.d);
}
// Lanes added by halves: 8, 4, 2, 1.
TV_INLINE double ReduceD(D16 x) {
  const __m256d v = _mm256_add_pd(_mm256_add_pd(x.a, x.c), _mm256_add_pd(x.b, x.d));
  const __m128d h = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
  return _mm_cvtsd_f64(_mm_add_sd(h, _mm_unpackhi_pd(h, h)));
}

// 16 lanes of int32.
struct I16 {
  __m256i a, b;
};
using P16 = I16;  // 16 columns of two neighbouring k, as int16
TV_INLINE I16 ZeroI() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
TV_INLINE I16 LoadI(const int32_t* p) {
  return {_mm256_loadu_si256((const __m256i*)p), _mm256_loadu_si256((const __m256i*)(p + 8))};
}
TV_INLINE void StoreI(int32_t* p, I16 x) {
  _mm256_storeu_si256((__m256i*)p, x.a);
  _mm256_storeu_si256((__m256i*)(p + 8), x.b);
}
TV_INLINE I16 AddI(I16 x, I16 y) { return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)}; }
TV_INLINE F16 ToFloats(I16 x) { return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)}; }
// 16 columns of two neighbouring k, int8 widened to int16.
TV_INLINE P16 LoadPairs(const int8_t* p) {
  return {_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)p)),
          _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)(p + 16)))};
}
TV_INLINE P16 LoadPairs(const int16_t* p) {
  return {_mm256_loadu_si256((const __m256i*)p), _mm256_loadu_si256((const __m256i*)(p + 16))};
}
TV_INLINE void StorePairs(int16_t* p, P16 x) {
  _mm256_storeu_si256((__m256i*)p, x.a);
  _mm256_storeu_si256((__m256i*)(p + 16), x.b);
}
TV_INLINE P16 SetPair(const int32_t* p) {
  const __m256i v = _mm256_set1_epi32(*p);
  return {v, v};
}
// acc + x0 y0 + x1 y1
TV_INLINE I16 DotPairs(I16 acc, P16 x, P16 y) {
#ifdef TV_VNNI
  acc = {_mm256_dpwssd_avx_epi32(acc.a, x.a, y.a), _mm256_dpwssd_avx_epi32(acc.b, x.b, y.b)};
#else
  acc = {_mm256_add_epi32(acc.a, _mm256_madd_epi16(x.a, y.a)), _mm256_add_epi32(acc.b, _mm256_madd_epi16(x.b, y.b))};
  // Compilers would add the products of unrolled steps first, which spills them.
  asm("" : "+x"(acc.a), "+x"(acc.b));
#endif
  return acc;
}
// Integral values within int16, 16 of them.
TV_INLINE void StoreInt16(int16_t* p, F16 x) {
  const __m256i packed = _mm256_packs_epi32(_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b));
  _mm256_storeu_si256((__m256i*)p, _mm256_permute4x64_epi64(packed, 0xD8));
}
