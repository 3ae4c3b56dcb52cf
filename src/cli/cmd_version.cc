// truevec version
#include <cstdio>

#include "base/json.h"
#include "cli/command.h"

namespace truevec::cli {
namespace {

class VersionCommand : public Command {
 public:
  std::string Name() const override { return "version"; }
  std::string Description() const override { return "Version and instruction set in use"; }
  void Configure(CLI::App*) override {}
  Status Run(const CommonOptions& common) override {
    const std::string version(truevec::Version());
    const std::string isa(truevec::Isa());
    if (common.json) {
      std::printf("%s\n", WriteJson(json::object{{"version", version}, {"isa", isa}}).c_str());
    } else {
      std::printf("truevec %s (%s)\n", version.c_str(), isa.c_str());
    }
    return Status::Ok();
  }
};

}  // namespace

std::unique_ptr<Command> MakeVersionCommand() { return std::make_unique<VersionCommand>(); }

}  // namespace truevec::cli
