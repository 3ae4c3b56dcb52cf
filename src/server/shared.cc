// Paths that several dialects use: which one is meant shows in the fields of the body.
#include "server/shared.h"
#include "server/openai.h"

namespace truevec {
namespace {

constexpr const char* kAnyBody = R"({"type":"object"})";
const Schema kShared{"AnyRequest", {}};
// Bodies in which nothing is required: llama.cpp's `content` or OpenAI's `input`.

bool Has(const Body& body, const char* name) { return body.Has(name); }

ApiError Nothing(const char* expected) { return {ErrorKind::kType, std::string("body: expected ") + expected, ""}; }

void Rerank(const CallPtr& call, const Body& body) {
  call->Forward(Has(body, "documents") && !Has(body, "texts") ? "cohere:/rerank" : "tei:/rerank", body.root());
}

void RerankVersioned(const CallPtr& call, const Body& body) {
  call->Forward(Has(body, "texts") && !Has(body, "documents") ? "tei:/rerank" : "cohere:/v1/rerank", body.root());
}

void Embeddings(const CallPtr& call, const Body& body) {
  call->Forward(Has(body, "content") && !Has(body, "input") ? "/embedding" : "/v1/embeddings", body.root());
}

void Tokenize(const CallPtr& call, const Body& body) {
  call->Forward(Has(body, "content")                           ? "llamacpp:/tokenize"
                : Has(body, "prompt") || Has(body, "messages") ? "vllm:/tokenize"
                                                               : "tei:/tokenize",
                body.root());
}

// llama.cpp answers `content`, vLLM `prompt`; a request with a model is vLLM's.
void Detokenize(const CallPtr& call, const Body& body) {
  call->Forward(Has(body, "model") ? "vllm:/detokenize" : "llamacpp:/detokenize", body.root());
}

// TEI's `POST /` does what the model is for; Hugging Face's client sends sentence_similarity there, LiteLLM's Cohere
// client `texts`.
void Root(const CallPtr& call, const Body& body) {
  if (Has(body, "query")) return Rerank(call, body);
  if (Has(body, "texts")) return call->Forward("/v1/embed", body.root());
  if (Has(body, "input")) return call->Forward("/v1/embeddings", body.root());
  if (!Has(body, "inputs")) return call->Fail(Nothing("one of inputs, input, texts or query"));
  if (body.root()["inputs"].is_object()) return call->Forward("/similarity", body.root());
  const auto first = call->Model("", Ability::kAny);
  const std::string as = call->models().front().model->as();
  const char* path = as == "cross-encoder" ? "/predict" : as == "sparse" ? "/embed_sparse" : "/embed";
  call->Forward(as == "multi-vector" ? "/embed_all" : path, body.root());
}

}  // namespace

std::vector<SharedPath> SharedPaths() {
  return {{"/rerank", {"tei:/rerank", "cohere:/rerank"}},
          {"/reranking", {"tei:/rerank", "cohere:/rerank"}},
          {"/v1/rerank", {"cohere:/v1/rerank", "tei:/rerank"}},
          {"/v1/reranking", {"cohere:/v1/rerank", "tei:/rerank"}},
          {"/v2/rerank", {"cohere:/v1/rerank"}},
          {"/embeddings", {"/v1/embeddings", "/embedding"}},
          {"/tokenize", {"tei:/tokenize", "llamacpp:/tokenize", "vllm:/tokenize"}},
          {"/detokenize", {"llamacpp:/detokenize", "vllm:/detokenize"}},
          {"/", {"/embed", "/similarity", "/predict", "tei:/rerank", "/v1/embed"}},
          {"/invocations", {"/embed", "/similarity", "/predict", "tei:/rerank", "/v1/embed"}}};
}

std::vector<Route> SharedRoutes() {
  constexpr Access kAsk = Access::kInference;
  constexpr Access kQueue = Access::kQueued;
  return {{"POST", "/rerank", kAsk, &kTei, &kShared, Rerank, "Documents, best first: TEI's or Cohere's.", kAnyBody},
          {"POST", "/reranking", kAsk, &kTei, &kShared, Rerank, "As /rerank.", kAnyBody},
          {"POST", "/v1/rerank", kAsk, &kCohere, &kShared, RerankVersioned, "Documents, best first.", kAnyBody},
          {"POST", "/v1/reranking", kAsk, &kCohere, &kShared, RerankVersioned, "As /v1/rerank.", kAnyBody},
          {"POST", "/v2/rerank", kAsk, &kCohere, &kShared, RerankVersioned, "Documents, best first.", kAnyBody},
          {"POST", "/embeddings", kQueue, &kOpenAi, &kShared, Embeddings, "OpenAI's or llama.cpp's.", kAnyBody},
          {"POST", "/tokenize", kAsk, &kTei, &kShared, Tokenize, "TEI's, llama.cpp's or vLLM's.", kAnyBody},
          {"POST", "/detokenize", kAsk, &kLlamaCpp, &kShared, Detokenize, "llama.cpp's or vLLM's.", kAnyBody},
          {"POST", "/", kAsk, &kTei, &kShared, Root, "What the body asks for.", kAnyBody},
          {"POST", "/invocations", kAsk, &kTei, &kShared, Root, "As POST /.", kAnyBody}};
}

}  // namespace truevec
