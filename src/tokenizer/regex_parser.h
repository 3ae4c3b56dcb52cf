// Recursive-descent parser from Oniguruma's Ruby syntax to instructions. Private to regex.
// Reference: kkos/oniguruma doc/RE and src/regparse.c. Refused by name: absent groups, conditionals, calls, callouts,
// grapheme clusters (\X, \y, \Y), ASCII options ((?W) and so on) and meta characters (\M-).
#ifndef TRUEVEC_TOKENIZER_REGEX_PARSER_H_
#define TRUEVEC_TOKENIZER_REGEX_PARSER_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tokenizer/regex_program.h"

namespace truevec {

class RegexParser {
 public:
  explicit RegexParser(std::string_view pattern);
  Result<std::unique_ptr<RegexProgram>> Parse();

 private:
  using Code = std::vector<Instruction>;
  // What a parsed part can consume, in code points.
  struct Extent {
    uint32_t min = 0;
    uint32_t max = 0;  // kUnbounded: no limit
  };
  struct Part {
    Code code;
    Extent extent;
    // Nothing but these characters, case folded: such neighbours are matched as one string, in which several
    // characters may stand for one (ss for ß).
    std::vector<uint32_t> folded_text = {};
  };
  struct Options {
    bool fold = false;      // i
    bool dot_all = false;   // m
    bool extended = false;  // x
  };
  struct Repeat {
    uint32_t min;
    uint32_t max;
    bool possessive;
  };
  struct EscapeResult {
    std::optional<CodePointSet> set;
    std::vector<uint32_t> literals;  // when there is no set
  };
  static constexpr uint32_t kUnbounded = UINT32_MAX;

  static uint32_t AddExtent(uint32_t a, uint32_t b);
  static uint32_t TimesExtent(uint32_t a, uint32_t n);
  // Appends `code` as it stands: jumps inside are relative to its own start and are moved.
  static void Append(const Code& code, Code* out);
  static Part Either(const Part& first, const Part& second);

  Status Error(const std::string& what) const;
  bool More() const { return at_ < p_.size(); }
  uint32_t Peek(size_t ahead = 0) const { return at_ + ahead < p_.size() ? p_[at_ + ahead] : 0; }
  bool Take(std::string_view text);
  Status SkipIgnored();  // comments, and in extended syntax white space

  Status ParseAll();
  Result<Part> Alternation(int depth);
  Result<Part> Sequence(int depth);
  Result<Part> Group(int depth);
  Result<Part> Capture(int depth);
  Result<Part> Around(Op op, bool negative, int depth);
  Result<Part> OptionGroup(int depth);
  Result<std::string> Name(uint32_t close);
  Result<Part> Quantified(Part atom);
  std::optional<Repeat> TakeRepeat();
  std::optional<Repeat> Braces();
  Result<Part> Repeated(const Part& atom, Repeat repeat, bool lazy);
  uint32_t SubProgram(Code code);

  Result<Part> Atom(int depth);
  std::optional<Part> Anchor();
  Result<std::optional<Part>> SpecialEscape();
  Result<Part> Backreference(const std::vector<uint32_t>& groups);
  Result<std::optional<Part>> NumberedBackreference();
  Result<Part> NamedBackreference();
  Result<EscapeResult> Escape(bool in_class);
  std::optional<uint32_t> ControlEscape(uint32_t c);
  Result<std::vector<uint32_t>> HexEscape(bool in_class);
  Result<uint32_t> HexBytes();
  uint32_t Octal(int digits);
  Result<CodePointSet> Property(bool negated);
  Result<CodePointSet> Class(int depth);
  Status ClassItem(CodePointSet* set);
  Result<uint32_t> RangeEnd();
  Result<std::optional<CodePointSet>> PosixBracket();
  Result<Part> ClassPart(CodePointSet set, bool negated);

  Part One(Instruction instruction) { return {{instruction}, {1, 1}}; }
  Part Zero(Op op, bool flag = false, uint32_t x = 0) { return {{{op, flag, x}}, {0, 0}}; }
  Part Literal(uint32_t cp);
  Part Set(CodePointSet set);
  Part FoldedText(const std::vector<uint32_t>& text);
  Part FoldedChars(std::span<const uint32_t> folded);
  static CodePointSet WithFullFold(std::span<const uint32_t> folded);

  std::string_view pattern_;
  std::vector<uint32_t> p_;
  std::unique_ptr<RegexProgram> program_;
  size_t at_ = 0;
  Options options_;
  std::vector<uint32_t> pending_;  // the rest of a \x{61 62}: atoms of their own, in reverse
  int look_behinds_ = 0;           // how many enclose this place
  int look_arounds_ = 0;           // those and look-aheads
  // Found by the first pass; with backreferences a second one keeps the groups.
  bool has_backrefs_ = false;
  bool keep_groups_ = false;
  uint32_t groups_ = 0;
  uint32_t all_groups_ = 0;
  std::map<std::string, std::vector<uint32_t>> names_;
  std::map<std::string, std::vector<uint32_t>> all_names_;
};

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_REGEX_PARSER_H_
