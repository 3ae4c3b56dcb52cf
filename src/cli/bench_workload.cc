#include "cli/bench_workload.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace truevec::cli {
namespace {

const std::vector<Workload>& Table() {
  static const std::vector<Workload> table = {
      {"query", "one text of 8 tokens", WorkloadKind::kEmbed, 1, 8, 40},
      {"8x32", "8 texts of 32 tokens", WorkloadKind::kEmbed, 8, 32, 4},
      {"64x256", "64 texts of 256 tokens", WorkloadKind::kEmbed, 64, 256},
      {"mixed400", "400 sentences of mixed length, unsorted", WorkloadKind::kEmbed, 400},
      {"mixed4000", "4,000 sentences of mixed length", WorkloadKind::kEmbed, 4000},
      {"long512", "4 texts of 512 tokens", WorkloadKind::kEmbed, 4, 512},
      {"tokenize", "the tokenizer alone", WorkloadKind::kTokenize, 4000},
      {"start", "a new process: load, one vector, exit", WorkloadKind::kStart, 1},
  };
  return table;
}

// Numbers from 1 to a million; anything else is none.
std::optional<int64_t> Count(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && value >= 1 && value <= 1000000 ? std::optional<int64_t>(value) : std::nullopt;
}

std::optional<Workload> Parse(const std::string& name) {
  const size_t cross = name.find('x');
  if (cross == std::string::npos) return std::nullopt;
  const std::optional<int64_t> texts = Count(std::string_view(name).substr(0, cross));
  const std::optional<int64_t> tokens = Count(std::string_view(name).substr(cross + 1));
  if (!texts.has_value() || !tokens.has_value()) return std::nullopt;
  return Workload{name, std::to_string(*texts) + " texts of " + std::to_string(*tokens) + " tokens",
                  WorkloadKind::kEmbed, *texts, *tokens};
}

}  // namespace

std::string WorkloadNames() {
  std::string names;
  for (const Workload& workload : Table()) names += workload.name + ", ";
  return names + "or TEXTSxTOKENS";
}

Result<std::vector<Workload>> WorkloadsByName(const std::vector<std::string>& names) {
  if (names.empty()) return Table();
  std::vector<Workload> wanted;
  const auto named = [](const std::string& name) { return [&](const Workload& row) { return row.name == name; }; };
  for (const Workload& workload : Table()) {
    if (std::find(names.begin(), names.end(), workload.name) != names.end()) wanted.push_back(workload);
  }
  for (const std::string& name : names) {
    if (std::any_of(wanted.begin(), wanted.end(), named(name))) continue;
    const std::optional<Workload> parsed = Parse(name);
    if (!parsed.has_value()) {
      return UsageError("--workload \"" + name + "\" is not known; known: " + WorkloadNames());
    }
    wanted.push_back(*parsed);
  }
  return wanted;
}

}  // namespace truevec::cli
