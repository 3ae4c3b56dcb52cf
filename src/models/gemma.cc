// Gemma (arXiv 2403.08295), Gemma 2 (2408.00118) and the text model of Gemma 3 (2503.19786; EmbeddingGemma,
// 2509.20354). Embeddings are scaled by sqrt(hidden), norms multiply by 1 + weight. Gemma 2 adds soft caps, norms
// behind the branches and a window in every other layer; Gemma 3 query and key norms, five local layers to a global one
// with a rope each, and bidirectional attention. Reference: transformers/models/{gemma,gemma2,gemma3}/modeling_*.py.
#include <cmath>

#include "models/architectures.h"
#include "models/decoder_config.h"

namespace truevec {
namespace {

constexpr DecoderDefaults kGemma = {.vocabulary = 256000,
                                    .hidden = 3072,
                                    .intermediate = 24576,
                                    .layers = 28,
                                    .heads = 16,
                                    .kv_heads = 16,
                                    .head_dim = 256,
                                    .positions = 8192,
                                    .eps = 1e-6,
                                    .tied = true};
constexpr DecoderDefaults kGemma2 = {.vocabulary = 256000,
                                     .hidden = 2304,
                                     .intermediate = 9216,
                                     .layers = 26,
                                     .heads = 8,
                                     .kv_heads = 4,
                                     .head_dim = 256,
                                     .positions = 8192,
                                     .eps = 1e-6,
                                     .tied = true};

Result<DecoderConfig> ReadCommon(ConfigReader& config, const DecoderDefaults& defaults) {
  TV_ASSIGN_OR_RETURN(DecoderConfig c, ReadDecoderSizes(config, defaults));
  c.norm_offset = 1;
  c.embedding_scale = std::sqrt(static_cast<double>(c.hidden));
  TV_ASSIGN_OR_RETURN(c.qkv_bias, config.Bool({"attention_bias"}, false));
  c.output_bias = c.qkv_bias;
  return c;
}

// Eager and sdpa attention of the reference disagree about it in Gemma 1, and Gemma 2 ignores it.
Status RefuseBidirectionalSwitch(ConfigReader& config) {
  TV_ASSIGN_OR_RETURN(const bool bidirectional, config.Bool({"use_bidirectional_attention"}, false));
  if (!bidirectional) return Status::Ok();
  return config.Refuse("use_bidirectional_attention",
                       "the reference does not honour it consistently for this architecture; say is_causal false");
}

Result<double> ReadSoftcap(ConfigReader& config, std::string_view key, double fallback) {
  const JsonRef ref = config.Raw({key});
  if (!ref.present()) return fallback;
  if (ref.is_null()) return 0.0;
  TV_ASSIGN_OR_RETURN(const double cap, ref.Double());
  if (!(cap > 0)) return ref.TypeError("a positive number or null");
  return cap;
}

Status ReadScale(ConfigReader& config, DecoderConfig* c) {
  TV_ASSIGN_OR_RETURN(const double scalar, config.Double({"query_pre_attn_scalar"}, 256));
  if (!(scalar > 0)) return config.Refuse("query_pre_attn_scalar", "expected a positive number");
  c->attention_scale = 1 / std::sqrt(scalar);
  return Status::Ok();
}

// Window and rope of each layer; `pattern`: every pattern-th layer is global.
Status ReadAlternatingLayers(ConfigReader& config, int64_t pattern, int64_t window_left, int64_t window_right,
                             DecoderConfig* c) {
  TV_ASSIGN_OR_RETURN(
      const std::vector<bool> slides,
      ReadLayerTypes(config, c->layers, [](int64_t layer, int64_t n) { return (layer + 1) % n != 0; }, pattern));
  for (size_t i = 0; i < slides.size(); ++i) {
    if (!slides[i]) continue;
    c->kinds[i] = {window_left, window_right, c->ropes.size() > 1 ? 1 : 0};
  }
  return Status::Ok();
}

// Whether Gemma 3 attends to both sides, by which key, and its window.
Status ReadGemma3Attention(ConfigReader& config, DecoderConfig* c, DecoderLayerKind* sliding) {
  const JsonRef key = config.object()["use_bidirectional_attention"];
  TV_ASSIGN_OR_RETURN(const bool bidirectional, config.Bool({"use_bidirectional_attention"}, false));
  std::optional<SettingSource> source;
  if (bidirectional) source = SettingSource::File(key.file(), key.key());
  const bool overridden = config.overrides() != nullptr && config.overrides()->Use("is_causal") != nullptr;
  TV_ASSIGN_OR_RETURN(const bool causal, ReadCausal(config, !bidirectional, source));
  if (bidirectional && causal && !overridden) {
    return config.Refuse("is_causal", "contradicts use_bidirectional_attention");
  }
  c->causal = causal;
  TV_ASSIGN_OR_RETURN(const std::optional<int64_t> window, ReadWindow(config, 4096));
  if (!window.has_value()) return config.Refuse("sliding_window", "expected a number of tokens");
  // The switch halves the window: |i - j| < window / 2 + 1; is_causal alone leaves |i - j| <= window.
  const bool only_switch = bidirectional && !causal && !config.object()["is_causal"].present();
  const int64_t halved = *window / 2 + 1;
  SetWindow(bidirectional && !causal ? halved : *window, causal, sliding);
  if (only_switch) sliding->window_left = sliding->window_right = halved - 1;
  return Status::Ok();
}

}  // namespace

Result<LoadedModel> LoadGemma(ConfigReader& config, const WeightScope& weights, const ModelOptions& options) {
  TV_ASSIGN_OR_RETURN(DecoderConfig c, ReadCommon(config, kGemma));
  TV_ASSIGN_OR_RETURN(c.activation, ReadActivation(config, "hidden_act", "gelu_pytorch_tanh"));
  if (c.activation == Activation::kGelu) c.activation = Activation::kGeluTanh;  // what the releases mean by "gelu"
  config.Ignore({"hidden_activation"});                                         // not read by the reference
  TV_RETURN_IF_ERROR(RefuseBidirectionalSwitch(config));
  TV_ASSIGN_OR_RETURN(c.causal, ReadCausal(config, true));
  TV_ASSIGN_OR_RETURN(RotaryEmbedding rope,
                      RotaryEmbedding::Read(config, {.head_dim = c.head_dim, .max_positions = c.max_positions}));
  c.ropes.push_back(std::move(rope));
  return LoadDecoder(config, weights, options, std::move(c));
}

Result<LoadedModel> LoadGemma2(ConfigReader& config, const WeightScope& weights, const ModelOptions& options) {
  TV_ASSIGN_OR_RETURN(DecoderConfig c, ReadCommon(config, kGemma2));
  c.branch_norms = true;
  config.Ignore({"hidden_act", "sliding_window_size"});  // published beside the keys that the reference reads
  TV_ASSIGN_OR_RETURN(c.activation, ReadActivation(config, "hidden_activation", "gelu_pytorch_tanh"));
  TV_RETURN_IF_ERROR(RefuseBidirectionalSwitch(config));
  TV_RETURN_IF_ERROR(ReadScale(config, &c));
  TV_ASSIGN_OR_RETURN(c.softcap, ReadSoftcap(config, "attn_logit_softcapping", 50.0));
  TV_ASSIGN_OR_RETURN(c.logits_softcap, ReadSoftcap(config, "final_logit_softcapping", 30.0));
  TV_ASSIGN_OR_RETURN(c.causal, ReadCausal(config, true));
  TV_ASSIGN_OR_RETURN(RotaryEmbedding rope,
                      RotaryEmbedding::Read(config, {.head_dim = c.head_dim, .max_positions = c.max_positions}));
  c.ropes.push_back(std::move(rope));
  TV_ASSIGN_OR_RETURN(const std::optional<int64_t> window, ReadWindow(config, 4096));
  if (!window.has_value()) return config.Refuse("sliding_window", "expected a number of tokens");
  DecoderLayerKind sliding;
  SetWindow(*window, c.causal, &sliding);
  TV_RETURN_IF_ERROR(ReadAlternatingLayers(config, 2, sliding.window_left, sliding.window_right, &c));
  return LoadDecoder(config, weights, options, std::move(c));
}

Result<LoadedModel> LoadGemma3(ConfigReader& config, const WeightScope& weights, const ModelOptions& options) {
  DecoderDefaults defaults = kGemma2;
  defaults.vocabulary = 262208;
  defaults.positions = 131072;
  TV_ASSIGN_OR_RETURN(DecoderConfig c, ReadCommon(config, defaults));
  c.branch_norms = true;
  c.head_norms = true;
  config.Ignore({"hidden_act"});  // as above
  TV_ASSIGN_OR_RETURN(c.activation, ReadActivation(config, "hidden_activation", "gelu_pytorch_tanh"));
  TV_RETURN_IF_ERROR(ReadScale(config, &c));
  TV_ASSIGN_OR_RETURN(const double softcap, ReadSoftcap(config, "attn_logit_softcapping", 0));
  if (softcap > 0) return config.Refuse("attn_logit_softcapping", "the reference ignores it in Gemma 3");
  TV_ASSIGN_OR_RETURN(c.logits_softcap, ReadSoftcap(config, "final_logit_softcapping", 0));
  DecoderLayerKind sliding;
  TV_RETURN_IF_ERROR(ReadGemma3Attention(config, &c, &sliding));
  RopeKeys keys{.head_dim = c.head_dim, .max_positions = c.max_positions};
  keys.default_theta = 1e6;
  keys.layer_type = "full_attention";
  TV_ASSIGN_OR_RETURN(RotaryEmbedding global, RotaryEmbedding::Read(config, keys));
  c.ropes.push_back(std::move(global));
  keys.default_theta = 10000;
  keys.layer_type = "sliding_attention";
  keys.theta = "rope_local_base_freq";
  keys.takes_scaling = false;
  TV_ASSIGN_OR_RETURN(RotaryEmbedding local, RotaryEmbedding::Read(config, keys));
  c.ropes.push_back(std::move(local));
  TV_ASSIGN_OR_RETURN(const int64_t pattern,
                      config.IntIn({"sliding_window_pattern", "_sliding_window_pattern"}, 1, 1024, 6));
  TV_RETURN_IF_ERROR(ReadAlternatingLayers(config, pattern, sliding.window_left, sliding.window_right, &c));
  return LoadDecoder(config, weights, options, std::move(c));
}

}  // namespace truevec
