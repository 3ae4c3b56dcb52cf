// truevec inspect: every resolved setting of a model, its value, where it came from and what contradicts it.
#include <cstdio>

#include "cli/command.h"
#include "cli/model_path.h"
#include "pipeline/inspect.h"

namespace truevec::cli {
namespace {

class InspectCommand : public Command {
 public:
  std::string Name() const override { return "inspect"; }
  std::string Description() const override { return "Every resolved setting of a model and where it came from"; }
  void Configure(CLI::App* app) override {
    app->add_option("MODEL", model_, "Model directory")->required();
    app->add_option("--as", as_, "Which Sentence Transformers class loads a directory that does not say");
  }
  Status Run(const CommonOptions& common) override {
    TV_ASSIGN_OR_RETURN(const SpecOptions options, SpecOptionsFrom(common, as_));
    TV_ASSIGN_OR_RETURN(const std::string path, ResolveModelPath(model_, common));
    TV_ASSIGN_OR_RETURN(const LoadReport report, InspectModel(path, options));
    const std::string text = common.json ? WriteJsonPretty(InspectToJson(report)) + "\n" : InspectToText(report);
    std::fwrite(text.data(), 1, text.size(), stdout);
    return Supported(report) ? Status::Ok() : report.spec.RefusalStatus();
  }

 private:
  std::string model_;
  std::string as_;
};

}  // namespace

std::unique_ptr<Command> MakeInspectCommand() { return std::make_unique<InspectCommand>(); }

}  // namespace truevec::cli
