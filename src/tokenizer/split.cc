#include "tokenizer/split.h"

#include <algorithm>
#include <array>

#include "unicode/unicode.h"

namespace truevec {

Result<Pattern> Pattern::Literal(std::string_view text) {
  Pattern pattern;
  pattern.literal_ = DecodeUtf8(text);
  return pattern;
}

Result<Pattern> Pattern::Expression(std::string_view regex) {
  Pattern pattern;
  TV_ASSIGN_OR_RETURN(pattern.regex_, Regex::Compile(regex));
  return pattern;
}

Result<Pattern> Pattern::Parse(const JsonRef& json) {
  if (json["String"].present()) {
    TV_ASSIGN_OR_RETURN(const std::string text, json["String"].String());
    return Literal(text);
  }
  TV_ASSIGN_OR_RETURN(const std::string regex, json["Regex"].String());
  auto pattern = Expression(regex);
  if (!pattern.ok()) return pattern.status().WithContext(json["Regex"].Where());
  return pattern;
}

std::string Pattern::literal() const {
  std::string text;
  for (const uint32_t cp : literal_) AppendUtf8(cp, &text);
  return text;
}

Result<std::vector<Pattern::Span>> Pattern::FindAll(const Text& text) const {
  if (text.empty()) return std::vector<Span>();  // not even an empty match
  std::vector<uint32_t> cps(text.size());
  std::transform(text.begin(), text.end(), cps.begin(), [](const Char& c) { return c.cp; });
  std::vector<Span> spans;
  if (!regex_) {
    if (literal_.empty()) {  // matches between all characters
      for (size_t i = 0; i <= cps.size(); ++i) spans.emplace_back(i, i);
      return spans;
    }
    for (auto at = cps.begin();;) {
      at = std::search(at, cps.end(), literal_.begin(), literal_.end());
      if (at == cps.end()) return spans;
      const auto begin = static_cast<size_t>(at - cps.begin());
      spans.emplace_back(begin, begin + literal_.size());
      at += static_cast<std::ptrdiff_t>(literal_.size());
    }
  }
  return regex_->FindAll(cps);
}

Result<SplitBehavior> ParseSplitBehavior(const JsonRef& json) {
  constexpr std::array<std::pair<std::string_view, SplitBehavior>, 5> kNames = {{
      {"Removed", SplitBehavior::kRemoved},
      {"Isolated", SplitBehavior::kIsolated},
      {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
      {"MergedWithNext", SplitBehavior::kMergedWithNext},
      {"Contiguous", SplitBehavior::kContiguous},
  }};
  TV_ASSIGN_OR_RETURN(const std::string name, json.String());
  for (const auto& [known, behavior] : kNames) {
    if (known == name) return behavior;
  }
  return json.TypeError("Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

std::vector<Pattern::Span> SplitSpans(const std::vector<Pattern::Span>& matches, size_t size, SplitBehavior behavior,
                                      bool invert) {
  struct Piece {
    size_t begin, end;
    bool is_match;
  };
  std::vector<Piece> pieces;
  size_t at = 0;
  for (const auto& [begin, end] : matches) {
    if (begin > at) pieces.push_back({at, begin, invert});
    pieces.push_back({begin, end, !invert});
    at = end;
  }
  if (at < size) pieces.push_back({at, size, invert});
  std::vector<Pattern::Span> out;
  // Empty pieces count while neighbours are merged, and are left out at the end.
  const auto add = [&out](size_t begin, size_t end) { out.emplace_back(begin, end); };
  switch (behavior) {
    case SplitBehavior::kIsolated:
    case SplitBehavior::kRemoved:
      for (const Piece& p : pieces) {
        if (behavior == SplitBehavior::kIsolated || !p.is_match) add(p.begin, p.end);
      }
      break;
    case SplitBehavior::kContiguous:
      for (size_t i = 0; i < pieces.size();) {
        size_t j = i + 1;
        while (j < pieces.size() && pieces[j].is_match == pieces[i].is_match) ++j;
        add(pieces[i].begin, pieces[j - 1].end);
        i = j;
      }
      break;
    case SplitBehavior::kMergedWithPrevious: {
      bool previous_match = false;
      for (const Piece& p : pieces) {
        if (p.is_match && !previous_match && !out.empty()) {
          out.back().second = p.end;
        } else {
          add(p.begin, p.end);
        }
        previous_match = p.is_match;
      }
      break;
    }
    case SplitBehavior::kMergedWithNext: {
      bool next_match = false;
      for (size_t i = pieces.size(); i-- > 0;) {
        const Piece& p = pieces[i];
        if (p.is_match && !next_match && !out.empty()) {
          out.back().first = p.begin;
        } else {
          add(p.begin, p.end);
        }
        next_match = p.is_match;
      }
      std::reverse(out.begin(), out.end());
      break;
    }
  }
  std::erase_if(out, [](const Pattern::Span& span) { return span.first == span.second; });
  return out;
}

}  // namespace truevec
