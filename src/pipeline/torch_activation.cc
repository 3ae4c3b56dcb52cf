#include "pipeline/torch_activation.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "pipeline/exact_math.h"

namespace truevec {
namespace {

using exact::Exp;
using exact::Log1p;

double Sigmoid(double x) { return x >= 0 ? 1 / (1 + Exp(-x)) : Exp(x) / (1 + Exp(x)); }
double Softplus(double x) { return x > 20 ? x : std::max(x, 0.0) + Log1p(Exp(-std::abs(x))); }
double Tanh(double x) {
  const double t = exact::Expm1(-2 * std::abs(x));
  return std::copysign(-t / (t + 2), x);
}

// Elementwise functions beyond those of the kernels; evaluated in double, with torch's default arguments.
double Elu(double x) { return x > 0 ? x : exact::Expm1(x); }
double Selu(double x) {
  return 1.0507009873554804934193349852946 * (x > 0 ? x : 1.6732632423543772848170429916717 * exact::Expm1(x));
}
double LeakyRelu(double x) { return x > 0 ? x : 0.01 * x; }
double RRelu(double x) { return x > 0 ? x : (1.0 / 8 + 1.0 / 3) / 2 * x; }  // the mean slope, outside training
double Relu6(double x) { return std::clamp(x, 0.0, 6.0); }
double Hardtanh(double x) { return std::clamp(x, -1.0, 1.0); }
double Hardsigmoid(double x) { return std::clamp(x + 3, 0.0, 6.0) / 6; }
double Hardswish(double x) { return x * Hardsigmoid(x); }
double Hardshrink(double x) { return std::abs(x) > 0.5 ? x : 0; }
double Softshrink(double x) { return x > 0.5 ? x - 0.5 : x < -0.5 ? x + 0.5 : 0; }
double LogSigmoid(double x) { return std::min(x, 0.0) - Log1p(Exp(-std::abs(x))); }
double Softsign(double x) { return x / (1 + std::abs(x)); }
double Tanhshrink(double x) { return x - Tanh(x); }
double MishExact(double x) { return x * Tanh(Softplus(x)); }

enum class Kind { kIdentity, kKernel, kScalar, kSoftmax, kSoftmin, kLogSoftmax, kGlu, kPrelu, kRefused };

struct Row {
  std::string_view name;
  Kind kind;
  Activation kernel = Activation::kNone;
  double (*scalar)(double) = nullptr;
  std::string_view refusal = {};
};

constexpr std::array<Row, 31> kRows = {{
    {"Identity", Kind::kIdentity},
    {"Dropout", Kind::kIdentity},
    {"ReLU", Kind::kKernel, Activation::kRelu},
    {"GELU", Kind::kKernel, Activation::kGelu},
    {"SiLU", Kind::kKernel, Activation::kSilu},
    {"Tanh", Kind::kKernel, Activation::kTanh},
    {"Sigmoid", Kind::kKernel, Activation::kSigmoid},
    {"Mish", Kind::kScalar, Activation::kNone, MishExact},
    {"ELU", Kind::kScalar, Activation::kNone, Elu},
    {"CELU", Kind::kScalar, Activation::kNone, Elu},  // alpha 1: the same function
    {"SELU", Kind::kScalar, Activation::kNone, Selu},
    {"LeakyReLU", Kind::kScalar, Activation::kNone, LeakyRelu},
    {"RReLU", Kind::kScalar, Activation::kNone, RRelu},
    {"ReLU6", Kind::kScalar, Activation::kNone, Relu6},
    {"Hardtanh", Kind::kScalar, Activation::kNone, Hardtanh},
    {"Hardsigmoid", Kind::kScalar, Activation::kNone, Hardsigmoid},
    {"Hardswish", Kind::kScalar, Activation::kNone, Hardswish},
    {"Hardshrink", Kind::kScalar, Activation::kNone, Hardshrink},
    {"Softshrink", Kind::kScalar, Activation::kNone, Softshrink},
    {"LogSigmoid", Kind::kScalar, Activation::kNone, LogSigmoid},
    {"Softplus", Kind::kScalar, Activation::kNone, Softplus},
    {"Softsign", Kind::kScalar, Activation::kNone, Softsign},
    {"Tanhshrink", Kind::kScalar, Activation::kNone, Tanhshrink},
    {"Softmax", Kind::kSoftmax},
    {"Softmin", Kind::kSoftmin},
    {"LogSoftmax", Kind::kLogSoftmax},
    {"GLU", Kind::kGlu},
    {"PReLU", Kind::kPrelu},
    {"Threshold", Kind::kRefused, Activation::kNone, nullptr, "needs arguments that a config cannot give"},
    {"MultiheadAttention", Kind::kRefused, Activation::kNone, nullptr, "needs arguments that a config cannot give"},
    {"Softmax2d", Kind::kRefused, Activation::kNone, nullptr, "is for images"},
}};

constexpr std::array<std::string_view, 5> kPrefixes = {"torch.nn.modules.activation.", "torch.nn.modules.linear.",
                                                       "torch.nn.modules.dropout.", "torch.nn.modules.", "torch.nn."};

void SoftmaxRow(Kind kind, float* x, int64_t n, double* buffer) {
  const double sign = kind == Kind::kSoftmin ? -1 : 1;
  double largest = -INFINITY;
  for (int64_t i = 0; i < n; ++i) largest = std::max(largest, sign * static_cast<double>(x[i]));
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += buffer[i] = Exp(sign * static_cast<double>(x[i]) - largest);
  const double log_sum = exact::Log(sum);
  for (int64_t i = 0; i < n; ++i) {
    x[i] =
        static_cast<float>(kind == Kind::kLogSoftmax ? static_cast<double>(x[i]) - largest - log_sum : buffer[i] / sum);
  }
}

Matrix Glu(const ExecContext& ctx, Matrix x) {
  const Matrix out = ctx.arena->NewMatrix(x.rows, x.cols / 2);
  for (int64_t r = 0; r < x.rows; ++r) {
    for (int64_t c = 0; c < out.cols; ++c) {
      out.row(r)[c] =
          static_cast<float>(static_cast<double>(x.row(r)[c]) * Sigmoid(static_cast<double>(x.row(r)[c + out.cols])));
    }
  }
  return out;
}

}  // namespace

Result<TorchActivation> TorchActivation::Find(const std::string& path, const std::string& where, int64_t width,
                                              bool per_token) {
  std::string_view name = path;
  for (const std::string_view prefix : kPrefixes) {
    if (name.starts_with(prefix)) {
      name.remove_prefix(prefix.size());
      break;
    }
  }
  if (name.size() == path.size()) {
    return ModelError(where + ": activation \"" + path +
                      "\" is code outside torch.nn, which is never executed (the reference would use Tanh instead)");
  }
  const auto* row = std::find_if(kRows.begin(), kRows.end(), [&](const Row& r) { return r.name == name; });
  if (row == kRows.end()) return ModelError(where + ": activation \"" + path + "\" is not supported");
  if (row->kind == Kind::kRefused) {
    return ModelError(where + ": activation \"" + path + "\" " + std::string(row->refusal));
  }
  const bool over_rows = row->kind == Kind::kSoftmax || row->kind == Kind::kSoftmin || row->kind == Kind::kLogSoftmax;
  if (over_rows && per_token) {
    return ModelError(where + ": activation \"" + path + "\" on token vectors would mix the texts of a batch");
  }
  if (row->kind == Kind::kGlu && width % 2 != 0) {
    return ModelError(where + ": activation \"" + path + "\" needs an even width, got " + std::to_string(width));
  }
  TorchActivation activation;
  activation.row_ = static_cast<int>(row - kRows.begin());
  return activation;
}

Result<TorchActivation> TorchActivation::Load(const std::string& path, const std::string& where,
                                              const WeightScope& weights, int64_t width, bool per_token) {
  TV_ASSIGN_OR_RETURN(TorchActivation activation, Find(path, where, width, per_token));
  if (kRows[static_cast<size_t>(activation.row_)].kind == Kind::kPrelu) {
    TV_ASSIGN_OR_RETURN(const std::vector<float> slope, weights.GetFloats("weight", {1}));
    activation.prelu_ = slope[0];
  }
  return activation;
}

Result<TorchActivation> TorchActivation::FromPath(const std::string& path, const std::string& where, int64_t width) {
  TV_ASSIGN_OR_RETURN(TorchActivation activation, Find(path, where, width, false));
  const Kind kind = kRows[static_cast<size_t>(activation.row_)].kind;
  if (kind == Kind::kPrelu) activation.prelu_ = 0.25f;  // torch's initial value: nothing can have trained it
  if (kind == Kind::kGlu) return ModelError(where + ": activation \"" + path + "\" would halve the scores");
  return activation;
}

Matrix TorchActivation::Run(const ExecContext& ctx, Matrix x) const {
  if (row_ < 0) return x;
  const Row& row = kRows[static_cast<size_t>(row_)];
  switch (row.kind) {
    case Kind::kIdentity:
    case Kind::kRefused:
      return x;
    case Kind::kKernel:
      Activate(ctx, row.kernel, x);
      return x;
    case Kind::kGlu:
      return Glu(ctx, x);
    case Kind::kScalar:
      for (int64_t r = 0; r < x.rows; ++r) {
        for (int64_t c = 0; c < x.cols; ++c) {
          x.row(r)[c] = static_cast<float>(row.scalar(static_cast<double>(x.row(r)[c])));
        }
      }
      return x;
    case Kind::kPrelu:
      for (int64_t r = 0; r < x.rows; ++r) {
        for (int64_t c = 0; c < x.cols; ++c) x.row(r)[c] = x.row(r)[c] > 0 ? x.row(r)[c] : prelu_ * x.row(r)[c];
      }
      return x;
    case Kind::kSoftmax:
    case Kind::kSoftmin:
    case Kind::kLogSoftmax: {
      double* buffer = ctx.arena->Allocate<double>(x.cols);
      for (int64_t r = 0; r < x.rows; ++r) SoftmaxRow(row.kind, x.row(r), x.cols, buffer);
      return x;
    }
  }
  return x;
}

int64_t TorchActivation::OutputWidth(int64_t width) const {
  return row_ >= 0 && kRows[static_cast<size_t>(row_)].kind == Kind::kGlu ? width / 2 : width;
}

json::value TorchActivation::Describe() const {
  if (row_ < 0) return "Identity";
  return json::value(kRows[static_cast<size_t>(row_)].name);
}

}  // namespace truevec
