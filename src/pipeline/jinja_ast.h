// What the template parser hands to the renderer.
#ifndef TRUEVEC_PIPELINE_JINJA_AST_H_
#define TRUEVEC_PIPELINE_JINJA_AST_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace truevec::jinja {

enum class ExprKind {
  kLiteral,     // literal
  kName,        // text
  kList,        // args
  kTuple,       // args
  kDict,        // args: key, value, key, value, ...
  kAttribute,   // args[0].text
  kItem,        // args[0][args[1]]
  kSlice,       // args[0][args[1]:args[2]:args[3]], missing ones null
  kCall,        // args[0](args[1...], kwargs)
  kFilter,      // args[0] | text(args[1...], kwargs)
  kTest,        // args[0] is text(args[1...])
  kUnary,       // text: "not", "-", "+"
  kBinary,      // text: the operator
  kConditional  // args[1] if args[0] else args[2] (may be null)
};

struct Expr {
  ExprKind kind = ExprKind::kLiteral;
  std::string text;
  json::value literal;
  std::vector<std::unique_ptr<Expr>> args;
  std::vector<std::pair<std::string, std::unique_ptr<Expr>>> kwargs;
  int line = 0;
};
using ExprPtr = std::unique_ptr<Expr>;

enum class StatementKind {
  kText,      // text
  kOutput,    // expr
  kIf,        // expr, body, otherwise
  kFor,       // names in expr, condition (may be null): body; otherwise when nothing ran
  kSet,       // names = expr, or text.names[0] = expr for a namespace
  kSetBlock,  // names[0] = what body prints
  kMacro,     // text(names = defaults): body
  kBreak,
  kContinue,
  kBlock  // body, printed in place ({% generation %}, {% filter %} is not one)
};

struct Statement;
using Statements = std::vector<Statement>;
struct Statement {
  StatementKind kind = StatementKind::kText;
  std::string text;
  std::vector<std::string> names;
  ExprPtr expr;
  ExprPtr condition;
  std::vector<ExprPtr> defaults;  // kMacro: one per name, null where there is none
  Statements body;
  Statements otherwise;
  int line = 0;
};

// Parses a whole template. `names` receives every name that is read.
Result<Statements> ParseTemplate(std::string_view source, std::vector<std::string>* names);

// Names that the renderer implements.
bool KnownFilter(std::string_view name);
bool KnownTest(std::string_view name);
bool KnownMethod(std::string_view name);
bool KnownFunction(std::string_view name);

}  // namespace truevec::jinja

#endif  // TRUEVEC_PIPELINE_JINJA_AST_H_
