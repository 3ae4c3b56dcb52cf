// exp, erf-GELU and the other activations over 16 lanes. Included inside the namespace of one isa_*.cc.
// exp: Cody-Waite reduction and a degree-6 polynomial (coefficients of N. Juffa's expf), relative error below 7.5e-8.
// NaN goes through: Min and Max return their second argument for it.

#define TV_ALWAYS_INLINE __attribute__((always_inline))

constexpr float kRoundingShift = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, kept in the low bits

TV_INLINE F16 Exp(F16 x) {
  x = Max(Set1(-87.0f), Min(Set1(88.0f), x));
  const F16 shifted = Fma(x, Set1(1.44269504f), Set1(kRoundingShift));
  const F16 n = Sub(shifted, Set1(kRoundingShift));
  F16 r = Fma(n, Set1(-0.693145752f), x);
  r = Fma(n, Set1(-1.42860677e-6f), r);
  F16 p = Set1(0x1.694000p-10f);
  p = Fma(p, r, Set1(0x1.125edcp-7f));
  p = Fma(p, r, Set1(0x1.555b5ap-5f));
  p = Fma(p, r, Set1(0x1.555450p-3f));
  p = Fma(p, r, Set1(0x1.fffff6p-2f));
  p = Fma(p, r, Set1(1.0f));
  p = Fma(p, r, Set1(1.0f));
  return TimesPow2(p, shifted);
}

// x Phi(x) = max(x, 0) - |x| Phi(-|x|), Phi the normal distribution: one branch, nothing cancels. Phi(-t) = 2^q(t) with
// q a degree-9 minimax polynomial of log2 Phi(-t) over [0, 8], weighted by what its error does to the result, and 2^f a
// degree-6 one (both by Lawson's algorithm in double precision). Beyond 8 the product is below 1e-14. Largest error for
// negative x 4e-8, for positive x that and half a unit in the last place; torch's float32 formula: 2.6e-7.
TV_INLINE F16 Gelu(F16 x) {
  const F16 t = Min(Set1(8.0f), Abs(x));
  F16 q = Set1(0x1.62c4f4p-22f);
  q = Fma(q, t, Set1(-0x1.d0d214p-18f));
  q = Fma(q, t, Set1(0x1.f27dcep-15f));
  q = Fma(q, t, Set1(-0x1.ee5f64p-13f));
  q = Fma(q, t, Set1(-0x1.2e5994p-14f));
  q = Fma(q, t, Set1(0x1.cc2676p-8f));
  q = Fma(q, t, Set1(-0x1.adf856p-5f));
  q = Fma(q, t, Set1(-0x1.d63a4ap-2f));
  q = Fma(q, t, Set1(-0x1.26aee0p+0f));
  q = Fma(q, t, Set1(-1.0f));
  const F16 shifted = Add(q, Set1(kRoundingShift));
  const F16 f = Sub(q, Sub(shifted, Set1(kRoundingShift)));
  F16 p = Set1(0x1.41d314p-13f);
  p = Fma(p, f, Set1(0x1.5f4598p-10f));
  p = Fma(p, f, Set1(0x1.3b2dbcp-7f));
  p = Fma(p, f, Set1(0x1.c6aed4p-5f));
  p = Fma(p, f, Set1(0x1.ebfbdap-3f));
  p = Fma(p, f, Set1(0x1.62e430p-1f));
  p = Fma(p, f, Set1(1.0f));
  return Sub(Max(x, Set1(0.0f)), Mul(t, TimesPow2(p, shifted)));
}

TV_INLINE F16 Sigmoid(F16 x) {
  // Both signs through exp(-|x|): no overflow, full precision in the tail.
  const F16 e = Exp(Sub(Set1(0.0f), Abs(x)));
  const F16 d = Add(Set1(1.0f), e);
  return SelectLess(x, Set1(0.0f), Div(e, d), Div(Set1(1.0f), d));
}

TV_INLINE F16 Tanh(F16 x) {
  // |x| < 0.625: odd polynomial (Cephes tanhf); else 1 - 2 / (exp(2|x|) + 1).
  const F16 t = Abs(x);
  const F16 s = Mul(x, x);
  F16 q = Set1(-5.70498872745e-3f);
  q = Fma(q, s, Set1(2.06390887954e-2f));
  q = Fma(q, s, Set1(-5.37397155531e-2f));
  q = Fma(q, s, Set1(1.33314422036e-1f));
  q = Fma(q, s, Set1(-3.33332819422e-1f));
  const F16 near = Fma(Mul(q, s), x, x);
  const F16 e = Exp(Add(t, t));
  const F16 magnitude = Sub(Set1(1.0f), Div(Set1(2.0f), Add(e, Set1(1.0f))));
  const F16 far = SelectLess(x, Set1(0.0f), Sub(Set1(0.0f), magnitude), magnitude);
  return SelectLess(t, Set1(0.625f), near, far);
}

TV_INLINE F16 GeluTanh(F16 x) {
  const F16 cube = Mul(Mul(x, x), x);
  const F16 inner = Mul(Set1(0.797884561f), Fma(Set1(0.044715f), cube, x));
  return Mul(Mul(x, Set1(0.5f)), Add(Set1(1.0f), Tanh(inner)));
}

// x tanh(log(1 + e^x)) = x (w^2 + 2w) / (w^2 + 2w + 2) with w = e^x; for x > 20 the factor is 1.
TV_INLINE F16 Mish(F16 x) {
  const F16 w = Exp(Min(x, Set1(20.0f)));
  const F16 a = Fma(w, w, Add(w, w));
  return Mul(x, Div(a, Add(a, Set1(2.0f))));
}

// body(f) with f the function of `act`; one copy of `body` each, so that its loop has no choice inside.
template <typename Body>
TV_INLINE void WithActivation(Act act, Body body) {
  switch (act) {
    case Act::kNone:
      return body([](F16 x) TV_ALWAYS_INLINE { return x; });
    case Act::kGelu:
      return body([](F16 x) TV_ALWAYS_INLINE { return Gelu(x); });
    case Act::kGeluTanh:
      return body([](F16 x) TV_ALWAYS_INLINE { return GeluTanh(x); });
    case Act::kQuickGelu:
      return body([](F16 x) TV_ALWAYS_INLINE { return Mul(x, Sigmoid(Mul(x, Set1(1.702f)))); });
    case Act::kRelu:
      return body([](F16 x) TV_ALWAYS_INLINE { return Max(x, Set1(0.0f)); });
    case Act::kSilu:
      return body([](F16 x) TV_ALWAYS_INLINE { return Mul(x, Sigmoid(x)); });
    case Act::kTanh:
      return body([](F16 x) TV_ALWAYS_INLINE { return Tanh(x); });
    case Act::kSigmoid:
      return body([](F16 x) TV_ALWAYS_INLINE { return Sigmoid(x); });
    case Act::kMish:
      return body([](F16 x) TV_ALWAYS_INLINE { return Mish(x); });
    case Act::kGelu10:
      return body([](F16 x) TV_ALWAYS_INLINE { return Max(Min(Gelu(x), Set1(10.0f)), Set1(-10.0f)); });
  }
}
