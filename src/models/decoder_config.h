// What the config readers of decoder architectures share.
#ifndef TRUEVEC_MODELS_DECODER_CONFIG_H_
#define TRUEVEC_MODELS_DECODER_CONFIG_H_

#include <optional>
#include <string>

#include "models/decoder.h"

namespace truevec {

// Defaults of an architecture's config class in transformers; kv_heads 0: as many as heads, head_dim 0: hidden / heads.
struct DecoderDefaults {
  int64_t vocabulary, hidden, intermediate, layers, heads, kv_heads, head_dim, positions;
  double eps;
  bool tied;
};

// Sizes, rms_norm_eps, tie_word_embeddings; attention_scale = head_dim^-0.5, every layer without a window.
Result<DecoderConfig> ReadDecoderSizes(ConfigReader& config, const DecoderDefaults& defaults);
// The activation under `key`; --override activation (hidden_act) wins whatever the key.
Result<Activation> ReadActivation(ConfigReader& config, std::string_view key, std::string fallback);
// is_causal (transformers >= 5.2 honours it for every decoder), else `fallback` from `source`. Records "attention".
Result<bool> ReadCausal(ConfigReader& config, bool fallback, const std::optional<SettingSource>& source = std::nullopt);
// The window of `layers` that slide, in the terms of transformers/masking_utils.py: j > i - window when causal, else
// |i - j| <= window. Null or missing without a fallback: no window.
Result<std::optional<int64_t>> ReadWindow(ConfigReader& config, std::optional<int64_t> fallback);
void SetWindow(int64_t window, bool causal, DecoderLayerKind* kind);
// layer_types: "full_attention" or "sliding_attention" per layer; `slides(i)` when the config has none.
Result<std::vector<bool>> ReadLayerTypes(ConfigReader& config, int64_t layers, bool (*slides)(int64_t layer, int64_t n),
                                         int64_t n);

}  // namespace truevec

#endif  // TRUEVEC_MODELS_DECODER_CONFIG_H_
