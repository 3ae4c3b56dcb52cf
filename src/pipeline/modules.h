// The loaders that module_registry.cc lists, one file each.
#ifndef TRUEVEC_PIPELINE_MODULES_H_
#define TRUEVEC_PIPELINE_MODULES_H_

#include "pipeline/module.h"

namespace truevec {

using LoadedModule = Result<std::unique_ptr<PipelineModule>>;

LoadedModule LoadTransformer(const ModuleSpec& module, const LoadContext& context);
LoadedModule LoadPooling(const ModuleSpec& module, const LoadContext& context);
LoadedModule LoadNormalize(const ModuleSpec& module, const LoadContext& context);
LoadedModule LoadDense(const ModuleSpec& module, const LoadContext& context);

}  // namespace truevec

#endif  // TRUEVEC_PIPELINE_MODULES_H_
