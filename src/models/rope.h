// Rotary position embeddings (Su et al. 2021, arXiv 2104.09864) with the scalings of
// transformers/modeling_rope_utils.py: default, linear, dynamic (NTK), yarn (arXiv 2309.00071), longrope (arXiv
// 2402.13753), llama3, proportional.
//
// Inverse frequencies and angles are float32, bit for bit the reference's buffers; cos and sin are the float32 nearest
// to the true ones. `dynamic` and `longrope` depend on a text's own length, never on the batch.
#ifndef TRUEVEC_MODELS_ROPE_H_
#define TRUEVEC_MODELS_ROPE_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/model.h"

namespace truevec {

struct RopeParameters {
  std::string type = "default";
  double theta = 10000;
  double partial = 1;  // share of the head that is rotated
  std::optional<double> factor;
  std::optional<double> attention_factor;            // yarn, longrope
  std::optional<double> mscale, mscale_all_dim;      // yarn
  double beta_fast = 32, beta_slow = 1;              // yarn
  bool truncate = true;                              // yarn
  double low_freq_factor = 1, high_freq_factor = 4;  // llama3
  std::vector<double> short_factor, long_factor;     // longrope, one per rotated pair
  // "ntk", which transformers does not have: the fixed NTK scaling of Alibaba's "new" models (kexue.fm/archives/9706),
  // theta * factor and frequencies / factor^(2 / dim); with mixed_b its mixed form. Only through Create().
  std::optional<double> mixed_b;
  bool double_base = false;        // dynamic: the grown base in double, as NomicBERT's own code has it
  int64_t max_positions = 0;       // max_position_embeddings
  int64_t original_positions = 0;  // original_max_position_embeddings
};

// Where an architecture's config keeps its rotary parameters.
struct RopeKeys {
  int64_t head_dim = 0;
  int64_t max_positions = 0;
  double default_theta = 10000;
  // Models whose default rope rotates only partial_rotary_factor of the head; elsewhere a value below 1 is refused.
  bool partial = false;
  double default_partial = 1;
  int64_t default_original = 0;           // original_max_position_embeddings of the config class; 0: max_positions
  std::string_view theta = "rope_theta";  // the key of old configs
  // Key of rope_parameters in models with one rope per kind of layer ("full_attention"); empty: one rope.
  std::string_view layer_type = {};
  bool takes_scaling = true;      // whether an old config's rope_scaling speaks of this rope
  bool longrope_aliases = false;  // Phi-3: "su" and "yarn" mean longrope
};

// cos and sin of a batch's tokens: token t uses row rows[t].
struct BatchRope {
  RopeTable table;
  std::span<const int32_t> rows;
  void Apply(const ExecContext& ctx, int64_t head_dim, Matrix x) const { Rope(ctx, table, rows, head_dim, x); }
};

class RotaryEmbedding {
 public:
  RotaryEmbedding() = default;
  // From explicit parameters. Errors: types and values that the reference does not have.
  static Result<RotaryEmbedding> Create(const RopeParameters& parameters, int64_t head_dim);
  // Reads rope_parameters (transformers 5) or rope_scaling, rope_theta and partial_rotary_factor (4), and records
  // rope_theta and rope_scaling.
  static Result<RotaryEmbedding> Read(ConfigReader& config, const RopeKeys& keys);

  // Tables in ctx.arena for the positions of every text (0, 1, 2, ... in each).
  BatchRope ForBatch(const PackedBatch& batch, const ExecContext& ctx, bool interleaved = false) const;
  int64_t rotary_dim() const { return rotary_dim_; }
  const RopeParameters& parameters() const { return parameters_; }
  // [rotary_dim / 2] for a text of `length` tokens.
  std::vector<float> InverseFrequencies(int64_t length) const;
  float attention_scaling() const { return attention_scaling_; }

 private:
  // Texts of equal variant share a table: 0, or the length whose frequencies differ.
  int64_t Variant(int64_t length) const;
  std::vector<float> Frequencies(int64_t variant) const;
  RopeParameters parameters_;
  int64_t head_dim_ = 0;
  int64_t rotary_dim_ = 0;
  float attention_scaling_ = 1;
  std::vector<float> inverse_;  // of variant 0
};

}  // namespace truevec

#endif  // TRUEVEC_MODELS_ROPE_H_
