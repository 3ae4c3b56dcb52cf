// OpenAI's embeddings API: POST /v1/embeddings, GET /v1/models.
// https://platform.openai.com/docs/api-reference/embeddings The fields of servers that speak it too are understood:
// Jina's `task`, `normalized` and `embedding_type`, vLLM's (vllm_request.h), and prompt_name.
#include "server/openai.h"

#include "server/vectors.h"
#include "server/vllm_request.h"

namespace truevec {
namespace {

json::value WriteError(const ApiError& error, int status) {
  const char* type = status == 429 ? "rate_limit_error" : status >= 500 ? "server_error" : "invalid_request_error";
  json::value code = nullptr;
  if (error.kind == ErrorKind::kUnauthorized) code = "invalid_api_key";
  if (error.kind == ErrorKind::kNoModel) code = "model_not_found";
  if (error.kind == ErrorKind::kFull) code = "rate_limit_exceeded";
  if (error.kind == ErrorKind::kTooLong) code = "context_length_exceeded";
  const json::value param = error.param.empty() ? json::value() : json::value(error.param);
  return json::object{
      {"error", json::object{{"message", error.message}, {"type", type}, {"param", param}, {"code", code}}}};
}

int StatusOf(ErrorKind kind) { return kind == ErrorKind::kTooLong ? 422 : 0; }

constexpr const char* kInputNote =
    "Text, or up to 2048 texts; required unless messages. Token ids are refused unless --accept-token-ids.";

const Schema kEmbeddings{
    "EmbeddingsRequest",
    WithVllmFields(
        {{"input", FieldType::kInputs, kInputNote},
         {"model", FieldType::kString, "The id of a served model; left out: the first that gives vectors."},
         {"encoding_format",
          FieldType::kString,
          "How vectors are written; base64 is little-endian float32.",
          false,
          {"float", "base64"}},
         {"dimensions", FieldType::kInt, "Keep the first N values, then unit length.", false, {}, 1},
         {"user", FieldType::kString, "Ignored."},
         {"prompt_name", FieldType::kString, "One of the model's own prompts."},
         {"prompt", FieldType::kString, "Text put in front of every input."},
         {"task", FieldType::kString, "query, document, retrieval.query, retrieval.passage, or the name of a prompt."},
         {"input_type", FieldType::kString, "As task."},
         {"task_type", FieldType::kString, "As task."},
         {"normalize", FieldType::kBool, "Unit length, whatever the model does."},
         {"normalized", FieldType::kBool, "As normalize."},
         {"embedding_type",
          FieldType::kString,
          "As encoding_format, and quantised forms.",
          false,
          {"float", "base64", "int8", "uint8", "binary", "ubinary"}},
         {"truncate", FieldType::kBool, "Cut texts that are too long; false refuses them. Default: --auto-truncate."},
         {"use_activation", FieldType::kBool, "As normalize."},
         {"late_chunking", FieldType::kBool, "Jina's; only false."},
         {"embed_dtype", FieldType::kString, "Only float32.", false, {"float32"}},
         {"endianness", FieldType::kString, "Only little.", false, {"little", "native"}}},
        true)};

std::optional<ApiError> ReadTask(const CallPtr& call, const Body& body, const ServingModel& model, TaskRequest* task) {
  if (auto fault = SetDimensions(model, body.Int("dimensions"), "dimensions", &task->embed)) return fault;
  if (body.Bool("late_chunking").value_or(false)) {
    return ApiError{ErrorKind::kValue, "late_chunking: not supported; every text is embedded alone", "late_chunking"};
  }
  for (const char* field : {"task", "input_type", "task_type"}) {
    if (body.Has(field)) SetTask(model, body.String(field), &task->encode);
  }
  if (auto fault = SetPromptName(model, body.String("prompt_name"), "prompt_name", &task->encode)) return fault;
  if (body.Has("prompt")) task->encode.prompt.prompt = body.String("prompt");
  for (const char* field : {"use_activation", "normalized", "normalize"}) {
    if (body.Has(field)) task->embed.normalize = body.Bool(field);
  }
  return ReadVllmTruncation(body, model, !body.Bool("truncate").value_or(call->app().options().auto_truncate),
                            &task->encode);
}

std::string WriteReply(const TaskResult& result, const ServingModel& model, const std::string& id,
                       VectorFormat format) {
  std::string out = R"({"object":"list","data":[)";
  for (size_t i = 0; i < CountOf(result); ++i) {
    out += std::string(i > 0 ? "," : "") + R"({"object":"embedding","index":)" + std::to_string(i) + R"(,"embedding":)";
    AppendFormatted(&out, model, RowOf(result, i), format);
    out += '}';
  }
  return out + R"(],"model":)" + WriteJson(json::value(id)) + R"(,"usage":)" + WriteJson(Usage(result)) + '}';
}

void Embeddings(const CallPtr& call, const Body& body) {
  auto model = call->Model(body.String("model"), Ability::kVectors);
  if (!model.ok()) return call->Fail(model.error());
  const ServedModel& served = **model;
  TaskRequest task;
  if (auto fault = ReadVllmInputs(body, *served.model, call->limits(), &task)) return call->Fail(*fault);
  if (auto fault = ReadTask(call, body, *served.model, &task)) return call->Fail(*fault);
  const VectorFormat format = FormatByName(body.Has("embedding_type") ? body.Choice("embedding_type")
                                                                      : body.Choice("encoding_format", "float"));
  if (auto fault = CheckFormat(*served.model, format, task.embed)) return call->Fail(*fault);
  call->Submit(served, std::move(task), [model = served.model, id = served.id(), format](const TaskResult& result) {
    return WriteReply(result, *model, id, format);
  });
}

json::object ModelCard(const CallPtr& call, const ServedModel& served) {
  const auto created =
      std::chrono::duration_cast<std::chrono::seconds>(call->app().started().time_since_epoch()).count();
  return {{"id", served.id()},
          {"object", "model"},
          {"created", created},
          {"owned_by", "truevec"},
          {"max_model_len", served.model->max_length()},
          {"dimension", served.model->dimension()},
          {"kind", served.model->as()},
          {"fingerprint", served.model->fingerprint()}};
}

void Models(const CallPtr& call, const Body&) {
  json::array data;
  for (const ServedModel& served : call->models()) data.push_back(ModelCard(call, served));
  call->ReplyJson(json::object{{"object", "list"}, {"data", std::move(data)}});
}

void OneModel(const CallPtr& call, const Body&) {
  auto model = call->Model(call->path_rest(), Ability::kAny);
  if (!model.ok()) return call->Fail(model.error());
  call->ReplyJson(ModelCard(call, **model));
}

constexpr const char* kEmbeddingsReply = R"({"type":"object","required":["object","data","model","usage"],"properties":{
"object":{"const":"list"},"model":{"type":"string"},
"data":{"type":"array","items":{"type":"object","required":["object","index","embedding"],"properties":{
"object":{"const":"embedding"},"index":{"type":"integer"},
"embedding":{"anyOf":[{"type":"array","items":{"type":"number"}},{"type":"string"}]}}}},
"usage":{"type":"object","required":["prompt_tokens","total_tokens"]}}})";
constexpr const char* kModelReply =
    R"({"type":"object","required":["id","object","max_model_len"],"properties":{"id":{"type":"string"}}})";
constexpr const char* kModelsReply =
    R"({"type":"object","required":["object","data"],"properties":{"data":{"type":"array"}}})";

}  // namespace

const Dialect kOpenAi{"openai", StatusOf, WriteError};
const Schema& OpenAiEmbeddingsSchema() { return kEmbeddings; }
void OpenAiEmbeddings(const CallPtr& call, const Body& body) { Embeddings(call, body); }

std::vector<Route> OpenAiRoutes() {
  return {{"POST", "/v1/embeddings", Access::kQueued, &kOpenAi, &kEmbeddings, Embeddings, "Vectors of texts.",
           kEmbeddingsReply},
          {"GET", "/v1/models", Access::kOpen, &kOpenAi, nullptr, Models, "The served models.", kModelsReply},
          {"GET", "/v1/models/{model}", Access::kOpen, &kOpenAi, nullptr, OneModel, "One served model.", kModelReply},
          {"GET", "/models", Access::kOpen, &kOpenAi, nullptr, Models, "The served models.", kModelsReply}};
}

}  // namespace truevec
