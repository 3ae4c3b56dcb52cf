// Row kernels: softmax, activations, LayerNorm, RMSNorm and double sums. Included inside the namespace of one
// isa_*.cc. Lane i % 16 takes element i; lanes are reduced by halves (8, 4, 2, 1).

TV_INLINE F16 Score(const SoftmaxArgs& s, int64_t j) {
  F16 x = Mul(Load(s.scores + j), Set1(s.scale));
  if (s.softcap > 0) x = Mul(Set1(s.softcap), Tanh(Div(x, Set1(s.softcap))));
  if (s.bias != nullptr) x = Add(x, Load(s.bias + j));
  return x;
}

// exp(x - top) of columns [first, last) in place, x = scale * score; returns the sum. Four vectors are added in float32
// before they go into the double sum: three roundings of 16 lanes' worth of positive terms.
TV_INLINE double ExpRow(float* scores, int64_t first, int64_t last, float scale, float top) {
  const F16 minus_top = Set1(-top);
  const F16 factor = Set1(scale);
  D16 sum = ZeroD();
  int64_t j = first;
  for (; j + 64 <= last; j += 64) {
    F16 e[4];
#pragma GCC unroll 4
    for (int u = 0; u < 4; ++u) {
      e[u] = Exp(Fma(Load(scores + j + 16 * u), factor, minus_top));
      Store(scores + j + 16 * u, e[u]);
    }
    sum = AddD(sum, Widen(Add(Add(e[0], e[1]), Add(e[2], e[3]))));
  }
  for (; j < last; j += 16) {
    const F16 e = Exp(Fma(Load(scores + j), factor, minus_top));
    Store(scores + j, e);
    sum = AddD(sum, Widen(e));
  }
  return ReduceD(sum);
}

static double Softmax(const SoftmaxArgs& s) {
  constexpr float kLowest = -3.0e38f;
  if (s.begin >= s.end) {
    for (int64_t j = 0; j < s.columns; ++j) s.scores[j] = 0.0f;
    return 0;
  }
  const int64_t first = s.begin / 16 * 16;
  const int64_t last = (s.end + 15) / 16 * 16;
  // Hidden columns of the first and last vector do not count.
  const auto hide = [&](float value) TV_ALWAYS_INLINE {
    for (int64_t j = first; j < s.begin; ++j) s.scores[j] = value;
    for (int64_t j = s.end; j < last; ++j) s.scores[j] = value;
  };
  const bool plain = s.softcap <= 0 && s.bias == nullptr && s.scale > 0;
  hide(kLowest);
  if (!plain) {
    for (int64_t j = first; j < last; j += 16) Store(s.scores + j, Score(s, j));
    hide(kLowest);
  }
  F16 max = Set1(kLowest);
  for (int64_t j = first; j < last; j += 16) max = Max(max, Load(s.scores + j));
  // Scaling keeps the order, so the largest product is that of the largest score.
  const float scale = plain ? s.scale : 1.0f;
  const float top = ReduceMax(max) * scale;
  const double sum = ExpRow(s.scores, first, last, scale, top);  // hidden columns add exp(-87) at most
  hide(0.0f);
  for (int64_t j = 0; j < first; j += 16) Store(s.scores + j, Set1(0.0f));
  for (int64_t j = last; j < s.columns; j += 16) Store(s.scores + j, Set1(0.0f));
  return sum;
}

static void Activate(Act act, float* x, int64_t n) {
  WithActivation(act, [&](auto activate) {
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) Store(x + i, activate(Load(x + i)));
    if (i < n) StoreN(x + i, activate(LoadN(x + i, n - i)), n - i);
  });
}

TV_INLINE F16 LoadPart(const float* p, int64_t count) { return count == 16 ? Load(p) : LoadN(p, count); }
TV_INLINE void StorePart(float* p, F16 x, int64_t count) {
  if (count == 16) {
    Store(p, x);
  } else {
    StoreN(p, x, count);
  }
}
TV_INLINE D16 WidenPart(const float* p, int64_t count) { return count == 16 ? WidenLoad(p) : Widen(LoadN(p, count)); }

// x + residual in double (the sum is not rounded before it is normalised).
TV_INLINE D16 Summed(const float* x, const float* residual, int64_t i, int64_t count) {
  const D16 v = WidenPart(x + i, count);
  return residual != nullptr ? AddD(v, WidenPart(residual + i, count)) : v;
}

// The sums of a row as doubles: kept by the first pass where the row fits, else made again by each pass.
constexpr int64_t kKeptSums = 2048;
struct RowSums {
  const float* x;
  const float* residual;
  double* kept;  // null: not kept
  TV_INLINE D16 At(const RowSums& s, int64_t i) {
    return s.kept != nullptr ? LoadD(s.kept + i) : Summed(s.x, s.residual, i, 16);
  }
};

// One block of 16 columns (or the `count` left): out = (v * scale + shift) * weight + bias.
TV_INLINE void NormBlock(D16 v, int64_t i, int64_t count, D16 scale, D16 shift, const float* weight, const float* bias,
                         float* out) {
  D16 y = FmaD(v, scale, shift);
  const D16 b = bias != nullptr ? WidenPart(bias + i, count) : ZeroD();
  y = weight != nullptr ? FmaD(y, WidenPart(weight + i, count), b) : AddD(y, b);
  StorePart(out + i, Narrow(y), count);
}

static void LayerNorm(const float* x, const float* residual, int64_t n, const float* weight, const float* bias,
                      double eps, float* out) {
  alignas(64) double buffer[kKeptSums];
  const int64_t whole = n / 16 * 16;
  const RowSums sums{x, residual, whole <= kKeptSums ? buffer : nullptr};
  D16 sum = ZeroD();
  for (int64_t i = 0; i < whole; i += 16) {
    const D16 v = Summed(x, residual, i, 16);
    if (sums.kept != nullptr) StoreD(sums.kept + i, v);
    sum = AddD(sum, v);
  }
  const D16 rest = whole < n ? Summed(x, residual, whole, n - whole) : ZeroD();
  const double mean = ReduceD(AddD(sum, rest)) / (double)n;
  const D16 mean_d = Set1D(mean);
  D16 squares = ZeroD();
  for (int64_t i = 0; i < whole; i += 16) {
    const D16 d = SubD(RowSums::At(sums, i), mean_d);
    squares = FmaD(d, d, squares);
  }
  double variance = ReduceD(squares);
  for (int64_t i = whole; i < n; ++i) {
    const double d = (double)x[i] + (residual != nullptr ? (double)residual[i] : 0.0) - mean;
    variance += d * d;
  }
  const double scale = 1.0 / __builtin_sqrt(variance / (double)n + eps);
  const D16 scale_d = Set1D(scale);
  const D16 shift_d = Set1D(-mean * scale);
  for (int64_t i = 0; i < whole; i += 16) {
    NormBlock(RowSums::At(sums, i), i, 16, scale_d, shift_d, weight, bias, out);
  }
  if (whole < n) NormBlock(rest, whole, n - whole, scale_d, shift_d, weight, bias, out);
}

static double SumSquares(const float* x, int64_t n) {
  const int64_t whole = n / 16 * 16;
  D16 sum = ZeroD();
  for (int64_t i = 0; i < whole; i += 16) {
    const D16 d = WidenLoad(x + i);
    sum = FmaD(d, d, sum);
  }
  if (whole < n) {
    const D16 d = Widen(LoadN(x + whole, n - whole));
    sum = FmaD(d, d, sum);
  }
  return ReduceD(sum);
}

static void RmsNorm(const float* x, int64_t n, const float* weight, double eps, float offset, float* out) {
  const D16 scale = Set1D(1.0 / __builtin_sqrt(SumSquares(x, n) / (double)n + eps));
  for (int64_t i = 0; i < n; i += 16) {
    const int64_t count = n - i < 16 ? n - i : 16;
    D16 y = MulD(WidenPart(x + i, count), scale);
    if (weight != nullptr) y = MulD(y, AddD(Set1D(offset), WidenPart(weight + i, count)));
    StorePart(out + i, Narrow(y), count);
  }
}

static void AddToDouble(const float* x, int64_t n, double* sums) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) StoreD(sums + i, AddD(LoadD(sums + i), Widen(Load(x + i))));
  for (; i < n; ++i) sums[i] += (double)x[i];
}

static void DivideRows(const float* x, int64_t ldx, const double* divisors, int64_t rows, int64_t n, float* out,
                       int64_t ldo) {
  for (int64_t r = 0; r < rows; ++r) {
    const float divisor = (float)divisors[r];
    const F16 d = Set1(divisor);
    for (int64_t i = 0; i < n; i += 16) {
      const int64_t count = n - i < 16 ? n - i : 16;
      const F16 y = divisor != 0 ? Div(LoadPart(x + r * ldx + i, count), d) : Set1(0.0f);
      StorePart(out + r * ldo + i, y, count);
    }
  }
}

static void Transpose(const float* x, int64_t ldx, int64_t rows, int64_t n, float* out, int64_t ldo) {
  PackTile(x, ldx, rows, n, out, ldo);
}
