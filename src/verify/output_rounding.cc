// Values that were rounded on their way out: to bfloat16 or float16, or to a few decimals or digits, as printing does.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "tensor/simulation.h"
#include "verify/diagnose.h"

namespace truevec {
namespace {

constexpr size_t kLeastValues = 256;  // fewer may be round by chance

struct Rounder {
  std::string name;
  std::function<float(float)> round;
};

float ToDigits(float x, int digits) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*g", digits, static_cast<double>(x));
  return std::strtof(text, nullptr);
}

// Coarse ones first: what is round to three decimals is so to four.
std::vector<Rounder> Rounders() {
  std::vector<Rounder> all;
  const auto count = [](int n, const char* what) { return std::to_string(n) + " " + what; };
  for (int digits = 2; digits <= 6; ++digits) {
    const double unit = std::pow(10.0, digits);
    all.push_back({count(digits, "decimals"), [unit](float x) {
                     return static_cast<float>(std::nearbyint(static_cast<double>(x) * unit) / unit);
                   }});
    all.push_back({count(digits, "digits"), [digits](float x) { return ToDigits(x, digits); }});
  }
  all.push_back({"bfloat16", [](float x) { return RoundTo(Rounding::kBFloat16, x); }});
  all.push_back({"float16", [](float x) { return RoundTo(Rounding::kFloat16, x); }});
  return all;
}

}  // namespace

std::optional<Hypothesis> OutputRounding(const std::vector<Vector>& target) {
  size_t values = 0;
  bool whole = true;
  for (const Vector& v : target) {
    values += v.size();
    for (const float x : v) whole = whole && x == std::nearbyint(x);
  }
  if (values < kLeastValues || whole) return std::nullopt;  // whole numbers and signs: causes of their own
  for (const Rounder& rounder : Rounders()) {
    bool all = true;
    for (const Vector& v : target) {
      for (size_t i = 0; i < v.size() && all; ++i) all = v[i] == rounder.round(v[i]);
    }
    if (!all) continue;
    Hypothesis row;
    row.cause = "output-quantization";
    row.variant = kRoundedTo + rounder.name;
    row.says = "every value is round to " + rounder.name + "; with ours rounded so the vectors agree";
    row.numeric = true;
    row.parameter = "output";
    row.value = json::value(rounder.name);
    row.edit.output = [round = rounder.round](Vector* v) {
      for (float& x : *v) x = round(x);
    };
    return row;
  }
  return std::nullopt;
}

}  // namespace truevec
