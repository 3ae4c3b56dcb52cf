#include "models/decoder_config.h"

#include <cmath>

namespace truevec {

constexpr int64_t kMax = int64_t{1} << 24;

Result<DecoderConfig> ReadDecoderSizes(ConfigReader& config, const DecoderDefaults& d) {
  DecoderConfig c;
  TV_ASSIGN_OR_RETURN(c.vocabulary, config.IntIn({"vocab_size"}, 1, kMax, d.vocabulary));
  TV_ASSIGN_OR_RETURN(c.hidden, config.IntIn({"hidden_size"}, 1, kMax, d.hidden));
  TV_ASSIGN_OR_RETURN(c.intermediate, config.IntIn({"intermediate_size"}, 1, kMax, d.intermediate));
  TV_ASSIGN_OR_RETURN(c.layers, config.IntIn({"num_hidden_layers"}, 0, 1024, d.layers));
  TV_ASSIGN_OR_RETURN(c.heads, config.IntIn({"num_attention_heads"}, 1, kMax, d.heads));
  TV_ASSIGN_OR_RETURN(c.kv_heads,
                      config.IntIn({"num_key_value_heads"}, 1, kMax, d.kv_heads > 0 ? d.kv_heads : c.heads));
  if (c.heads % c.kv_heads != 0) {
    return config.Refuse("num_key_value_heads",
                         std::to_string(c.heads) + " heads are not a multiple of " + std::to_string(c.kv_heads));
  }
  TV_ASSIGN_OR_RETURN(c.head_dim,
                      config.IntIn({"head_dim"}, 1, kMax, d.head_dim > 0 ? d.head_dim : c.hidden / c.heads));
  TV_ASSIGN_OR_RETURN(c.max_positions, config.IntIn({"max_position_embeddings"}, 1, kMax, d.positions));
  TV_ASSIGN_OR_RETURN(c.eps, config.Double({"rms_norm_eps"}, d.eps));
  TV_ASSIGN_OR_RETURN(c.tied, config.Bool({"tie_word_embeddings"}, d.tied));
  c.attention_scale = 1 / std::sqrt(static_cast<double>(c.head_dim));
  c.kinds.resize(static_cast<size_t>(c.layers));
  config.Ignore({"cache_implementation", "_attn_implementation", "_flash_attn_2_enabled"});
  return c;
}

Result<Activation> ReadActivation(ConfigReader& config, std::string_view key, std::string fallback) {
  const json::value* over = config.overrides() == nullptr ? nullptr : config.overrides()->Use("hidden_act");
  std::string name;
  if (over != nullptr && over->is_string()) {
    name = std::string(over->get_string());
    config.Ignore({key});
    if (config.settings() != nullptr) {
      config.settings()->Record("activation", *over, SettingSource::Override("activation=" + name));
    }
  } else {
    TV_ASSIGN_OR_RETURN(name, config.String({key}, std::move(fallback)));
  }
  auto parsed = ActivationByName(name);
  if (!parsed.ok()) return config.Refuse(key, parsed.status().message());
  return *parsed;
}

Result<bool> ReadCausal(ConfigReader& config, bool fallback, const std::optional<SettingSource>& source) {
  const JsonRef own = config.object()["is_causal"];
  const json::value* over = config.overrides() == nullptr ? nullptr : config.overrides()->Use("is_causal");
  config.Ignore({"is_causal"});
  if (own.present() && !own.is_bool()) return own.TypeError("true or false");
  if (over != nullptr && !over->is_bool()) return UsageError("--override is_causal: expected true or false");
  const SettingSource file = SettingSource::File(own.file(), own.key());
  SettingSource used = source.value_or(SettingSource::Default(config.default_source() + " config class"));
  bool causal = fallback;
  if (own.present()) {
    causal = *own.Bool();
    used = file;
  }
  if (over != nullptr) {
    causal = over->get_bool();
    used = SettingSource::Override("is_causal=" + WriteJson(*over));
  }
  if (Settings* settings = config.settings(); settings != nullptr) {
    const auto name = [](bool value) { return json::value(value ? "causal" : "bidirectional"); };
    settings->Record("attention", name(causal), used);
    if (over != nullptr && own.present() && *own.Bool() != causal) {
      settings->AddConflict("attention", name(!causal), file);
    }
    if ((over != nullptr || own.present()) && source.has_value() && fallback != causal) {
      settings->AddConflict("attention", name(fallback), *source);
    }
  }
  return causal;
}

Result<std::optional<int64_t>> ReadWindow(ConfigReader& config, std::optional<int64_t> fallback) {
  const JsonRef ref = config.Raw({"sliding_window"});
  if (!ref.present()) return fallback;
  if (ref.is_null()) return std::optional<int64_t>();
  TV_ASSIGN_OR_RETURN(const int64_t window, ref.Int());
  if (window < 1) return ref.TypeError("a positive number of tokens");
  return std::optional<int64_t>(window);
}

void SetWindow(int64_t window, bool causal, DecoderLayerKind* kind) {
  kind->window_left = causal ? window - 1 : window;
  kind->window_right = causal ? -1 : window;
}

Result<std::vector<bool>> ReadLayerTypes(ConfigReader& config, int64_t layers, bool (*slides)(int64_t layer, int64_t n),
                                         int64_t n) {
  std::vector<bool> types;
  const JsonRef list = config.Raw({"layer_types"});
  if (!list.present() || list.is_null()) {
    for (int64_t i = 0; i < layers; ++i) types.push_back(slides(i, n));
    return types;
  }
  if (!list.is_array() || static_cast<int64_t>(list.size()) != layers) {
    return list.TypeError("a list of " + std::to_string(layers) + " layer types");
  }
  for (size_t i = 0; i < list.size(); ++i) {
    TV_ASSIGN_OR_RETURN(const std::string type, list.At(i).String());
    if (type != "full_attention" && type != "sliding_attention") {
      return ModelError(list.At(i).Where() + ": layer type \"" + type +
                        "\" is not supported; known: full_attention, sliding_attention");
    }
    types.push_back(type == "sliding_attention");
  }
  return types;
}

}  // namespace truevec
