#include "server/app.h"

#include <cstdint>

namespace truevec {
namespace {

// Time does not depend on where the strings differ.
bool EqualConstantTime(std::string_view given, std::string_view key) {
  unsigned char difference = given.size() == key.size() ? 0 : 1;
  for (size_t i = 0; i < given.size(); ++i) {
    difference |= static_cast<unsigned char>(given[i] ^ key[i % key.size()]);
  }
  return difference == 0;
}

void Append(std::vector<Route>* all, const std::vector<Route>& more) {
  all->insert(all->end(), more.begin(), more.end());
}

}  // namespace

App::App(AppOptions options) : options_(std::move(options)) {
  Append(&routes_, OpenAiRoutes());
  Append(&routes_, TeiRoutes());
  Append(&routes_, OwnRoutes());
}

void App::SetModels(std::vector<ServedModel> models) {
  models_ = std::move(models);
  ready_ = true;
}

const ServedModel* App::Find(const std::string& id) const {
  for (const ServedModel& model : models_) {
    if (id.empty() || model.id == id) return &model;
  }
  return nullptr;
}

const Route* App::FindRoute(const HttpRequest& request, const Route** same_path) const {
  for (const Route& route : routes_) {
    if (request.path != route.path) continue;
    *same_path = &route;
    if (request.method == route.method || (request.method == "HEAD" && route.method == std::string_view("GET"))) {
      return &route;
    }
  }
  return nullptr;
}

bool App::Authorized(const HttpRequest& request) const {
  constexpr std::string_view kScheme = "Bearer ";
  if (options_.api_key.empty()) return true;
  const std::string_view given = request.authorization;
  return given.starts_with(kScheme) && EqualConstantTime(given.substr(kScheme.size()), options_.api_key);
}

void App::Handle(const HttpRequest& request, HttpReply reply) {
  HttpReply answer = [reply = std::move(reply), id = request.request_id](HttpResponse response) {
    if (!id.empty()) response.headers["x-request-id"] = id;
    reply(std::move(response));
  };
  const Route* same_path = nullptr;
  const Route* route = FindRoute(request, &same_path);
  const ErrorWriter writer = same_path != nullptr ? same_path->error : OpenAiRoutes().front().error;
  if (same_path == nullptr) return answer(ErrorResponse(writer, 404, "no route " + request.path));
  if (route == nullptr) {
    HttpResponse response = ErrorResponse(writer, 405, request.path + " takes " + same_path->method);
    response.headers["allow"] = same_path->method;
    return answer(std::move(response));
  }
  if (route->inference && !Authorized(request)) {
    HttpResponse response = ErrorResponse(writer, 401, "missing or wrong API key; expected Authorization: Bearer KEY");
    response.headers["www-authenticate"] = "Bearer";
    return answer(std::move(response));
  }
  if (route->inference && !ready()) {
    HttpResponse response = ErrorResponse(writer, 503, draining_ ? "the server is stopping" : "the model is loading");
    response.headers["retry-after"] = "1";
    return answer(std::move(response));
  }
  route->handle(*this, request, answer);
}

HttpResponse ErrorResponse(ErrorWriter writer, int status, const std::string& message) {
  HttpResponse response;
  response.status = status;
  response.body = writer(status, message);
  return response;
}

HttpResponse JsonResponse(std::string body) {
  HttpResponse response;
  response.body = std::move(body);
  return response;
}

Result<std::vector<std::string>> ReadTexts(const JsonRef& value, size_t max_texts) {
  if (value.is_string()) {
    TV_ASSIGN_OR_RETURN(std::string text, value.String());
    return std::vector<std::string>{std::move(text)};
  }
  if (!value.is_array()) return value.TypeError("a string or an array of strings");
  if (value.size() == 0) return InputError(value.Where() + ": expected at least one text, got an empty array");
  if (value.size() > max_texts) {
    return InputError(value.Where() + ": expected at most " + std::to_string(max_texts) + " texts, got " +
                      std::to_string(value.size()));
  }
  std::vector<std::string> texts;
  for (size_t i = 0; i < value.size(); ++i) {
    const JsonRef item = value.At(i);
    if (item.is_number() || item.is_array()) {
      return InputError(item.Where() +
                        ": expected a string, got token ids; another tokenizer's ids would give wrong vectors. Send "
                        "text (LangChain: check_embedding_ctx_length=False)");
    }
    TV_ASSIGN_OR_RETURN(std::string text, item.String());
    texts.push_back(std::move(text));
  }
  return texts;
}

void AddVectorHeaders(const Embedder& embedder, const EmbedResult& result, HttpResponse* response) {
  response->headers["x-truevec-fingerprint"] = embedder.fingerprint();
  if (result.truncated_texts > 0) {
    response->headers["x-truevec-truncated-texts"] = std::to_string(result.truncated_texts);
  }
}

HttpResponse FailureResponse(ErrorWriter writer, const Status& status, int input_status) {
  const bool full = status.code() == Code::kUnavailable;
  const int http_status = full ? 429 : status.code() == Code::kBadInput ? input_status : HttpStatus(status.code());
  HttpResponse response = ErrorResponse(writer, http_status, status.message());
  if (full) response.headers["retry-after"] = "1";
  return response;
}

void AppendVector(std::string* out, const float* values, size_t width) {
  *out += '[';
  for (size_t i = 0; i < width; ++i) {
    if (i > 0) *out += ',';
    AppendFloat(out, values[i]);
  }
  *out += ']';
}

}  // namespace truevec
