// What the dialects share about vectors: how requests choose prompts, widths and formats, and how vectors are written.
#ifndef TRUEVEC_SERVER_VECTORS_H_
#define TRUEVEC_SERVER_VECTORS_H_

#include <span>
#include <string>
#include <vector>

#include "server/app.h"

namespace truevec {

enum class VectorFormat { kFloat, kBase64, kInt8, kUInt8, kBinary, kUBinary };
// "float", "base64", "int8", "uint8", "binary", "ubinary".
VectorFormat FormatByName(std::string_view name);

// The vector of a text, or its token vectors one after another. REQUIRES: not a sparse result.
std::span<const float> RowOf(const TaskResult& result, size_t text);
size_t CountOf(const TaskResult& result);

// "[1.5,2]": shortest decimals that read back as the same float32.
void AppendVector(std::string* out, std::span<const float> row);
// As AppendVector, or little-endian float32 in base64 with quotes, or the integers of Sentence Transformers'
// quantize_embeddings. REQUIRES for kInt8, kUInt8: CheckFormat.
void AppendFormatted(std::string* out, const ServingModel& model, std::span<const float> row, VectorFormat format);
// int8 and uint8 need calibration ranges.
std::optional<ApiError> CheckFormat(const ServingModel& model, VectorFormat format, const EmbedOptions& embed);

// `dimensions`: the first N values, then unit length.
std::optional<ApiError> SetDimensions(const ServingModel& model, std::optional<int64_t> dimensions,
                                      const std::string& field, EmbedOptions* embed);
// A prompt of the model by its name; kValue when it has none of that name.
std::optional<ApiError> SetPromptName(const ServingModel& model, const std::string& name, const std::string& field,
                                      EncodeTextOptions* encode);
// What other dialects call it: search_query, query, retrieval.query, ... -> task query; ...document, ...passage -> task
// document; any other name chooses the prompt of that name when the model has one.
void SetTask(const ServingModel& model, const std::string& name, EncodeTextOptions* encode);

// {"index","score"} of the rows of a reranking, best first; `top` < 0: all.
struct Ranked {
  size_t index = 0;
  float score = 0;
};
std::vector<Ranked> Rank(const std::vector<float>& scores, int64_t top);

// Scores of documents for a query: a cross-encoder's, a multi-vector model's MaxSim or a bi-encoder's similarity.
struct ScoreRequest {
  std::vector<std::pair<std::string, std::string>> pairs;
  bool raw = false;
  // So many tokens of each query and document at most; 0: all.
  int64_t most_query_tokens = 0;
  int64_t most_document_tokens = 0;
  EncodeTextOptions encode;
};
using ScoreWriter = std::function<std::string(const std::vector<float>& scores, const TaskResult& result)>;
void SubmitScores(const CallPtr& call, const ServedModel& model, ScoreRequest request, ScoreWriter write);

// "prompt_tokens", "total_tokens"
json::object Usage(const TaskResult& result);

}  // namespace truevec

#endif  // TRUEVEC_SERVER_VECTORS_H_
