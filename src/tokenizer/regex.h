// A backtracking regular-expression engine over code points with Oniguruma's Ruby syntax, as the Split and Replace
// patterns of tokenizer.json use it: leftmost match, ^ and $ at every line, \s = White_Space, classes of Unicode 16.
// Reference: kkos/oniguruma doc/RE, doc/SYNTAX.md (ONIG_SYNTAX_ONIGURUMA).
#ifndef TRUEVEC_TOKENIZER_REGEX_H_
#define TRUEVEC_TOKENIZER_REGEX_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace truevec {

struct RegexProgram;

class Regex {
 public:
  // Unsupported or malformed syntax is refused, naming the pattern and the place.
  static Result<Regex> Compile(std::string_view pattern);
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;
  ~Regex();

  using Span = std::pair<size_t, size_t>;
  // The leftmost match at or after `from`, as [begin, end) indices into `text`; nothing when there is none. A pattern
  // that needs more than a fixed number of steps per character of the text is an error that names it, never a hang.
  Result<std::optional<Span>> Find(std::span<const uint32_t> text, size_t from) const;
  // All matches from left to right, by one budget of steps for the whole text. An empty match right after a match is
  // left out, and moves on by a character.
  Result<std::vector<Span>> FindAll(std::span<const uint32_t> text) const;
  const std::string& pattern() const { return pattern_; }

 private:
  Regex(std::string pattern, std::unique_ptr<RegexProgram> program);
  Status TooManySteps() const;
  std::string pattern_;
  std::unique_ptr<RegexProgram> program_;
};

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_REGEX_H_
