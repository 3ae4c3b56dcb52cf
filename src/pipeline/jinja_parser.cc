// Template text to statements: a recursive-descent parser (jinja2/parser.py) over the scanner's pieces.
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

#include "pipeline/jinja_ast.h"
#include "pipeline/jinja_scanner.h"

namespace truevec::jinja {
namespace {

constexpr int kMaxDepth = 200;

ExprPtr Make(ExprKind kind, int line, std::string text = {}) {
  auto expr = std::make_unique<Expr>();
  expr->kind = kind;
  expr->line = line;
  expr->text = std::move(text);
  return expr;
}

// Expressions of one tag.
class ExpressionParser {
 public:
  ExpressionParser(const std::vector<Token>& tokens, int line, std::vector<std::string>* names)
      : tokens_(tokens), line_(line), names_(names) {}

  bool AtEnd() const { return at_ >= tokens_.size(); }
  const Token& Peek() const {
    static const Token kEnd;
    return AtEnd() ? kEnd : tokens_[at_];
  }
  bool IsOperator(std::string_view text) const { return Peek().kind == TokenKind::kOperator && Peek().text == text; }
  bool IsWord(std::string_view text) const { return Peek().kind == TokenKind::kName && Peek().text == text; }
  bool TakeOperator(std::string_view text) { return IsOperator(text) && ++at_ > 0; }
  bool TakeWord(std::string_view text) { return IsWord(text) && ++at_ > 0; }
  Status Expect(std::string_view op) {
    if (TakeOperator(op)) return Status::Ok();
    return Problem(line_, "expected \"" + std::string(op) + "\", got " + Shown());
  }
  Result<std::string> Name() {
    if (Peek().kind != TokenKind::kName) return Problem(line_, "expected a name, got " + Shown());
    return tokens_[at_++].text;
  }
  Status ExpectEnd() const { return AtEnd() ? Status::Ok() : Problem(line_, "unexpected " + Shown()); }
  std::string Shown() const { return AtEnd() ? "the end of the tag" : "\"" + Peek().text + "\""; }

  Result<ExprPtr> Parse() { return Conditional(); }
  // A bare tuple "a, b" where Python allows one.
  Result<ExprPtr> ParseTuple() {
    TV_ASSIGN_OR_RETURN(ExprPtr first, Parse());
    if (!IsOperator(",")) return first;
    ExprPtr tuple = Make(ExprKind::kTuple, line_);
    tuple->args.push_back(std::move(first));
    while (TakeOperator(",") && !AtEnd()) {
      TV_ASSIGN_OR_RETURN(ExprPtr next, Parse());
      tuple->args.push_back(std::move(next));
    }
    return tuple;
  }
  // For "for ... in EXPR if": no inline condition.
  Result<ExprPtr> ParseWithoutCondition() { return Or(); }

 private:
  Result<ExprPtr> Conditional() {
    if (++depth_ > kMaxDepth) return Problem(line_, "an expression nested too deeply");
    TV_ASSIGN_OR_RETURN(ExprPtr expr, Or());
    while (TakeWord("if")) {
      ExprPtr conditional = Make(ExprKind::kConditional, line_);
      TV_ASSIGN_OR_RETURN(ExprPtr test, Or());
      ExprPtr otherwise;
      if (TakeWord("else")) {
        TV_ASSIGN_OR_RETURN(otherwise, Conditional());
      }
      conditional->args.push_back(std::move(test));
      conditional->args.push_back(std::move(expr));
      conditional->args.push_back(std::move(otherwise));
      expr = std::move(conditional);
    }
    --depth_;
    return expr;
  }

  using Level = Result<ExprPtr> (ExpressionParser::*)();
  ExprPtr Binary(std::string op, ExprPtr left, ExprPtr right) const {
    ExprPtr expr = Make(ExprKind::kBinary, line_, std::move(op));
    expr->args.push_back(std::move(left));
    expr->args.push_back(std::move(right));
    return expr;
  }
  Result<ExprPtr> WordChain(std::string_view word, Level next) {
    TV_ASSIGN_OR_RETURN(ExprPtr left, (this->*next)());
    while (TakeWord(word)) {
      TV_ASSIGN_OR_RETURN(ExprPtr right, (this->*next)());
      left = Binary(std::string(word), std::move(left), std::move(right));
    }
    return left;
  }
  template <size_t N>
  Result<ExprPtr> OperatorChain(const std::array<std::string_view, N>& ops, Level next) {
    TV_ASSIGN_OR_RETURN(ExprPtr left, (this->*next)());
    while (true) {
      const auto op = std::find_if(ops.begin(), ops.end(), [&](std::string_view o) { return IsOperator(o); });
      if (op == ops.end()) return left;
      ++at_;
      TV_ASSIGN_OR_RETURN(ExprPtr right, (this->*next)());
      left = Binary(std::string(*op), std::move(left), std::move(right));
    }
  }
  Result<ExprPtr> Or() { return WordChain("or", &ExpressionParser::And); }
  Result<ExprPtr> And() { return WordChain("and", &ExpressionParser::Not); }
  Result<ExprPtr> Not() {
    if (!TakeWord("not")) return Compare();
    if (++depth_ > kMaxDepth) return Problem(line_, "an expression nested too deeply");
    ExprPtr expr = Make(ExprKind::kUnary, line_, "not");
    TV_ASSIGN_OR_RETURN(ExprPtr inner, Not());
    expr->args.push_back(std::move(inner));
    --depth_;
    return expr;
  }
  // a < b < c is (a < b) and (b < c) in Python; chains are refused, as no template needs them.
  Result<ExprPtr> Compare() {
    TV_ASSIGN_OR_RETURN(ExprPtr left, Sum());
    bool compared = false;
    while (true) {
      std::string op;
      for (const std::string_view candidate : {"==", "!=", "<=", ">=", "<", ">"}) {
        if (IsOperator(candidate)) op = candidate;
      }
      if (!op.empty()) {
        ++at_;
      } else if (IsWord("in")) {
        ++at_;
        op = "in";
      } else if (IsWord("not") && at_ + 1 < tokens_.size() && tokens_[at_ + 1].text == "in") {
        at_ += 2;
        op = "not in";
      } else {
        return left;
      }
      if (compared) return Problem(line_, "chained comparisons are not supported");
      compared = true;
      TV_ASSIGN_OR_RETURN(ExprPtr right, Sum());
      left = Binary(op, std::move(left), std::move(right));
    }
  }
  Result<ExprPtr> Sum() { return OperatorChain(std::array<std::string_view, 2>{"+", "-"}, &ExpressionParser::Concat); }
  Result<ExprPtr> Concat() { return OperatorChain(std::array<std::string_view, 1>{"~"}, &ExpressionParser::Product); }
  Result<ExprPtr> Product() {
    return OperatorChain(std::array<std::string_view, 4>{"*", "//", "/", "%"}, &ExpressionParser::Power);
  }
  Result<ExprPtr> Power() {
    return OperatorChain(std::array<std::string_view, 1>{"**"}, &ExpressionParser::FilteredUnary);
  }
  Result<ExprPtr> FilteredUnary() {
    TV_ASSIGN_OR_RETURN(ExprPtr expr, Unary());
    return Filters(std::move(expr));
  }
  // A sign binds closer than a filter: -x|abs is (-x)|abs.
  Result<ExprPtr> Unary() {
    for (const std::string_view op : {"-", "+"}) {
      if (!TakeOperator(op)) continue;
      if (++depth_ > kMaxDepth) return Problem(line_, "an expression nested too deeply");
      ExprPtr expr = Make(ExprKind::kUnary, line_, std::string(op));
      TV_ASSIGN_OR_RETURN(ExprPtr inner, Unary());
      expr->args.push_back(std::move(inner));
      --depth_;
      return expr;
    }
    TV_ASSIGN_OR_RETURN(ExprPtr expr, Primary());
    return Postfix(std::move(expr));
  }

  Result<ExprPtr> Primary() {
    if (AtEnd()) return Problem(line_, "expected a value, got the end of the tag");
    const Token token = tokens_[at_++];
    ExprPtr expr = Make(ExprKind::kLiteral, token.line);
    switch (token.kind) {
      case TokenKind::kString: {
        std::string text = token.text;
        while (Peek().kind == TokenKind::kString) text += tokens_[at_++].text;
        expr->literal = json::value(text);
        return expr;
      }
      case TokenKind::kInt: {
        int64_t value = 0;
        std::from_chars(token.text.data(), token.text.data() + token.text.size(), value);
        expr->literal = value;
        return expr;
      }
      case TokenKind::kFloat: {
        double value = 0;
        std::from_chars(token.text.data(), token.text.data() + token.text.size(), value);
        expr->literal = value;
        return expr;
      }
      case TokenKind::kName:
        return Word(token, std::move(expr));
      default:
        break;
    }
    if (token.text == "(") return Parenthesis(")", ExprKind::kTuple);
    if (token.text == "[") return Parenthesis("]", ExprKind::kList);
    if (token.text == "{") return Dict();
    return Problem(token.line, "unexpected \"" + token.text + "\"");
  }

  Result<ExprPtr> Word(const Token& token, ExprPtr expr) {
    if (token.text == "true" || token.text == "True") {
      expr->literal = true;
    } else if (token.text == "false" || token.text == "False") {
      expr->literal = false;
    } else if (token.text != "none" && token.text != "None") {
      expr->kind = ExprKind::kName;
      expr->text = token.text;
      names_->push_back(token.text);
    }
    return expr;
  }

  Result<ExprPtr> Parenthesis(std::string_view close, ExprKind kind) {
    ExprPtr list = Make(kind, line_);
    bool comma = false;
    while (!TakeOperator(close)) {
      TV_ASSIGN_OR_RETURN(ExprPtr item, Parse());
      list->args.push_back(std::move(item));
      if (TakeOperator(",")) {
        comma = true;
      } else if (!IsOperator(close)) {
        return Problem(line_, "expected \",\" or \"" + std::string(close) + "\", got " + Shown());
      }
    }
    if (kind == ExprKind::kTuple && list->args.size() == 1 && !comma) return std::move(list->args[0]);
    return list;
  }

  Result<ExprPtr> Dict() {
    ExprPtr dict = Make(ExprKind::kDict, line_);
    while (!TakeOperator("}")) {
      TV_ASSIGN_OR_RETURN(ExprPtr key, Parse());
      TV_RETURN_IF_ERROR(Expect(":"));
      TV_ASSIGN_OR_RETURN(ExprPtr value, Parse());
      dict->args.push_back(std::move(key));
      dict->args.push_back(std::move(value));
      if (!TakeOperator(",") && !IsOperator("}")) return Problem(line_, "expected \",\" or \"}\", got " + Shown());
    }
    return dict;
  }

  Status Arguments(Expr* call) {
    while (!TakeOperator(")")) {
      const bool keyword = Peek().kind == TokenKind::kName && at_ + 1 < tokens_.size() &&
                           tokens_[at_ + 1].text == "=" && tokens_[at_ + 1].kind == TokenKind::kOperator;
      std::string name;
      if (keyword) {
        name = tokens_[at_].text;
        at_ += 2;
      } else if (IsOperator("*") || IsOperator("**")) {
        return Problem(line_, "* and ** in calls are not supported");
      }
      TV_ASSIGN_OR_RETURN(ExprPtr value, Parse());
      if (keyword) {
        call->kwargs.emplace_back(std::move(name), std::move(value));
      } else {
        call->args.push_back(std::move(value));
      }
      if (!TakeOperator(",") && !IsOperator(")")) return Problem(line_, "expected \",\" or \")\", got " + Shown());
    }
    return Status::Ok();
  }

  Result<ExprPtr> Subscript(ExprPtr object) {
    std::array<ExprPtr, 3> parts;
    size_t index = 0;
    bool slice = false;
    while (!IsOperator("]")) {
      if (TakeOperator(":")) {
        slice = true;
        if (++index > 2) return Problem(line_, "a slice of more than three parts");
        continue;
      }
      TV_ASSIGN_OR_RETURN(parts[index], Parse());
      if (!IsOperator(":") && !IsOperator("]")) return Problem(line_, "expected \"]\", got " + Shown());
    }
    ++at_;
    if (!slice && parts[0] == nullptr) return Problem(line_, "an empty subscript");
    ExprPtr expr = Make(slice ? ExprKind::kSlice : ExprKind::kItem, line_);
    expr->args.push_back(std::move(object));
    for (size_t i = 0; i < (slice ? 3U : 1U); ++i) expr->args.push_back(std::move(parts[i]));
    return expr;
  }

  Result<ExprPtr> Postfix(ExprPtr expr) {
    while (true) {
      if (TakeOperator(".")) {
        ExprPtr attribute = Make(ExprKind::kAttribute, line_);
        TV_ASSIGN_OR_RETURN(attribute->text, Name());
        attribute->args.push_back(std::move(expr));
        expr = std::move(attribute);
      } else if (TakeOperator("[")) {
        TV_ASSIGN_OR_RETURN(expr, Subscript(std::move(expr)));
      } else if (TakeOperator("(")) {
        if (expr->kind == ExprKind::kAttribute && !KnownMethod(expr->text)) {
          return Problem(line_, "method \"" + expr->text + "\" is not supported");
        }
        ExprPtr call = Make(ExprKind::kCall, line_);
        call->args.push_back(std::move(expr));
        TV_RETURN_IF_ERROR(Arguments(call.get()));
        expr = std::move(call);
      } else {
        return expr;
      }
    }
  }

  // "x is divisibleby 3", but not "x is defined and y".
  bool StartsTestArgument() const {
    const Token& token = Peek();
    if (token.kind == TokenKind::kOperator) return token.text == "[" || token.text == "{";
    if (token.kind != TokenKind::kName) return token.kind != TokenKind::kEnd;
    static constexpr std::array<std::string_view, 7> kWords = {"and", "or", "else", "if", "is", "not", "in"};
    return std::find(kWords.begin(), kWords.end(), token.text) == kWords.end();
  }

  Result<ExprPtr> Filters(ExprPtr expr) {
    while (true) {
      if (TakeOperator("|")) {
        ExprPtr filter = Make(ExprKind::kFilter, line_);
        TV_ASSIGN_OR_RETURN(filter->text, Name());
        if (!KnownFilter(filter->text)) return Problem(line_, "filter \"" + filter->text + "\" is not supported");
        filter->args.push_back(std::move(expr));
        if (TakeOperator("(")) TV_RETURN_IF_ERROR(Arguments(filter.get()));
        TV_ASSIGN_OR_RETURN(expr, Postfix(std::move(filter)));
      } else if (TakeWord("is")) {
        const bool negated = TakeWord("not");
        ExprPtr test = Make(ExprKind::kTest, line_);
        TV_ASSIGN_OR_RETURN(test->text, Name());
        if (!KnownTest(test->text)) return Problem(line_, "test \"" + test->text + "\" is not supported");
        test->args.push_back(std::move(expr));
        if (TakeOperator("(")) {
          TV_RETURN_IF_ERROR(Arguments(test.get()));
        } else if (StartsTestArgument()) {
          TV_ASSIGN_OR_RETURN(ExprPtr argument, Primary());
          TV_ASSIGN_OR_RETURN(argument, Postfix(std::move(argument)));
          test->args.push_back(std::move(argument));
        }
        expr = std::move(test);
        if (negated) {
          ExprPtr inverse = Make(ExprKind::kUnary, line_, "not");
          inverse->args.push_back(std::move(expr));
          expr = std::move(inverse);
        }
      } else {
        return expr;
      }
    }
  }

  const std::vector<Token>& tokens_;
  int line_;
  std::vector<std::string>* names_;
  size_t at_ = 0;
  int depth_ = 0;
};

class TemplateParser {
 public:
  TemplateParser(std::vector<Piece> pieces, std::vector<std::string>* names)
      : pieces_(std::move(pieces)), names_(names) {}

  Result<Statements> Run() {
    std::string stop;
    TV_ASSIGN_OR_RETURN(Statements all, Body({}, &stop));
    return all;
  }

 private:
  // Statements up to a tag of `ends`; `stop` receives it and the tag stays at piece at_ - 1.
  Result<Statements> Body(const std::vector<std::string_view>& ends, std::string* stop) {
    if (++depth_ > kMaxDepth) return Problem(0, "tags nested too deeply");
    Statements body;
    while (at_ < pieces_.size()) {
      const Piece& piece = pieces_[at_++];
      Statement statement;
      statement.line = piece.line;
      if (piece.kind == Piece::Kind::kText) {
        statement.text = piece.text;
        body.push_back(std::move(statement));
        continue;
      }
      ExpressionParser parser(piece.tokens, piece.line, names_);
      if (piece.kind == Piece::Kind::kOutput) {
        statement.kind = StatementKind::kOutput;
        TV_ASSIGN_OR_RETURN(statement.expr, parser.ParseTuple());
        TV_RETURN_IF_ERROR(parser.ExpectEnd());
        body.push_back(std::move(statement));
        continue;
      }
      TV_ASSIGN_OR_RETURN(const std::string tag, parser.Name());
      if (std::find(ends.begin(), ends.end(), tag) != ends.end()) {
        *stop = tag;
        --depth_;
        return body;
      }
      TV_RETURN_IF_ERROR(Tag(tag, &parser, &statement));
      body.push_back(std::move(statement));
    }
    if (!ends.empty())
      return Problem(pieces_.empty() ? 0 : pieces_.back().line,
                     "the template ends before {% " + std::string(ends.back()) + " %}");
    --depth_;
    return body;
  }

  Status Tag(const std::string& tag, ExpressionParser* parser, Statement* statement) {
    if (tag == "if") return If(parser, statement);
    if (tag == "for") return For(parser, statement);
    if (tag == "set") return Set(parser, statement);
    if (tag == "macro") return Macro(parser, statement);
    if (tag == "break" || tag == "continue") {
      statement->kind = tag == "break" ? StatementKind::kBreak : StatementKind::kContinue;
      return parser->ExpectEnd();
    }
    if (tag == "generation") {
      statement->kind = StatementKind::kBlock;
      TV_RETURN_IF_ERROR(parser->ExpectEnd());
      std::string stop;
      TV_ASSIGN_OR_RETURN(statement->body, Body({"endgeneration"}, &stop));
      return Status::Ok();
    }
    return Problem(statement->line, "tag {% " + tag + " %} is not supported");
  }

  Status If(ExpressionParser* parser, Statement* statement) {
    statement->kind = StatementKind::kIf;
    TV_ASSIGN_OR_RETURN(statement->expr, parser->ParseTuple());
    TV_RETURN_IF_ERROR(parser->ExpectEnd());
    std::string stop;
    TV_ASSIGN_OR_RETURN(statement->body, Body({"elif", "else", "endif"}, &stop));
    if (stop == "elif") {
      Statement nested;
      const Piece& piece = pieces_[at_ - 1];
      nested.line = piece.line;
      ExpressionParser inner(piece.tokens, piece.line, names_);
      TV_RETURN_IF_ERROR(inner.Name().status());
      TV_RETURN_IF_ERROR(If(&inner, &nested));
      statement->otherwise.push_back(std::move(nested));
    } else if (stop == "else") {
      TV_ASSIGN_OR_RETURN(statement->otherwise, Body({"endif"}, &stop));
    }
    return Status::Ok();
  }

  Status For(ExpressionParser* parser, Statement* statement) {
    statement->kind = StatementKind::kFor;
    const bool parenthesis = parser->TakeOperator("(");
    do {
      TV_ASSIGN_OR_RETURN(std::string name, parser->Name());
      statement->names.push_back(std::move(name));
    } while (parser->TakeOperator(","));
    if (parenthesis) TV_RETURN_IF_ERROR(parser->Expect(")"));
    if (!parser->TakeWord("in")) return Problem(statement->line, "expected \"in\", got " + parser->Shown());
    TV_ASSIGN_OR_RETURN(statement->expr, parser->ParseWithoutCondition());
    if (parser->TakeWord("if")) {
      TV_ASSIGN_OR_RETURN(statement->condition, parser->Parse());
    }
    if (parser->IsWord("recursive")) return Problem(statement->line, "recursive loops are not supported");
    TV_RETURN_IF_ERROR(parser->ExpectEnd());
    std::string stop;
    TV_ASSIGN_OR_RETURN(statement->body, Body({"else", "endfor"}, &stop));
    if (stop == "else") {
      TV_ASSIGN_OR_RETURN(statement->otherwise, Body({"endfor"}, &stop));
    }
    return Status::Ok();
  }

  Status Set(ExpressionParser* parser, Statement* statement) {
    statement->kind = StatementKind::kSet;
    do {
      TV_ASSIGN_OR_RETURN(std::string name, parser->Name());
      statement->names.push_back(std::move(name));
      if (parser->TakeOperator(".")) {
        statement->text = statement->names[0];
        TV_ASSIGN_OR_RETURN(statement->names[0], parser->Name());
      }
    } while (parser->TakeOperator(","));
    if (parser->TakeOperator("=")) {
      TV_ASSIGN_OR_RETURN(statement->expr, parser->ParseTuple());
      return parser->ExpectEnd();
    }
    TV_RETURN_IF_ERROR(parser->ExpectEnd());
    statement->kind = StatementKind::kSetBlock;
    std::string stop;
    TV_ASSIGN_OR_RETURN(statement->body, Body({"endset"}, &stop));
    return Status::Ok();
  }

  Status Macro(ExpressionParser* parser, Statement* statement) {
    statement->kind = StatementKind::kMacro;
    TV_ASSIGN_OR_RETURN(statement->text, parser->Name());
    TV_RETURN_IF_ERROR(parser->Expect("("));
    while (!parser->TakeOperator(")")) {
      TV_ASSIGN_OR_RETURN(std::string name, parser->Name());
      statement->names.push_back(std::move(name));
      ExprPtr fallback;
      if (parser->TakeOperator("=")) {
        TV_ASSIGN_OR_RETURN(fallback, parser->Parse());
      }
      statement->defaults.push_back(std::move(fallback));
      if (!parser->TakeOperator(",") && !parser->IsOperator(")")) {
        return Problem(statement->line, "expected \",\" or \")\", got " + parser->Shown());
      }
    }
    TV_RETURN_IF_ERROR(parser->ExpectEnd());
    std::string stop;
    TV_ASSIGN_OR_RETURN(statement->body, Body({"endmacro"}, &stop));
    return Status::Ok();
  }

  std::vector<Piece> pieces_;
  std::vector<std::string>* names_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

Result<Statements> ParseTemplate(std::string_view source, std::vector<std::string>* names) {
  TV_ASSIGN_OR_RETURN(std::vector<Piece> pieces, ScanTemplate(source));
  return TemplateParser(std::move(pieces), names).Run();
}

}  // namespace truevec::jinja
