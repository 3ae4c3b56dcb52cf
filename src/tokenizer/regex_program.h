// The compiled form of a Regex: instructions of a backtracking machine. Private to regex.
#ifndef TRUEVEC_TOKENIZER_REGEX_PROGRAM_H_
#define TRUEVEC_TOKENIZER_REGEX_PROGRAM_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tokenizer/code_point_set.h"

namespace truevec {

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
  kWordEdge,    // \b (\B when flag); x: index of the set of word characters
  kBackref,     // the text of the last set group of backrefs[x] (case folded when flag)
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
  std::vector<CodePointSet> sets;
  std::vector<std::vector<uint32_t>> backrefs;  // the groups that a backreference may mean: their first slots
  // Of kMark: [0] is where \K last was; then two of each referenced group, its begin and its end; then those of loops.
  uint32_t slots = 1;
  bool saves = false;  // \K or groups are kept: the slots below first_loop_slot matter after a match
  uint32_t first_loop_slot = 1;
};

Result<std::unique_ptr<RegexProgram>> CompileRegex(std::string_view pattern);
}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_REGEX_PROGRAM_H_
