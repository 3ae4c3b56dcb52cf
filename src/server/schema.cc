#include "server/schema.h"

#include <algorithm>
#include <cctype>

namespace truevec {
namespace {

constexpr const char* kForeignIds =
    "expected text, got token ids: another tokenizer's ids would give wrong vectors. Send text (LangChain: "
    "check_embedding_ctx_length=False), or start the server with --accept-token-ids if they are this model's own";

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

ApiError TypeFault(const JsonRef& value, std::string_view expected) {
  return {ErrorKind::kType, value.TypeError(expected).message(), value.key()};
}

bool Allowed(const Field& field, const std::string& value) {
  if (field.values.empty()) return true;
  return std::any_of(field.values.begin(), field.values.end(),
                     [&](const char* allowed) { return Lower(allowed) == Lower(value); });
}

std::string Joined(const std::vector<const char*>& values) {
  std::string joined;
  for (const char* value : values) joined += (joined.empty() ? "" : ", ") + std::string(value);
  return joined;
}

std::optional<ApiError> CheckValue(const JsonRef& value, const Field& field);

std::optional<ApiError> CheckString(const JsonRef& value, const Field& field) {
  if (!value.is_string()) return TypeFault(value, "a string");
  const std::string text = value.String().value();
  if (Allowed(field, text)) return std::nullopt;
  return ApiError{ErrorKind::kValue,
                  value.Where() + ": expected one of " + Joined(field.values) + ", got \"" + text + "\"", value.key()};
}

std::optional<ApiError> CheckStrings(const JsonRef& value, const Field& field) {
  if (!value.is_array()) return TypeFault(value, "an array of strings");
  for (size_t i = 0; i < value.size(); ++i) {
    if (auto fault = CheckString(value.At(i), field)) return fault;
  }
  return std::nullopt;
}

std::optional<ApiError> CheckInt(const JsonRef& value, const Field& field) {
  const auto number = value.Int();
  if (!number.ok()) return TypeFault(value, "an integer");
  if (!field.least.has_value() || *number >= *field.least) return std::nullopt;
  return ApiError{
      ErrorKind::kValue,
      value.Where() + ": expected at least " + std::to_string(*field.least) + ", got " + std::to_string(*number),
      value.key()};
}

std::optional<ApiError> CheckFields(const JsonRef& root, const Schema& schema) {
  if (!root.is_object()) return TypeFault(root, "an object");
  for (const Field& field : schema.fields) {
    const JsonRef value = root[field.name];
    const bool absent = !value.present() || value.is_null();
    if (absent && !field.required) continue;
    if (absent) {
      const std::string path = (root.key().empty() ? "" : root.key() + ".") + field.name;
      return ApiError{ErrorKind::kType, "body: " + path + ": missing", path};
    }
    if (auto fault = CheckValue(value, field)) return fault;
  }
  return std::nullopt;
}

std::optional<ApiError> CheckValue(const JsonRef& value, const Field& field) {
  switch (field.type) {
    case FieldType::kString:
      return CheckString(value, field);
    case FieldType::kBool:
      return value.is_bool() ? std::nullopt : std::optional(TypeFault(value, "true or false"));
    case FieldType::kInt:
      return CheckInt(value, field);
    case FieldType::kNumber:
      return value.is_number() ? std::nullopt : std::optional(TypeFault(value, "a number"));
    case FieldType::kStrings:
      return CheckStrings(value, field);
    case FieldType::kObject:
      return CheckFields(value, *field.object);
    case FieldType::kTexts:
    case FieldType::kInputs:
      if (value.is_string() || value.is_array()) return std::nullopt;
      return TypeFault(value, "a string or an array of strings");
    case FieldType::kIds:
      return value.is_array() ? std::nullopt : std::optional(TypeFault(value, "an array of token ids"));
    case FieldType::kAny:
      return std::nullopt;
  }
  return std::nullopt;
}

Expected<std::vector<int32_t>> ReadIdList(const JsonRef& list) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < list.size(); ++i) {
    const JsonRef item = list.At(i);
    const auto id = item.Int();
    if (!id.ok() || *id < 0 || *id > INT32_MAX) return TypeFault(item, "a token id");
    ids.push_back(static_cast<int32_t>(*id));
  }
  if (ids.empty()) return ApiError{ErrorKind::kEmpty, list.Where() + ": expected at least one token id", list.key()};
  return ids;
}

std::optional<ApiError> CheckCount(const JsonRef& value, const InputLimits& limits) {
  if (value.size() == 0) {
    return ApiError{ErrorKind::kEmpty, value.Where() + ": expected at least one, got an empty array", value.key()};
  }
  if (value.size() <= limits.max_texts) return std::nullopt;
  return ApiError{ErrorKind::kTooMany,
                  value.Where() + ": expected at most " + std::to_string(limits.max_texts) + ", got " +
                      std::to_string(value.size()),
                  value.key()};
}

json::object FieldSchema(const Field& field) {
  const json::object text{{"type", "string"}};
  const json::object texts{{"type", "array"}, {"items", text}};
  const json::object ids{{"type", "array"}, {"items", json::object{{"type", "integer"}, {"minimum", 0}}}};
  const json::object many_ids{{"type", "array"}, {"items", ids}};
  json::object schema;
  switch (field.type) {
    case FieldType::kString:
    case FieldType::kStrings: {
      json::object item = text;
      if (!field.values.empty()) {
        json::array values;
        for (const char* value : field.values) values.push_back(json::value(value));
        item["enum"] = std::move(values);
      }
      schema = field.type == FieldType::kString ? item : json::object{{"type", "array"}, {"items", item}};
      break;
    }
    case FieldType::kBool:
      schema["type"] = "boolean";
      break;
    case FieldType::kInt:
      schema["type"] = "integer";
      if (field.least.has_value()) schema["minimum"] = *field.least;
      break;
    case FieldType::kNumber:
      schema["type"] = "number";
      break;
    case FieldType::kTexts:
      schema["anyOf"] = json::array{text, texts};
      break;
    case FieldType::kInputs:
      schema["anyOf"] = json::array{text, texts, ids, many_ids};
      break;
    case FieldType::kIds:
      schema["anyOf"] = json::array{ids, many_ids};
      break;
    case FieldType::kObject:
      schema = ToJsonSchema(*field.object);
      break;
    case FieldType::kAny:
      schema = ParseJson(field.json_schema, field.name).value().as_object();
      break;
  }
  schema["description"] = field.description;
  return schema;
}

}  // namespace

std::optional<ApiError> CheckShown(size_t bytes, const std::string& field) {
  if (bytes <= kMostShownBytes) return std::nullopt;
  return ApiError{
      ErrorKind::kTooLarge,
      field + ": expected at most " + std::to_string(kMostShownBytes) + " bytes of text, got " + std::to_string(bytes),
      field};
}

Expected<Body> Body::Check(const JsonRef& root, const Schema& schema) {
  if (auto fault = CheckFields(root, schema)) return *fault;
  return Body(root);
}

bool Body::Has(std::string_view name) const {
  const JsonRef value = root_[name];
  return value.present() && !value.is_null();
}

std::string Body::String(std::string_view name, std::string fallback) const {
  return Has(name) ? root_[name].String().value() : std::move(fallback);
}

std::string Body::Choice(std::string_view name, std::string fallback) const {
  return Lower(String(name, std::move(fallback)));
}

std::optional<bool> Body::Bool(std::string_view name) const {
  return Has(name) ? std::optional(root_[name].Bool().value()) : std::nullopt;
}

std::optional<int64_t> Body::Int(std::string_view name) const {
  return Has(name) ? std::optional(root_[name].Int().value()) : std::nullopt;
}

std::vector<std::string> Body::Strings(std::string_view name) const {
  std::vector<std::string> strings;
  const JsonRef list = root_[name];
  for (size_t i = 0; i < list.size(); ++i) strings.push_back(list.At(i).String().value());
  return strings;
}

std::vector<std::string> Body::Choices(std::string_view name) const {
  std::vector<std::string> strings = Strings(name);
  for (std::string& text : strings) text = Lower(std::move(text));
  return strings;
}

Expected<std::vector<TaskText>> Body::Texts(std::string_view name, const InputLimits& limits) const {
  const JsonRef value = root_[name];
  if (value.is_string()) return std::vector<TaskText>{{value.String().value()}};
  if (value.is_array() && value.size() > 0 && value.At(0).is_number()) {
    if (!limits.accept_ids) return ApiError{ErrorKind::kValue, value.Where() + ": " + kForeignIds, value.key()};
    auto ids = ReadIdList(value);
    if (!ids.ok()) return ids.error();
    return std::vector<TaskText>{{.ids = std::move(*ids)}};
  }
  if (auto fault = CheckCount(value, limits)) return *fault;
  std::vector<TaskText> texts;
  for (size_t i = 0; i < value.size(); ++i) {
    const JsonRef item = value.At(i);
    // Jina's multimodal form: {"text": "..."}.
    const JsonRef text = item.is_object() ? item["text"] : item;
    if (text.is_string()) {
      texts.push_back({text.String().value()});
    } else if (item.is_array()) {
      if (!limits.accept_ids) return ApiError{ErrorKind::kValue, item.Where() + ": " + kForeignIds, item.key()};
      auto ids = ReadIdList(item);
      if (!ids.ok()) return ids.error();
      texts.push_back({.ids = std::move(*ids)});
    } else {
      return TypeFault(item, "a string");
    }
  }
  return texts;
}

Expected<std::vector<std::vector<int32_t>>> Body::Ids(std::string_view name, const InputLimits& limits) const {
  const JsonRef value = root_[name];
  std::vector<std::vector<int32_t>> lists;
  if (value.size() > 0 && value.At(0).is_number()) {
    auto ids = ReadIdList(value);
    if (!ids.ok()) return ids.error();
    lists.push_back(std::move(*ids));
    return lists;
  }
  if (auto fault = CheckCount(value, limits)) return *fault;
  for (size_t i = 0; i < value.size(); ++i) {
    if (!value.At(i).is_array()) return TypeFault(value.At(i), "an array of token ids");
    auto ids = ReadIdList(value.At(i));
    if (!ids.ok()) return ids.error();
    lists.push_back(std::move(*ids));
  }
  return lists;
}

json::object ToJsonSchema(const Schema& schema) {
  json::object properties;
  json::array required;
  for (const Field& field : schema.fields) {
    json::object own = FieldSchema(field);
    if (field.required) {
      required.push_back(json::value(field.name));
    } else if (own.contains("type")) {
      own["type"] = json::array{own["type"], "null"};
      if (own.contains("enum")) own["enum"].as_array().push_back(nullptr);
    } else if (own.contains("anyOf")) {
      own["anyOf"].as_array().push_back(json::object{{"type", "null"}});
    }
    properties[field.name] = std::move(own);
  }
  json::object result{{"type", "object"}, {"properties", std::move(properties)}};
  if (!required.empty()) result["required"] = std::move(required);
  return result;
}

}  // namespace truevec
