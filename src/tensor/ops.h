// Ops: shape checks and threads over the kernels. All float32 in and out; the weights' own precision (float32,
// bfloat16, int8) hides inside Linear. Every float32 result is the same bits for any batch, order, thread count and
// instruction set (DESIGN invariant 2). Ops never allocate outside ctx.arena.
#ifndef TRUEVEC_TENSOR_OPS_H_
#define TRUEVEC_TENSOR_OPS_H_

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "tensor/context.h"
#include "tensor/tensor.h"

namespace truevec {

enum class ComputeType { kFloat32, kBFloat16, kInt8 };
// "float32", "bfloat16", "int8"; anything else is a usage error.
Result<ComputeType> ComputeTypeByName(std::string_view name);

// The functions of transformers' ACT2FN that embedding models use.
enum class Activation {
  kNone,
  kGelu,       // erf: gelu, gelu_python
  kGeluTanh,   // gelu_new, gelu_pytorch_tanh, gelu_fast (same formula)
  kQuickGelu,  // x * sigmoid(1.702 x)
  kRelu,
  kSilu,  // silu, swish
  kTanh,
  kSigmoid,
  kMish,
  kGelu10,  // clip(gelu, -10, 10)
};
// By transformers' name; an unknown name is a refusal that lists the known ones.
Result<Activation> ActivationByName(std::string_view name);
void Activate(const ExecContext& ctx, Activation activation, Matrix x);  // in place

// What a Linear is made of, for keeping it in a file (weights/packed_cache.h). The spans borrow.
struct PackedLinear {
  int64_t in = 0;
  int64_t out = 0;
  int64_t limit = 0;
  int storage = 0;  // kernels::Weights
  int type = 0;     // ComputeType
  std::string note;
  std::span<const std::byte> packed;  // at a page's start
  std::span<const float> bias;
  std::span<const float> column_scales;
};
// Changes when the code that packs or reads packed weights does: files of another layout are of no use.
std::string_view PackedLayout();

// y = x W^T + b with W [out, in] as PyTorch stores it; packed once at load for the chosen compute type.
// kFloat32: the stored values, exactly (bfloat16 checkpoints stay 16 bits wide). kBFloat16: weights rounded to
// bfloat16, float32 activations and sums. kInt8: int8 weights with a scale per output, int16 activations with a scale
// per row, exact int32 sums. Each gives the same bits for any batch, order, thread count and instruction set.
class Linear {
 public:
  Linear();
  Linear(Linear&&) noexcept;
  Linear& operator=(Linear&&) noexcept;
  ~Linear();
  // Any floating dtype; `bias` may be absent. Several weights with the same in_features are stacked along `out`
  // (fused QKV) when more than one is given; biases must then be all present or all absent.
  static Linear Pack(std::span<const TensorView> weights, std::span<const TensorView> biases, ComputeType type);
  // Views of what Pack made, and a Linear over such views: `owner` keeps `packed`, the rest is copied. FromPacked is
  // null when sizes do not fit together.
  PackedLinear ToPacked() const;
  static std::optional<Linear> FromPacked(const PackedLinear& packed, std::shared_ptr<const void> owner);
  int64_t in_features() const;
  int64_t out_features() const;
  // What Pack chose: int8 is refused for matrices that it would change too much, and bfloat16 taken.
  ComputeType compute_type() const;
  const std::string& fallback_note() const;  // why compute_type() is not what was asked for; empty: it is

  struct Impl;
  const Impl& impl() const { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

// out = activation(x W^T + b) [+ residual]. `residual` may be null or alias `out`. x [M, in], out [M, out].
void Apply(const ExecContext& ctx, const Linear& linear, ConstMatrix x, Matrix out,
           Activation activation = Activation::kNone, const ConstMatrix* residual = nullptr);

// out = activation(gate) * up, the halves being columns of one matrix: gate_up is [M, 2*width];
// `gate_first` says whether the gate is the first half. out [M, width].
void GatedActivation(const ExecContext& ctx, Activation activation, ConstMatrix gate_up, bool gate_first, Matrix out);

// out = (v - mean) / sqrt(var + eps) * weight + bias with v = x + residual (null: x alone), all in double; weight, bias
// [cols], bias may be null. out may alias x or residual.
void LayerNorm(const ExecContext& ctx, ConstMatrix x, const float* weight, const float* bias, double eps, Matrix out,
               const ConstMatrix* residual = nullptr);
// out = x / sqrt(mean(x^2) + eps) * (weight_offset + weight). Gemma has weight_offset 1.
void RmsNorm(const ExecContext& ctx, ConstMatrix x, const float* weight, double eps, float weight_offset, Matrix out);
// The same per head over `head_dim` columns (Qwen3, Gemma3 q/k norm), in place.
void RmsNormHeads(const ExecContext& ctx, Matrix x, int64_t head_dim, const float* weight, double eps,
                  float weight_offset);
// exp(x - max) / sum over each row, in place.
void Softmax(const ExecContext& ctx, Matrix x);
void Add(const ExecContext& ctx, ConstMatrix a, ConstMatrix b, Matrix out);
void Scale(const ExecContext& ctx, Matrix x, float factor);
// out.row(i) = table[ids[i]] (+= when accumulate). table is [vocabulary, cols] of any floating dtype.
// REQUIRES: ids in range (the tokenizer's ids are checked against the table at load).
void EmbeddingLookup(const ExecContext& ctx, const TensorView& table, std::span<const int32_t> ids, bool accumulate,
                     Matrix out);

// Rotary embedding on heads of x [M, heads*head_dim], in place: row r uses cos/sin row positions[r].
// cos, sin: [max_position, rotary_dim/2]. Half-split (NeoX) pairs (i, i + rotary_dim/2), or interleaved (2i, 2i+1).
struct RopeTable {
  const float* cos = nullptr;
  const float* sin = nullptr;
  int64_t rotary_dim = 0;
  int64_t positions = 0;
  bool interleaved = false;
};
void Rope(const ExecContext& ctx, const RopeTable& table, std::span<const int32_t> positions, int64_t head_dim,
          Matrix x);

// x / max(||x||, 1e-12) per row, in place; the norm is summed in double. (torch.nn.functional.normalize)
void L2Normalize(const ExecContext& ctx, Matrix x);

// Scores between contents and relative positions (DeBERTa's disentangled attention), of one head: query row i and key
// row j (rows of the packed batch) add scale * (content_to_position[i][p] + position_to_content[j][p]) to their score,
// with p = index[clamp(i - j, -span, span) + span]. A matrix without data adds nothing.
struct DisentangledScores {
  ConstMatrix content_to_position;  // [M, positions]
  ConstMatrix position_to_content;  // [M, positions]
  const int32_t* index = nullptr;   // [2 * span + 1]
  int64_t span = 0;
  float scale = 0;
};

// Scaled dot-product attention within each sequence of a packed batch; nothing is padded.
// Key j is visible to query i iff (!causal || j <= i) && i - j <= window_left && j - i <= window_right
// (-1: unlimited). scores = softcap(scale * q.k) + bias; softcap(x) = cap * tanh(x / cap) when cap > 0.
struct AttentionSpec {
  int64_t heads = 0;
  int64_t kv_heads = 0;  // divides heads (GQA); query head h reads kv head h / (heads / kv_heads)
  int64_t head_dim = 0;
  float scale = 0;
  bool causal = false;
  int64_t window_left = -1;
  int64_t window_right = -1;
  float softcap = 0;
  const float* alibi_slopes = nullptr;  // [heads]: adds -slope * |i - j|
  // Relative bias (T5, MPNet), null for none: [heads, 2 * relative_span + 1]; the entry for head h and j - i is
  // relative_bias[h * (2 * relative_span + 1) + clamp(j - i, -relative_span, relative_span) + relative_span].
  const float* relative_bias = nullptr;
  int64_t relative_span = 0;
  const DisentangledScores* disentangled = nullptr;  // REQUIRES: heads == 1
  // [sequences] or empty: keys at or beyond this count of a sequence are invisible to every query.
  std::span<const int32_t> key_counts;
  std::span<const uint8_t> hidden_keys;  // [M] or empty; 1: no query of the sequence sees this key
};
// q [M, heads*head_dim], k and v [M, kv_heads*head_dim], out [M, heads*head_dim]; offsets [sequences + 1] rows.
void Attention(const ExecContext& ctx, const AttentionSpec& spec, std::span<const int32_t> offsets, ConstMatrix q,
               ConstMatrix k, ConstMatrix v, Matrix out);

}  // namespace truevec

#endif  // TRUEVEC_TENSOR_OPS_H_
