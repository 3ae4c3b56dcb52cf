// Text Embeddings Inference: POST /embed (and POST / with `inputs`), GET /info.
#include "server/app.h"

namespace truevec {
namespace {

std::string WriteError(int status, const std::string& message) {
  const char* type = status == 429   ? "Overloaded"
                     : status == 503 ? "Unhealthy"
                     : status >= 500 ? "Backend"
                                     : "Validation";
  return WriteJson(json::object{{"error", message}, {"error_type", type}});
}

struct EmbedRequest {
  std::vector<std::string> texts;
  EmbedParams params;
};

Result<bool> ReadBool(const JsonRef& value, bool fallback) {
  if (!value.present() || value.is_null()) return fallback;
  return value.Bool();
}

Result<EmbedRequest> Read(const JsonRef& root, size_t max_texts) {
  EmbedRequest request;
  TV_RETURN_IF_ERROR(root.ExpectObject());
  TV_ASSIGN_OR_RETURN(request.texts, ReadTexts(root["inputs"], max_texts));
  TV_ASSIGN_OR_RETURN(request.params.normalize, ReadBool(root["normalize"], true));
  TV_ASSIGN_OR_RETURN(const bool truncate, ReadBool(root["truncate"], false));
  request.params.error_when_long = !truncate;
  if (const JsonRef name = root["prompt_name"]; name.present() && !name.is_null()) {
    TV_ASSIGN_OR_RETURN(request.params.prompt_name, name.String());
  }
  if (const JsonRef dimensions = root["dimensions"]; dimensions.present() && !dimensions.is_null()) {
    TV_ASSIGN_OR_RETURN(request.params.truncate_dim, dimensions.Int());
    if (*request.params.truncate_dim < 1) return InputError(dimensions.Where() + ": expected at least 1");
  }
  return request;
}

void Embed(App& app, const HttpRequest& http, const HttpReply& reply) {
  const auto body = JsonFile::Parse(http.body, "body", Code::kBadInput);
  if (!body.ok()) return reply(ErrorResponse(WriteError, 400, body.status().message()));
  auto request = Read(body->root(), app.options().max_texts);
  if (!request.ok()) return reply(ErrorResponse(WriteError, 400, request.status().message()));
  Scheduler& scheduler = *app.Find("")->scheduler;
  const Embedder& embedder = scheduler.embedder();
  if (request->params.truncate_dim > static_cast<int64_t>(embedder.dimension())) {
    return reply(
        ErrorResponse(WriteError, 400, "dimensions: expected at most " + std::to_string(embedder.dimension())));
  }
  scheduler.Submit(std::move(request->texts), request->params, [reply, &embedder](const EmbedResult& result) {
    if (!result.status.ok()) return reply(FailureResponse(WriteError, result.status, 422));
    std::string out = "[";
    for (size_t i = 0; i * result.width < result.vectors.size(); ++i) {
      if (i > 0) out += ',';
      AppendVector(&out, result.vectors.data() + i * result.width, result.width);
    }
    HttpResponse response = JsonResponse(out + "]");
    AddVectorHeaders(embedder, result, &response);
    reply(std::move(response));
  });
}

void Info(App& app, const HttpRequest&, const HttpReply& reply) {
  if (!app.ready()) return reply(ErrorResponse(WriteError, 503, "the model is loading"));
  const ServedModel& model = app.models().front();
  const Embedder& embedder = model.scheduler->embedder();
  reply(JsonResponse(WriteJson(json::object{{"model_id", model.id},
                                            {"model_dtype", "float32"},
                                            {"max_input_length", embedder.max_length()},
                                            {"max_client_batch_size", app.options().max_texts},
                                            {"version", std::string(Version())},
                                            {"fingerprint", embedder.fingerprint()}})));
}

}  // namespace

std::vector<Route> TeiRoutes() {
  return {{"POST", "/embed", true, WriteError, Embed},
          {"POST", "/", true, WriteError, Embed},
          {"GET", "/info", false, WriteError, Info}};
}

}  // namespace truevec
