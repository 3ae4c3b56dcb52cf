// LayerNorm on the sentence embedding, torch.nn.LayerNorm's eps 1e-5. Reference:
// sentence_transformer/modules/layer_norm.py.
#include "pipeline/modules.h"

namespace truevec {
namespace {

constexpr double kEps = 1e-5;

class LayerNormModule : public PipelineModule {
 public:
  LayerNormModule(std::vector<float> weight, std::vector<float> bias)
      : weight_(std::move(weight)), bias_(std::move(bias)) {}

  Status Forward(const ExecContext& ctx, Features* features) const override {
    const Matrix x = features->at("sentence_embedding").matrix;
    LayerNorm(ctx, x, weight_.data(), bias_.data(), kEps, x);
    return Status::Ok();
  }
  json::object Describe() const override { return {{"type", "LayerNorm"}}; }

 private:
  std::vector<float> weight_;
  std::vector<float> bias_;
};

}  // namespace

LoadedModule LoadLayerNorm(const ModuleSpec& module, const LoadContext& context) {
  ConfigReader reader = context.Reader(module);
  TV_ASSIGN_OR_RETURN(const int64_t dimension, reader.IntIn({"dimension"}, 1, 1 << 20));
  TV_RETURN_IF_ERROR(context.Finish(module, reader));
  TV_ASSIGN_OR_RETURN(const FeatureWidth width, context.Width(module, "sentence_embedding"));
  if (width.width != dimension) {
    return ModelError(module.Config().file() + ": dimension: expected " + std::to_string(width.width) + ", got " +
                      std::to_string(dimension));
  }
  TV_ASSIGN_OR_RETURN(const WeightScope weights, context.Weights(module));
  TV_ASSIGN_OR_RETURN(std::vector<float> weight, weights.GetFloats("norm.weight", {dimension}));
  TV_ASSIGN_OR_RETURN(std::vector<float> bias, weights.GetFloats("norm.bias", {dimension}));
  TV_RETURN_IF_ERROR(context.FinishWeights(module, weights));
  return LoadedModule(std::make_unique<LayerNormModule>(std::move(weight), std::move(bias)));
}

}  // namespace truevec
