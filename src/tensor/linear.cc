// Linear: packing into [ceil(out / 16)][in][16] panels, and the threaded product.
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <new>
#include <vector>

#include "base/check.h"
#include "kernels/kernels.h"
#include "tensor/linear_impl.h"
#include "tensor/ops.h"
#include "tensor/simulated_ops.h"

namespace truevec {

kernels::Act KernelAct(Activation activation) {
  switch (activation) {
    case Activation::kNone:
      return kernels::Act::kNone;
    case Activation::kGelu:
      return kernels::Act::kGelu;
    case Activation::kGeluTanh:
      return kernels::Act::kGeluTanh;
    case Activation::kQuickGelu:
      return kernels::Act::kQuickGelu;
    case Activation::kRelu:
      return kernels::Act::kRelu;
    case Activation::kSilu:
      return kernels::Act::kSilu;
    case Activation::kTanh:
      return kernels::Act::kTanh;
    case Activation::kSigmoid:
      return kernels::Act::kSigmoid;
    case Activation::kMish:
      return kernels::Act::kMish;
    case Activation::kGelu10:
      return kernels::Act::kGelu10;
  }
  return kernels::Act::kNone;
}

namespace {

using kernels::kPanel;

constexpr int64_t kTileRows = 6;   // divides or equals every register tile's but the scalar one's
constexpr int64_t kUnitRows = 24;  // fewest of a unit that is one of several
// int8 weights are refused for a matrix whose relative rounding error (Frobenius norm) exceeds this, and bfloat16 kept:
// 127 levels cost about 0.9 % of a matrix of normal weights, and 2 % means outliers that stretch the scales.
constexpr double kMaxInt8Error = 0.02;
// Fewest levels of a quantised activation; int32 sums bound them by the number of inputs.
constexpr int64_t kMinActivationLimit = 1023;

// Rows of stacked weights, widened to float32 sixteen at a time.
class Rows {
 public:
  Rows(std::span<const TensorView> weights, int64_t in) : in_(in), buffer_(static_cast<size_t>(kPanel * in)) {
    for (const TensorView& weight : weights) {
      const size_t row_bytes = static_cast<size_t>(in) * ElementBytes(weight.dtype);
      for (int64_t r = 0; r < weight.shape[0]; ++r) {
        rows_.push_back({static_cast<const char*>(weight.data) + static_cast<size_t>(r) * row_bytes, weight.dtype});
      }
    }
  }
  int64_t panels() const { return (static_cast<int64_t>(rows_.size()) + kPanel - 1) / kPanel; }
  // One pointer a column of the panel, each to [in] values; columns beyond the last are zero. Valid until the next
  // call.
  std::array<const float*, kPanel> Panel(int64_t panel) const {
    std::array<const float*, kPanel> columns{};
    for (int64_t j = 0; j < kPanel; ++j) {
      float* to = buffer_.data() + j * in_;
      columns[static_cast<size_t>(j)] = to;
      const auto row = static_cast<size_t>(panel * kPanel + j);
      if (row >= rows_.size()) {
        std::fill(to, to + in_, 0.0f);
      } else if (rows_[row].dtype == DType::kF32 &&
                 reinterpret_cast<uintptr_t>(rows_[row].data) % alignof(float) == 0) {
        columns[static_cast<size_t>(j)] = reinterpret_cast<const float*>(rows_[row].data);
      } else {
        ConvertToFloat(rows_[row].data, rows_[row].dtype, in_, to);
      }
    }
    return columns;
  }

 private:
  struct Row {
    const char* data;
    DType dtype;
  };
  int64_t in_;
  std::vector<Row> rows_;
  mutable std::vector<float> buffer_;
};

// Round to nearest even; NaN stays NaN.
uint16_t ToBFloat16(float x) {
  uint32_t bits = 0;
  std::memcpy(&bits, &x, sizeof bits);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

template <typename Stored, typename Convert>
void PackPanels(const Rows& rows, kernels::Weights storage, Linear::Impl* impl, Convert convert) {
  impl->storage = storage;
  impl->packed = AlignedBytes(static_cast<size_t>(rows.panels() * impl->in * kPanel) * sizeof(Stored));
  for (int64_t p = 0; p < rows.panels(); ++p) {
    const std::array<const float*, kPanel> columns = rows.Panel(p);
    Stored* to = impl->packed.as<Stored>() + p * impl->in * kPanel;
    for (int64_t i = 0; i < impl->in; ++i) {
      for (int64_t j = 0; j < kPanel; ++j) to[i * kPanel + j] = convert(columns[static_cast<size_t>(j)][i]);
    }
  }
}

// False, with a note, when the bounds above say that int8 is not for this matrix.
bool PackInt8(const Rows& rows, Linear::Impl* impl) {
  const int64_t in = impl->in;
  impl->limit = std::min<int64_t>(32767, (int64_t{1} << 31) / (127 * (in + 1)) - 1);
  if (impl->limit < kMinActivationLimit) {
    impl->note = std::to_string(in) + " inputs overflow int32 sums";
    return false;
  }
  const int64_t pairs = (in + 1) / 2;
  impl->packed = AlignedBytes(static_cast<size_t>(rows.panels() * pairs * 2 * kPanel));
  impl->column_scales.assign(static_cast<size_t>(rows.panels() * kPanel), 0.0f);
  double error = 0;
  double norm = 0;
  for (int64_t p = 0; p < rows.panels(); ++p) {
    const std::array<const float*, kPanel> columns = rows.Panel(p);
    int8_t* to = impl->packed.as<int8_t>() + p * pairs * 2 * kPanel;
    for (int64_t j = 0; j < kPanel; ++j) {
      const float* row = columns[static_cast<size_t>(j)];
      float top = 0;
      for (int64_t i = 0; i < in; ++i) top = std::max(top, std::abs(row[i]));
      const float scale = top / 127.0f;
      const float inverse = top > 0 ? 127.0f / top : 0.0f;
      impl->column_scales[static_cast<size_t>(p * kPanel + j)] = scale;
      for (int64_t i = 0; i < in; ++i) {
        const float q = std::clamp(std::nearbyint(row[i] * inverse), -127.0f, 127.0f);
        to[(i / 2 * kPanel + j) * 2 + i % 2] = static_cast<int8_t>(q);
        const double wrong = static_cast<double>(row[i]) - static_cast<double>(q) * scale;
        error += wrong * wrong;
        norm += static_cast<double>(row[i]) * row[i];
      }
    }
  }
  const double relative = norm > 0 ? std::sqrt(error / norm) : 0;
  if (!(relative <= kMaxInt8Error)) {
    char text[96];
    std::snprintf(text, sizeof text, "int8 would change the weights by %.1f %% (at most %.1f %%)", 100 * relative,
                  100 * kMaxInt8Error);
    impl->note = text;
    return false;
  }
  impl->storage = kernels::Weights::kInt8;
  return true;
}

}  // namespace

AlignedBytes::AlignedBytes(size_t count) : size_(count) {
  if (count == 0) return;
  data_ = mmap(nullptr, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (data_ == MAP_FAILED) throw std::bad_alloc();
}

AlignedBytes::~AlignedBytes() {
  if (data_ != nullptr && owner_ == nullptr) munmap(data_, size_);
}

Linear::Linear() = default;
Linear::Linear(Linear&&) noexcept = default;
Linear& Linear::operator=(Linear&&) noexcept = default;
Linear::~Linear() = default;

int64_t Linear::in_features() const { return impl_->in; }
int64_t Linear::out_features() const { return impl_->out; }
ComputeType Linear::compute_type() const { return impl_->type; }
const std::string& Linear::fallback_note() const { return impl_->note; }

Linear Linear::Pack(std::span<const TensorView> weights, std::span<const TensorView> biases, ComputeType type) {
  TV_CHECK(!weights.empty());
  Linear linear;
  linear.impl_ = std::make_unique<Impl>();
  Impl& impl = *linear.impl_;
  impl.in = weights[0].shape[1];
  bool all_bfloat16 = true;
  for (const TensorView& weight : weights) {
    TV_CHECK(weight.shape.size() == 2 && weight.shape[1] == impl.in);
    impl.out += weight.shape[0];
    all_bfloat16 = all_bfloat16 && weight.dtype == DType::kBF16;
  }
  for (const TensorView& bias : biases) {
    if (!bias.present()) continue;
    const std::vector<float> values = ToFloat(bias);
    impl.bias.insert(impl.bias.end(), values.begin(), values.end());
  }
  TV_CHECK(impl.bias.empty() || static_cast<int64_t>(impl.bias.size()) == impl.out);
  const Rows rows(weights, impl.in);
  impl.type = type;
  if (type == ComputeType::kInt8 && !PackInt8(rows, &impl)) impl.type = ComputeType::kBFloat16;
  if (impl.type == ComputeType::kBFloat16 || (impl.type == ComputeType::kFloat32 && all_bfloat16)) {
    PackPanels<uint16_t>(rows, kernels::Weights::kBFloat16, &impl, ToBFloat16);
  } else if (impl.type == ComputeType::kFloat32) {
    PackPanels<float>(rows, kernels::Weights::kFloat32, &impl, [](float x) { return x; });
  }
  return linear;
}

namespace {

// Activations as gemm_int8 (scaled integers) or gemm_bfloat16 (bfloat16, no scales) takes them.
struct QuantizedRows {
  int16_t* values = nullptr;  // [rows][stride]; null: float32, as they are
  int64_t stride = 0;
  float* scales = nullptr;
};

// How the product is computed: `gemm` serves every storage but int8.
enum class Product { kFloat32, kBFloat16, kInt8 };

Product ProductOf(const Linear::Impl& impl) {
  if (impl.storage == kernels::Weights::kInt8) return Product::kInt8;
  const bool rounds = impl.type != ComputeType::kFloat32 && impl.storage == kernels::Weights::kBFloat16;
  return rounds && impl.in % 2 == 0 && kernels::Active().gemm_bfloat16 != nullptr ? Product::kBFloat16
                                                                                  : Product::kFloat32;
}

QuantizedRows Quantize(const ExecContext& ctx, const Linear::Impl& impl, Product product, ConstMatrix x) {
  QuantizedRows q;
  if (product == Product::kFloat32) return q;
  q.stride = (impl.in + 1) / 2 * 2;
  q.values = ctx.arena->Allocate<int16_t>(x.rows * q.stride);
  if (product == Product::kInt8) q.scales = ctx.arena->Allocate<float>(x.rows);
  const int64_t blocks = std::clamp<int64_t>(x.rows * impl.in / 16384, 1, ctx.pool->threads() * 4);
  ctx.pool->ParallelFor(blocks, [&](int64_t block, int) {
    for (int64_t r = x.rows * block / blocks; r < x.rows * (block + 1) / blocks; ++r) {
      int16_t* to = q.values + r * q.stride;
      if (product == Product::kInt8) {
        q.scales[r] = kernels::Active().quantize_row(x.row(r), impl.in, impl.limit, to);
      } else {
        kernels::Active().round_row(x.row(r), impl.in, to);
      }
    }
  });
  return q;
}

// A product's units of work: blocks of rows, on whole register tiles, times groups of panels.
struct Units {
  int64_t rows, row_blocks, groups;
  int64_t tiles() const { return (rows + kTileRows - 1) / kTileRows; }
  int64_t FirstRow(int64_t block) const { return std::min(rows, tiles() * block / row_blocks * kTileRows); }
  int64_t MostRows() const { return std::min(rows, (tiles() + row_blocks - 1) / row_blocks * kTileRows); }
};

// About six a thread where rows allow it, so that they even out on a busy machine. Rows are cut first: each block packs
// its rows once. Panels only when rows alone give no two units a thread.
Units SplitProduct(int64_t rows, int64_t panels, int64_t threads) {
  Units units{rows, 1, 1};
  if (threads == 1) return units;
  units.row_blocks = std::clamp<int64_t>(rows / kUnitRows, 1, threads * 6);
  if (units.row_blocks >= 2 * threads) {
    units.row_blocks = units.row_blocks / threads * threads;
  } else {
    units.groups = std::clamp<int64_t>((3 * threads + units.row_blocks - 1) / units.row_blocks, 1, (panels + 3) / 4);
  }
  return units;
}

}  // namespace

void Apply(const ExecContext& ctx, const Linear& linear, ConstMatrix x, Matrix out, Activation activation,
           const ConstMatrix* residual) {
  if (ctx.simulation != nullptr) return simulated::Apply(ctx, linear, x, out, activation, residual);
  const Linear::Impl& impl = linear.impl();
  TV_CHECK(x.cols == impl.in && out.cols == impl.out && x.rows == out.rows);
  TV_CHECK(residual == nullptr || (residual->rows == out.rows && residual->cols == out.cols));
  if (x.rows == 0) return;
  ctx.CountFlops(2.0 * static_cast<double>(x.rows) * static_cast<double>(impl.in) * static_cast<double>(impl.out));
  const Arena::Scope scope(ctx.arena);
  const Product product = ProductOf(impl);
  const QuantizedRows quantized = Quantize(ctx, impl, product, x);
  const int64_t panels = (impl.out + kernels::kPanel - 1) / kernels::kPanel;
  const int64_t threads = ctx.pool->threads();
  const Units units = SplitProduct(x.rows, panels, threads);
  const kernels::KernelTable& table = kernels::Active();
  const auto gemm = product == Product::kInt8       ? table.gemm_int8
                    : product == Product::kBFloat16 ? table.gemm_bfloat16
                                                    : table.gemm;
  const int64_t workspace = kernels::GemmWorkspace(units.MostRows(), impl.in);
  float* workspaces = ctx.arena->Allocate<float>(workspace * threads);
  ctx.pool->ParallelFor(units.row_blocks * units.groups, [&](int64_t unit, int worker) {
    const int64_t block = unit / units.groups;
    const int64_t group = unit % units.groups;
    const int64_t row0 = units.FirstRow(block);
    const int64_t row1 = units.FirstRow(block + 1);
    kernels::GemmArgs args{};
    args.m = row1 - row0;
    args.n = impl.out;
    args.k = impl.in;
    args.a = x.row(row0);
    args.lda = x.stride;
    args.packed = impl.packed.as<std::byte>();
    args.weights = impl.storage;
    args.bias = impl.bias.empty() ? nullptr : impl.bias.data();
    args.act = KernelAct(activation);
    args.residual = residual == nullptr ? nullptr : residual->row(row0);
    args.ldr = residual == nullptr ? 0 : residual->stride;
    args.c = out.row(row0);
    args.ldc = out.stride;
    args.workspace = workspaces + worker * workspace;
    if (quantized.values != nullptr) {
      args.quantized = quantized.values + row0 * quantized.stride;
      args.ldq = quantized.stride;
    }
    if (product == Product::kInt8) {
      args.row_scales = quantized.scales + row0;
      args.column_scales = impl.column_scales.data();
    }
    gemm(args, panels * group / units.groups, panels * (group + 1) / units.groups);
  });
}

}  // namespace truevec
