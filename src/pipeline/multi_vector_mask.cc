// MultiVectorMask: which token vectors of a text are kept. Reference:
// multi_vector_encoder/modules/multi_vector_mask.py. Expansion tokens of queries count as real ones.
#include <algorithm>
#include <boost/json/value_from.hpp>
#include <set>

#include "pipeline/modules.h"

namespace truevec {
namespace {

class MultiVectorMask : public PipelineModule {
 public:
  MultiVectorMask(std::set<int32_t> skipped, std::set<std::string> skip_tasks, std::set<int32_t> kept_only)
      : skipped_(std::move(skipped)), skip_tasks_(std::move(skip_tasks)), kept_only_(std::move(kept_only)) {}

  Status Forward(const ExecContext& ctx, Features* features) const override {
    (void)ctx;
    features->keep.clear();
    for (int64_t text = 0; text < features->count(); ++text) {
      const std::string& task = features->texts[static_cast<size_t>(text)]->task;
      const bool skips = skip_tasks_.contains(task.empty() ? "document" : task);
      const bool restricts = task != "query" && !kept_only_.empty();
      std::vector<uint8_t> keep;
      for (int32_t i = 0; i < features->length(text); ++i) {
        const int32_t id = features->id(text, i);
        keep.push_back(!(skips && skipped_.contains(id)) && !(restricts && !kept_only_.contains(id)) ? 1 : 0);
      }
      features->keep.push_back(std::move(keep));
    }
    return Status::Ok();
  }

  json::object Describe() const override {
    return {{"type", "MultiVectorMask"},
            {"skipped", json::value_from(skipped_)},
            {"skip_tasks", json::value_from(skip_tasks_)},
            {"kept_only", json::value_from(kept_only_)}};
  }

 private:
  std::set<int32_t> skipped_;
  std::set<std::string> skip_tasks_;
  std::set<int32_t> kept_only_;
};

}  // namespace

Result<std::set<std::string>> ReadTasks(const JsonRef& ref) {
  if (!ref.present() || ref.is_null()) return std::set<std::string>{"document"};
  if (ref.is_string()) {
    TV_ASSIGN_OR_RETURN(std::string task, ref.String());
    return std::set<std::string>{std::move(task)};
  }
  TV_ASSIGN_OR_RETURN(const std::vector<JsonRef> list, ref.Array());
  std::set<std::string> tasks;
  for (const JsonRef& item : list) {
    TV_ASSIGN_OR_RETURN(std::string task, item.String());
    tasks.insert(std::move(task));
  }
  return tasks;
}

LoadedModule LoadMultiVectorMask(const ModuleSpec& module, const LoadContext& context) {
  ConfigReader reader = context.Reader(module);
  const Tokenizer* tokenizer = context.input == nullptr ? nullptr : context.input->tokenizer();
  if (tokenizer == nullptr) return ModelError("MultiVectorMask: the model has no tokenizer");
  std::set<int32_t> skipped;
  json::array recorded;
  if (const JsonRef words = reader.Raw({"skiplist_words"}); words.present() && !words.is_null()) {
    TV_ASSIGN_OR_RETURN(const std::vector<JsonRef> list, words.Array());
    for (const JsonRef& item : list) {
      TV_ASSIGN_OR_RETURN(const std::string word, item.String());
      // A word that is no single token of the vocabulary is dropped, as in the reference.
      const std::optional<int32_t> id = tokenizer->TokenToId(word);
      if (!id.has_value()) continue;
      skipped.insert(*id);
      recorded.push_back(json::value(word));
    }
  }
  TV_ASSIGN_OR_RETURN(std::set<std::string> tasks, ReadTasks(reader.Raw({"skiplist_tasks"})));
  std::set<int32_t> kept_only;
  if (const JsonRef ids = reader.Raw({"keep_only_token_ids"}); ids.present() && !ids.is_null()) {
    TV_ASSIGN_OR_RETURN(const std::vector<JsonRef> list, ids.Array());
    for (const JsonRef& item : list) {
      TV_ASSIGN_OR_RETURN(const int64_t id, item.Int());
      kept_only.insert(static_cast<int32_t>(id));
    }
  }
  TV_RETURN_IF_ERROR(context.Finish(module, reader));
  TV_RETURN_IF_ERROR(context.Width(module, "token_embeddings").status());
  context.spec->settings.Record(
      "skiplist_words", recorded,
      module.config_file.empty() ? SettingSource::Default(std::string(kReferenceName) + " " + context.spec->model_type)
                                 : SettingSource::File(module.config_file, "skiplist_words"));
  return LoadedModule(std::make_unique<MultiVectorMask>(std::move(skipped), std::move(tasks), std::move(kept_only)));
}

}  // namespace truevec
