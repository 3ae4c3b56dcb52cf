// What tokenizers does with finished encodings: cut into windows, joined, padded.
// Reference: tokenizers tokenizer/encoding.rs (truncate, merge_with, pad), utils/truncation.rs, utils/padding.rs.
#ifndef TRUEVEC_TOKENIZER_ENCODING_OPS_H_
#define TRUEVEC_TOKENIZER_ENCODING_OPS_H_

#include <optional>
#include <string>

#include "base/status.h"
#include "tokenizer/tokenizer.h"

namespace truevec {

struct Padding {
  std::optional<int64_t> fixed_length;  // none: to the longest of the batch, which for one text is its own length
  int64_t multiple_of = 0;
  Side side = Side::kRight;
  int32_t id = 0;
  int32_t type_id = 0;
  std::string token;
};

// How many tokens of each sequence stay. `sizes`: of the sequences; `pair`: whether there is a second one.
struct Kept {
  int64_t first = 0;
  int64_t second = 0;
};
// `added`: special tokens that will be put around. An error where the limit cannot be kept, or where the stride leaves
// no step (tokenizers panics there).
Result<Kept> KeptTokens(const Truncation& truncation, int64_t added, Kept sizes, bool pair);

// Cuts `encoding` to `keep` tokens; the windows over the rest go to `overflowing`, each overlapping the one before by
// `stride` tokens, from the end for Side::kLeft. REQUIRES: keep == 0 or stride < keep. Fails when the windows together
// would hold more than 2^23 tokens.
Status CutIntoWindows(Encoding* encoding, int64_t keep, int64_t stride, Side side);

// Appends `other` to `encoding`; overflow windows are combined with each other as the reference combines them.
Status MergeInto(Encoding* encoding, const Encoding& other);

// Pads to the padding's length for a batch of one; overflow windows to the same length.
void PadEncoding(const Padding& padding, bool details, Encoding* encoding);

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_ENCODING_OPS_H_
