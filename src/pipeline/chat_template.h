// A tokenizer's chat template as Sentence Transformers uses it: texts and pairs become messages, messages become one
// text. Reference: sentence_transformers 6.2 base/modality.py (InputFormatter), base/modules/transformer.py
// (_process_chat_messages, _restore_chat_template_suffix); transformers 5.23 tokenization_utils_base.py.
#ifndef TRUEVEC_PIPELINE_CHAT_TEMPLATE_H_
#define TRUEVEC_PIPELINE_CHAT_TEMPLATE_H_

#include <optional>
#include <string>

#include "pipeline/jinja.h"

namespace truevec {

// How a Transformer module's config asks for it.
struct ChatConfig {
  std::string format = "auto";  // auto, flat, structured
  json::object variables;       // processing_kwargs.chat_template
  bool restore_suffix = true;
};

class ChatTemplate {
 public:
  // chat_template.jinja of `folder`, else tokenizer_config.json's chat_template.
  static Result<ChatTemplate> Load(const std::string& folder, const std::string& model_type, ChatConfig config);

  struct Input {
    std::string_view text;
    std::optional<std::string_view> pair;
    std::string_view prompt;  // a system message when not empty
    std::string_view task;    // passed to templates that read it
  };
  Result<std::string> Render(const Input& input) const;
  // Any conversation: `messages` are objects whose `content` is text or a list of texts; `variables` win over the
  // template's own (vllm renderers/hf.py, transformers apply_chat_template).
  Result<std::string> RenderMessages(const json::array& messages, const json::object& variables) const;
  // The same with every text but the prompt replaced, to find what the template puts after them.
  Result<std::string> RenderSkeleton(const Input& input, std::string_view filler) const;
  bool restores_suffix() const { return config_.restore_suffix; }
  const std::string& source() const { return source_; }
  json::object Describe() const;

 private:
  ChatTemplate(JinjaTemplate parsed, std::string source, ChatConfig config)
      : template_(std::move(parsed)), source_(std::move(source)), config_(std::move(config)) {}
  // A template that drops one half of a pair would score nothing: refused.
  Status CheckPairs();
  json::value Content(std::string_view text) const;
  Result<std::string> RenderWith(json::array messages, std::string_view task, const json::object& more) const;

  JinjaTemplate template_;
  std::string source_;
  ChatConfig config_;
  json::object special_tokens_;
  bool structured_ = false;
  Status pairs_;  // why pairs cannot be rendered; OK when they can
};

}  // namespace truevec

#endif  // TRUEVEC_PIPELINE_CHAT_TEMPLATE_H_
