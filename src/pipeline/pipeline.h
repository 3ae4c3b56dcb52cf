// Pipeline: a loaded model directory, text to vector. Prompts, tokenisation and truncation in Encode(); the modules
// (Transformer, Pooling, Dense, Normalize, ...) in Embed(). Const after load; the caller brings threads and scratch.
#ifndef TRUEVEC_PIPELINE_PIPELINE_H_
#define TRUEVEC_PIPELINE_PIPELINE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/settings.h"
#include "base/status.h"
#include "spec/model_spec.h"
#include "tensor/context.h"
#include "tokenizer/tokenizer.h"

namespace truevec {

struct PromptChoice {
  std::optional<std::string> prompt;       // wins over prompt_name
  std::optional<std::string> prompt_name;  // unknown name: a usage error listing the known ones
  std::string task;                        // "", "query", "document" (encode_query / encode_document), or a route
};

struct EncodeTextOptions {
  PromptChoice prompt;
  std::optional<int64_t> max_length;  // overrides the model's
  bool error_when_long = false;       // --on-long error
};

// One text ready for the model.
struct EncodedText {
  std::vector<int32_t> ids;
  std::vector<int32_t> type_ids;  // empty when the model has no use for them
  int32_t prompt_length = 0;      // tokens that include_prompt=false leaves out of pooling
  int64_t truncated_tokens = 0;
  std::string route;  // Router models
};

struct EmbedOptions {
  std::optional<bool> normalize;  // set: overrides the model's Normalize
  std::optional<int64_t> truncate_dim;
};

class Pipeline {
 public:
  virtual ~Pipeline() = default;
  // Loads and checks everything; the Status carries every reason for a refusal, one per line.
  static Result<std::shared_ptr<const Pipeline>> Load(const std::string& directory, const SpecOptions& options);

  virtual const ModelSpec& spec() const = 0;
  virtual const Tokenizer& tokenizer() const = 0;
  virtual int64_t dimension() const = 0;   // of the sentence embedding, before truncate_dim
  virtual int64_t max_length() const = 0;  // tokens with specials; 0: unlimited

  virtual Result<EncodedText> Encode(std::string_view text, const EncodeTextOptions& options) const = 0;
  // Sentence embeddings of `texts`, run as one packed batch: out [texts, width], width = truncate_dim or dimension().
  virtual Status Embed(std::span<const EncodedText* const> texts, const EmbedOptions& options, const ExecContext& ctx,
                       Matrix out) const = 0;
};

}  // namespace truevec

#endif  // TRUEVEC_PIPELINE_PIPELINE_H_
