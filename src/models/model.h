// Model: ids in, hidden states out. One file per architecture builds one from a config and a WeightScope; one row
// each in registry.cc. Models never see text; pooling, prompts and truncation live in pipeline.
#ifndef TRUEVEC_MODELS_MODEL_H_
#define TRUEVEC_MODELS_MODEL_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/config_reader.h"
#include "base/status.h"
#include "tensor/context.h"
#include "tensor/ops.h"
#include "weights/weight_scope.h"

namespace truevec {

// Sequences back to back, no padding: sequence s is tokens [offsets[s], offsets[s+1]).
struct PackedBatch {
  std::span<const int32_t> ids;       // [tokens]
  std::span<const int32_t> type_ids;  // [tokens], or empty for all zeros
  std::span<const int32_t> offsets;   // [sequences + 1], offsets[0] == 0
  // [sequences] or empty: only the first so many tokens of a sequence are keys, the rest ask without being seen
  // (ColBERT's query expansion). Models that ignore it say so by limits_keys().
  std::span<const int32_t> key_counts = {};
  int64_t tokens() const { return static_cast<int64_t>(ids.size()); }
  int64_t sequences() const { return static_cast<int64_t>(offsets.size()) - 1; }
};

// Refuses ids outside a table of `vocabulary` rows, and types outside one of `types` rows (0: types are not read).
Status CheckIds(const PackedBatch& batch, int64_t vocabulary, int64_t types = 0);

// What the caller wants beside the last hidden state.
struct ForwardRequest {
  PackedBatch batch;
  // Rows of the last hidden state that will be read, ascending; empty means all. A model may leave the other rows
  // of its output undefined and skip their work in the last layer.
  std::span<const int32_t> needed_rows;
  // When set: receives each layer's hidden states, index 0 = embedding output (for WeightedLayerPooling).
  std::vector<Matrix>* all_layers = nullptr;
  // Name of the adapter to apply (jina-v3 tasks); empty: none.
  std::string_view adapter;
};

class Model {
 public:
  virtual ~Model() = default;
  virtual int64_t hidden_size() const = 0;
  virtual int64_t vocabulary_size() const = 0;
  // Longest sequence that the positions allow; 0: unlimited.
  virtual int64_t max_positions() const = 0;
  // Whether Forward honours PackedBatch::key_counts.
  virtual bool limits_keys() const { return false; }
  // hidden: [tokens, hidden_size]. Const and usable from many threads, each with its own context.
  // Errors: ids or lengths that the model cannot take.
  virtual Status Forward(const ForwardRequest& request, const ExecContext& ctx, Matrix hidden) const = 0;
};

// A task head on top of hidden states.
class Head {
 public:
  virtual ~Head() = default;
  virtual int64_t outputs() const = 0;  // labels, or the vocabulary
  // Sequence heads (classification) give one row per sequence; token heads (MLM) one per token.
  virtual bool per_token() const = 0;
  // Whether it reads only the first token of each sequence (so that ForwardRequest::needed_rows can say so).
  virtual bool first_token_only() const { return false; }
  // hidden [tokens, hidden_size] -> out [sequences or tokens, outputs].
  virtual Status Forward(const PackedBatch& batch, ConstMatrix hidden, const ExecContext& ctx, Matrix out) const = 0;
};

enum class Task { kFeatureExtraction, kSequenceClassification, kMaskedLm, kCausalLm };

struct ModelOptions {
  ComputeType compute_type = ComputeType::kFloat32;
  Task task = Task::kFeatureExtraction;
};

struct LoadedModel {
  std::unique_ptr<Model> model;
  std::unique_ptr<Head> head;  // null for kFeatureExtraction
};

// Builds the model that `config` (config.json: model_type, architectures) describes from `weights`, the root of the
// checkpoint; strips known prefixes ("bert.", "model.", ...). Refuses unknown architectures, values, missing tensors.
// Unread config keys and leftover tensors are the caller's to judge (config.UnreadKeys(), weights.Leftovers()).
Result<LoadedModel> LoadModel(ConfigReader& config, WeightScope weights, const ModelOptions& options);

// model_type names that LoadModel knows, for messages and docs.
std::vector<std::string> SupportedModelTypes();

}  // namespace truevec

#endif  // TRUEVEC_MODELS_MODEL_H_
