#include "pipeline/exact_math.h"

#include <cmath>
#include <limits>

namespace truevec::exact {
namespace {

constexpr double kLn2High = 6.93147180369123816490e-01;
constexpr double kLn2Low = 1.90821492927058770002e-10;
constexpr double kInvLn2 = 1.44269504088896338700;

// x = k ln2 + r, |r| <= ln2/2, r = high - low.
struct Reduced {
  int k;
  double high;
  double low;
};
Reduced Reduce(double x) {
  const int k = static_cast<int>(std::floor(kInvLn2 * x + 0.5));
  return {k, x - k * kLn2High, k * kLn2Low};
}

}  // namespace

double Exp(double x) {
  if (x > 709.782712893383973096) return std::numeric_limits<double>::infinity();
  if (x < -745.13321910194110842) return 0;
  if (x != x) return x;
  const Reduced a = Reduce(x);
  const double r = a.high - a.low;
  const double t = r * r;
  constexpr double kP1 = 1.66666666666666019037e-01, kP2 = -2.77777777770155933842e-03,
                   kP3 = 6.61375632143793436117e-05, kP4 = -1.65339022054652515390e-06,
                   kP5 = 4.13813679705723846039e-08;
  const double c = r - t * (kP1 + t * (kP2 + t * (kP3 + t * (kP4 + t * kP5))));
  const double y = 1 - ((a.low - (r * c) / (2 - c)) - a.high);
  return std::ldexp(y, a.k);
}

double Expm1(double x) {
  if (x > 0.34 || x < -0.34) return Exp(x) - 1;  // no cancellation worth a float32's attention
  // (e^x - 1) by its series; 12 terms are below 1e-17 relative at |x| <= 0.35.
  double sum = 0;
  for (int n = 14; n >= 1; --n) sum = x / n * (1 + sum);
  return sum;
}

double Log(double x) {
  int exponent = 0;
  double m = std::frexp(x, &exponent);  // [0.5, 1)
  if (m < 0.70710678118654752440) {
    m *= 2;
    --exponent;
  }
  const double f = m - 1;
  const double s = f / (2 + f);
  const double z = s * s;
  constexpr double kL1 = 6.666666666666735130e-01, kL2 = 3.999999999940941908e-01, kL3 = 2.857142874366239149e-01,
                   kL4 = 2.222219843214978396e-01, kL5 = 1.818357216161805012e-01, kL6 = 1.531383769920937332e-01,
                   kL7 = 1.479819860511658591e-01;
  const double r = z * (kL1 + z * (kL2 + z * (kL3 + z * (kL4 + z * (kL5 + z * (kL6 + z * kL7))))));
  const double half = 0.5 * f * f;
  return exponent * kLn2High - ((half - (s * (half + r) + exponent * kLn2Low)) - f);
}

double Log1p(double x) {
  const double u = 1 + x;
  if (u == 1) return x;
  if (std::isinf(u)) return u;
  // The rounding error of 1 + x, put back to first order.
  return Log(u) - ((u - 1) - x) / u;
}

}  // namespace truevec::exact
