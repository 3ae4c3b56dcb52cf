#include "pipeline/chat_template.h"

#include <algorithm>
#include <array>

#include "base/file.h"

namespace truevec {
namespace {

constexpr size_t kMaxTemplateBytes = size_t{1} << 20;

struct Source {
  std::string text;
  std::string where;
};

// tokenizer_config.json's value: a text, or a list of {"name", "template"} of which "default" counts.
Result<Source> FromConfig(const JsonRef& ref) {
  if (ref.is_string()) return Source{ref.String().value(), ref.Where()};
  for (size_t i = 0; i < ref.size(); ++i) {
    const JsonRef name = ref.At(i)["name"];
    if (!name.is_string() || name.String().value() != "default") continue;
    TV_ASSIGN_OR_RETURN(std::string text, ref.At(i)["template"].String());
    return Source{std::move(text), ref.Where()};
  }
  return ref.TypeError("a template, or a list with one that is named default");
}

Result<Source> FindSource(const std::string& folder, const JsonRef& config) {
  if (FileExists(folder + "/chat_template.jinja")) {
    TV_ASSIGN_OR_RETURN(std::string text,
                        ReadFile(folder + "/chat_template.jinja", Code::kModelRefused, kMaxTemplateBytes));
    return Source{std::move(text), "chat_template.jinja"};
  }
  if (const JsonRef ref = config["chat_template"]; ref.present() && !ref.is_null()) return FromConfig(ref);
  return ModelError(folder +
                    ": the model reads chat messages, but neither chat_template.jinja nor "
                    "tokenizer_config.json: chat_template is there");
}

// Model types whose format does not follow from the template.
constexpr std::array<std::string_view, 4> kFlatTypes = {"apertus", "deepseek_v3", "gpt_oss", "seed_oss"};
constexpr std::array<std::string_view, 6> kStructuredSigns = {"content[0]", ".type",     "'type'",
                                                              "\"type\"",   "item.type", "message.content["};

bool IsStructured(const std::string& format, const std::string& model_type, const std::string& source) {
  if (format != "auto") return format == "structured";
  if (std::find(kFlatTypes.begin(), kFlatTypes.end(), model_type) != kFlatTypes.end()) return false;
  return std::any_of(kStructuredSigns.begin(), kStructuredSigns.end(),
                     [&](std::string_view sign) { return source.find(sign) != std::string::npos; });
}

json::object SpecialTokens(const JsonRef& config, const JsonRef& map) {
  json::object tokens;
  for (const std::string_view key :
       {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}) {
    for (const JsonRef& file : {config, map}) {
      JsonRef ref = file[key];
      if (ref.is_object()) ref = ref["content"];
      if (ref.is_string() && !tokens.contains(key)) tokens[key] = ref.value();
    }
  }
  return tokens;
}

}  // namespace

Result<ChatTemplate> ChatTemplate::Load(const std::string& folder, const std::string& model_type, ChatConfig config) {
  std::optional<JsonFile> tokenizer_config;
  std::optional<JsonFile> special_map;
  for (const auto& [name, target] :
       {std::pair("tokenizer_config.json", &tokenizer_config), std::pair("special_tokens_map.json", &special_map)}) {
    if (!FileExists(folder + "/" + name)) continue;
    TV_ASSIGN_OR_RETURN(JsonFile file, JsonFile::Load(folder + "/" + name, name));
    target->emplace(std::move(file));
  }
  const JsonRef root = tokenizer_config ? tokenizer_config->root() : JsonRef();
  TV_ASSIGN_OR_RETURN(Source source, FindSource(folder, root));
  Result<JinjaTemplate> parsed = JinjaTemplate::Parse(source.text);
  if (!parsed.ok()) return ModelError(source.where + ": " + parsed.status().message());
  const bool structured = IsStructured(config.format, model_type, source.text);
  ChatTemplate chat(std::move(parsed).value(), std::move(source.text), std::move(config));
  chat.structured_ = structured;
  chat.special_tokens_ = SpecialTokens(root, special_map ? special_map->root() : JsonRef());
  chat.pairs_ = chat.CheckPairs();
  return chat;
}

json::value ChatTemplate::Content(std::string_view text) const {
  if (!structured_) return json::value(text);
  return json::array{json::object{{"type", "text"}, {"text", text}}};
}

Result<std::string> ChatTemplate::Render(const Input& input) const {
  json::array messages;
  if (!input.prompt.empty()) messages.push_back(json::object{{"role", "system"}, {"content", Content(input.prompt)}});
  if (input.pair.has_value()) {
    TV_RETURN_IF_ERROR(pairs_);
    messages.push_back(json::object{{"role", "query"}, {"content", Content(input.text)}});
    messages.push_back(json::object{{"role", "document"}, {"content", Content(*input.pair)}});
  } else {
    messages.push_back(json::object{{"role", "user"}, {"content", Content(input.text)}});
  }
  return RenderWith(std::move(messages), input.task, {});
}

Result<std::string> ChatTemplate::RenderMessages(const json::array& messages, const json::object& variables) const {
  json::array prepared;
  for (const json::value& message : messages) {
    json::object one = message.as_object();
    json::value& content = one["content"];
    if (content.is_string()) {
      content = Content(std::string_view(content.get_string()));
    } else if (structured_) {
      json::array parts;
      for (const json::value& text : content.as_array()) {
        parts.push_back(json::object{{"type", "text"}, {"text", text}});
      }
      content = std::move(parts);
    } else {
      std::string joined;
      for (const json::value& text : content.as_array()) {
        joined += (&text == content.as_array().begin() ? "" : "\n") + std::string(text.as_string());
      }
      content = json::value(joined);
    }
    prepared.push_back(std::move(one));
  }
  return RenderWith(std::move(prepared), "", variables);
}

Result<std::string> ChatTemplate::RenderWith(json::array messages, std::string_view task,
                                             const json::object& more) const {
  json::object variables = special_tokens_;
  variables["messages"] = std::move(messages);
  variables["tools"] = nullptr;
  variables["documents"] = nullptr;
  variables["add_generation_prompt"] = false;
  if (!task.empty() && template_.Mentions("task")) variables["task"] = json::value(task);
  for (const auto& [key, value] : config_.variables) variables[key] = value;
  for (const auto& [key, value] : more) variables[key] = value;
  Result<std::string> text = template_.Render(variables);
  if (!text.ok()) return text.status().WithContext("chat template");
  return text;
}

Result<std::string> ChatTemplate::RenderSkeleton(const Input& input, std::string_view filler) const {
  Input skeleton = input;
  skeleton.text = filler;
  if (skeleton.pair.has_value()) skeleton.pair = filler;
  return Render(skeleton);
}

// Probes as the reference's pair_roles_failure: a render that does not move with its input drops it.
Status ChatTemplate::CheckPairs() {
  struct Probe {
    std::string_view query;
    std::string_view document;
  };
  constexpr std::array<Probe, 3> kProbes = {{{"alpha", "bravo"}, {"charlie", "bravo"}, {"alpha", "foxtrot"}}};
  std::array<std::string, 3> renders;
  for (size_t i = 0; i < kProbes.size(); ++i) {
    Result<std::string> text = Render({kProbes[i].query, kProbes[i].document, "", ""});
    if (!text.ok())
      return ModelError("the chat template cannot carry a query and a document: " + text.status().message());
    renders[i] = std::move(text).value();
  }
  if (renders[1] == renders[0]) return ModelError("the chat template drops the query of a pair");
  if (renders[2] == renders[0]) return ModelError("the chat template drops the document of a pair");
  return Status::Ok();
}

json::object ChatTemplate::Describe() const {
  return {{"template", source_},
          {"structured", structured_},
          {"variables", config_.variables},
          {"special_tokens", special_tokens_},
          {"restore_suffix", config_.restore_suffix}};
}

}  // namespace truevec
