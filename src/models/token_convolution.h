// One-dimensional convolution over the tokens of each text, zeros around it (torch.nn.Conv1d with an odd kernel and
// padding (kernel - 1) / 2), as one packed product of gathered windows.
#ifndef TRUEVEC_MODELS_TOKEN_CONVOLUTION_H_
#define TRUEVEC_MODELS_TOKEN_CONVOLUTION_H_

#include <span>
#include <vector>

#include "models/blocks.h"

namespace truevec {

class TokenConvolution {
 public:
  // "weight" [width, width / groups, kernel] and "bias" [width] under `scope`. REQUIRES: kernel odd, groups | width.
  static Result<TokenConvolution> Load(const WeightScope& scope, int64_t width, int64_t kernel, int64_t groups);
  // x, out [tokens, width]; offsets [sequences + 1].
  void Forward(std::span<const int32_t> offsets, const ExecContext& ctx, ConstMatrix x, Matrix out) const;

 private:
  int64_t kernel_ = 1;
  std::vector<Linear> groups_;  // each [width / groups, kernel * width / groups]: the taps side by side
};

}  // namespace truevec

#endif  // TRUEVEC_MODELS_TOKEN_CONVOLUTION_H_
