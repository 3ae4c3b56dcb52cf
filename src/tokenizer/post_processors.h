// Post-processors of tokenizer.json: where special tokens go around one or two sequences.
// Reference: huggingface/tokenizers tokenizers/src/processors/.
#ifndef TRUEVEC_TOKENIZER_POST_PROCESSORS_H_
#define TRUEVEC_TOKENIZER_POST_PROCESSORS_H_

#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "tokenizer/token_model.h"

namespace truevec {

// One place of a template: a sequence (0 or 1) or special ids.
struct TemplatePiece {
  int sequence = -1;         // 0, 1, or -1 for special tokens
  std::vector<int32_t> ids;  // of special tokens
  int32_t type_id = 0;
};

// Every supported post-processor is a template for a single sequence and one for a pair.
struct PostProcessor {
  std::vector<TemplatePiece> single;  // empty: the sequence alone
  std::vector<TemplatePiece> pair;

  // ByteLevel's trimming: spaces at the ends of a token are not part of its offsets, but the prefix space that was
  // added is none (processors/../byte_level.rs process_offsets).
  bool trim_offsets = false;
  bool add_prefix_space = false;

  int64_t AddedTokens(bool is_pair) const;
};

// From the "post_processor" object; null gives plain sequences (a pair is concatenated with type ids 0 and 1).
Result<PostProcessor> ParsePostProcessor(const JsonRef& json);

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_POST_PROCESSORS_H_
