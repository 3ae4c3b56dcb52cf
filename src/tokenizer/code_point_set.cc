// Set operations on sorted ranges.
#include "tokenizer/code_point_set.h"

#include <algorithm>

#include "tokenizer/regex_properties.h"
#include "unicode/unicode.h"

namespace truevec {

void CodePointSet::Add(uint32_t first, uint32_t last) {
  ranges_.push_back({first, last});
  Normalize();
}

void CodePointSet::Add(std::span<const CodePointRange> ranges) {
  ranges_.insert(ranges_.end(), ranges.begin(), ranges.end());
  Normalize();
}

void CodePointSet::Intersect(const CodePointSet& other) {
  std::vector<CodePointRange> both;
  for (size_t i = 0, j = 0; i < ranges_.size() && j < other.ranges_.size();) {
    const CodePointRange& a = ranges_[i];
    const CodePointRange& b = other.ranges_[j];
    const uint32_t first = std::max(a.first, b.first);
    const uint32_t last = std::min(a.last, b.last);
    if (first <= last) both.push_back({first, last});
    if (a.last < b.last) {
      ++i;
    } else {
      ++j;
    }
  }
  ranges_ = std::move(both);
  Normalize();
}

void CodePointSet::Complement() {
  std::vector<CodePointRange> gaps;
  uint32_t next = 0;
  for (const CodePointRange& range : ranges_) {
    if (range.first > next) gaps.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kMaxCodePoint) gaps.push_back({next, kMaxCodePoint});
  ranges_ = std::move(gaps);
  Normalize();
}

void CodePointSet::CloseOverCase() {
  std::vector<CodePointRange> more;
  const std::span<const SimpleFold> folds = SimpleFolds();
  // A class of equals is what folds to one code point, and that one.
  std::vector<uint32_t> members;
  for (const SimpleFold& fold : folds) {
    if (Contains(fold.from) || Contains(fold.to)) members.push_back(fold.to);
  }
  std::sort(members.begin(), members.end());
  for (const SimpleFold& fold : folds) {
    if (std::binary_search(members.begin(), members.end(), fold.to)) {
      more.push_back({fold.from, fold.from});
      more.push_back({fold.to, fold.to});
    }
  }
  Add(more);
}

bool CodePointSet::ContainsBeyondAscii(uint32_t cp) const {
  const auto after = std::upper_bound(ranges_.begin(), ranges_.end(), cp,
                                      [](uint32_t value, const CodePointRange& range) { return value < range.first; });
  return after != ranges_.begin() && cp <= std::prev(after)->last;
}

void CodePointSet::Normalize() {
  std::sort(ranges_.begin(), ranges_.end(),
            [](const CodePointRange& a, const CodePointRange& b) { return a.first < b.first; });
  std::vector<CodePointRange> joined;
  for (const CodePointRange& range : ranges_) {
    if (!joined.empty() && range.first <= joined.back().last + 1) {
      joined.back().last = std::max(joined.back().last, range.last);
    } else {
      joined.push_back(range);
    }
  }
  ranges_ = std::move(joined);
  ascii_ = {};
  for (const CodePointRange& range : ranges_) {
    for (uint32_t cp = range.first; cp <= range.last && cp < 128; ++cp) ascii_[cp / 64] |= uint64_t{1} << (cp % 64);
  }
}

}  // namespace truevec
