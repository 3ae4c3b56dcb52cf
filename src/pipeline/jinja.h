// The part of Jinja2 that chat templates use, rendered as transformers renders them (trim_blocks, lstrip_blocks,
// undefined values print as nothing). A construct that is not implemented is refused by name when the template is
// parsed, never skipped. Reference: jinja2 3.1 (lexer.py, parser.py, filters.py, tests.py); transformers 5.23
// utils/chat_template_utils.py (_compile_jinja_template).
#ifndef TRUEVEC_PIPELINE_JINJA_H_
#define TRUEVEC_PIPELINE_JINJA_H_

#include <memory>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/status.h"

namespace truevec {

class JinjaTemplate {
 public:
  // Errors say "line N: ...".
  static Result<JinjaTemplate> Parse(std::string_view source);
  JinjaTemplate(JinjaTemplate&&) noexcept;
  JinjaTemplate& operator=(JinjaTemplate&&) noexcept;
  ~JinjaTemplate();
  // `variables`: the names a template finds. Errors: the template's own raise_exception, wrong types, endless output.
  Result<std::string> Render(const json::object& variables) const;
  // Whether the source reads a variable of this name.
  bool Mentions(std::string_view variable) const;

  struct Impl;

 private:
  explicit JinjaTemplate(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace truevec

#endif  // TRUEVEC_PIPELINE_JINJA_H_
