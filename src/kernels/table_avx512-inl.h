// The avx512 kernel table under the name TV_ISA: the algorithms of *-inl.h over simd_avx512.h. Included by the isa_*.cc
// of each instruction set with these registers; its flags decide which instructions are used.
#ifdef TRUEVEC_SIMDE  // tests/isa: the instructions emulated, for CPUs without them
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#include "../../tests/isa/simde_missing.h"
#else
#include <immintrin.h>
#endif
#include <stdint.h>

#include "kernels/kernels.h"

namespace truevec::kernels::TV_ISA {
namespace {

// 24 accumulators of 16 lanes out of 32 registers.
constexpr int64_t kIsaTileRows = 12;
static inline int64_t IsaPanels(int64_t rows) { return rows <= 2 ? 4 : 2; }
// clang-format off
#define TV_TILE_CASES \
  TV_TILE_CASE(1, 1) TV_TILE_CASE(2, 1) TV_TILE_CASE(3, 1) TV_TILE_CASE(4, 1) TV_TILE_CASE(5, 1) TV_TILE_CASE(6, 1) \
  TV_TILE_CASE(7, 1) TV_TILE_CASE(8, 1) TV_TILE_CASE(9, 1) TV_TILE_CASE(10, 1) TV_TILE_CASE(11, 1) TV_TILE_CASE(12, 1) \
  TV_TILE_CASE(1, 4) TV_TILE_CASE(2, 4) TV_TILE_CASE(3, 2) TV_TILE_CASE(4, 2) TV_TILE_CASE(5, 2) TV_TILE_CASE(6, 2) \
  TV_TILE_CASE(7, 2) TV_TILE_CASE(8, 2) TV_TILE_CASE(9, 2) TV_TILE_CASE(10, 2) TV_TILE_CASE(11, 2) TV_TILE_CASE(12, 2)
// clang-format on
constexpr int64_t kPeakChains = 12;

// clang-format off: the order matters
#include "kernels/simd_avx512.h"
#include "kernels/math-inl.h"
#include "kernels/gemm-inl.h"
#include "kernels/gemm_int8-inl.h"
#ifdef TV_BF16
#include "kernels/gemm_bfloat16-inl.h"
#endif
#ifdef TV_AMX
#include "kernels/gemm_amx-inl.h"
#endif
#include "kernels/rows-inl.h"
#include "kernels/peak-inl.h"
// clang-format on

#if defined(TV_AMX)
constexpr auto* kGemmInt8 = &GemmAmxInt8;
constexpr auto* kGemmBFloat16 = &GemmAmxBFloat16;
constexpr auto* kRoundRow = &RoundRow;
#elif defined(TV_BF16)
constexpr auto* kGemmInt8 = &GemmInt8;
constexpr auto* kGemmBFloat16 = &GemmBFloat16;
constexpr auto* kRoundRow = &RoundRow;
#else
constexpr auto* kGemmInt8 = &GemmInt8;
constexpr decltype(KernelTable::gemm_bfloat16) kGemmBFloat16 = nullptr;
constexpr decltype(KernelTable::round_row) kRoundRow = nullptr;
#endif

}  // namespace

extern const KernelTable kTable;
const KernelTable kTable = {TV_ISA_NAME, Gemm,       kGemmInt8, QuantizeRow, kGemmBFloat16, kRoundRow,
                            Tile,        Softmax,    Activate,  LayerNorm,   RmsNorm,       SumSquares,
                            AddToDouble, DivideRows, Transpose, PeakFma};

}  // namespace truevec::kernels::TV_ISA
