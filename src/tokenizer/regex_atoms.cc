// Atoms: characters, escapes, properties, classes and backreferences; case folding.
#include <algorithm>
#include <array>

#include "tokenizer/regex_parser.h"
#include "tokenizer/regex_properties.h"
#include "unicode/unicode.h"

namespace truevec {
namespace {

constexpr int kMaxDepth = 100;

CodePointSet NamedSet(std::string_view name, bool negated = false) {
  CodePointSet set;
  set.Add(FindRegexProperty(name).value_or(std::span<const CodePointRange>()));
  if (negated) set.Complement();
  return set;
}

bool IsAsciiLetter(uint32_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

}  // namespace

// --- Characters and sets, with and without case

RegexParser::Part RegexParser::Literal(uint32_t cp) {
  if (!options_.fold) return One({Op::kChar, false, cp});
  Part part = FoldedText({cp});
  part.folded_text = {cp};
  return part;
}

RegexParser::Part RegexParser::Set(CodePointSet set) {
  program_->sets.push_back(std::move(set));
  return One({Op::kSet, false, static_cast<uint32_t>(program_->sets.size() - 1)});
}

RegexParser::Part RegexParser::FoldedChars(std::span<const uint32_t> folded) {
  Part part;
  for (const uint32_t cp : folded) {
    if (cp == 0) break;
    part.code.push_back({Op::kChar, true, FoldCase(cp)});
  }
  const auto size = static_cast<uint32_t>(part.code.size());
  part.extent = {size, size};
  return part;
}

CodePointSet RegexParser::WithFullFold(std::span<const uint32_t> folded) {
  CodePointSet set;
  for (const FullFold& row : FullFolds()) {
    const size_t size = row.to[2] == 0 ? 2 : 3;
    if (size == folded.size() && std::equal(folded.begin(), folded.end(), row.to.begin())) set.Add(row.from, row.from);
  }
  return set;
}

// As Oniguruma unravels a string (regcomp.c, unravel_case_fold_string): at each place the longest run of two or three
// characters that one code point folds to, as they are or as that one; else one character, or what it folds to.
RegexParser::Part RegexParser::FoldedText(const std::vector<uint32_t>& text) {
  Part out;
  const auto add = [&out](const Part& part) {
    Append(part.code, &out.code);
    out.extent = {AddExtent(out.extent.min, part.extent.min), AddExtent(out.extent.max, part.extent.max)};
  };
  for (size_t at = 0; at < text.size();) {
    size_t taken = 0;
    for (size_t size = look_behinds_ > 0 ? 1 : 3; size >= 2 && taken == 0; --size) {
      if (at + size > text.size()) continue;
      std::vector<uint32_t> folded;
      for (size_t i = at; i < at + size; ++i) folded.push_back(FoldFully(text[i]) != nullptr ? 0 : FoldCase(text[i]));
      CodePointSet one = WithFullFold(folded);
      if (one.ranges().empty()) continue;
      add(Either(FoldedChars(folded), Set(std::move(one))));
      taken = size;
    }
    if (taken == 0) {
      const std::array<uint32_t, 3>* several = look_behinds_ > 0 ? nullptr : FoldFully(text[at]);
      const Part single = One({Op::kChar, true, FoldCase(text[at])});
      add(several == nullptr ? single : Either(single, FoldedChars(*several)));
      taken = 1;
    }
    at += taken;
  }
  return out;
}

// A class under (?i): closed over simple folding; where it holds a code point that folds to several, those as well.
Result<RegexParser::Part> RegexParser::ClassPart(CodePointSet set, bool negated) {
  std::vector<Part> several;
  if (options_.fold) {
    set.CloseOverCase();
    for (const FullFold& row : FullFolds()) {
      if (!negated && look_behinds_ == 0 && set.Contains(row.from)) several.push_back(FoldedChars(row.to));
    }
  }
  if (negated) set.Complement();
  several.insert(several.begin(), Set(std::move(set)));
  Part part = std::move(several.back());
  for (size_t i = several.size() - 1; i-- > 0;) part = Either(several[i], part);
  return part;
}

// --- Atoms

Result<RegexParser::Part> RegexParser::Atom(int depth) {
  if (!pending_.empty()) {
    const uint32_t next = pending_.back();
    pending_.pop_back();
    return Literal(next);
  }
  if (Take("(")) return Group(depth);
  if (Take("[")) {
    const bool negated = Take("^");
    TV_ASSIGN_OR_RETURN(CodePointSet set, Class(depth));
    return ClassPart(std::move(set), negated);
  }
  if (Take(".")) return One({Op::kAny, options_.dot_all});
  if (Peek() == '*' || Peek() == '+' || Peek() == '?') return Error("target of repeat operator is not specified");
  if (std::optional<Part> anchor = Anchor()) return std::move(*anchor);
  if (Peek() != '\\') return Literal(p_[at_++]);
  TV_ASSIGN_OR_RETURN(std::optional<Part> special, SpecialEscape());
  if (special) return std::move(*special);
  TV_ASSIGN_OR_RETURN(EscapeResult escape, Escape(false));
  if (escape.set) return Set(std::move(*escape.set));
  pending_.assign(escape.literals.rbegin(), escape.literals.rend() - 1);
  return Literal(escape.literals[0]);
}

std::optional<RegexParser::Part> RegexParser::Anchor() {
  if (Take("^")) return Zero(Op::kLineStart);
  if (Take("$")) return Zero(Op::kLineEnd);
  if (Take("\\A")) return Zero(Op::kTextStart);
  if (Take("\\G")) return Zero(Op::kTextStart, true);
  if (Take("\\z")) return Zero(Op::kTextEnd);
  if (Take("\\Z")) return Zero(Op::kTextEnd, true);
  if (Peek() != '\\' || (Peek(1) != 'b' && Peek(1) != 'B')) return std::nullopt;
  const bool negated = Peek(1) == 'B';
  at_ += 2;
  program_->sets.push_back(NamedSet("\\w"));
  return Zero(Op::kWordEdge, negated, static_cast<uint32_t>(program_->sets.size() - 1));
}

// Escapes that mean more than a character or a set; nothing (and nothing taken) for the others.
Result<std::optional<RegexParser::Part>> RegexParser::SpecialEscape() {
  if (Take("\\N")) return std::optional<Part>(One({Op::kAny, false}));
  if (Take("\\O")) return std::optional<Part>(One({Op::kAny, true}));
  if (Take("\\K")) {
    if (look_arounds_ > 0) return Error("\\K in a look-around is not supported");
    program_->saves = true;
    return std::optional<Part>(Zero(Op::kMark, false, 0));
  }
  if (Take("\\R")) {  // (?>\r\n|[\n-\r\x{85}\x{2028}\x{2029}])
    CodePointSet set;
    set.Add('\n', '\r');
    set.Add(0x85, 0x85);
    set.Add(0x2028, 0x2029);
    Part pair{{{Op::kChar, false, '\r'}, {Op::kChar, false, '\n'}}, {2, 2}};
    Part either = Either(pair, Set(std::move(set)));
    return std::optional<Part>(Part{{{Op::kAtomic, false, SubProgram(std::move(either.code)), 0}}, {1, 2}});
  }
  if (Take("\\k<") || Take("\\k'")) {
    TV_ASSIGN_OR_RETURN(Part part, NamedBackreference());
    return std::optional<Part>(std::move(part));
  }
  if (Peek(1) >= '1' && Peek(1) <= '9') return NumberedBackreference();
  for (const char c : std::string_view("XyYgM")) {
    if (Peek(1) == static_cast<unsigned char>(c)) return Error("escape \\" + std::string(1, c) + " is not supported");
  }
  return std::optional<Part>();
}

// --- Backreferences

Result<RegexParser::Part> RegexParser::Backreference(const std::vector<uint32_t>& groups) {
  has_backrefs_ = true;
  program_->backrefs.push_back(groups);
  Part part = Zero(Op::kBackref, options_.fold, static_cast<uint32_t>(program_->backrefs.size() - 1));
  part.extent.max = kUnbounded;
  return part;
}

// \1 and so on; nothing where the number is an octal one.
Result<std::optional<RegexParser::Part>> RegexParser::NumberedBackreference() {
  const size_t start = at_++;
  uint32_t number = 0;
  while (Peek() >= '0' && Peek() <= '9' && number <= 1000) number = number * 10 + (p_[at_++] - '0');
  if (number > 9 && number > groups_) {
    at_ = start;
    return std::optional<Part>();
  }
  if (keep_groups_ && !all_names_.empty()) return Error("numbered backref/call is not allowed (use name)");
  if (keep_groups_ && number > all_groups_) return Error("invalid backref number/name");
  TV_ASSIGN_OR_RETURN(Part part, Backreference({1 + 2 * (number - 1)}));
  return std::optional<Part>(std::move(part));
}

// \k<name>, \k<1>, \k<-1>.
Result<RegexParser::Part> RegexParser::NamedBackreference() {
  TV_ASSIGN_OR_RETURN(const std::string name, Name(p_[at_ - 1] == '<' ? '>' : '\''));
  const bool relative = name[0] == '-';
  const std::string digits = name.substr(relative ? 1 : 0);
  if (!digits.empty() && digits.size() < 5 &&
      std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    const auto number = static_cast<uint32_t>(std::stoul(digits));
    if (keep_groups_ && !all_names_.empty()) return Error("numbered backref/call is not allowed (use name)");
    if (number == 0 || (relative ? number > groups_ : keep_groups_ && number > all_groups_)) {
      return Error("invalid backref number/name");
    }
    return Backreference({1 + 2 * (relative ? groups_ - number : number - 1)});
  }
  if (name.find_first_of("+-") != std::string::npos) return Error("a backreference with a level is not supported");
  const auto found = names_.find(name);
  if (found == names_.end()) return Error("undefined name <" + name + "> reference");
  return Backreference(found->second);
}

// --- Escapes

// At a backslash: a set, or characters.
Result<RegexParser::EscapeResult> RegexParser::Escape(bool in_class) {
  ++at_;
  if (!More()) return Error("the pattern ends in a backslash");
  const uint32_t c = p_[at_++];
  EscapeResult result;
  switch (c) {
    case 'w':
    case 'W':
      result.set = NamedSet(in_class ? "[\\w]" : "\\w", c == 'W');
      return result;
    case 's':
    case 'S':
      result.set = NamedSet("\\s", c == 'S');
      return result;
    case 'd':
    case 'D':
      result.set = NamedSet("\\d", c == 'D');
      return result;
    case 'h':
    case 'H':
      result.set = NamedSet("\\h", c == 'H');
      return result;
    case 'p':
    case 'P':
      if (Peek() == '{') {
        TV_ASSIGN_OR_RETURN(result.set, Property(c == 'P'));
        return result;
      }
      break;
    case 'x':
    case 'u': {
      --at_;
      TV_ASSIGN_OR_RETURN(result.literals, HexEscape(in_class));
      return result;
    }
    default:
      break;
  }
  result.literals = {c};
  if (const std::optional<uint32_t> control = ControlEscape(c)) {
    result.literals = {*control};
  } else if (c == 'b' && in_class) {
    result.literals = {8};
  } else if (c == 'M' && Peek() == '-') {
    return Error("escape \\M is not supported");
  }
  return result;
}

// \n and its kind, \cA, \C-A, and octal numbers.
std::optional<uint32_t> RegexParser::ControlEscape(uint32_t c) {
  constexpr std::string_view kLetters = "nrtfvae";
  constexpr std::string_view kValues = "\n\r\t\f\v\a\x1B";
  const size_t known = c < 128 ? kLetters.find(static_cast<char>(c)) : std::string_view::npos;
  if (known != std::string_view::npos) return static_cast<uint32_t>(kValues[known]);
  if (c >= '0' && c <= '7') {
    --at_;
    return Octal(3);
  }
  const bool long_form = c == 'C' && Peek() == '-';
  if ((c == 'c' || long_form) && at_ + (long_form ? 1 : 0) < p_.size()) {
    at_ += long_form ? 1 : 0;
    const uint32_t of = p_[at_++];
    return of == '?' ? 0x7F : of & 0x9F;
  }
  return std::nullopt;
}

uint32_t RegexParser::Octal(int digits) {
  uint32_t value = 0;
  for (int i = 0; i < digits && Peek() >= '0' && Peek() <= '7'; ++i) value = value * 8 + (p_[at_++] - '0');
  return value;
}

// At x or u: \uHHHH, \xHH (bytes of UTF-8 when they are not ASCII), \x{H...} and \x{H... H...}.
Result<std::vector<uint32_t>> RegexParser::HexEscape(bool in_class) {
  const auto digit = [this](size_t ahead = 0) {
    const uint32_t c = Peek(ahead);
    return c >= '0' && c <= '9'                 ? static_cast<int>(c - '0')
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? static_cast<int>((c | 32) - 'a' + 10)
                                                : -1;
  };
  if (Take("u")) {
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      if (digit() < 0) return Error("invalid code point value");
      value = value * 16 + static_cast<uint32_t>(digit());
    }
    return std::vector<uint32_t>{value};
  }
  ++at_;
  if (Peek() != '{') {
    TV_ASSIGN_OR_RETURN(const uint32_t value, HexBytes());
    return std::vector<uint32_t>{value};
  }
  ++at_;
  std::vector<uint32_t> values;
  while (!Take("}")) {
    uint64_t value = 0;
    int count = 0;
    for (; digit() >= 0 && count < 8; ++count, ++at_) value = value * 16 + static_cast<uint64_t>(digit());
    if (count == 0 || value > kMaxCodePoint) return Error("invalid code point value");
    values.push_back(static_cast<uint32_t>(value));
    while (Peek() == ' ' || Peek() == '\n') ++at_;
    if (in_class && (Peek() == '-' || digit() >= 0))
      return Error("several code points of \\x{} in a class are not supported");
    if (!More()) return Error("invalid code point value");
  }
  if (values.empty()) return Error("invalid code point value");
  return values;
}

// After \x: one or two digits of a byte; a character beyond ASCII is spelt by its bytes of UTF-8, each of its own \x.
Result<uint32_t> RegexParser::HexBytes() {
  std::string bytes;
  do {
    uint32_t value = 0;
    for (int i = 0; i < 2; ++i) {
      const uint32_t c = Peek();
      const bool letter = (c | 32) >= 'a' && (c | 32) <= 'f';
      if (!letter && (c < '0' || c > '9')) break;
      value = value * 16 + (letter ? (c | 32) - 'a' + 10 : c - '0');
      ++at_;
    }
    bytes += static_cast<char>(value);
    const auto lead = static_cast<unsigned char>(bytes[0]);
    const size_t wanted = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (bytes.size() == wanted) break;
  } while (Take("\\x"));
  if (FirstInvalidUtf8(bytes)) return Error("the bytes of \\x are not one character of UTF-8");
  return DecodeUtf8(bytes)[0];
}

// At the brace of \p{name}.
Result<CodePointSet> RegexParser::Property(bool negated) {
  ++at_;
  if (Take("^")) negated = !negated;
  std::string name;
  while (More() && Peek() != '}') AppendUtf8(p_[at_++], &name);
  if (!Take("}")) return Error("expected } after \\p{");
  std::string key;
  for (const char c : name) {
    if (c != ' ' && c != '-' && c != '_') key += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  }
  const bool plain = std::all_of(key.begin(), key.end(), [](char c) { return c != '[' && c != '\\'; });
  if (!plain || !FindRegexProperty(key)) return Error("invalid character property name {" + name + "}");
  return NamedSet(key, negated);
}

// --- Classes

// After [ or [^, up to and with the ]. && takes what is left of it and what is right of it.
Result<CodePointSet> RegexParser::Class(int depth) {
  if (depth > kMaxDepth) return Error("nested too deeply");
  std::optional<CodePointSet> left;
  CodePointSet set;
  const auto first_close = std::find(p_.begin() + static_cast<ptrdiff_t>(at_) + (More() ? 1 : 0), p_.end(), ']');
  if (Peek() == ']' && first_close == p_.end()) return Error("empty char-class");
  for (bool first = true;; first = false) {
    if (!More()) return Error("premature end of char-class");
    if (!first && Take("]")) break;
    if (Take("&&")) {
      if (left) set.Intersect(*left);
      left = std::move(set);
      set = CodePointSet();
      continue;
    }
    if (Take("[")) {
      TV_ASSIGN_OR_RETURN(const std::optional<CodePointSet> posix, PosixBracket());
      if (posix) {
        set.Add(*posix);
        continue;
      }
      const bool negated = Take("^");
      TV_ASSIGN_OR_RETURN(CodePointSet nested, Class(depth + 1));
      if (negated) nested.Complement();
      set.Add(nested);
      continue;
    }
    TV_RETURN_IF_ERROR(ClassItem(&set));
  }
  if (left) set.Intersect(*left);
  return set;
}

// After a [ inside a class: [:alpha:], [:^alpha:]; nothing (and nothing taken) for what is an ordinary class.
Result<std::optional<CodePointSet>> RegexParser::PosixBracket() {
  constexpr size_t kMaxName = 20;  // Oniguruma's
  if (Peek() != ':') return std::optional<CodePointSet>();
  const bool negated = Peek(1) == '^';
  std::string key = "[:";
  size_t end = negated ? 2 : 1;
  for (; IsAsciiLetter(Peek(end)); ++end) key += static_cast<char>(Peek(end));
  if (Peek(end) == ':' && Peek(end + 1) == ']') {
    key += ":]";
    if (FindRegexProperty(key)) {
      at_ += end + 2;
      return std::optional<CodePointSet>(NamedSet(key, negated));
    }
  }
  for (size_t i = 1; i < kMaxName && Peek(i) != 0 && Peek(i) != ']'; ++i) {
    if (Peek(i) == ':' && Peek(i + 1) == ']') return Error("invalid POSIX bracket type");
  }
  return std::optional<CodePointSet>();
}

Status RegexParser::ClassItem(CodePointSet* set) {
  uint32_t low = Peek();
  if (low == '\\') {
    TV_ASSIGN_OR_RETURN(const EscapeResult escape, Escape(true));
    if (escape.set) {
      set->Add(*escape.set);
      if (Peek() == '-' && Peek(1) != ']' && !(Peek(1) == '&' && Peek(2) == '&')) {
        return Error("unmatched range specifier in char-class");
      }
      return Status::Ok();
    }
    low = escape.literals[0];
    if (escape.literals.size() > 1) return Error("several code points of \\x{} in a class are not supported");
  } else {
    ++at_;
  }
  uint32_t high = low;
  if (Peek() == '-' && Peek(1) != ']' && Peek(1) != '[' && Peek(1) != 0 && !(Peek(1) == '&' && Peek(2) == '&')) {
    ++at_;
    TV_ASSIGN_OR_RETURN(high, RangeEnd());
    if (high < low) return Error("empty range in char class");
  }
  set->Add(low, high);
  return Status::Ok();
}

Result<uint32_t> RegexParser::RangeEnd() {
  if (Peek() != '\\') return p_[at_++];
  TV_ASSIGN_OR_RETURN(const EscapeResult escape, Escape(true));
  if (escape.set || escape.literals.size() != 1) return Error("char-class value at end of range");
  return escape.literals[0];
}

}  // namespace truevec
