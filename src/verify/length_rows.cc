// Where long texts alone are wrong, the target is asked how far it reads: root cause R16 with its number.
#include <algorithm>
#include <numeric>

#include "verify/diagnose.h"
#include "verify/length_limit.h"

namespace truevec {
namespace {

constexpr int64_t kMostTokens = 8192;  // of a text that is asked
constexpr size_t kMostRows = 8;
constexpr int64_t kMostTimes = 3;  // the limit of the model, at least

// Whether every text beyond some length is clearly worse than every text up to it.
bool OnlyLong(const std::vector<int64_t>& lengths, const std::vector<double>& distance) {
  std::vector<size_t> order(lengths.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return lengths[a] < lengths[b]; });
  for (size_t split = order.size() / 2; split < order.size(); ++split) {
    double right = kExactDistance;
    double wrong = 2;
    for (size_t i = 0; i < order.size(); ++i) {
      const double d = distance[order[i]];
      if (i < split) right = std::max(right, d);
      if (i >= split) wrong = std::min(wrong, d);
    }
    if (wrong > 4 * right) return true;
  }
  return false;
}

}  // namespace

Hypotheses AskedLengths(const Evidence& e, Lab* lab, Target* target, const std::vector<std::string>& texts,
                        const std::vector<double>& distance) {
  if (!target->HasBatches() || !lab->pipeline().has_tokenizer() || lab->ids().max_length <= 0) return {};
  const Hypothesis uncut = UncutRow();
  const auto ids_of = [&](const std::string& text) {
    const auto ids = lab->Ids({text}, {&uncut});
    return ids.ok() ? (*ids)[0] : std::vector<int32_t>();
  };
  std::vector<int64_t> lengths;
  for (const std::string& text : texts) lengths.push_back(static_cast<int64_t>(ids_of(text).size()));
  if (!OnlyLong(lengths, distance)) return {};
  const bool table = lab->traits().thetas.empty() && lab->ids().max_positions > 0;
  const int64_t longest =
      std::max(lab->ids().max_length * kMostTimes, *std::max_element(lengths.begin(), lengths.end()));
  const int64_t most = std::min({kMostTokens, longest, table ? lab->ids().max_positions : longest});
  const auto limit = FindTokenLimit(target, most, lab->traits().suffix, e.noise, ids_of);
  if (!limit.ok()) return {};
  Hypotheses rows;
  const auto add = [&](int64_t length) {
    const bool known = std::any_of(rows.begin(), rows.end(), [&](const auto& row) { return row.value == length; });
    if (known || length == lab->ids().max_length || rows.size() >= kMostRows) return;
    Hypothesis row = MaxLengthRow(length);
    row.asked = true;
    row.says += "; asked with longer texts, the target reads " + std::to_string(length) + " tokens and " +
                (!limit->limited  ? "nothing longer was asked"
                 : limit->refused ? "refuses more"
                                  : "drops the rest");
    rows.push_back(std::move(row));
  };
  // A round number first, where the target refuses what is longer: nothing else tells which it is.
  for (int64_t length = limit->least; length <= limit->most; ++length) {
    if (length % 64 == 0) add(length);
  }
  for (int64_t length = limit->least; length <= limit->most; ++length) add(length);
  return rows;
}

}  // namespace truevec
