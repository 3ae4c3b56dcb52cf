// LogitScore: the logit of a "yes" token, minus that of a "no" token, at a text's last position. Reference:
// cross_encoder/modules/logit_score.py.
#include "pipeline/modules.h"

namespace truevec {
namespace {

class LogitScore : public PipelineModule {
 public:
  LogitScore(std::string input, int64_t yes, std::optional<int64_t> no)
      : input_(std::move(input)), yes_(yes), no_(no) {}

  Status Forward(const ExecContext& ctx, Features* features) const override {
    const Matrix logits = features->at(input_).matrix;
    const Matrix out = ctx.arena->NewMatrix(features->count(), 1);
    for (int64_t text = 0; text < features->count(); ++text) {
      const float* row = logits.row(text);
      out.row(text)[0] = row[yes_] - (no_.has_value() ? row[*no_] : 0.0f);
    }
    features->Set("scores", out, false);
    return Status::Ok();
  }
  json::object Describe() const override {
    return {{"type", "LogitScore"}, {"yes", yes_}, {"no", no_.has_value() ? json::value(*no_) : json::value()}};
  }

 private:
  std::string input_;
  int64_t yes_;
  std::optional<int64_t> no_;
};

// The id that the config gives, or that of the token which the reference's fallback names.
Result<std::optional<int64_t>> ReadToken(ConfigReader& reader, std::string_view id_key, std::string_view token_key,
                                         const LoadContext& context) {
  const JsonRef id = reader.Raw({id_key});
  if (id.present() && !id.is_null()) {
    TV_ASSIGN_OR_RETURN(const int64_t value, id.Int());
    return std::optional<int64_t>(value);
  }
  const JsonRef token = reader.Raw({token_key});
  if (!token.present()) return std::optional<int64_t>();
  TV_ASSIGN_OR_RETURN(const std::string name, token.String());
  const Tokenizer* tokenizer = context.input == nullptr ? nullptr : context.input->tokenizer();
  const std::optional<int32_t> found = tokenizer == nullptr ? std::nullopt : tokenizer->TokenToId(name);
  if (!found.has_value()) return ModelError("LogitScore: the tokenizer has no token \"" + name + "\"");
  return std::optional<int64_t>(*found);
}

}  // namespace

LoadedModule LoadLogitScore(const ModuleSpec& module, const LoadContext& context) {
  ConfigReader reader = context.Reader(module);
  TV_ASSIGN_OR_RETURN(const std::string input, reader.String({"module_input_name"}, "causal_logits"));
  TV_ASSIGN_OR_RETURN(const std::optional<int64_t> yes, ReadToken(reader, "true_token_id", "true_token", context));
  TV_ASSIGN_OR_RETURN(const std::optional<int64_t> no, ReadToken(reader, "false_token_id", "false_token", context));
  TV_RETURN_IF_ERROR(context.Finish(module, reader));
  TV_ASSIGN_OR_RETURN(const FeatureWidth width, context.Width(module, input));
  if (!yes.has_value()) return ModelError(module.Config().file() + ": true_token_id: expected an integer");
  for (const std::optional<int64_t>& id : {yes, no}) {
    if (id.has_value() && (*id < 0 || *id >= width.width)) {
      return ModelError(module.Config().file() + ": token id " + std::to_string(*id) + " is outside the " +
                        std::to_string(width.width) + " logits");
    }
  }
  (*context.widths)["scores"] = {1, false};
  return LoadedModule(std::make_unique<LogitScore>(input, *yes, no));
}

}  // namespace truevec
