// Reading and checking of rotary parameters; private to rope.cc.
#ifndef TRUEVEC_MODELS_ROPE_CONFIG_H_
#define TRUEVEC_MODELS_ROPE_CONFIG_H_

#include "models/rope.h"

namespace truevec {

// Both generations of config keys, with the precedence of RotaryEmbeddingConfigMixin (modeling_rope_utils.py).
Result<RopeParameters> ReadRopeParameters(ConfigReader& config, const RopeKeys& keys);
// Refuses what the reference refuses or cannot compute.
Status CheckRope(const RopeParameters& parameters, int64_t head_dim, int64_t rotary_dim);

}  // namespace truevec

#endif  // TRUEVEC_MODELS_ROPE_CONFIG_H_
