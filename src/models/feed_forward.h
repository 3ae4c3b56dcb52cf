// The position-wise half of a transformer layer: plain, gated (GLU; Shazeer 2020, arXiv 2002.05202) or a mixture of
// experts.
#ifndef TRUEVEC_MODELS_FEED_FORWARD_H_
#define TRUEVEC_MODELS_FEED_FORWARD_H_

#include <memory>
#include <vector>

#include "models/blocks.h"

namespace truevec {

class FeedForward {
 public:
  virtual ~FeedForward() = default;
  // x [rows, width] -> out [rows, width]; no residual, no norm. Records "layer.<layer>.intermediate".
  virtual void Forward(const ExecContext& ctx, int layer, ConstMatrix x, Matrix out) const = 0;
};

// down(activation(up(x)))
std::unique_ptr<FeedForward> PlainFeedForward(Linear up, Activation activation, Linear down);

// down(activation(gate) * up), gate and up being the halves of one product.
std::unique_ptr<FeedForward> GatedFeedForward(Linear gate_up, bool gate_first, Activation activation, Linear down);

// The `top_k` experts of the largest router probabilities (softmax over all experts), each weighted by its
// probability, and one bias behind the sum. Ties go to the expert of the lower index.
struct MixtureOfExperts {
  Linear router;           // width -> experts
  std::vector<Linear> up;  // per expert: width -> inner
  std::vector<Linear> down;
  std::vector<float> bias;  // [width] or empty
  int64_t top_k = 1;
  Activation activation = Activation::kGelu;
};
std::unique_ptr<FeedForward> ExpertFeedForward(MixtureOfExperts experts);

}  // namespace truevec

#endif  // TRUEVEC_MODELS_FEED_FORWARD_H_
