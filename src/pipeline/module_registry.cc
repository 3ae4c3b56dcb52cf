// The table of module kinds, and what their loaders share.
#include <algorithm>
#include <array>

#include "base/file.h"
#include "pipeline/fingerprint.h"
#include "pipeline/module.h"
#include "pipeline/modules.h"
#include "weights/weight_files.h"

namespace truevec {
namespace {

struct ModuleRow {
  std::string_view type;
  ModuleLoader load;
};

constexpr std::array kModules = {
    ModuleRow{"Transformer", LoadTransformer},
    ModuleRow{"MLMTransformer", LoadTransformer},
    ModuleRow{"Pooling", LoadPooling},
    ModuleRow{"Dense", LoadDense},
    ModuleRow{"Normalize", LoadNormalize},
    ModuleRow{"LayerNorm", LoadLayerNorm},
    ModuleRow{"Dropout", LoadDropout},
    ModuleRow{"WeightedLayerPooling", LoadWeightedLayerPooling},
    ModuleRow{"WordWeights", LoadWordWeights},
    ModuleRow{"BoW", LoadBoW},
    ModuleRow{"WordEmbeddings", LoadWordEmbeddings},
    ModuleRow{"CNN", LoadCnn},
    ModuleRow{"LSTM", LoadLstm},
    ModuleRow{"StaticEmbedding", LoadStaticEmbedding},
    ModuleRow{"Router", LoadRouter},
    ModuleRow{"SpladePooling", LoadSpladePooling},
    ModuleRow{"SparseStaticEmbedding", LoadSparseStaticEmbedding},
    ModuleRow{"SparseAutoEncoder", LoadSparseAutoEncoder},
    ModuleRow{"LogitScore", LoadLogitScore},
    ModuleRow{"MultiVectorMask", LoadMultiVectorMask},
    ModuleRow{"HierarchicalTokenPooling", LoadHierarchicalTokenPooling},
};

// Keys that libraries leave in module configs and that change no vector there.
constexpr std::array<std::string_view, 4> kHarmlessModuleKeys = {
    "__version__",   // the saving library
    "__comment__",   // a note
    "model_type",    // repeated from elsewhere
    "architecture",  // printed, never read
};

}  // namespace

ModuleLoader FindModuleLoader(std::string_view type) {
  for (const ModuleRow& row : kModules) {
    if (row.type == type) return row.load;
  }
  return nullptr;
}

Result<std::unique_ptr<PipelineModule>> LoadModule(const ModuleSpec& module, const LoadContext& context) {
  const ModuleLoader loader = FindModuleLoader(module.type);
  if (loader == nullptr) {
    return ModelError("modules.json: module " + module.name + " (" + module.type + ") is not supported");
  }
  return loader(module, context);
}

const Feature& Features::at(std::string_view name) const {
  const auto found = values.find(name);
  TV_CHECK(found != values.end());
  return found->second;
}

void Features::Set(std::string_view name, Matrix matrix, bool per_token) {
  values.insert_or_assign(std::string(name), Feature{matrix, per_token});
}

bool Features::Pooled(int64_t text, int32_t index, bool include_prompt) const {
  const EncodedText& encoded = *texts[static_cast<size_t>(text)];
  if (!keep.empty() && keep[static_cast<size_t>(text)][static_cast<size_t>(index)] == 0) return false;
  if (!encoded.pooling_mask.empty()) return encoded.pooling_mask[static_cast<size_t>(index)] != 0;
  return include_prompt || index >= encoded.prompt_length;
}

ConfigReader LoadContext::Reader(const ModuleSpec& module) const {
  return ConfigReader(module.Config(), nullptr, nullptr, std::string(kReferenceName));
}

Status LoadContext::Finish(const ModuleSpec& module, const ConfigReader& reader) const {
  for (const std::string& key : reader.UnreadKeys()) {
    if (std::find(kHarmlessModuleKeys.begin(), kHarmlessModuleKeys.end(), key) != kHarmlessModuleKeys.end()) continue;
    return ModelError(module.Config().file() + ": " + key + ": unknown key of " + module.type +
                      " that could change vectors");
  }
  return Status::Ok();
}

Result<WeightScope> LoadContext::Weights(const ModuleSpec& module) const {
  const std::string folder = module.path.empty() ? directory->root() : directory->root() + "/" + module.path;
  auto store = OpenWeights(folder);
  if (!store.ok()) {
    return module.path.empty() ? store.status() : store.status().WithContext(module.path);
  }
  if (options->edit_weights) return WeightScope(options->edit_weights(std::move(store).value()));
  return WeightScope(std::move(store).value());
}

Status LoadContext::FinishWeights(const ModuleSpec& module, const WeightScope& weights) const {
  const std::vector<std::string> leftovers = weights.Leftovers();
  const std::string where =
      module.path.empty() ? weights.store()->Description() : module.path + "/" + weights.store()->Description();
  const std::string prefix = module.path.empty() ? "" : module.path + "/";
  for (const std::string& name : weights.Used()) {
    const WeightEntry* entry = weights.store()->Find(name);
    if (entry == nullptr) continue;
    report->used_tensors.push_back(prefix + name);
    report->parameters += entry->view.count();
    weight_hash->Add(module.type + "/" + name, entry->view, weights.store());
  }
  weights.store()->ReleasePages();
  const std::vector<std::string> used = weights.Used();
  if (module.shares_weights) return Status::Ok();  // the module that owns the file keeps account
  for (const std::string& name : weights.store()->Names()) {
    if (!std::binary_search(used.begin(), used.end(), name)) report->unused_tensors.push_back(prefix + name);
  }
  if (leftovers.empty()) return Status::Ok();
  std::string text = where + ": tensor " + leftovers.front() + " is not part of " + module.type;
  if (leftovers.size() > 1) text += " (nor are " + std::to_string(leftovers.size() - 1) + " others)";
  return ModelError(text);
}

Result<FeatureWidth> LoadContext::Width(const ModuleSpec& module, std::string_view feature) const {
  const auto found = widths->find(feature);
  if (found != widths->end()) return found->second;
  std::string known;
  for (const auto& [name, width] : *widths) known += (known.empty() ? "" : ", ") + name;
  return ModelError("module " + module.name + " (" + module.type + ") reads \"" + std::string(feature) +
                    "\", which no module before it writes (there are: " + (known.empty() ? "none" : known) + ")");
}

}  // namespace truevec
