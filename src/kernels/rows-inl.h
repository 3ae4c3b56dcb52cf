// Row kernels: softmax, activations, LayerNorm, RMSNorm and double sums. Included inside the namespace of one
// isa_*.cc. Lane i % 16 takes element i; lanes are reduced by halves (8, 4, 2, 1).

static inline double ReduceD(D16 sums) {
  double lanes[16];
  StoreD(lanes, sums);
  for (int width = 8; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}

static inline F16 Score(const SoftmaxArgs& s, int64_t j) {
  F16 x = Mul(Load(s.scores + j), Set1(s.scale));
  if (s.softcap > 0) x = Mul(Set1(s.softcap), Tanh(Div(x, Set1(s.softcap))));
  if (s.bias != nullptr) x = Add(x, Load(s.bias + j));
  return x;
}

static double Softmax(const SoftmaxArgs& s) {
  for (int64_t j = 0; j < s.begin; ++j) s.scores[j] = -3.0e38f;
  for (int64_t j = s.end; j < s.columns; ++j) s.scores[j] = -3.0e38f;
  if (s.begin >= s.end) {
    for (int64_t j = 0; j < s.columns; ++j) s.scores[j] = 0.0f;
    return 0;
  }
  const int64_t first = s.begin / 16 * 16;
  const int64_t last = (s.end + 15) / 16 * 16;
  // Scaled scores go back in place; hidden columns are refilled below the lowest float that scaling could reach.
  F16 max = Set1(-3.0e38f);
  for (int64_t j = first; j < last; j += 16) {
    const F16 x = Score(s, j);
    Store(s.scores + j, x);
    for (int64_t h = j; h < s.begin && h < j + 16; ++h) s.scores[h] = -3.0e38f;
    for (int64_t h = s.end > j ? s.end : j; h < j + 16; ++h) s.scores[h] = -3.0e38f;
    max = Max(max, Load(s.scores + j));
  }
  const F16 top = Set1(ReduceMax(max));
  D16 sum = ZeroD();
  for (int64_t j = 0; j < first; j += 16) Store(s.scores + j, Set1(0.0f));
  for (int64_t j = first; j < last; j += 16) {
    const F16 x = Load(s.scores + j);
    const F16 e = SelectLess(Set1(-2.9e38f), x, Exp(Sub(x, top)), Set1(0.0f));
    Store(s.scores + j, e);
    sum = AddD(sum, Widen(e));
  }
  for (int64_t j = last; j < s.columns; j += 16) Store(s.scores + j, Set1(0.0f));
  return ReduceD(sum);
}

static void Activate(Act act, float* x, int64_t n) {
  for (int64_t i = 0; i < n; i += 16) {
    const int64_t count = n - i < 16 ? n - i : 16;
    StoreN(x + i, ApplyAct(act, LoadN(x + i, count)), count);
  }
}

// x + residual in double (the sum is not rounded before it is normalised).
static inline D16 Summed(const float* x, const float* residual, int64_t i, int64_t count) {
  const D16 v = Widen(LoadN(x + i, count));
  return residual != nullptr ? AddD(v, Widen(LoadN(residual + i, count))) : v;
}

static void LayerNorm(const float* x, const float* residual, int64_t n, const float* weight, const float* bias,
                      double eps, float* out) {
  D16 sum = ZeroD();
  for (int64_t i = 0; i < n; i += 16) sum = AddD(sum, Summed(x, residual, i, n - i < 16 ? n - i : 16));
  const double mean = ReduceD(sum) / (double)n;
  const D16 mean_d = Set1D(mean);
  D16 squares = ZeroD();
  for (int64_t i = 0; i + 16 <= n; i += 16) {
    const D16 d = SubD(Summed(x, residual, i, 16), mean_d);
    squares = FmaD(d, d, squares);
  }
  double variance = ReduceD(squares);
  for (int64_t i = n / 16 * 16; i < n; ++i) {
    const double d = (double)x[i] + (residual != nullptr ? (double)residual[i] : 0.0) - mean;
    variance += d * d;
  }
  const D16 scale = Set1D(1.0 / __builtin_sqrt(variance / (double)n + eps));
  for (int64_t i = 0; i < n; i += 16) {
    const int64_t count = n - i < 16 ? n - i : 16;
    D16 y = MulD(SubD(Summed(x, residual, i, count), mean_d), scale);
    if (weight != nullptr) y = MulD(y, Widen(LoadN(weight + i, count)));
    if (bias != nullptr) y = AddD(y, Widen(LoadN(bias + i, count)));
    StoreN(out + i, Narrow(y), count);
  }
}

static double SumSquares(const float* x, int64_t n) {
  D16 sum = ZeroD();
  for (int64_t i = 0; i < n; i += 16) {
    const D16 d = Widen(LoadN(x + i, n - i < 16 ? n - i : 16));
    sum = FmaD(d, d, sum);
  }
  return ReduceD(sum);
}

static void RmsNorm(const float* x, int64_t n, const float* weight, double eps, float offset, float* out) {
  const D16 scale = Set1D(1.0 / __builtin_sqrt(SumSquares(x, n) / (double)n + eps));
  for (int64_t i = 0; i < n; i += 16) {
    const int64_t count = n - i < 16 ? n - i : 16;
    D16 y = MulD(Widen(LoadN(x + i, count)), scale);
    if (weight != nullptr) y = MulD(y, AddD(Set1D(offset), Widen(LoadN(weight + i, count))));
    StoreN(out + i, Narrow(y), count);
  }
}

static void AddToDouble(const float* x, int64_t n, double* sums) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) StoreD(sums + i, AddD(LoadD(sums + i), Widen(Load(x + i))));
  for (; i < n; ++i) sums[i] += (double)x[i];
}

static void Divide(const float* x, float divisor, int64_t n, float* out) {
  const F16 d = Set1(divisor);
  for (int64_t i = 0; i < n; i += 16) {
    const int64_t count = n - i < 16 ? n - i : 16;
    StoreN(out + i, Div(LoadN(x + i, count), d), count);
  }
}
