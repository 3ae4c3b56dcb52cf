// The weights of a model or module folder, whichever files hold them.
#ifndef TRUEVEC_WEIGHTS_WEIGHT_FILES_H_
#define TRUEVEC_WEIGHTS_WEIGHT_FILES_H_

#include <memory>
#include <string>

#include "base/status.h"
#include "weights/weight_scope.h"

namespace truevec {

// As transformers chooses: model.safetensors, its shards (model.safetensors.index.json), pytorch_model.bin, its shards.
// Files are mapped; a .bin is read by a restricted unpickler (unpickler.h). Messages name files relative to
// `directory`.
Result<std::shared_ptr<const WeightStore>> OpenWeights(const std::string& directory);

// One .safetensors or .bin file of `directory` ("adapter_model.safetensors").
Result<std::shared_ptr<const WeightStore>> OpenWeightFile(const std::string& directory, const std::string& name);

}  // namespace truevec

#endif  // TRUEVEC_WEIGHTS_WEIGHT_FILES_H_
