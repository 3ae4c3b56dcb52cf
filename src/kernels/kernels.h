// The table of compute kernels, one per instruction set, and its choice at start.
//
// Raw pointers only; nothing of ours is included. Same-bits rule (DESIGN invariant 2): every kernel works on 16
// virtual lanes whatever the hardware width, multiplies and adds by FMA in one fixed order, reduces lanes by one fixed
// tree, and uses polynomials instead of libm. So each table gives the same float32 bits.
#ifndef TRUEVEC_KERNELS_KERNELS_H_
#define TRUEVEC_KERNELS_KERNELS_H_

#include <stdint.h>

namespace truevec::kernels {

// Columns of a packed weight panel. Packed layout: [ceil(n / 16)][k][16], zero padded.
inline constexpr int64_t kPanel = 16;
// k is summed in equal blocks of at most this many terms (tile: kMaxKBlock); block sums are added in order. Shorter
// chains keep the rounding error below that of one long sum.
inline constexpr int64_t kGemmSum = 128;
inline constexpr int64_t kMaxKBlock = 256;
inline constexpr int64_t kLanes = 16;

enum class Act : int { kNone, kGelu, kGeluTanh, kQuickGelu, kRelu, kSilu, kTanh, kSigmoid, kMish, kGelu10 };

// How packed weights are stored. `gemm` widens kBFloat16 exactly while it reads it: the product is that of the widened
// weights, bit by bit.
enum class Weights : int { kFloat32, kBFloat16, kInt8 };

// Most rows that one pass over the weights serves; a block of them stays in the second-level cache.
inline constexpr int64_t kGemmRows = 144;
inline constexpr int64_t kGemmStreamRows = 24;  // so few take the whole depth at once
inline constexpr int64_t kGemmPanels = 48;      // whose unfinished sums are kept while depth is cut
inline constexpr int64_t kGemmDepth = 384;      // most steps of depth of a pass over more rows
inline constexpr int64_t kGemmUnpacked = 2 * kGemmDepth * kPanel;
// Floats of GemmArgs::workspace.
constexpr int64_t GemmWorkspace(int64_t m, int64_t k) {
  const int64_t block = (m < kGemmRows ? m : kGemmRows) * kGemmDepth;
  const int64_t stream = (m < kGemmStreamRows ? m : kGemmStreamRows) * k;
  return kGemmPanels * kPanel * kGemmRows + kGemmUnpacked + ((block > stream ? block : stream) + 15) / 16 * 16;
}

struct GemmArgs {
  int64_t m, n, k;
  const float* a;  // [m, k], row stride lda
  int64_t lda;
  const void* packed;  // [ceil(n / 16)][k][16]; kInt8: [ceil(n / 16)][ceil(k / 2)][16][2]
  Weights weights;
  const float* bias;  // [n] or null
  Act act;
  const float* residual;  // [m, n], row stride ldr, or null; added after the activation; may alias c
  int64_t ldr;
  float* c;  // [m, n], row stride ldc
  int64_t ldc;
  float* workspace;  // [GemmWorkspace(m, k)], 64-byte aligned, of this call alone
  // gemm_int8 and gemm_bfloat16, in place of a: [m, k rounded up to even], row stride ldq, by quantize_row or
  // round_row.
  const int16_t* quantized;
  int64_t ldq;
  const float* row_scales;     // [m], gemm_int8 only
  const float* column_scales;  // [n], gemm_int8 only
};

// out[rows, panels * 16] = a[rows, k] x b; b is `panels` panels of [k][16], panel_stride floats apart. Blocks of k
// begin at multiples of kMaxKBlock counted from k_origin (a term's absolute index), so that a window gives the same
// blocks as the whole.
struct TileArgs {
  int64_t rows, panels, k, k_origin;
  const float* a;
  int64_t lda;
  const float* b;
  int64_t panel_stride;
  float* out;
  int64_t ldo;
};

// Softmax of one row of scores in place.
struct SoftmaxArgs {
  float* scores;    // [padded]; raw q.k on entry, exp(s - max) on return (not divided by the sum)
  int64_t columns;  // padded to a multiple of 16
  int64_t begin;    // visible columns are [begin, end); the others become 0
  int64_t end;
  float scale;
  float softcap;      // 0: none
  const float* bias;  // [columns] added after scaling, or null
};

struct KernelTable {
  const char* name;
  // c = act(a b + bias) + residual for panels [panel_begin, panel_end).
  void (*gemm)(const GemmArgs& args, int64_t panel_begin, int64_t panel_end);
  // The same from quantized rows and kInt8 weights; integer sums, then act(sum * row scale * column scale + bias).
  // REQUIRES: k * limit * 127 < 2^31 with quantize_row's limit.
  void (*gemm_int8)(const GemmArgs& args, int64_t panel_begin, int64_t panel_end);
  // q = round(x * limit / max|x|), padded to an even count; returns max|x| / limit. limit <= 32767.
  float (*quantize_row)(const float* x, int64_t n, int64_t limit, int16_t* q);
  // gemm of rows that round_row rounded and kBFloat16 weights, products of bfloat16 added in float32: not the bits of
  // `gemm`. Null where the instruction set has no such product. REQUIRES: even k.
  void (*gemm_bfloat16)(const GemmArgs& args, int64_t panel_begin, int64_t panel_end);
  // Rounded to bfloat16, to nearest even; NaN stays NaN. Null where gemm_bfloat16 is.
  void (*round_row)(const float* x, int64_t n, int16_t* bfloat16);
  void (*tile)(const TileArgs& args);
  // Returns the sum of exp; 0 when nothing is visible.
  double (*softmax)(const SoftmaxArgs& args);
  void (*activate)(Act act, float* x, int64_t n);
  // out = (v - mean) / sqrt(var + eps) * weight + bias with v = x + residual (null: x alone); in double throughout.
  // out may alias x or residual.
  void (*layer_norm)(const float* x, const float* residual, int64_t n, const float* weight, const float* bias,
                     double eps, float* out);
  // out = x / sqrt(mean(x^2) + eps) * (offset + weight)
  void (*rms_norm)(const float* x, int64_t n, const float* weight, double eps, float offset, float* out);
  // Sum of squares in double, lanes as above.
  double (*sum_squares)(const float* x, int64_t n);
  // sums[i] += x[i] (double accumulators)
  void (*add_to_double)(const float* x, int64_t n, double* sums);
  // out[r][i] = x[r][i] / (float)divisors[r], i < n; a row of divisor 0 becomes 0.
  void (*divide_rows)(const float* x, int64_t ldx, const double* divisors, int64_t rows, int64_t n, float* out,
                      int64_t ldo);
  // out[i][r] = x[r][i], i < n, r < rows.
  void (*transpose)(const float* x, int64_t ldx, int64_t rows, int64_t n, float* out, int64_t ldo);
  // Multiply-adds on registers only, for measuring the peak: returns the operations done. `sink` [16] is read and
  // written.
  double (*peak_fma)(int64_t iterations, float* sink);
};

// Tables compiled in and runnable on this CPU, best first; never empty.
int AvailableTables(const KernelTable* const** tables);
// The table by name ("avx512", "avx2", "scalar", ...), or null when it is not compiled in or cannot run here.
const KernelTable* FindTable(const char* name);
// The table in use: the best one, or the one forced.
const KernelTable& Active();
// Forces a table for the whole process; call before the first use. False when there is none of that name.
bool ForceTable(const char* name);

}  // namespace truevec::kernels

#endif  // TRUEVEC_KERNELS_KERNELS_H_
