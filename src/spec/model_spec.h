// ModelSpec: what a model directory says, resolved: every value with its source, conflicts, refusals and warnings.
// Reference: sentence_transformers 6.2 base/model.py (_load_modules), base/modules/transformer.py (load_config).
#ifndef TRUEVEC_SPEC_MODEL_SPEC_H_
#define TRUEVEC_SPEC_MODEL_SPEC_H_

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/settings.h"
#include "base/status.h"
#include "tensor/ops.h"
#include "tokenizer/tokenizer.h"
#include "weights/packed_cache.h"
#include "weights/weight_scope.h"

namespace truevec {

// The version whose rules and defaults are followed; named by every default.
inline constexpr std::string_view kReferenceName = "sentence-transformers 6.2";

struct SpecOptions {
  Overrides overrides;
  ComputeType compute_type = ComputeType::kFloat32;
  // Which Sentence Transformers class loads the directory: dense, sparse, cross-encoder, multi-vector. A directory
  // saved by another class is converted as that class does, or refused. Empty: what the directory says.
  std::string as;
  // For a directory that does not say, when `as` is empty. Empty: guessed from config.json's architectures.
  std::string default_as;
  // The directory of a hub id (base models of PEFT adapters), or "" when there is none. May be unset.
  std::function<std::string(const std::string& id)> find_model;
  // Where packed weights are kept between starts (weights/packed_cache.h); no directory: nowhere.
  PackedCacheOptions packed_cache;
  // Wraps the tensors of each weight file before they are packed; only `diagnose` sets it, to inject faults.
  std::function<std::shared_ptr<const WeightStore>(std::shared_ptr<const WeightStore>)> edit_weights;
  // Tokenizers by folder, kept between loads of one directory whose overrides leave the tokenizer as it is; only
  // `diagnose` sets it. Settings that a tokenizer records are missing from loads that take it from here.
  std::map<std::string, std::shared_ptr<const Tokenizer>>* known_tokenizers = nullptr;
};

struct Refusal {
  std::string what;   // the value or thing that is not supported
  std::string where;  // file and key
  std::string why;
};

// One entry of modules.json with its own config.
struct ModuleSpec {
  std::string type;  // class name: "Pooling"
  std::string path;  // folder relative to the model directory, "" for the root
  std::string name;
  std::string config_file;                    // relative path of the config that was read, "" when there is none
  std::shared_ptr<const json::value> config;  // {} when there is none
  std::vector<std::string> forward_kwargs;    // modules.json "kwargs"
  std::map<std::string, std::vector<ModuleSpec>> routes;  // Router: its own modules by route
  std::vector<std::string> route_order;                   // Router: routes in file order
  bool shares_weights = false;                            // reads some tensors of a file that another module owns

  JsonRef Config() const { return {config.get(), config_file.empty() ? type : config_file}; }
  // "1_Pooling/config.json" -> path of a file beside the config.
  std::string FilePath(std::string_view file) const {
    return path.empty() ? std::string(file) : path + "/" + std::string(file);
  }
};

// A text that is made when somebody asks for it the first time, by whichever thread that is.
class LazyText {
 public:
  explicit LazyText(std::function<std::string()> make) : make_(std::move(make)) {}
  const std::string& Get() const {
    std::call_once(once_, [this] {
      text_ = make_();
      make_ = nullptr;
    });
    return text_;
  }

 private:
  mutable std::once_flag once_;
  mutable std::function<std::string()> make_;
  mutable std::string text_;
};

struct ModelSpec {
  std::string directory;
  std::string model_type;    // SentenceTransformer, SparseEncoder, CrossEncoder, MultiVectorEncoder
  std::string as;            // CONTRACT section 10: dense, sparse, cross-encoder, multi-vector, static
  std::string architecture;  // config.json model_type; empty for models without a transformer
  bool has_modules_json = false;
  std::vector<ModuleSpec> modules;
  std::map<std::string, std::string> prompts;
  std::string default_prompt_name;  // empty: none
  std::string similarity;           // cosine, dot, euclidean, manhattan, maxsim, meanmaxsim
  std::optional<int64_t> truncate_dim;
  std::optional<int64_t> max_active_dims;  // sparse models
  // Markers that the tokenizer keeps whole when it knows them ("[Q] ", "[unused0] "); multi-vector models.
  std::vector<std::string> marker_tokens;
  // Cross-encoders: dotted torch path from the configs; empty: the default rule by number of labels.
  std::string activation_fn;
  Settings settings;
  std::vector<Refusal> refusals;  // empty: the model is supported
  std::vector<std::string> warnings;
  // Null until the model is loaded.
  std::shared_ptr<const LazyText> lazy_fingerprint;

  // CONTRACT section 7; "" for a model that is not loaded. The first call reads every weight.
  std::string fingerprint() const { return lazy_fingerprint == nullptr ? std::string() : lazy_fingerprint->Get(); }
  void Refuse(std::string what, std::string where, std::string why) {
    refusals.push_back({std::move(what), std::move(where), std::move(why)});
  }
  // All refusals, one per line, as a kModelRefused Status; OK when there is none.
  Status RefusalStatus() const;
};

// Reads every file but the weights. A directory that cannot be read at all is an error; whatever else is wrong is
// listed in `refusals`.
Result<ModelSpec> ResolveModelSpec(const std::string& directory, const SpecOptions& options);

// The pooling modes of a Pooling config, old booleans or new names, in the reference's order of concatenation.
// `key` receives the JSON key that decided ("" for the default mean).
Result<std::vector<std::string>> PoolingModes(const JsonRef& config, std::string* key);

// The names of a modules.json "type" that Pipeline can load, for messages and docs.
std::vector<std::string> SupportedModuleTypes();

}  // namespace truevec

#endif  // TRUEVEC_SPEC_MODEL_SPEC_H_
