// truevec serve: the HTTP server. Listens at once and answers 503 until the models are loaded; SIGTERM drains.
#include <sys/resource.h>

#include <cstdio>
#include <thread>

#include "cli/array_file.h"
#include "cli/command.h"
#include "cli/serve_options.h"

namespace truevec::cli {
namespace {

class ServeCommand : public Command {
 public:
  std::string Name() const override { return "serve"; }
  std::string Description() const override {
    return "HTTP server in the dialects of OpenAI, TEI, Cohere, Ollama, llama.cpp, vLLM and Weaviate";
  }
  void Configure(CLI::App* app) override { options_.Configure(app); }
  Status Run(const CommonOptions& common) override;

 private:
  Result<ModelSet> Load(const CommonOptions& common) const;
  ServeOptions options_;
};

// As many file descriptors as the system lets this process have: one a connection.
void RaiseFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

Result<ModelSet> ServeCommand::Load(const CommonOptions& common) const {
  FloatMatrix calibration;
  if (!options_.calibration.empty()) {
    TV_ASSIGN_OR_RETURN(calibration, ReadNpy(options_.calibration));
  }
  LoadParams params;
  params.threads = common.threads;
  params.dtype = common.dtype;
  params.overrides = common.overrides;
  params.as = options_.as;
  params.packed_cache = common.PackedCacheDirectory();
  ModelSet served;
  for (size_t i = 0; i < options_.models.size(); ++i) {
    TV_ASSIGN_OR_RETURN(auto model,
                        ServingModel::Load(options_.models[i], params, calibration.values, calibration.cols));
    const std::string& prompt = options_.app.default_prompt_name;
    if (!prompt.empty() && !model->HasPrompt(prompt)) {
      return UsageError("--default-prompt-name: " + options_.models[i] + " has no prompt \"" + prompt + "\"");
    }
    served.push_back({options_.NamesOf(i), std::move(model)});
  }
  return served;
}

Status ServeCommand::Run(const CommonOptions& given) {
  CommonOptions common = given;
  TV_RETURN_IF_ERROR(options_.Resolve(&common));
  RaiseFileLimit();
  App app(options_.app);
  TV_ASSIGN_OR_RETURN(const std::unique_ptr<HttpServer> server,
                      HttpServer::Start(
                          options_.server,
                          [&app](ServerRequest request, std::shared_ptr<HttpExchange> exchange) {
                            app.Handle(std::move(request), std::move(exchange));
                          },
                          [&app](int status, const std::string& message, const std::string& path) {
                            return app.ErrorBody(status, message, path);
                          }));
  app.SetConnections([&server] { return server->connections(); });
  if (common.verbose) app.telemetry().Log("info", "loading; " + server->address() + " answers 503 until then");
  auto models = Load(common);
  const Status loaded = models.ok() ? Status::Ok() : models.status();
  if (loaded.ok()) {
    app.SetModels(std::move(models).value());
    if (!common.quiet) app.telemetry().Log("info", "listening on " + server->address());
    while (!InterruptRequested()) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  // Who waits is answered, in this order: no new requests; running ones finish; the queue ends (503 for what is left)
  // and its replies are written; the I/O threads end. Only then may what they use go.
  app.SetDraining();
  server->Drain(std::chrono::seconds(loaded.ok() ? options_.drain_seconds : 0));
  app.Stop();
  server->Drain(std::chrono::seconds(1));
  server->Stop();
  return loaded;
}

}  // namespace

std::unique_ptr<Command> MakeServeCommand() { return std::make_unique<ServeCommand>(); }

}  // namespace truevec::cli
