// EuroBERT (Boizard et al. 2025, arXiv 2503.05500): Llama's layers with attention to both sides.
// Reference: transformers/models/eurobert/modeling_eurobert.py.
#include "models/architectures.h"
#include "models/decoder_config.h"
#include "models/decoder_heads.h"
#include "models/heads.h"

namespace truevec {
namespace {

constexpr DecoderDefaults kDefaults = {.vocabulary = 128256,
                                       .hidden = 768,
                                       .intermediate = 3072,
                                       .layers = 12,
                                       .heads = 12,
                                       .kv_heads = 0,
                                       .head_dim = 0,
                                       .positions = 8192,
                                       .eps = 1e-5,
                                       .tied = false};

struct EuroBertConfig {
  DecoderConfig layers;
  TokenPooling pooling = TokenPooling::kLateMean;  // of the classification head
};

Result<EuroBertConfig> Parse(ConfigReader& config) {
  EuroBertConfig c;
  TV_ASSIGN_OR_RETURN(c.layers, ReadDecoderSizes(config, kDefaults));
  TV_ASSIGN_OR_RETURN(c.layers.activation, ReadActivation(config, "hidden_act", "silu"));
  TV_ASSIGN_OR_RETURN(c.layers.qkv_bias, config.Bool({"attention_bias"}, false));
  c.layers.output_bias = c.layers.qkv_bias;
  TV_ASSIGN_OR_RETURN(c.layers.mlp_bias, config.Bool({"mlp_bias"}, false));
  TV_ASSIGN_OR_RETURN(c.layers.causal, ReadCausal(config, false));
  TV_ASSIGN_OR_RETURN(RotaryEmbedding rope, RotaryEmbedding::Read(config, {.head_dim = c.layers.head_dim,
                                                                           .max_positions = c.layers.max_positions}));
  c.layers.ropes.push_back(std::move(rope));
  // The published files say clf_pooling.
  TV_ASSIGN_OR_RETURN(const std::string pooling,
                      config.OneOf({"classifier_pooling", "clf_pooling"}, {"bos", "mean", "late"}, "late"));
  if (pooling != "late") c.pooling = pooling == "bos" ? TokenPooling::kFirst : TokenPooling::kMean;
  config.Ignore({"pretraining_tp", "hidden_dropout", "bos_token", "eos_token", "pad_token", "mask_token"});
  return c;
}

Result<std::unique_ptr<Head>> LoadHead(const EuroBertConfig& c, const WeightScope& weights, const Decoder& decoder,
                                       ConfigReader& config, const ModelOptions& options) {
  if (options.task == Task::kSequenceClassification) {
    const PooledHeadWeights w{weights.Sub("dense"), true, Activation::kGelu, {}, weights.Sub("classifier")};
    return LoadPooledHead(w, c.pooling, c.layers.hidden, options.compute_type);
  }
  const WeightScope head = weights.Sub("lm_head");
  if (head.Has("bias")) return config.Refuse("mlp_bias", "a masked-LM head with a bias is not supported");
  TensorView weight = decoder.words();
  if (head.Has("weight") || !c.layers.tied) {
    TV_ASSIGN_OR_RETURN(weight, head.Get("weight", weight.shape));
  }
  return MakeCausalLmHead(weight, 0, options.compute_type);
}

}  // namespace

Result<LoadedModel> LoadEuroBert(ConfigReader& config, const WeightScope& weights, const ModelOptions& options) {
  TV_ASSIGN_OR_RETURN(EuroBertConfig c, Parse(config));
  if (options.task == Task::kCausalLm) {
    return config.Refuse("architectures", "a causal head on an encoder is not supported");
  }
  const WeightScope root = weights.HasAnyUnder("model") ? weights.Sub("model") : weights;
  DecoderConfig layers = c.layers;
  TV_ASSIGN_OR_RETURN(std::unique_ptr<Decoder> decoder, Decoder::Load(std::move(layers), root, options.compute_type));
  LoadedModel loaded;
  if (options.task != Task::kFeatureExtraction) {
    TV_ASSIGN_OR_RETURN(loaded.head, LoadHead(c, weights, *decoder, config, options));
  }
  loaded.model = std::move(decoder);
  for (const char* head : {"lm_head", "dense", "classifier"}) weights.IgnoreUnder(head);
  return loaded;
}

}  // namespace truevec
