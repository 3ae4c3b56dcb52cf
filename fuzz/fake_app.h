// The HTTP application over tiny fake models, for the targets that feed it requests.
#ifndef TRUEVEC_FUZZ_FAKE_APP_H_
#define TRUEVEC_FUZZ_FAKE_APP_H_

#include <memory>
#include <utility>

#include "engine/fake_pipeline.h"
#include "server/app.h"

namespace truevec {

// Lives as long as the process.
inline App* MakeFakeApp() {
  AppOptions options;
  options.accept_token_ids = true;
  options.max_texts = 64;
  options.queue.threads = 1;
  options.cors_origins = {"https://a.example"};
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

}  // namespace truevec

#endif  // TRUEVEC_FUZZ_FAKE_APP_H_
