#include "models/decoder.h"

#include <algorithm>
#include <cmath>

#include "models/decoder_heads.h"
#include "models/post_norm_encoder.h"
#include "tensor/simulation.h"

namespace truevec {

Result<Decoder::Layer> Decoder::LoadLayer(const DecoderConfig& c, const WeightScope& w, ComputeType type) {
  Layer layer;
  const WeightScope attention = w.Sub("self_attn");
  const WeightScope mlp = w.Sub("mlp");
  const int64_t queries = c.heads * c.head_dim;
  const int64_t keys = c.kv_heads * c.head_dim;
  TV_ASSIGN_OR_RETURN(layer.input_norm, RmsWeights::Load(w.Sub("input_layernorm"), c.hidden, c.eps, c.norm_offset));
  const char* ffn_norm = c.branch_norms ? "pre_feedforward_layernorm" : "post_attention_layernorm";
  TV_ASSIGN_OR_RETURN(layer.ffn_norm, RmsWeights::Load(w.Sub(ffn_norm), c.hidden, c.eps, c.norm_offset));
  if (c.branch_norms) {
    TV_ASSIGN_OR_RETURN(layer.attention_norm,
                        RmsWeights::Load(w.Sub("post_attention_layernorm"), c.hidden, c.eps, c.norm_offset));
    TV_ASSIGN_OR_RETURN(layer.output_norm,
                        RmsWeights::Load(w.Sub("post_feedforward_layernorm"), c.hidden, c.eps, c.norm_offset));
  }
  if (c.head_norms) {
    TV_ASSIGN_OR_RETURN(layer.query_norm, RmsWeights::Load(attention.Sub("q_norm"), c.head_dim, c.eps, c.norm_offset));
    TV_ASSIGN_OR_RETURN(layer.key_norm, RmsWeights::Load(attention.Sub("k_norm"), c.head_dim, c.eps, c.norm_offset));
  }
  if (c.fused_names) {
    TV_ASSIGN_OR_RETURN(layer.qkv,
                        LoadFusedLinear({attention.Sub("qkv_proj")}, c.hidden, {queries + 2 * keys}, type, c.qkv_bias));
    TV_ASSIGN_OR_RETURN(layer.gate_up,
                        LoadFusedLinear({mlp.Sub("gate_up_proj")}, c.hidden, {2 * c.intermediate}, type, c.mlp_bias));
  } else {
    TV_ASSIGN_OR_RETURN(layer.qkv,
                        LoadFusedLinear({attention.Sub("q_proj"), attention.Sub("k_proj"), attention.Sub("v_proj")},
                                        c.hidden, {queries, keys, keys}, type, c.qkv_bias));
    TV_ASSIGN_OR_RETURN(layer.gate_up, LoadFusedLinear({mlp.Sub("gate_proj"), mlp.Sub("up_proj")}, c.hidden,
                                                       {c.intermediate, c.intermediate}, type, c.mlp_bias));
  }
  TV_ASSIGN_OR_RETURN(layer.attention_output,
                      LoadFusedLinear({attention.Sub("o_proj")}, queries, {c.hidden}, type, c.output_bias));
  TV_ASSIGN_OR_RETURN(layer.down,
                      LoadFusedLinear({mlp.Sub("down_proj")}, c.intermediate, {c.hidden}, type, c.mlp_bias));
  attention.Ignore("rotary_emb.inv_freq");  // a buffer of old checkpoints
  return layer;
}

Result<std::unique_ptr<Decoder>> Decoder::Load(DecoderConfig config, const WeightScope& root, ComputeType type) {
  auto decoder = std::make_unique<Decoder>();
  decoder->store_ = root.store();
  TV_ASSIGN_OR_RETURN(decoder->words_, root.Get("embed_tokens.weight", {config.vocabulary, config.hidden}));
  for (int64_t i = 0; i < config.layers; ++i) {
    TV_ASSIGN_OR_RETURN(Layer layer, LoadLayer(config, root.Sub("layers", i), type));
    decoder->layers_.push_back(std::move(layer));
    root.store()->ReleasePages();  // packed: loading needs memory for one layer's file pages, not for all
  }
  TV_ASSIGN_OR_RETURN(decoder->norm_,
                      RmsWeights::Load(root.Sub("norm"), config.hidden, config.eps, config.norm_offset));
  root.Ignore("rotary_emb.inv_freq");
  decoder->config_ = std::move(config);
  return decoder;
}

Status Decoder::CheckIds(const PackedBatch& batch) const {
  for (const int32_t id : batch.ids) {
    if (id < 0 || id >= config_.vocabulary) {
      return InputError("token id " + std::to_string(id) + " is outside the model's vocabulary of " +
                        std::to_string(config_.vocabulary));
    }
  }
  return Status::Ok();
}

Status Decoder::Forward(const ForwardRequest& request, const ExecContext& ctx, Matrix hidden) const {
  const PackedBatch& batch = request.batch;
  TV_RETURN_IF_ERROR(CheckIds(batch));
  // The layers' states outlive this call when the caller wants them, so the arena is released here only without.
  std::optional<Arena::Scope> scope;
  if (request.all_layers == nullptr) scope.emplace(ctx.arena);
  EmbeddingLookup(ctx, words_, batch.ids, false, hidden);
  // In double, which the Scale op is not.
  if (ctx.simulation != nullptr && config_.embedding_scale != 1) ++ctx.simulation->scales_seen;
  if (config_.embedding_scale != 1 && (ctx.simulation == nullptr || !ctx.simulation->skip_scale)) {
    for (int64_t r = 0; r < hidden.rows; ++r) {
      float* row = hidden.row(r);
      for (int64_t i = 0; i < hidden.cols; ++i) row[i] = static_cast<float>(row[i] * config_.embedding_scale);
    }
  }
  ctx.Record("embeddings", hidden);
  KeepLayer(request, ctx, hidden);
  std::vector<BatchRope> ropes;
  ropes.reserve(config_.ropes.size());
  for (const RotaryEmbedding& rope : config_.ropes) ropes.push_back(rope.ForBatch(batch, ctx));
  const std::span<const int32_t> needed = NeededInLastLayer(request, ctx);
  Matrix x = hidden;  // behind the last layer's attention: the rows that are needed
  for (size_t i = 0; i < layers_.size(); ++i) {
    const int index = static_cast<int>(i);
    const bool last = i + 1 == layers_.size();
    if (last && !needed.empty()) x = GatherRows(ctx, hidden, needed);
    RunAttention(layers_[i], index, batch, ropes[static_cast<size_t>(config_.kinds[i].rope)], ctx, hidden,
                 last ? needed : std::span<const int32_t>(), x);
    RunFeedForward(layers_[i], index, ctx, x);
    ctx.Record(index, "output", x);
    if (!last) KeepLayer(request, ctx, x);
  }
  norm_.Apply(ctx, x, x);
  ctx.Record("norm", x);
  if (!needed.empty()) ScatterRows(x, needed, hidden);
  if (!layers_.empty()) KeepLayer(request, ctx, hidden);  // as the reference: the last one is behind the norm
  return Status::Ok();
}

void Decoder::RunAttention(const Layer& layer, int index, const PackedBatch& batch, const BatchRope& rope,
                           const ExecContext& ctx, ConstMatrix hidden, std::span<const int32_t> needed,
                           Matrix out) const {
  const Arena::Scope scope(ctx.arena);
  const int64_t queries = config_.heads * config_.head_dim;
  const int64_t keys = config_.kv_heads * config_.head_dim;
  const Matrix x = ctx.arena->NewMatrix(hidden.rows, config_.hidden);
  layer.input_norm.Apply(ctx, hidden, x);
  const Matrix qkv = ctx.arena->NewMatrix(hidden.rows, queries + 2 * keys);
  Apply(ctx, layer.qkv, x, qkv);
  if (config_.head_norms) {
    layer.query_norm.ApplyPerHead(ctx, qkv.Columns(0, queries));
    layer.key_norm.ApplyPerHead(ctx, qkv.Columns(queries, keys));
  }
  rope.Apply(ctx, config_.head_dim, qkv.Columns(0, queries + keys));
  const DecoderLayerKind& kind = config_.kinds[static_cast<size_t>(index)];
  AttentionSpec spec;
  spec.heads = config_.heads;
  spec.kv_heads = config_.kv_heads;
  spec.head_dim = config_.head_dim;
  spec.scale = static_cast<float>(config_.attention_scale);
  spec.softcap = static_cast<float>(config_.softcap);
  spec.causal = config_.causal;
  spec.window_left = kind.window_left;
  spec.window_right = kind.window_right;
  spec.key_counts = batch.key_counts;
  Matrix context = ctx.arena->NewMatrix(hidden.rows, queries);
  Attention(ctx, spec, batch.offsets, qkv.Columns(0, queries), qkv.Columns(queries, keys),
            qkv.Columns(queries + keys, keys), context);
  ctx.Record(index, "attention.self", context);
  if (!needed.empty()) context = GatherRows(ctx, context, needed);
  const ConstMatrix residual = out;
  if (config_.branch_norms) {
    const Matrix branch = x.Rows(0, out.rows);
    Apply(ctx, layer.attention_output, context, branch);
    layer.attention_norm.Apply(ctx, branch, branch);
    Add(ctx, out, branch, out);
  } else {
    Apply(ctx, layer.attention_output, context, out, Activation::kNone, &residual);
  }
  ctx.Record(index, "attention.output", out);
}

void Decoder::RunFeedForward(const Layer& layer, int index, const ExecContext& ctx, Matrix hidden) const {
  const Arena::Scope scope(ctx.arena);
  const Matrix x = ctx.arena->NewMatrix(hidden.rows, config_.hidden);
  layer.ffn_norm.Apply(ctx, hidden, x);
  const Matrix gate_up = ctx.arena->NewMatrix(hidden.rows, 2 * config_.intermediate);
  Apply(ctx, layer.gate_up, x, gate_up);
  const Matrix wide = ctx.arena->NewMatrix(hidden.rows, config_.intermediate);
  GatedActivation(ctx, config_.activation, gate_up, true, wide);
  ctx.Record(index, "intermediate", wide);
  const ConstMatrix residual = hidden;
  if (config_.branch_norms) {
    Apply(ctx, layer.down, wide, x);
    layer.output_norm.Apply(ctx, x, x);
    Add(ctx, hidden, x, hidden);
  } else {
    Apply(ctx, layer.down, wide, hidden, Activation::kNone, &residual);
  }
}

Result<LoadedModel> LoadDecoder(ConfigReader& config, const WeightScope& weights, const ModelOptions& options,
                                DecoderConfig c) {
  const WeightScope root = weights.HasAnyUnder("model") ? weights.Sub("model") : weights;
  TV_ASSIGN_OR_RETURN(std::unique_ptr<Decoder> decoder, Decoder::Load(std::move(c), root, options.compute_type));
  LoadedModel loaded;
  switch (options.task) {
    case Task::kFeatureExtraction:
      break;
    case Task::kSequenceClassification: {
      std::optional<int32_t> padding;
      if (const JsonRef id = config.Raw({"pad_token_id"}); id.present() && !id.is_null()) {
        TV_ASSIGN_OR_RETURN(const int64_t value, id.Int());
        padding = static_cast<int32_t>(value);
      }
      TV_ASSIGN_OR_RETURN(loaded.head, LoadLastTokenHead(weights.Sub("score"), decoder->config().hidden, padding,
                                                         options.compute_type));
      break;
    }
    case Task::kCausalLm: {
      const WeightScope head = weights.Sub("lm_head");
      TensorView decoder_weight = decoder->words();
      if (head.Has("weight") || !decoder->config().tied) {
        TV_ASSIGN_OR_RETURN(decoder_weight, head.Get("weight", decoder->words().shape));
      }
      loaded.head = MakeCausalLmHead(decoder_weight, decoder->config().logits_softcap, options.compute_type);
      break;
    }
    case Task::kMaskedLm:
      return config.Refuse("architectures", "a masked-LM head on a decoder is not supported");
  }
  loaded.model = std::move(decoder);
  weights.IgnoreUnder("lm_head");  // heads of other tasks, which AutoModel drops
  weights.IgnoreUnder("score");
  return loaded;
}

}  // namespace truevec
