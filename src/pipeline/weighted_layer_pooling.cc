// WeightedLayerPooling: a weighted mean of the layers' outputs replaces the token vectors. Layer 0 is the embedding
// output. Reference: sentence_transformer/modules/weighted_layer_pooling.py.
#include "pipeline/modules.h"

namespace truevec {
namespace {

class WeightedLayerPooling : public PipelineModule {
 public:
  WeightedLayerPooling(std::vector<float> weights, int64_t start) : weights_(std::move(weights)), start_(start) {
    for (const float w : weights_) total_ += static_cast<double>(w);
  }

  Status Forward(const ExecContext& ctx, Features* features) const override {
    const std::vector<Matrix>& layers = features->all_layers;
    const auto used = static_cast<int64_t>(weights_.size());
    if (static_cast<int64_t>(layers.size()) != start_ + used) {
      return InternalError("WeightedLayerPooling: the model gave " + std::to_string(layers.size()) + " layers");
    }
    const Matrix out = ctx.arena->NewMatrix(layers[0].rows, layers[0].cols);
    for (int64_t r = 0; r < out.rows; ++r) {
      for (int64_t c = 0; c < out.cols; ++c) {
        double sum = 0;
        for (int64_t l = 0; l < used; ++l) {
          sum += static_cast<double>(weights_[static_cast<size_t>(l)]) *
                 static_cast<double>(layers[static_cast<size_t>(start_ + l)].row(r)[c]);
        }
        out.row(r)[c] = static_cast<float>(sum / total_);
      }
    }
    features->Set("token_embeddings", out, true);
    return Status::Ok();
  }
  json::object Describe() const override { return {{"type", "WeightedLayerPooling"}, {"layer_start", start_}}; }

 private:
  std::vector<float> weights_;
  int64_t start_;
  double total_ = 0;
};

class Nothing : public PipelineModule {
 public:
  Status Forward(const ExecContext&, Features*) const override { return Status::Ok(); }
  json::object Describe() const override { return {{"type", "WeightedLayerPooling"}, {"off", true}}; }
};

}  // namespace

LoadedModule LoadWeightedLayerPooling(const ModuleSpec& module, const LoadContext& context) {
  ConfigReader reader = context.Reader(module);
  TV_ASSIGN_OR_RETURN(const int64_t layers, reader.IntIn({"num_hidden_layers"}, 1, 1024, 12));
  TV_ASSIGN_OR_RETURN(const int64_t start, reader.IntIn({"layer_start"}, 0, layers, 4));
  reader.Ignore({"embedding_dimension", "word_embedding_dimension"});
  TV_RETURN_IF_ERROR(context.Finish(module, reader));
  TV_ASSIGN_OR_RETURN(const WeightScope weights, context.Weights(module));
  TV_ASSIGN_OR_RETURN(std::vector<float> values, weights.GetFloats("layer_weights", {layers + 1 - start}));
  TV_RETURN_IF_ERROR(context.FinishWeights(module, weights));
  const auto kept = context.widths->find("all_layer_embeddings");
  if (kept == context.widths->end()) {
    context.spec->warnings.push_back(module.Config().file() +
                                     ": WeightedLayerPooling does nothing, because config.json does not set "
                                     "output_hidden_states (the reference skips it silently)");
    return LoadedModule(std::make_unique<Nothing>());
  }
  if (kept->second.width != layers + 1) {
    return ModelError(module.Config().file() + ": num_hidden_layers: expected " +
                      std::to_string(kept->second.width - 1) + " (the model's), got " + std::to_string(layers));
  }
  return LoadedModule(std::make_unique<WeightedLayerPooling>(std::move(values), start));
}

}  // namespace truevec
