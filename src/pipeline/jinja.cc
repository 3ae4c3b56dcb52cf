// The renderer: statements over scopes of values. Reference: jinja2 compiler.py and runtime.py (LoopContext).
#include "pipeline/jinja.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "pipeline/jinja_value.h"

namespace truevec {

struct JinjaTemplate::Impl {
  jinja::Statements statements;
  std::vector<std::string> names;
};

namespace jinja {
namespace {

constexpr size_t kMaxOutput = size_t{64} << 20;
constexpr int64_t kMaxSteps = 1'000'000;
constexpr int kMaxCalls = 100;

enum class Flow { kNext, kBreak, kContinue };
using Scope = std::map<std::string, Value, std::less<>>;

Status At(int line, const Status& status) {
  if (status.message().starts_with("line ")) return status;
  return {status.code(), "line " + std::to_string(line) + ": " + status.message()};
}

class Renderer {
 public:
  explicit Renderer(const json::object& variables) {
    scopes_.emplace_back();
    for (const auto& [key, value] : variables) scopes_[0][std::string(key)] = Value::FromJson(value);
  }

  Result<std::string> Run(const Statements& statements) {
    std::string out;
    TV_RETURN_IF_ERROR(Body(statements, &out).status());
    return out;
  }

 private:
  Result<Flow> Body(const Statements& statements, std::string* out) {
    for (const Statement& statement : statements) {
      if (++steps_ > kMaxSteps || out->size() > kMaxOutput) return ModelError("the template does not come to an end");
      TV_ASSIGN_OR_RETURN(const Flow flow, Run(statement, out));
      if (flow != Flow::kNext) return flow;
    }
    return Flow::kNext;
  }

  Result<Flow> Run(const Statement& s, std::string* out) {
    switch (s.kind) {
      case StatementKind::kText:
        *out += s.text;
        return Flow::kNext;
      case StatementKind::kOutput: {
        TV_ASSIGN_OR_RETURN(const Value value, Eval(*s.expr));
        *out += ToText(value);
        return Flow::kNext;
      }
      case StatementKind::kIf: {
        TV_ASSIGN_OR_RETURN(const Value value, Eval(*s.expr));
        return Body(value.Truthy() ? s.body : s.otherwise, out);
      }
      case StatementKind::kFor:
        return For(s, out);
      case StatementKind::kSet:
        TV_RETURN_IF_ERROR(Set(s));
        return Flow::kNext;
      case StatementKind::kSetBlock: {
        std::string text;
        scopes_.emplace_back();
        const Result<Flow> flow = Body(s.body, &text);
        scopes_.pop_back();
        TV_RETURN_IF_ERROR(flow.status());
        scopes_.back()[s.names[0]] = Value::String(std::move(text));
        return Flow::kNext;
      }
      case StatementKind::kMacro: {
        Value macro = Value::Of(Kind::kMacro);
        macro.macro = &s;
        scopes_.back()[s.text] = std::move(macro);
        return Flow::kNext;
      }
      case StatementKind::kBreak:
        return Flow::kBreak;
      case StatementKind::kContinue:
        return Flow::kContinue;
      case StatementKind::kBlock:
        return Body(s.body, out);
    }
    return Flow::kNext;
  }

  Status Unpack(const std::vector<std::string>& names, const Value& value, int line) {
    if (names.size() == 1) {
      scopes_.back()[names[0]] = value;
      return Status::Ok();
    }
    TV_ASSIGN_OR_RETURN(const ListData items, Elements(value));
    if (items.size() != names.size()) {
      return At(line, ModelError("cannot unpack " + std::to_string(items.size()) + " values into " +
                                 std::to_string(names.size()) + " names"));
    }
    for (size_t i = 0; i < names.size(); ++i) scopes_.back()[names[i]] = items[i];
    return Status::Ok();
  }

  Status Set(const Statement& s) {
    TV_ASSIGN_OR_RETURN(const Value value, Eval(*s.expr));
    if (s.text.empty()) return Unpack(s.names, value, s.line);
    Value* target = Find(s.text);
    if (target == nullptr || target->kind != Kind::kDict) {
      return At(s.line, ModelError("\"" + s.text + "\" is no namespace"));
    }
    target->SetMember(s.names[0], value);
    return Status::Ok();
  }

  static Value LoopVariable(const ListData& items, size_t i) {
    const auto n = static_cast<int64_t>(items.size());
    const auto at = static_cast<int64_t>(i);
    return Value::Dict({{"index", Value::Int(at + 1)},
                        {"index0", Value::Int(at)},
                        {"revindex", Value::Int(n - at)},
                        {"revindex0", Value::Int(n - at - 1)},
                        {"first", Value::Bool(i == 0)},
                        {"last", Value::Bool(at + 1 == n)},
                        {"length", Value::Int(n)},
                        {"depth", Value::Int(1)},
                        {"depth0", Value::Int(0)},
                        {"previtem", i > 0 ? items[i - 1] : Value::Undefined("previtem")},
                        {"nextitem", at + 1 < n ? items[i + 1] : Value::Undefined("nextitem")}});
  }

  Result<Flow> For(const Statement& s, std::string* out) {
    TV_ASSIGN_OR_RETURN(const Value iterated, Eval(*s.expr));
    const Result<ListData> elements = Elements(iterated);
    if (!elements.ok()) return At(s.line, elements.status());
    steps_ += static_cast<int64_t>(elements->size());
    ListData items;
    for (const Value& item : *elements) {
      if (s.condition == nullptr) {
        items.push_back(item);
        continue;
      }
      scopes_.emplace_back();
      const Status unpacked = Unpack(s.names, item, s.line);
      const Result<Value> keep = unpacked.ok() ? Eval(*s.condition) : Result<Value>(unpacked);
      scopes_.pop_back();
      TV_RETURN_IF_ERROR(keep.status());
      if (keep->Truthy()) items.push_back(item);
    }
    if (items.empty()) return Body(s.otherwise, out);
    for (size_t i = 0; i < items.size(); ++i) {
      scopes_.emplace_back();
      scopes_.back()["loop"] = LoopVariable(items, i);
      const Status unpacked = Unpack(s.names, items[i], s.line);
      const Result<Flow> flow = unpacked.ok() ? Body(s.body, out) : Result<Flow>(unpacked);
      scopes_.pop_back();
      TV_RETURN_IF_ERROR(flow.status());
      if (*flow == Flow::kBreak) break;
    }
    return Flow::kNext;
  }

  Value* Find(std::string_view name) {
    for (size_t i = scopes_.size(); i-- > 0;) {
      if (i < barrier_ && i > 0) continue;  // a macro sees its own scopes and the template's
      const auto found = scopes_[i].find(name);
      if (found != scopes_[i].end()) return &found->second;
    }
    return nullptr;
  }

  Result<Value> Eval(const Expr& e) {
    Result<Value> value = Evaluate(e);
    if (value.ok()) return value;
    return At(e.line, value.status());
  }

  Result<Value> Evaluate(const Expr& e) {
    if (++steps_ > kMaxSteps) return ModelError("the template does not come to an end");
    switch (e.kind) {
      case ExprKind::kLiteral:
        return Value::FromJson(e.literal);
      case ExprKind::kName: {
        if (const Value* found = Find(e.text); found != nullptr) return *found;
        if (!KnownFunction(e.text)) return Value::Undefined(e.text);
        Value function = Value::Of(Kind::kFunction);
        function.text = e.text;
        return function;
      }
      case ExprKind::kList:
      case ExprKind::kTuple: {
        ListData items;
        for (const ExprPtr& arg : e.args) {
          TV_ASSIGN_OR_RETURN(Value item, Eval(*arg));
          items.push_back(std::move(item));
        }
        return Value::List(std::move(items), e.kind == ExprKind::kTuple);
      }
      case ExprKind::kDict: {
        Value dict = Value::Dict();
        for (size_t i = 0; i + 1 < e.args.size(); i += 2) {
          TV_ASSIGN_OR_RETURN(const Value key, Eval(*e.args[i]));
          TV_ASSIGN_OR_RETURN(Value item, Eval(*e.args[i + 1]));
          if (key.kind != Kind::kString) return ModelError("only strings can be keys of a dict");
          dict.SetMember(key.text, std::move(item));
        }
        return dict;
      }
      case ExprKind::kAttribute: {
        TV_ASSIGN_OR_RETURN(const Value object, Eval(*e.args[0]));
        return Attribute(object, e.text);
      }
      case ExprKind::kItem:
        return Item(e);
      case ExprKind::kSlice:
        return Slice(e);
      case ExprKind::kCall:
        return Call(e);
      case ExprKind::kFilter: {
        TV_ASSIGN_OR_RETURN(const Value input, Eval(*e.args[0]));
        TV_ASSIGN_OR_RETURN(const Arguments arguments, Evaluated(e));
        return ApplyFilter(e.text, input, arguments);
      }
      case ExprKind::kTest: {
        TV_ASSIGN_OR_RETURN(const Value input, Eval(*e.args[0]));
        TV_ASSIGN_OR_RETURN(const Arguments arguments, Evaluated(e));
        TV_ASSIGN_OR_RETURN(const bool result, ApplyTest(e.text, input, arguments));
        return Value::Bool(result);
      }
      case ExprKind::kUnary:
        return Unary(e);
      case ExprKind::kBinary:
        return Binary(e);
      case ExprKind::kConditional: {
        TV_ASSIGN_OR_RETURN(const Value test, Eval(*e.args[0]));
        if (test.Truthy()) return Eval(*e.args[1]);
        return e.args[2] == nullptr ? Result<Value>(Value::Undefined("")) : Eval(*e.args[2]);
      }
    }
    return Value::Undefined("");
  }

  // The arguments after args[0].
  Result<Arguments> Evaluated(const Expr& e) {
    Arguments arguments;
    for (size_t i = 1; i < e.args.size(); ++i) {
      TV_ASSIGN_OR_RETURN(Value value, Eval(*e.args[i]));
      arguments.positional.push_back(std::move(value));
    }
    for (const auto& [name, expr] : e.kwargs) {
      TV_ASSIGN_OR_RETURN(Value value, Eval(*expr));
      arguments.named.emplace_back(name, std::move(value));
    }
    return arguments;
  }

  static Result<Value> Attribute(const Value& object, const std::string& name) {
    if (object.kind == Kind::kUndefined) {
      return ModelError("\"" + object.text + "\" is undefined, so it has no \"" + name + "\"");
    }
    if (const Value* member = object.Member(name); member != nullptr) return *member;
    return Value::Undefined(name);
  }

  Result<Value> Item(const Expr& e) {
    TV_ASSIGN_OR_RETURN(const Value object, Eval(*e.args[0]));
    TV_ASSIGN_OR_RETURN(const Value key, Eval(*e.args[1]));
    if (key.kind == Kind::kString) return Attribute(object, key.text);
    if (object.kind == Kind::kUndefined) return ModelError("\"" + object.text + "\" is undefined");
    if (!key.IsNumber() || (object.kind != Kind::kList && object.kind != Kind::kString)) return Value::Undefined("");
    TV_ASSIGN_OR_RETURN(const ListData items, Elements(object));
    const auto size = static_cast<int64_t>(items.size());
    const int64_t i = key.AsInt() < 0 ? key.AsInt() + size : key.AsInt();
    return i >= 0 && i < size ? items[static_cast<size_t>(i)] : Value::Undefined("");
  }

  Result<Value> Slice(const Expr& e) {
    TV_ASSIGN_OR_RETURN(const Value object, Eval(*e.args[0]));
    if (object.kind != Kind::kList && object.kind != Kind::kString) {
      return ModelError("cannot slice " + std::string(object.TypeName()));
    }
    TV_ASSIGN_OR_RETURN(const ListData items, Elements(object));
    std::optional<int64_t> parts[3];
    for (size_t i = 0; i < 3; ++i) {
      if (e.args[i + 1] == nullptr) continue;
      TV_ASSIGN_OR_RETURN(const Value part, Eval(*e.args[i + 1]));
      if (part.IsNumber()) parts[i] = part.AsInt();
    }
    const auto size = static_cast<int64_t>(items.size());
    const int64_t step = parts[2].value_or(1);
    if (step == 0) return ModelError("a slice's step cannot be 0");
    const auto clamp = [&](std::optional<int64_t> at, int64_t fallback) {
      if (!at.has_value()) return fallback;
      const int64_t from_start = *at < 0 ? *at + size : *at;
      return std::clamp<int64_t>(from_start, step > 0 ? 0 : -1, step > 0 ? size : size - 1);
    };
    const int64_t start = clamp(parts[0], step > 0 ? 0 : size - 1);
    const int64_t stop = clamp(parts[1], step > 0 ? size : -1);
    ListData chosen;
    for (int64_t i = start; step > 0 ? i < stop : i > stop; i += step) chosen.push_back(items[static_cast<size_t>(i)]);
    if (object.kind == Kind::kList) return Value::List(std::move(chosen), object.is_tuple);
    std::string text;
    for (const Value& c : chosen) text += c.text;
    return Value::String(std::move(text));
  }

  Result<Value> Call(const Expr& e) {
    const Expr& callee = *e.args[0];
    TV_ASSIGN_OR_RETURN(const Arguments arguments, Evaluated(e));
    if (callee.kind == ExprKind::kAttribute) {
      TV_ASSIGN_OR_RETURN(Value object, Eval(*callee.args[0]));
      if (object.kind == Kind::kUndefined) return ModelError("\"" + object.text + "\" is undefined");
      return CallMethod(object, callee.text, arguments);
    }
    TV_ASSIGN_OR_RETURN(const Value function, Eval(callee));
    if (function.kind == Kind::kMacro) return CallMacro(*function.macro, arguments);
    if (function.kind == Kind::kFunction) return CallFunction(function.text, arguments);
    return ModelError("\"" + callee.text + "\" is no function that is supported");
  }

  Result<Value> CallMacro(const Statement& macro, const Arguments& arguments) {
    if (++calls_ > kMaxCalls) return ModelError("macros call each other too deeply");
    const size_t old_barrier = barrier_;
    barrier_ = scopes_.size();
    scopes_.emplace_back();
    std::string out;
    const Status status = [&]() -> Status {
      for (size_t i = 0; i < macro.names.size(); ++i) {
        const Value* given = arguments.Get(i, macro.names[i]);
        Value value = given != nullptr ? *given : Value::Undefined(macro.names[i]);
        if (given == nullptr && macro.defaults[i] != nullptr) {
          TV_ASSIGN_OR_RETURN(value, Eval(*macro.defaults[i]));
        }
        scopes_.back()[macro.names[i]] = std::move(value);
      }
      return Body(macro.body, &out).status();
    }();
    scopes_.pop_back();
    barrier_ = old_barrier;
    --calls_;
    TV_RETURN_IF_ERROR(status);
    return Value::String(std::move(out));
  }

  Result<Value> Unary(const Expr& e) {
    TV_ASSIGN_OR_RETURN(const Value value, Eval(*e.args[0]));
    if (e.text == "not") return Value::Bool(!value.Truthy());
    if (!value.IsNumber()) return ModelError("a sign before " + std::string(value.TypeName()));
    const int sign = e.text == "-" ? -1 : 1;
    return value.kind == Kind::kFloat ? Value::Float(sign * value.number) : Value::Int(sign * value.AsInt());
  }

  Result<Value> Binary(const Expr& e) {
    TV_ASSIGN_OR_RETURN(const Value left, Eval(*e.args[0]));
    if (e.text == "and" && !left.Truthy()) return left;
    if (e.text == "or" && left.Truthy()) return left;
    TV_ASSIGN_OR_RETURN(const Value right, Eval(*e.args[1]));
    if (e.text == "and" || e.text == "or") return right;
    if (e.text == "~") return Value::String(ToText(left) + ToText(right));
    if (e.text == "==" || e.text == "!=") return Value::Bool(Equal(left, right) == (e.text == "=="));
    if (e.text == "in" || e.text == "not in") {
      Arguments container;
      container.positional.push_back(right);
      TV_ASSIGN_OR_RETURN(const bool inside, ApplyTest("in", left, container));
      return Value::Bool(inside == (e.text == "in"));
    }
    if (e.text == "<" || e.text == ">" || e.text == "<=" || e.text == ">=") {
      const bool swapped = e.text == ">" || e.text == "<=";
      TV_ASSIGN_OR_RETURN(const bool less, swapped ? Less(right, left) : Less(left, right));
      return Value::Bool(less == (e.text.size() == 1));
    }
    return Arithmetic(e.text, left, right);
  }

  static Result<Value> Arithmetic(const std::string& op, const Value& a, const Value& b) {
    if (op == "+" && a.kind == Kind::kString && b.kind == Kind::kString) return Value::String(a.text + b.text);
    if (op == "+" && a.kind == Kind::kList && b.kind == Kind::kList) {
      ListData items = *a.list;
      items.insert(items.end(), b.list->begin(), b.list->end());
      return Value::List(std::move(items));
    }
    if (op == "*" && a.kind == Kind::kString && b.kind == Kind::kInt) {
      if (b.integer > 0 && a.text.size() * static_cast<size_t>(b.integer) > kMaxOutput)
        return ModelError("text too long");
      std::string text;
      for (int64_t i = 0; i < b.integer; ++i) text += a.text;
      return Value::String(std::move(text));
    }
    if (!a.IsNumber() || !b.IsNumber()) {
      return ModelError("\"" + op + "\" of " + std::string(a.TypeName()) + " and " + std::string(b.TypeName()) +
                        " is not supported");
    }
    const bool whole = a.kind != Kind::kFloat && b.kind != Kind::kFloat;
    const double x = a.AsDouble();
    const double y = b.AsDouble();
    if ((op == "/" || op == "//" || op == "%") && y == 0) return ModelError("division by zero");
    if (op == "/") return Value::Float(x / y);
    if (!whole) {
      if (op == "+") return Value::Float(x + y);
      if (op == "-") return Value::Float(x - y);
      if (op == "*") return Value::Float(x * y);
      if (op == "//") return Value::Float(std::floor(x / y));
      if (op == "%") return Value::Float(x - y * std::floor(x / y));
      return Value::Float(std::pow(x, y));
    }
    const int64_t i = a.AsInt();
    const int64_t j = b.AsInt();
    int64_t result = 0;
    bool overflow = false;
    if (op == "+") overflow = __builtin_add_overflow(i, j, &result);
    if (op == "-") overflow = __builtin_sub_overflow(i, j, &result);
    if (op == "*") overflow = __builtin_mul_overflow(i, j, &result);
    if (op == "//" || op == "%") {  // Python rounds down
      if (j == -1) return op == "%" ? Value::Int(0) : Value::Int(-i);
      const int64_t quotient = i / j - ((i % j != 0 && (i < 0) != (j < 0)) ? 1 : 0);
      result = op == "//" ? quotient : i - quotient * j;
    }
    if (op == "**") {
      if (j < 0 || j > 62) return Value::Float(std::pow(x, y));
      result = 1;
      for (int64_t k = 0; k < j && !overflow; ++k) overflow = __builtin_mul_overflow(result, i, &result);
    }
    if (overflow) return ModelError("a number too large");
    return Value::Int(result);
  }

  std::vector<Scope> scopes_;
  size_t barrier_ = 0;
  int64_t steps_ = 0;
  int calls_ = 0;
};

}  // namespace
}  // namespace jinja

JinjaTemplate::JinjaTemplate(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
JinjaTemplate::JinjaTemplate(JinjaTemplate&&) noexcept = default;
JinjaTemplate& JinjaTemplate::operator=(JinjaTemplate&&) noexcept = default;
JinjaTemplate::~JinjaTemplate() = default;

Result<JinjaTemplate> JinjaTemplate::Parse(std::string_view source) {
  auto impl = std::make_unique<Impl>();
  TV_ASSIGN_OR_RETURN(impl->statements, jinja::ParseTemplate(source, &impl->names));
  return JinjaTemplate(std::move(impl));
}

Result<std::string> JinjaTemplate::Render(const json::object& variables) const {
  return jinja::Renderer(variables).Run(impl_->statements);
}

bool JinjaTemplate::Mentions(std::string_view variable) const {
  return std::find(impl_->names.begin(), impl_->names.end(), variable) != impl_->names.end();
}

}  // namespace truevec
