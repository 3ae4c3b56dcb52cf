// Linear to and from the pieces that a file keeps.
#include "kernels/kernels.h"
#include "tensor/linear_impl.h"
#include "tensor/ops.h"

namespace truevec {
namespace {

// Bytes of the packed panels (kernels.h, GemmArgs::packed); 0 for a storage that is not known.
int64_t PackedBytes(const PackedLinear& p) {
  const int64_t columns = (p.out + kernels::kPanel - 1) / kernels::kPanel * kernels::kPanel;
  switch (static_cast<kernels::Weights>(p.storage)) {
    case kernels::Weights::kFloat32:
      return columns * p.in * static_cast<int64_t>(sizeof(float));
    case kernels::Weights::kBFloat16:
      return columns * p.in * static_cast<int64_t>(sizeof(uint16_t));
    case kernels::Weights::kInt8:
      return columns * ((p.in + 1) / 2 * 2);
  }
  return 0;
}

}  // namespace

std::string_view PackedLayout() {
  // With the instruction set, which may choose how it wants its weights.
  static const std::string layout = std::string(TRUEVEC_PACKED_LAYOUT) + " " + kernels::Active().name;
  return layout;
}

PackedLinear Linear::ToPacked() const {
  PackedLinear p;
  p.in = impl_->in;
  p.out = impl_->out;
  p.limit = impl_->limit;
  p.storage = static_cast<int>(impl_->storage);
  p.type = static_cast<int>(impl_->type);
  p.note = impl_->note;
  p.packed = {impl_->packed.as<std::byte>(), impl_->packed.size()};
  p.bias = impl_->bias;
  p.column_scales = impl_->column_scales;
  return p;
}

std::optional<Linear> Linear::FromPacked(const PackedLinear& p, std::shared_ptr<const void> owner) {
  constexpr int64_t kMost = int64_t{1} << 24;  // features; keeps the products below from overflowing
  if (p.in < 1 || p.out < 1 || p.in > kMost || p.out > kMost) return std::nullopt;
  const bool int8 = p.storage == static_cast<int>(kernels::Weights::kInt8);
  const int64_t columns = (p.out + kernels::kPanel - 1) / kernels::kPanel * kernels::kPanel;
  const bool fits = PackedBytes(p) == static_cast<int64_t>(p.packed.size()) && !p.packed.empty() &&
                    (p.bias.empty() || static_cast<int64_t>(p.bias.size()) == p.out) &&
                    static_cast<int64_t>(p.column_scales.size()) == (int8 ? columns : 0) && p.type >= 0 &&
                    p.type <= static_cast<int>(ComputeType::kInt8) && (!int8 || (p.limit > 0 && p.limit <= 32767));
  if (!fits) return std::nullopt;
  Linear linear;
  linear.impl_ = std::make_unique<Impl>();
  linear.impl_->in = p.in;
  linear.impl_->out = p.out;
  linear.impl_->limit = p.limit;
  linear.impl_->storage = static_cast<kernels::Weights>(p.storage);
  linear.impl_->type = static_cast<ComputeType>(p.type);
  linear.impl_->note = p.note;
  linear.impl_->packed = AlignedBytes(p.packed.data(), p.packed.size(), std::move(owner));
  linear.impl_->bias.assign(p.bias.begin(), p.bias.end());
  linear.impl_->column_scales.assign(p.column_scales.begin(), p.column_scales.end());
  return linear;
}

}  // namespace truevec
