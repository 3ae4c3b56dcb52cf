#include "models/feed_forward.h"

#include <algorithm>
#include <numeric>

namespace truevec {
namespace {

class Plain : public FeedForward {
 public:
  Plain(Linear up, Activation activation, Linear down)
      : up_(std::move(up)), activation_(activation), down_(std::move(down)) {}
  void Forward(const ExecContext& ctx, int layer, ConstMatrix x, Matrix out) const override {
    const Arena::Scope scope(ctx.arena);
    const Matrix wide = ctx.arena->NewMatrix(x.rows, up_.out_features());
    Apply(ctx, up_, x, wide, activation_);
    ctx.Record(layer, "intermediate", wide);
    Apply(ctx, down_, wide, out);
  }

 private:
  Linear up_;
  Activation activation_;
  Linear down_;
};

class Gated : public FeedForward {
 public:
  Gated(Linear gate_up, bool gate_first, Activation activation, Linear down)
      : gate_up_(std::move(gate_up)), gate_first_(gate_first), activation_(activation), down_(std::move(down)) {}
  void Forward(const ExecContext& ctx, int layer, ConstMatrix x, Matrix out) const override {
    const Arena::Scope scope(ctx.arena);
    const Matrix both = ctx.arena->NewMatrix(x.rows, gate_up_.out_features());
    Apply(ctx, gate_up_, x, both);
    const Matrix wide = ctx.arena->NewMatrix(x.rows, down_.in_features());
    GatedActivation(ctx, activation_, both, gate_first_, wide);
    ctx.Record(layer, "intermediate", wide);
    Apply(ctx, down_, wide, out);
  }

 private:
  Linear gate_up_;
  bool gate_first_;
  Activation activation_;
  Linear down_;
};

// Rows that one expert serves, each with its weight.
struct Share {
  std::vector<int32_t> rows;
  std::vector<float> weights;
};

class Experts : public FeedForward {
 public:
  explicit Experts(MixtureOfExperts m) : m_(std::move(m)) {}

  void Forward(const ExecContext& ctx, int layer, ConstMatrix x, Matrix out) const override {
    const Arena::Scope scope(ctx.arena);
    const Matrix probabilities = ctx.arena->NewMatrix(x.rows, m_.router.out_features());
    Apply(ctx, m_.router, x, probabilities);
    Softmax(ctx, probabilities);
    ctx.Record(layer, "router", probabilities);
    const std::vector<Share> shares = Route(probabilities);
    for (int64_t r = 0; r < out.rows; ++r) {
      if (m_.bias.empty()) std::fill(out.row(r), out.row(r) + out.cols, 0.0f);
      if (!m_.bias.empty()) std::copy(m_.bias.begin(), m_.bias.end(), out.row(r));
    }
    for (size_t e = 0; e < shares.size(); ++e) AddExpert(ctx, e, shares[e], x, out);
  }

 private:
  // Each row's experts are summed in the order of their indices, so a row's result does not depend on its batch.
  std::vector<Share> Route(ConstMatrix probabilities) const {
    const auto experts = static_cast<size_t>(probabilities.cols);
    std::vector<Share> shares(experts);
    std::vector<size_t> order(experts);
    for (int64_t r = 0; r < probabilities.rows; ++r) {
      const float* row = probabilities.row(r);
      std::iota(order.begin(), order.end(), size_t{0});
      std::stable_sort(order.begin(), order.end(), [row](size_t a, size_t b) { return row[a] > row[b]; });
      for (int64_t k = 0; k < m_.top_k; ++k) {
        const size_t e = order[static_cast<size_t>(k)];
        shares[e].rows.push_back(static_cast<int32_t>(r));
        shares[e].weights.push_back(row[e]);
      }
    }
    return shares;
  }

  void AddExpert(const ExecContext& ctx, size_t expert, const Share& share, ConstMatrix x, Matrix out) const {
    if (share.rows.empty()) return;
    const Arena::Scope scope(ctx.arena);
    const Matrix in = GatherRows(ctx, x, share.rows);
    const Matrix wide = ctx.arena->NewMatrix(in.rows, m_.up[expert].out_features());
    Apply(ctx, m_.up[expert], in, wide, m_.activation);
    const Matrix part = ctx.arena->NewMatrix(in.rows, out.cols);
    Apply(ctx, m_.down[expert], wide, part);
    for (int64_t i = 0; i < part.rows; ++i) {
      float* to = out.row(share.rows[static_cast<size_t>(i)]);
      const float weight = share.weights[static_cast<size_t>(i)];
      for (int64_t c = 0; c < part.cols; ++c) to[c] += weight * part.row(i)[c];
    }
  }

  MixtureOfExperts m_;
};

}  // namespace

std::unique_ptr<FeedForward> PlainFeedForward(Linear up, Activation activation, Linear down) {
  return std::make_unique<Plain>(std::move(up), activation, std::move(down));
}

std::unique_ptr<FeedForward> GatedFeedForward(Linear gate_up, bool gate_first, Activation activation, Linear down) {
  return std::make_unique<Gated>(std::move(gate_up), gate_first, activation, std::move(down));
}

std::unique_ptr<FeedForward> ExpertFeedForward(MixtureOfExperts experts) {
  return std::make_unique<Experts>(std::move(experts));
}

}  // namespace truevec
