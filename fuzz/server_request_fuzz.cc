// Request bodies of every route: the JSON parser, the schema check and the handlers up to the queue, with a tiny fake
// model. The first byte chooses the route; the rest is the body. Every request must be answered, by a whole JSON reply.
#include <cstdint>
#include <cstdlib>

#include "engine/fake_pipeline.h"
#include "server/app.h"

namespace truevec {
namespace {

class Exchange : public HttpExchange {
 public:
  explicit Exchange(std::atomic<int>* answers) : answers_(answers) {}
  void Reply(ServerResponse response) override {
    const auto body = ParseJson(response.body, "reply");
    if (!body.ok() && response.status != 204) std::abort();
    if (response.status < 200 || response.status > 599) std::abort();
    answers_->fetch_add(1);
    answers_->notify_all();
  }
  void Post(std::function<void()> work) override { work(); }

 private:
  std::atomic<int>* answers_;
};

App* MakeApp() {
  AppOptions options;
  options.accept_token_ids = true;
  options.max_texts = 64;
  options.queue.threads = 1;
  auto* app = new App(options);
  ModelSet models;
  for (const char* as : {"dense", "cross-encoder"}) {
    LoadReport report;
    report.spec.as = as;
    const auto pipeline = std::make_shared<FakePipeline>(as == std::string_view("dense") ? 0 : 1);
    models.push_back({{as}, ServingModel::Wrap(pipeline, report)});
  }
  app->SetModels(std::move(models));
  return app;
}

}  // namespace
}  // namespace truevec

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static truevec::App* const app = truevec::MakeApp();
  if (size == 0) return 0;
  std::vector<const truevec::Route*> routes;
  for (const truevec::Route& route : app->routes()) {
    if (route.body != nullptr && route.path[0] == '/') routes.push_back(&route);
  }
  truevec::ServerRequest request;
  request.method = "POST";
  request.path = routes[data[0] % routes.size()]->path;
  request.body.assign(reinterpret_cast<const char*>(data) + 1, size - 1);
  request.received = std::chrono::steady_clock::now();
  std::atomic<int> answers{0};
  app->Handle(std::move(request), std::make_shared<truevec::Exchange>(&answers));
  answers.wait(0);
  if (answers != 1) std::abort();
  return 0;
}
