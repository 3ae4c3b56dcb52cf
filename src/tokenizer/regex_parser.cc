// Structure: alternatives, sequences, groups, options and repeats. Atoms are in regex_atoms.cc.
#include "tokenizer/regex_parser.h"

#include <algorithm>
#include <array>

#include "tokenizer/regex_properties.h"
#include "unicode/unicode.h"

namespace truevec {
namespace {

constexpr uint32_t kMaxRepeat = 100'000;  // Oniguruma's
constexpr size_t kMaxInstructions = 400'000;
constexpr int kMaxDepth = 100;

}  // namespace

RegexParser::RegexParser(std::string_view pattern) : pattern_(pattern), p_(DecodeUtf8(pattern)) {}

Result<std::unique_ptr<RegexProgram>> RegexParser::Parse() {
  TV_RETURN_IF_ERROR(ParseAll());
  if (has_backrefs_) {
    all_groups_ = groups_;
    all_names_ = std::move(names_);
    keep_groups_ = true;
    TV_RETURN_IF_ERROR(ParseAll());
  }
  return std::move(program_);
}

Status RegexParser::ParseAll() {
  at_ = 0;
  options_ = {};
  groups_ = 0;
  names_.clear();
  program_ = std::make_unique<RegexProgram>();
  program_->codes.emplace_back();
  program_->saves = keep_groups_;
  program_->first_loop_slot = program_->slots = 1 + 2 * all_groups_;
  TV_ASSIGN_OR_RETURN(Part part, Alternation(0));
  if (More()) return Error("unmatched )");
  part.code.push_back({Op::kMatch});
  program_->codes[0] = std::move(part.code);
  return Status::Ok();
}

Status RegexParser::Error(const std::string& what) const {
  return ModelError("pattern \"" + std::string(pattern_) + "\" at character " + std::to_string(at_) + ": " + what);
}

bool RegexParser::Take(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (Peek(i) != static_cast<unsigned char>(text[i])) return false;
  }
  at_ += text.size();
  return true;
}

Status RegexParser::SkipIgnored() {
  while (More()) {
    if (Take("(?#")) {
      while (More() && Peek() != ')') at_ += Peek() == '\\' ? 2 : 1;
      if (!Take(")")) return Error("end of pattern in a comment");
    } else if (options_.extended && (Peek() == ' ' || (Peek() >= '\t' && Peek() <= '\r' && Peek() != '\v'))) {
      ++at_;
    } else if (options_.extended && Peek() == '#') {
      while (More() && Peek() != '\n') ++at_;
    } else {
      break;
    }
  }
  return Status::Ok();
}

uint32_t RegexParser::AddExtent(uint32_t a, uint32_t b) {
  return a == kUnbounded || b == kUnbounded ? kUnbounded : std::min<uint64_t>(uint64_t{a} + b, kUnbounded - 1);
}

uint32_t RegexParser::TimesExtent(uint32_t a, uint32_t n) {
  if (a == 0 || n == 0) return 0;
  return a == kUnbounded || n == kUnbounded ? kUnbounded : std::min<uint64_t>(uint64_t{a} * n, kUnbounded - 1);
}

void RegexParser::Append(const Code& code, Code* out) {
  const auto base = static_cast<uint32_t>(out->size());
  for (Instruction i : code) {
    if (i.op == Op::kSplit || i.op == Op::kJump) {
      i.x += base;
      i.y += base;
    } else if (i.op == Op::kLoop) {
      i.y += base;
    }
    out->push_back(i);
  }
}

RegexParser::Part RegexParser::Either(const Part& first, const Part& second) {
  Part both;
  const auto size = static_cast<uint32_t>(first.code.size());
  both.code.push_back({Op::kSplit, false, 1, size + 2});
  Append(first.code, &both.code);
  both.code.push_back({Op::kJump, false, size + 2 + static_cast<uint32_t>(second.code.size()), 0});
  Append(second.code, &both.code);
  both.extent = {std::min(first.extent.min, second.extent.min), std::max(first.extent.max, second.extent.max)};
  return both;
}

Result<RegexParser::Part> RegexParser::Alternation(int depth) {
  if (depth > kMaxDepth) return Error("nested too deeply");
  const Options outer = options_;
  std::vector<Part> parts;
  do {
    TV_ASSIGN_OR_RETURN(Part part, Sequence(depth));
    parts.push_back(std::move(part));
  } while (Take("|"));
  options_ = outer;
  Part whole = std::move(parts.back());
  for (size_t i = parts.size() - 1; i-- > 0;) {
    whole = Either(parts[i], whole);
    if (whole.code.size() > kMaxInstructions) return Error("the pattern is too large");
  }
  return whole;
}

Result<RegexParser::Part> RegexParser::Sequence(int depth) {
  Part sequence;
  std::vector<uint32_t> text;  // folded literals, not yet in the sequence
  size_t parts = 0;
  const auto add = [&sequence](const Part& part) {
    Append(part.code, &sequence.code);
    sequence.extent = {AddExtent(sequence.extent.min, part.extent.min),
                       AddExtent(sequence.extent.max, part.extent.max)};
  };
  const auto flush = [&] {
    if (!text.empty()) add(FoldedText(text));
    text.clear();
  };
  while (true) {
    if (pending_.empty()) {
      TV_RETURN_IF_ERROR(SkipIgnored());
      if (!More() || Peek() == '|' || Peek() == ')') break;
    }
    TV_ASSIGN_OR_RETURN(Part atom, Atom(depth));
    if (pending_.empty()) {
      TV_ASSIGN_OR_RETURN(atom, Quantified(std::move(atom)));
    }
    if (!atom.folded_text.empty()) {
      text.insert(text.end(), atom.folded_text.begin(), atom.folded_text.end());
      continue;
    }
    flush();
    add(atom);
    ++parts;
    if (sequence.code.size() > kMaxInstructions) return Error("the pattern is too large");
  }
  if (parts == 0 && !text.empty()) {
    Part only = FoldedText(text);
    only.folded_text = std::move(text);
    return only;
  }
  flush();
  return sequence;
}

uint32_t RegexParser::SubProgram(Code code) {
  code.push_back({Op::kMatch});
  program_->codes.push_back(std::move(code));
  return static_cast<uint32_t>(program_->codes.size() - 1);
}

Result<RegexParser::Part> RegexParser::Group(int depth) {
  if (Take("?:")) {
    TV_ASSIGN_OR_RETURN(Part body, Alternation(depth + 1));
    if (!Take(")")) return Error("missing )");
    return body;
  }
  if (Take("?=")) return Around(Op::kLookAhead, false, depth);
  if (Take("?!")) return Around(Op::kLookAhead, true, depth);
  if (Take("?>")) return Around(Op::kAtomic, false, depth);
  if (Take("?<=")) return Around(Op::kLookBehind, false, depth);
  if (Take("?<!")) return Around(Op::kLookBehind, true, depth);
  for (const std::string_view open : {"?~", "?(", "?{"}) {
    if (Take(open)) return Error("the group (" + std::string(open) + " is not supported");
  }
  if (Peek() == '?' && Peek(1) != '<' && Peek(1) != '\'') {
    ++at_;
    return OptionGroup(depth);
  }
  return Capture(depth);
}

// (...), (?<name>...) and (?'name'...). With named groups the plain ones keep nothing.
Result<RegexParser::Part> RegexParser::Capture(int depth) {
  std::string name;
  const bool named = Take("?<") || Take("?'");
  if (named) {
    TV_ASSIGN_OR_RETURN(name, Name(p_[at_ - 1] == '<' ? '>' : '\''));
  }
  uint32_t slot = 0;
  if (named || all_names_.empty()) {
    slot = 1 + 2 * groups_++;
    if (named) names_[name].push_back(slot);
  }
  TV_ASSIGN_OR_RETURN(const Part body, Alternation(depth + 1));
  if (!Take(")")) return Error("missing )");
  Part part{body.code, body.extent};
  if (!keep_groups_ || slot == 0) return part;
  part.code.clear();
  part.code.push_back({Op::kMark, false, slot});
  Append(body.code, &part.code);
  part.code.push_back({Op::kMark, false, slot + 1});
  return part;
}

Result<std::string> RegexParser::Name(uint32_t close) {
  std::string name;
  while (More() && Peek() != close && Peek() != ')') AppendUtf8(p_[at_++], &name);
  if (name.empty() || Peek() != close) return Error("a group's name was expected");
  ++at_;
  return name;
}

Result<RegexParser::Part> RegexParser::Around(Op op, bool negative, int depth) {
  look_behinds_ += op == Op::kLookBehind ? 1 : 0;
  look_arounds_ += op != Op::kAtomic ? 1 : 0;
  TV_ASSIGN_OR_RETURN(Part body, Alternation(depth + 1));
  look_behinds_ -= op == Op::kLookBehind ? 1 : 0;
  look_arounds_ -= op != Op::kAtomic ? 1 : 0;
  if (!Take(")")) return Error("missing )");
  uint32_t lengths = 0;
  if (op == Op::kLookBehind) {
    if (body.extent.max > 0xFFFF) return Error("a look-behind of unbounded length");
    lengths = body.extent.min << 16 | body.extent.max;
  }
  Part part;
  part.extent = op == Op::kAtomic ? body.extent : Extent{};
  part.code.push_back({op, negative, SubProgram(std::move(body.code)), lengths});
  return part;
}

// Letters of (?imx-imx: in Ruby syntax: m is dot-all. (?i) without a colon holds up to the end of the enclosing group,
// alternatives included: ab(?i)c|d is ab(?i:c|d).
Result<RegexParser::Part> RegexParser::OptionGroup(int depth) {
  const Options outer = options_;
  bool on = true;
  for (; More() && Peek() != ')' && Peek() != ':'; ++at_) {
    switch (Peek()) {
      case '-':
        on = false;
        break;
      case 'i':
        options_.fold = on;
        break;
      case 'm':
        options_.dot_all = on;
        break;
      case 'x':
        options_.extended = on;
        break;
      case 'W':
      case 'D':
      case 'S':
      case 'P':
      case 'y':
        return Error("the group option " + std::string(1, static_cast<char>(Peek())) + " is not supported");
      default:
        return Error("undefined group option");
    }
  }
  const bool isolated = Take(")");
  if (!isolated && !Take(":")) return Error("end of pattern in a group");
  TV_ASSIGN_OR_RETURN(Part body, Alternation(depth + 1));
  if (!isolated && !Take(")")) return Error("missing )");
  options_ = outer;
  body.folded_text.clear();  // options end a string
  return body;
}

// {n}, {n,}, {n,m}, {,m}; anything else is a literal {. {3,1} is a possessive {1,3}.
std::optional<RegexParser::Repeat> RegexParser::Braces() {
  const size_t start = at_;
  ++at_;
  const auto number = [&]() -> std::optional<uint32_t> {
    if (Peek() < '0' || Peek() > '9') return std::nullopt;
    uint32_t n = 0;
    while (Peek() >= '0' && Peek() <= '9' && n <= kMaxRepeat) n = n * 10 + (p_[at_++] - '0');
    return n;
  };
  const std::optional<uint32_t> min = number();
  std::optional<uint32_t> max = min;
  const bool comma = Take(",");
  if (comma) max = number();
  if (!Take("}") || (!min && !max)) {
    at_ = start;
    return std::nullopt;
  }
  const uint32_t low = min.value_or(0);
  const uint32_t high = max.value_or(kUnbounded);
  return low <= high ? Repeat{low, high, false} : Repeat{high, low, true};
}

std::optional<RegexParser::Repeat> RegexParser::TakeRepeat() {
  if (Take("*")) return Repeat{0, kUnbounded, false};
  if (Take("+")) return Repeat{1, kUnbounded, false};
  if (Take("?")) return Repeat{0, 1, false};
  return Peek() == '{' ? Braces() : std::nullopt;
}

Result<RegexParser::Part> RegexParser::Quantified(Part atom) {
  while (true) {
    TV_RETURN_IF_ERROR(SkipIgnored());
    const bool braces = Peek() == '{';
    std::optional<Repeat> repeat = TakeRepeat();
    if (!repeat) return atom;
    bool lazy = false;
    if (braces) {
      // In Ruby syntax {n}? is (?:{n})?, and {n,m}+ is (?:{n,m})+.
      lazy = !repeat->possessive && repeat->min != repeat->max && Take("?");
    } else {
      lazy = Take("?");
      repeat->possessive = !lazy && Take("+");
    }
    TV_ASSIGN_OR_RETURN(atom, Repeated(atom, *repeat, lazy));
    if (repeat->possessive) {
      const Extent extent = atom.extent;
      atom = {{{Op::kAtomic, false, SubProgram(std::move(atom.code)), 0}}, extent};
    }
  }
}

Result<RegexParser::Part> RegexParser::Repeated(const Part& atom, Repeat repeat, bool lazy) {
  const bool unbounded = repeat.max == kUnbounded;
  if (repeat.min > kMaxRepeat || (!unbounded && repeat.max > kMaxRepeat)) return Error("too big a repeat count");
  const auto size = static_cast<uint32_t>(atom.code.size());
  const uint64_t copies = unbounded ? uint64_t{repeat.min} + 1 : repeat.max;
  if (copies * (size + 1) > kMaxInstructions) return Error("the pattern is too large");
  Part out;
  for (uint32_t i = 0; i < repeat.min; ++i) Append(atom.code, &out.code);
  const auto split = [lazy](uint32_t enter, uint32_t leave) {
    return lazy ? Instruction{Op::kSplit, false, leave, enter} : Instruction{Op::kSplit, false, enter, leave};
  };
  if (unbounded) {
    const auto base = static_cast<uint32_t>(out.code.size());
    const bool guarded = atom.extent.min == 0;  // a turn that consumes nothing would not end
    out.code.push_back(split(base + 1, base + size + (guarded ? 3 : 2)));
    if (guarded) out.code.push_back({Op::kMark, false, program_->slots, 0});
    Append(atom.code, &out.code);
    out.code.push_back(guarded ? Instruction{Op::kLoop, false, program_->slots++, base}
                               : Instruction{Op::kJump, false, base, 0});
  } else {
    const uint32_t optional = repeat.max - repeat.min;
    const auto end = static_cast<uint32_t>(out.code.size()) + optional * (size + 1);
    for (uint32_t i = 0; i < optional; ++i) {
      out.code.push_back(split(static_cast<uint32_t>(out.code.size()) + 1, end));
      Append(atom.code, &out.code);
    }
  }
  out.extent = {TimesExtent(atom.extent.min, repeat.min), TimesExtent(atom.extent.max, repeat.max)};
  return out;
}

Result<std::unique_ptr<RegexProgram>> CompileRegex(std::string_view pattern) {
  if (FirstInvalidUtf8(pattern)) return ModelError("a pattern is not valid UTF-8");
  return RegexParser(pattern).Parse();
}

}  // namespace truevec
