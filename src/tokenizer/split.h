// A pattern of Split and Replace (a literal string or a regular expression) and the five ways to cut at its matches.
// Reference: tokenizers pattern.rs, normalizer.rs (SplitDelimiterBehavior).
#ifndef TRUEVEC_TOKENIZER_SPLIT_H_
#define TRUEVEC_TOKENIZER_SPLIT_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "tokenizer/regex.h"
#include "tokenizer/text.h"

namespace truevec {

class Pattern {
 public:
  static Result<Pattern> Literal(std::string_view text);
  static Result<Pattern> Expression(std::string_view regex);
  // {"String": s} or {"Regex": s}
  static Result<Pattern> Parse(const JsonRef& json);

  using Span = std::pair<size_t, size_t>;
  // All matches from left to right; an empty match moves on by a character.
  Result<std::vector<Span>> FindAll(const Text& text) const;
  // The literal text in UTF-8, empty for a regular expression; and the other way round.
  std::string literal() const;
  std::string_view regex() const { return regex_ ? std::string_view(regex_->pattern()) : std::string_view(); }

 private:
  Pattern() = default;
  std::vector<uint32_t> literal_;
  std::optional<Regex> regex_;
};

enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };
Result<SplitBehavior> ParseSplitBehavior(const JsonRef& json);

// Cuts `text` (of `size` characters) at `matches`; the parts in order, as spans. Empty parts are left out.
std::vector<Pattern::Span> SplitSpans(const std::vector<Pattern::Span>& matches, size_t size, SplitBehavior behavior,
                                      bool invert);

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_SPLIT_H_
