// The HTTP dialects of embedding servers as one table: how to ask, how to read the answer. No network here.
// Sources: OpenAI API reference; text-embeddings-inference router/src/http; ollama server/routes.go; llama.cpp
// tools/server/README.md; Cohere API v2; vLLM entrypoints/pooling.
#ifndef TRUEVEC_VERIFY_DIALECT_H_
#define TRUEVEC_VERIFY_DIALECT_H_

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "verify/target.h"

namespace truevec {

struct EmbedCall {
  std::vector<std::string> texts;
  std::string model;
  std::string prompt_name;
  bool base64 = false;
};

struct EndpointDialect {
  std::string_view name;
  std::vector<std::string_view> paths;  // the first that is not 404 is used
  size_t max_batch;
  bool base64;
  bool has_prompts;  // a field of its own for --prompt-name
  json::object (*body)(const EmbedCall& call);
  std::string_view tokenize;  // path, or ""
  json::object (*tokenize_body)(const std::string& text, const std::string& model);
};

const std::vector<EndpointDialect>& Dialects();
const EndpointDialect* FindDialect(std::string_view name);

// Reads an answer of any dialect by its shape: a list of vectors, {"data"}, {"embeddings"}, {"embedding"}. Numbers,
// null (NaN as servers write it), base64 float32, and matrices (unpooled). Errors are kEndpoint.
Result<TargetReply> ReadEmbedAnswer(const std::string& body, const std::string& where, size_t texts);
// Ids of a /tokenize answer of any dialect.
Result<std::vector<int32_t>> ReadTokenizeAnswer(const std::string& body, const std::string& where);
// The message inside an error answer of any dialect, or the start of the body.
std::string ErrorText(const std::string& body);

// RFC 4648 with padding. An error for anything else.
Result<std::string> DecodeBase64(std::string_view text);
std::string EncodeBase64(std::string_view bytes);

}  // namespace truevec

#endif  // TRUEVEC_VERIFY_DIALECT_H_
