// Linear: packing into [ceil(out / 16)][in][16] panels, and the threaded product.
#include <algorithm>
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

constexpr int64_t kUnitRows = 48;

}  // namespace

Linear::Linear() = default;
Linear::Linear(Linear&&) noexcept = default;
Linear& Linear::operator=(Linear&&) noexcept = default;
Linear::~Linear() = default;

int64_t Linear::in_features() const { return impl_->in; }
int64_t Linear::out_features() const { return impl_->out; }
ComputeType Linear::compute_type() const { return ComputeType::kFloat32; }

Linear Linear::Pack(std::span<const TensorView> weights, std::span<const TensorView> biases, ComputeType type) {
  TV_CHECK(!weights.empty() && type == ComputeType::kFloat32);
  Linear linear;
  linear.impl_ = std::make_unique<Impl>();
  Impl& impl = *linear.impl_;
  impl.in = weights[0].shape[1];
  for (const TensorView& weight : weights) {
    TV_CHECK(weight.shape.size() == 2 && weight.shape[1] == impl.in);
    impl.out += weight.shape[0];
  }
  const int64_t panels = (impl.out + kernels::kPanel - 1) / kernels::kPanel;
  impl.packed = AlignedFloats(panels * impl.in * kernels::kPanel);
  std::vector<float> row(static_cast<size_t>(impl.in));
  int64_t column = 0;
  for (const TensorView& weight : weights) {
    const size_t row_bytes = static_cast<size_t>(impl.in) * ElementBytes(weight.dtype);
    for (int64_t r = 0; r < weight.shape[0]; ++r, ++column) {
      ConvertToFloat(static_cast<const char*>(weight.data) + static_cast<size_t>(r) * row_bytes, weight.dtype, impl.in,
                     row.data());
      float* panel =
          impl.packed.data() + column / kernels::kPanel * impl.in * kernels::kPanel + column % kernels::kPanel;
      for (int64_t i = 0; i < impl.in; ++i) panel[i * kernels::kPanel] = row[static_cast<size_t>(i)];
    }
  }
  for (const TensorView& bias : biases) {
    if (!bias.present()) continue;
    const std::vector<float> values = ToFloat(bias);
    impl.bias.insert(impl.bias.end(), values.begin(), values.end());
  }
  TV_CHECK(impl.bias.empty() || static_cast<int64_t>(impl.bias.size()) == impl.out);
  return linear;
}

void Apply(const ExecContext& ctx, const Linear& linear, ConstMatrix x, Matrix out, Activation activation,
           const ConstMatrix* residual) {
  if (ctx.simulation != nullptr) return simulated::Apply(ctx, linear, x, out, activation, residual);
  const Linear::Impl& impl = linear.impl();
  TV_CHECK(x.cols == impl.in && out.cols == impl.out && x.rows == out.rows);
  TV_CHECK(residual == nullptr || (residual->rows == out.rows && residual->cols == out.cols));
  if (x.rows == 0) return;
  ctx.CountFlops(2.0 * static_cast<double>(x.rows) * static_cast<double>(impl.in) * static_cast<double>(impl.out));
  const int64_t panels = (impl.out + kernels::kPanel - 1) / kernels::kPanel;
  // Units: blocks of rows times groups of panels, about four per thread so that they even out. Rows are cut first: a
  // block of 48 or more reads its weights once from the far cache.
  const int64_t threads = ctx.pool->threads();
  const int64_t wanted = threads == 1 ? 1 : threads * 4;
  const int64_t row_blocks = std::clamp<int64_t>(x.rows / kUnitRows, 1, std::max<int64_t>(wanted, x.rows / 96));
  const int64_t groups = std::clamp<int64_t>((wanted + row_blocks - 1) / row_blocks, 1, (panels + 3) / 4);
  const kernels::KernelTable& table = kernels::Active();
  ctx.pool->ParallelFor(row_blocks * groups, [&](int64_t unit, int) {
    const int64_t block = unit / groups;
    const int64_t group = unit % groups;
    const int64_t row0 = x.rows * block / row_blocks;
    const int64_t row1 = x.rows * (block + 1) / row_blocks;
    kernels::GemmArgs args{};
    args.m = row1 - row0;
    args.n = impl.out;
    args.k = impl.in;
    args.a = x.row(row0);
    args.lda = x.stride;
    args.packed = impl.packed.data();
    args.bias = impl.bias.empty() ? nullptr : impl.bias.data();
    args.act = KernelAct(activation);
    args.residual = residual == nullptr ? nullptr : residual->row(row0);
    args.ldr = residual == nullptr ? 0 : residual->stride;
    args.c = out.row(row0);
    args.ldc = out.stride;
    table.gemm(args, panels * group / groups, panels * (group + 1) / groups);
  });
}

}  // namespace truevec
