// The scalar kernel table: the algorithms of *-inl.h over simd_scalar.h, in a namespace of their own.

#include <stdint.h>

#include "kernels/kernels.h"

namespace truevec::kernels::scalar {
namespace {

constexpr int64_t kIsaTileRows = 4;
static inline int64_t IsaPanels(int64_t) { return 1; }
// clang-format off
#define TV_TILE_CASES \
  TV_TILE_CASE(1, 1) TV_TILE_CASE(2, 1) TV_TILE_CASE(3, 1) TV_TILE_CASE(4, 1)
// clang-format on
constexpr int64_t kPeakChains = 2;

// clang-format off: the order matters
#include "kernels/simd_scalar.h"
#include "kernels/math-inl.h"
#include "kernels/gemm-inl.h"
#include "kernels/gemm_int8-inl.h"
#include "kernels/rows-inl.h"
#include "kernels/peak-inl.h"
// clang-format on

}  // namespace

extern const KernelTable kTable;
const KernelTable kTable = {"scalar", Gemm,      GemmInt8, QuantizeRow, nullptr,     nullptr,    Tile,      Softmax,
                            Activate, LayerNorm, RmsNorm,  SumSquares,  AddToDouble, DivideRows, Transpose, PeakFma};

}  // namespace truevec::kernels::scalar
