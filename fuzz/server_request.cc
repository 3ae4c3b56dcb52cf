// Request bodies of every route: the JSON parser, the schema check and the handlers up to the queue, with a tiny fake
// model. The first byte chooses the route; the rest is the body. Every request must be answered, by a whole JSON reply.
#include <cstdint>
#include <cstdlib>

#include "fake_app.h"

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

}  // namespace
}  // namespace truevec

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static truevec::App* const app = truevec::MakeFakeApp();
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
