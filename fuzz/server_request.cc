// Request bodies of every route: the JSON parser, the schema check and the handlers up to the queue, with a tiny fake
// model. The first byte chooses the route; the rest is the body. Every request must be answered, by a whole JSON reply.
#include <cstdint>
#include <cstdlib>

#include "server/app.h"

namespace truevec {
namespace {

class TinyPipeline : public Pipeline {
 public:
  explicit TinyPipeline(int64_t labels) : labels_(labels) {}
  const ModelSpec& spec() const override { return spec_; }
  const Tokenizer& tokenizer() const override { std::abort(); }
  bool has_tokenizer() const override { return false; }
  int64_t dimension() const override { return 4; }
  int64_t max_length() const override { return 8; }
  int64_t labels() const override { return labels_; }
  Result<std::string> ResolvePrompt(const PromptChoice&) const override { return std::string(); }
  Result<EncodedText> Encode(std::string_view text, const EncodeTextOptions&) const override {
    EncodedText encoded;
    encoded.ids.assign(std::min<size_t>(text.size(), 8), 1);
    encoded.truncated_tokens = static_cast<int64_t>(text.size() - encoded.ids.size());
    return encoded;
  }
  Result<EncodedText> EncodePair(std::string_view text, std::string_view,
                                 const EncodeTextOptions& options) const override {
    return Encode(text, options);
  }
  int64_t OutputWidth(const EmbedOptions& options) const override { return options.truncate_dim.value_or(4); }
  Status Embed(std::span<const EncodedText* const>, const EmbedOptions&, const ExecContext&,
               Matrix out) const override {
    for (int64_t i = 0; i < out.rows; ++i) std::fill_n(out.row(i), out.cols, 0.5F);
    return Status::Ok();
  }
  Status EmbedFromTokens(std::span<const EncodedText* const> texts, const TokenVectors&, const EmbedOptions& options,
                         const ExecContext& ctx, Matrix out) const override {
    return Embed(texts, options, ctx, out);
  }
  Result<TokenVectors> EmbedTokens(std::span<const EncodedText* const> texts, const ExecContext&) const override {
    TokenVectors all;
    all.width = 1;
    all.offsets.assign(texts.size() + 1, 0);
    return all;
  }
  Result<SparseVectors> EmbedSparse(std::span<const EncodedText* const>, int64_t, const ExecContext&) const override {
    return UsageError("not sparse");
  }
  Result<TokenVectors> EmbedMultiVector(std::span<const EncodedText* const>, const ExecContext&) const override {
    return UsageError("not multi-vector");
  }
  Status Score(std::span<const EncodedText* const>, const ScoreOptions&, const ExecContext&,
               Matrix out) const override {
    for (int64_t i = 0; i < out.rows; ++i) std::fill_n(out.row(i), out.cols, 0.5F);
    return Status::Ok();
  }

 private:
  int64_t labels_;
  ModelSpec spec_;
};

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
    const auto pipeline = std::make_shared<TinyPipeline>(as == std::string_view("dense") ? 0 : 1);
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
