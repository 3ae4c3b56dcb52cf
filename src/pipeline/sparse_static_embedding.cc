// SparseStaticEmbedding: the weight of every token that occurs, however often (inference-free SPLADE queries); no
// special tokens. Reference: sparse_encoder/modules/sparse_static_embedding.py.
#include <algorithm>

#include "pipeline/modules.h"
#include "pipeline/transformer.h"

namespace truevec {
namespace {

class SparseStaticEmbedding : public InputModule {
 public:
  SparseStaticEmbedding(TextEncoder encoder, std::vector<float> weight, int64_t max_length, bool multiply)
      : encoder_(std::move(encoder)), weight_(std::move(weight)), max_length_(max_length), multiply_(multiply) {}

  Result<EncodedText> Encode(const InputText& input) const override {
    return encoder_.Encode(input, input.max_length.value_or(max_length_));
  }
  const Tokenizer* tokenizer() const override { return &encoder_.tokenizer(); }
  int64_t max_length() const override { return max_length_; }

  Status Forward(const ExecContext& ctx, Features* features) const override {
    const auto width = static_cast<int64_t>(weight_.size());
    const Matrix out = ctx.arena->NewMatrix(features->count(), width);
    for (int64_t text = 0; text < features->count(); ++text) {
      std::fill(out.row(text), out.row(text) + width, 0.0f);
      for (int32_t i = 0; i < features->length(text); ++i) {
        const int32_t id = features->id(text, i);
        if (id < 0 || id >= width) return InputError("token id " + std::to_string(id) + " has no weight");
        out.row(text)[id] = weight_[static_cast<size_t>(id)];
      }
      if (!multiply_) continue;
      const float* before = features->at("sentence_embedding").matrix.row(text);
      for (int64_t c = 0; c < width; ++c) out.row(text)[c] *= before[c];
    }
    features->Set("sentence_embedding", out, false);
    return Status::Ok();
  }
  json::object Describe() const override {
    return {{"type", "SparseStaticEmbedding"},
            {"max_length", max_length_},
            {"multiply", multiply_},
            {"tokenizer", encoder_.tokenizer().CanonicalForm()}};
  }

 private:
  TextEncoder encoder_;
  std::vector<float> weight_;  // [vocabulary]
  int64_t max_length_;
  bool multiply_;
};

}  // namespace

LoadedModule LoadSparseStaticEmbedding(const ModuleSpec& module, const LoadContext& context) {
  ConfigReader reader = context.Reader(module);
  reader.Ignore({"frozen"});
  if (const JsonRef path = reader.Raw({"path"}); path.present() && !path.is_null()) {
    return ModelError(path.Where() + ": weights from a JSON file elsewhere are not supported");
  }
  TV_RETURN_IF_ERROR(context.Finish(module, reader));
  TV_ASSIGN_OR_RETURN(const WeightScope weights, context.Weights(module));
  TV_ASSIGN_OR_RETURN(std::vector<float> weight, weights.GetFloats("weight", {-1}));
  TV_RETURN_IF_ERROR(context.FinishWeights(module, weights));
  const std::string folder =
      module.path.empty() ? context.directory->root() : context.directory->root() + "/" + module.path;
  TV_ASSIGN_OR_RETURN(TextEncoder encoder, TextEncoder::Load(folder, "", TransformerConfig{}, context));
  encoder.NoSpecialTokens();
  if (encoder.tokenizer().max_id() >= static_cast<int64_t>(weight.size())) {
    return ModelError(module.FilePath("tokenizer.json") + ": its largest id is " +
                      std::to_string(encoder.tokenizer().max_id()) + ", but there are " +
                      std::to_string(weight.size()) + " weights");
  }
  const int64_t max_length = encoder.tokenizer().model_max_length().value_or(0);
  const bool multiply = context.widths->contains("sentence_embedding");
  (*context.widths)["sentence_embedding"] = {static_cast<int64_t>(weight.size()), false};
  return LoadedModule(
      std::make_unique<SparseStaticEmbedding>(std::move(encoder), std::move(weight), max_length, multiply));
}

}  // namespace truevec
