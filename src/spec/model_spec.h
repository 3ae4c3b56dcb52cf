// ModelSpec: what a model directory says, resolved: every value with its source, conflicts, refusals and warnings.
#ifndef TRUEVEC_SPEC_MODEL_SPEC_H_
#define TRUEVEC_SPEC_MODEL_SPEC_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/settings.h"
#include "base/status.h"
#include "tensor/ops.h"

namespace truevec {

struct SpecOptions {
  Overrides overrides;
  ComputeType compute_type = ComputeType::kFloat32;
  // Which Sentence Transformers class loads a directory that does not say: dense, sparse, cross-encoder, multi-vector.
  std::string as;
};

struct Refusal {
  std::string what;   // the value or thing that is not supported
  std::string where;  // file and key
  std::string why;
};

// One entry of modules.json with its own config.
struct ModuleSpec {
  std::string type;  // last dotted component: "Pooling"
  std::string path;  // folder relative to the model directory, "" for the root
  std::string name;
  std::string config_file;                  // relative path of the config that was read, "" when there is none
  json::value config;                       // {} when there is none
  std::vector<std::string> forward_kwargs;  // modules.json "kwargs"
};

struct ModelSpec {
  std::string directory;
  std::string model_type;    // SentenceTransformer, SparseEncoder, CrossEncoder, MultiVectorEncoder
  std::string architecture;  // config.json model_type
  std::vector<ModuleSpec> modules;
  std::map<std::string, std::string> prompts;
  std::string default_prompt_name;  // empty: none
  std::string similarity;           // cosine, dot, euclidean, manhattan, maxsim, meanmaxsim
  std::optional<int64_t> truncate_dim;
  Settings settings;
  std::vector<Refusal> refusals;  // empty: the model is supported
  std::vector<std::string> warnings;
  std::string fingerprint;
};

}  // namespace truevec

#endif  // TRUEVEC_SPEC_MODEL_SPEC_H_
