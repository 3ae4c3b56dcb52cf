// exp, erf-GELU and the other activations over 16 lanes. Included inside the namespace of one isa_*.cc.
// erf: two-branch polynomial of N. Juffa (stackoverflow.com/a/35148199), below 1 ulp; exp: Cody-Waite reduction and a
// degree-6 polynomial (coefficients of N. Juffa's expf), relative error below 7.5e-8.

static inline F16 Exp(F16 x) {
  x = Max(Min(x, Set1(88.0f)), Set1(-87.0f));
  const F16 n = RoundEven(Mul(x, Set1(1.44269504f)));
  F16 r = Fma(n, Set1(-0.693145752f), x);
  r = Fma(n, Set1(-1.42860677e-6f), r);
  F16 p = Set1(0x1.694000p-10f);
  p = Fma(p, r, Set1(0x1.125edcp-7f));
  p = Fma(p, r, Set1(0x1.555b5ap-5f));
  p = Fma(p, r, Set1(0x1.555450p-3f));
  p = Fma(p, r, Set1(0x1.fffff6p-2f));
  p = Fma(p, r, Set1(1.0f));
  p = Fma(p, r, Set1(1.0f));
  return Mul(p, Pow2(n));
}

// x/2 (1 + erf(x / sqrt 2)). For x below the split the tail exp(r) = 1 - |erf| is used as it is, so that large
// negative x loses nothing to cancellation.
static inline F16 Gelu(F16 x) {
  const F16 z = Mul(x, Set1(0.707106781f));
  const F16 t = Abs(z);
  const F16 s = Mul(z, z);
  F16 r = Fma(Set1(-1.72853470e-5f), t, Set1(3.83197126e-4f));
  const F16 u = Fma(Set1(-3.88396438e-3f), t, Set1(2.42546219e-2f));
  r = Fma(r, s, u);
  r = Fma(r, t, Set1(-1.06777877e-1f));
  r = Fma(r, t, Set1(-6.34846687e-1f));
  r = Fma(r, t, Set1(-1.28717512e-1f));
  r = Fma(r, t, Sub(Set1(0.0f), t));
  const F16 tail = Exp(r);
  const F16 far = SelectLess(z, Set1(0.0f), tail, Sub(Set1(2.0f), tail));  // 1 + erf(z)
  F16 q = Set1(-5.96761703e-4f);
  q = Fma(q, s, Set1(4.99119423e-3f));
  q = Fma(q, s, Set1(-2.67681349e-2f));
  q = Fma(q, s, Set1(1.12819925e-1f));
  q = Fma(q, s, Set1(-3.76125336e-1f));
  q = Fma(q, s, Set1(1.28379166e-1f));
  q = Fma(q, z, z);
  const F16 near = Add(Set1(1.0f), q);
  const F16 one_plus_erf = SelectLess(t, Set1(0.927734375f), near, far);
  // exp saturates at e^-87: beyond |z| = 9.3 the true tail is below 1e-38.
  return Mul(Mul(x, Set1(0.5f)), one_plus_erf);
}

static inline F16 Sigmoid(F16 x) {
  // Both signs through exp(-|x|): no overflow, full precision in the tail.
  const F16 e = Exp(Sub(Set1(0.0f), Abs(x)));
  const F16 d = Add(Set1(1.0f), e);
  return SelectLess(x, Set1(0.0f), Div(e, d), Div(Set1(1.0f), d));
}

static inline F16 Tanh(F16 x) {
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

static inline F16 GeluTanh(F16 x) {
  const F16 cube = Mul(Mul(x, x), x);
  const F16 inner = Mul(Set1(0.797884561f), Fma(Set1(0.044715f), cube, x));
  return Mul(Mul(x, Set1(0.5f)), Add(Set1(1.0f), Tanh(inner)));
}

// x tanh(log(1 + e^x)) = x (w^2 + 2w) / (w^2 + 2w + 2) with w = e^x; for x > 20 the factor is 1.
static inline F16 Mish(F16 x) {
  const F16 w = Exp(Min(x, Set1(20.0f)));
  const F16 a = Fma(w, w, Add(w, w));
  return Mul(x, Div(a, Add(a, Set1(2.0f))));
}

static inline F16 ApplyAct(Act act, F16 x) {
  switch (act) {
    case Act::kNone:
      return x;
    case Act::kGelu:
      return Gelu(x);
    case Act::kGeluTanh:
      return GeluTanh(x);
    case Act::kQuickGelu:
      return Mul(x, Sigmoid(Mul(x, Set1(1.702f))));
    case Act::kRelu:
      return Max(x, Set1(0.0f));
    case Act::kSilu:
      return Mul(x, Sigmoid(x));
    case Act::kTanh:
      return Tanh(x);
    case Act::kSigmoid:
      return Sigmoid(x);
    case Act::kMish:
      return Mish(x);
    case Act::kGelu10:
      return Max(Min(Gelu(x), Set1(10.0f)), Set1(-10.0f));
  }
  return x;
}
