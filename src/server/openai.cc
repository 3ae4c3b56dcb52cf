// OpenAI's embeddings API: POST /v1/embeddings, GET /v1/models.
#include <bit>
#include <cstring>

#include "server/app.h"

namespace truevec {
namespace {

std::string WriteError(int status, const std::string& message) {
  const char* type = status == 401   ? "authentication_error"
                     : status == 429 ? "rate_limit_error"
                     : status >= 500 ? "server_error"
                                     : "invalid_request_error";
  return WriteJson(json::object{
      {"error", json::object{{"message", message}, {"type", type}, {"param", nullptr}, {"code", nullptr}}}});
}

// Little-endian float32, RFC 4648 base64.
std::string Base64(const float* values, size_t count) {
  static_assert(std::endian::native == std::endian::little);
  constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes(count * sizeof(float), '\0');
  std::memcpy(bytes.data(), values, bytes.size());
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) {
      group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (size_t k = 0; k < 4; ++k) {
      out += i + k <= bytes.size() ? kAlphabet[group >> (18 - 6 * k) & 63] : '=';
    }
  }
  return out;
}

struct EmbeddingsRequest {
  std::string model;
  std::vector<std::string> texts;
  EmbedParams params;
  bool base64 = false;
};

Status ReadDimensions(const JsonRef& value, EmbedParams* params) {
  if (!value.present() || value.is_null()) return Status::Ok();
  TV_ASSIGN_OR_RETURN(params->truncate_dim, value.Int());
  params->normalize = true;
  if (*params->truncate_dim < 1) return InputError(value.Where() + ": expected at least 1");
  return Status::Ok();
}

Result<EmbeddingsRequest> Read(const JsonRef& root, size_t max_texts) {
  EmbeddingsRequest request;
  TV_RETURN_IF_ERROR(root.ExpectObject());
  if (const JsonRef model = root["model"]; model.present() && !model.is_null()) {
    TV_ASSIGN_OR_RETURN(request.model, model.String());
  }
  TV_ASSIGN_OR_RETURN(request.texts, ReadTexts(root["input"], max_texts));
  TV_RETURN_IF_ERROR(ReadDimensions(root["dimensions"], &request.params));
  if (const JsonRef format = root["encoding_format"]; format.present() && !format.is_null()) {
    TV_ASSIGN_OR_RETURN(const std::string name, format.String());
    if (name != "float" && name != "base64") return InputError(format.Where() + ": expected float or base64");
    request.base64 = name == "base64";
  }
  return request;
}

std::string WriteReply(const EmbedResult& result, const std::string& model, bool base64) {
  std::string body = R"({"object":"list","data":[)";
  const size_t texts = result.vectors.size() / result.width;
  for (size_t i = 0; i < texts; ++i) {
    const float* row = result.vectors.data() + i * result.width;
    body +=
        std::string(i > 0 ? "," : "") + R"({"object":"embedding","index":)" + std::to_string(i) + R"(,"embedding":)";
    if (base64) {
      body += '"' + Base64(row, result.width) + '"';
    } else {
      AppendVector(&body, row, result.width);
    }
    body += '}';
  }
  const std::string tokens = std::to_string(result.tokens);
  return body + R"(],"model":)" + WriteJson(json::value(model)) + R"(,"usage":{"prompt_tokens":)" + tokens +
         R"(,"total_tokens":)" + tokens + "}}";
}

void Embeddings(App& app, const HttpRequest& http, const HttpReply& reply) {
  const auto body = JsonFile::Parse(http.body, "body", Code::kBadInput);
  if (!body.ok()) return reply(ErrorResponse(WriteError, 400, body.status().message()));
  auto request = Read(body->root(), app.options().max_texts);
  if (!request.ok()) return reply(ErrorResponse(WriteError, 400, request.status().message()));
  const ServedModel* model = app.Find(request->model);
  if (model == nullptr) {
    return reply(ErrorResponse(WriteError, 404, "no model \"" + request->model + "\"; see /v1/models"));
  }
  const Embedder& embedder = model->scheduler->embedder();
  if (request->params.truncate_dim > static_cast<int64_t>(embedder.dimension())) {
    return reply(
        ErrorResponse(WriteError, 400, "dimensions: expected at most " + std::to_string(embedder.dimension())));
  }
  model->scheduler->Submit(std::move(request->texts), request->params,
                           [reply, &embedder, id = model->id, base64 = request->base64](const EmbedResult& result) {
                             if (!result.status.ok()) return reply(FailureResponse(WriteError, result.status, 422));
                             HttpResponse response = JsonResponse(WriteReply(result, id, base64));
                             AddVectorHeaders(embedder, result, &response);
                             reply(std::move(response));
                           });
}

void Models(App& app, const HttpRequest&, const HttpReply& reply) {
  json::array data;
  if (app.ready()) {
    for (const ServedModel& model : app.models()) {
      data.push_back(json::object{{"id", model.id},
                                  {"object", "model"},
                                  {"created", 0},
                                  {"owned_by", "truevec"},
                                  {"max_model_len", model.scheduler->embedder().max_length()}});
    }
  }
  reply(JsonResponse(WriteJson(json::object{{"object", "list"}, {"data", std::move(data)}})));
}

}  // namespace

std::vector<Route> OpenAiRoutes() {
  return {{"POST", "/v1/embeddings", true, WriteError, Embeddings},
          {"POST", "/embeddings", true, WriteError, Embeddings},
          {"GET", "/v1/models", false, WriteError, Models}};
}

}  // namespace truevec
