// Filters, tests, methods and functions of templates, each a row in a table. Reference: jinja2 filters.py, tests.py;
// Python's str and dict methods.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "pipeline/jinja_value.h"
#include "pipeline/words.h"
#include "unicode/unicode.h"

namespace truevec::jinja {
namespace {

constexpr int64_t kMaxRange = 10'000;

Status WrongType(std::string_view what, const Value& value) {
  return ModelError(std::string(what) + " of " + std::string(value.TypeName()) + " is not supported");
}

bool IsBlank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

std::string Strip(std::string_view text, const Value* characters, bool left, bool right) {
  const auto strips = [&](char c) {
    return characters != nullptr && characters->kind == Kind::kString ? characters->text.find(c) != std::string::npos
                                                                      : IsBlank(c);
  };
  while (left && !text.empty() && strips(text.front())) text.remove_prefix(1);
  while (right && !text.empty() && strips(text.back())) text.remove_suffix(1);
  return std::string(text);
}

// ASCII and, through the tokenizer's tables, every other letter for lower; upper is ASCII only and refused beyond.
Result<std::string> Upper(const std::string& text) {
  std::string out = text;
  for (char& c : out) {
    if ((static_cast<unsigned char>(c) & 0x80) != 0) return ModelError("upper() of text beyond ASCII is not supported");
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  }
  return out;
}

Result<std::string> Capitalised(const std::string& text, bool every_word) {
  std::string out = LowerLikePython(text);
  bool start = true;
  for (char& c : out) {
    if ((static_cast<unsigned char>(c) & 0x80) != 0) return ModelError("title() of text beyond ASCII is not supported");
    const bool letter = c >= 'a' && c <= 'z';
    if (letter && start) c = static_cast<char>(c - 32);
    if (every_word) start = !letter;
    if (!every_word) start = false;
  }
  return out;
}

std::string Replace(const std::string& text, const std::string& from, const std::string& to, int64_t limit) {
  std::string out;
  size_t at = 0;
  if (from.empty()) {  // between all characters
    const std::vector<std::string> characters = Characters(text);
    for (size_t i = 0; i <= characters.size(); ++i) {
      if (limit < 0 || static_cast<int64_t>(i) < limit) out += to;
      if (i < characters.size()) out += characters[i];
    }
    return out;
  }
  while (limit != 0) {
    const size_t found = text.find(from, at);
    if (found == std::string::npos) break;
    out.append(text, at, found - at).append(to);
    at = found + from.size();
    --limit;
  }
  return out.append(text, at);
}

ListData Split(const std::string& text, const Value* separator, int64_t limit, bool from_right) {
  ListData parts;
  if (separator == nullptr || separator->kind == Kind::kNone) {
    for (std::string& word : SplitLikePython(text)) parts.push_back(Value::String(std::move(word)));
    return parts;
  }
  std::vector<std::string> pieces;
  size_t at = 0;
  for (size_t found = text.find(separator->text); found != std::string::npos; found = text.find(separator->text, at)) {
    pieces.push_back(text.substr(at, found - at));
    at = found + separator->text.size();
  }
  pieces.push_back(text.substr(at));
  const auto most = limit < 0 ? pieces.size() : static_cast<size_t>(limit) + 1;
  while (pieces.size() > most) {  // glue what is over the limit together again
    const size_t i = from_right ? 0 : pieces.size() - 2;
    pieces[i] += separator->text + pieces[i + 1];
    pieces.erase(pieces.begin() + static_cast<std::ptrdiff_t>(i) + 1);
  }
  for (std::string& piece : pieces) parts.push_back(Value::String(std::move(piece)));
  return parts;
}

int64_t Limit(const Value* value) { return value != nullptr && value->IsNumber() ? value->AsInt() : -1; }

// "a.b.0" of an element, as map(attribute=...) and its relatives read it.
Value AttributeOf(const Value& item, const Value& path) {
  if (path.IsNumber()) {
    const int64_t i = path.AsInt();
    const bool inside = item.kind == Kind::kList && i >= 0 && i < static_cast<int64_t>(item.list->size());
    return inside ? (*item.list)[static_cast<size_t>(i)] : Value::Undefined("");
  }
  Value current = item;
  std::string_view rest = path.text;
  while (!rest.empty()) {
    const size_t dot = rest.find('.');
    const std::string_view name = rest.substr(0, dot);
    rest = dot == std::string_view::npos ? "" : rest.substr(dot + 1);
    int64_t index = -1;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), index);
    if (parsed.ec == std::errc() && parsed.ptr == name.data() + name.size() && current.kind == Kind::kList) {
      const bool inside = index >= 0 && index < static_cast<int64_t>(current.list->size());
      current = inside ? Value((*current.list)[static_cast<size_t>(index)]) : Value::Undefined("");
      continue;
    }
    const Value* member = current.Member(name);
    current = member == nullptr ? Value::Undefined(std::string(name)) : Value(*member);
  }
  return current;
}

Result<Value> SelectItems(const Value& input, const Arguments& a, bool by_attribute, bool keep) {
  TV_ASSIGN_OR_RETURN(const ListData items, Elements(input));
  ListData chosen;
  const size_t skip = by_attribute ? 1 : 0;
  for (const Value& item : items) {
    const Value subject = by_attribute ? AttributeOf(item, a.positional.at(0)) : item;
    bool passes = subject.Truthy();
    if (a.positional.size() > skip) {
      const Value& test = a.positional[skip];
      if (!KnownTest(test.text)) return ModelError("test \"" + test.text + "\" is not supported");
      Arguments rest;
      rest.positional.assign(a.positional.begin() + static_cast<std::ptrdiff_t>(skip) + 1, a.positional.end());
      TV_ASSIGN_OR_RETURN(passes, ApplyTest(test.text, subject, rest));
    }
    if (passes == keep) chosen.push_back(item);
  }
  return Value::List(std::move(chosen));
}

Result<Value> Map(const Value& input, const Arguments& a) {
  TV_ASSIGN_OR_RETURN(const ListData items, Elements(input));
  ListData mapped;
  const Value* attribute = a.positional.empty() ? a.Get(0, "attribute") : nullptr;
  const Value* fallback = attribute != nullptr ? a.Get(9, "default") : nullptr;
  if (attribute == nullptr && (a.positional.empty() || !KnownFilter(a.positional[0].text))) {
    return ModelError("map() needs an attribute or a filter that is supported");
  }
  for (const Value& item : items) {
    if (attribute != nullptr) {
      Value value = AttributeOf(item, *attribute);
      mapped.push_back(value.kind == Kind::kUndefined && fallback != nullptr ? *fallback : value);
      continue;
    }
    Arguments rest;
    rest.positional.assign(a.positional.begin() + 1, a.positional.end());
    rest.named = a.named;
    TV_ASSIGN_OR_RETURN(Value value, ApplyFilter(a.positional[0].text, item, rest));
    mapped.push_back(std::move(value));
  }
  return Value::List(std::move(mapped));
}

Result<Value> Sorted(const Value& input, const Arguments& a) {
  TV_ASSIGN_OR_RETURN(ListData items, Elements(input));
  const Value* attribute = a.Get(2, "attribute");
  const Value* reverse = a.Get(0, "reverse");
  const Value* cased = a.Get(1, "case_sensitive");
  const auto key = [&](const Value& item) {
    Value value = attribute != nullptr && attribute->kind != Kind::kNone ? AttributeOf(item, *attribute) : item;
    if ((cased == nullptr || !cased->Truthy()) && value.kind == Kind::kString) value.text = LowerLikePython(value.text);
    return value;
  };
  Status failure;
  const bool down = reverse != nullptr && reverse->Truthy();
  std::stable_sort(items.begin(), items.end(), [&](const Value& x, const Value& y) {
    const Result<bool> less = down ? Less(key(y), key(x)) : Less(key(x), key(y));
    if (!less.ok()) failure = less.status();
    return less.ok() && *less;
  });
  if (!failure.ok()) return failure;
  return Value::List(std::move(items));
}

Result<Value> Join(const Value& input, const Arguments& a) {
  TV_ASSIGN_OR_RETURN(const ListData items, Elements(input));
  const Value* separator = a.Get(0, "d");
  const Value* attribute = a.Get(1, "attribute");
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0 && separator != nullptr) out += ToText(*separator);
    out += ToText(attribute != nullptr ? AttributeOf(items[i], *attribute) : items[i]);
  }
  return Value::String(std::move(out));
}

Result<Value> Number(const Value& input, const Arguments& a, bool whole) {
  const Value* fallback = a.Get(0, "default");
  if (input.IsNumber())
    return whole ? Value::Int(static_cast<int64_t>(input.AsDouble())) : Value::Float(input.AsDouble());
  if (input.kind == Kind::kString) {
    const std::string text = Strip(input.text, nullptr, true, true);
    double value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    if (parsed.ec == std::errc() && parsed.ptr == text.data() + text.size()) {
      return whole ? Value::Int(static_cast<int64_t>(value)) : Value::Float(value);
    }
  }
  if (fallback != nullptr) return *fallback;
  return whole ? Value::Int(0) : Value::Float(0);
}

Result<Value> Indent(const Value& input, const Arguments& a) {
  const Value* width = a.Get(0, "width");
  const Value* first = a.Get(1, "first");
  const Value* blank = a.Get(2, "blank");
  const std::string space =
      width != nullptr && width->kind == Kind::kString
          ? width->text
          : std::string(static_cast<size_t>(std::clamp<int64_t>(width == nullptr ? 4 : width->AsInt(), 0, 1000)), ' ');
  std::string out;
  const std::string text = ToText(input);
  size_t start = 0;
  for (bool first_line = true; start <= text.size(); first_line = false) {
    const size_t end = std::min(text.find('\n', start), text.size());
    const std::string line = text.substr(start, end - start);
    if (!first_line) out += '\n';
    const bool pads =
        first_line ? first != nullptr && first->Truthy() : !line.empty() || (blank != nullptr && blank->Truthy());
    out += (pads ? space : "") + line;
    start = end + 1;
  }
  return Value::String(std::move(out));
}

Result<Value> Items(const Value& input) {
  if (input.kind != Kind::kDict) return WrongType("items", input);
  ListData items;
  for (const auto& [key, value] : *input.dict) items.push_back(Value::List({Value::String(key), value}, true));
  return Value::List(std::move(items));
}

using FilterFunction = Result<Value> (*)(const Value& input, const Arguments& a);
struct FilterRow {
  std::string_view name;
  FilterFunction run;
};

Result<Value> TextFilter(const Value& input, Result<std::string> (*change)(const std::string&)) {
  TV_ASSIGN_OR_RETURN(std::string text, change(ToText(input)));
  return Value::String(std::move(text));
}

Result<Value> Default(const Value& input, const Arguments& a) {
  const Value* value = a.Get(0, "default_value");
  const Value* falsy = a.Get(1, "boolean");
  const bool missing = input.kind == Kind::kUndefined || (falsy != nullptr && falsy->Truthy() && !input.Truthy());
  return missing ? (value == nullptr ? Value::String("") : *value) : input;
}

Result<Value> Length(const Value& input, const Arguments&) {
  if (input.kind == Kind::kString) return Value::Int(static_cast<int64_t>(Characters(input.text).size()));
  TV_ASSIGN_OR_RETURN(const ListData items, Elements(input));
  return Value::Int(static_cast<int64_t>(items.size()));
}

Result<Value> EndOf(const Value& input, bool last) {
  TV_ASSIGN_OR_RETURN(ListData items, Elements(input));
  if (items.empty()) return Value::Undefined("No first item, sequence was empty.");
  return last ? items.back() : items.front();
}

Result<Value> FilterAbs(const Value& v, const Arguments&) {
  if (!v.IsNumber()) return WrongType("abs", v);
  return v.kind == Kind::kFloat ? Value::Float(std::abs(v.number)) : Value::Int(std::abs(v.AsInt()));
}

Result<Value> FilterCapitalize(const Value& v, const Arguments&) {
  return TextFilter(v, [](const std::string& s) { return Capitalised(s, false); });
}

Result<Value> FilterDictsort(const Value& v, const Arguments& a) {
  TV_ASSIGN_OR_RETURN(const Value items, Items(v));
  Arguments by_key = a;
  by_key.positional.clear();
  by_key.named.emplace_back("attribute", Value::Int(0));
  return Sorted(items, by_key);
}

Result<Value> FilterItems(const Value& v, const Arguments&) {
  return v.kind == Kind::kUndefined ? Result<Value>(Value::List({})) : Items(v);
}

Result<Value> FilterList(const Value& v, const Arguments&) {
  TV_ASSIGN_OR_RETURN(ListData items, Elements(v));
  return Value::List(std::move(items));
}

Result<Value> FilterLower(const Value& v, const Arguments&) {
  return TextFilter(v, [](const std::string& s) -> Result<std::string> { return LowerLikePython(s); });
}

Result<Value> FilterReplace(const Value& v, const Arguments& a) {
  if (a.positional.size() < 2) return ModelError("replace needs two arguments");
  return Value::String(Replace(ToText(v), ToText(a.positional[0]), ToText(a.positional[1]), Limit(a.Get(2, "count"))));
}

Result<Value> FilterReverse(const Value& v, const Arguments&) {
  TV_ASSIGN_OR_RETURN(ListData items, Elements(v));
  std::reverse(items.begin(), items.end());
  if (v.kind != Kind::kString) return Value::List(std::move(items));
  return Join(Value::List(std::move(items)), {});
}

Result<Value> FilterSum(const Value& v, const Arguments&) {
  TV_ASSIGN_OR_RETURN(const ListData items, Elements(v));
  int64_t whole = 0;
  double total = 0;
  bool floating = false;
  for (const Value& item : items) {
    if (!item.IsNumber()) return WrongType("sum", item);
    floating = floating || item.kind == Kind::kFloat;
    if (item.kind != Kind::kFloat) whole += item.AsInt();
    total += item.AsDouble();
  }
  return floating ? Value::Float(total) : Value::Int(whole);
}

Result<Value> FilterTitle(const Value& v, const Arguments&) {
  return TextFilter(v, [](const std::string& s) { return Capitalised(s, true); });
}

Result<Value> FilterTojson(const Value& v, const Arguments& a) {
  const Value* indent = a.Get(1, "indent");
  return Value::String(ToJson(v, static_cast<int>(Limit(indent))));
}

Result<Value> FilterTrim(const Value& v, const Arguments& a) {
  return Value::String(Strip(ToText(v), a.Get(0, "chars"), true, true));
}

Result<Value> FilterUnique(const Value& v, const Arguments&) {
  TV_ASSIGN_OR_RETURN(const ListData items, Elements(v));
  ListData unique;
  for (const Value& item : items) {
    if (std::none_of(unique.begin(), unique.end(), [&](const Value& u) { return Equal(u, item); }))
      unique.push_back(item);
  }
  return Value::List(std::move(unique));
}

const std::array kFilters = {
    FilterRow{"abs", FilterAbs},
    FilterRow{"capitalize", FilterCapitalize},
    FilterRow{"d", Default},
    FilterRow{"default", Default},
    FilterRow{"dictsort", FilterDictsort},
    FilterRow{"first", [](const Value& v, const Arguments&) { return EndOf(v, false); }},
    FilterRow{"float", [](const Value& v, const Arguments& a) { return Number(v, a, false); }},
    FilterRow{"indent", Indent},
    FilterRow{"int", [](const Value& v, const Arguments& a) { return Number(v, a, true); }},
    FilterRow{"items", FilterItems},
    FilterRow{"join", Join},
    FilterRow{"last", [](const Value& v, const Arguments&) { return EndOf(v, true); }},
    FilterRow{"length", Length},
    FilterRow{"list", FilterList},
    FilterRow{"lower", FilterLower},
    FilterRow{"map", Map},
    FilterRow{"reject", [](const Value& v, const Arguments& a) { return SelectItems(v, a, false, false); }},
    FilterRow{"rejectattr", [](const Value& v, const Arguments& a) { return SelectItems(v, a, true, false); }},
    FilterRow{"replace", FilterReplace},
    FilterRow{"reverse", FilterReverse},
    FilterRow{"safe", [](const Value& v, const Arguments&) -> Result<Value> { return Value::String(ToText(v)); }},
    FilterRow{"select", [](const Value& v, const Arguments& a) { return SelectItems(v, a, false, true); }},
    FilterRow{"selectattr", [](const Value& v, const Arguments& a) { return SelectItems(v, a, true, true); }},
    FilterRow{"sort", Sorted},
    FilterRow{"string", [](const Value& v, const Arguments&) -> Result<Value> { return Value::String(ToText(v)); }},
    FilterRow{"sum", FilterSum},
    FilterRow{"title", FilterTitle},
    FilterRow{"tojson", FilterTojson},
    FilterRow{"trim", FilterTrim},
    FilterRow{"unique", FilterUnique},
    FilterRow{"upper", [](const Value& v, const Arguments&) { return TextFilter(v, Upper); }},
};

bool Contains(const Value& container, const Value& item) {
  if (container.kind == Kind::kString)
    return item.kind == Kind::kString && container.text.find(item.text) != std::string::npos;
  if (container.kind == Kind::kDict) return item.kind == Kind::kString && container.Member(item.text) != nullptr;
  return container.kind == Kind::kList &&
         std::any_of(container.list->begin(), container.list->end(), [&](const Value& v) { return Equal(v, item); });
}

constexpr std::array<std::string_view, 35> kTests = {
    "boolean", "callable",    "defined", "divisibleby", "eq",      "equalto",  "even",   "false",    "float",
    "ge",      "greaterthan", "gt",      "in",          "integer", "iterable", "le",     "lessthan", "lower",
    "lt",      "mapping",     "ne",      "none",        "number",  "odd",      "sameas", "sequence", "string",
    "true",    "undefined",   "==",      "!=",          "<",       "<=",       ">",      ">="};

constexpr std::array<std::string_view, 19> kMethods = {
    "append", "capitalize", "count",  "endswith", "find",  "get",        "items", "join",  "keys", "lower",
    "lstrip", "replace",    "rsplit", "rstrip",   "split", "startswith", "strip", "title", "upper"};
constexpr std::array<std::string_view, 8> kFunctions = {"range", "namespace", "raise_exception", "dict",
                                                        "len",   "joiner",    "strftime_now",    "lipsum"};

// startswith and endswith take one text or a tuple of them.
Result<bool> Affix(const std::string& text, const Value& affix, bool end) {
  if (affix.kind == Kind::kString) return end ? text.ends_with(affix.text) : text.starts_with(affix.text);
  if (affix.kind != Kind::kList) return WrongType("startswith", affix);
  for (const Value& one : *affix.list) {
    if (end ? text.ends_with(one.text) : text.starts_with(one.text)) return true;
  }
  return false;
}

Result<Value> StringMethod(const std::string& text, std::string_view name, const Arguments& a) {
  const Value* first = a.Get(0, "sep");
  if (name == "strip" || name == "lstrip" || name == "rstrip") {
    return Value::String(Strip(text, first, name != "rstrip", name != "lstrip"));
  }
  if (name == "split" || name == "rsplit") {
    const int64_t limit = Limit(a.Get(1, "maxsplit"));
    const bool blanks = first == nullptr || first->kind == Kind::kNone;
    if ((blanks && limit >= 0) || (!blanks && (first->kind != Kind::kString || first->text.empty()))) {
      return ModelError("this use of split() is not supported");
    }
    return Value::List(Split(text, first, limit, name == "rsplit"));
  }
  if (name == "lower") return Value::String(LowerLikePython(text));
  if (name == "upper" || name == "title" || name == "capitalize") {
    TV_ASSIGN_OR_RETURN(std::string changed, name == "upper" ? Upper(text) : Capitalised(text, name == "title"));
    return Value::String(std::move(changed));
  }
  if (first == nullptr) return ModelError(std::string(name) + "() needs an argument");
  if (name == "startswith" || name == "endswith") {
    TV_ASSIGN_OR_RETURN(const bool result, Affix(text, *first, name == "endswith"));
    return Value::Bool(result);
  }
  if (name == "replace" && a.positional.size() >= 2) {
    return Value::String(Replace(text, first->text, a.positional[1].text, Limit(a.Get(2, "count"))));
  }
  if (name == "join") {
    Arguments separator;
    separator.positional.push_back(Value::String(text));
    return Join(*first, separator);
  }
  if (name == "find" || name == "count") {
    if (first->text.empty()) return ModelError(std::string(name) + "(\"\") is not supported");
    int64_t count = 0;
    const size_t found = text.find(first->text);
    for (size_t at = found; at != std::string::npos; at = text.find(first->text, at + first->text.size())) ++count;
    if (name == "count") return Value::Int(count);
    return Value::Int(found == std::string::npos ? -1 : static_cast<int64_t>(Characters(text.substr(0, found)).size()));
  }
  return ModelError("method \"" + std::string(name) + "\" of str is not supported");
}

Result<Value> DictMethod(const Value& object, std::string_view name, const Arguments& a) {
  if (name == "items") return Items(object);
  if (name == "get") {
    const Value* key = a.Get(0, "key");
    const Value* member = key != nullptr && key->kind == Kind::kString ? object.Member(key->text) : nullptr;
    if (member != nullptr) return *member;
    const Value* fallback = a.Get(1, "default");
    return fallback == nullptr ? Value::None() : *fallback;
  }
  if (name == "keys") {
    TV_ASSIGN_OR_RETURN(ListData keys, Elements(object));
    return Value::List(std::move(keys));
  }
  return ModelError("method \"" + std::string(name) + "\" of dict is not supported");
}

template <typename Table>
bool Listed(const Table& table, std::string_view name) {
  return std::find(table.begin(), table.end(), name) != table.end();
}

const FilterRow* FindFilter(std::string_view name) {
  if (name == "count") name = "length";
  const auto* row = std::find_if(kFilters.begin(), kFilters.end(), [&](const FilterRow& r) { return r.name == name; });
  return row == kFilters.end() ? nullptr : row;
}

}  // namespace

bool KnownFilter(std::string_view name) { return FindFilter(name) != nullptr; }
bool KnownTest(std::string_view name) { return Listed(kTests, name); }
bool KnownMethod(std::string_view name) { return Listed(kMethods, name); }
bool KnownFunction(std::string_view name) {
  return Listed(kFunctions, name) && name != "joiner" && name != "lipsum" && name != "strftime_now";
}

Result<Value> ApplyFilter(std::string_view name, const Value& input, const Arguments& arguments) {
  return FindFilter(name)->run(input, arguments);
}

Result<bool> ApplyTest(std::string_view name, const Value& v, const Arguments& a) {
  const auto is = [&](std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (name == "defined") return v.kind != Kind::kUndefined;
  if (name == "undefined") return v.kind == Kind::kUndefined;
  if (name == "none") return v.kind == Kind::kNone;
  if (name == "string") return v.kind == Kind::kString;
  if (name == "mapping") return v.kind == Kind::kDict;
  if (is({"sequence", "iterable"})) return v.kind == Kind::kList || v.kind == Kind::kDict || v.kind == Kind::kString;
  if (name == "number") return v.IsNumber();
  if (name == "integer") return v.kind == Kind::kInt;
  if (name == "float") return v.kind == Kind::kFloat;
  if (name == "boolean") return v.kind == Kind::kBool;
  if (name == "true") return v.kind == Kind::kBool && v.boolean;
  if (name == "false") return v.kind == Kind::kBool && !v.boolean;
  if (name == "callable") return v.kind == Kind::kMacro || v.kind == Kind::kFunction;
  if (name == "lower") return v.kind == Kind::kString && LowerLikePython(v.text) == v.text;
  if (is({"odd", "even"})) {
    if (!v.IsNumber()) return WrongType(name, v);
    return (v.AsInt() % 2 != 0) == (name == "odd");
  }
  if (a.positional.empty()) return ModelError("test \"" + std::string(name) + "\" needs an argument");
  const Value& other = a.positional[0];
  if (is({"eq", "equalto", "=="})) return Equal(v, other);
  if (name == "sameas") return v.kind == other.kind && Equal(v, other);
  if (is({"ne", "!="})) return !Equal(v, other);
  if (name == "in") return Contains(other, v);
  if (name == "divisibleby") {
    if (!v.IsNumber() || !other.IsNumber() || other.AsInt() == 0) return WrongType(name, v);
    return v.AsInt() % other.AsInt() == 0;
  }
  if (is({"lt", "lessthan", "<"})) return Less(v, other);
  if (is({"gt", "greaterthan", ">"})) return Less(other, v);
  TV_ASSIGN_OR_RETURN(const bool less, is({"le", "<="}) ? Less(other, v) : Less(v, other));
  return !less;
}

Result<Value> CallMethod(Value& object, std::string_view name, const Arguments& arguments) {
  if (object.kind == Kind::kString) return StringMethod(object.text, name, arguments);
  if (object.kind == Kind::kDict) return DictMethod(object, name, arguments);
  if (object.kind == Kind::kList && name == "append" && arguments.positional.size() == 1) {
    return ModelError("append() changes a list, which transformers' sandbox forbids");
  }
  return ModelError("method \"" + std::string(name) + "\" of " + std::string(object.TypeName()) + " is not supported");
}

Result<Value> CallFunction(std::string_view name, const Arguments& a) {
  if (name == "raise_exception") {
    return ModelError("the template says: " + (a.positional.empty() ? "" : ToText(a.positional[0])));
  }
  if (name == "namespace" || name == "dict") {
    Value made = Value::Dict();
    if (!a.positional.empty() && a.positional[0].kind == Kind::kDict) *made.dict = *a.positional[0].dict;
    for (const auto& [key, value] : a.named) made.SetMember(key, value);
    return made;
  }
  if (name == "len")
    return a.positional.empty() ? Result<Value>(ModelError("len() needs an argument")) : Length(a.positional[0], {});
  int64_t start = 0;
  int64_t step = 1;
  for (const Value& v : a.positional) {
    if (!v.IsNumber()) return WrongType("range", v);
  }
  if (a.positional.empty() || a.positional.size() > 3) return ModelError("range() needs one to three numbers");
  int64_t stop = a.positional[0].AsInt();
  if (a.positional.size() > 1) {
    start = stop;
    stop = a.positional[1].AsInt();
  }
  if (a.positional.size() > 2) step = a.positional[2].AsInt();
  ListData items;
  for (int64_t i = start; step != 0 && (step > 0 ? i < stop : i > stop); i += step) {
    if (static_cast<int64_t>(items.size()) >= kMaxRange) return ModelError("range() is too long");
    items.push_back(Value::Int(i));
  }
  return Value::List(std::move(items));
}

}  // namespace truevec::jinja
