#include "server/app.h"

#include <cstdint>

#include "server/shared.h"

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

std::string_view KeyOf(const ServerRequest& request) {
  std::string_view given = request.Header("authorization");
  if (given.empty()) return request.Header("x-api-key");
  constexpr std::string_view kScheme = "bearer ";
  if (given.size() < kScheme.size()) return given;
  for (size_t i = 0; i < kScheme.size(); ++i) {
    const char c = given[i] >= 'A' && given[i] <= 'Z' ? static_cast<char>(given[i] + 32) : given[i];
    if (c != kScheme[i]) return given;
  }
  return given.substr(kScheme.size());
}

// RFC 3986 2.1. Nothing when a '%' is not followed by two hexadecimal digits.
std::optional<std::string> PercentDecode(std::string_view text) {
  std::string out;
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? digit(text[i + 1]) : -1;
    const int low = high >= 0 ? digit(text[i + 2]) : -1;
    if (low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

// A client that joins "http://host/" and "/embed" asks for "//embed"; others end with a slash.
std::string WithoutExtraSlashes(std::string_view path) {
  while (path.starts_with("//")) path.remove_prefix(1);
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return std::string(path);
}

}  // namespace

bool Can(const ServingModel& model, Ability ability) {
  switch (ability) {
    case Ability::kVectors:
      return model.gives_vectors();
    case Ability::kSparse:
      return model.as() == "sparse";
    case Ability::kTokenVectors:
      return model.as() == "dense" || model.as() == "multi-vector";
    case Ability::kScores:
      return model.as() != "sparse";
    case Ability::kAny:
      return true;
  }
  return false;
}

App::App(AppOptions options)
    : options_(std::move(options)),
      models_(std::make_shared<const ModelSet>()),
      telemetry_(options_.telemetry),
      scheduler_(options_.queue, [this](const BatchReport& batch) { metrics_.AddBatch(batch); }) {
  for (const auto& dialect : {OpenAiRoutes(), TeiRoutes(), CohereRoutes(), OllamaRoutes(), LlamaCppRoutes(),
                              VllmRoutes(), WeaviateRoutes(), OwnRoutes(), SharedRoutes(), PageRoutes()}) {
    routes_.insert(routes_.end(), dialect.begin(), dialect.end());
  }
  openapi_ = WriteOpenApi(routes_);
}

void App::SetModels(ModelSet models) {
  {
    const std::lock_guard lock(mutex_);
    models_ = std::make_shared<const ModelSet>(std::move(models));
  }
  ready_ = true;
}

std::shared_ptr<const ModelSet> App::models() const {
  const std::lock_guard lock(mutex_);
  return models_;
}

const Route* App::FindRoute(const std::string& method, const std::string& path, std::string* allowed,
                            std::string* rest) const {
  for (const Route& route : routes_) {
    const std::string_view pattern = route.path;
    const size_t open = pattern.find('{');
    const bool same = open == std::string_view::npos
                          ? path == pattern
                          : path.size() > open && path.compare(0, open, pattern.substr(0, open)) == 0;
    if (!same) continue;
    if (method == route.method || (method == "HEAD" && route.method == std::string_view("GET"))) {
      if (open != std::string_view::npos) *rest = path.substr(open);
      return &route;
    }
    if (allowed->find(route.method) == std::string::npos)
      *allowed += (allowed->empty() ? "" : ", ") + std::string(route.method);
  }
  return nullptr;
}

const Dialect& App::DialectOf(const std::string& path) const {
  for (const Route& route : routes_) {
    if (path == route.path) return *route.dialect;
  }
  return path.starts_with("/api/") ? kOllama : path.starts_with("/v1/") || path.starts_with("/v2/") ? kOpenAi : kOwn;
}

bool App::Authorized(const ServerRequest& request) const {
  if (options_.api_keys.empty()) return true;
  const std::string_view given = KeyOf(request);
  bool found = false;
  for (const std::string& key : options_.api_keys) found |= EqualConstantTime(given, key);
  return found;
}

void App::AddCors(const ServerRequest& request, ServerResponse* response) const {
  const std::string origin(request.Header("origin"));
  if (origin.empty() || options_.cors_origins.empty()) return;
  for (const std::string& allowed : options_.cors_origins) {
    if (allowed != "*" && allowed != origin) continue;
    response->headers["access-control-allow-origin"] = allowed == "*" ? "*" : origin;
    response->headers["access-control-expose-headers"] = "*";
    if (allowed != "*") response->headers["vary"] = "origin";
    return;
  }
}

std::string App::ErrorBody(int status, const std::string& message, const std::string& path) const {
  ApiError error;
  error.kind = KindOfStatus(status);
  error.message = message;
  return WriteJson(DialectOf(path).write(error, status));
}

void App::Handle(ServerRequest request, std::shared_ptr<HttpExchange> exchange) {
  auto path = PercentDecode(request.path);
  if (path.has_value()) request.path = WithoutExtraSlashes(*path);
  const auto call = std::make_shared<Call>(this, std::move(request), std::move(exchange));
  const ServerRequest& asked = call->request();
  if (!path.has_value()) {
    return call->Fail({ErrorKind::kMalformed, "a % of the path is not followed by two hexadecimal digits"});
  }
  std::string allowed;
  if (asked.path == "/metrics" && !options_.metrics) return call->Fail({ErrorKind::kNoRoute, "metrics are off"});
  call->route_ = FindRoute(asked.method, asked.path, &allowed, &call->path_rest_);
  if (call->route_ == nullptr && asked.method == "OPTIONS") {
    ServerResponse response;
    response.status = 204;
    response.headers["access-control-allow-methods"] = "GET, POST, OPTIONS";
    response.headers["access-control-allow-headers"] = "*, authorization";
    response.headers["access-control-max-age"] = "86400";
    return call->Reply(std::move(response));
  }
  if (call->route_ == nullptr) {
    if (allowed.empty()) return call->Fail({ErrorKind::kNoRoute, "no route " + call->path()});
    call->headers_["allow"] = allowed;
    return call->Fail({ErrorKind::kMethod, call->path() + " takes " + allowed + ", not " + asked.method});
  }
  const bool metrics = asked.path == "/metrics";
  const bool guarded = metrics ? options_.metrics_need_key : call->route_->access != Access::kOpen;
  if (guarded && !Authorized(asked)) {
    call->headers_["www-authenticate"] = "Bearer";
    return call->Fail({ErrorKind::kUnauthorized, "missing or wrong API key; expected Authorization: Bearer KEY"});
  }
  if (IsInference(call->route_->access) && !ready()) {
    ApiError error{ErrorKind::kUnavailable, draining_ ? "the server is stopping" : "the model is loading"};
    error.retry_after = std::chrono::seconds(1);
    return call->Fail(error);
  }
  call->ReadBodyAndRun();
}

}  // namespace truevec
