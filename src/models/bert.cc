// BERT (Devlin et al. 2018, arXiv 1810.04805) and the models that share its body: RoBERTa (arXiv 1907.11692),
// XLM-RoBERTa, CamemBERT (other positions and heads), ELECTRA (a projection behind the embeddings); JinaBERT's layers
// are in jina_bert.h, Jina v3's in jina_v3.cc.
// Reference: transformers/models/{bert,roberta,xlm_roberta,camembert,electra}/modeling_*.py.
#include <optional>

#include "models/architectures.h"
#include "models/embeddings.h"
#include "models/heads.h"
#include "models/jina_bert.h"
#include "models/post_norm_encoder.h"

namespace truevec {
namespace {

constexpr int64_t kMax = int64_t{1} << 24;
constexpr PostNormNames kNames = {
    "attention.self.query",       "attention.self.key", "attention.self.value", "attention.output.dense",
    "attention.output.LayerNorm", "intermediate.dense", "output.dense",         "output.LayerNorm"};

// A fault that `diagnose` injects through the override `key`, never read from a file; 0: none.
int64_t Simulated(const ConfigReader& config, std::string_view key) {
  const json::value* value = config.overrides() == nullptr ? nullptr : config.overrides()->Use(key);
  return value != nullptr && value->is_int64() ? value->get_int64() : 0;
}

struct BertConfig {
  EmbeddingsConfig embeddings;
  PostNormConfig encoder;
  std::optional<JinaFeedForward> jina;  // set: JinaBERT's layers and ALiBi
};

enum class Family { kBert, kRoberta, kElectra };

Result<BertConfig> ParseBert(ConfigReader& config, Family family) {
  BertConfig c;
  const bool roberta = family == Family::kRoberta;
  const bool electra = family == Family::kElectra;
  TV_ASSIGN_OR_RETURN(c.embeddings.vocabulary, config.IntIn({"vocab_size"}, 1, kMax, roberta ? 50265 : 30522));
  TV_ASSIGN_OR_RETURN(c.encoder.hidden, config.IntIn({"hidden_size"}, 1, kMax, electra ? 256 : 768));
  TV_ASSIGN_OR_RETURN(c.encoder.layers, config.IntIn({"num_hidden_layers"}, 0, 1024, 12));
  TV_ASSIGN_OR_RETURN(c.encoder.heads, config.IntIn({"num_attention_heads"}, 1, kMax, electra ? 4 : 12));
  TV_ASSIGN_OR_RETURN(c.encoder.intermediate, config.IntIn({"intermediate_size"}, 1, kMax, electra ? 1024 : 3072));
  TV_ASSIGN_OR_RETURN(c.embeddings.positions, config.IntIn({"max_position_embeddings"}, 1, kMax, 512));
  TV_ASSIGN_OR_RETURN(c.embeddings.types, config.IntIn({"type_vocab_size"}, 1, kMax, 2));
  TV_ASSIGN_OR_RETURN(c.encoder.eps, config.Double({"layer_norm_eps"}, 1e-12));
  c.embeddings.eps = c.encoder.eps;
  c.embeddings.width = c.encoder.hidden;
  if (electra) {
    TV_ASSIGN_OR_RETURN(c.embeddings.width, config.IntIn({"embedding_size"}, 1, kMax, 128));
    config.Ignore({"summary_type", "summary_use_proj", "summary_activation", "summary_last_dropout"});
  }
  if (roberta) {
    TV_ASSIGN_OR_RETURN(const int64_t padding, config.IntIn({"pad_token_id"}, 0, kMax, 1));
    c.embeddings.padding_id = static_cast<int32_t>(padding);
    if (padding + 1 >= c.embeddings.positions) return config.Refuse("pad_token_id", "leaves no positions");
  }
  TV_ASSIGN_OR_RETURN(c.encoder.activation, ReadActivation(config, {"hidden_act"}, "gelu"));
  // transformers 5 ignores this key and uses absolute positions; other values mean another model was trained.
  std::vector<std::string_view> position_types = {"absolute"};
  if (family == Family::kBert) position_types.push_back("alibi");
  TV_ASSIGN_OR_RETURN(const std::string position_type,
                      config.OneOf({"position_embedding_type"}, position_types, "absolute"));
  if (position_type == "alibi") {
    c.embeddings.positions = 0;
    TV_ASSIGN_OR_RETURN(c.jina, ReadJinaFeedForward(config));
  }
  TV_RETURN_IF_ERROR(config.RequireBool({"is_decoder"}, false));
  TV_RETURN_IF_ERROR(config.RequireBool({"add_cross_attention"}, false));
  c.encoder.simulate_causal = Simulated(config, "simulate_causal") != 0;
  c.embeddings.simulate_position_shift = Simulated(config, "simulate_position_shift");
  config.Ignore({"chunk_size_feed_forward", "pooler_num_attention_heads", "pooler_num_fc_layers",
                 "pooler_size_per_head", "pooler_type", "output_past"});
  TV_RETURN_IF_ERROR(CheckHeads(config, "num_attention_heads", c.encoder));
  return c;
}

class Bert : public Model {
 public:
  static Result<std::unique_ptr<Bert>> Load(const BertConfig& c, const WeightScope& w, ComputeType type) {
    auto bert = std::make_unique<Bert>();
    TV_ASSIGN_OR_RETURN(bert->embeddings_, Embeddings::Load(c.embeddings, w.Sub("embeddings")));
    if (c.embeddings.width != c.encoder.hidden) {
      TV_ASSIGN_OR_RETURN(bert->projection_,
                          LoadLinear(w.Sub("embeddings_project"), c.embeddings.width, c.encoder.hidden, type));
    }
    if (!c.jina) {
      TV_ASSIGN_OR_RETURN(bert->encoder_, PostNormEncoder::Load(c.encoder, kNames, w, "encoder.layer", type));
      return bert;
    }
    std::vector<PostNormLayer> layers;
    for (int64_t i = 0; i < c.encoder.layers; ++i) {
      TV_ASSIGN_OR_RETURN(PostNormLayer layer,
                          LoadJinaLayer(c.encoder, *c.jina, kNames, w.Sub("encoder.layer", i), type));
      layers.push_back(std::move(layer));
    }
    bert->encoder_ = PostNormEncoder(c.encoder, std::move(layers));
    bert->alibi_slopes_ = AlibiSlopes(c.encoder.heads);
    return bert;
  }

  int64_t hidden_size() const override { return encoder_.config().hidden; }
  int64_t vocabulary_size() const override { return embeddings_.config().vocabulary; }
  int64_t max_positions() const override { return embeddings_.max_positions(); }
  bool limits_keys() const override { return true; }
  const Embeddings& embeddings() const { return embeddings_; }

  Status Forward(const ForwardRequest& request, const ExecContext& ctx, Matrix hidden) const override {
    if (projection_) {
      const Arena::Scope scope(ctx.arena);
      const Matrix narrow = ctx.arena->NewMatrix(hidden.rows, embeddings_.config().width);
      TV_RETURN_IF_ERROR(embeddings_.Forward(request.batch, ctx, narrow));
      Apply(ctx, *projection_, narrow, hidden);
    } else {
      TV_RETURN_IF_ERROR(embeddings_.Forward(request.batch, ctx, hidden));
    }
    PositionScheme positions;
    if (!alibi_slopes_.empty()) positions.alibi_slopes = alibi_slopes_.data();
    encoder_.Forward(request, ctx, positions, hidden);
    return Status::Ok();
  }

 private:
  Embeddings embeddings_;
  std::optional<Linear> projection_;
  PostNormEncoder encoder_;
  std::vector<float> alibi_slopes_;  // [heads] or empty
};

// The decoder of a masked-LM head: its own tensor, or the word table.
Result<TensorView> Decoder(const WeightScope& own, const Embeddings& embeddings) {
  const Shape shape = {embeddings.config().vocabulary, embeddings.config().width};
  if (own.Has("weight")) return own.Get("weight", shape);
  return embeddings.words();
}

Result<std::unique_ptr<Head>> MlmHead(Family family, const BertConfig& c, const WeightScope& weights, const Bert& bert,
                                      ComputeType type) {
  const bool roberta = family == Family::kRoberta;
  const WeightScope head = roberta ? weights.Sub("lm_head") : weights.Sub("cls.predictions");
  TV_ASSIGN_OR_RETURN(const TensorView decoder, Decoder(head.Sub("decoder"), bert.embeddings()));
  TV_ASSIGN_OR_RETURN(const TensorView bias, head.Get("bias", {c.embeddings.vocabulary}));
  head.Ignore("decoder.bias");  // the same values as "bias", saved twice
  if (roberta) {
    return LoadMlmHead({head.Sub("dense"), head.Sub("layer_norm"), c.encoder.eps, Activation::kGelu, decoder, bias},
                       c.encoder.hidden, type);
  }
  return LoadMlmHead({head.Sub("transform.dense"), head.Sub("transform.LayerNorm"), c.encoder.eps, c.encoder.activation,
                      decoder, bias},
                     c.encoder.hidden, type);
}

Result<std::unique_ptr<Head>> ClassificationHead(Family family, const BertConfig& c, const WeightScope& weights,
                                                 const WeightScope& root, ComputeType type) {
  const WeightScope classifier = weights.Sub("classifier");
  if (family == Family::kBert) {
    return LoadFirstTokenHead(root.Sub("pooler.dense"), Activation::kTanh, classifier, c.encoder.hidden, type);
  }
  const Activation activation = family == Family::kRoberta ? Activation::kTanh : Activation::kGelu;
  return LoadFirstTokenHead(classifier.Sub("dense"), activation, classifier.Sub("out_proj"), c.encoder.hidden, type);
}

Result<LoadedModel> LoadFamily(Family family, std::string_view prefix, ConfigReader& config, const WeightScope& weights,
                               const ModelOptions& options) {
  TV_ASSIGN_OR_RETURN(const BertConfig c, ParseBert(config, family));
  // XModel saves without a prefix, XForTask with one.
  const WeightScope root = weights.HasAnyUnder(prefix) ? weights.Sub(prefix) : weights;
  TV_ASSIGN_OR_RETURN(std::unique_ptr<Bert> bert, Bert::Load(c, root, options.compute_type));
  LoadedModel loaded;
  switch (options.task) {
    case Task::kFeatureExtraction:
      break;
    case Task::kSequenceClassification: {
      TV_ASSIGN_OR_RETURN(loaded.head, ClassificationHead(family, c, weights, root, options.compute_type));
      break;
    }
    case Task::kMaskedLm: {
      if (family == Family::kElectra)
        return config.Refuse("architectures", "a masked-LM head of ELECTRA is not supported");
      TV_ASSIGN_OR_RETURN(loaded.head, MlmHead(family, c, weights, *bert, options.compute_type));
      break;
    }
    case Task::kCausalLm:
      return config.Refuse("architectures", "a causal head on an encoder is not supported");
  }
  loaded.model = std::move(bert);
  // Heads of other tasks, which AutoModel drops, and the pooler, which Sentence Transformers' pooling does not use.
  root.IgnoreUnder("pooler");
  for (const char* head :
       {"cls", "lm_head", "classifier", "discriminator_predictions", "generator_predictions", "generator_lm_head"}) {
    weights.IgnoreUnder(head);
  }
  return loaded;
}

}  // namespace

Result<LoadedModel> LoadBert(ConfigReader& config, const WeightScope& weights, const ModelOptions& options) {
  return LoadFamily(Family::kBert, "bert", config, weights, options);
}
Result<LoadedModel> LoadRoberta(ConfigReader& config, const WeightScope& weights, const ModelOptions& options) {
  if (IsFlashRoberta(weights)) return LoadJinaV3(config, weights, options);
  return LoadFamily(Family::kRoberta, "roberta", config, weights, options);
}
Result<LoadedModel> LoadElectra(ConfigReader& config, const WeightScope& weights, const ModelOptions& options) {
  return LoadFamily(Family::kElectra, "electra", config, weights, options);
}

}  // namespace truevec
