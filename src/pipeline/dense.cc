// Dense: act(W x + b) [+ x, or + residual.weight x], on sentences, tokens or scores by its input's name.
// Reference: base/modules/dense.py.
#include "pipeline/modules.h"
#include "pipeline/torch_activation.h"

namespace truevec {
namespace {

class Dense : public PipelineModule {
 public:
  struct Parts {
    Linear linear;
    std::optional<Linear> residual;
    bool use_residual = false;
    TorchActivation activation;
    std::string input;
    std::string output;
    std::shared_ptr<const WeightStore> store;
  };
  explicit Dense(Parts parts) : parts_(std::move(parts)) {}

  Status Forward(const ExecContext& ctx, Features* features) const override {
    const Feature input = features->at(parts_.input);
    const Matrix wide = ctx.arena->NewMatrix(input.matrix.rows, parts_.linear.out_features());
    Apply(ctx, parts_.linear, input.matrix, wide);
    const Matrix out = parts_.activation.Run(ctx, wide);
    if (parts_.residual.has_value()) {
      const Matrix residual = ctx.arena->NewMatrix(out.rows, out.cols);
      Apply(ctx, *parts_.residual, input.matrix, residual);
      Add(ctx, out, residual, out);
    } else if (parts_.use_residual) {
      Add(ctx, out, input.matrix, out);
    }
    ctx.Record("dense." + parts_.output, out);
    features->Set(parts_.output, out, input.per_token);
    return Status::Ok();
  }

  json::object Describe() const override {
    return {{"type", "Dense"},
            {"activation", parts_.activation.Describe()},
            {"input", parts_.input},
            {"output", parts_.output},
            {"residual", parts_.use_residual}};
  }

 private:
  Parts parts_;
};

}  // namespace

LoadedModule LoadDense(const ModuleSpec& module, const LoadContext& context) {
  ConfigReader reader = context.Reader(module);
  Dense::Parts parts;
  // MultiVectorEncoder projects tokens where an older save does not say (PyLate).
  const std::string default_input = context.spec->as == "multi-vector" ? "token_embeddings" : "sentence_embedding";
  TV_ASSIGN_OR_RETURN(const WeightScope weights, context.Weights(module));
  // A Stanford ColBERT projection has no config: the tensor gives its size.
  const WeightEntry* linear_weight = module.shares_weights ? weights.store()->Find("linear.weight") : nullptr;
  const bool sized = linear_weight != nullptr && linear_weight->view.shape.size() == 2;
  const auto extent = [&](size_t i) { return sized ? std::optional(linear_weight->view.shape[i]) : std::nullopt; };
  TV_ASSIGN_OR_RETURN(const int64_t in, reader.IntIn({"in_features"}, 1, 1 << 20, extent(1)));
  TV_ASSIGN_OR_RETURN(const int64_t out, reader.IntIn({"out_features"}, 1, 1 << 20, extent(0)));
  TV_ASSIGN_OR_RETURN(const bool bias, reader.Bool({"bias"}, true));
  TV_ASSIGN_OR_RETURN(const std::string path,
                      reader.String({"activation_function"}, "torch.nn.modules.activation.Tanh"));
  TV_ASSIGN_OR_RETURN(parts.input, reader.String({"module_input_name"}, default_input));
  TV_ASSIGN_OR_RETURN(parts.output, reader.String({"module_output_name"}, parts.input));
  TV_ASSIGN_OR_RETURN(parts.use_residual, reader.Bool({"use_residual"}, false));
  reader.Ignore({"init_weight", "init_bias"});
  TV_RETURN_IF_ERROR(context.Finish(module, reader));
  TV_ASSIGN_OR_RETURN(const FeatureWidth width, context.Width(module, parts.input));
  if (width.width != in) {
    return ModelError(module.Config().file() + ": in_features: expected " + std::to_string(width.width) +
                      " (the width of " + parts.input + "), got " + std::to_string(in));
  }
  const auto parts_result = [&]() -> Status {
    const WeightScope linear = weights.Sub("linear");
    TV_ASSIGN_OR_RETURN(const TensorView weight, linear.Get("weight", {out, in}));
    TensorView bias_view;
    if (bias) {
      TV_ASSIGN_OR_RETURN(bias_view, linear.Get("bias", {out}));
    }
    parts.linear = Linear::Pack({&weight, 1}, {&bias_view, 1}, ComputeType::kFloat32);
    if (parts.use_residual && in != out) {
      TV_ASSIGN_OR_RETURN(const TensorView residual, weights.Get("residual.weight", {out, in}));
      parts.residual = Linear::Pack({&residual, 1}, {}, ComputeType::kFloat32);
    }
    TV_ASSIGN_OR_RETURN(parts.activation,
                        TorchActivation::Load(path, module.Config()["activation_function"].Where(),
                                              weights.Sub("activation_function"), out, width.per_token));
    return context.FinishWeights(module, weights);
  }();
  if (!parts_result.ok()) return module.path.empty() ? parts_result : parts_result.WithContext(module.path);
  const int64_t out_width = parts.activation.OutputWidth(out);
  if (parts.use_residual && out_width != out) {
    return ModelError(module.Config().file() + ": use_residual: GLU halves the width, so nothing can be added");
  }
  (*context.widths)[parts.output] = {out_width, width.per_token};
  parts.store = weights.store();
  return LoadedModule(std::make_unique<Dense>(std::move(parts)));
}

}  // namespace truevec
