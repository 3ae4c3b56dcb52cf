// The neon kernel table: the algorithms of *-inl.h over simd_neon.h, in a namespace of their own.
#if defined(__aarch64__)
#include <arm_neon.h>
#include <stdint.h>

#include "kernels/kernels.h"

namespace truevec::kernels::neon {
namespace {

// 24 accumulators of 4 lanes out of 32 registers.
constexpr int64_t kIsaTileRows = 6;
static inline int64_t IsaPanels(int64_t rows) { return rows <= 3 ? 2 : 1; }
// clang-format off
#define TV_TILE_CASES \
  TV_TILE_CASE(1, 1) TV_TILE_CASE(2, 1) TV_TILE_CASE(3, 1) TV_TILE_CASE(4, 1) TV_TILE_CASE(5, 1) TV_TILE_CASE(6, 1) \
  TV_TILE_CASE(1, 2) TV_TILE_CASE(2, 2) TV_TILE_CASE(3, 2)
// clang-format on
constexpr int64_t kPeakChains = 6;

// clang-format off: the order matters
#include "kernels/simd_neon.h"
#include "kernels/math-inl.h"
#include "kernels/gemm-inl.h"
#include "kernels/gemm_int8-inl.h"
#include "kernels/rows-inl.h"
#include "kernels/peak-inl.h"
// clang-format on

}  // namespace

extern const KernelTable kTable;
const KernelTable kTable = {"neon",   Gemm,      GemmInt8, QuantizeRow, nullptr,     nullptr,    Tile,      Softmax,
                            Activate, LayerNorm, RmsNorm,  SumSquares,  AddToDouble, DivideRows, Transpose, PeakFma};

}  // namespace truevec::kernels::neon
#endif
