#include "models/adapted_linear.h"

namespace truevec {
namespace {

constexpr std::string_view kOriginal = "parametrizations.weight.original";
constexpr std::string_view kLoraA = "parametrizations.weight.0.lora_A";
constexpr std::string_view kLoraB = "parametrizations.weight.0.lora_B";

// Task `t` of a stack of equal matrices [tasks, rows, cols].
TensorView Slice(const TensorView& stack, int64_t t) {
  const int64_t rows = stack.shape[1];
  const int64_t cols = stack.shape[2];
  const size_t bytes = static_cast<size_t>(rows * cols) * ElementBytes(stack.dtype);
  return {static_cast<const char*>(stack.data) + static_cast<size_t>(t) * bytes, stack.dtype, {rows, cols}};
}

Linear PackScaled(std::vector<float> values, int64_t out, int64_t in, double scaling) {
  for (float& x : values) x = static_cast<float>(static_cast<double>(x) * scaling);
  const TensorView view{values.data(), DType::kF32, {out, in}};
  return Linear::Pack({&view, 1}, {}, ComputeType::kFloat32);
}

}  // namespace

Result<int> AdapterConfig::Find(std::string_view task) const {
  if (task.empty()) return -1;
  std::string known;
  for (size_t i = 0; i < tasks.size(); ++i) {
    if (tasks[i] == task) return static_cast<int>(i);
    known += (known.empty() ? "" : ", ") + tasks[i];
  }
  return UsageError("task \"" + std::string(task) +
                    "\" has no adapter in the model; it has: " + (known.empty() ? "none" : known));
}

Result<AdaptedLinear> AdaptedLinear::Load(const AdapterConfig& c, const WeightScope& scope, int64_t in, int64_t out,
                                          ComputeType type) {
  AdaptedLinear linear;
  if (c.tasks.empty()) {
    TV_ASSIGN_OR_RETURN(linear.base, LoadLinear(scope, in, out, type));
    return linear;
  }
  const auto tasks = static_cast<int64_t>(c.tasks.size());
  TV_ASSIGN_OR_RETURN(const TensorView weight, scope.Get(kOriginal, {out, in}));
  TV_ASSIGN_OR_RETURN(const TensorView bias, scope.Get("bias", {out}));
  TV_ASSIGN_OR_RETURN(const TensorView a, scope.Get(kLoraA, {tasks, c.rank, in}));
  TV_ASSIGN_OR_RETURN(const TensorView b, scope.Get(kLoraB, {tasks, out, c.rank}));
  linear.base = Linear::Pack({&weight, 1}, {&bias, 1}, type);
  for (int64_t t = 0; t < tasks; ++t) {
    const TensorView down = Slice(a, t);
    linear.down.push_back(Linear::Pack({&down, 1}, {}, ComputeType::kFloat32));
    linear.up.push_back(PackScaled(ToFloat(Slice(b, t)), out, c.rank, c.scaling));
  }
  return linear;
}

void AdaptedLinear::Apply(const ExecContext& ctx, int task, ConstMatrix x, Matrix out, Activation activation) const {
  if (task < 0) {
    truevec::Apply(ctx, base, x, out, activation);
    return;
  }
  const auto t = static_cast<size_t>(task);
  const Arena::Scope scope(ctx.arena);
  truevec::Apply(ctx, base, x, out);
  const Matrix narrow = ctx.arena->NewMatrix(x.rows, down[t].out_features());
  truevec::Apply(ctx, down[t], x, narrow);
  const ConstMatrix sum = out;
  truevec::Apply(ctx, up[t], narrow, out, Activation::kNone, &sum);
  if (activation != Activation::kNone) Activate(ctx, activation, out);
}

Result<AdaptedTable> AdaptedTable::Load(const AdapterConfig& c, const WeightScope& scope, int64_t rows, int64_t width) {
  AdaptedTable table;
  table.store_ = scope.store();
  const auto tasks = static_cast<int64_t>(c.tasks.size());
  TV_ASSIGN_OR_RETURN(table.base_, scope.Get(kOriginal, {rows, width}));
  TV_ASSIGN_OR_RETURN(const TensorView a, scope.Get(kLoraA, {tasks, rows, c.rank}));
  TV_ASSIGN_OR_RETURN(const TensorView b, scope.Get(kLoraB, {tasks, c.rank, width}));
  for (int64_t t = 0; t < tasks; ++t) {
    table.narrow_.push_back(Slice(a, t));
    // x A B: B is [rank, width], the transpose of a Linear's weight.
    const std::vector<float> values = ToFloat(Slice(b, t));
    std::vector<float> transposed(values.size());
    for (int64_t r = 0; r < c.rank; ++r) {
      for (int64_t o = 0; o < width; ++o) {
        transposed[static_cast<size_t>(o * c.rank + r)] = values[static_cast<size_t>(r * width + o)];
      }
    }
    table.up_.push_back(PackScaled(std::move(transposed), width, c.rank, c.scaling));
  }
  return table;
}

void AdaptedTable::Lookup(const ExecContext& ctx, int task, std::span<const int32_t> ids, bool accumulate,
                          Matrix out) const {
  EmbeddingLookup(ctx, base_, ids, accumulate, out);
  if (task < 0) return;
  const auto t = static_cast<size_t>(task);
  const Arena::Scope scope(ctx.arena);
  const Matrix narrow = ctx.arena->NewMatrix(out.rows, narrow_[t].shape[1]);
  EmbeddingLookup(ctx, narrow_[t], ids, false, narrow);
  const ConstMatrix sum = out;
  Apply(ctx, up_[t], narrow, out, Activation::kNone, &sum);
}

}  // namespace truevec
