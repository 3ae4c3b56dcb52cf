#include "models/heads.h"

#include <algorithm>

namespace truevec {
namespace {

class FirstTokenHead : public Head {
 public:
  FirstTokenHead(Linear dense, Activation activation, Linear out)
      : dense_(std::move(dense)), activation_(activation), out_(std::move(out)) {}
  int64_t outputs() const override { return out_.out_features(); }
  bool per_token() const override { return false; }
  Status Forward(const PackedBatch& batch, ConstMatrix hidden, const ExecContext& ctx, Matrix out) const override {
    const Arena::Scope scope(ctx.arena);
    const Matrix first = ctx.arena->NewMatrix(batch.sequences(), hidden.cols);
    for (int64_t s = 0; s < batch.sequences(); ++s) {
      const int32_t begin = batch.offsets[static_cast<size_t>(s)];
      if (begin == batch.offsets[static_cast<size_t>(s) + 1]) return InputError("a text without tokens has no label");
      std::copy(hidden.row(begin), hidden.row(begin) + hidden.cols, first.row(s));
    }
    const Matrix pooled = ctx.arena->NewMatrix(batch.sequences(), hidden.cols);
    Apply(ctx, dense_, first, pooled, activation_);
    ctx.Record("head.dense", pooled);
    Apply(ctx, out_, pooled, out);
    ctx.Record("head.logits", out);
    return Status::Ok();
  }

 private:
  Linear dense_;
  Activation activation_;
  Linear out_;
};

class MlmHead : public Head {
 public:
  MlmHead(Linear dense, Activation activation, NormWeights norm, Linear decoder)
      : dense_(std::move(dense)), activation_(activation), norm_(std::move(norm)), decoder_(std::move(decoder)) {}
  int64_t outputs() const override { return decoder_.out_features(); }
  bool per_token() const override { return true; }
  Status Forward(const PackedBatch&, ConstMatrix hidden, const ExecContext& ctx, Matrix out) const override {
    const Arena::Scope scope(ctx.arena);
    const Matrix x = ctx.arena->NewMatrix(hidden.rows, dense_.out_features());
    Apply(ctx, dense_, hidden, x, activation_);
    norm_.Apply(ctx, x, x);
    Apply(ctx, decoder_, x, out);
    ctx.Record("head.logits", out);
    return Status::Ok();
  }

 private:
  Linear dense_;
  Activation activation_;
  NormWeights norm_;
  Linear decoder_;
};

}  // namespace

Result<std::unique_ptr<Head>> LoadFirstTokenHead(const WeightScope& dense, Activation activation,
                                                 const WeightScope& out, int64_t hidden, ComputeType type) {
  TV_ASSIGN_OR_RETURN(Linear dense_linear, LoadLinear(dense, hidden, hidden, type));
  TV_ASSIGN_OR_RETURN(const TensorView weight, out.Get("weight", {-1, hidden}));
  TV_ASSIGN_OR_RETURN(Linear out_linear, LoadLinear(out, hidden, weight.shape[0], type));
  return std::unique_ptr<Head>(
      std::make_unique<FirstTokenHead>(std::move(dense_linear), activation, std::move(out_linear)));
}

Result<std::unique_ptr<Head>> LoadMlmHead(const MlmHeadWeights& w, int64_t hidden, ComputeType type) {
  const int64_t width = w.decoder.shape[1];
  TV_ASSIGN_OR_RETURN(Linear dense, LoadLinear(w.dense, hidden, width, type));
  TV_ASSIGN_OR_RETURN(NormWeights norm, NormWeights::Load(w.norm, width, w.eps));
  Linear decoder = Linear::Pack({&w.decoder, 1}, {&w.bias, 1}, type);
  return std::unique_ptr<Head>(
      std::make_unique<MlmHead>(std::move(dense), w.activation, std::move(norm), std::move(decoder)));
}

}  // namespace truevec
