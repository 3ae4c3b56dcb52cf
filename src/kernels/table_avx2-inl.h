// The avx2 kernel table under the name TV_ISA: the algorithms of *-inl.h over simd_avx2.h. Included by the isa_*.cc
// of each instruction set with these registers; its flags decide which instructions are used.
#include <immintrin.h>
#if defined(TRUEVEC_SIMDE) && defined(TV_VNNI)  // tests/isa: the instruction emulated, for CPUs without it
#include <simde/x86/avx512/dpwssd.h>
#define _mm256_dpwssd_avx_epi32 simde_mm256_dpwssd_epi32
#endif
#include <stdint.h>

#include "kernels/kernels.h"

namespace truevec::kernels::TV_ISA {
namespace {

// 12 accumulators of 8 lanes where the rows allow it, out of 16 registers.
constexpr int64_t kIsaTileRows = 6;
static inline int64_t IsaPanels(int64_t rows) { return rows == 1 ? 4 : rows <= 3 ? 2 : 1; }
// clang-format off
#define TV_TILE_CASES \
  TV_TILE_CASE(1, 1) TV_TILE_CASE(2, 1) TV_TILE_CASE(3, 1) TV_TILE_CASE(4, 1) TV_TILE_CASE(5, 1) TV_TILE_CASE(6, 1) \
  TV_TILE_CASE(1, 4) TV_TILE_CASE(2, 2) TV_TILE_CASE(3, 2)
// clang-format on
constexpr int64_t kPeakChains = 5;

// clang-format off: the order matters
#include "kernels/simd_avx2.h"
#include "kernels/math-inl.h"
#include "kernels/gemm-inl.h"
#include "kernels/gemm_int8-inl.h"
#include "kernels/rows-inl.h"
#include "kernels/peak-inl.h"
// clang-format on

}  // namespace

extern const KernelTable kTable;
const KernelTable kTable = {TV_ISA_NAME, Gemm,      GemmInt8, QuantizeRow, nullptr,     nullptr,    Tile,      Softmax,
                            Activate,    LayerNorm, RmsNorm,  SumSquares,  AddToDouble, DivideRows, Transpose, PeakFma};

}  // namespace truevec::kernels::TV_ISA
