// XLM-RoBERTa as Jina AI publishes it: jina-embeddings-v3 (Sturua et al. 2024, arXiv 2409.10173; rotary positions and a
// low-rank adapter per task on every product and table) and jina-reranker-v2 (absolute positions, no adapters).
// References: transformers/models/jina_embeddings_v3/modeling_jina_embeddings_v3.py; for the published names and the
// adapters jinaai/xlm-roberta-flash-implementation (modeling_lora.py, modeling_xlm_roberta.py).
#include <algorithm>
#include <cmath>

#include "models/adapted_linear.h"
#include "models/architectures.h"
#include "models/embeddings.h"
#include "models/heads.h"
#include "models/rotary_layers.h"

namespace truevec {
namespace {

constexpr int64_t kMax = int64_t{1} << 24;
constexpr RotaryNaming kPublished = {
    "encoder.layers", {"mixer.Wqkv", "", "", "", "mixer.out_proj", "norm1", "", "mlp.fc1", "", "mlp.fc2", "norm2"}};
constexpr RotaryNaming kNative = {"layers",
                                  {"", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
                                   "post_attention_layernorm", "", "mlp.fc1", "", "mlp.fc2", "post_mlp_layernorm"}};

struct FlashConfig {
  EmbeddingsConfig embeddings;
  PostNormConfig encoder;
  bool rotary = false;
  RotaryEmbedding rope;
  AdapterConfig adapters;
};

Status ReadAdapters(ConfigReader& config, AdapterConfig* c) {
  const JsonRef names = config.Raw({"lora_adaptations"});
  for (size_t i = 0; i < names.size(); ++i) {
    TV_ASSIGN_OR_RETURN(std::string name, names.At(i).String());
    c->tasks.push_back(std::move(name));
  }
  TV_ASSIGN_OR_RETURN(c->rank, config.IntIn({"lora_rank"}, 1, 4096, 4));
  TV_ASSIGN_OR_RETURN(const double alpha, config.Double({"lora_alpha"}, 1.0));
  c->scaling = alpha / static_cast<double>(c->rank);
  return Status::Ok();
}

Status ReadFlashKeys(ConfigReader& config) {
  TV_RETURN_IF_ERROR(config.RequireBool({"use_reg_tokens"}, false));
  const JsonRef dimension = config.Raw({"truncate_dim"});
  if (dimension.present() && !dimension.is_null()) return config.Refuse("truncate_dim", "only null is supported");
  config.Ignore({"emb_pooler", "load_trained_adapters", "lora_dropout_p", "lora_main_params_trainable",
                 "matryoshka_dimensions", "task_instructions", "use_flash_attn", "output_past", "use_xentropy",
                 "fused_bias_fc", "fused_dropout_add_ln", "last_layer_subset", "dense_seq_output"});
  return Status::Ok();
}

Result<FlashConfig> Parse(ConfigReader& config) {
  FlashConfig c;
  TV_ASSIGN_OR_RETURN(const std::string type, config.String({"model_type"}));
  const bool native = type == "jina_embeddings_v3";
  TV_ASSIGN_OR_RETURN(c.embeddings.vocabulary, config.IntIn({"vocab_size"}, 1, kMax, 250002));
  TV_ASSIGN_OR_RETURN(c.encoder.hidden, config.IntIn({"hidden_size"}, 1, kMax, 1024));
  TV_ASSIGN_OR_RETURN(c.encoder.layers, config.IntIn({"num_hidden_layers"}, 0, 1024, 24));
  TV_ASSIGN_OR_RETURN(c.encoder.heads, config.IntIn({"num_attention_heads"}, 1, kMax, 16));
  TV_ASSIGN_OR_RETURN(c.encoder.intermediate, config.IntIn({"intermediate_size"}, 1, kMax, 4096));
  TV_ASSIGN_OR_RETURN(const int64_t positions, config.IntIn({"max_position_embeddings"}, 1, kMax, 8194));
  TV_ASSIGN_OR_RETURN(c.embeddings.types, config.IntIn({"type_vocab_size"}, 0, kMax, 1));
  TV_ASSIGN_OR_RETURN(c.encoder.eps, config.Double({"layer_norm_eps"}, 1e-5));
  TV_ASSIGN_OR_RETURN(c.encoder.activation, ReadActivation(config, {"hidden_act"}, "gelu"));
  TV_RETURN_IF_ERROR(CheckHeads(config, "num_attention_heads", c.encoder));
  c.embeddings.width = c.encoder.hidden;
  c.embeddings.eps = c.encoder.eps;
  c.embeddings.has_norm = false;
  RopeKeys keys;
  keys.head_dim = c.encoder.hidden / c.encoder.heads;
  keys.max_positions = positions;
  if (native) {
    c.rotary = true;
    keys.default_theta = 20000;
    TV_ASSIGN_OR_RETURN(c.rope, RotaryEmbedding::Read(config, keys));
    TV_RETURN_IF_ERROR(config.OneOf({"position_embedding_type"}, {"rotary", "absolute"}, "rotary").status());
    config.Ignore({"rotary_emb_base"});
    return c;
  }
  TV_RETURN_IF_ERROR(ReadAdapters(config, &c.adapters));
  TV_RETURN_IF_ERROR(ReadFlashKeys(config));
  TV_ASSIGN_OR_RETURN(const std::string position_type,
                      config.OneOf({"position_embedding_type"}, {"absolute", "rotary"}, "absolute"));
  c.rotary = position_type == "rotary";
  if (c.rotary) {
    RopeParameters rope;
    TV_ASSIGN_OR_RETURN(rope.theta, config.Double({"rotary_emb_base"}, 10000.0));
    rope.max_positions = rope.original_positions = positions;
    TV_ASSIGN_OR_RETURN(c.rope, RotaryEmbedding::Create(rope, keys.head_dim));
  } else {
    config.Ignore({"rotary_emb_base"});
    c.embeddings.positions = positions;
    TV_ASSIGN_OR_RETURN(const int64_t padding, config.IntIn({"pad_token_id"}, 0, kMax, 1));
    if (padding + 1 >= positions) return config.Refuse("pad_token_id", "leaves no positions");
    c.embeddings.padding_id = static_cast<int32_t>(padding);
  }
  return c;
}

struct FlashLayer {
  AdaptedLinear qkv, attention_output, up, down;
  NormWeights attention_norm, output_norm;
};

Result<FlashLayer> LoadLayer(const FlashConfig& c, const RotaryLayerNames& names, const WeightScope& w,
                             ComputeType type) {
  const int64_t width = c.encoder.hidden;
  const int64_t inner = c.encoder.intermediate;
  FlashLayer layer;
  if (c.adapters.tasks.empty()) {
    TV_ASSIGN_OR_RETURN(layer.qkv.base, LoadQkv(w, names, width, true, type));
  } else {
    TV_ASSIGN_OR_RETURN(layer.qkv, AdaptedLinear::Load(c.adapters, w.Sub(names.qkv), width, 3 * width, type));
  }
  TV_ASSIGN_OR_RETURN(layer.attention_output,
                      AdaptedLinear::Load(c.adapters, w.Sub(names.attention_output), width, width, type));
  TV_ASSIGN_OR_RETURN(layer.up, AdaptedLinear::Load(c.adapters, w.Sub(names.first), width, inner, type));
  TV_ASSIGN_OR_RETURN(layer.down, AdaptedLinear::Load(c.adapters, w.Sub(names.down), inner, width, type));
  TV_ASSIGN_OR_RETURN(layer.attention_norm, NormWeights::Load(w.Sub(names.attention_norm), width, c.encoder.eps));
  TV_ASSIGN_OR_RETURN(layer.output_norm, NormWeights::Load(w.Sub(names.output_norm), width, c.encoder.eps));
  return layer;
}

class FlashRoberta : public Model {
 public:
  static Result<std::unique_ptr<FlashRoberta>> Load(FlashConfig c, const WeightScope& w, ComputeType type) {
    auto model = std::make_unique<FlashRoberta>();
    const WeightScope embeddings = w.Sub("embeddings");
    if (c.adapters.tasks.empty()) {
      TV_ASSIGN_OR_RETURN(model->embeddings_, Embeddings::Load(c.embeddings, embeddings));
    } else {
      TV_ASSIGN_OR_RETURN(model->words_, AdaptedTable::Load(c.adapters, embeddings.Sub("word_embeddings"),
                                                            c.embeddings.vocabulary, c.embeddings.width));
      if (c.embeddings.types > 0) {
        TV_ASSIGN_OR_RETURN(model->types_, AdaptedTable::Load(c.adapters, embeddings.Sub("token_type_embeddings"),
                                                              c.embeddings.types, c.embeddings.width));
      }
    }
    const WeightScope norm = w.HasAnyUnder("emb_ln") ? w.Sub("emb_ln") : embeddings.Sub("LayerNorm");
    TV_ASSIGN_OR_RETURN(model->embedding_norm_, NormWeights::Load(norm, c.encoder.hidden, c.encoder.eps));
    const RotaryNaming& naming = ChooseNaming(w, kPublished, kNative);
    for (int64_t i = 0; i < c.encoder.layers; ++i) {
      TV_ASSIGN_OR_RETURN(FlashLayer layer, LoadLayer(c, naming.names, w.Sub(naming.layers, i), type));
      model->layers_.push_back(std::move(layer));
    }
    model->c_ = std::move(c);
    return model;
  }

  int64_t hidden_size() const override { return c_.encoder.hidden; }
  int64_t vocabulary_size() const override { return c_.embeddings.vocabulary; }
  int64_t max_positions() const override { return c_.rotary ? 0 : embeddings_.max_positions(); }
  const Embeddings& embeddings() const { return embeddings_; }

  Status Forward(const ForwardRequest& request, const ExecContext& ctx, Matrix hidden) const override {
    TV_ASSIGN_OR_RETURN(const int task, c_.adapters.Find(request.adapter));
    TV_RETURN_IF_ERROR(Embed(request.batch, task, ctx, hidden));
    ctx.Record("embeddings", hidden);
    KeepLayer(request, ctx, hidden);
    BatchRope rope;
    if (c_.rotary) rope = c_.rope.ForBatch(request.batch, ctx);
    const std::span<const int32_t> needed = NeededInLastLayer(request, ctx);
    for (size_t i = 0; i < layers_.size(); ++i) {
      RunLayer(layers_[i], static_cast<int>(i), task, request.batch, rope, ctx,
               i + 1 == layers_.size() ? needed : std::span<const int32_t>(), hidden);
      KeepLayer(request, ctx, hidden);
    }
    return Status::Ok();
  }

 private:
  Status Embed(const PackedBatch& batch, int task, const ExecContext& ctx, Matrix hidden) const {
    if (c_.adapters.tasks.empty()) {
      TV_RETURN_IF_ERROR(embeddings_.Forward(batch, ctx, hidden));
    } else {
      TV_RETURN_IF_ERROR(CheckIds(batch, c_.embeddings.vocabulary, c_.embeddings.types));
      words_.Lookup(ctx, task, batch.ids, false, hidden);
      if (c_.embeddings.types > 0) {
        const Arena::Scope scope(ctx.arena);
        const auto n = static_cast<size_t>(batch.tokens());
        int32_t* types = ctx.arena->Allocate<int32_t>(batch.tokens());
        for (size_t t = 0; t < n; ++t) types[t] = batch.type_ids.empty() ? 0 : batch.type_ids[t];
        types_.Lookup(ctx, task, {types, n}, true, hidden);
      }
    }
    embedding_norm_.Apply(ctx, hidden, hidden);
    return Status::Ok();
  }

  // needed: the rows to give, empty: all.
  void RunLayer(const FlashLayer& layer, int index, int task, const PackedBatch& batch, const BatchRope& rope,
                const ExecContext& ctx, std::span<const int32_t> needed, Matrix hidden) const {
    const Arena::Scope scope(ctx.arena);
    const int64_t width = c_.encoder.hidden;
    AttentionSpec spec;
    spec.heads = spec.kv_heads = c_.encoder.heads;
    spec.head_dim = width / c_.encoder.heads;
    spec.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(spec.head_dim)));
    const Matrix qkv = ctx.arena->NewMatrix(hidden.rows, 3 * width);
    layer.qkv.Apply(ctx, task, hidden, qkv);
    const Matrix q = qkv.Columns(0, width);
    const Matrix k = qkv.Columns(width, width);
    if (c_.rotary) {
      rope.Apply(ctx, spec.head_dim, q);
      rope.Apply(ctx, spec.head_dim, k);
    }
    Matrix context = ctx.arena->NewMatrix(hidden.rows, width);
    Attention(ctx, spec, batch.offsets, q, k, qkv.Columns(2 * width, width), context);
    ctx.Record(index, "attention.self", context);
    const Matrix x = KeepNeeded(ctx, needed, hidden, &context);
    const ConstMatrix residual = x;
    const Matrix branch = ctx.arena->NewMatrix(x.rows, width);
    layer.attention_output.Apply(ctx, task, context, branch);
    layer.attention_norm.Apply(ctx, branch, x, &residual);
    ctx.Record(index, "attention.output", x);
    const Matrix wide = ctx.arena->NewMatrix(x.rows, c_.encoder.intermediate);
    layer.up.Apply(ctx, task, x, wide, c_.encoder.activation);
    ctx.Record(index, "intermediate", wide);
    layer.down.Apply(ctx, task, wide, branch);
    layer.output_norm.Apply(ctx, branch, x, &residual);
    if (!needed.empty()) ScatterRows(x, needed, hidden);
    ctx.Record(index, "output", hidden);
  }

  FlashConfig c_;
  Embeddings embeddings_;       // without adapters
  AdaptedTable words_, types_;  // with
  NormWeights embedding_norm_;
  std::vector<FlashLayer> layers_;
};

Result<std::unique_ptr<Head>> LoadHead(const FlashConfig& c, const WeightScope& weights, const FlashRoberta& model,
                                       ConfigReader& config, const ModelOptions& options) {
  if (!c.adapters.tasks.empty()) return config.Refuse("architectures", "heads beside adapters are not supported");
  if (options.task == Task::kSequenceClassification) {
    const WeightScope classifier = weights.Sub("classifier");
    return LoadFirstTokenHead(classifier.Sub("dense"), Activation::kTanh, classifier.Sub("out_proj"), c.encoder.hidden,
                              options.compute_type);
  }
  const WeightScope head = weights.Sub("lm_head");
  TensorView decoder = model.embeddings().words();
  if (head.Has("decoder.weight")) {
    TV_ASSIGN_OR_RETURN(decoder, head.Get("decoder.weight", decoder.shape));
  }
  TV_ASSIGN_OR_RETURN(const TensorView bias,
                      head.Get(head.Has("bias") ? "bias" : "decoder.bias", {c.embeddings.vocabulary}));
  head.Ignore("decoder.bias");
  return LoadMlmHead({head.Sub("dense"), head.Sub("layer_norm"), c.encoder.eps, Activation::kGelu, decoder, bias},
                     c.encoder.hidden, options.compute_type);
}

}  // namespace

bool IsFlashRoberta(const WeightScope& weights) {
  return weights.HasAnyUnder("encoder.layers") || weights.HasAnyUnder("roberta.encoder.layers");
}

Result<LoadedModel> LoadJinaV3(ConfigReader& config, const WeightScope& weights, const ModelOptions& options) {
  TV_ASSIGN_OR_RETURN(FlashConfig c, Parse(config));
  if (options.task == Task::kCausalLm) {
    return config.Refuse("architectures", "a causal head on an encoder is not supported");
  }
  const WeightScope root = weights.HasAnyUnder("roberta") ? weights.Sub("roberta") : weights;
  TV_ASSIGN_OR_RETURN(std::unique_ptr<FlashRoberta> model, FlashRoberta::Load(c, root, options.compute_type));
  LoadedModel loaded;
  if (options.task != Task::kFeatureExtraction) {
    TV_ASSIGN_OR_RETURN(loaded.head, LoadHead(c, weights, *model, config, options));
  }
  loaded.model = std::move(model);
  root.IgnoreUnder("pooler");
  for (const char* head : {"lm_head", "classifier"}) weights.IgnoreUnder(head);
  return loaded;
}

}  // namespace truevec
