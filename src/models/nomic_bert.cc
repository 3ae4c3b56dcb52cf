// NomicBERT (Nussbaum et al. 2024, arXiv 2402.01613) and its mixture of experts (2025, arXiv 2502.07972):
// nomic-embed-text-v1, v1.5, v2-moe. Post-norm, rotary positions, gated or plain feed-forward.
// Published with GPT-2's config keys (n_embd, ...), which transformers' own class takes and ignores; read here as
// nomic-ai's code does. Reference: transformers/models/nomic_bert/modeling_nomic_bert.py for what it covers, else
// nomic-ai/nomic-bert-2048 modeling_hf_nomic_bert.py.
#include "models/architectures.h"
#include "models/embeddings.h"
#include "models/heads.h"
#include "models/rotary_layers.h"

namespace truevec {
namespace {

constexpr int64_t kMax = int64_t{1} << 24;
constexpr RotaryNaming kPublished = {
    "encoder.layers",
    {"attn.Wqkv", "", "", "", "attn.out_proj", "norm1", "", "mlp.fc11", "mlp.fc12", "mlp.fc2", "norm2"}};

struct NomicConfig {
  EmbeddingsConfig embeddings;
  PostNormConfig encoder;
  RotaryEmbedding rope;
  bool gated = true;
  bool qkv_bias = false, up_bias = false, down_bias = false;
  int64_t expert_period = 0;  // 0: no experts; else layers i with i % period == 1 have them
  int64_t experts = 0, top_k = 0;
};

// Values of the publisher's code that no published model uses.
Status RequireUsual(ConfigReader& config) {
  for (const char* key : {"causal", "parallel_block", "parallel_block_tied_norm", "prenorm", "reorder_and_upcast_attn",
                          "rotary_emb_interleaved", "scale_attn_by_inverse_layer_idx", "use_rms_norm",
                          "expert_choice_router", "moe_normalize_expert_weights"}) {
    TV_RETURN_IF_ERROR(config.RequireBool({key}, false));
  }
  TV_RETURN_IF_ERROR(config.RequireBool({"scale_attn_weights"}, true));
  for (const char* key : {"rotary_emb_scale_base", "ffn_div", "num_shared_experts"}) {
    const JsonRef ref = config.Raw({key});
    if (!ref.present() || ref.is_null()) continue;
    TV_ASSIGN_OR_RETURN(const double value, ref.Double());
    const double usual = std::string_view(key) == "ffn_div" ? 1 : 0;
    if (value != usual) return config.Refuse(key, "only " + std::to_string(static_cast<int>(usual)) + " is supported");
  }
  config.Ignore({"attn_pdrop", "dense_seq_output", "fused_bias_fc", "fused_dropout_add_ln", "pad_vocab_size_multiple",
                 "summary_activation", "summary_first_dropout", "summary_proj_to_labels", "summary_type",
                 "summary_use_proj", "use_flash_attn", "use_xentropy", "moe_impl", "moe_resid_pdrop",
                 "router_aux_loss_coef", "add_pooling_layer", "last_layer_subset", "embd_pdrop", "resid_pdrop"});
  return Status::Ok();
}

Status ReadActivationFunction(ConfigReader& config, NomicConfig* c) {
  TV_ASSIGN_OR_RETURN(const std::string name, config.String({"activation_function"}, "gelu"));
  c->gated = name == "swiglu" || name == "geglu" || name == "glu";
  if (!c->gated) {
    TV_ASSIGN_OR_RETURN(c->encoder.activation, ReadActivation(config, {"activation_function"}, "gelu"));
    return Status::Ok();
  }
  c->encoder.activation = name == "swiglu"  ? Activation::kSilu
                          : name == "geglu" ? Activation::kGelu
                                            : Activation::kSigmoid;
  return Status::Ok();
}

Status ReadExperts(ConfigReader& config, NomicConfig* c) {
  TV_ASSIGN_OR_RETURN(c->expert_period, config.IntIn({"moe_every_n_layers"}, 0, 1024, 0));
  TV_ASSIGN_OR_RETURN(c->experts, config.IntIn({"num_experts"}, 0, 4096, 0));
  TV_ASSIGN_OR_RETURN(c->top_k, config.IntIn({"moe_top_k"}, 1, 4096, 1));
  if (c->expert_period == 0) return Status::Ok();
  if (c->experts < 1) return config.Refuse("num_experts", "expected a positive number of experts");
  if (c->top_k > c->experts) return config.Refuse("moe_top_k", "exceeds num_experts");
  return Status::Ok();
}

// transformers' hidden_size and so on are accepted beside GPT-2's names, which win.
Result<NomicConfig> ParsePublished(ConfigReader& config) {
  NomicConfig c;
  TV_ASSIGN_OR_RETURN(c.embeddings.vocabulary, config.IntIn({"vocab_size"}, 1, kMax, 50257));
  TV_ASSIGN_OR_RETURN(c.encoder.hidden, config.IntIn({"n_embd", "hidden_size"}, 1, kMax, 768));
  TV_ASSIGN_OR_RETURN(c.encoder.layers, config.IntIn({"n_layer", "num_hidden_layers"}, 0, 1024, 12));
  TV_ASSIGN_OR_RETURN(c.encoder.heads, config.IntIn({"n_head", "num_attention_heads"}, 1, kMax, 12));
  TV_ASSIGN_OR_RETURN(c.encoder.intermediate,
                      config.IntIn({"n_inner", "intermediate_size"}, 1, kMax, 4 * c.encoder.hidden));
  TV_ASSIGN_OR_RETURN(c.embeddings.types, config.IntIn({"type_vocab_size"}, 0, kMax, 2));
  TV_ASSIGN_OR_RETURN(c.encoder.eps, config.Double({"layer_norm_epsilon", "layer_norm_eps"}, 1e-5));
  TV_ASSIGN_OR_RETURN(c.qkv_bias, config.Bool({"qkv_proj_bias"}, true));
  TV_ASSIGN_OR_RETURN(c.up_bias, config.Bool({"mlp_fc1_bias"}, true));
  TV_ASSIGN_OR_RETURN(c.down_bias, config.Bool({"mlp_fc2_bias"}, true));
  TV_RETURN_IF_ERROR(ReadActivationFunction(config, &c));
  TV_RETURN_IF_ERROR(ReadExperts(config, &c));
  TV_RETURN_IF_ERROR(RequireUsual(config));
  TV_RETURN_IF_ERROR(CheckHeads(config, "n_head", c.encoder));
  RopeParameters rope;
  TV_ASSIGN_OR_RETURN(const double fraction, config.Double({"rotary_emb_fraction"}, 0.0));
  if (fraction != 1) return config.Refuse("rotary_emb_fraction", "only 1 is supported");
  TV_ASSIGN_OR_RETURN(rope.theta, config.Double({"rotary_emb_base"}, 1000.0));
  TV_ASSIGN_OR_RETURN(rope.max_positions, config.IntIn({"max_trained_positions"}, 1, kMax, 2048));
  config.Ignore({"n_positions", "max_position_embeddings"});
  const JsonRef factor = config.Raw({"rotary_scaling_factor"});
  if (factor.present() && !factor.is_null()) {
    TV_ASSIGN_OR_RETURN(const double value, factor.Double());
    if (value != 0) {
      rope.type = "dynamic";
      rope.factor = value;
      rope.double_base = true;
    }
  }
  rope.original_positions = rope.max_positions;
  TV_ASSIGN_OR_RETURN(c.rope, RotaryEmbedding::Create(rope, c.encoder.hidden / c.encoder.heads));
  return c;
}

Result<NomicConfig> ParseNative(ConfigReader& config) {
  NomicConfig c;
  TV_ASSIGN_OR_RETURN(c.embeddings.vocabulary, config.IntIn({"vocab_size"}, 1, kMax, 30528));
  TV_ASSIGN_OR_RETURN(c.encoder.hidden, config.IntIn({"hidden_size"}, 1, kMax, 768));
  TV_ASSIGN_OR_RETURN(c.encoder.layers, config.IntIn({"num_hidden_layers"}, 0, 1024, 12));
  TV_ASSIGN_OR_RETURN(c.encoder.heads, config.IntIn({"num_attention_heads"}, 1, kMax, 12));
  TV_ASSIGN_OR_RETURN(c.encoder.intermediate, config.IntIn({"intermediate_size"}, 1, kMax, 3072));
  TV_ASSIGN_OR_RETURN(c.embeddings.types, config.IntIn({"type_vocab_size"}, 1, kMax, 2));
  TV_ASSIGN_OR_RETURN(c.encoder.eps, config.Double({"layer_norm_eps"}, 1e-12));
  TV_ASSIGN_OR_RETURN(c.encoder.activation, ReadActivation(config, {"hidden_act"}, "silu"));
  TV_RETURN_IF_ERROR(CheckHeads(config, "num_attention_heads", c.encoder));
  RopeKeys keys;
  keys.default_theta = 1000;
  TV_ASSIGN_OR_RETURN(keys.max_positions, config.IntIn({"max_position_embeddings"}, 1, kMax, 2048));
  TV_ASSIGN_OR_RETURN(keys.head_dim, config.IntIn({"head_dim"}, 1, kMax, c.encoder.hidden / c.encoder.heads));
  if (keys.head_dim * c.encoder.heads != c.encoder.hidden) {
    return config.Refuse("head_dim", "only hidden_size / num_attention_heads is supported");
  }
  TV_ASSIGN_OR_RETURN(c.rope, RotaryEmbedding::Read(config, keys));
  return c;
}

// The publisher's gated code rounds the inner width up to a multiple of 256; the tensors say which it was.
Result<int64_t> InnerWidth(const NomicConfig& c, const WeightScope& layer, const RotaryLayerNames& names) {
  const WeightScope first = layer.Sub(names.first);
  TV_ASSIGN_OR_RETURN(const TensorView weight, first.Get("weight", {-1, c.encoder.hidden}));
  const int64_t rounded = (c.encoder.intermediate + 255) / 256 * 256;
  if (weight.shape[0] == c.encoder.intermediate || weight.shape[0] == rounded) return weight.shape[0];
  TV_RETURN_IF_ERROR(first.Get("weight", {c.encoder.intermediate, c.encoder.hidden}).status());
  return c.encoder.intermediate;
}

// w1, w2 [experts * inner, width]: up = x w1^T, down = h w2, so w2 is transposed for packing.
Result<std::unique_ptr<FeedForward>> LoadExperts(const NomicConfig& c, const WeightScope& mlp, ComputeType type) {
  const int64_t width = c.encoder.hidden;
  const int64_t inner = c.encoder.intermediate;
  MixtureOfExperts m;
  m.top_k = c.top_k;
  m.activation = c.encoder.activation;
  TV_ASSIGN_OR_RETURN(m.router, LoadLinear(mlp.Sub("router.layer"), width, c.experts, ComputeType::kFloat32, false));
  const WeightScope experts = mlp.Sub("experts");
  TV_ASSIGN_OR_RETURN(m.bias, experts.GetFloats("bias", {width}));
  TV_ASSIGN_OR_RETURN(const TensorView up, experts.Get("mlp.w1", {c.experts * inner, width}));
  TV_ASSIGN_OR_RETURN(const TensorView down, experts.Get("mlp.w2", {c.experts * inner, width}));
  const size_t bytes = static_cast<size_t>(inner * width) * ElementBytes(up.dtype);
  const size_t down_bytes = static_cast<size_t>(inner * width) * ElementBytes(down.dtype);
  std::vector<float> values(static_cast<size_t>(inner * width));
  std::vector<float> transposed(values.size());
  for (int64_t e = 0; e < c.experts; ++e) {
    const auto index = static_cast<size_t>(e);
    const TensorView part{static_cast<const char*>(up.data) + index * bytes, up.dtype, {inner, width}};
    m.up.push_back(Linear::Pack({&part, 1}, {}, type));
    ConvertToFloat(static_cast<const char*>(down.data) + index * down_bytes, down.dtype, inner * width, values.data());
    for (int64_t i = 0; i < inner; ++i) {
      for (int64_t o = 0; o < width; ++o) {
        transposed[static_cast<size_t>(o * inner + i)] = values[static_cast<size_t>(i * width + o)];
      }
    }
    const TensorView view{transposed.data(), DType::kF32, {width, inner}};
    m.down.push_back(Linear::Pack({&view, 1}, {}, type));
  }
  return ExpertFeedForward(std::move(m));
}

Result<std::unique_ptr<FeedForward>> LoadFeedForward(const NomicConfig& c, const RotaryLayerNames& names,
                                                     const WeightScope& w, int64_t index, ComputeType type) {
  const int64_t width = c.encoder.hidden;
  if (c.expert_period > 0 && index % c.expert_period == 1) return LoadExperts(c, w.Sub("mlp"), type);
  if (c.gated) {
    TV_ASSIGN_OR_RETURN(const int64_t inner, InnerWidth(c, w, names));
    TV_ASSIGN_OR_RETURN(Linear both, LoadGateUp(w, names, width, inner, c.up_bias, type));
    TV_ASSIGN_OR_RETURN(Linear down, LoadLinear(w.Sub(names.down), inner, width, type, c.down_bias));
    return GatedFeedForward(std::move(both), false, c.encoder.activation, std::move(down));
  }
  TV_ASSIGN_OR_RETURN(Linear up, LoadLinear(w.Sub("mlp.fc1"), width, c.encoder.intermediate, type, c.up_bias));
  TV_ASSIGN_OR_RETURN(Linear down, LoadLinear(w.Sub(names.down), c.encoder.intermediate, width, type, c.down_bias));
  return PlainFeedForward(std::move(up), c.encoder.activation, std::move(down));
}

Result<PostNormLayer> LoadLayer(const NomicConfig& c, const RotaryLayerNames& names, const WeightScope& w,
                                int64_t index, ComputeType type) {
  const int64_t width = c.encoder.hidden;
  PostNormLayer layer;
  TV_ASSIGN_OR_RETURN(layer.qkv, LoadQkv(w, names, width, c.qkv_bias, type));
  TV_ASSIGN_OR_RETURN(layer.attention_output,
                      LoadLinear(w.Sub(names.attention_output), width, width, type, c.qkv_bias));
  TV_ASSIGN_OR_RETURN(layer.attention_norm, NormWeights::Load(w.Sub(names.attention_norm), width, c.encoder.eps));
  TV_ASSIGN_OR_RETURN(layer.feed_forward, LoadFeedForward(c, names, w, index, type));
  TV_ASSIGN_OR_RETURN(layer.output_norm, NormWeights::Load(w.Sub(names.output_norm), width, c.encoder.eps));
  w.IgnoreUnder("attn.rotary_emb");
  return layer;
}

Result<std::unique_ptr<Head>> LoadHead(const NomicConfig& c, const WeightScope& weights, const WeightScope& root,
                                       const Embeddings& embeddings, ConfigReader& config,
                                       const ModelOptions& options) {
  if (options.task == Task::kSequenceClassification) {
    return LoadFirstTokenHead(root.Sub("pooler.dense"), Activation::kTanh, weights.Sub("classifier"), c.encoder.hidden,
                              options.compute_type);
  }
  const WeightScope head = weights.Sub("cls.predictions");
  if (!head.Has("transform.dense.bias")) {
    return config.Refuse("architectures", "a masked-LM head without biases is not supported");
  }
  TensorView decoder = embeddings.words();
  if (head.Has("decoder.weight")) {
    TV_ASSIGN_OR_RETURN(decoder, head.Get("decoder.weight", decoder.shape));
  }
  const char* name = head.Has("bias") ? "bias" : "decoder.bias";
  TV_ASSIGN_OR_RETURN(const TensorView bias, head.Get(name, {c.embeddings.vocabulary}));
  head.Ignore("decoder.bias");
  return LoadMlmHead({head.Sub("transform.dense"), head.Sub("transform.layer_norm"), c.encoder.eps,
                      c.encoder.activation, decoder, bias},
                     c.encoder.hidden, options.compute_type);
}

}  // namespace

Result<LoadedModel> LoadNomicBert(ConfigReader& config, const WeightScope& weights, const ModelOptions& options) {
  // transformers' own files name no rotary_emb_fraction.
  const bool published = config.Has("n_embd") || config.Has("rotary_emb_fraction");
  TV_ASSIGN_OR_RETURN(NomicConfig c, published ? ParsePublished(config) : ParseNative(config));
  if (options.task == Task::kCausalLm) {
    return config.Refuse("architectures", "a causal head on an encoder is not supported");
  }
  c.embeddings.width = c.encoder.hidden;
  c.embeddings.eps = c.encoder.eps;
  const WeightScope root = weights.HasAnyUnder("bert")         ? weights.Sub("bert")
                           : weights.HasAnyUnder("nomic_bert") ? weights.Sub("nomic_bert")
                                                               : weights;
  const WeightScope embedding_scope = root.Sub("embeddings");
  const WeightScope norm = root.HasAnyUnder("emb_ln") ? root.Sub("emb_ln") : embedding_scope.Sub("LayerNorm");
  TV_ASSIGN_OR_RETURN(Embeddings embeddings, Embeddings::Load(c.embeddings, embedding_scope, norm));
  const RotaryNaming& naming = ChooseNaming(root, kPublished, kNativeRotaryNaming);
  std::vector<PostNormLayer> layers;
  for (int64_t i = 0; i < c.encoder.layers; ++i) {
    TV_ASSIGN_OR_RETURN(PostNormLayer layer,
                        LoadLayer(c, naming.names, root.Sub(naming.layers, i), i, options.compute_type));
    layers.push_back(std::move(layer));
  }
  LoadedModel loaded;
  if (options.task != Task::kFeatureExtraction) {
    TV_ASSIGN_OR_RETURN(loaded.head, LoadHead(c, weights, root, embeddings, config, options));
  }
  loaded.model = std::make_unique<RotaryEncoder>(std::move(embeddings), PostNormEncoder(c.encoder, std::move(layers)),
                                                 std::move(c.rope));
  root.IgnoreUnder("pooler");
  for (const char* head : {"cls", "classifier"}) weights.IgnoreUnder(head);
  return loaded;
}

}  // namespace truevec
