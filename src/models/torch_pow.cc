// Sleef_powf_u10, FMA variant (SLEEF 3, src/libm/sleefsimdsp.c: xpowf, logkf, expkf): double-float arithmetic in which
// a value is the unevaluated sum of two floats.
#include "models/torch_pow.h"

#include <cmath>

namespace truevec {
namespace {

struct Float2 {
  float x, y;
};

// |a| >= |b| is assumed by Add, not by Add2.
Float2 Add(Float2 a, Float2 b) {
  const float s = a.x + b.x;
  return {s, (((a.x - s) + b.x) + a.y) + b.y};
}
Float2 Add(float a, Float2 b) {
  const float s = a + b.x;
  return {s, ((a - s) + b.x) + b.y};
}
Float2 Add2(float a, float b) {
  const float s = a + b;
  const float v = s - a;
  return {s, (a - (s - v)) + (b - v)};
}
Float2 Add2(Float2 a, float b) {
  const Float2 s = Add2(a.x, b);
  return {s.x, s.y + a.y};
}
Float2 Add2(Float2 a, Float2 b) {
  const Float2 s = Add2(a.x, b.x);
  return {s.x, s.y + (a.y + b.y)};
}
Float2 Mul(Float2 a, Float2 b) {
  const float s = a.x * b.x;
  return {s, std::fmaf(a.x, b.y, std::fmaf(a.y, b.x, std::fmaf(a.x, b.x, -s)))};
}
Float2 Mul(Float2 a, float b) {
  const float s = a.x * b;
  return {s, std::fmaf(a.y, b, std::fmaf(a.x, b, -s))};
}
Float2 Square(Float2 a) {
  const float s = a.x * a.x;
  return {s, std::fmaf(a.x + a.x, a.y, std::fmaf(a.x, a.x, -s))};
}
Float2 Div(Float2 n, Float2 d) {
  const float t = 1.0f / d.x;
  const float s = n.x * t;
  const float u = std::fmaf(t, n.x, -s);
  const float v = std::fmaf(-d.y, t, std::fmaf(-d.x, t, 1.0f));
  return {s, std::fmaf(s, v, std::fmaf(n.y, t, u))};
}

Float2 Log(float d) {  // d normal and positive
  const int e = std::ilogb(d * (1.0f / 0.75f));
  const float m = std::ldexp(d, -e);
  const Float2 x = Div(Add2(-1.0f, m), Add2(1.0f, m));
  const Float2 x2 = Square(x);
  float t = 0.240320354700088500976562f;
  t = std::fmaf(t, x2.x, 0.285112679004669189453125f);
  t = std::fmaf(t, x2.x, 0.400007992982864379882812f);
  const Float2 c = {0.66666662693023681640625f, 3.69183861259614332084311e-09f};
  Float2 s = Mul({0.69314718246459960938f, -1.904654323148236017e-09f}, static_cast<float>(e));
  s = Add(s, Float2{x.x * 2, x.y * 2});
  return Add(s, Mul(Mul(x2, x), Add2(Mul(x2, t), c)));
}

float Exp(Float2 d) {
  const float q = std::rint((d.x + d.y) * 1.442695040888963407359924681001892137f);
  Float2 s = Add2(d, q * -0.693145751953125f);
  s = Add2(s, q * -1.428606765330187045e-06f);
  const float head = s.x + s.y;
  s = {head, (s.x - head) + s.y};
  float u = 0.00136324646882712841033936f;
  u = std::fmaf(u, s.x, 0.00836596917361021041870117f);
  u = std::fmaf(u, s.x, 0.0416710823774337768554688f);
  u = std::fmaf(u, s.x, 0.166665524244308471679688f);
  u = std::fmaf(u, s.x, 0.499999850988388061523438f);
  const Float2 t = Add(1.0f, Add(s, Mul(Square(s), u)));
  return d.x < -104.0f ? 0.0f : std::ldexp(t.x + t.y, static_cast<int>(q));
}

}  // namespace

std::vector<float> TorchPow(float base, std::span<const float> exponents) {
  constexpr size_t kBlock = 16;
  std::vector<float> out;
  out.reserve(exponents.size());
  const size_t blocks = exponents.size() / kBlock * kBlock;
  for (size_t i = 0; i < exponents.size(); ++i) {
    out.push_back(i < blocks ? Exp(Mul(Log(base), exponents[i])) : std::pow(base, exponents[i]));
  }
  return out;
}

}  // namespace truevec
