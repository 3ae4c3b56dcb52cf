// What Transformer's two halves share: settings of sentence_bert_config.json and the text side.
#ifndef TRUEVEC_PIPELINE_TRANSFORMER_H_
#define TRUEVEC_PIPELINE_TRANSFORMER_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/model.h"
#include "pipeline/chat_template.h"
#include "pipeline/module.h"

namespace truevec {

struct QueryExpansion {
  bool fixed = true;  // else "min": a floor on the width
  bool attend = false;
  std::optional<std::string> token;  // unset: the mask token, else the end token
  int64_t length = 0;
  // Filled at load:
  int32_t id = 0;
  bool on_left = false;  // the tokenizer pads there, and expansion takes the place of padding
};

// sentence_bert_config.json, old and new keys. Reference: base/modules/transformer.py (__init__, load_config).
struct TransformerConfig {
  Task task = Task::kFeatureExtraction;
  std::string output = "token_embeddings";
  bool lowercase = false;
  std::optional<int64_t> max_seq_length;  // the file's, wins outright
  SettingSource max_seq_source;
  std::optional<int64_t> query_length;
  std::optional<int64_t> document_length;
  std::optional<QueryExpansion> expansion;
  std::optional<ChatConfig> chat;  // texts go through the tokenizer's chat template
  Overrides config_overrides;      // config_args and --override

  static Result<TransformerConfig> Read(const ModuleSpec& module, const LoadContext& context);
};

// Ids that an override puts around every text instead of the tokenizer's own.
struct SpecialTokens {
  std::vector<int32_t> prefix;
  std::vector<int32_t> suffix;
};

// Text to ids, truncated. Const and thread-safe.
class TextEncoder {
 public:
  static Result<TextEncoder> Load(const std::string& folder, const std::string& model_type,
                                  const TransformerConfig& config, const LoadContext& context);
  Result<EncodedText> Encode(const InputText& input, int64_t max_length) const;
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const ChatTemplate* chat() const { return chat_.has_value() ? &*chat_ : nullptr; }
  void NoSpecialTokens() { special_tokens_.emplace(); }

 private:
  Result<Encoding> Run(std::string_view text, std::optional<std::string_view> pair, int64_t max_length,
                       Side side) const;
  Result<EncodedText> EncodeChat(const InputText& input, int64_t max_length) const;
  // The ids that the chat template puts after the texts.
  Result<std::vector<int32_t>> ChatSuffix(const ChatTemplate::Input& input) const;
  Result<std::vector<int32_t>> PlainIds(const std::string& text) const;
  Result<int32_t> PromptLength(std::string_view prompt, int64_t max_length) const;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::optional<ChatTemplate> chat_;
  std::optional<SpecialTokens> special_tokens_;
  Side truncation_side_ = Side::kRight;
  bool needs_prompt_length_ = false;
};

}  // namespace truevec

#endif  // TRUEVEC_PIPELINE_TRANSFORMER_H_
