// BoW: word weights at the words' places in a vocabulary-wide vector. Reference: sentence_transformer/modules/bow.py
// (it sums in float32, and so does this).
#include <algorithm>
#include <set>

#include "pipeline/modules.h"
#include "pipeline/words.h"

namespace truevec {
namespace {

class BoW : public InputModule {
 public:
  BoW(WhitespaceTokenizer tokenizer, std::vector<double> weights, bool cumulative, json::object about)
      : tokenizer_(std::move(tokenizer)),
        weights_(std::move(weights)),
        cumulative_(cumulative),
        about_(std::move(about)) {}

  Result<EncodedText> Encode(const InputText& input) const override {
    EncodedText text;
    text.ids = tokenizer_.Tokenize(std::string(input.prompt) + std::string(input.text));
    text.task = std::string(input.task);
    return text;
  }
  const Tokenizer* tokenizer() const override { return nullptr; }
  int64_t max_length() const override { return 0; }

  Status Forward(const ExecContext& ctx, Features* features) const override {
    const auto width = static_cast<int64_t>(weights_.size());
    const Matrix out = ctx.arena->NewMatrix(features->count(), width);
    for (int64_t text = 0; text < features->count(); ++text) {
      std::fill(out.row(text), out.row(text) + width, 0.0f);
      for (int32_t i = 0; i < features->length(text); ++i) {
        const int32_t id = features->id(text, i);
        if (id < 0 || id >= width) return InputError("word id " + std::to_string(id) + " is outside the vocabulary");
        const auto weight = static_cast<float>(weights_[static_cast<size_t>(id)]);
        out.row(text)[id] = cumulative_ ? out.row(text)[id] + weight : weight;
      }
    }
    features->Set("sentence_embedding", out, false);
    return Status::Ok();
  }
  json::object Describe() const override { return about_; }

 private:
  WhitespaceTokenizer tokenizer_;
  std::vector<double> weights_;
  bool cumulative_;
  json::object about_;
};

}  // namespace

LoadedModule LoadBoW(const ModuleSpec& module, const LoadContext& context) {
  ConfigReader reader = context.Reader(module);
  TV_ASSIGN_OR_RETURN(const std::vector<std::string> all, ReadWords(reader.Raw({"vocab"})));
  std::vector<std::string> vocabulary;
  std::set<std::string> seen;
  for (const std::string& word : all) {
    if (seen.insert(word).second) vocabulary.push_back(word);
  }
  TV_ASSIGN_OR_RETURN(std::vector<double> weights,
                      ReadWordWeights(vocabulary, reader.Raw({"word_weights"}), reader, 1));
  TV_ASSIGN_OR_RETURN(const bool cumulative, reader.Bool({"cumulative_term_frequency"}, true));
  TV_RETURN_IF_ERROR(context.Finish(module, reader));
  if (vocabulary.empty()) return ModelError(module.Config().file() + ": vocab: the vocabulary is empty");
  json::array words;
  json::array values;
  for (const std::string& word : vocabulary) words.push_back(json::value(word));
  for (const double value : weights) values.push_back(value);
  (*context.widths)["sentence_embedding"] = {static_cast<int64_t>(vocabulary.size()), false};
  json::object about = {{"type", "BoW"}, {"vocab", words}, {"weights", values}, {"cumulative", cumulative}};
  return LoadedModule(std::make_unique<BoW>(WhitespaceTokenizer(vocabulary, {}, false), std::move(weights), cumulative,
                                            std::move(about)));
}

}  // namespace truevec
