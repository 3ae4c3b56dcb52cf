// Template text to pieces: whitespace control as jinja2/lexer.py with trim_blocks and lstrip_blocks on and
// keep_trailing_newline off, as transformers' chat templates have them.
#ifndef TRUEVEC_PIPELINE_JINJA_SCANNER_H_
#define TRUEVEC_PIPELINE_JINJA_SCANNER_H_

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace truevec::jinja {

enum class TokenKind { kName, kString, kInt, kFloat, kOperator, kEnd };
struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  int line = 0;
};

// A stretch of template: plain text, or the inside of {{ }} or {% %}.
struct Piece {
  enum class Kind { kText, kOutput, kTag } kind = Kind::kText;
  std::string text;
  std::vector<Token> tokens;
  int line = 0;
};

// A refusal that names the template's line.
Status Problem(int line, const std::string& what);

// Errors: kModelRefused, naming the line.
Result<std::vector<Piece>> ScanTemplate(std::string_view source);

}  // namespace truevec::jinja

#endif  // TRUEVEC_PIPELINE_JINJA_SCANNER_H_
