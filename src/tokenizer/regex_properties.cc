// Look-ups in the generated tables.
#include "tokenizer/regex_properties.h"

#include <algorithm>

namespace truevec {

std::optional<std::span<const CodePointRange>> FindRegexProperty(std::string_view name) {
  const std::span<const RegexProperty> all = RegexProperties();
  const auto found = std::lower_bound(all.begin(), all.end(), name,
                                      [](const RegexProperty& row, std::string_view key) { return row.name < key; });
  if (found == all.end() || found->name != name) return std::nullopt;
  return found->ranges;
}

uint32_t FoldCase(uint32_t cp) {
  if (cp < 0x80) return cp >= 'A' && cp <= 'Z' ? cp + 32 : cp;
  const std::span<const SimpleFold> all = SimpleFolds();
  const auto found =
      std::lower_bound(all.begin(), all.end(), cp, [](const SimpleFold& row, uint32_t key) { return row.from < key; });
  return found != all.end() && found->from == cp ? found->to : cp;
}

const std::array<uint32_t, 3>* FoldFully(uint32_t cp) {
  const std::span<const FullFold> all = FullFolds();
  const auto found =
      std::lower_bound(all.begin(), all.end(), cp, [](const FullFold& row, uint32_t key) { return row.from < key; });
  return found != all.end() && found->from == cp ? &found->to : nullptr;
}

}  // namespace truevec
