// The HTTP application: one table of routes, one file per dialect (openai.cc, tei.cc, cohere.cc, ollama.cc,
// llamacpp.cc, vllm.cc, weaviate.cc, own.cc). A dialect gives schemas, handlers and its way to tell errors; everything
// else (keys, models, queue, errors, headers, counters, logs) is done here, once.
#ifndef TRUEVEC_SERVER_APP_H_
#define TRUEVEC_SERVER_APP_H_

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "net/http_server.h"
#include "server/api_error.h"
#include "server/metrics.h"
#include "server/schema.h"
#include "server/telemetry.h"

namespace truevec {

struct ServedModel {
  std::vector<std::string> names;  // the first is the id; the others are accepted too
  std::shared_ptr<const ServingModel> model;
  const std::string& id() const { return names.front(); }
};
using ModelSet = std::vector<ServedModel>;

// What a route asks of a model.
enum class Ability { kVectors, kSparse, kTokenVectors, kScores, kAny };
bool Can(const ServingModel& model, Ability ability);

struct AppOptions {
  std::vector<std::string> api_keys = {};  // empty: none is asked for
  size_t max_texts = 2048;
  bool accept_token_ids = false;
  bool auto_truncate = true;  // TEI's and OpenAI's `truncate` when a request does not say
  bool metrics = true;        // GET /metrics
  bool metrics_need_key = false;
  std::vector<std::string> cors_origins = {};    // "*": any
  std::chrono::milliseconds request_timeout{0};  // 0: none
  // For requests that choose no prompt: text, or the name of a prompt of the model.
  std::string default_prompt = {};
  std::string default_prompt_name = {};
  SchedulerOptions queue = {};
  TelemetryOptions telemetry = {};
};

class App;
class Call;
using CallPtr = std::shared_ptr<Call>;

enum class Access {
  kOpen,       // no key, also while loading
  kGuarded,    // key, also while loading
  kInference,  // key, and the models must be loaded
  kQueued,     // as kInference; waits in the queue with no more tokens than its body has bytes
};
inline bool IsInference(Access access) { return access == Access::kInference || access == Access::kQueued; }

struct Route {
  const char* method;
  const char* path;  // a trailing "{name}" takes the rest of the path
  Access access;
  const Dialect* dialect;
  const Schema* body;  // null: the body is not read
  void (*handle)(const CallPtr& call, const Body& body);
  const char* summary;
  const char* reply;  // JSON Schema of a 200 reply; null: not JSON
};

extern const Dialect kOpenAi, kTei, kCohere, kOllama, kLlamaCpp, kVllm, kWeaviate, kOwn;
std::vector<Route> OpenAiRoutes();
std::vector<Route> TeiRoutes();
std::vector<Route> CohereRoutes();
std::vector<Route> OllamaRoutes();
std::vector<Route> LlamaCppRoutes();
std::vector<Route> VllmRoutes();
std::vector<Route> WeaviateRoutes();
std::vector<Route> OwnRoutes();
// /openapi.json, /docs and the page at /.
std::vector<Route> PageRoutes();

// One request on its way to its reply. Any thread; replied to once.
class Call : public std::enable_shared_from_this<Call> {
 public:
  Call(App* app, ServerRequest request, std::shared_ptr<HttpExchange> exchange);
  App& app() const { return *app_; }
  const ServerRequest& request() const { return request_; }
  // Of the request, printable.
  const std::string& path() const { return record_.path; }
  const Route& route() const { return *route_; }
  const ModelSet& models() const { return *models_; }
  InputLimits limits() const;
  // What a trailing "{name}" of the route's path stands for.
  const std::string& path_rest() const { return path_rest_; }

  // The model of that name, or for "" the first that has the ability.
  Expected<const ServedModel*> Model(const std::string& name, Ability ability) const;
  // As Model(), for dialects in which the name is a remark: an unknown one is as none.
  Expected<const ServedModel*> ModelIfKnown(const std::string& name, Ability ability) const;

  void Reply(ServerResponse response);
  void ReplyJson(const json::value& value, int status = 200);
  void Fail(const ApiError& error);
  // Queues `task` for `model`; then `write` makes the body of the reply, on an I/O thread. Fails by itself.
  void Submit(const ServedModel& model, TaskRequest task, std::function<std::string(const TaskResult&)> write);
  // Hands the request over to another route: the body is checked against its schema, errors are its dialect's.
  void Forward(const char* path, const JsonRef& document);

 private:
  friend class App;
  ServerResponse ErrorResponse(const ApiError& error);
  void Run(const JsonRef& document);
  void ReadBodyAndRun();
  void AddHeaders(ServerResponse* response) const;
  void SetDefaultPrompt(EncodeTextOptions* encode) const;
  static std::optional<ApiError> CheckReplySize(const TaskRequest& task);

  App* app_;
  ServerRequest request_;
  std::shared_ptr<HttpExchange> exchange_;
  const Route* route_ = nullptr;
  std::string path_rest_;
  std::shared_ptr<const ModelSet> models_;
  RequestRecord record_;
  std::string fingerprint_;
  std::string error_kind_;
  std::map<std::string, std::string> headers_;
};

class App {
 public:
  explicit App(AppOptions options);
  App(const App&) = delete;
  App& operator=(const App&) = delete;
  // Before SetModels every inference route answers 503.
  void SetModels(ModelSet models);
  void SetDraining() { draining_ = true; }
  // Answers what still waits with 503 and ends the queue.
  void Stop() { scheduler_.Stop(); }
  bool ready() const { return ready_ && !draining_; }
  bool draining() const { return draining_; }
  const AppOptions& options() const { return options_; }
  const std::vector<Route>& routes() const { return routes_; }
  Scheduler& scheduler() { return scheduler_; }
  Metrics& metrics() { return metrics_; }
  Telemetry& telemetry() { return telemetry_; }
  std::shared_ptr<const ModelSet> models() const;
  void SetConnections(std::function<size_t()> count) { connections_ = std::move(count); }
  size_t connections() const { return connections_ ? connections_() : 0; }
  const std::string& openapi() const { return openapi_; }
  std::chrono::system_clock::time_point started() const { return started_; }

  void Handle(ServerRequest request, std::shared_ptr<HttpExchange> exchange);
  // For the HTTP layer's own refusals.
  std::string ErrorBody(int status, const std::string& message, const std::string& path) const;

 private:
  friend class Call;
  const Route* FindRoute(const std::string& method, const std::string& path, std::string* allowed,
                         std::string* rest) const;
  const Dialect& DialectOf(const std::string& path) const;
  bool Authorized(const ServerRequest& request) const;
  void AddCors(const ServerRequest& request, ServerResponse* response) const;

  AppOptions options_;
  std::vector<Route> routes_;
  std::string openapi_;
  mutable std::mutex mutex_;
  std::shared_ptr<const ModelSet> models_;
  std::atomic<bool> ready_{false};
  std::atomic<bool> draining_{false};
  Metrics metrics_;
  Telemetry telemetry_;
  std::function<size_t()> connections_;
  std::chrono::system_clock::time_point started_ = std::chrono::system_clock::now();
  Scheduler scheduler_;  // last: its threads use the others
};

// OpenAPI 3.1 of the routes (openapi.cc).
std::string WriteOpenApi(const std::vector<Route>& routes);

}  // namespace truevec

#endif  // TRUEVEC_SERVER_APP_H_
