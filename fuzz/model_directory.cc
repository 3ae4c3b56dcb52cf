// ResolveModelSpec on a directory whose JSON files are the parts of the input, divided by bytes 0, in this order.
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "spec/model_spec.h"

namespace {

constexpr const char* kFiles[] = {"modules.json",
                                  "config.json",
                                  "config_sentence_transformers.json",
                                  "sentence_bert_config.json",
                                  "1_Pooling/config.json",
                                  "router_config.json",
                                  "artifact.metadata"};

std::filesystem::path Folder() {
  const auto folder = std::filesystem::temp_directory_path() / ("truevec_fuzz_" + std::to_string(getpid()));
  std::filesystem::create_directories(folder / "1_Pooling");
  return folder;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::filesystem::path folder = Folder();
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  for (const char* name : kFiles) {
    const size_t end = rest.find('\0');
    const std::string_view part = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    if (part.empty()) {
      std::filesystem::remove(folder / name);
    } else {
      std::ofstream(folder / name, std::ios::binary) << part;
    }
  }
  for (const char* as : {"", "dense", "sparse", "cross-encoder", "multi-vector"}) {
    truevec::SpecOptions options;
    options.as = as;
    const auto spec = truevec::ResolveModelSpec(folder.string(), options);
    if (spec.ok() && !spec->refusals.empty() && spec->RefusalStatus().ok()) std::abort();
  }
  return 0;
}
