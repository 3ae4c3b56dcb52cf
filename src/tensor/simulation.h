// Simulation: faults that `diagnose` switches on inside the ops, whatever the architecture. ExecContext carries a
// pointer that is null in every other use, so that results never depend on it.
#ifndef TRUEVEC_TENSOR_SIMULATION_H_
#define TRUEVEC_TENSOR_SIMULATION_H_

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "tensor/ops.h"

namespace truevec {

// Every op's output is rounded to it; sums stay in float32.
enum class Rounding { kNone, kFloat16, kBFloat16 };

// What every linear layer's input is rounded to: int8 with a scale for each row (max / 127; CTranslate2, dynamic
// quantisation per token), or for each 32 values of it, the scale in float16 (ggml's Q8_0).
enum class InputQuantization { kNone, kRow, kBlock32 };

inline constexpr int64_t kLastNorm = -2;  // for skip_norm: the caller resolves it

struct Simulation {
  std::function<void(AttentionSpec*)> attention;  // changes the mask, window or bias of every call
  std::span<const uint8_t> hidden_keys;           // [tokens of the batch]; 1: no query sees the key
  // A query whose keys are all hidden gets the mean of all values of its sequence: a mask of large negative numbers
  // leaves every score the same. Otherwise it is left to what the kernels make of such a row.
  bool average_blind = false;
  std::function<Activation(Activation)> activation;
  bool gelu_float16_table = false;  // GELUs read and write float16, as llama.cpp's lookup table
  std::optional<double> norm_eps;
  int64_t skip_norm = -1;        // this call of LayerNorm or RmsNorm only passes its input on
  bool skip_head_norms = false;  // RmsNormHeads
  bool skip_scale = false;       // Scale
  bool merge_sequences = false;  // attention sees the whole batch as one sequence
  // Inverse frequency of rotary pair `i` in place of the model's; `theta` is the base of the table it replaces.
  std::function<double(double theta, int64_t i, int64_t rotary_dim)> rope;
  Rounding rounding = Rounding::kNone;
  InputQuantization inputs = InputQuantization::kNone;
  // With kRow: a linear layer's weights are whole numbers of 1/127 of their row's largest, the inputs unsigned bytes
  // (128 added and taken back), and the sum of two neighbouring products is held in 16 bits, as vpmaddubsw does: int8
  // products of oneDNN on CPUs with AVX2 and no VNNI.
  bool saturate_pairs = false;
  // Filled by the ops, whatever is switched on; the caller clears them before each pass.
  int64_t norms_seen = 0;
  int64_t head_norms_seen = 0;
  int64_t scales_seen = 0;
  std::vector<double> thetas_seen;  // distinct bases of rotary tables, in order
  bool window_seen = false, causal_seen = false, alibi_seen = false, relative_seen = false;
};

// Thread rule: a pass has a Simulation of its own. REQUIRES ctx.simulation != null where a pointer is not checked.
void RoundTo(Rounding rounding, Matrix x);
float RoundTo(Rounding rounding, float x);
void QuantizeInputs(InputQuantization how, Matrix x);

}  // namespace truevec

#endif  // TRUEVEC_TENSOR_SIMULATION_H_
