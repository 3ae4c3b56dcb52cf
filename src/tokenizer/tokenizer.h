// Tokenizer: the ids of Hugging Face `tokenizers` (classic pipeline, 0.22/0.23) for a tokenizer.json, and of
// transformers' AutoTokenizer for a model directory. Const after load, usable from many threads.
// Reference: huggingface/tokenizers tokenizers/src/tokenizer/mod.rs.
#ifndef TRUEVEC_TOKENIZER_TOKENIZER_H_
#define TRUEVEC_TOKENIZER_TOKENIZER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/settings.h"
#include "base/status.h"

namespace truevec {

struct Encoding {
  std::vector<int32_t> ids;
  std::vector<int32_t> type_ids;
  // Filled only when EncodeOptions::details:
  std::vector<std::string> tokens;
  std::vector<std::pair<int32_t, int32_t>> offsets;       // [begin, end) in Unicode code points of the text given
  std::vector<std::pair<int32_t, int32_t>> byte_offsets;  // the same in UTF-8 bytes
  std::vector<uint8_t> special_tokens_mask;
  std::vector<uint8_t> attention_mask;  // 0 only for padding
  std::vector<int32_t> sequence_ids;    // 0, 1, or -1 for added special tokens and padding
  // Tokens that truncation removed (0: nothing was cut).
  int64_t truncated_tokens = 0;
  std::vector<Encoding> overflowing;  // only with EncodeOptions::overflow; windows as tokenizers gives them
};

enum class TruncationStrategy { kLongestFirst, kOnlyFirst, kOnlySecond };
enum class Side { kLeft, kRight };

struct Truncation {
  int64_t max_length = 0;
  TruncationStrategy strategy = TruncationStrategy::kLongestFirst;
  Side side = Side::kRight;
  int64_t stride = 0;
};

struct EncodeOptions {
  bool add_special_tokens = true;
  bool details = false;   // also tokens, offsets, masks
  bool overflow = false;  // also the windows over what truncation removed (includes details)
  // Replaces the tokenizer's own truncation; max_length 0 switches truncation off.
  std::optional<Truncation> truncation;
};

struct TokenizerLoadOptions {
  bool prepend_lowercase = false;  // Sentence Transformers' do_lower_case
  // In place of what the files and the class say.
  std::optional<bool> lowercase;
  std::optional<bool> strip_accents;
  // Made special tokens that match the raw text (add_special_tokens); each must have an id already or gets a new one.
  std::vector<std::string> register_special;
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // A bare tokenizer.json: the file's own truncation and padding apply, as Tokenizer.encode does.
  // Also takes a SentencePiece tokenizer.model. Errors name the JSON path.
  static Result<std::unique_ptr<Tokenizer>> LoadFile(const std::string& path);
  static Result<std::unique_ptr<Tokenizer>> FromJson(const JsonFile& file);
  // A model directory as AutoTokenizer of transformers 5 loads it (class rules, tokenizer_config.json, special
  // tokens, vocab files); unpadded, untruncated unless asked. `model_type` is config.json's. Records every setting.
  static Result<std::unique_ptr<Tokenizer>> LoadDirectory(const std::string& directory, const std::string& model_type,
                                                          const TokenizerLoadOptions& options, Settings* settings);

  // `text` must be valid UTF-8 (an error otherwise, naming the byte). `pair`: second sequence, or none.
  virtual Result<Encoding> Encode(std::string_view text, std::optional<std::string_view> pair,
                                  const EncodeOptions& options) const = 0;
  // Appends to `ids` the ids alone of Encode(text, nullopt, options). The fastest form; leaves `ids` as it was on
  // error.
  virtual Status EncodeIds(std::string_view text, const EncodeOptions& options, std::vector<int32_t>* ids) const = 0;
  // The text of `ids` by the tokenizer's decoder (tokens joined by spaces where it has none). An id that the vocabulary
  // does not have is an error.
  virtual Result<std::string> Decode(const std::vector<int32_t>& ids, bool skip_special_tokens) const = 0;

  virtual int64_t vocabulary_size() const = 0;  // with added tokens; ids are below max_id() + 1
  virtual int32_t max_id() const = 0;
  virtual std::optional<int32_t> TokenToId(std::string_view token) const = 0;
  virtual std::optional<std::string> IdToToken(int32_t id) const = 0;
  virtual bool IsSpecial(int32_t id) const = 0;
  // Ids that the post-processor puts before and after a single sequence.
  virtual std::vector<int32_t> PrefixIds() const = 0;
  virtual std::vector<int32_t> SuffixIds() const = 0;
  // tokenizer_config.json's model_max_length when it is a real limit; directories only.
  virtual std::optional<int64_t> model_max_length() const = 0;
  virtual Side truncation_side() const = 0;
  virtual Side padding_side() const = 0;
  virtual std::optional<int32_t> pad_id() const = 0;
  virtual std::optional<int32_t> mask_id() const = 0;
  virtual std::optional<int32_t> eos_id() const = 0;
  // Everything that changes ids, as canonical JSON: part of the fingerprint.
  virtual std::string CanonicalForm() const = 0;
};

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_TOKENIZER_H_
