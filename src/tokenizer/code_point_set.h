// A set of code points as sorted ranges, for the character classes of regular expressions.
#ifndef TRUEVEC_TOKENIZER_CODE_POINT_SET_H_
#define TRUEVEC_TOKENIZER_CODE_POINT_SET_H_

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace truevec {

// Both ends belong to it.
struct CodePointRange {
  uint32_t first;
  uint32_t last;
};

class CodePointSet {
 public:
  void Add(uint32_t first, uint32_t last);
  void Add(std::span<const CodePointRange> ranges);
  void Add(const CodePointSet& other) { Add(other.ranges_); }
  void Intersect(const CodePointSet& other);
  void Complement();  // within [0, 0x10FFFF]
  // With a member, all code points of the same simple case folding.
  void CloseOverCase();
  bool Contains(uint32_t cp) const {
    return cp < 128 ? (ascii_[cp / 64] >> (cp % 64) & 1) != 0 : ContainsBeyondAscii(cp);
  }
  std::span<const CodePointRange> ranges() const { return ranges_; }

 private:
  bool ContainsBeyondAscii(uint32_t cp) const;
  void Normalize();  // sorts and joins ranges_, and sets ascii_

  std::vector<CodePointRange> ranges_;  // ascending, with gaps between
  std::array<uint64_t, 2> ascii_ = {};  // a bit for each of the first 128
};

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_CODE_POINT_SET_H_
