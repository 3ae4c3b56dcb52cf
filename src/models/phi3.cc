// Phi-3 (arXiv 2404.14219): Llama with fused projections, longrope and, in some sizes, partial rotation and a window.
// Reference: transformers/models/phi3/modeling_phi3.py.
#include "models/architectures.h"
#include "models/decoder_config.h"

namespace truevec {

Result<LoadedModel> LoadPhi3(ConfigReader& config, const WeightScope& weights, const ModelOptions& options) {
  constexpr DecoderDefaults kDefaults = {.vocabulary = 32064,
                                         .hidden = 3072,
                                         .intermediate = 8192,
                                         .layers = 32,
                                         .heads = 32,
                                         .kv_heads = 0,
                                         .head_dim = 0,
                                         .positions = 4096,
                                         .eps = 1e-5,
                                         .tied = false};
  TV_ASSIGN_OR_RETURN(DecoderConfig c, ReadDecoderSizes(config, kDefaults));
  c.fused_names = true;
  TV_ASSIGN_OR_RETURN(c.activation, ReadActivation(config, "hidden_act", "silu"));
  TV_RETURN_IF_ERROR(config.RequireBool({"attention_bias"}, false));
  TV_ASSIGN_OR_RETURN(c.causal, ReadCausal(config, true));
  TV_ASSIGN_OR_RETURN(RotaryEmbedding rope, RotaryEmbedding::Read(config, {.head_dim = c.head_dim,
                                                                           .max_positions = c.max_positions,
                                                                           .partial = true,
                                                                           .default_original = 4096,
                                                                           .longrope_aliases = true}));
  if (rope.parameters().type != "default" && rope.parameters().type != "longrope") {
    return config.Refuse("rope_scaling", "Phi-3 knows longrope only, got " + rope.parameters().type);
  }
  c.ropes.push_back(std::move(rope));
  TV_ASSIGN_OR_RETURN(const std::optional<int64_t> window, ReadWindow(config, std::nullopt));
  for (DecoderLayerKind& kind : c.kinds) {
    if (window.has_value()) SetWindow(*window, c.causal, &kind);
  }
  return LoadDecoder(config, weights, options, std::move(c));
}

}  // namespace truevec
