#include "models/decoder_heads.h"

#include <algorithm>
#include <cmath>

namespace truevec {
namespace {

class LastTokenHead : public Head {
 public:
  LastTokenHead(Linear out, std::optional<int32_t> padding) : out_(std::move(out)), padding_(padding) {}
  int64_t outputs() const override { return out_.out_features(); }
  bool per_token() const override { return false; }
  Status Forward(const PackedBatch& batch, ConstMatrix hidden, const ExecContext& ctx, Matrix out) const override {
    const Arena::Scope scope(ctx.arena);
    const Matrix last = ctx.arena->NewMatrix(batch.sequences(), hidden.cols);
    for (int64_t s = 0; s < batch.sequences(); ++s) {
      const int32_t begin = batch.offsets[static_cast<size_t>(s)];
      int32_t at = batch.offsets[static_cast<size_t>(s) + 1] - 1;
      if (at < begin) return InputError("a text without tokens has no label");
      while (padding_.has_value() && at > begin && batch.ids[static_cast<size_t>(at)] == *padding_) --at;
      std::copy(hidden.row(at), hidden.row(at) + hidden.cols, last.row(s));
    }
    Apply(ctx, out_, last, out);
    ctx.Record("head.logits", out);
    return Status::Ok();
  }

 private:
  Linear out_;
  std::optional<int32_t> padding_;
};

class CausalLmHead : public Head {
 public:
  CausalLmHead(Linear out, double softcap) : out_(std::move(out)), softcap_(softcap) {}
  int64_t outputs() const override { return out_.out_features(); }
  bool per_token() const override { return true; }
  Status Forward(const PackedBatch&, ConstMatrix hidden, const ExecContext& ctx, Matrix out) const override {
    Apply(ctx, out_, hidden, out);
    if (softcap_ > 0) {
      const auto cap = static_cast<float>(softcap_);
      Scale(ctx, out, 1 / cap);
      Activate(ctx, Activation::kTanh, out);
      Scale(ctx, out, cap);
    }
    ctx.Record("head.logits", out);
    return Status::Ok();
  }

 private:
  Linear out_;
  double softcap_;
};

}  // namespace

Result<std::unique_ptr<Head>> LoadLastTokenHead(const WeightScope& out, int64_t hidden, std::optional<int32_t> padding,
                                                ComputeType type) {
  TV_ASSIGN_OR_RETURN(const TensorView weight, out.Get("weight", {-1, hidden}));
  return std::unique_ptr<Head>(std::make_unique<LastTokenHead>(Linear::Pack({&weight, 1}, {}, type), padding));
}

std::unique_ptr<Head> MakeCausalLmHead(const TensorView& weight, double softcap, ComputeType type) {
  return std::make_unique<CausalLmHead>(Linear::Pack({&weight, 1}, {}, type), softcap);
}

}  // namespace truevec
