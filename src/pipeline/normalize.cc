// Normalize: x / max(||x||, 1e-12) over the last dimension. Reference: base/modules/normalize.py.
#include "pipeline/modules.h"

namespace truevec {
namespace {

class Normalize : public PipelineModule {
 public:
  Normalize(std::string input, std::string output) : input_(std::move(input)), output_(std::move(output)) {}

  Status Forward(const ExecContext& ctx, Features* features) const override {
    if (features->skip_sentence_normalize && output_ == "sentence_embedding") return Status::Ok();
    const Feature& input = features->at(input_);
    Matrix x = input.matrix;
    const bool per_token = input.per_token;
    if (output_ != input_) {
      const Matrix copy = ctx.arena->NewMatrix(x.rows, x.cols);
      for (int64_t r = 0; r < x.rows; ++r) std::copy(x.row(r), x.row(r) + x.cols, copy.row(r));
      x = copy;
    }
    L2Normalize(ctx, x);
    features->Set(output_, x, per_token);
    return Status::Ok();
  }

  json::object Describe() const override { return {{"type", "Normalize"}, {"input", input_}, {"output", output_}}; }

 private:
  std::string input_;
  std::string output_;
};

}  // namespace

LoadedModule LoadNormalize(const ModuleSpec& module, const LoadContext& context) {
  ConfigReader reader = context.Reader(module);
  TV_ASSIGN_OR_RETURN(const std::string input, reader.String({"module_input_name"}, "sentence_embedding"));
  TV_ASSIGN_OR_RETURN(const std::string output, reader.String({"module_output_name"}, input));
  // The reference drops every other key here, so none can change a vector.
  TV_ASSIGN_OR_RETURN(const FeatureWidth width, context.Width(module, input));
  (*context.widths)[output] = width;
  return LoadedModule(std::make_unique<Normalize>(input, output));
}

}  // namespace truevec
