// truevec serve: the HTTP server. Listens at once and answers 503 until the models are loaded; SIGTERM drains.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <thread>

#include "cli/command.h"
#include "server/app.h"

namespace truevec::cli {
namespace {

class ServeCommand : public Command {
 public:
  std::string Name() const override { return "serve"; }
  std::string Description() const override { return "HTTP server: OpenAI and TEI embeddings"; }
  void Configure(CLI::App* app) override {
    app->add_option("MODEL", models_, "Model directories")->required();
    app->add_option("--host", server_.host, "Address to listen on");
    app->add_option("--port", server_.port, "Port; 0: any free one")->check(CLI::Range(0, 65535));
    app->add_option("--max-body", server_.max_body, "Bytes of a request body");
    app->add_option("--api-key", app_.api_key, "Key that inference routes ask for");
    app->add_option("--api-key-env", key_variable_, "Environment variable that holds the key");
    app->add_option("--served-model-name", names_, "Model id, one for each MODEL (repeatable)")
        ->allow_extra_args(false);
    app->add_option("--max-queue", queue_.max_queue_texts, "Waiting texts; more are answered 429")
        ->check(CLI::PositiveNumber);
  }
  Status Run(const CommonOptions& common) override;

 private:
  Status Prepare();
  Result<std::vector<ServedModel>> Load(const CommonOptions& common) const;

  std::vector<std::string> models_;
  std::vector<std::string> names_;
  std::string key_variable_;
  HttpServerOptions server_;
  AppOptions app_;
  SchedulerOptions queue_;
};

Status ServeCommand::Prepare() {
  if (!key_variable_.empty()) {
    const char* key = std::getenv(key_variable_.c_str());
    if (key == nullptr || *key == '\0') return UsageError("--api-key-env: " + key_variable_ + " is not set");
    app_.api_key = key;
  }
  if (!names_.empty() && names_.size() != models_.size()) {
    return UsageError("--served-model-name: expected " + std::to_string(models_.size()) + " names, got " +
                      std::to_string(names_.size()));
  }
  if (names_.empty()) {
    for (const std::string& model : models_) {
      const std::filesystem::path path = std::filesystem::absolute(model).lexically_normal();
      names_.push_back((path.has_filename() ? path : path.parent_path()).filename().string());
    }
  }
  const std::set<std::string> unique(names_.begin(), names_.end());
  if (unique.size() != names_.size()) return UsageError("two models have the same id; give --served-model-name");
  return Status::Ok();
}

Result<std::vector<ServedModel>> ServeCommand::Load(const CommonOptions& common) const {
  std::vector<ServedModel> served;
  for (size_t i = 0; i < models_.size(); ++i) {
    std::shared_ptr<const Embedder> embedder;
    TV_RETURN_IF_ERROR(LoadEmbedder(models_[i], common, "", &embedder));
    served.push_back({names_[i], std::make_unique<Scheduler>(std::move(embedder), queue_)});
  }
  return served;
}

Status ServeCommand::Run(const CommonOptions& common) {
  TV_RETURN_IF_ERROR(Prepare());
  App app(app_);
  TV_ASSIGN_OR_RETURN(const std::unique_ptr<HttpServer> server,
                      HttpServer::Start(server_, [&app](const HttpRequest& request, HttpReply reply) {
                        app.Handle(request, std::move(reply));
                      }));
  TV_ASSIGN_OR_RETURN(std::vector<ServedModel> models, Load(common));
  app.SetModels(std::move(models));
  if (!common.quiet) {
    std::fprintf(stderr, "truevec: listening on http://%s:%d\n", server_.host.c_str(), server->port());
  }
  while (!InterruptRequested()) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  app.SetDraining();
  server->Drain(std::chrono::seconds(30));
  app.Stop();
  return Status::Ok();
}

}  // namespace

std::unique_ptr<Command> MakeServeCommand() { return std::make_unique<ServeCommand>(); }

}  // namespace truevec::cli
