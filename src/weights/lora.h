// PEFT LoRA adapters merged into their base's weights. Reference: peft tuners/lora (layer.py get_delta_weight,
// dora.py), utils/save_and_load.py for the names of tensors, tuners/lora/config.py for the options.
#ifndef TRUEVEC_WEIGHTS_LORA_H_
#define TRUEVEC_WEIGHTS_LORA_H_

#include <memory>

#include "base/json.h"
#include "base/status.h"
#include "weights/weight_scope.h"

namespace truevec {

// The base's tensors with the adapter's applied, changed ones as float32 (sums in double). `config` is
// adapter_config.json: r, lora_alpha, rank_pattern, alpha_pattern, use_rslora, fan_in_fan_out, use_dora, lora_bias,
// bias, modules_to_save; any other option that changes weights is refused by name, as is an adapter tensor without a
// place.
Result<std::shared_ptr<const WeightStore>> MergeLora(std::shared_ptr<const WeightStore> base,
                                                     const WeightStore& adapter, const JsonRef& config);

}  // namespace truevec

#endif  // TRUEVEC_WEIGHTS_LORA_H_
