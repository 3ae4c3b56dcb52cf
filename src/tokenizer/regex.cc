// The machine: a stack of (instruction, position) choices, and a budget of steps.
#include "tokenizer/regex.h"

#include <algorithm>
#include <array>

#include "tokenizer/regex_program.h"
#include "tokenizer/regex_properties.h"
#include "unicode/unicode.h"

namespace truevec {
namespace {

// Of the patterns that models use, the costliest takes about 60 steps a character.
constexpr int64_t kStepsPerCharacter = 500;
constexpr int64_t kMinSteps = 1'000'000;
constexpr size_t kMaxChoices = size_t{1} << 24;  // 256 MiB of choices to come back to
constexpr uint32_t kRestore = 1u << 31;          // a choice that puts a slot back to its old position
constexpr size_t kUnset = SIZE_MAX;

// How many characters of `text` are `group` again.
std::optional<size_t> Prefix(std::span<const uint32_t> group, std::span<const uint32_t> text) {
  if (text.size() < group.size() || !std::equal(group.begin(), group.end(), text.begin())) return std::nullopt;
  return group.size();
}

size_t Utf8Size(uint32_t cp) { return cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4; }

bool SameFolded(uint32_t a, uint32_t b) {
  const std::array<uint32_t, 3>* several_a = FoldFully(a);
  const std::array<uint32_t, 3>* several_b = FoldFully(b);
  if (several_a == nullptr && several_b == nullptr) return FoldCase(a) == FoldCase(b);
  return several_a != nullptr && several_b != nullptr && *several_a == *several_b;
}

std::optional<size_t> FoldedPrefix(std::span<const uint32_t> group, std::span<const uint32_t> text) {
  size_t bytes = 0;
  for (const uint32_t cp : group) bytes += Utf8Size(cp);
  size_t rest = 0;
  for (size_t i = 0; i < text.size() && rest < bytes; ++i) rest += Utf8Size(text[i]);
  if (rest < bytes) return std::nullopt;
  for (size_t i = 0; i < group.size(); ++i) {
    if (Utf8Size(text[i]) > bytes || !SameFolded(group[i], text[i])) return std::nullopt;
    bytes -= Utf8Size(text[i]);
    if (bytes == 0 && i + 1 < group.size()) return std::nullopt;
  }
  return group.size();
}

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
    std::fill_n(marks_.begin(), program_.first_loop_slot, kUnset);
    for (size_t begin = from; begin <= text_.size() && !exhausted(); ++begin) {
      if (const std::optional<size_t> end = Run(0, begin)) {
        return Regex::Span(marks_[0] == kUnset ? begin : marks_[0], *end);
      }
    }
    return std::nullopt;
  }

  bool exhausted() const { return budget_ < 0; }

  // The end of the first match of codes[code] that begins at `begin` (and ends at `must_end`, when given).
  std::optional<size_t> Run(size_t code, size_t begin, std::optional<size_t> must_end = std::nullopt) {
    const std::vector<Instruction>& instructions = program_.codes[code];
    Choices choices = {{0, begin}};
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
        // What a sub-program has marked is undone when the choice before it is taken again.
        if (program_.saves && i.op >= Op::kLookAhead) PushMarks(&choices);
        if (!Step(i, &at)) break;
        ++pc;
      }
    }
    return std::nullopt;
  }

 private:
  using Choices = std::vector<std::pair<uint32_t, size_t>>;
  void PushMarks(Choices* choices) const {
    for (uint32_t slot = 0; slot < program_.first_loop_slot; ++slot) {
      choices->emplace_back(slot | kRestore, marks_[slot]);
    }
  }

  // The text of the last of the groups that is set, again. With case folded, as Oniguruma's string_cmp_ic: character by
  // character, in at most as many bytes of UTF-8 as the group has.
  bool StepBackref(const Instruction& i, size_t* at) {
    const std::vector<uint32_t>& groups = program_.backrefs[i.x];
    for (auto slot = groups.rbegin(); slot != groups.rend(); ++slot) {
      const size_t begin = marks_[*slot];
      const size_t end = marks_[*slot + 1];
      if (begin == kUnset || end == kUnset || end < begin) continue;
      budget_ -= static_cast<int64_t>(end - begin);
      const std::span<const uint32_t> group = text_.subspan(begin, end - begin);
      const std::span<const uint32_t> rest = text_.subspan(*at);
      if (const std::optional<size_t> matched = i.flag ? FoldedPrefix(group, rest) : Prefix(group, rest)) {
        *at += *matched;
        return true;
      }
    }
    return false;
  }

  bool Step(const Instruction& i, size_t* at) {
    const bool end = *at >= text_.size();
    const auto taken = [at](bool matched) {
      if (matched) ++*at;
      return matched;
    };
    switch (i.op) {
      case Op::kChar:
        return taken(!end && (i.flag ? FoldCase(text_[*at]) : text_[*at]) == i.x);
      case Op::kSet:
        return taken(!end && program_.sets[i.x].Contains(text_[*at]));
      case Op::kAny:
        return taken(!end && (i.flag || text_[*at] != '\n'));
      case Op::kBackref:
        return StepBackref(i, at);
      case Op::kLineStart:
        return *at == 0 || (text_[*at - 1] == '\n' && !end);
      case Op::kLineEnd:
        return end || text_[*at] == '\n';
      case Op::kTextStart:
        return *at == (i.flag ? from_ : 0);
      case Op::kTextEnd:
        return end || (i.flag && text_[*at] == '\n' && *at + 1 == text_.size());
      case Op::kWordEdge: {
        const CodePointSet& word = program_.sets[i.x];
        const bool before = *at > 0 && word.Contains(text_[*at - 1]);
        return ((!end && word.Contains(text_[*at])) != before) != i.flag;
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
    // As the crate onig goes on (find.rs): from the end, unless that gives an empty match there again.
    if (match->second == match->first && last_end == match->second) {
      ++from;
      continue;
    }
    from = match->second;
    last_end = match->second;
    spans.push_back(*match);
  }
  return spans;
}

}  // namespace truevec
