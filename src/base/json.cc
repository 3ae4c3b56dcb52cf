// The parser drives Boost.JSON's SAX layer and keeps the text of each number, so that std::from_chars can read it
// correctly rounded.
#include "base/json.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/src.hpp>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>
#include <optional>

#include "base/file.h"
#include "base/serde_json.h"
#include "base/unique_keys.h"

namespace truevec {
namespace {

// A JSON number with a fraction or an exponent, as serde_json 1 reads it without its feature float_roundtrip
// (de.rs: parse_integer, parse_decimal, f64_from_parts): the first digits that fit 64 bits, then one power of ten.
double SerdeDouble(std::string_view text) {
  const bool negative = text.starts_with('-');
  size_t i = negative ? 1 : 0;
  uint64_t significand = 0;
  int64_t exponent = 0;
  bool full = false;
  bool fraction = false;
  for (; i < text.size() && text[i] != 'e' && text[i] != 'E'; ++i) {
    if (text[i] == '.') {
      fraction = true;
      if (full) full = significand > std::numeric_limits<uint64_t>::max() / 10;
      continue;
    }
    const auto digit = static_cast<uint64_t>(text[i] - '0');
    constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
    full = full || significand > kMax / 10 || (significand == kMax / 10 && digit > kMax % 10);
    if (!full) significand = significand * 10 + digit;
    if (full != fraction) exponent += full ? 1 : -1;
  }
  if (i < text.size()) {
    if (++i < text.size() && text[i] == '+') ++i;
    int64_t written = 0;
    std::from_chars(text.data() + i, text.data() + text.size(), written);
    exponent += std::clamp<int64_t>(written, -100'000, 100'000);
  }
  auto value = static_cast<double>(significand);
  for (; exponent < -308 && value != 0; exponent += 308) value /= 1e308;
  const std::string power_text = "1e" + std::to_string(std::abs(exponent));
  double power = std::numeric_limits<double>::infinity();  // above 308; serde_json refuses the number
  std::from_chars(power_text.data(), power_text.data() + power_text.size(), power);
  if (value != 0) value = exponent < 0 ? value / power : value * power;
  return negative ? -value : value;
}

// Where the parser is, and the keys of the objects that are open.
class KeyWatch {
 public:
  void Open(bool array) { open_.push_back({array, 0, keys_.size()}); }
  // Sets `twice` when the object that ends had a key twice.
  void Close() {
    const size_t first_key = open_.back().first_key;
    const auto begin = keys_.begin() + static_cast<std::ptrdiff_t>(first_key);
    std::sort(begin, keys_.end());
    const auto same = std::adjacent_find(begin, keys_.end());
    open_.pop_back();
    if (same != keys_.end() && !twice.has_value()) twice = PathOf(*same, first_key);
    keys_.resize(first_key);
    Value();
  }
  void KeyPart(std::string_view part) { key_ += part; }
  void Key(std::string_view rest) {
    keys_.push_back(std::move(key_) + std::string(rest));
    key_.clear();
  }
  // A value has ended.
  void Value() {
    if (!open_.empty()) ++open_.back().values;
  }

  std::optional<std::string> twice;

 private:
  struct Container {
    bool array;
    size_t values;
    size_t first_key;
  };
  // As JsonRef writes it. `first_key`: where the keys of the object begin that has `key`.
  std::string PathOf(const std::string& key, size_t first_key) const {
    std::string path;
    for (size_t i = 0; i < open_.size(); ++i) {
      const size_t end = i + 1 < open_.size() ? open_[i + 1].first_key : first_key;
      path += open_[i].array ? "[" + std::to_string(open_[i].values) + "]" : (path.empty() ? "" : ".") + keys_[end - 1];
    }
    return path + (path.empty() ? "" : ".") + key;
  }
  std::vector<Container> open_;
  std::vector<std::string> keys_;
  std::string key_;
};

// Receives the events of boost::json::basic_parser and builds a json::value.
class DocumentHandler {
 public:
  static constexpr std::size_t max_object_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_array_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_key_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_string_size = std::numeric_limits<std::size_t>::max();
  using Error = json::error_code;

  // `watch` may be null.
  DocumentHandler(bool serde_doubles, KeyWatch* watch) : serde_doubles_(serde_doubles), watch_(watch) {}

  bool on_document_begin(Error&) {
    stack_.reset();
    return true;
  }
  bool on_document_end(Error&) { return true; }
  bool on_array_begin(Error&) { return Opened(true); }
  bool on_array_end(std::size_t n, Error&) {
    stack_.push_array(n);
    return Closed();
  }
  bool on_object_begin(Error&) { return Opened(false); }
  bool on_object_end(std::size_t n, Error&) {
    stack_.push_object(n);
    return Closed();
  }
  bool on_string_part(json::string_view s, std::size_t, Error&) {
    stack_.push_chars(s);
    return true;
  }
  bool on_string(json::string_view s, std::size_t, Error&) {
    stack_.push_string(s);
    return Value();
  }
  bool on_key_part(json::string_view s, std::size_t, Error&) {
    stack_.push_chars(s);
    if (watch_ != nullptr) watch_->KeyPart({s.data(), s.size()});
    return true;
  }
  bool on_key(json::string_view s, std::size_t, Error&) {
    stack_.push_key(s);
    if (watch_ != nullptr) watch_->Key({s.data(), s.size()});
    return true;
  }
  bool on_number_part(json::string_view s, Error&) {
    number_.append(s.data(), s.size());
    return true;
  }
  bool on_int64(int64_t i, json::string_view, Error&) {
    number_.clear();
    stack_.push_int64(i);
    return Value();
  }
  bool on_uint64(uint64_t u, json::string_view, Error&) {
    number_.clear();
    stack_.push_uint64(u);
    return Value();
  }
  bool on_double(double approximate, json::string_view s, Error&) {
    number_.append(s.data(), s.size());
    double exact = approximate;
    const auto [end, error] = std::from_chars(number_.data(), number_.data() + number_.size(), exact);
    if (error != std::errc() || end != number_.data() + number_.size()) exact = approximate;
    if (serde_doubles_) exact = SerdeDouble(number_);
    number_.clear();
    stack_.push_double(exact);
    return Value();
  }
  bool on_bool(bool b, Error&) {
    stack_.push_bool(b);
    return Value();
  }
  bool on_null(Error&) {
    stack_.push_null();
    return Value();
  }
  bool on_comment_part(json::string_view, Error&) { return true; }
  bool on_comment(json::string_view, Error&) { return true; }

  json::value Release() { return stack_.release(); }

 private:
  bool Opened(bool array) {
    if (watch_ != nullptr) watch_->Open(array);
    return true;
  }
  bool Closed() {
    if (watch_ != nullptr) watch_->Close();
    return true;
  }
  bool Value() {
    if (watch_ != nullptr) watch_->Value();
    return true;
  }
  bool serde_doubles_;
  KeyWatch* watch_;
  json::value_stack stack_;
  std::string number_;
};

std::string KindName(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return "null";
    case json::kind::bool_:
      return value.get_bool() ? "true" : "false";
    case json::kind::int64:
      return std::to_string(value.get_int64());
    case json::kind::uint64:
      return std::to_string(value.get_uint64());
    case json::kind::double_:
      return std::isfinite(value.get_double()) ? WriteJson(value) : "a number beyond what a double holds";
    case json::kind::string: {
      const auto& s = value.get_string();
      return s.size() <= 60 ? WriteJson(value) : "a string of " + std::to_string(s.size()) + " bytes";
    }
    case json::kind::array:
      return "an array of " + std::to_string(value.get_array().size());
    case json::kind::object:
      return "an object";
  }
  return "?";
}

Result<json::value> Parse(std::string_view text, std::string_view label, const JsonParseLimits& limits,
                          bool serde_doubles, KeyWatch* watch = nullptr) {
  if (text.size() > limits.max_bytes) {
    return ModelError(std::string(label) + ": JSON of " + std::to_string(text.size()) + " bytes exceeds the limit of " +
                      std::to_string(limits.max_bytes));
  }
  if (text.substr(0, 3) == "\xEF\xBB\xBF") text.remove_prefix(3);
  json::parse_options options;
  options.max_depth = static_cast<std::size_t>(limits.max_depth);
  json::basic_parser<DocumentHandler> parser(options, serde_doubles, watch);
  json::error_code error;
  const std::size_t used = parser.write_some(false, text.data(), text.size(), error);
  if (!error && parser.done()) {
    const std::size_t rest = text.find_first_not_of(" \t\r\n", used);
    if (rest == std::string_view::npos) return parser.handler().Release();
    return ModelError(std::string(label) + ": invalid JSON: extra text at byte " + std::to_string(rest));
  }
  return ModelError(std::string(label) + ": invalid JSON at byte " + std::to_string(used) + ": " +
                    (error ? error.message() : std::string("unexpected end")));
}

}  // namespace

Result<json::value> ParseJson(std::string_view text, std::string_view label, const JsonParseLimits& limits) {
  return Parse(text, label, limits, false);
}

Result<json::value> ParseJsonWithUniqueKeys(std::string_view text, std::string_view label) {
  KeyWatch watch;
  auto value = Parse(text, label, {}, false, &watch);
  if (value.ok() && watch.twice.has_value()) {
    return ModelError(std::string(label) + ": " + *watch.twice + " is given twice");
  }
  return value;
}

Result<json::value> ParseJsonAsSerde(std::string_view text, std::string_view label) {
  return Parse(text, label, {}, true);
}

std::string JsonRef::Where() const { return key_.empty() ? file_ : file_ + ": " + key_; }

JsonRef JsonRef::operator[](std::string_view name) const {
  std::string key = key_.empty() ? std::string(name) : key_ + "." + std::string(name);
  const json::value* child = nullptr;
  if (is_object()) child = value_->get_object().if_contains(name);
  return {child, file_, std::move(key)};
}

JsonRef JsonRef::At(size_t index) const {
  std::string key = key_ + "[" + std::to_string(index) + "]";
  const json::value* child = nullptr;
  if (is_array() && index < value_->get_array().size()) child = &value_->get_array()[index];
  return {child, file_, std::move(key)};
}

size_t JsonRef::size() const {
  if (is_array()) return value_->get_array().size();
  if (is_object()) return value_->get_object().size();
  return 0;
}

std::vector<std::string> JsonRef::Keys() const {
  std::vector<std::string> keys;
  if (is_object()) {
    for (const auto& member : value_->get_object()) keys.emplace_back(member.key());
  }
  return keys;
}

Status JsonRef::TypeError(std::string_view expected) const {
  return ModelError(Where() + ": expected " + std::string(expected) + ", got " +
                    (present() ? KindName(*value_) : std::string("nothing (the key is missing)")));
}

Result<int64_t> JsonRef::Int() const {
  if (present() && value_->is_int64()) return value_->get_int64();
  if (present() && value_->is_double()) {  // Python writes 1e6 or 512.0 for whole numbers at times
    const double d = value_->get_double();
    if (d == std::floor(d) && std::abs(d) < 9e15) return static_cast<int64_t>(d);
  }
  return TypeError("an integer");
}

Result<double> JsonRef::Double() const {
  if (present()) {
    if (value_->is_double()) return value_->get_double();
    if (value_->is_int64()) return static_cast<double>(value_->get_int64());
    if (value_->is_uint64()) return static_cast<double>(value_->get_uint64());
  }
  return TypeError("a number");
}

Result<bool> JsonRef::Bool() const {
  if (is_bool()) return value_->get_bool();
  return TypeError("true or false");
}

Result<std::string> JsonRef::String() const {
  if (is_string()) return std::string(value_->get_string());
  return TypeError("a string");
}

Result<std::vector<JsonRef>> JsonRef::Array() const {
  if (!is_array()) return TypeError("an array");
  std::vector<JsonRef> out;
  out.reserve(size());
  for (size_t i = 0; i < size(); ++i) out.push_back(At(i));
  return out;
}

Status JsonRef::ExpectObject() const { return is_object() ? Status::Ok() : TypeError("an object"); }

Result<JsonFile> JsonFile::Load(const std::string& path, std::string name, Code error_code) {
  TV_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, error_code));
  return Parse(text, std::move(name), error_code);
}

Result<JsonFile> JsonFile::Parse(std::string_view text, std::string name, Code error_code) {
  auto document = ParseJson(text, name);
  if (!document.ok()) return Status(error_code, document.status().message());
  return JsonFile(std::make_unique<json::value>(std::move(document).value()), std::move(name));
}

void AppendFloat(std::string* out, float value) {
  if (!std::isfinite(value)) {
    *out += "null";
    return;
  }
  char buffer[32];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
  out->append(buffer, result.ptr);
}

void AppendDouble(std::string* out, double value) {
  if (!std::isfinite(value)) {
    *out += "null";
    return;
  }
  char buffer[40];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
  out->append(buffer, result.ptr);
}

namespace {

void WriteValue(const json::value& value, int indent, std::string* out);

void NewLine(int indent, std::string* out) {
  if (indent < 0) return;
  out->push_back('\n');
  out->append(static_cast<size_t>(indent) * 2, ' ');
}

// As json::serialize writes it; what needs no escapes is copied.
void WriteString(std::string_view text, std::string* out) {
  const bool plain = std::none_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\' || c == '\x7f';
  });
  if (!plain) {
    *out += json::serialize(json::value(text));
    return;
  }
  out->push_back('"');
  out->append(text);
  out->push_back('"');
}

void WriteContainer(const json::value& value, int indent, std::string* out) {
  const int inner = indent < 0 ? -1 : indent + 1;
  bool first = true;
  const bool is_object = value.is_object();
  out->push_back(is_object ? '{' : '[');
  const auto separate = [&] {
    if (!first) out->push_back(',');
    first = false;
    NewLine(inner, out);
  };
  if (is_object) {
    for (const auto& member : value.get_object()) {
      separate();
      WriteString(member.key(), out);
      *out += indent < 0 ? ":" : ": ";
      WriteValue(member.value(), inner, out);
    }
  } else {
    for (const auto& element : value.get_array()) {
      separate();
      WriteValue(element, inner, out);
    }
  }
  if (!first) NewLine(indent, out);
  out->push_back(is_object ? '}' : ']');
}

void WriteValue(const json::value& value, int indent, std::string* out) {
  if (value.is_object() || value.is_array()) {
    WriteContainer(value, indent, out);
  } else if (value.is_double()) {
    const size_t begin = out->size();
    AppendDouble(out, value.get_double());
    if (out->find_first_of(".en", begin) == std::string::npos) *out += ".0";
  } else if (value.is_string()) {
    WriteString(value.get_string(), out);
  } else {
    *out += json::serialize(value);
  }
}

}  // namespace

std::string WriteJson(const json::value& value) {
  std::string out;
  WriteValue(value, -1, &out);
  return out;
}

std::string WriteJsonPretty(const json::value& value) {
  std::string out;
  WriteValue(value, 0, &out);
  return out;
}

}  // namespace truevec
