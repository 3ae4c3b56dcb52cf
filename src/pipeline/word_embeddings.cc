// WordEmbeddings: a table row per word, words found by WhitespaceTokenizer. Reference:
// sentence_transformer/modules/word_embeddings.py.
#include "pipeline/modules.h"
#include "pipeline/words.h"

namespace truevec {
namespace {

class WordEmbeddings : public InputModule {
 public:
  WordEmbeddings(WhitespaceTokenizer tokenizer, TensorView table, std::shared_ptr<const WeightStore> store,
                 int64_t max_length, json::object about)
      : tokenizer_(std::move(tokenizer)),
        table_(std::move(table)),
        store_(std::move(store)),
        max_length_(max_length),
        about_(std::move(about)) {}

  Result<EncodedText> Encode(const InputText& input) const override {
    EncodedText text;
    text.ids = tokenizer_.Tokenize(std::string(input.prompt) + std::string(input.text));
    const int64_t limit = input.max_length.value_or(max_length_);
    if (limit < 1) return UsageError("max length: expected a positive number, got " + std::to_string(limit));
    if (static_cast<int64_t>(text.ids.size()) > limit) {
      text.truncated_tokens = static_cast<int64_t>(text.ids.size()) - limit;
      text.ids.resize(static_cast<size_t>(limit));
    }
    text.task = std::string(input.task);
    return text;
  }
  const Tokenizer* tokenizer() const override { return nullptr; }
  int64_t max_length() const override { return max_length_; }

  Status Forward(const ExecContext& ctx, Features* features) const override {
    for (const int32_t id : features->ids) {
      if (id < 0 || id >= table_.shape[0]) return InputError("word id " + std::to_string(id) + " is outside the table");
    }
    const Matrix out = ctx.arena->NewMatrix(features->tokens(), table_.shape[1]);
    EmbeddingLookup(ctx, table_, features->ids, false, out);
    features->Set("token_embeddings", out, true);
    return Status::Ok();
  }
  json::object Describe() const override { return about_; }

 private:
  WhitespaceTokenizer tokenizer_;
  TensorView table_;  // [words, width]
  std::shared_ptr<const WeightStore> store_;
  int64_t max_length_;
  json::object about_;
};

}  // namespace

LoadedModule LoadWordEmbeddings(const ModuleSpec& module, const LoadContext& context) {
  ConfigReader reader = context.Reader(module);
  TV_ASSIGN_OR_RETURN(const std::string tokenizer_class, reader.String({"tokenizer_class"}));
  TV_ASSIGN_OR_RETURN(const int64_t max_length, reader.IntIn({"max_seq_length"}, 1, int64_t{1} << 40, 1000000));
  reader.Ignore({"update_embeddings"});
  TV_RETURN_IF_ERROR(context.Finish(module, reader));
  if (!tokenizer_class.starts_with("sentence_transformers.") || !tokenizer_class.ends_with(".WhitespaceTokenizer")) {
    return ModelError(module.Config().file() + ": tokenizer_class: \"" + tokenizer_class +
                      "\" is not supported; known: WhitespaceTokenizer");
  }
  TV_ASSIGN_OR_RETURN(const JsonFile file, context.directory->Json(module.FilePath("whitespacetokenizer_config.json")));
  ConfigReader words(file.root(), nullptr, nullptr, std::string(kReferenceName));
  const JsonRef vocab = words.Raw({"vocab"});
  TV_ASSIGN_OR_RETURN(const std::vector<std::string> vocabulary, ReadWords(vocab));
  const JsonRef stop = words.Raw({"stop_words"});
  if (!stop.present()) return ModelError(file.name() + ": stop_words: expected a list");
  TV_ASSIGN_OR_RETURN(const std::vector<std::string> stop_words, ReadWords(stop));
  TV_ASSIGN_OR_RETURN(const bool lowercase, words.Bool({"do_lower_case"}, false));
  TV_ASSIGN_OR_RETURN(const WeightScope weights, context.Weights(module));
  TV_ASSIGN_OR_RETURN(const TensorView table, weights.Get("emb_layer.weight", {-1, -1}));
  TV_RETURN_IF_ERROR(context.FinishWeights(module, weights));
  if (table.shape[0] < static_cast<int64_t>(vocabulary.size())) {
    return ModelError(file.name() + ": vocab: " + std::to_string(vocabulary.size()) + " words, but the table has " +
                      std::to_string(table.shape[0]) + " rows");
  }
  (*context.widths)["token_embeddings"] = {table.shape[1], true};
  (*context.widths)["sentence_lengths"] = {1, false};
  std::set<std::string> stops(stop_words.begin(), stop_words.end());
  json::array stop_list;
  for (const std::string& word : stops) stop_list.push_back(json::value(word));
  json::object about = {{"type", "WordEmbeddings"},
                        {"vocab", vocab.value()},
                        {"stop_words", stop_list},
                        {"lowercase", lowercase},
                        {"max_length", max_length}};
  return LoadedModule(std::make_unique<WordEmbeddings>(WhitespaceTokenizer(vocabulary, std::move(stops), lowercase),
                                                       table, weights.store(), max_length, std::move(about)));
}

}  // namespace truevec
