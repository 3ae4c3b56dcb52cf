// PipelineModule: one entry of modules.json at work, and what modules hand to each other.
//
// Features is the reference's feature dictionary for one packed batch: "token_embeddings" [tokens, width],
// "sentence_embedding" [texts, width], "scores" [texts, labels], ... Each module reads and replaces entries. One file
// per kind of module; module_registry.cc lists them.
#ifndef TRUEVEC_PIPELINE_MODULE_H_
#define TRUEVEC_PIPELINE_MODULE_H_

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/config_reader.h"
#include "pipeline/pipeline.h"
#include "spec/model_directory.h"
#include "spec/model_spec.h"
#include "tensor/ops.h"
#include "weights/weight_scope.h"

namespace truevec {

struct Feature {
  Matrix matrix;
  bool per_token = false;
};

struct Features {
  std::span<const EncodedText* const> texts;
  std::vector<int32_t> ids;       // [tokens]
  std::vector<int32_t> type_ids;  // [tokens] or empty
  std::vector<int32_t> offsets;   // [texts + 1]
  std::map<std::string, Feature, std::less<>> values;
  std::vector<Matrix> all_layers;          // when some module asked for them
  std::vector<double> token_weights_sum;   // [texts], set by WordWeights
  std::vector<std::vector<uint8_t>> keep;  // MultiVectorMask: per text, per row of token_embeddings
  std::vector<int32_t> token_offsets;      // [texts + 1] rows of token_embeddings after token pooling; else empty
  bool skip_sentence_normalize = false;    // EmbedOptions.normalize == false
  int64_t max_active = 0;                  // SparseEncoder max_active_dims; 0: not given
  std::span<const std::string> pooling;    // EmbedOptions.pooling
  // Rows of token_embeddings that are read, ascending; empty: all. What the Transformer leaves in others is undefined.
  std::vector<int32_t> needed_rows;

  int64_t tokens() const { return static_cast<int64_t>(ids.size()); }
  int64_t count() const { return static_cast<int64_t>(texts.size()); }
  int32_t first(int64_t text) const { return offsets[static_cast<size_t>(text)]; }
  int32_t length(int64_t text) const { return offsets[static_cast<size_t>(text) + 1] - first(text); }
  // Token `index` of text `text`.
  int32_t id(int64_t text, int32_t index) const {
    return ids[static_cast<size_t>(first(text)) + static_cast<size_t>(index)];
  }
  // REQUIRES: an earlier module wrote it (checked at load by Widths).
  const Feature& at(std::string_view name) const;
  void Set(std::string_view name, Matrix matrix, bool per_token);
  // Whether pooling reads token `index` of text `text`.
  bool Pooled(int64_t text, int32_t index, bool include_prompt) const;
};

class PipelineModule {
 public:
  virtual ~PipelineModule() = default;
  virtual Status Forward(const ExecContext& ctx, Features* features) const = 0;
  // Parameters that decide vectors, canonical: part of the fingerprint.
  virtual json::object Describe() const = 0;
  // The rows of token_embeddings that Forward would read, ascending; empty when it reads all, or none.
  virtual std::vector<int32_t> NeededRows(const Features& features) const {
    (void)features;
    return {};
  }
  // Fails when no route fits `task`; modules without routes take any.
  virtual Status CheckTask(std::string_view task) const {
    (void)task;
    return Status::Ok();
  }
};

struct InputText {
  std::string_view text;  // without the prompt
  std::optional<std::string_view> pair;
  std::string_view prompt;
  std::string_view task;
  std::optional<int64_t> max_length;
  std::optional<Side> truncation_side;
};

// A first module: also turns text into ids.
class InputModule : public PipelineModule {
 public:
  virtual Result<EncodedText> Encode(const InputText& input) const = 0;
  virtual const Tokenizer* tokenizer() const = 0;  // may be null
  virtual int64_t max_length() const = 0;          // 0: unlimited
};

// Widths of the features written so far; loaders check their inputs against it.
struct FeatureWidth {
  int64_t width = 0;
  bool per_token = false;
};
using FeatureWidths = std::map<std::string, FeatureWidth, std::less<>>;

class WeightHash;  // fingerprint.h

struct LoadContext {
  const ModelDirectory* directory = nullptr;
  const SpecOptions* options = nullptr;
  ModelSpec* spec = nullptr;
  LoadReport* report = nullptr;
  FeatureWidths* widths = nullptr;
  int64_t layers_wanted = 0;  // > 0: WeightedLayerPooling follows
  bool first = false;         // first module of the list or route
  // Input modules loaded so far (for tokenizer-dependent modules).
  const InputModule* input = nullptr;
  WeightHash* weight_hash = nullptr;
  bool* packed_damaged = nullptr;  // set when packed weights came from a damaged cache file: load again without it

  // A reader of the module's config; leftovers are checked by Finish().
  ConfigReader Reader(const ModuleSpec& module) const;
  // Refuses config keys that were not read.
  Status Finish(const ModuleSpec& module, const ConfigReader& reader) const;
  // model.safetensors or pytorch_model.bin of the module's folder.
  Result<WeightScope> Weights(const ModuleSpec& module) const;
  // Refuses missing accounts: every tensor read; notes names and parameters in the report and the fingerprint.
  Status FinishWeights(const ModuleSpec& module, const WeightScope& weights) const;
  Result<FeatureWidth> Width(const ModuleSpec& module, std::string_view feature) const;
};

using ModuleLoader = Result<std::unique_ptr<PipelineModule>> (*)(const ModuleSpec& module, const LoadContext& context);
// The table of module kinds; null for a name that it does not list.
ModuleLoader FindModuleLoader(std::string_view type);
Result<std::unique_ptr<PipelineModule>> LoadModule(const ModuleSpec& module, const LoadContext& context);

}  // namespace truevec

#endif  // TRUEVEC_PIPELINE_MODULE_H_
