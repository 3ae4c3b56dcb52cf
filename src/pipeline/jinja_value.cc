// Values: conversion, truth, order and printing as Python does them.
#include "pipeline/jinja_value.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "unicode/unicode.h"

namespace truevec::jinja {

Value Value::FromJson(const json::value& json) {
  switch (json.kind()) {
    case json::kind::null:
      return None();
    case json::kind::bool_:
      return Bool(json.get_bool());
    case json::kind::int64:
      return Int(json.get_int64());
    case json::kind::uint64:
      return Int(static_cast<int64_t>(json.get_uint64()));
    case json::kind::double_:
      return Float(json.get_double());
    case json::kind::string:
      return String(std::string(json.get_string()));
    case json::kind::array: {
      ListData items;
      for (const json::value& item : json.get_array()) items.push_back(FromJson(item));
      return List(std::move(items));
    }
    case json::kind::object: {
      DictData items;
      for (const auto& [key, value] : json.get_object()) items.emplace_back(std::string(key), FromJson(value));
      return Dict(std::move(items));
    }
  }
  return None();
}

double Value::AsDouble() const { return kind == Kind::kFloat ? number : static_cast<double>(AsInt()); }

bool Value::Truthy() const {
  switch (kind) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
      return boolean;
    case Kind::kInt:
      return integer != 0;
    case Kind::kFloat:
      return number != 0;
    case Kind::kString:
      return !text.empty();
    case Kind::kList:
      return !list->empty();
    case Kind::kDict:
      return !dict->empty();
    case Kind::kMacro:
    case Kind::kFunction:
      return true;
  }
  return false;
}

std::string_view Value::TypeName() const {
  switch (kind) {
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return "str";
    case Kind::kList:
      return is_tuple ? "tuple" : "list";
    case Kind::kDict:
      return "dict";
    case Kind::kMacro:
      return "Macro";
    case Kind::kFunction:
      return "function";
  }
  return "";
}

const Value* Value::Member(std::string_view key) const {
  if (kind != Kind::kDict) return nullptr;
  for (const auto& [name, value] : *dict) {
    if (name == key) return &value;
  }
  return nullptr;
}

void Value::SetMember(const std::string& key, Value value) {
  for (auto& [name, old] : *dict) {
    if (name == key) {
      old = std::move(value);
      return;
    }
  }
  dict->emplace_back(key, std::move(value));
}

bool Equal(const Value& a, const Value& b) {
  if (a.IsNumber() && b.IsNumber()) {
    const bool whole = a.kind != Kind::kFloat && b.kind != Kind::kFloat;
    return whole ? a.AsInt() == b.AsInt() : a.AsDouble() == b.AsDouble();
  }
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Kind::kString:
      return a.text == b.text;
    case Kind::kList:
      return a.is_tuple == b.is_tuple &&
             std::equal(a.list->begin(), a.list->end(), b.list->begin(), b.list->end(), Equal);
    case Kind::kDict:
      return a.dict->size() == b.dict->size() && std::all_of(a.dict->begin(), a.dict->end(), [&](const auto& item) {
               const Value* other = b.Member(item.first);
               return other != nullptr && Equal(item.second, *other);
             });
    case Kind::kMacro:
      return a.macro == b.macro;
    case Kind::kFunction:
      return a.text == b.text;
    default:
      return true;
  }
}

Result<bool> Less(const Value& a, const Value& b) {
  if (a.IsNumber() && b.IsNumber()) {
    const bool whole = a.kind != Kind::kFloat && b.kind != Kind::kFloat;
    return whole ? a.AsInt() < b.AsInt() : a.AsDouble() < b.AsDouble();
  }
  if (a.kind == Kind::kString && b.kind == Kind::kString) return a.text < b.text;  // UTF-8 orders as code points do
  return ModelError("cannot order " + std::string(a.TypeName()) + " and " + std::string(b.TypeName()));
}

namespace {

// repr(float): the shortest digits that read back, with a point or an exponent.
std::string FloatText(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[40];
  const double magnitude = std::abs(value);
  const bool plain = magnitude == 0 || (magnitude >= 1e-4 && magnitude < 1e16);
  const auto end = plain ? std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed).ptr
                         : std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  std::string text(buffer, end);
  if (plain && text.find('.') == std::string::npos) text += ".0";
  return text;
}

// repr(str)
std::string Quoted(const std::string& text) {
  const bool double_quotes = text.find('\'') != std::string::npos && text.find('"') == std::string::npos;
  const char quote = double_quotes ? '"' : '\'';
  std::string out(1, quote);
  for (const char c : text) {
    if (c == quote || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else {
      out += c;
    }
  }
  return out + quote;
}

}  // namespace

std::string ToText(const Value& value, bool quoted) {
  switch (value.kind) {
    case Kind::kUndefined:
      return "";
    case Kind::kNone:
      return "None";
    case Kind::kBool:
      return value.boolean ? "True" : "False";
    case Kind::kInt:
      return std::to_string(value.integer);
    case Kind::kFloat:
      return FloatText(value.number);
    case Kind::kString:
      return quoted ? Quoted(value.text) : value.text;
    case Kind::kList: {
      std::string out = value.is_tuple ? "(" : "[";
      for (size_t i = 0; i < value.list->size(); ++i) out += (i > 0 ? ", " : "") + ToText((*value.list)[i], true);
      if (value.is_tuple && value.list->size() == 1) out += ",";
      return out + (value.is_tuple ? ")" : "]");
    }
    case Kind::kDict: {
      std::string out = "{";
      for (size_t i = 0; i < value.dict->size(); ++i) {
        out += (i > 0 ? ", " : "") + Quoted((*value.dict)[i].first) + ": " + ToText((*value.dict)[i].second, true);
      }
      return out + "}";
    }
    case Kind::kMacro:
    case Kind::kFunction:
      return "<function>";
  }
  return "";
}

std::string ToJson(const Value& value, int indent, int level) {
  const auto line = [&](int depth) {
    return indent < 0 ? std::string() : "\n" + std::string(static_cast<size_t>(indent * depth), ' ');
  };
  const std::string comma = indent < 0 ? ", " : ",";
  switch (value.kind) {
    case Kind::kBool:
      return value.boolean ? "true" : "false";
    case Kind::kInt:
    case Kind::kFloat:
      return ToText(value);
    case Kind::kString:
      return WriteJson(json::value(value.text));
    case Kind::kList: {
      if (value.list->empty()) return "[]";
      std::string out = "[";
      for (size_t i = 0; i < value.list->size(); ++i) {
        out += (i > 0 ? comma : "") + line(level + 1) + ToJson((*value.list)[i], indent, level + 1);
      }
      return out + line(level) + "]";
    }
    case Kind::kDict: {
      if (value.dict->empty()) return "{}";
      std::string out = "{";
      for (size_t i = 0; i < value.dict->size(); ++i) {
        out += (i > 0 ? comma : "") + line(level + 1) + WriteJson(json::value((*value.dict)[i].first)) + ": " +
               ToJson((*value.dict)[i].second, indent, level + 1);
      }
      return out + line(level) + "}";
    }
    default:
      return "null";
  }
}

std::vector<std::string> Characters(std::string_view text) {
  std::vector<std::string> characters;
  for (size_t i = 0; i < text.size();) {
    const size_t start = i;
    NextCodePoint(text, &i);
    characters.emplace_back(text.substr(start, i - start));
  }
  return characters;
}

Result<ListData> Elements(const Value& value) {
  switch (value.kind) {
    case Kind::kUndefined:
      return ListData();
    case Kind::kList:
      return *value.list;
    case Kind::kDict: {
      ListData keys;
      for (const auto& [key, item] : *value.dict) keys.push_back(Value::String(key));
      return keys;
    }
    case Kind::kString: {
      ListData items;
      for (std::string& c : Characters(value.text)) items.push_back(Value::String(std::move(c)));
      return items;
    }
    default:
      return ModelError(std::string(value.TypeName()) + " is not iterable");
  }
}

const Value* Arguments::Get(size_t i, std::string_view name) const {
  if (i < positional.size()) return &positional[i];
  for (const auto& [key, value] : named) {
    if (key == name) return &value;
  }
  return nullptr;
}

}  // namespace truevec::jinja
