// The machine: a stack of (instruction, position) choices, and a budget of steps.
#include "tokenizer/regex.h"

#include <algorithm>

#include "tokenizer/regex_program.h"
#include "unicode/unicode.h"

namespace truevec {
namespace {

// Of the patterns that models use, the costliest takes about 60 steps a character.
constexpr int64_t kStepsPerCharacter = 500;
constexpr int64_t kMinSteps = 1'000'000;
constexpr size_t kMaxChoices = size_t{1} << 24;  // 256 MiB of choices to come back to
constexpr uint32_t kRestore = 1u << 31;          // a choice that puts a slot back to its old position

class Machine {
 public:
  Machine(const RegexProgram& program, std::span<const uint32_t> text, size_t from)
      : program_(program),
        text_(text),
        from_(from),
        budget_(std::max(kMinSteps, kStepsPerCharacter * static_cast<int64_t>(text.size()))),
        marks_(program.slots) {}

  // The leftmost match at or after `from`, which is where \G holds.
  std::optional<Regex::Span> Find(size_t from) {
    from_ = from;
    for (size_t begin = from; begin <= text_.size() && !exhausted(); ++begin) {
      if (const std::optional<size_t> end = Run(0, begin)) return Regex::Span(begin, *end);
    }
    return std::nullopt;
  }

  bool exhausted() const { return budget_ < 0; }

  // The end of the first match of codes[code] that begins at `begin` (and ends at `must_end`, when given).
  std::optional<size_t> Run(size_t code, size_t begin, std::optional<size_t> must_end = std::nullopt) {
    const std::vector<Instruction>& instructions = program_.codes[code];
    std::vector<std::pair<uint32_t, size_t>> choices = {{0, begin}};
    while (!choices.empty()) {
      auto [pc, at] = choices.back();
      choices.pop_back();
      if ((pc & kRestore) != 0) {
        marks_[pc & ~kRestore] = at;
        continue;
      }
      while (true) {
        if (--budget_ < 0) return std::nullopt;
        if (choices.size() > kMaxChoices) budget_ = 0;
        const Instruction& i = instructions[pc];
        if (i.op == Op::kMatch) {
          if (!must_end || *must_end == at) return at;
          break;
        }
        if (i.op == Op::kSplit) {
          choices.emplace_back(i.y, at);
          pc = i.x;
          continue;
        }
        if (i.op == Op::kJump) {
          pc = i.x;
          continue;
        }
        if (i.op == Op::kMark) {
          choices.emplace_back(i.x | kRestore, marks_[i.x]);
          marks_[i.x] = at;
          ++pc;
          continue;
        }
        if (i.op == Op::kLoop) {
          pc = marks_[i.x] == at ? pc + 1 : i.y;
          continue;
        }
        if (!Step(i, &at)) break;
        ++pc;
      }
    }
    return std::nullopt;
  }

 private:
  bool Step(const Instruction& i, size_t* at) {
    const bool end = *at >= text_.size();
    switch (i.op) {
      case Op::kChar:
        return !end && (i.flag ? FoldCase(text_[*at]) : text_[*at]) == i.x && ++*at != 0;
      case Op::kSet:
        return !end && program_.sets[i.x].Contains(text_[*at]) && ++*at != 0;
      case Op::kAny:
        return !end && (i.flag || text_[*at] != '\n') && ++*at != 0;
      case Op::kLineStart:
        return *at == 0 || (text_[*at - 1] == '\n' && !end);
      case Op::kLineEnd:
        return end || text_[*at] == '\n';
      case Op::kTextStart:
        return *at == (i.flag ? from_ : 0);
      case Op::kTextEnd:
        return end || (i.flag && text_[*at] == '\n' && *at + 1 == text_.size());
      case Op::kWordEdge: {
        const bool before = *at > 0 && IsRegexWord(text_[*at - 1]);
        return ((!end && IsRegexWord(text_[*at])) != before) != i.flag;
      }
      case Op::kLookAhead:
        return Run(i.x, *at).has_value() != i.flag;
      case Op::kLookBehind: {
        bool found = false;
        for (size_t n = i.y >> 16; !found && n <= (i.y & 0xFFFF) && n <= *at; ++n) {
          found = Run(i.x, *at - n, *at).has_value();
        }
        return found != i.flag;
      }
      case Op::kAtomic: {
        const std::optional<size_t> matched = Run(i.x, *at);
        if (!matched) return false;
        *at = *matched;
        return true;
      }
      default:
        return false;
    }
  }

  const RegexProgram& program_;
  std::span<const uint32_t> text_;
  size_t from_;
  int64_t budget_;
  std::vector<size_t> marks_;
};

}  // namespace

Regex::Regex(std::string pattern, std::unique_ptr<RegexProgram> program)
    : pattern_(std::move(pattern)), program_(std::move(program)) {}
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;
Regex::~Regex() = default;

Result<Regex> Regex::Compile(std::string_view pattern) {
  TV_ASSIGN_OR_RETURN(std::unique_ptr<RegexProgram> program, CompileRegex(pattern));
  return Regex(std::string(pattern), std::move(program));
}

Status Regex::TooManySteps() const {
  return InputError("the tokenizer's pattern \"" + pattern_ + "\" needs too many steps on this text");
}

Result<std::optional<Regex::Span>> Regex::Find(std::span<const uint32_t> text, size_t from) const {
  Machine machine(*program_, text, from);
  const std::optional<Span> match = machine.Find(from);
  if (machine.exhausted()) return TooManySteps();
  return match;
}

Result<std::vector<Regex::Span>> Regex::FindAll(std::span<const uint32_t> text) const {
  Machine machine(*program_, text, 0);
  std::vector<Span> spans;
  std::optional<size_t> last_end;
  for (size_t from = 0; from <= text.size();) {
    const std::optional<Span> match = machine.Find(from);
    if (machine.exhausted()) return TooManySteps();
    if (!match) break;
    const bool empty = match->second == match->first;
    from = match->second + (empty ? 1 : 0);
    if (empty && last_end == match->second) continue;
    last_end = match->second;
    spans.push_back(*match);
  }
  return spans;
}

}  // namespace truevec
