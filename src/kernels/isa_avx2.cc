// The avx2 kernel table: the algorithms of *-inl.h over simd_avx2.h, in a namespace of their own.
#if defined(__x86_64__)
#include <immintrin.h>
#include <stdint.h>

#include "kernels/kernels.h"

namespace truevec::kernels::avx2 {
namespace {

constexpr int64_t kIsaTileRows = 3;
#define TV_TILE_CASES TV_TILE_CASE(1) TV_TILE_CASE(2) TV_TILE_CASE(3)

// clang-format off: the order matters
#include "kernels/simd_avx2.h"
#include "kernels/math-inl.h"
#include "kernels/gemm-inl.h"
#include "kernels/rows-inl.h"
// clang-format on

}  // namespace

extern const KernelTable kTable;
const KernelTable kTable = {"avx2", Gemm, Tile, Softmax, Activate, LayerNorm, RmsNorm, SumSquares, AddToDouble};

}  // namespace truevec::kernels::avx2
#endif
