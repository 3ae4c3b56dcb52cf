// 16 virtual lanes in four (float) or eight (double) 128-bit registers. Included inside the namespace of isa_neon.cc.
struct F16 {
  float32x4_t v[4];
};
struct D16 {
  float64x2_t v[8];
};

#define TV_INLINE static inline __attribute__((always_inline))
#define TV_EACH(n) _Pragma("GCC unroll 8") for (int i = 0; i < (n); ++i)
TV_INLINE F16 Set1(float x) {
  const float32x4_t v = vdupq_n_f32(x);
  return {{v, v, v, v}};
}
TV_INLINE F16 Load(const float* p) {
  F16 r;
  TV_EACH(4) r.v[i] = vld1q_f32(p + 4 * i);
  return r;
}
// bfloat16 bits, widened exactly.
TV_INLINE F16 Load(const uint16_t* p) {
  F16 r;
  TV_EACH(4) r.v[i] = vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * i), 16));
  return r;
}
TV_INLINE void Store(float* p, F16 x) { TV_EACH(4) vst1q_f32(p + 4 * i, x.v[i]); }
TV_INLINE F16 LoadN(const float* p, int64_t n) {
  if (n >= 16) return Load(p);
  float lanes[16] = {0};
  for (int64_t i = 0; i < n; ++i) lanes[i] = p[i];
  return Load(lanes);
}
TV_INLINE void StoreN(float* p, F16 x, int64_t n) {
  if (n >= 16) {
    Store(p, x);
    return;
  }
  float lanes[16];
  Store(lanes, x);
  for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
}
#define TV_F_OP(Name, op)                   \
  TV_INLINE F16 Name(F16 x, F16 y) {        \
    TV_EACH(4) x.v[i] = op(x.v[i], y.v[i]); \
    return x;                               \
  }
TV_F_OP(Add, vaddq_f32)
TV_F_OP(Sub, vsubq_f32)
TV_F_OP(Mul, vmulq_f32)
TV_F_OP(Div, vdivq_f32)
#undef TV_F_OP
TV_INLINE F16 Fma(F16 x, F16 y, F16 z) {
  TV_EACH(4) z.v[i] = vfmaq_f32(z.v[i], x.v[i], y.v[i]);
  return z;
}
// As x86 maxps and minps: y when either is NaN.
TV_INLINE F16 Max(F16 x, F16 y) {
  TV_EACH(4) x.v[i] = vbslq_f32(vcgtq_f32(x.v[i], y.v[i]), x.v[i], y.v[i]);
  return x;
}
TV_INLINE F16 Min(F16 x, F16 y) {
  TV_EACH(4) x.v[i] = vbslq_f32(vcltq_f32(x.v[i], y.v[i]), x.v[i], y.v[i]);
  return x;
}
TV_INLINE F16 Abs(F16 x) {
  TV_EACH(4) x.v[i] = vabsq_f32(x.v[i]);
  return x;
}
TV_INLINE F16 SelectLess(F16 p, F16 q, F16 x, F16 y) {
  TV_EACH(4) x.v[i] = vbslq_f32(vcltq_f32(p.v[i], q.v[i]), x.v[i], y.v[i]);
  return x;
}
TV_INLINE F16 RoundEven(F16 x) {
  TV_EACH(4) x.v[i] = vrndnq_f32(x.v[i]);
  return x;
}
// x * 2^n with n the integer in the low bits of `shifted` (see kRoundingShift); x and the result normal.
TV_INLINE F16 TimesPow2(F16 x, F16 shifted) {
  TV_EACH(4) {
    x.v[i] = vreinterpretq_f32_s32(
        vaddq_s32(vreinterpretq_s32_f32(x.v[i]), vshlq_n_s32(vreinterpretq_s32_f32(shifted.v[i]), 23)));
  }
  return x;
}
TV_INLINE float ReduceMax(F16 x) { return vmaxvq_f32(vmaxq_f32(vmaxq_f32(x.v[0], x.v[1]), vmaxq_f32(x.v[2], x.v[3]))); }
TV_INLINE D16 Set1D(double x) {
  D16 r;
  TV_EACH(8) r.v[i] = vdupq_n_f64(x);
  return r;
}
TV_INLINE D16 ZeroD() { return Set1D(0); }
TV_INLINE D16 Widen(F16 x) {
  D16 r;
  TV_EACH(4) {
    r.v[2 * i] = vcvt_f64_f32(vget_low_f32(x.v[i]));
    r.v[2 * i + 1] = vcvt_high_f64_f32(x.v[i]);
  }
  return r;
}
TV_INLINE D16 WidenLoad(const float* p) { return Widen(Load(p)); }
TV_INLINE F16 Narrow(D16 x) {
  F16 r;
  TV_EACH(4) r.v[i] = vcvt_high_f32_f64(vcvt_f32_f64(x.v[2 * i]), x.v[2 * i + 1]);
  return r;
}
#define TV_D_OP(Name, op)                   \
  TV_INLINE D16 Name(D16 x, D16 y) {        \
    TV_EACH(8) x.v[i] = op(x.v[i], y.v[i]); \
    return x;                               \
  }
TV_D_OP(AddD, vaddq_f64)
TV_D_OP(SubD, vsubq_f64)
TV_D_OP(MulD, vmulq_f64)
#undef TV_D_OP
TV_INLINE D16 FmaD(D16 x, D16 y, D16 z) {
  TV_EACH(8) z.v[i] = vfmaq_f64(z.v[i], x.v[i], y.v[i]);
  return z;
}
TV_INLINE D16 LoadD(const double* p) {
  D16 r;
  TV_EACH(8) r.v[i] = vld1q_f64(p + 2 * i);
  return r;
}
TV_INLINE void StoreD(double* p, D16 x) { TV_EACH(8) vst1q_f64(p + 2 * i, x.v[i]); }
// Lanes added by halves: 8, 4, 2, 1.
TV_INLINE double ReduceD(D16 x) {
  TV_EACH(4) x.v[i] = vaddq_f64(x.v[i], x.v[i + 4]);
  TV_EACH(2) x.v[i] = vaddq_f64(x.v[i], x.v[i + 2]);
  const float64x2_t v = vaddq_f64(x.v[0], x.v[1]);
  return vgetq_lane_f64(v, 0) + vgetq_lane_f64(v, 1);
}

// 16 lanes of int32.
struct I16 {
  int32x4_t v[4];
};
// 16 columns of two neighbouring k as int16: the even ones, then the odd ones.
struct P16 {
  int16x8_t even[2];
  int16x8_t odd[2];
};
TV_INLINE I16 ZeroI() {
  const int32x4_t v = vdupq_n_s32(0);
  return {{v, v, v, v}};
}
TV_INLINE I16 LoadI(const int32_t* p) {
  I16 r;
  TV_EACH(4) r.v[i] = vld1q_s32(p + 4 * i);
  return r;
}
TV_INLINE void StoreI(int32_t* p, I16 x) { TV_EACH(4) vst1q_s32(p + 4 * i, x.v[i]); }
TV_INLINE I16 AddI(I16 x, I16 y) {
  TV_EACH(4) x.v[i] = vaddq_s32(x.v[i], y.v[i]);
  return x;
}
TV_INLINE F16 ToFloats(I16 x) {
  F16 r;
  TV_EACH(4) r.v[i] = vcvtq_f32_s32(x.v[i]);
  return r;
}
TV_INLINE P16 LoadPairs(const int8_t* p) {
  const int8x16x2_t pairs = vld2q_s8(p);
  return {{vmovl_s8(vget_low_s8(pairs.val[0])), vmovl_high_s8(pairs.val[0])},
          {vmovl_s8(vget_low_s8(pairs.val[1])), vmovl_high_s8(pairs.val[1])}};
}
// Deinterleaved in memory too: [even 16][odd 16].
TV_INLINE P16 LoadPairs(const int16_t* p) {
  return {{vld1q_s16(p), vld1q_s16(p + 8)}, {vld1q_s16(p + 16), vld1q_s16(p + 24)}};
}
TV_INLINE void StorePairs(int16_t* p, P16 x) {
  TV_EACH(2) {
    vst1q_s16(p + 8 * i, x.even[i]);
    vst1q_s16(p + 16 + 8 * i, x.odd[i]);
  }
}
TV_INLINE P16 SetPair(const int32_t* p) {
  int16_t pair[2];
  __builtin_memcpy(pair, p, 4);
  const int16x8_t even = vdupq_n_s16(pair[0]);
  const int16x8_t odd = vdupq_n_s16(pair[1]);
  return {{even, even}, {odd, odd}};
}
// acc + x0 y0 + x1 y1
TV_INLINE I16 DotPairs(I16 acc, P16 x, P16 y) {
  TV_EACH(2) {
    acc.v[2 * i] = vmlal_s16(acc.v[2 * i], vget_low_s16(x.even[i]), vget_low_s16(y.even[i]));
    acc.v[2 * i] = vmlal_s16(acc.v[2 * i], vget_low_s16(x.odd[i]), vget_low_s16(y.odd[i]));
    acc.v[2 * i + 1] = vmlal_high_s16(acc.v[2 * i + 1], x.even[i], y.even[i]);
    acc.v[2 * i + 1] = vmlal_high_s16(acc.v[2 * i + 1], x.odd[i], y.odd[i]);
  }
  return acc;
}
// Integral values within int16, 16 of them.
TV_INLINE void StoreInt16(int16_t* p, F16 x) { TV_EACH(4) vst1_s16(p + 4 * i, vqmovn_s32(vcvtq_s32_f32(x.v[i]))); }
#undef TV_EACH
