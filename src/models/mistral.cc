// Mistral (arXiv 2310.06825): Llama with a sliding window in every layer.
// Reference: transformers/models/mistral/modeling_mistral.py.
#include "models/architectures.h"
#include "models/decoder_config.h"

namespace truevec {

Result<LoadedModel> LoadMistral(ConfigReader& config, const WeightScope& weights, const ModelOptions& options) {
  constexpr DecoderDefaults kDefaults = {.vocabulary = 32000,
                                         .hidden = 4096,
                                         .intermediate = 14336,
                                         .layers = 32,
                                         .heads = 32,
                                         .kv_heads = 8,
                                         .head_dim = 0,
                                         .positions = 131072,
                                         .eps = 1e-6,
                                         .tied = false};
  TV_ASSIGN_OR_RETURN(DecoderConfig c, ReadDecoderSizes(config, kDefaults));
  TV_ASSIGN_OR_RETURN(c.activation, ReadActivation(config, "hidden_act", "silu"));
  TV_ASSIGN_OR_RETURN(c.causal, ReadCausal(config, true));
  TV_ASSIGN_OR_RETURN(RotaryEmbedding rope,
                      RotaryEmbedding::Read(config, {.head_dim = c.head_dim, .max_positions = c.max_positions}));
  c.ropes.push_back(std::move(rope));
  TV_ASSIGN_OR_RETURN(const std::optional<int64_t> window, ReadWindow(config, 4096));
  for (DecoderLayerKind& kind : c.kinds) {
    if (window.has_value()) SetWindow(*window, c.causal, &kind);
  }
  return LoadDecoder(config, weights, options, std::move(c));
}

}  // namespace truevec
