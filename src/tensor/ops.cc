// Row-wise ops: norms, activations, embeddings, rotary. Attention is in attention.cc, Linear in linear.cc.
#include "tensor/ops.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "base/check.h"
#include "kernels/kernels.h"
#include "tensor/linear_impl.h"
#include "tensor/simulated_ops.h"

namespace truevec {
namespace {

struct NamedActivation {
  std::string_view name;
  Activation activation;
};

// transformers/activations.py ACT2FN
constexpr std::array<NamedActivation, 15> kActivations = {{
    {"gelu", Activation::kGelu},
    {"gelu_python", Activation::kGelu},
    {"gelu_new", Activation::kGeluTanh},
    {"gelu_pytorch_tanh", Activation::kGeluTanh},
    {"gelu_python_tanh", Activation::kGeluTanh},
    {"gelu_fast", Activation::kGeluTanh},
    {"gelu_10", Activation::kGelu10},
    {"quick_gelu", Activation::kQuickGelu},
    {"relu", Activation::kRelu},
    {"silu", Activation::kSilu},
    {"swish", Activation::kSilu},
    {"tanh", Activation::kTanh},
    {"sigmoid", Activation::kSigmoid},
    {"mish", Activation::kMish},
    {"linear", Activation::kNone},
}};

// Runs body(first, last) over blocks of rows.
template <typename Body>
void ForRows(const ExecContext& ctx, int64_t rows, int64_t cols, Body body) {
  const int64_t min_rows = std::max<int64_t>(1, 16384 / std::max<int64_t>(cols, 1));
  const int64_t blocks = std::clamp<int64_t>(rows / min_rows, 1, ctx.pool->threads() * 4);
  ctx.pool->ParallelFor(rows > 0 ? blocks : 0,
                        [&](int64_t block, int) { body(rows * block / blocks, rows * (block + 1) / blocks); });
}

}  // namespace

Result<Activation> ActivationByName(std::string_view name) {
  std::string known;
  for (const NamedActivation& row : kActivations) {
    if (row.name == name) return row.activation;
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  return ModelError("activation \"" + std::string(name) + "\" is not supported; known: " + known);
}

Result<ComputeType> ComputeTypeByName(std::string_view name) {
  if (name == "float32") return ComputeType::kFloat32;
  if (name == "bfloat16") return ComputeType::kBFloat16;
  if (name == "int8") return ComputeType::kInt8;
  return UsageError("dtype \"" + std::string(name) + "\" is not supported; expected float32, bfloat16 or int8");
}

void Activate(const ExecContext& ctx, Activation activation, Matrix x) {
  if (ctx.simulation != nullptr) return simulated::Activate(ctx, activation, x);
  ForRows(ctx, x.rows, x.cols, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) kernels::Active().activate(KernelAct(activation), x.row(r), x.cols);
  });
}

void GatedActivation(const ExecContext& ctx, Activation activation, ConstMatrix gate_up, bool gate_first, Matrix out) {
  if (ctx.simulation != nullptr) return simulated::GatedActivation(ctx, activation, gate_up, gate_first, out);
  TV_CHECK(gate_up.cols == 2 * out.cols && gate_up.rows == out.rows);
  ForRows(ctx, out.rows, out.cols, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      const float* gate = gate_up.row(r) + (gate_first ? 0 : out.cols);
      const float* up = gate_up.row(r) + (gate_first ? out.cols : 0);
      float* y = out.row(r);
      std::copy(gate, gate + out.cols, y);
      kernels::Active().activate(KernelAct(activation), y, out.cols);
      for (int64_t i = 0; i < out.cols; ++i) y[i] *= up[i];
    }
  });
}

void LayerNorm(const ExecContext& ctx, ConstMatrix x, const float* weight, const float* bias, double eps, Matrix out,
               const ConstMatrix* residual) {
  if (ctx.simulation != nullptr) return simulated::LayerNorm(ctx, x, weight, bias, eps, out, residual);
  ForRows(ctx, x.rows, x.cols, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      const float* add = residual != nullptr ? residual->row(r) : nullptr;
      kernels::Active().layer_norm(x.row(r), add, x.cols, weight, bias, eps, out.row(r));
    }
  });
}

void RmsNorm(const ExecContext& ctx, ConstMatrix x, const float* weight, double eps, float weight_offset, Matrix out) {
  if (ctx.simulation != nullptr) return simulated::RmsNorm(ctx, x, weight, eps, weight_offset, out);
  ForRows(ctx, x.rows, x.cols, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      kernels::Active().rms_norm(x.row(r), x.cols, weight, eps, weight_offset, out.row(r));
    }
  });
}

void RmsNormHeads(const ExecContext& ctx, Matrix x, int64_t head_dim, const float* weight, double eps,
                  float weight_offset) {
  if (ctx.simulation != nullptr) {
    return simulated::RmsNormHeads(ctx, x, head_dim, weight, eps, weight_offset);
  }
  TV_CHECK(x.cols % head_dim == 0);
  ForRows(ctx, x.rows, x.cols, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      for (int64_t h = 0; h < x.cols; h += head_dim) {
        float* head = x.row(r) + h;
        kernels::Active().rms_norm(head, head_dim, weight, eps, weight_offset, head);
      }
    }
  });
}

void Softmax(const ExecContext& ctx, Matrix x) {
  const int64_t padded = (x.cols + kernels::kLanes - 1) / kernels::kLanes * kernels::kLanes;
  ForRows(ctx, x.rows, x.cols, [&](int64_t first, int64_t last) {
    std::vector<float> scores(static_cast<size_t>(padded));
    for (int64_t r = first; r < last; ++r) {
      float* row = x.row(r);
      std::copy(row, row + x.cols, scores.data());
      const double sum = kernels::Active().softmax({scores.data(), padded, 0, x.cols, 1.0f, 0.0f, nullptr});
      for (int64_t i = 0; i < x.cols; ++i) {
        row[i] = static_cast<float>(static_cast<double>(scores[static_cast<size_t>(i)]) / sum);
      }
    }
  });
}

void Add(const ExecContext& ctx, ConstMatrix a, ConstMatrix b, Matrix out) {
  if (ctx.simulation != nullptr) return simulated::Add(ctx, a, b, out);
  ForRows(ctx, out.rows, out.cols, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      for (int64_t i = 0; i < out.cols; ++i) out.row(r)[i] = a.row(r)[i] + b.row(r)[i];
    }
  });
}

void Scale(const ExecContext& ctx, Matrix x, float factor) {
  if (ctx.simulation != nullptr) return simulated::Scale(ctx, x, factor);
  ForRows(ctx, x.rows, x.cols, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      for (int64_t i = 0; i < x.cols; ++i) x.row(r)[i] *= factor;
    }
  });
}

void EmbeddingLookup(const ExecContext& ctx, const TensorView& table, std::span<const int32_t> ids, bool accumulate,
                     Matrix out) {
  if (ctx.simulation != nullptr) return simulated::EmbeddingLookup(ctx, table, ids, accumulate, out);
  TV_CHECK(table.shape.size() == 2 && table.shape[1] == out.cols && static_cast<int64_t>(ids.size()) == out.rows);
  const size_t row_bytes = static_cast<size_t>(out.cols) * ElementBytes(table.dtype);
  ForRows(ctx, out.rows, out.cols, [&](int64_t first, int64_t last) {
    std::vector<float> buffer(accumulate ? static_cast<size_t>(out.cols) : 0);
    for (int64_t r = first; r < last; ++r) {
      const int64_t id = ids[static_cast<size_t>(r)];
      TV_CHECK(id >= 0 && id < table.shape[0]);
      const char* source = static_cast<const char*>(table.data) + static_cast<size_t>(id) * row_bytes;
      float* y = out.row(r);
      if (!accumulate) {
        ConvertToFloat(source, table.dtype, out.cols, y);
        continue;
      }
      ConvertToFloat(source, table.dtype, out.cols, buffer.data());
      for (int64_t i = 0; i < out.cols; ++i) y[i] += buffer[static_cast<size_t>(i)];
    }
  });
}

void Rope(const ExecContext& ctx, const RopeTable& table, std::span<const int32_t> positions, int64_t head_dim,
          Matrix x) {
  if (ctx.simulation != nullptr) return simulated::Rope(ctx, table, positions, head_dim, x);
  TV_CHECK(x.cols % head_dim == 0 && table.rotary_dim <= head_dim);
  const int64_t half = table.rotary_dim / 2;
  ForRows(ctx, x.rows, x.cols, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      const int64_t position = positions[static_cast<size_t>(r)];
      TV_CHECK(position >= 0 && position < table.positions);
      const float* cos = table.cos + position * half;
      const float* sin = table.sin + position * half;
      for (int64_t h = 0; h < x.cols; h += head_dim) {
        float* head = x.row(r) + h;
        for (int64_t i = 0; i < half; ++i) {
          float& a = head[table.interleaved ? 2 * i : i];
          float& b = head[table.interleaved ? 2 * i + 1 : i + half];
          const double x0 = a, x1 = b, c = cos[i], s = sin[i];  // products are exact in double
          a = static_cast<float>(x0 * c - x1 * s);
          b = static_cast<float>(x1 * c + x0 * s);
        }
      }
    }
  });
}

void L2Normalize(const ExecContext& ctx, Matrix x) {
  ForRows(ctx, x.rows, x.cols, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      float* row = x.row(r);
      const double norm = std::max(std::sqrt(kernels::Active().sum_squares(row, x.cols)), 1e-12);
      for (int64_t i = 0; i < x.cols; ++i) row[i] = static_cast<float>(static_cast<double>(row[i]) / norm);
    }
  });
}

}  // namespace truevec
