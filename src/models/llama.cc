// Llama 1 to 3 (arXiv 2302.13971, 2407.21783), causal or, with is_causal false, bidirectional; NVIDIA's published
// "llama_bidirec", whose remote code is the same model with a bidirectional mask.
// Reference: transformers/models/llama/modeling_llama.py.
#include "models/architectures.h"
#include "models/decoder_config.h"

namespace truevec {
namespace {

constexpr DecoderDefaults kDefaults = {.vocabulary = 32000,
                                       .hidden = 4096,
                                       .intermediate = 11008,
                                       .layers = 32,
                                       .heads = 32,
                                       .kv_heads = 0,
                                       .head_dim = 0,
                                       .positions = 2048,
                                       .eps = 1e-6,
                                       .tied = false};

Result<LoadedModel> LoadFamily(ConfigReader& config, const WeightScope& weights, const ModelOptions& options,
                               bool causal, const std::optional<SettingSource>& source) {
  TV_ASSIGN_OR_RETURN(DecoderConfig c, ReadDecoderSizes(config, kDefaults));
  TV_ASSIGN_OR_RETURN(c.activation, ReadActivation(config, "hidden_act", "silu"));
  TV_ASSIGN_OR_RETURN(c.qkv_bias, config.Bool({"attention_bias"}, false));
  c.output_bias = c.qkv_bias;
  TV_ASSIGN_OR_RETURN(c.mlp_bias, config.Bool({"mlp_bias"}, false));
  TV_ASSIGN_OR_RETURN(c.causal, ReadCausal(config, causal, source));
  TV_ASSIGN_OR_RETURN(RotaryEmbedding rope,
                      RotaryEmbedding::Read(config, {.head_dim = c.head_dim, .max_positions = c.max_positions}));
  c.ropes.push_back(std::move(rope));
  config.Ignore({"pretraining_tp"});  // how weights were sliced in training
  return LoadDecoder(config, weights, options, std::move(c));
}

}  // namespace

Result<LoadedModel> LoadLlama(ConfigReader& config, const WeightScope& weights, const ModelOptions& options) {
  return LoadFamily(config, weights, options, true, std::nullopt);
}

Result<LoadedModel> LoadLlamaBidirectional(ConfigReader& config, const WeightScope& weights,
                                           const ModelOptions& options) {
  // Settings of the remote code's own pooling and loss; pooling here is the model directory's.
  config.Ignore({"pooling", "temperature"});
  const JsonRef type = config.object()["model_type"];
  return LoadFamily(config, weights, options, false, SettingSource::File(type.file(), type.key()));
}

}  // namespace truevec
