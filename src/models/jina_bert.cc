#include "models/jina_bert.h"

#include <bit>
#include <cmath>

namespace truevec {
namespace {

std::vector<double> PowerOfTwoSlopes(int64_t heads) {
  const double start = std::exp2(-8.0 / static_cast<double>(heads));
  std::vector<double> slopes;
  for (int64_t i = 0; i < heads; ++i) slopes.push_back(start * std::pow(start, static_cast<double>(i)));
  return slopes;
}

Activation GateActivation(JinaFeedForward kind) {
  return kind == JinaFeedForward::kReglu ? Activation::kRelu : Activation::kGelu;
}

// jina-bert-implementation: "mlp" holds gate and up in one product without bias, and its own LayerNorm.
Status LoadGated(const PostNormConfig& c, JinaFeedForward kind, const WeightScope& mlp, ComputeType type,
                 PostNormLayer* layer) {
  TV_ASSIGN_OR_RETURN(Linear both, LoadLinear(mlp.Sub("gated_layers"), c.hidden, 2 * c.intermediate, type, false));
  TV_ASSIGN_OR_RETURN(Linear down, LoadLinear(mlp.Sub("wo"), c.intermediate, c.hidden, type));
  layer->feed_forward = GatedFeedForward(std::move(both), true, GateActivation(kind), std::move(down));
  TV_ASSIGN_OR_RETURN(layer->output_norm, NormWeights::Load(mlp.Sub("layernorm"), c.hidden, c.eps));
  return Status::Ok();
}

// qk-post-norm: LayerNorms over all of q and of k, a second one behind the attention's residual, up before gate.
Status LoadQkPostNorm(const PostNormConfig& c, JinaFeedForward kind, const WeightScope& w, ComputeType type,
                      PostNormLayer* layer) {
  const WeightScope self = w.Sub("attention.self");
  TV_ASSIGN_OR_RETURN(layer->query_norm, NormWeights::Load(self.Sub("layer_norm_q"), c.hidden, c.eps));
  TV_ASSIGN_OR_RETURN(layer->key_norm, NormWeights::Load(self.Sub("layer_norm_k"), c.hidden, c.eps));
  layer->extra_norm = std::move(layer->attention_norm);
  TV_ASSIGN_OR_RETURN(layer->attention_norm, NormWeights::Load(w.Sub("layer_norm_1"), c.hidden, c.eps));
  TV_ASSIGN_OR_RETURN(layer->output_norm, NormWeights::Load(w.Sub("layer_norm_2"), c.hidden, c.eps));
  const WeightScope mlp = w.Sub("mlp");
  TV_ASSIGN_OR_RETURN(Linear down, LoadLinear(mlp.Sub("down_layer"), c.intermediate, c.hidden, type));
  if (kind == JinaFeedForward::kOriginal) {
    TV_ASSIGN_OR_RETURN(Linear up, LoadLinear(mlp.Sub("up_layer"), c.hidden, c.intermediate, type, false));
    layer->feed_forward = PlainFeedForward(std::move(up), c.activation, std::move(down));
    return Status::Ok();
  }
  TV_ASSIGN_OR_RETURN(Linear both, LoadLinear(mlp.Sub("up_gated_layer"), c.hidden, 2 * c.intermediate, type, false));
  layer->feed_forward = GatedFeedForward(std::move(both), false, GateActivation(kind), std::move(down));
  return Status::Ok();
}

}  // namespace

Result<JinaFeedForward> ReadJinaFeedForward(ConfigReader& config) {
  config.Ignore({"emb_pooler", "attn_implementation", "model_max_length"});
  TV_ASSIGN_OR_RETURN(const std::string name,
                      config.OneOf({"feed_forward_type"}, {"original", "reglu", "geglu"}, "original"));
  return name == "original" ? JinaFeedForward::kOriginal
         : name == "reglu"  ? JinaFeedForward::kReglu
                            : JinaFeedForward::kGeglu;
}

Result<PostNormLayer> LoadJinaLayer(const PostNormConfig& c, JinaFeedForward kind, const PostNormNames& bert,
                                    const WeightScope& w, ComputeType type) {
  const bool qk_post_norm = w.HasAnyUnder("layer_norm_1");
  if (kind == JinaFeedForward::kOriginal && !qk_post_norm) return PostNormLayer::Load(c, bert, w, type);
  PostNormLayer layer;
  TV_ASSIGN_OR_RETURN(layer.qkv, LoadFusedLinear({w.Sub(bert.query), w.Sub(bert.key), w.Sub(bert.value)}, c.hidden,
                                                 {c.hidden, c.hidden, c.hidden}, type));
  TV_ASSIGN_OR_RETURN(layer.attention_output, LoadLinear(w.Sub(bert.attention_output), c.hidden, c.hidden, type));
  TV_ASSIGN_OR_RETURN(layer.attention_norm, NormWeights::Load(w.Sub(bert.attention_norm), c.hidden, c.eps));
  TV_RETURN_IF_ERROR(qk_post_norm ? LoadQkPostNorm(c, kind, w, type, &layer)
                                  : LoadGated(c, kind, w.Sub("mlp"), type, &layer));
  return layer;
}

std::vector<float> AlibiSlopes(int64_t heads) {
  const auto power = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(heads)));
  std::vector<double> slopes = PowerOfTwoSlopes(power);
  // Every second slope of twice the power of two.
  const std::vector<double> finer = PowerOfTwoSlopes(2 * power);
  for (size_t i = 0; static_cast<int64_t>(slopes.size()) < heads; i += 2) slopes.push_back(finer[i]);
  std::vector<float> result;
  for (const double slope : slopes) result.push_back(static_cast<float>(slope));
  return result;
}

}  // namespace truevec
