// What \p{...}, [[:...:]], \w, \s, \d and \h match, and case folding, as Oniguruma 6.9.10 has them (Unicode 16).
// The tables are generated: tools/gen_regex_properties.py.
#ifndef TRUEVEC_TOKENIZER_REGEX_PROPERTIES_H_
#define TRUEVEC_TOKENIZER_REGEX_PROPERTIES_H_

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "tokenizer/code_point_set.h"

namespace truevec {

struct RegexProperty {
  std::string_view name;
  std::span<const CodePointRange> ranges;
};
struct SimpleFold {  // CaseFolding.txt, C and S
  uint32_t from;
  uint32_t to;
};
struct FullFold {  // CaseFolding.txt, F: two or three code points, the rest 0
  uint32_t from;
  std::array<uint32_t, 3> to;
};

// By name, in byte order. A property: lower case without spaces, hyphens and underscores. Others: "[:alpha:]", "\w",
// "\d", "\s", "\h", and "[\w]", which differs from \w. "gcb:extend" and its like are Grapheme_Cluster_Break of
// Unicode 17.
std::span<const RegexProperty> RegexProperties();
std::span<const SimpleFold> SimpleFolds();  // by from
std::span<const FullFold> FullFolds();      // by from

// The set of a name as RegexProperties() has it; nothing where there is none.
std::optional<std::span<const CodePointRange>> FindRegexProperty(std::string_view name);
uint32_t FoldCase(uint32_t cp);                         // simple case folding
const std::array<uint32_t, 3>* FoldFully(uint32_t cp);  // null: it does not fold to several

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_REGEX_PROPERTIES_H_
