// MODEL as a command takes it: a directory or file, or a hub id "org/name[@revision]" that is in the Hugging Face cache
// (models--org--name/refs, /snapshots). Layout: huggingface_hub docs, "Understand caching".
#ifndef TRUEVEC_CLI_MODEL_PATH_H_
#define TRUEVEC_CLI_MODEL_PATH_H_

#include <string>

#include "base/status.h"

namespace truevec::cli {

struct CommonOptions;

// The path of `model`: itself when it exists, else its snapshot in the cache. Errors name what was looked for.
Result<std::string> ResolveModelPath(const std::string& model, const CommonOptions& common);

// --cache-dir, SENTENCE_TRANSFORMERS_HOME, HF_HUB_CACHE, HF_HOME/hub, ~/.cache/huggingface/hub: the first that is set.
std::string HubCache(const CommonOptions& common);
// Where packed weights are kept between starts: $XDG_CACHE_HOME/truevec/packed, ~/.cache/truevec/packed; "" without a
// home.
std::string DefaultPackedCache();

}  // namespace truevec::cli

#endif  // TRUEVEC_CLI_MODEL_PATH_H_
