// The files of a Transformer module's backbone: its own folder, or the base model that a PEFT adapter in the folder
// names. Reference: base/modules/transformer.py (_load_config), transformers integrations/peft.py.
#ifndef TRUEVEC_PIPELINE_BACKBONE_H_
#define TRUEVEC_PIPELINE_BACKBONE_H_

#include <string>

#include "pipeline/module.h"

namespace truevec {

struct Backbone {
  JsonFile config;                             // config.json
  std::string config_file;                     // its name for sources
  std::shared_ptr<const WeightStore> weights;  // with the adapter merged
  std::string tokenizer_folder;
};

// Records `base_model` when there is an adapter. Errors: no config, no base, an adapter that cannot be merged.
Result<Backbone> OpenBackbone(const ModuleSpec& module, const LoadContext& context);

}  // namespace truevec

#endif  // TRUEVEC_PIPELINE_BACKBONE_H_
