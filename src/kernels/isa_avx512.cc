// The avx512 kernel table: the algorithms of *-inl.h over simd_avx512.h, in a namespace of their own.
#if defined(__x86_64__)
#include <immintrin.h>
#include <stdint.h>

#include "kernels/kernels.h"

namespace truevec::kernels::avx512 {
namespace {

constexpr int64_t kIsaTileRows = 12;
// clang-format off
#define TV_TILE_CASES \
  TV_TILE_CASE(1) TV_TILE_CASE(2) TV_TILE_CASE(3) TV_TILE_CASE(4) TV_TILE_CASE(5) TV_TILE_CASE(6) \
  TV_TILE_CASE(7) TV_TILE_CASE(8) TV_TILE_CASE(9) TV_TILE_CASE(10) TV_TILE_CASE(11) TV_TILE_CASE(12)
// clang-format on

// clang-format off: the order matters
#include "kernels/simd_avx512.h"
#include "kernels/math-inl.h"
#include "kernels/gemm-inl.h"
#include "kernels/rows-inl.h"
// clang-format on

}  // namespace

extern const KernelTable kTable;
const KernelTable kTable = {"avx512", Gemm, Tile, Softmax, Activate, LayerNorm, RmsNorm, SumSquares, AddToDouble};

}  // namespace truevec::kernels::avx512
#endif
