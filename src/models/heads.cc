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
  bool first_token_only() const override { return true; }
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

// Mean over each sequence's rows, summed in double.
void MeanRows(const PackedBatch& batch, ConstMatrix from, Matrix out) {
  std::vector<double> sums(static_cast<size_t>(from.cols));
  for (int64_t s = 0; s < batch.sequences(); ++s) {
    const int32_t first = batch.offsets[static_cast<size_t>(s)];
    const int32_t last = batch.offsets[static_cast<size_t>(s) + 1];
    std::fill(sums.begin(), sums.end(), 0.0);
    for (int32_t r = first; r < last; ++r) {
      for (int64_t c = 0; c < from.cols; ++c) sums[static_cast<size_t>(c)] += static_cast<double>(from.row(r)[c]);
    }
    for (int64_t c = 0; c < from.cols; ++c) {
      out.row(s)[c] = static_cast<float>(sums[static_cast<size_t>(c)] / static_cast<double>(last - first));
    }
  }
}

class PooledHead : public Head {
 public:
  PooledHead(Linear dense, Activation activation, std::optional<NormWeights> norm, Linear out, TokenPooling pooling)
      : dense_(std::move(dense)),
        activation_(activation),
        norm_(std::move(norm)),
        out_(std::move(out)),
        pooling_(pooling) {}
  int64_t outputs() const override { return out_.out_features(); }
  bool per_token() const override { return false; }
  bool first_token_only() const override { return pooling_ == TokenPooling::kFirst; }
  Status Forward(const PackedBatch& batch, ConstMatrix hidden, const ExecContext& ctx, Matrix out) const override {
    const Arena::Scope scope(ctx.arena);
    std::vector<int32_t> first;
    for (int64_t s = 0; s < batch.sequences(); ++s) {
      first.push_back(batch.offsets[static_cast<size_t>(s)]);
      if (first.back() == batch.offsets[static_cast<size_t>(s) + 1]) {
        return InputError("a text without tokens has no label");
      }
    }
    ConstMatrix x = hidden;
    if (pooling_ == TokenPooling::kFirst) x = GatherRows(ctx, hidden, first);
    if (pooling_ == TokenPooling::kMean) {
      const Matrix mean = ctx.arena->NewMatrix(batch.sequences(), hidden.cols);
      MeanRows(batch, hidden, mean);
      x = mean;
    }
    const Matrix dense = ctx.arena->NewMatrix(x.rows, dense_.out_features());
    Apply(ctx, dense_, x, dense, activation_);
    if (norm_) norm_->Apply(ctx, dense, dense);
    ctx.Record("head.dense", dense);
    if (pooling_ != TokenPooling::kLateMean) {
      Apply(ctx, out_, dense, out);
    } else {
      const Matrix tokens = ctx.arena->NewMatrix(x.rows, outputs());
      Apply(ctx, out_, dense, tokens);
      MeanRows(batch, tokens, out);
    }
    ctx.Record("head.logits", out);
    return Status::Ok();
  }

 private:
  Linear dense_;
  Activation activation_;
  std::optional<NormWeights> norm_;
  Linear out_;
  TokenPooling pooling_;
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

Result<std::unique_ptr<Head>> LoadPooledHead(const PooledHeadWeights& w, TokenPooling pooling, int64_t hidden,
                                             ComputeType type) {
  TV_ASSIGN_OR_RETURN(Linear dense, LoadLinear(w.dense, hidden, hidden, type, w.dense_bias));
  TV_ASSIGN_OR_RETURN(const TensorView weight, w.out.Get("weight", {-1, hidden}));
  TV_ASSIGN_OR_RETURN(Linear out, LoadLinear(w.out, hidden, weight.shape[0], type));
  return std::unique_ptr<Head>(
      std::make_unique<PooledHead>(std::move(dense), w.activation, w.norm, std::move(out), pooling));
}

Result<std::unique_ptr<Head>> LoadMlmHead(const MlmHeadWeights& w, int64_t hidden, ComputeType type) {
  const int64_t width = w.decoder.shape[1];
  TV_ASSIGN_OR_RETURN(Linear dense, LoadLinear(w.dense, hidden, width, type, w.dense_bias));
  TV_ASSIGN_OR_RETURN(NormWeights norm, NormWeights::Load(w.norm, width, w.eps, w.norm_bias));
  Linear decoder = Linear::Pack({&w.decoder, 1}, {&w.bias, 1}, type);
  return std::unique_ptr<Head>(
      std::make_unique<MlmHead>(std::move(dense), w.activation, std::move(norm), std::move(decoder)));
}

}  // namespace truevec
