// powf as PyTorch's CPU kernels compute it, bit for bit, for tables that the reference builds in float32.
#ifndef TRUEVEC_MODELS_TORCH_POW_H_
#define TRUEVEC_MODELS_TORCH_POW_H_

#include <span>
#include <vector>

namespace truevec {

// torch.pow(base, exponents) for a positive scalar base and a float32 vector. PyTorch runs whole blocks of 16 through
// SLEEF's Sleef_powf_u10 (with FMA) and the rest through libm; blocks are 32 on AVX-512 machines, where 16 more
// elements of a vector that is not a multiple of 32 come from SLEEF here.
std::vector<float> TorchPow(float base, std::span<const float> exponents);

}  // namespace truevec

#endif  // TRUEVEC_MODELS_TORCH_POW_H_
