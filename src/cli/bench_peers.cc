#include "cli/bench_peers.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/file.h"
#include "base/thread_pool.h"
#include "cli/bench_measure.h"
#include "cli/model_path.h"

namespace truevec::cli {
namespace {

constexpr std::array<std::string_view, 8> kShapes = {"minilm",     "bert-base",  "bert-base-cls", "xlmr-base",
                                                     "qwen3-0.6b", "qwen2-1.5b", "minilm-8192",   "static-256"};

std::string Checkout() {
  char self[4096];
  const ssize_t length = readlink("/proc/self/exe", self, sizeof self);
  std::string root(self, length > 0 ? static_cast<size_t>(length) : 0);
  for (int level = 0; level < 4 && !root.empty(); ++level) root.resize(root.find_last_of('/'));
  return root;
}

}  // namespace

Result<std::string> ShapeModel(const std::string& shape) {
  if (std::find(kShapes.begin(), kShapes.end(), shape) == kShapes.end()) {
    std::string known;
    for (const std::string_view name : kShapes) known += (known.empty() ? "" : ", ") + std::string(name);
    return UsageError("--model-shape \"" + shape + "\" is not known; known: " + known);
  }
  const std::string packed = DefaultPackedCache();
  if (packed.empty()) return UsageError("--model-shape needs a cache: HOME and XDG_CACHE_HOME are not set");
  const std::string cache = std::filesystem::path(packed).parent_path().string();
  const std::string tool = Checkout() + "/tools/make_shape.py";
  const std::string folder = cache + "/shapes/" + shape;
  for (const char* venv : {"numpy", "peers", "reference"}) {
    const std::string python = Checkout() + "/.venv/" + venv + "/bin/python";
    if (!FileExists(python) || !FileExists(tool)) continue;
    TV_RETURN_IF_ERROR(RunProcess({python, tool, shape, "--cache", cache}).status());
    return folder;
  }
  if (FileExists(folder + "/shape.json")) return folder;
  return UsageError("--model-shape: " + folder + " does not exist; ./dev bench shapes " + shape +
                    " makes it in a checkout");
}

Status RunPeers(const std::string& model, const std::vector<std::string>& workloads, int repeats,
                const CommonOptions& common) {
  const std::string python = Checkout() + "/.venv/peers/bin/python";
  const std::string runner = Checkout() + "/bench/peers/run.py";
  if (!FileExists(python) || !FileExists(runner)) {
    return UsageError("--peers needs " + runner + " and " + python + ": run ./dev bench peers once in a checkout");
  }
  std::vector<std::string> command = {python, runner, "--model", model, "--repeats", std::to_string(repeats)};
  command.insert(command.end(), {"--threads", std::to_string(common.threads == 0 ? AvailableCpus() : common.threads)});
  std::string names;
  for (const std::string& name : workloads) names += (names.empty() ? "" : ",") + name;
  if (!names.empty()) command.insert(command.end(), {"--workloads", names});
  if (common.json) command.emplace_back("--json");
  return RunProcess(command, true).status();
}

}  // namespace truevec::cli
