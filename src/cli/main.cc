// truevec's command line: options from flags, TRUEVEC_* variables and --config, results on stdout, messages on
// stderr, exit codes of CONTRACT section 4.
#include <algorithm>
#include <array>
#include <cctype>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "base/file.h"
#include "cli/command.h"
#include "cli/model_path.h"

namespace truevec::cli {
namespace {

volatile std::sig_atomic_t interrupted = 0;

void OnSignal(int) { interrupted = 1; }

std::vector<std::unique_ptr<Command>> AllCommands() {
  std::vector<std::unique_ptr<Command>> commands;
  commands.push_back(MakeBenchCommand());
  commands.push_back(MakeDiagnoseCommand());
  commands.push_back(MakeEmbedCommand());
  commands.push_back(MakeInspectCommand());
  commands.push_back(MakeLockCommand());
  commands.push_back(MakeRerankCommand());
  commands.push_back(MakeSimilarityCommand());
  commands.push_back(MakeServeCommand());
  commands.push_back(MakeTokenizeCommand());
  commands.push_back(MakeVerifyCommand());
  commands.push_back(MakeVersionCommand());
  return commands;
}

void AddCommonOptions(CLI::App* app, CommonOptions* common) {
  app->add_flag("--json", common->json, "Machine output on stdout, nothing else there");
  app->add_flag("-q,--quiet", common->quiet, "No progress and no warnings");
  app->add_flag("-v,--verbose", common->verbose, "More messages on stderr");
  app->add_option("--threads", common->threads, "Compute threads; 0: all CPUs of this process")
      ->check(CLI::Range(0, 1024));
  app->add_option("--dtype", common->dtype, "Precision of the matrix products: float32, bfloat16, int8");
  app->add_option("--override", common->overrides, "KEY=VALUE in place of what the model's files say (repeatable)")
      ->allow_extra_args(false);
  app->add_option("--revision", common->revision, "Branch, tag or commit of a hub id");
  app->add_option("--cache-dir", common->cache_dir, "Hugging Face cache to look hub ids up in");
  app->add_flag("--offline", common->offline, "Never use the network (also HF_HUB_OFFLINE=1)");
  app->add_option("--log-format", common->log_format, "Messages on stderr: text or json")
      ->check(CLI::IsMember({"text", "json"}));
  app->add_option("--packed-cache", common->packed_cache,
                  "Directory where packed weights are kept for the next start (default ~/.cache/truevec/packed)");
  app->add_flag("--no-packed-cache", common->no_packed_cache, "Neither read nor write packed weights");
  app->add_option(
      "--isa", common->isa,
      "Force an instruction set: avx512_amx, avx512_bf16, avx512_vnni, avx512, avx_vnni, avx2, neon, scalar");
}

// --max-length -> TRUEVEC_MAX_LENGTH
void NameVariables(CLI::App* app) {
  for (CLI::Option* option : app->get_options()) {
    const std::vector<std::string> names = option->get_lnames();
    if (names.empty() || names[0] == "help" || names[0] == "config") continue;
    std::string variable = "TRUEVEC_";
    for (const char c : names[0])
      variable += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    option->envname(variable);
  }
}

int Report(const CommonOptions& common, const Status& status) {
  if (!status.message().empty()) Log(common, Level::kError, status.message());
  return ExitCode(status.code());
}

Status RunSelected(const CLI::App& app, const std::vector<std::unique_ptr<Command>>& commands,
                   const CommonOptions& common) {
  if (!common.isa.empty()) TV_RETURN_IF_ERROR(FromError(UseIsa(common.isa)));
  for (const auto& command : commands) {
    if (app.got_subcommand(command->Name())) return command->Run(common);
  }
  return UsageError("no command given; see truevec --help");
}

int Main(int argc, char** argv) {
  struct sigaction action{};
  action.sa_handler = OnSignal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  CLI::App app{"Text embeddings that are provably the reference's."};
  app.name("truevec");
  app.require_subcommand(0, 1);
  app.set_config("--config", "", "Options from a TOML file; the command line wins");
  CommonOptions common;
  const char* offline = std::getenv("HF_HUB_OFFLINE");  // NOLINT(concurrency-mt-unsafe): before any thread starts
  common.offline = offline != nullptr && std::string_view(offline) != "" && std::string_view(offline) != "0";
  const std::vector<std::unique_ptr<Command>> commands = AllCommands();
  for (const auto& command : commands) {
    CLI::App* sub = app.add_subcommand(command->Name(), command->Description());
    sub->fallthrough();
    command->Configure(sub);
    AddCommonOptions(sub, &common);
    NameVariables(sub);
  }
  const bool known =
      argc < 2 || argv[1][0] == '-' ||
      std::any_of(commands.begin(), commands.end(), [&](const auto& command) { return command->Name() == argv[1]; });
  if (!known) {
    return Report(common, UsageError("unknown command \"" + std::string(argv[1]) + "\"; see truevec --help"));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {  // the library's way to report usage
    if (e.get_exit_code() == 0) return app.exit(e);
    return Report(common, UsageError(std::string(e.what()) + "; see truevec --help"));
  }
  Status status = RunSelected(app, commands, common);
  if (std::fflush(stdout) != 0 && status.ok()) status = ResourceError("stdout: cannot write");
  const int code = Report(common, status);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  // Nothing is left to write, and taking a model apart piece by piece takes longer than a query. Leak checkers want it.
  std::fflush(stderr);
  std::_Exit(code);
#endif
  return code;
}

}  // namespace

std::string CommonOptions::PackedCacheDirectory() const {
  if (no_packed_cache) return "";
  return packed_cache.empty() ? DefaultPackedCache() : packed_cache;
}

Status FromError(const Error& error) {
  if (error.ok()) return Status::Ok();
  for (const Code code :
       {Code::kUsage, Code::kModelRefused, Code::kBadInput, Code::kEndpoint, Code::kResource, Code::kInterrupted}) {
    if (ExitCode(code) == error.code) return {code, error.message};
  }
  return InternalError(error.message);
}

void Log(const CommonOptions& common, Level level, const std::string& message) {
  static constexpr std::array<std::string_view, 3> kNames = {"info", "warning", "error"};
  if (common.quiet && level != Level::kError) return;
  if (common.log_format == "json") {
    const json::object line = {{"level", kNames[static_cast<size_t>(level)]}, {"message", message}};
    std::fprintf(stderr, "%s\n", WriteJson(line).c_str());
    return;
  }
  std::fprintf(stderr, "truevec: %s%s\n", level == Level::kWarning ? "warning: " : "", message.c_str());
}

void LogWarnings(const CommonOptions& common, const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) Log(common, Level::kWarning, warning);
}

Status LoadEmbedder(const std::string& model, const CommonOptions& common, const std::string& as,
                    std::shared_ptr<const Embedder>* embedder) {
  LoadParams params;
  params.threads = common.threads;
  params.dtype = common.dtype;
  params.overrides = common.overrides;
  params.as = as;
  params.packed_cache = common.PackedCacheDirectory();
  TV_ASSIGN_OR_RETURN(const std::string path, ResolveModelPath(model, common));
  return FromError(Embedder::Load(path, params, embedder));
}

Result<SpecOptions> SpecOptionsFrom(const CommonOptions& common, const std::string& as, const std::string& default_as) {
  SpecOptions options;
  TV_ASSIGN_OR_RETURN(options.overrides, Overrides::Parse(common.overrides));
  TV_ASSIGN_OR_RETURN(options.compute_type, ComputeTypeByName(common.dtype));
  options.as = as;
  options.default_as = default_as;
  options.packed_cache.directory = common.PackedCacheDirectory();
  options.find_model = [common](const std::string& id) {
    const Result<std::string> path = ResolveModelPath(id, common);
    return path.ok() && IsDirectory(*path) ? *path : std::string();
  };
  return options;
}

bool InterruptRequested() { return interrupted != 0; }
Status Interrupted() { return {Code::kInterrupted, "interrupted"}; }

}  // namespace truevec::cli

int main(int argc, char** argv) { return truevec::cli::Main(argc, argv); }
