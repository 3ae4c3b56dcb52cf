// What vLLM's request bodies share (vllm/entrypoints/pooling/base/protocol.py): texts as `input` or as conversations,
// truncation, special tokens. OpenAI's /v1/embeddings takes the same fields, as vLLM's does.
#ifndef TRUEVEC_SERVER_VLLM_REQUEST_H_
#define TRUEVEC_SERVER_VLLM_REQUEST_H_

#include <vector>

#include "server/app.h"

namespace truevec {

// `fields`, then those of truncation; with `inputs` also those of input and conversations.
std::vector<Field> WithVllmFields(std::vector<Field> fields, bool inputs);

// `input`, or `messages` by the model's chat template.
std::optional<ApiError> ReadVllmInputs(const Body& body, const ServingModel& model, const InputLimits& limits,
                                       TaskRequest* task);

// truncate_prompt_tokens, truncation_side. Left out, a text that is too long is refused when `refuse_long`.
std::optional<ApiError> ReadVllmTruncation(const Body& body, const ServingModel& model, bool refuse_long,
                                           EncodeTextOptions* encode);

// max_tokens_per_query or max_tokens_per_doc; 0: no limit.
Expected<int64_t> ReadTokenLimit(const Body& body, const char* name, const ServingModel& model);

}  // namespace truevec

#endif  // TRUEVEC_SERVER_VLLM_REQUEST_H_
