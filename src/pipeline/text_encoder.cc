// TextEncoder: prompt + text to ids, truncated as transformers does (longest_first). Reference:
// base/modules/transformer.py (preprocess, _get_prompt_length).
#include <algorithm>

#include "pipeline/transformer.h"

namespace truevec {
namespace {

Result<std::vector<int32_t>> ReadIds(const JsonRef& ref) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < ref.size(); ++i) {
    TV_ASSIGN_OR_RETURN(const int64_t id, ref.At(i).Int());
    ids.push_back(static_cast<int32_t>(id));
  }
  return ids;
}

json::array IdArray(const std::vector<int32_t>& ids) {
  json::array array;
  for (const int32_t id : ids) array.push_back(id);
  return array;
}

Status ReadTokenizerOverrides(const Overrides& overrides, TokenizerLoadOptions* options) {
  for (const auto& [key, target] :
       {std::pair("lowercase", &options->lowercase), std::pair("strip_accents", &options->strip_accents)}) {
    const json::value* value = overrides.Use(key);
    if (value == nullptr) continue;
    if (!value->is_bool()) {
      return UsageError("--override " + std::string(key) + ": expected true or false, got " + WriteJson(*value));
    }
    *target = value->get_bool();
  }
  return Status::Ok();
}

void RecordTokenizerOverrides(const TokenizerLoadOptions& options, const Overrides& overrides, Settings* settings) {
  for (const auto& [key, value] :
       {std::pair("lowercase", options.lowercase), std::pair("strip_accents", options.strip_accents)}) {
    if (!value.has_value()) continue;
    const Setting* old = settings->Find(key);
    const std::optional<Setting> lost = old == nullptr ? std::nullopt : std::optional(*old);
    settings->Record(key, json::value(*value),
                     SettingSource::Override(std::string(key) + "=" + (*value ? "true" : "false")));
    if (lost.has_value()) settings->AddConflict(key, lost->value, lost->source);
    overrides.Use(key);
  }
}

// The whole piece that the tokenizer makes of `text` alone.
Result<bool> IsOnePiece(const Tokenizer& tokenizer, const std::string& text) {
  EncodeOptions options;
  options.add_special_tokens = false;
  options.truncation = Truncation{};
  TV_ASSIGN_OR_RETURN(const Encoding encoding, tokenizer.Encode(text, std::nullopt, options));
  return encoding.ids.size() == 1 && tokenizer.IdToToken(encoding.ids[0]) == text;
}

// _register_prefix_tokens: a marker that the tokenizer knows, whole or its first word, and would split.
Result<std::vector<std::string>> MarkersToRegister(const Tokenizer& tokenizer,
                                                   const std::vector<std::string>& markers) {
  std::vector<std::string> tokens;
  for (const std::string& marker : markers) {
    const size_t start = marker.find_first_not_of(" \t\n\r\f\v");
    const size_t end = marker.find_first_of(" \t\n\r\f\v", start);
    for (const std::string& candidate : {marker, marker.substr(start, end - start)}) {
      if (!tokenizer.TokenToId(candidate).has_value()) continue;
      TV_ASSIGN_OR_RETURN(const bool whole, IsOnePiece(tokenizer, candidate));
      if (!whole) tokens.push_back(candidate);
      break;
    }
  }
  return tokens;
}

}  // namespace

Result<TextEncoder> TextEncoder::Load(const std::string& folder, const std::string& model_type,
                                      const TransformerConfig& config, const LoadContext& context) {
  TextEncoder encoder;
  const Overrides& overrides = context.options->overrides;
  Settings* settings = &context.spec->settings;
  TokenizerLoadOptions options;
  options.prepend_lowercase = config.lowercase;
  TV_RETURN_IF_ERROR(ReadTokenizerOverrides(overrides, &options));
  auto* known = context.options->known_tokenizers;
  if (known != nullptr && known->contains(folder)) {
    encoder.tokenizer_ = known->at(folder);
  } else {
    TV_ASSIGN_OR_RETURN(std::unique_ptr<Tokenizer> tokenizer,
                        Tokenizer::LoadDirectory(folder, model_type, options, settings));
    RecordTokenizerOverrides(options, overrides, settings);
    TV_ASSIGN_OR_RETURN(options.register_special, MarkersToRegister(*tokenizer, context.spec->marker_tokens));
    if (!options.register_special.empty()) {
      TV_ASSIGN_OR_RETURN(tokenizer, Tokenizer::LoadDirectory(folder, model_type, options, nullptr));
    }
    encoder.tokenizer_ = std::move(tokenizer);
    if (known != nullptr) (*known)[folder] = encoder.tokenizer_;
  }
  encoder.truncation_side_ = encoder.tokenizer_->truncation_side();
  if (settings->Find("truncation_side") == nullptr) {
    settings->Record("truncation_side", encoder.truncation_side_ == Side::kLeft ? "left" : "right",
                     SettingSource::File("tokenizer_config.json", "truncation_side"));
  }
  if (const json::value* side = overrides.Use("truncation_side"); side != nullptr) {
    if (!side->is_string() || (side->get_string() != "left" && side->get_string() != "right")) {
      return UsageError("--override truncation_side: expected left or right");
    }
    encoder.truncation_side_ = side->get_string() == "left" ? Side::kLeft : Side::kRight;
    settings->Record("truncation_side", *side, SettingSource::Override("truncation_side=" + WriteJson(*side)));
  }
  const json::object own = {{"prefix", IdArray(encoder.tokenizer_->PrefixIds())},
                            {"suffix", IdArray(encoder.tokenizer_->SuffixIds())}};
  const Setting* stated = settings->Find("special_tokens");
  const SettingSource source =
      stated != nullptr ? stated->source : SettingSource::File("tokenizer.json", "post_processor");
  if (const json::value* special = overrides.Use("special_tokens"); special != nullptr) {
    const JsonRef ref(special, "--override", "special_tokens");
    SpecialTokens tokens;
    TV_ASSIGN_OR_RETURN(tokens.prefix, ReadIds(ref["prefix"]));
    TV_ASSIGN_OR_RETURN(tokens.suffix, ReadIds(ref["suffix"]));
    encoder.special_tokens_ = tokens;
    settings->Record("special_tokens", *special, SettingSource::Override("special_tokens=" + WriteJson(*special)));
    settings->AddConflict("special_tokens", own, source);
  }
  if (config.chat.has_value()) {
    TV_ASSIGN_OR_RETURN(ChatTemplate chat, ChatTemplate::Load(folder, model_type, *config.chat));
    encoder.chat_.emplace(std::move(chat));
  }
  const Setting* include = settings->Find("include_prompt");
  encoder.needs_prompt_length_ = include != nullptr && include->value.is_bool() && !include->value.get_bool();
  return encoder;
}

Result<Encoding> TextEncoder::Run(std::string_view text, std::optional<std::string_view> pair, int64_t max_length,
                                  Side side) const {
  EncodeOptions options;
  Truncation truncation;
  truncation.max_length = max_length;
  truncation.side = side;
  if (!special_tokens_.has_value()) {
    options.truncation = truncation;
    return tokenizer_->Encode(text, pair, options);
  }
  const SpecialTokens& special = *special_tokens_;
  const int64_t around = static_cast<int64_t>(special.prefix.size() + special.suffix.size());
  options.add_special_tokens = false;
  if (max_length > 0) truncation.max_length = std::max<int64_t>(max_length - around, 1);
  options.truncation = truncation;
  TV_ASSIGN_OR_RETURN(Encoding encoding, tokenizer_->Encode(text, pair, options));
  const int32_t last_type = encoding.type_ids.empty() ? 0 : encoding.type_ids.back();
  encoding.ids.insert(encoding.ids.begin(), special.prefix.begin(), special.prefix.end());
  encoding.ids.insert(encoding.ids.end(), special.suffix.begin(), special.suffix.end());
  if (!encoding.type_ids.empty()) {
    encoding.type_ids.insert(encoding.type_ids.begin(), special.prefix.size(), 0);
    encoding.type_ids.insert(encoding.type_ids.end(), special.suffix.size(), last_type);
  }
  return encoding;
}

// Tokens of the prompt alone with specials, one less when it ends in a special token. An approximation where tokens
// merge across the boundary, kept as the reference has it.
Result<int32_t> TextEncoder::PromptLength(std::string_view prompt, int64_t max_length) const {
  TV_ASSIGN_OR_RETURN(const Encoding alone, Run(prompt, std::nullopt, max_length, truncation_side_));
  int32_t length = static_cast<int32_t>(alone.ids.size());
  if (length > 0 && tokenizer_->IsSpecial(alone.ids.back())) --length;
  return length;
}

Result<std::vector<int32_t>> TextEncoder::PlainIds(const std::string& text) const {
  EncodeOptions options;
  options.add_special_tokens = false;
  options.truncation = Truncation{};
  TV_ASSIGN_OR_RETURN(Encoding encoding, tokenizer_->Encode(text, std::nullopt, options));
  return std::move(encoding.ids);
}

// The longest common end of two renders with different texts; nothing when they never differ.
Result<std::vector<int32_t>> TextEncoder::ChatSuffix(const ChatTemplate::Input& input) const {
  TV_ASSIGN_OR_RETURN(const std::string first_text, chat_->RenderSkeleton(input, "0"));
  TV_ASSIGN_OR_RETURN(const std::string second_text, chat_->RenderSkeleton(input, "1 2 3 4"));
  TV_ASSIGN_OR_RETURN(const std::vector<int32_t> first, PlainIds(first_text));
  TV_ASSIGN_OR_RETURN(const std::vector<int32_t> second, PlainIds(second_text));
  const size_t least = std::min(first.size(), second.size());
  size_t count = 0;
  while (count < least && first[first.size() - 1 - count] == second[second.size() - 1 - count]) ++count;
  if (count == least) return std::vector<int32_t>();
  return std::vector<int32_t>(first.end() - static_cast<std::ptrdiff_t>(count), first.end());
}

// apply_chat_template without special tokens, truncated; what the template puts at the end is written back over the
// last ids of a text that reached the limit, so that models that read the last position keep working.
Result<EncodedText> TextEncoder::EncodeChat(const InputText& input, int64_t max_length) const {
  const ChatTemplate::Input chat_input{input.text, input.pair, input.prompt, input.task};
  TV_ASSIGN_OR_RETURN(const std::string rendered, chat_->Render(chat_input));
  EncodeOptions options;
  options.add_special_tokens = false;
  Truncation truncation;
  truncation.max_length = max_length;
  truncation.side = input.truncation_side.value_or(truncation_side_);
  options.truncation = truncation;
  TV_ASSIGN_OR_RETURN(Encoding encoding, tokenizer_->Encode(rendered, std::nullopt, options));
  EncodedText text;
  text.ids = std::move(encoding.ids);
  text.truncated_tokens = encoding.truncated_tokens;
  text.task = std::string(input.task);
  if (chat_->restores_suffix() && max_length > 0 && static_cast<int64_t>(text.ids.size()) >= max_length) {
    TV_ASSIGN_OR_RETURN(const std::vector<int32_t> suffix, ChatSuffix(chat_input));
    const size_t keep = std::min(suffix.size(), text.ids.size());
    std::copy(suffix.end() - static_cast<std::ptrdiff_t>(keep), suffix.end(),
              text.ids.end() - static_cast<std::ptrdiff_t>(keep));
  }
  return text;
}

Result<EncodedText> TextEncoder::Encode(const InputText& input, int64_t max_length) const {
  if (chat_.has_value()) return EncodeChat(input, max_length);
  const std::string joined = std::string(input.prompt) + std::string(input.text);
  TV_ASSIGN_OR_RETURN(Encoding encoding,
                      Run(joined, input.pair, max_length, input.truncation_side.value_or(truncation_side_)));
  EncodedText text;
  text.ids = std::move(encoding.ids);
  const bool typed = std::any_of(encoding.type_ids.begin(), encoding.type_ids.end(), [](int32_t t) { return t != 0; });
  if (typed) text.type_ids = std::move(encoding.type_ids);
  text.truncated_tokens = encoding.truncated_tokens;
  text.task = std::string(input.task);
  if (needs_prompt_length_ && !input.prompt.empty()) {
    TV_ASSIGN_OR_RETURN(text.prompt_length, PromptLength(input.prompt, max_length));
  }
  return text;
}

}  // namespace truevec
