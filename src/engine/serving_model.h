// A model as the server and its queue see it: a pipeline with a name, what it can do, and the views of it that clients
// ask for (tokens, decoded ids, settings). Const and usable from many threads.
#ifndef TRUEVEC_ENGINE_SERVING_MODEL_H_
#define TRUEVEC_ENGINE_SERVING_MODEL_H_

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "pipeline/chat_template.h"
#include "pipeline/pipeline.h"
#include "pipeline/quantize.h"
#include "truevec/truevec.h"

namespace truevec {

// One token of a text as the model is fed it.
struct TokenView {
  int32_t id = 0;
  std::string text;
  bool special = false;
  // [begin, end) in code points of prompt + text; -1 for tokens that the tokenizer added.
  int32_t begin = -1;
  int32_t end = -1;
};

class ServingModel {
 public:
  // Errors are Pipeline::Load's.
  static Result<std::shared_ptr<const ServingModel>> Load(const std::string& path, const LoadParams& params);
  // The same with ranges for int8 and uint8 vectors: float32 rows of the model's dimension.
  static Result<std::shared_ptr<const ServingModel>> Load(const std::string& path, const LoadParams& params,
                                                          std::span<const float> calibration, int64_t width);
  // A pipeline that is loaded already.
  static std::shared_ptr<const ServingModel> Wrap(std::shared_ptr<const Pipeline> pipeline, LoadReport report);

  const Pipeline& pipeline() const { return *pipeline_; }
  const std::string& fingerprint() const { return fingerprint_; }
  // dense, sparse, cross-encoder, multi-vector, static
  const std::string& as() const { return report_.spec.as; }
  bool gives_vectors() const { return as() == "dense" || as() == "static"; }
  const std::string& similarity() const { return report_.spec.similarity; }
  int64_t dimension() const { return pipeline_->dimension(); }
  int64_t max_length() const { return pipeline_->max_length(); }
  int64_t parameters() const { return report_.parameters; }
  const std::string& architecture() const { return report_.spec.architecture; }
  // float32, bfloat16 or int8: what it computes in.
  const std::string& dtype() const { return dtype_; }
  bool HasPrompt(std::string_view name) const;
  // Names of the labels of a cross-encoder, "LABEL_<i>" where the config gives none.
  const std::vector<std::string>& labels() const { return labels_; }
  json::object InspectJson() const;
  // The value of a resolved setting (CONTRACT section 10); null when there is none.
  json::value Setting(std::string_view key) const;

  bool calibrated() const { return ranges_.has_value(); }
  // Sentence Transformers' quantize_embeddings: int8, uint8 (REQUIRES: calibrated), binary, ubinary.
  std::vector<int> Quantized(std::span<const float> row, std::string_view precision) const;
  // The cosine of two vectors; of two lists of token vectors [n, width] the model's own similarity (MaxSim).
  double Similarity(std::span<const float> a, std::span<const float> b, int64_t width) const;
  // As the model is fed: prompt in front, truncated to `max_length` (0: not truncated).
  Result<std::vector<TokenView>> Tokenize(std::string_view text, bool add_special_tokens, int64_t max_length) const;
  // The start of `text` up to the end of its token number `tokens` (vLLM's truncate_text_to_tokens).
  Result<std::string> CutToTokens(std::string_view text, int64_t tokens) const;
  // `text` by the tokenizer alone, whatever the model puts around texts; prompt and truncation as `options` say.
  Result<EncodedText> EncodeAlone(std::string_view text, bool special_tokens, const EncodeTextOptions& options) const;
  // A conversation by the tokenizer's chat template: {"role", "content"} with content a text or a list of texts. A
  // usage error when there is no template.
  Result<std::string> RenderChat(const json::array& messages, const json::object& variables) const;
  Result<std::string> Decode(const std::vector<int32_t>& ids, bool skip_special_tokens) const;
  // Ids given by a client: an error when one is outside the vocabulary.
  Status CheckIds(const std::vector<int32_t>& ids) const;

 private:
  ServingModel() = default;
  std::shared_ptr<const Pipeline> pipeline_;
  LoadReport report_;
  std::string fingerprint_;  // every reply carries it
  std::string dtype_ = "float32";
  std::vector<std::string> labels_;
  std::optional<QuantizationRanges> ranges_;
  Result<ChatTemplate> chat_ = UsageError("the model has no chat template");
};

// {"tokens":[{"id","text","special","begin","end"}], "layers":[{"name","norms":[one per token]}], ...}: what happens to
// one text (POST /explain). Runs the model on `pool`.
Result<json::object> Explain(const ServingModel& model, std::string_view text, const EncodeTextOptions& options,
                             const EmbedOptions& embed, ThreadPool* pool);

}  // namespace truevec

#endif  // TRUEVEC_ENGINE_SERVING_MODEL_H_
