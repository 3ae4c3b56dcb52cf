// SpladePooling: log1p(relu(logits)) pooled over a text's tokens, special ones included (Formal et al. 2021, SPLADE).
// Reference: sparse_encoder/modules/splade_pooling.py.
#include <algorithm>

#include "pipeline/exact_math.h"
#include "pipeline/modules.h"

namespace truevec {
namespace {

class SpladePooling : public PipelineModule {
 public:
  SpladePooling(bool sum, int logs) : sum_(sum), logs_(logs) {}

  Status Forward(const ExecContext& ctx, Features* features) const override {
    const Matrix logits = features->at("token_embeddings").matrix;
    const Matrix out = ctx.arena->NewMatrix(features->count(), logits.cols);
    ctx.pool->ParallelFor(features->count(), [&](int64_t text, int) {
      PoolText(logits.Rows(features->first(text), features->length(text)), out.row(text));
    });
    features->Set("sentence_embedding", out, false);
    return Status::Ok();
  }
  json::object Describe() const override { return {{"type", "SpladePooling"}, {"sum", sum_}, {"logs", logs_}}; }

 private:
  double Transform(float logit) const {
    double x = std::max(static_cast<double>(logit), 0.0);
    for (int i = 0; i < logs_; ++i) x = exact::Log1p(x);
    return x;
  }

  // log1p and relu grow with their argument, so the maximum may be taken first.
  void PoolText(const Matrix& logits, float* out) const {
    for (int64_t c = 0; c < logits.cols; ++c) {
      if (sum_) {
        double total = 0;
        for (int64_t r = 0; r < logits.rows; ++r) total += Transform(logits.row(r)[c]);
        out[c] = static_cast<float>(total);
      } else {
        float largest = 0;
        for (int64_t r = 0; r < logits.rows; ++r) largest = std::max(largest, logits.row(r)[c]);
        out[c] = static_cast<float>(Transform(largest));
      }
    }
  }

  bool sum_;
  int logs_;
};

}  // namespace

LoadedModule LoadSpladePooling(const ModuleSpec& module, const LoadContext& context) {
  ConfigReader reader = context.Reader(module);
  TV_ASSIGN_OR_RETURN(const std::string strategy, reader.OneOf({"pooling_strategy"}, {"max", "sum"}, "max"));
  TV_ASSIGN_OR_RETURN(const std::string activation,
                      reader.OneOf({"activation_function"}, {"relu", "log1p_relu"}, "relu"));
  reader.Ignore({"embedding_dimension", "word_embedding_dimension", "chunk_size"});
  TV_RETURN_IF_ERROR(context.Finish(module, reader));
  TV_ASSIGN_OR_RETURN(const FeatureWidth width, context.Width(module, "token_embeddings"));
  (*context.widths)["sentence_embedding"] = {width.width, false};
  context.spec->settings.Record("pooling", json::value("splade-" + strategy),
                                module.config_file.empty()
                                    ? SettingSource::Default(std::string(kReferenceName) + " SpladePooling")
                                    : SettingSource::File(module.config_file, "pooling_strategy"));
  return LoadedModule(std::make_unique<SpladePooling>(strategy == "sum", activation == "log1p_relu" ? 2 : 1));
}

}  // namespace truevec
