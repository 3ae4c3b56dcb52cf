// Qwen2 (arXiv 2407.10671) and Qwen3 (arXiv 2505.09388). Qwen2 has biases on q, k, v; Qwen3 norms each query and key
// head. Reference: transformers/models/{qwen2,qwen3}/modeling_*.py.
#include "models/architectures.h"
#include "models/decoder_config.h"

namespace truevec {
namespace {

constexpr DecoderDefaults kDefaults = {.vocabulary = 151936,
                                       .hidden = 4096,
                                       .intermediate = 22016,
                                       .layers = 32,
                                       .heads = 32,
                                       .kv_heads = 32,
                                       .head_dim = 0,
                                       .positions = 32768,
                                       .eps = 1e-6,
                                       .tied = false};

// The sliding window, off by default, of layers from max_window_layers on.
Status ReadQwenWindows(ConfigReader& config, DecoderConfig* c) {
  TV_ASSIGN_OR_RETURN(const bool use, config.Bool({"use_sliding_window"}, false));
  TV_ASSIGN_OR_RETURN(std::optional<int64_t> window, ReadWindow(config, 4096));
  TV_ASSIGN_OR_RETURN(const int64_t full, config.Int({"max_window_layers"}, 28));
  if (!use) window.reset();
  TV_ASSIGN_OR_RETURN(const std::vector<bool> slides,
                      ReadLayerTypes(
                          config, c->layers, [](int64_t layer, int64_t first) { return layer >= first; },
                          window.has_value() ? full : c->layers));
  for (size_t i = 0; i < slides.size(); ++i) {
    if (!slides[i]) continue;
    if (!window.has_value()) return config.Refuse("layer_types", "sliding_attention without a sliding window in use");
    SetWindow(*window, c->causal, &c->kinds[i]);
  }
  if (!use && config.settings() != nullptr) {
    config.settings()->Record("sliding_window", json::value(),
                              SettingSource::File(config.object().file(), "use_sliding_window"));
  }
  return Status::Ok();
}

// Alibaba's modeling_qwen.py (gte-Qwen2), which AutoModel runs when remote code is trusted, is bidirectional unless
// told otherwise.
std::optional<SettingSource> RemoteBidirectional(const ConfigReader& config) {
  const JsonRef remote = config.object()["auto_map"]["AutoModel"];
  if (!remote.is_string() || !remote.String()->starts_with("modeling_qwen.")) return std::nullopt;
  return SettingSource::File(remote.file(), remote.key());
}

Result<LoadedModel> LoadFamily(ConfigReader& config, const WeightScope& weights, const ModelOptions& options,
                               DecoderConfig c) {
  TV_ASSIGN_OR_RETURN(c.activation, ReadActivation(config, "hidden_act", "silu"));
  TV_ASSIGN_OR_RETURN(RotaryEmbedding rope,
                      RotaryEmbedding::Read(config, {.head_dim = c.head_dim, .max_positions = c.max_positions}));
  c.ropes.push_back(std::move(rope));
  TV_RETURN_IF_ERROR(ReadQwenWindows(config, &c));
  TV_RETURN_IF_ERROR(config.RequireBool({"use_mrope"}, false));
  return LoadDecoder(config, weights, options, std::move(c));
}

}  // namespace

Result<LoadedModel> LoadQwen2(ConfigReader& config, const WeightScope& weights, const ModelOptions& options) {
  TV_ASSIGN_OR_RETURN(DecoderConfig c, ReadDecoderSizes(config, kDefaults));
  c.qkv_bias = true;
  const std::optional<SettingSource> remote = RemoteBidirectional(config);
  TV_ASSIGN_OR_RETURN(c.causal, ReadCausal(config, !remote.has_value(), remote));
  return LoadFamily(config, weights, options, std::move(c));
}

Result<LoadedModel> LoadQwen3(ConfigReader& config, const WeightScope& weights, const ModelOptions& options) {
  DecoderDefaults defaults = kDefaults;
  defaults.head_dim = 128;
  TV_ASSIGN_OR_RETURN(DecoderConfig c, ReadDecoderSizes(config, defaults));
  TV_ASSIGN_OR_RETURN(c.qkv_bias, config.Bool({"attention_bias"}, false));
  c.output_bias = c.qkv_bias;
  c.head_norms = true;
  TV_ASSIGN_OR_RETURN(c.causal, ReadCausal(config, true));
  return LoadFamily(config, weights, options, std::move(c));
}

}  // namespace truevec
