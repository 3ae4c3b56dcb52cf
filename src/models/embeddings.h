// Word + position + type embeddings with a LayerNorm, as BERT's relatives sum them.
#ifndef TRUEVEC_MODELS_EMBEDDINGS_H_
#define TRUEVEC_MODELS_EMBEDDINGS_H_

#include <optional>

#include "models/blocks.h"
#include "models/model.h"

namespace truevec {

struct EmbeddingsConfig {
  int64_t vocabulary = 0, width = 0;
  int64_t positions = 0;                // 0: no position embeddings, texts of any length
  int64_t simulate_position_shift = 0;  // a fault that `diagnose` injects; results stay inside the table
  int64_t types = 0;                    // 0: no type embeddings
  double eps = 0;
  bool has_norm = true;
  // RoBERTa's rule: positions count tokens that are not `padding_id`, from padding_id + 1; a literal padding token gets
  // padding_id. Unset: 0, 1, 2, ...
  std::optional<int32_t> padding_id;
};

class Embeddings {
 public:
  // Tensors word_embeddings, position_embeddings, token_type_embeddings (".weight") and LayerNorm under `w`.
  static Result<Embeddings> Load(const EmbeddingsConfig& c, const WeightScope& w);
  // The same with the LayerNorm under a scope of its own.
  static Result<Embeddings> Load(const EmbeddingsConfig& c, const WeightScope& w, const WeightScope& norm);
  // out [tokens, width]. Errors: ids, types or lengths outside the tables.
  Status Forward(const PackedBatch& batch, const ExecContext& ctx, Matrix out) const;
  // Longest text: positions, less the ones that padding takes; 0: unlimited.
  int64_t max_positions() const { return config_.positions - (config_.padding_id ? *config_.padding_id + 1 : 0); }
  const EmbeddingsConfig& config() const { return config_; }
  const TensorView& words() const { return words_; }

 private:
  Status CheckBatch(const PackedBatch& batch) const;
  void Positions(const PackedBatch& batch, int32_t* positions) const;
  EmbeddingsConfig config_;
  std::shared_ptr<const WeightStore> store_;  // keeps the tables mapped
  TensorView words_;                          // [vocabulary, width]
  TensorView positions_;                      // [positions, width]
  TensorView types_;                          // [types, width]
  NormWeights norm_;
};

}  // namespace truevec

#endif  // TRUEVEC_MODELS_EMBEDDINGS_H_
