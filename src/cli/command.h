// The table of commands. One file per command (cmd_*.cc) defines a Command; main.cc lists and runs them.
#ifndef TRUEVEC_CLI_COMMAND_H_
#define TRUEVEC_CLI_COMMAND_H_

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "spec/model_spec.h"
#include "truevec/truevec.h"

namespace truevec::cli {

// Options that every command takes (CONTRACT section 3).
struct CommonOptions {
  bool json = false;
  bool quiet = false;
  bool verbose = false;
  int threads = 0;
  std::string dtype = "float32";
  std::vector<std::string> overrides;
  std::string isa;
  std::string revision;   // of a hub id; "" = main
  std::string cache_dir;  // "" = the environment's
  bool offline = false;
  std::string log_format = "text";  // text or json
  std::string packed_cache;         // "" = DefaultPackedCache
  bool no_packed_cache = false;

  std::string PackedCacheDirectory() const;  // "" = none
};

class Command {
 public:
  virtual ~Command() = default;
  virtual std::string Name() const = 0;
  virtual std::string Description() const = 0;
  virtual void Configure(CLI::App* app) = 0;
  virtual Status Run(const CommonOptions& common) = 0;
};

std::unique_ptr<Command> MakeBenchCommand();
std::unique_ptr<Command> MakeDiagnoseCommand();
std::unique_ptr<Command> MakeEmbedCommand();
std::unique_ptr<Command> MakeInspectCommand();
std::unique_ptr<Command> MakeLockCommand();
std::unique_ptr<Command> MakeRerankCommand();
std::unique_ptr<Command> MakeSimilarityCommand();
std::unique_ptr<Command> MakeServeCommand();
std::unique_ptr<Command> MakeTokenizeCommand();
std::unique_ptr<Command> MakeVerifyCommand();
std::unique_ptr<Command> MakeVersionCommand();

// The API's Error as a Status.
Status FromError(const Error& error);
// Loads MODEL with the common options.
Status LoadEmbedder(const std::string& model, const CommonOptions& common, const std::string& as,
                    std::shared_ptr<const Embedder>* embedder);
// The common options for commands that work on a Pipeline. `default_as` is what a directory is that does not say;
// empty: guessed from its config.
Result<SpecOptions> SpecOptionsFrom(const CommonOptions& common, const std::string& as,
                                    const std::string& default_as = "");
// A message on stderr as --log-format says. Warnings are left out with --quiet.
enum class Level { kInfo, kWarning, kError };
void Log(const CommonOptions& common, Level level, const std::string& message);
void LogWarnings(const CommonOptions& common, const std::vector<std::string>& warnings);
// True once SIGINT or SIGTERM came; long loops ask and stop with Interrupted().
bool InterruptRequested();
Status Interrupted();

}  // namespace truevec::cli

#endif  // TRUEVEC_CLI_COMMAND_H_
