// WordWeights: token vectors times a weight per vocabulary entry (tf-idf); the sum of weights replaces the token count
// in mean pooling. Entry i of "vocab" belongs to token id i. Reference: sentence_transformer/modules/word_weights.py.
#include "pipeline/modules.h"
#include "pipeline/words.h"

namespace truevec {
namespace {

class WordWeights : public PipelineModule {
 public:
  WordWeights(std::vector<float> weights, json::object about)
      : weights_(std::move(weights)), about_(std::move(about)) {}

  Status Forward(const ExecContext& ctx, Features* features) const override {
    const Matrix x = features->at("token_embeddings").matrix;
    const Matrix out = ctx.arena->NewMatrix(x.rows, x.cols);
    features->token_weights_sum.assign(static_cast<size_t>(features->count()), 0.0);
    for (int64_t text = 0; text < features->count(); ++text) {
      for (int32_t i = 0; i < features->length(text); ++i) {
        const int64_t row = features->first(text) + i;
        const int32_t id = features->ids[static_cast<size_t>(row)];
        if (id < 0 || static_cast<size_t>(id) >= weights_.size()) {
          return InputError("WordWeights has no entry for token id " + std::to_string(id));
        }
        const float weight = weights_[static_cast<size_t>(id)];
        features->token_weights_sum[static_cast<size_t>(text)] += static_cast<double>(weight);
        for (int64_t c = 0; c < x.cols; ++c) out.row(row)[c] = x.row(row)[c] * weight;
      }
    }
    features->Set("token_embeddings", out, true);
    return Status::Ok();
  }
  json::object Describe() const override { return about_; }

 private:
  std::vector<float> weights_;
  json::object about_;
};

}  // namespace

LoadedModule LoadWordWeights(const ModuleSpec& module, const LoadContext& context) {
  ConfigReader reader = context.Reader(module);
  TV_ASSIGN_OR_RETURN(const std::vector<std::string> vocabulary, ReadWords(reader.Raw({"vocab"})));
  TV_ASSIGN_OR_RETURN(const std::vector<double> weights,
                      ReadWordWeights(vocabulary, reader.Raw({"word_weights"}), reader, 1));
  TV_RETURN_IF_ERROR(context.Finish(module, reader));
  TV_RETURN_IF_ERROR(context.Width(module, "token_embeddings").status());
  std::vector<float> values(weights.begin(), weights.end());
  json::array list;
  for (const float value : values) list.push_back(static_cast<double>(value));
  return LoadedModule(
      std::make_unique<WordWeights>(std::move(values), json::object{{"type", "WordWeights"}, {"weights", list}}));
}

}  // namespace truevec
