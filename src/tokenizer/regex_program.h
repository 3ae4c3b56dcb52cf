// The compiled form of a Regex: instructions of a backtracking machine. Private to regex.
#ifndef TRUEVEC_TOKENIZER_REGEX_PROGRAM_H_
#define TRUEVEC_TOKENIZER_REGEX_PROGRAM_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace truevec {

// A set of code points: a union of ranges, categories and nested sets, intersected with others, maybe negated.
struct CharSet {
  std::vector<std::pair<uint32_t, uint32_t>> ranges;
  uint32_t categories = 0;  // bit per unicode Category
  bool space = false, not_space = false, word = false, not_word = false;
  std::vector<CharSet> nested;
  std::vector<CharSet> and_sets;  // all must hold as well
  bool negated = false;
  bool fold_case = false;

  bool Contains(uint32_t cp) const;

 private:
  bool ContainsExact(uint32_t cp) const;
  bool InUnion(uint32_t cp) const;
};

enum class Op : uint8_t {
  kChar,        // x: code point (folded when flag)
  kSet,         // x: index of set
  kAny,         // any but \n (any at all when flag)
  kSplit,       // tries x, then y
  kJump,        // x
  kMark,        // remembers the position in slot x
  kLoop,        // goes to y, unless the position is that of slot x: an empty turn leaves the loop
  kLineStart,   // ^
  kLineEnd,     // $
  kTextStart,   // \A (\G, where the search began, when flag)
  kTextEnd,     // \z (\Z, also before a last \n, when flag)
  kWordEdge,    // \b (\B when flag)
  kLookAhead,   // sub-program x must (must not, when flag) match here
  kLookBehind,  // sub-program x must (must not, when flag) match ending here; lengths y >> 16 .. y & 0xFFFF
  kAtomic,      // sub-program x, its first match only
  kMatch,
};

struct Instruction {
  Op op;
  bool flag = false;
  uint32_t x = 0;
  uint32_t y = 0;
};

struct RegexProgram {
  std::vector<std::vector<Instruction>> codes;  // codes[0] is the pattern, the rest are sub-programs
  std::vector<CharSet> sets;
  uint32_t slots = 0;  // of kMark
};

Result<std::unique_ptr<RegexProgram>> CompileRegex(std::string_view pattern);
// Simple case folding (Unicode CaseFolding.txt, C and S) to one code point.
uint32_t FoldCase(uint32_t cp);
// Oniguruma's \w outside a class and \b: of the numbers in Latin-1 it takes the superscripts and fractions too, which
// [\w] does not.
bool IsRegexWord(uint32_t cp);

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_REGEX_PROGRAM_H_
