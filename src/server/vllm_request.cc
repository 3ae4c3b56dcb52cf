#include "server/vllm_request.h"

#include <algorithm>

namespace truevec {
namespace {

constexpr const char* kMessages = R"({"type":"array","minItems":1,"items":{"anyOf":[
{"type":"object","required":["role","content"],"properties":{"role":{"type":"string"}}},
{"type":"array","minItems":1,"items":{"type":"object","required":["role","content"]}}]}})";

std::optional<ApiError> Fault(const JsonRef& value, std::string_view expected) {
  return ApiError{ErrorKind::kType, value.TypeError(expected).message(), value.key()};
}

// Text, or parts of which each is text.
std::optional<ApiError> ReadContent(const JsonRef& content, json::value* out) {
  if (content.is_string()) {
    *out = content.value();
    return std::nullopt;
  }
  if (!content.is_array() || content.size() == 0) return Fault(content, "text, or an array of parts of type text");
  json::array texts;
  for (size_t i = 0; i < content.size(); ++i) {
    const JsonRef part = content.At(i);
    const JsonRef text = part.is_string() ? part : part["text"];
    if (!text.is_string()) return Fault(part, "a part of type text");
    texts.push_back(text.value());
  }
  *out = std::move(texts);
  return std::nullopt;
}

std::optional<ApiError> ReadConversation(const JsonRef& list, json::array* messages) {
  for (size_t i = 0; i < list.size(); ++i) {
    const JsonRef message = list.At(i);
    if (!message.is_object()) return Fault(message, "an object with role and content");
    if (!message["role"].is_string()) return Fault(message["role"].present() ? message["role"] : message, "a role");
    json::object one = message.value().get_object();
    if (auto fault = ReadContent(message["content"].present() ? message["content"] : message, &one["content"])) {
      return fault;
    }
    messages->push_back(std::move(one));
  }
  return std::nullopt;
}

std::optional<ApiError> ReadMessages(const Body& body, const ServingModel& model, const InputLimits& limits,
                                     TaskRequest* task) {
  const JsonRef messages = body.root()["messages"];
  if (!messages.is_array() || messages.size() == 0) return Fault(messages, "an array of messages");
  for (const char* name : {"chat_template", "continue_final_message"}) {
    const JsonRef value = body.root()[name];
    if (!value.present() || value.is_null() || (value.is_bool() && !value.Bool().value())) continue;
    return ApiError{ErrorKind::kValue, std::string(name) + ": not supported; the model's own chat template is used",
                    name};
  }
  // One conversation, or a list of them.
  const bool several = messages.At(0).is_array();
  if (several && messages.size() > limits.max_texts) {
    return ApiError{ErrorKind::kTooMany, "messages: expected at most " + std::to_string(limits.max_texts), "messages"};
  }
  json::object variables;
  const JsonRef more = body.root()["chat_template_kwargs"];
  if (more.is_object()) variables = more.value().get_object();
  variables["add_generation_prompt"] = body.Bool("add_generation_prompt").value_or(false);
  for (size_t i = 0; i < (several ? messages.size() : 1); ++i) {
    const JsonRef conversation = several ? messages.At(i) : messages;
    if (!conversation.is_array() || conversation.size() == 0) return Fault(conversation, "an array of messages");
    json::array read;
    if (auto fault = ReadConversation(conversation, &read)) return fault;
    auto text = model.RenderChat(read, variables);
    if (!text.ok()) return ApiError{ErrorKind::kValue, "messages: " + text.status().message(), "messages"};
    task->texts.push_back(
        {.text = std::move(text).value(), .special_tokens = body.Bool("add_special_tokens").value_or(false)});
  }
  return std::nullopt;
}

}  // namespace

std::vector<Field> WithVllmFields(std::vector<Field> fields, bool inputs) {
  fields.push_back(
      {"truncate_prompt_tokens", FieldType::kInt, "Cut to N tokens; -1: the model's maximum.", false, {}, -1});
  fields.push_back({"truncation_side", FieldType::kString, "Which end is cut.", false, {"left", "right"}});
  fields.push_back({"padding", FieldType::kString, "Nothing is padded.", false, {"do_not_pad"}});
  if (!inputs) return fields;
  fields.push_back({"messages",
                    FieldType::kAny,
                    "In place of input: a conversation, or several, by the model's chat template.",
                    false,
                    {},
                    {},
                    nullptr,
                    kMessages});
  fields.push_back({"add_special_tokens", FieldType::kBool, "Default true for input, false for messages."});
  fields.push_back({"add_generation_prompt", FieldType::kBool, "For the chat template; default false."});
  return fields;
}

std::optional<ApiError> ReadVllmInputs(const Body& body, const ServingModel& model, const InputLimits& limits,
                                       TaskRequest* task) {
  if (body.Has("messages") && !body.Has("input")) return ReadMessages(body, model, limits, task);
  if (!body.Has("input")) return ApiError{ErrorKind::kType, "body: input: missing", "input"};
  auto texts = body.Texts("input", limits);
  if (!texts.ok()) return texts.error();
  task->texts = std::move(*texts);
  if (body.Bool("add_special_tokens").value_or(true)) return std::nullopt;
  for (TaskText& text : task->texts) text.special_tokens = false;
  return std::nullopt;
}

std::optional<ApiError> ReadVllmTruncation(const Body& body, const ServingModel& model, bool refuse_long,
                                           EncodeTextOptions* encode) {
  const auto cut = body.Int("truncate_prompt_tokens");
  encode->error_when_long = refuse_long && !cut.has_value();
  if (cut == 0) {
    return ApiError{ErrorKind::kValue, "truncate_prompt_tokens: expected -1 or at least 1", "truncate_prompt_tokens"};
  }
  if (cut.value_or(-1) > 0) encode->max_length = model.max_length() > 0 ? std::min(*cut, model.max_length()) : *cut;
  if (body.Has("truncation_side")) {
    encode->truncation_side = body.Choice("truncation_side") == "left" ? Side::kLeft : Side::kRight;
  }
  return std::nullopt;
}

Expected<int64_t> ReadTokenLimit(const Body& body, const char* name, const ServingModel& model) {
  const int64_t limit = body.Int(name).value_or(0);
  if (model.max_length() > 0 && limit >= model.max_length()) {
    return ApiError{ErrorKind::kValue,
                    std::string(name) + ": expected less than the model's " + std::to_string(model.max_length()) +
                        " tokens, got " + std::to_string(limit),
                    name};
  }
  return limit;
}

}  // namespace truevec
