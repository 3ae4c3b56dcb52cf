// The HTTP application: one route table, one file per dialect (openai.cc, tei.cc, own.cc), shared reading of requests.
#ifndef TRUEVEC_SERVER_APP_H_
#define TRUEVEC_SERVER_APP_H_

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/json.h"
#include "engine/scheduler.h"
#include "net/http_server.h"

namespace truevec {

struct ServedModel {
  std::string id;
  std::unique_ptr<Scheduler> scheduler;
};

struct AppOptions {
  std::string api_key;  // empty: none is asked for
  size_t max_texts = 2048;
};

class App;

// How a dialect writes an error: HTTP status and message to a body.
using ErrorWriter = std::string (*)(int status, const std::string& message);
using RouteHandler = void (*)(App& app, const HttpRequest& request, const HttpReply& reply);

struct Route {
  const char* method;
  const char* path;
  bool inference;  // asks for the API key and a loaded model
  ErrorWriter error;
  RouteHandler handle;
};

std::vector<Route> OpenAiRoutes();
std::vector<Route> TeiRoutes();
std::vector<Route> OwnRoutes();

class App {
 public:
  explicit App(AppOptions options);
  // Before SetModels every inference route answers 503.
  void SetModels(std::vector<ServedModel> models);
  void SetDraining() { draining_ = true; }
  // Answers what still waits with 503 and stops the workers.
  void Stop() { models_.clear(); }
  bool ready() const { return ready_ && !draining_; }
  const AppOptions& options() const { return options_; }
  // REQUIRES: ready().
  const std::vector<ServedModel>& models() const { return models_; }
  // By id; "" is the first. nullptr: unknown.
  const ServedModel* Find(const std::string& id) const;
  void Handle(const HttpRequest& request, HttpReply reply);

 private:
  const Route* FindRoute(const HttpRequest& request, const Route** same_path) const;
  bool Authorized(const HttpRequest& request) const;

  AppOptions options_;
  std::vector<Route> routes_;
  std::vector<ServedModel> models_;
  std::atomic<bool> ready_{false};
  std::atomic<bool> draining_{false};
};

HttpResponse ErrorResponse(ErrorWriter writer, int status, const std::string& message);
HttpResponse JsonResponse(std::string body);
// A string or an array of strings ("texts"); token ids are refused with the client settings to change.
Result<std::vector<std::string>> ReadTexts(const JsonRef& value, size_t max_texts);
// Headers of every vector reply: fingerprint, truncated texts.
void AddVectorHeaders(const Embedder& embedder, const EmbedResult& result, HttpResponse* response);
// 429 with retry-after for a full queue, `input_status` for a text that the model cannot take, else the table's status.
HttpResponse FailureResponse(ErrorWriter writer, const Status& status, int input_status);
// "[1.5,2]"
void AppendVector(std::string* out, const float* values, size_t width);

}  // namespace truevec

#endif  // TRUEVEC_SERVER_APP_H_
