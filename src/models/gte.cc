// GTE v1.5 and multilingual (Zhang et al. 2024, arXiv 2407.19669), published as Alibaba-NLP's "new" models
// (gte-*-en-v1.5, gte-multilingual-*, stella_en_400M) and as transformers' "gte" (Snowflake arctic-embed-m-v2.0):
// post-norm, rotary positions, gated feed-forward.
// Reference: transformers/models/gte/modeling_gte.py; the fixed NTK scaling is that of Alibaba-NLP/new-impl.
#include "models/architectures.h"
#include "models/embeddings.h"
#include "models/heads.h"
#include "models/rotary_layers.h"

namespace truevec {
namespace {

constexpr int64_t kMax = int64_t{1} << 24;
constexpr RotaryNaming kPublished = {
    "encoder.layer",
    {"attention.qkv_proj", "attention.q_proj", "attention.k_proj", "attention.v_proj", "attention.o_proj", "attn_ln",
     "mlp.up_gate_proj", "", "", "mlp.down_proj", "mlp_ln"}};

struct GteConfig {
  EmbeddingsConfig embeddings;
  PostNormConfig encoder;
  RotaryEmbedding rope;
};

// "ntk" is in no version of transformers; everything else is.
Result<RotaryEmbedding> ReadRope(ConfigReader& config, const RopeKeys& keys) {
  const JsonRef scaling = config.object()["rope_scaling"];
  const JsonRef type = scaling["type"].present() ? scaling["type"] : scaling["rope_type"];
  const bool overridden = config.overrides() != nullptr && config.overrides()->Use("rope_scaling") != nullptr;
  if (overridden || !type.is_string() || type.String().value() != "ntk") return RotaryEmbedding::Read(config, keys);
  RopeParameters p;
  p.type = "ntk";
  p.max_positions = p.original_positions = keys.max_positions;
  config.Raw({"rope_scaling"});
  config.Ignore({"rope_parameters"});
  TV_ASSIGN_OR_RETURN(p.theta, config.Double({"rope_theta"}, keys.default_theta));
  TV_ASSIGN_OR_RETURN(p.factor, scaling["factor"].Double());
  if (const JsonRef mixed = scaling["mixed_b"]; mixed.present() && !mixed.is_null()) {
    TV_ASSIGN_OR_RETURN(p.mixed_b, mixed.Double());
  }
  for (const std::string& key : scaling.Keys()) {
    if (key != "type" && key != "rope_type" && key != "factor" && key != "mixed_b") {
      return ModelError(scaling[key].Where() + ": unknown key that could change vectors");
    }
  }
  return RotaryEmbedding::Create(p, keys.head_dim);
}

Result<GteConfig> Parse(ConfigReader& config) {
  GteConfig c;
  TV_ASSIGN_OR_RETURN(const std::string type, config.String({"model_type"}));
  const bool native = type == "gte";
  TV_ASSIGN_OR_RETURN(c.embeddings.vocabulary, config.IntIn({"vocab_size"}, 1, kMax, native ? 250048 : 30528));
  TV_ASSIGN_OR_RETURN(c.encoder.hidden, config.IntIn({"hidden_size"}, 1, kMax, 768));
  TV_ASSIGN_OR_RETURN(c.encoder.layers, config.IntIn({"num_hidden_layers"}, 0, 1024, 12));
  TV_ASSIGN_OR_RETURN(c.encoder.heads, config.IntIn({"num_attention_heads"}, 1, kMax, 12));
  TV_ASSIGN_OR_RETURN(c.encoder.intermediate, config.IntIn({"intermediate_size"}, 1, kMax, 3072));
  TV_ASSIGN_OR_RETURN(c.embeddings.types, config.IntIn({"type_vocab_size"}, 0, kMax, 1));
  TV_ASSIGN_OR_RETURN(c.encoder.eps, config.Double({"layer_norm_eps"}, 1e-12));
  c.embeddings.eps = c.encoder.eps;
  c.embeddings.width = c.encoder.hidden;
  TV_ASSIGN_OR_RETURN(c.encoder.activation, ReadActivation(config, {"hidden_act"}, "gelu"));
  TV_RETURN_IF_ERROR(config.OneOf({"layer_norm_type"}, {"layer_norm"}, "layer_norm").status());
  TV_RETURN_IF_ERROR(config.OneOf({"position_embedding_type"}, {"rope"}, "rope").status());
  TV_RETURN_IF_ERROR(config.RequireBool({"logn_attention_scale"}, false));
  TV_RETURN_IF_ERROR(config.RequireBool({"logn_attention_clip1"}, false));
  TV_RETURN_IF_ERROR(CheckHeads(config, "num_attention_heads", c.encoder));
  // pack_qkv shows in the tensors; the others are how PyTorch runs.
  config.Ignore({"pack_qkv", "unpad_inputs", "use_memory_efficient_attention"});
  RopeKeys keys;
  keys.head_dim = c.encoder.hidden / c.encoder.heads;
  TV_ASSIGN_OR_RETURN(keys.max_positions, config.IntIn({"max_position_embeddings"}, 1, kMax, native ? 8192 : 2048));
  keys.default_theta = native ? 160000 : 10000;
  TV_ASSIGN_OR_RETURN(c.rope, ReadRope(config, keys));
  return c;
}

Result<PostNormLayer> LoadLayer(const GteConfig& c, const RotaryLayerNames& names, const WeightScope& w,
                                ComputeType type) {
  const int64_t width = c.encoder.hidden;
  const int64_t inner = c.encoder.intermediate;
  PostNormLayer layer;
  TV_ASSIGN_OR_RETURN(layer.qkv, LoadQkv(w, names, width, true, type));
  TV_ASSIGN_OR_RETURN(layer.attention_output, LoadLinear(w.Sub(names.attention_output), width, width, type));
  TV_ASSIGN_OR_RETURN(layer.attention_norm, NormWeights::Load(w.Sub(names.attention_norm), width, c.encoder.eps));
  TV_ASSIGN_OR_RETURN(Linear gate_up, LoadGateUp(w, names, width, inner, false, type));
  TV_ASSIGN_OR_RETURN(Linear down, LoadLinear(w.Sub(names.down), inner, width, type));
  layer.feed_forward = GatedFeedForward(std::move(gate_up), false, c.encoder.activation, std::move(down));
  TV_ASSIGN_OR_RETURN(layer.output_norm, NormWeights::Load(w.Sub(names.output_norm), width, c.encoder.eps));
  return layer;
}

Result<std::unique_ptr<Head>> LoadHead(const GteConfig& c, const WeightScope& weights, const WeightScope& root,
                                       const Embeddings& embeddings, const ModelOptions& options) {
  if (options.task == Task::kSequenceClassification) {
    return LoadFirstTokenHead(root.Sub("pooler.dense"), Activation::kTanh, weights.Sub("classifier"), c.encoder.hidden,
                              options.compute_type);
  }
  const WeightScope head = weights.Sub("lm_head");
  TensorView decoder = embeddings.words();
  if (head.Has("decoder.weight")) {
    TV_ASSIGN_OR_RETURN(decoder, head.Get("decoder.weight", decoder.shape));
  }
  TV_ASSIGN_OR_RETURN(const TensorView bias, head.Get("decoder.bias", {c.embeddings.vocabulary}));
  const WeightScope norm = head.Sub(head.HasAnyUnder("norm") ? "norm" : "layer_norm");
  return LoadMlmHead({head.Sub("dense"), norm, c.encoder.eps, c.encoder.activation, decoder, bias}, c.encoder.hidden,
                     options.compute_type);
}

}  // namespace

Result<LoadedModel> LoadGte(ConfigReader& config, const WeightScope& weights, const ModelOptions& options) {
  TV_ASSIGN_OR_RETURN(GteConfig c, Parse(config));
  if (options.task == Task::kCausalLm) {
    return config.Refuse("architectures", "a causal head on an encoder is not supported");
  }
  const WeightScope root = weights.HasAnyUnder("new")   ? weights.Sub("new")
                           : weights.HasAnyUnder("gte") ? weights.Sub("gte")
                                                        : weights;
  TV_ASSIGN_OR_RETURN(Embeddings embeddings, Embeddings::Load(c.embeddings, root.Sub("embeddings")));
  const RotaryNaming& naming = ChooseNaming(root, kPublished, kNativeRotaryNaming);
  std::vector<PostNormLayer> layers;
  for (int64_t i = 0; i < c.encoder.layers; ++i) {
    TV_ASSIGN_OR_RETURN(PostNormLayer layer,
                        LoadLayer(c, naming.names, root.Sub(naming.layers, i), options.compute_type));
    layers.push_back(std::move(layer));
  }
  LoadedModel loaded;
  if (options.task != Task::kFeatureExtraction) {
    TV_ASSIGN_OR_RETURN(loaded.head, LoadHead(c, weights, root, embeddings, options));
  }
  loaded.model = std::make_unique<RotaryEncoder>(std::move(embeddings), PostNormEncoder(c.encoder, std::move(layers)),
                                                 std::move(c.rope));
  root.IgnoreUnder("pooler");
  root.Ignore("rotary_emb.inv_freq");
  for (const char* head : {"lm_head", "classifier"}) weights.IgnoreUnder(head);
  return loaded;
}

}  // namespace truevec
