// The loaders that module_registry.cc lists, one file each.
#ifndef TRUEVEC_PIPELINE_MODULES_H_
#define TRUEVEC_PIPELINE_MODULES_H_

#include <set>

#include "pipeline/module.h"

namespace truevec {

using LoadedModule = Result<std::unique_ptr<PipelineModule>>;

// Task names, one or a list; the default is "document" (multi-vector modules).
Result<std::set<std::string>> ReadTasks(const JsonRef& ref);

LoadedModule LoadTransformer(const ModuleSpec& module, const LoadContext& context);
LoadedModule LoadPooling(const ModuleSpec& module, const LoadContext& context);
LoadedModule LoadNormalize(const ModuleSpec& module, const LoadContext& context);
LoadedModule LoadDense(const ModuleSpec& module, const LoadContext& context);
LoadedModule LoadLayerNorm(const ModuleSpec& module, const LoadContext& context);
LoadedModule LoadDropout(const ModuleSpec& module, const LoadContext& context);
LoadedModule LoadWeightedLayerPooling(const ModuleSpec& module, const LoadContext& context);
LoadedModule LoadWordWeights(const ModuleSpec& module, const LoadContext& context);
LoadedModule LoadBoW(const ModuleSpec& module, const LoadContext& context);
LoadedModule LoadWordEmbeddings(const ModuleSpec& module, const LoadContext& context);
LoadedModule LoadCnn(const ModuleSpec& module, const LoadContext& context);
LoadedModule LoadLstm(const ModuleSpec& module, const LoadContext& context);
LoadedModule LoadStaticEmbedding(const ModuleSpec& module, const LoadContext& context);
LoadedModule LoadRouter(const ModuleSpec& module, const LoadContext& context);
LoadedModule LoadSpladePooling(const ModuleSpec& module, const LoadContext& context);
LoadedModule LoadSparseStaticEmbedding(const ModuleSpec& module, const LoadContext& context);
LoadedModule LoadSparseAutoEncoder(const ModuleSpec& module, const LoadContext& context);
LoadedModule LoadLogitScore(const ModuleSpec& module, const LoadContext& context);
LoadedModule LoadMultiVectorMask(const ModuleSpec& module, const LoadContext& context);
LoadedModule LoadHierarchicalTokenPooling(const ModuleSpec& module, const LoadContext& context);

}  // namespace truevec

#endif  // TRUEVEC_PIPELINE_MODULES_H_
