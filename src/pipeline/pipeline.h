// Pipeline: a loaded model directory, text to vector. Prompts, tokenisation and truncation in Encode(); the modules
// (Transformer, Pooling, Dense, Normalize, ...) in Embed() and its relatives. Const after load and usable from many
// threads; the caller brings threads and scratch (ExecContext).
// Reference: sentence_transformers 6.2:
// {sentence_transformer,sparse_encoder,cross_encoder,multi_vector_encoder}/model.py.
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
  std::optional<int64_t> max_length;    // overrides the model's; tokens with specials
  bool error_when_long = false;         // --on-long error
  std::optional<Side> truncation_side;  // overrides the tokenizer's
};

// One text (or pair) ready for the model. May be made or changed by hand: Embed() takes whatever ids it is given.
struct EncodedText {
  std::vector<int32_t> ids;
  std::vector<int32_t> type_ids;  // empty when all are zero
  int32_t prompt_length = 0;      // tokens that include_prompt=false leaves out of pooling
  int64_t truncated_tokens = 0;
  // The task given to Encode(): Routers choose by it, multi-vector models mask by it, adapters are named by it.
  std::string task;
  // The last `expansion` ids are query expansion tokens (ColBERT); `attend_expansion` says whether they are keys.
  int32_t expansion = 0;
  bool attend_expansion = true;
  // Tokens that pooling reads, one flag per id; empty: all. Overrides prompt_length.
  std::vector<uint8_t> pooling_mask;
};

struct EmbedOptions {
  // true: L2 after truncation. false: the model's own final Normalize is left out. Unset: as the model says.
  std::optional<bool> normalize;
  std::optional<int64_t> truncate_dim;  // overrides the model's
  // Pooling modes in place of the model's, as many; only `diagnose` sets it. Empty: the model's.
  std::vector<std::string> pooling;
};

// One matrix per text, back to back: text i has rows [offsets[i], offsets[i+1]).
struct TokenVectors {
  std::vector<float> values;     // [offsets.back(), width]
  std::vector<int64_t> offsets;  // [texts + 1]
  int64_t width = 0;
};

// Compressed sparse rows; columns ascending within a row.
struct SparseVectors {
  std::vector<float> values;
  std::vector<int32_t> columns;
  std::vector<int64_t> offsets;  // [texts + 1]
  int64_t width = 0;
};

struct ScoreOptions {
  bool raw = false;      // logits, without the model's activation
  bool softmax = false;  // after the activation, for more than one label
};

// What loading learned about the weights, also when it fails (for inspect).
struct LoadReport {
  ModelSpec spec;
  int64_t parameters = 0;
  int64_t dimension = 0;
  int64_t max_length = 0;
  std::vector<std::string> used_tensors;
  std::vector<std::string> unused_tensors;  // known-harmless ones that were left alone
  std::vector<std::string> missing_tensors;
};

class Pipeline {
 public:
  virtual ~Pipeline() = default;
  // Loads and checks everything; the Status carries every reason for a refusal, one per line.
  static Result<std::shared_ptr<const Pipeline>> Load(const std::string& directory, const SpecOptions& options,
                                                      LoadReport* report = nullptr);

  virtual const ModelSpec& spec() const = 0;
  // The first tokenizer. REQUIRES: has_tokenizer() (BoW and WordEmbeddings models have none).
  virtual const Tokenizer& tokenizer() const = 0;
  virtual bool has_tokenizer() const = 0;
  virtual int64_t dimension() const = 0;   // of the sentence embedding (or token vectors), before truncate_dim
  virtual int64_t max_length() const = 0;  // tokens with specials; 0: unlimited
  virtual int64_t labels() const = 0;      // scores per pair; 0 when this is no cross-encoder

  // The prompt that `choice` selects, by the reference's rule.
  virtual Result<std::string> ResolvePrompt(const PromptChoice& choice) const = 0;
  virtual Result<EncodedText> Encode(std::string_view text, const EncodeTextOptions& options) const = 0;
  // Cross-encoders: the prompt goes before `text`.
  virtual Result<EncodedText> EncodePair(std::string_view text, std::string_view pair,
                                         const EncodeTextOptions& options) const = 0;

  // Sentence embeddings of `texts`, run as one packed batch: out [texts, OutputWidth(options)].
  virtual int64_t OutputWidth(const EmbedOptions& options) const = 0;
  virtual Status Embed(std::span<const EncodedText* const> texts, const EmbedOptions& options, const ExecContext& ctx,
                       Matrix out) const = 0;
  // Embed() from token vectors that EmbedTokens() gave for the same `texts`: the modules from Pooling on. A usage error
  // for models without a Pooling module of their own.
  virtual Status EmbedFromTokens(std::span<const EncodedText* const> texts, const TokenVectors& tokens,
                                 const EmbedOptions& options, const ExecContext& ctx, Matrix out) const = 0;
  // encode(output_value="token_embeddings"): what reached pooling, before truncate_dim and normalize.
  virtual Result<TokenVectors> EmbedTokens(std::span<const EncodedText* const> texts, const ExecContext& ctx) const = 0;
  // SparseEncoder.encode; max_active > 0 keeps the largest |values| of a row (max_active_dims).
  virtual Result<SparseVectors> EmbedSparse(std::span<const EncodedText* const> texts, int64_t max_active,
                                            const ExecContext& ctx) const = 0;
  // MultiVectorEncoder.encode: the token vectors that the mask keeps.
  virtual Result<TokenVectors> EmbedMultiVector(std::span<const EncodedText* const> texts,
                                                const ExecContext& ctx) const = 0;
  // CrossEncoder.predict: out [pairs, labels()].
  virtual Status Score(std::span<const EncodedText* const> pairs, const ScoreOptions& options, const ExecContext& ctx,
                       Matrix out) const = 0;
};

}  // namespace truevec

#endif  // TRUEVEC_PIPELINE_PIPELINE_H_
