// Post-processors of tokenizer.json: where special tokens go around one or two sequences, and which type ids and
// offsets result. Reference: huggingface/tokenizers tokenizers/src/processors/.
#ifndef TRUEVEC_TOKENIZER_POST_PROCESSORS_H_
#define TRUEVEC_TOKENIZER_POST_PROCESSORS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "tokenizer/tokenizer.h"

namespace truevec {

// One place of a template: a sequence (0 or 1) or special ids.
struct TemplatePiece {
  int sequence = -1;                // 0, 1, or -1 for special tokens
  std::vector<int32_t> ids;         // of special tokens
  std::vector<std::string> tokens;  // their texts, as many as ids
  int32_t type_id = 0;
  uint8_t mask = 1;  // special_tokens_mask; BertProcessing makes earlier special tokens plain ones
};
using Template = std::vector<TemplatePiece>;

// ByteLevel's trimming of one token's offsets (pre_tokenizers/byte_level.rs process_offsets): spaces at its ends are
// not part of it, but a prefix space that was added is none. `first`: the token is the first of its sequence.
void TrimSpaces(std::string_view token, bool first, bool add_prefix_space, std::pair<int32_t, int32_t>* offsets);

class PostProcessor {
 public:
  // From the "post_processor" object; null gives plain sequences (a pair is concatenated with type ids 0 and 1).
  static Result<PostProcessor> Parse(const JsonRef& json);

  // Special tokens that are put around: what truncation leaves room for.
  int64_t AddedTokens(bool pair) const;
  // What the whole processor amounts to for sequences whose content does not matter. Every processor gives one, but
  // the offsets need Process where trims_late().
  const Template& Compiled(bool pair, bool add_special_tokens) const { return compiled_[pair][add_special_tokens]; }
  // The add_prefix_space of each trimming, in order.
  const std::vector<bool>& trims() const { return trims_; }
  // A trimming that comes after special tokens were joined to their sequence: it sees other first tokens.
  bool trims_late() const { return trims_late_; }

  // The reference's own steps, with overflow windows. `parts`: one or two sequences with details.
  Result<Encoding> Process(std::vector<Encoding> parts, bool add_special_tokens) const;

 private:
  struct Step {
    enum class Kind { kTemplate, kBert, kRoberta, kTrim };
    Kind kind = Kind::kTemplate;
    Template single, pair;   // kTemplate
    TemplatePiece cls, sep;  // kBert, kRoberta
    bool trim = false;       // kRoberta, kTrim
    bool add_prefix_space = false;
  };
  using Specials = std::map<std::string, TemplatePiece, std::less<>>;

  Status Add(const JsonRef& json, int depth);
  static Result<Template> ParsePieces(const JsonRef& json, const Specials& specials, int sequences);
  static Result<Step> ParseTemplate(const JsonRef& json);
  static Result<Step> ParseBertOrRoberta(const JsonRef& json, bool roberta);
  static Result<std::vector<Encoding>> Apply(const Step& step, std::vector<Encoding> parts, bool add_special_tokens);
  Status Compile(const JsonRef& json);

  std::vector<Step> steps_;
  Template compiled_[2][2];
  std::vector<bool> trims_;
  bool trims_late_ = false;
};

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_POST_PROCESSORS_H_
