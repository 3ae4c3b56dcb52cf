// Values of a rendering template: Python's None, bool, int, float, str, list, dict, and Jinja's undefined.
#ifndef TRUEVEC_PIPELINE_JINJA_VALUE_H_
#define TRUEVEC_PIPELINE_JINJA_VALUE_H_

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "pipeline/jinja_ast.h"

namespace truevec::jinja {

enum class Kind { kUndefined, kNone, kBool, kInt, kFloat, kString, kList, kDict, kMacro, kFunction };

struct Value;
using ListData = std::vector<Value>;
using DictData = std::vector<std::pair<std::string, Value>>;  // in order of insertion

struct Value {
  Kind kind = Kind::kUndefined;
  bool boolean = false;
  int64_t integer = 0;
  double number = 0;
  std::string text;  // strings, names of functions and of what is undefined
  std::shared_ptr<ListData> list;
  std::shared_ptr<DictData> dict;
  const Statement* macro = nullptr;
  bool is_tuple = false;

  static Value None() { return Of(Kind::kNone); }
  static Value Undefined(std::string name) {
    Value v;
    v.text = std::move(name);
    return v;
  }
  static Value Bool(bool b) {
    Value v = Of(Kind::kBool);
    v.boolean = b;
    return v;
  }
  static Value Int(int64_t i) {
    Value v = Of(Kind::kInt);
    v.integer = i;
    return v;
  }
  static Value Float(double d) {
    Value v = Of(Kind::kFloat);
    v.number = d;
    return v;
  }
  static Value String(std::string s) {
    Value v = Of(Kind::kString);
    v.text = std::move(s);
    return v;
  }
  static Value List(ListData items, bool tuple = false) {
    Value v = Of(Kind::kList);
    v.list = std::make_shared<ListData>(std::move(items));
    v.is_tuple = tuple;
    return v;
  }
  static Value Dict(DictData items = {}) {
    Value v = Of(Kind::kDict);
    v.dict = std::make_shared<DictData>(std::move(items));
    return v;
  }
  static Value Of(Kind kind) {
    Value v;
    v.kind = kind;
    return v;
  }
  static Value FromJson(const json::value& json);

  bool IsNumber() const { return kind == Kind::kInt || kind == Kind::kFloat || kind == Kind::kBool; }
  double AsDouble() const;
  int64_t AsInt() const { return kind == Kind::kBool ? (boolean ? 1 : 0) : integer; }
  bool Truthy() const;
  std::string_view TypeName() const;  // Python's
  const Value* Member(std::string_view key) const;
  void SetMember(const std::string& key, Value value);
};

bool Equal(const Value& a, const Value& b);
// a < b for numbers and for strings; an error for the rest.
Result<bool> Less(const Value& a, const Value& b);
// str(value); `quoted` gives repr(value).
std::string ToText(const Value& value, bool quoted = false);
// transformers' tojson: json.dumps with ensure_ascii=False; indent < 0: none.
std::string ToJson(const Value& value, int indent, int level = 0);
// The elements that a loop or filter sees: of lists, keys of dicts, characters of strings; nothing when undefined.
Result<ListData> Elements(const Value& value);
// Characters of a UTF-8 string.
std::vector<std::string> Characters(std::string_view text);

struct Arguments {
  ListData positional;
  DictData named;
  // The i-th argument or the one of this name; null when neither is given.
  const Value* Get(size_t i, std::string_view name) const;
};

Result<Value> ApplyFilter(std::string_view name, const Value& input, const Arguments& arguments);
Result<bool> ApplyTest(std::string_view name, const Value& input, const Arguments& arguments);
Result<Value> CallMethod(Value& object, std::string_view name, const Arguments& arguments);
Result<Value> CallFunction(std::string_view name, const Arguments& arguments);

}  // namespace truevec::jinja

#endif  // TRUEVEC_PIPELINE_JINJA_VALUE_H_
