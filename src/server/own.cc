// Liveness and readiness: /live while the process runs, /ready, /health and /ping once the model is loaded.
#include "server/app.h"

namespace truevec {
namespace {

std::string WriteError(int, const std::string& message) { return WriteJson(json::object{{"error", message}}); }

void Live(App&, const HttpRequest&, const HttpReply& reply) { reply(JsonResponse(R"({"status":"ok"})")); }

void Ready(App& app, const HttpRequest&, const HttpReply& reply) {
  if (!app.ready()) return reply(ErrorResponse(WriteError, 503, "not ready"));
  reply(JsonResponse(R"({"status":"ok"})"));
}

}  // namespace

std::vector<Route> OwnRoutes() {
  return {{"GET", "/live", false, WriteError, Live},
          {"GET", "/ready", false, WriteError, Ready},
          {"GET", "/health", false, WriteError, Ready},
          {"GET", "/ping", false, WriteError, Ready}};
}

}  // namespace truevec
