// Recursive-descent parser from Oniguruma syntax to instructions. What is not supported is refused by name:
// backreferences, \K, absent groups, conditionals, subexpression calls.
#include <algorithm>
#include <array>

#include "tokenizer/regex_program.h"
#include "unicode/unicode.h"

namespace truevec {

uint32_t FoldCase(uint32_t cp) {
  // Where Unicode's simple case folding is not the lower-case letter.
  constexpr std::array<std::pair<uint32_t, uint32_t>, 17> kFolds = {{{0xB5, 0x3BC},
                                                                     {0x17F, 's'},
                                                                     {0x345, 0x3B9},
                                                                     {0x3C2, 0x3C3},
                                                                     {0x3D0, 0x3B2},
                                                                     {0x3D1, 0x3B8},
                                                                     {0x3D5, 0x3C6},
                                                                     {0x3D6, 0x3C0},
                                                                     {0x3F0, 0x3BA},
                                                                     {0x3F1, 0x3C1},
                                                                     {0x3F5, 0x3B5},
                                                                     {0x1E9B, 0x1E61},
                                                                     {0x1FBE, 0x3B9},
                                                                     {0x1C80, 0x432},
                                                                     {0x1C81, 0x434},
                                                                     {0x212A, 'k'},
                                                                     {0x130, 0x130}}};
  if (cp < 0x80) return cp >= 'A' && cp <= 'Z' ? cp + 32 : cp;
  for (const auto& [from, to] : kFolds) {
    if (from == cp) return to;
  }
  uint32_t extra = 0;
  return ToLower(cp, &extra);
}

bool IsRegexWord(uint32_t cp) {
  if (cp >= 0xB2 && cp <= 0xBE) return cp <= 0xB3 || cp == 0xB5 || cp == 0xB9 || cp == 0xBA || cp >= 0xBC;
  return IsWordCharacter(cp) && cp != 0x200C && cp != 0x200D;
}

bool CharSet::InUnion(uint32_t cp) const {
  if (categories != 0 && (categories >> static_cast<uint32_t>(GeneralCategory(cp)) & 1u) != 0) return true;
  if (space && IsWhiteSpace(cp)) return true;
  if (not_space && !IsWhiteSpace(cp)) return true;
  const bool joiner = cp == 0x200C || cp == 0x200D;  // of Rust's \w, not of Oniguruma's
  if (word && IsWordCharacter(cp) && !joiner) return true;
  if (not_word && (joiner || !IsWordCharacter(cp))) return true;
  for (const auto& [first, last] : ranges) {
    if (cp >= first && cp <= last) return true;
  }
  return std::any_of(nested.begin(), nested.end(), [cp](const CharSet& set) { return set.Contains(cp); });
}

bool CharSet::ContainsExact(uint32_t cp) const {
  bool in = InUnion(cp);
  for (const CharSet& set : and_sets) in = in && set.Contains(cp);
  return in;
}

bool CharSet::Contains(uint32_t cp) const {
  bool in = ContainsExact(cp);
  if (!in && fold_case) {
    const uint32_t lower = FoldCase(cp);
    in = ContainsExact(lower) || (lower >= 'a' && lower <= 'z' && ContainsExact(lower - 32)) ||
         (lower == 's' && ContainsExact(0x17F)) || (lower == 'k' && ContainsExact(0x212A));
  }
  return in != negated;
}

namespace {

using Code = std::vector<Instruction>;

struct NamedCategory {
  std::string_view name;
  uint32_t bits;
};

constexpr uint32_t Bit(Category c) { return 1u << static_cast<uint32_t>(c); }
constexpr uint32_t Bits(Category first, Category last) { return (Bit(last) << 1) - Bit(first); }

constexpr std::array kCategoryNames = {
    NamedCategory{"L", Bits(Category::kLu, Category::kLo)},
    NamedCategory{"Letter", Bits(Category::kLu, Category::kLo)},
    NamedCategory{"M", Bits(Category::kMn, Category::kMe)},
    NamedCategory{"N", Bits(Category::kNd, Category::kNo)},
    NamedCategory{"P", Bits(Category::kPc, Category::kPo)},
    NamedCategory{"S", Bits(Category::kSm, Category::kSo)},
    NamedCategory{"Z", Bits(Category::kZs, Category::kZp)},
    NamedCategory{"C", Bits(Category::kCc, Category::kCn)},
    NamedCategory{"Lu", Bit(Category::kLu)},
    NamedCategory{"Ll", Bit(Category::kLl)},
    NamedCategory{"Lt", Bit(Category::kLt)},
    NamedCategory{"Lm", Bit(Category::kLm)},
    NamedCategory{"Lo", Bit(Category::kLo)},
    NamedCategory{"Mn", Bit(Category::kMn)},
    NamedCategory{"Mc", Bit(Category::kMc)},
    NamedCategory{"Me", Bit(Category::kMe)},
    NamedCategory{"Nd", Bit(Category::kNd)},
    NamedCategory{"Nl", Bit(Category::kNl)},
    NamedCategory{"No", Bit(Category::kNo)},
    NamedCategory{"Pc", Bit(Category::kPc)},
    NamedCategory{"Pd", Bit(Category::kPd)},
    NamedCategory{"Ps", Bit(Category::kPs)},
    NamedCategory{"Pe", Bit(Category::kPe)},
    NamedCategory{"Pi", Bit(Category::kPi)},
    NamedCategory{"Pf", Bit(Category::kPf)},
    NamedCategory{"Po", Bit(Category::kPo)},
    NamedCategory{"Sm", Bit(Category::kSm)},
    NamedCategory{"Sc", Bit(Category::kSc)},
    NamedCategory{"Sk", Bit(Category::kSk)},
    NamedCategory{"So", Bit(Category::kSo)},
    NamedCategory{"Zs", Bit(Category::kZs)},
    NamedCategory{"Zl", Bit(Category::kZl)},
    NamedCategory{"Zp", Bit(Category::kZp)},
    NamedCategory{"Cc", Bit(Category::kCc)},
    NamedCategory{"Cf", Bit(Category::kCf)},
    NamedCategory{"Co", Bit(Category::kCo)},
    NamedCategory{"Cn", Bit(Category::kCn)},
};

// What a parsed part can consume, in code points.
struct Extent {
  uint32_t min = 0;
  uint32_t max = 0;  // kUnbounded: no limit
};
constexpr uint32_t kUnbounded = UINT32_MAX;
constexpr uint32_t kMaxRepeat = 1000;
constexpr size_t kMaxInstructions = 200'000;
constexpr int kMaxDepth = 100;

uint32_t AddExtent(uint32_t a, uint32_t b) {
  return a == kUnbounded || b == kUnbounded ? kUnbounded : std::min<uint64_t>(uint64_t{a} + b, kUnbounded - 1);
}
uint32_t TimesExtent(uint32_t a, uint32_t n) {
  if (a == 0 || n == 0) return 0;
  return a == kUnbounded || n == kUnbounded ? kUnbounded : std::min<uint64_t>(uint64_t{a} * n, kUnbounded - 1);
}

struct Part {
  Code code;
  Extent extent;
};

class Parser {
 public:
  Parser(std::string_view pattern, RegexProgram* program)
      : pattern_(pattern), p_(DecodeUtf8(pattern)), program_(program) {}

  Status Parse() {
    program_->codes.emplace_back();
    TV_ASSIGN_OR_RETURN(Part part, Alternation(0));
    if (at_ < p_.size()) return Error("unmatched )");
    part.code.push_back({Op::kMatch});
    program_->codes[0] = std::move(part.code);
    return Status::Ok();
  }

 private:
  Status Error(const std::string& what) const {
    return ModelError("pattern \"" + std::string(pattern_) + "\" at character " + std::to_string(at_) + ": " + what);
  }
  bool More() const { return at_ < p_.size(); }
  uint32_t Peek(size_t ahead = 0) const { return at_ + ahead < p_.size() ? p_[at_ + ahead] : 0; }
  bool Take(std::string_view text) {
    for (size_t i = 0; i < text.size(); ++i) {
      if (Peek(i) != static_cast<unsigned char>(text[i])) return false;
    }
    at_ += text.size();
    return true;
  }

  // Appends `code` as it stands: jumps inside are relative to its own start and are moved.
  static void Append(const Code& code, Code* out) {
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

  Result<Part> Alternation(int depth) {
    if (depth > kMaxDepth) return Error("nested too deeply");
    TV_ASSIGN_OR_RETURN(Part whole, Sequence(depth));
    while (Take("|")) {
      TV_ASSIGN_OR_RETURN(const Part other, Sequence(depth));
      Part both;
      const auto first_size = static_cast<uint32_t>(whole.code.size());
      both.code.push_back({Op::kSplit, false, 1, first_size + 2});
      Append(whole.code, &both.code);
      both.code.push_back({Op::kJump, false, first_size + 2 + static_cast<uint32_t>(other.code.size()), 0});
      Append(other.code, &both.code);
      both.extent = {std::min(whole.extent.min, other.extent.min), std::max(whole.extent.max, other.extent.max)};
      whole = std::move(both);
    }
    return whole;
  }

  Result<Part> Sequence(int depth) {
    Part sequence;
    const bool outer_fold = fold_;
    const bool outer_dotall = dotall_;
    while (More() && Peek() != '|' && Peek() != ')') {
      TV_ASSIGN_OR_RETURN(Part atom, Atom(depth));
      TV_ASSIGN_OR_RETURN(atom, Quantified(std::move(atom)));
      Append(atom.code, &sequence.code);
      if (sequence.code.size() > kMaxInstructions) return Error("the pattern is too large");
      sequence.extent.min = AddExtent(sequence.extent.min, atom.extent.min);
      sequence.extent.max = AddExtent(sequence.extent.max, atom.extent.max);
    }
    fold_ = outer_fold;
    dotall_ = outer_dotall;
    return sequence;
  }

  uint32_t SubProgram(Code code) {
    code.push_back({Op::kMatch});
    program_->codes.push_back(std::move(code));
    return static_cast<uint32_t>(program_->codes.size() - 1);
  }

  Result<Part> Group(int depth) {
    struct Kind {
      std::string_view open;
      Op op;
      bool negative;
    };
    constexpr std::array kKinds = {Kind{"?:", Op::kJump, false},       Kind{"?=", Op::kLookAhead, false},
                                   Kind{"?!", Op::kLookAhead, true},   Kind{"?<=", Op::kLookBehind, false},
                                   Kind{"?<!", Op::kLookBehind, true}, Kind{"?>", Op::kAtomic, false}};
    const auto* kind = kKinds.begin();
    for (; kind != kKinds.end(); ++kind) {
      if (Take(kind->open)) break;
    }
    const bool outer_fold = fold_;
    const bool outer_dotall = dotall_;
    if (kind == kKinds.end() && Take("?")) {
      TV_RETURN_IF_ERROR(Options());
      if (Take(")")) return Part{};  // (?i) up to the end of the enclosing group
      if (!Take(":")) return Error("this group is not supported");
    }
    TV_ASSIGN_OR_RETURN(Part body, Alternation(depth + 1));
    if (!Take(")")) return Error("missing )");
    fold_ = outer_fold;
    dotall_ = outer_dotall;
    if (kind == kKinds.end() || kind->op == Op::kJump) return body;
    Part part;
    part.extent = kind->op == Op::kAtomic ? body.extent : Extent{};
    uint32_t lengths = 0;
    if (kind->op == Op::kLookBehind) {
      if (body.extent.max > 0xFFFF) return Error("a look-behind of unbounded length");
      lengths = body.extent.min << 16 | body.extent.max;
    }
    part.code.push_back({kind->op, kind->negative, SubProgram(std::move(body.code)), lengths});
    return part;
  }

  // Letters of (?imx-imx: in Ruby syntax: m is dot-all.
  Status Options() {
    bool on = true;
    for (; More() && Peek() != ')' && Peek() != ':'; ++at_) {
      if (Peek() == '-') {
        on = false;
      } else if (Peek() == 'i') {
        fold_ = on;
      } else if (Peek() == 'm') {
        dotall_ = on;
      } else {
        return Error("undefined group option");
      }
    }
    return Status::Ok();
  }

  Part One(Instruction instruction) { return {{instruction}, {1, 1}}; }
  Part Zero(Op op, bool flag = false) { return {{{op, flag}}, {0, 0}}; }
  Part Literal(uint32_t cp) { return One({Op::kChar, fold_, fold_ ? FoldCase(cp) : cp}); }
  Part Set(CharSet set) {
    set.fold_case = set.fold_case || fold_;
    program_->sets.push_back(std::move(set));
    return One({Op::kSet, false, static_cast<uint32_t>(program_->sets.size() - 1)});
  }

  Result<Part> Atom(int depth) {
    if (Take("(")) return Group(depth);
    if (Take("[")) {
      TV_ASSIGN_OR_RETURN(CharSet set, Class(depth));
      return Set(std::move(set));
    }
    if (Take(".")) return One({Op::kAny, dotall_});
    if (Take("^")) return Zero(Op::kLineStart);
    if (Take("$")) return Zero(Op::kLineEnd);
    if (Peek() == '*' || Peek() == '+' || Peek() == '?') return Error("target of repeat operator is not specified");
    if (Peek() != '\\') return Literal(p_[at_++]);
    if (Take("\\A")) return Zero(Op::kTextStart);
    if (Take("\\G")) return Zero(Op::kTextStart, true);
    if (Take("\\z")) return Zero(Op::kTextEnd);
    if (Take("\\Z")) return Zero(Op::kTextEnd, true);
    if (Take("\\b")) return Zero(Op::kWordEdge);
    if (Take("\\B")) return Zero(Op::kWordEdge, true);
    if (Peek(1) == 'w' || Peek(1) == 'W') {
      CharSet bare;
      bare.word = true;
      bare.ranges = {{0xB2, 0xB3}, {0xB9, 0xB9}, {0xBC, 0xBE}};
      bare.negated = Peek(1) == 'W';
      at_ += 2;
      return Set(std::move(bare));
    }
    CharSet set;
    uint32_t literal = 0;
    TV_ASSIGN_OR_RETURN(const bool is_set, Escape(&set, &literal));
    return is_set ? Set(std::move(set)) : Literal(literal);
  }

  // After the backslash position: a class escape (true) or a literal (false).
  Result<bool> Escape(CharSet* set, uint32_t* literal) {
    ++at_;
    if (!More()) return Error("the pattern ends in a backslash");
    const uint32_t c = p_[at_++];
    switch (c) {
      case 's':
        set->space = true;
        return true;
      case 'S':
        set->not_space = true;
        return true;
      case 'w':
        set->word = true;
        return true;
      case 'W':
        set->not_word = true;
        return true;
      case 'd':
        set->categories = Bit(Category::kNd);
        return true;
      case 'D':
        set->categories = ~Bit(Category::kNd);
        return true;
      case 'h':
        set->ranges = {{'0', '9'}, {'a', 'f'}, {'A', 'F'}};
        return true;
      case 'p':
      case 'P':
        TV_RETURN_IF_ERROR(Property(c == 'P', set));
        return true;
      case 'n':
        *literal = '\n';
        return false;
      case 'r':
        *literal = '\r';
        return false;
      case 't':
        *literal = '\t';
        return false;
      case 'f':
        *literal = '\f';
        return false;
      case 'v':
        *literal = '\v';
        return false;
      case 'a':
        *literal = 7;
        return false;
      case 'e':
        *literal = 27;
        return false;
      case 'x':
      case 'u': {
        TV_ASSIGN_OR_RETURN(*literal, Hex(c == 'u' ? 4 : 2));
        return false;
      }
      default:
        break;
    }
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      return Error("escape \\" + std::string(1, static_cast<char>(c)) + " is not supported");
    }
    *literal = c;
    return false;
  }

  Result<uint32_t> Hex(int digits) {
    const bool braces = Take("{");
    uint32_t value = 0;
    int count = 0;
    for (; More() && (braces ? Peek() != '}' : count < digits); ++count, ++at_) {
      const uint32_t c = Peek();
      const uint32_t digit = c >= '0' && c <= '9'                 ? c - '0'
                             : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                                  : 99;
      if (digit == 99 || value > kMaxCodePoint) return Error("a hexadecimal number was expected");
      value = value * 16 + digit;
    }
    if (count == 0 || (braces && !Take("}"))) return Error("a hexadecimal number was expected");
    return value;
  }

  Status Property(bool negated, CharSet* set) {
    if (!Take("{")) return Error("expected { after \\p");
    if (Take("^")) negated = !negated;
    std::string name;
    while (More() && Peek() != '}') name += static_cast<char>(p_[at_++]);
    if (!Take("}")) return Error("expected } after \\p{");
    for (const NamedCategory& row : kCategoryNames) {
      if (row.name == name) {
        set->categories = negated ? ~row.bits : row.bits;
        return Status::Ok();
      }
    }
    if (name == "Han") {  // script Han, Unicode 16
      set->ranges = {{0x2E80, 0x2E99},   {0x2E9B, 0x2EF3},   {0x2F00, 0x2FD5},   {0x3005, 0x3005},   {0x3007, 0x3007},
                     {0x3021, 0x3029},   {0x3038, 0x303B},   {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFA6D},
                     {0xFA70, 0xFAD9},   {0x16FE2, 0x16FE3}, {0x16FF0, 0x16FF1}, {0x20000, 0x2A6DF}, {0x2A700, 0x2B739},
                     {0x2B740, 0x2B81D}, {0x2B820, 0x2CEA1}, {0x2CEB0, 0x2EBE0}, {0x2EBF0, 0x2EE5D}, {0x2F800, 0x2FA1D},
                     {0x30000, 0x3134A}, {0x31350, 0x323AF}};
      set->negated = negated;
      return Status::Ok();
    }
    return Error("property \"" + name + "\" is not supported");
  }

  Result<CharSet> Class(int depth) {
    if (depth > kMaxDepth) return Error("nested too deeply");
    CharSet set;
    const bool negated = Take("^");
    bool first = true;
    while (true) {
      if (!More()) return Error("missing ]");
      if (!first && Take("]")) break;
      if (Take("&&")) {
        // The rest of the class is the other operand.
        TV_ASSIGN_OR_RETURN(CharSet right, Class(depth + 1));
        --at_;  // the ] closes this class as well
        set.and_sets.push_back(std::move(right));
        first = false;
        continue;
      }
      first = false;
      if (Take("[")) {
        TV_ASSIGN_OR_RETURN(CharSet nested, Class(depth + 1));
        set.nested.push_back(std::move(nested));
        continue;
      }
      TV_RETURN_IF_ERROR(ClassItem(&set));
    }
    set.negated = negated;
    set.fold_case = fold_;
    return set;
  }

  Status ClassItem(CharSet* set) {
    uint32_t low = 0;
    if (Peek() == '\\') {
      CharSet escaped;
      TV_ASSIGN_OR_RETURN(const bool is_set, Escape(&escaped, &low));
      if (is_set) {
        set->nested.push_back(std::move(escaped));
        return Status::Ok();
      }
    } else {
      low = p_[at_++];
    }
    uint32_t high = low;
    if (Peek() == '-' && Peek(1) != ']' && Peek(1) != 0) {
      ++at_;
      high = Peek();
      if (high == '\\') {
        CharSet ignored;
        TV_ASSIGN_OR_RETURN(const bool is_set, Escape(&ignored, &high));
        if (is_set) return Error("a range ends in a class");
      } else {
        ++at_;
      }
      if (high < low) return Error("empty range in char class");
    }
    set->ranges.emplace_back(low, high);
    return Status::Ok();
  }

  struct Repeat {
    uint32_t min;
    uint32_t max;
  };

  // {n}, {n,}, {n,m}, {,m}; anything else is a literal {.
  std::optional<Repeat> Braces() {
    const size_t start = at_;
    ++at_;
    const auto number = [&]() -> std::optional<uint32_t> {
      if (Peek() < '0' || Peek() > '9') return std::nullopt;
      uint32_t n = 0;
      while (Peek() >= '0' && Peek() <= '9' && n <= 100'000) n = n * 10 + (p_[at_++] - '0');
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
    return Repeat{min.value_or(0), max.value_or(kUnbounded)};
  }

  Result<Part> Quantified(Part atom) {
    while (More()) {
      Repeat repeat{};
      bool braces = false;
      if (Take("*")) {
        repeat = {0, kUnbounded};
      } else if (Take("+")) {
        repeat = {1, kUnbounded};
      } else if (Take("?")) {
        repeat = {0, 1};
      } else if (Peek() == '{') {
        const std::optional<Repeat> found = Braces();
        if (!found) break;
        repeat = *found;
        braces = true;
      } else {
        break;
      }
      const bool lazy = Take("?");
      // {n,m}+ is (?:{n,m})+ in Ruby syntax; only ?+ *+ ++ are possessive.
      const bool possessive = !lazy && !braces && Take("+");
      TV_ASSIGN_OR_RETURN(atom, Repeated(atom, repeat, lazy));
      if (possessive) {
        const Extent extent = atom.extent;
        atom = {{{Op::kAtomic, false, SubProgram(std::move(atom.code)), 0}}, extent};
      }
    }
    return atom;
  }

  Result<Part> Repeated(const Part& atom, Repeat repeat, bool lazy) {
    const bool unbounded = repeat.max == kUnbounded;
    if (repeat.min > kMaxRepeat || (!unbounded && repeat.max > kMaxRepeat)) return Error("too big a repeat count");
    if (!unbounded && repeat.max < repeat.min) return Error("a repeat with max below min");
    Part out;
    for (uint32_t i = 0; i < repeat.min; ++i) Append(atom.code, &out.code);
    const auto split = [lazy](uint32_t enter, uint32_t leave) {
      return lazy ? Instruction{Op::kSplit, false, leave, enter} : Instruction{Op::kSplit, false, enter, leave};
    };
    const auto size = static_cast<uint32_t>(atom.code.size());
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
    if (out.code.size() > kMaxInstructions) return Error("the pattern is too large");
    out.extent = {TimesExtent(atom.extent.min, repeat.min), TimesExtent(atom.extent.max, repeat.max)};
    return out;
  }

  std::string_view pattern_;
  std::vector<uint32_t> p_;
  RegexProgram* program_;
  size_t at_ = 0;
  bool fold_ = false;
  bool dotall_ = false;
};

}  // namespace

Result<std::unique_ptr<RegexProgram>> CompileRegex(std::string_view pattern) {
  if (FirstInvalidUtf8(pattern)) return ModelError("a pattern is not valid UTF-8");
  auto program = std::make_unique<RegexProgram>();
  Parser parser(pattern, program.get());
  TV_RETURN_IF_ERROR(parser.Parse());
  return program;
}

}  // namespace truevec
