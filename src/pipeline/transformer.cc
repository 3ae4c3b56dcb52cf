// Transformer: the backbone as a module. Reference: base/modules/transformer.py.
#include "pipeline/transformer.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <sstream>

#include "models/shards.h"
#include "pipeline/backbone.h"
#include "pipeline/fingerprint.h"
#include "pipeline/modules.h"
#include "spec/remote_code.h"
#include "weights/packed_cache.h"

namespace truevec {
namespace {

// Keys of config.json that Sentence Transformers, transformers or publishers add and that change no vector.
struct HarmlessKey {
  std::string_view key;
  std::string_view reason;
};
constexpr std::array<HarmlessKey, 9> kHarmlessConfigKeys = {{
    {"model_type", "selects the architecture"},
    {"sentence_transformers", "activation_fn of cross-encoders, read beside"},
    {"sbert_ce_default_activation_function", "read beside"},
    {"auto_map", "names of remote code, checked by name"},
    {"_attn_implementation", "how PyTorch computes attention"},
    {"attn_implementation", "how PyTorch computes attention"},
    {"use_memory_efficient_attention", "how PyTorch computes attention"},
    {"unpad_inputs", "how PyTorch batches"},
    {"transformers.js_config", "settings of another runtime"},
}};

class Transformer : public InputModule {
 public:
  Transformer(TransformerConfig config, TextEncoder encoder, LoadedModel model, int64_t max_length, json::object about,
              int64_t keep_layers, bool task_adapter)
      : config_(std::move(config)),
        encoder_(std::move(encoder)),
        model_(std::move(model)),
        max_length_(max_length),
        about_(std::move(about)),
        keep_layers_(keep_layers),
        task_adapter_(task_adapter) {}

  Result<EncodedText> Encode(const InputText& input) const override {
    TV_ASSIGN_OR_RETURN(const int64_t length, LengthFor(input));
    TV_ASSIGN_OR_RETURN(EncodedText text, encoder_.Encode(input, length));
    if (input.task == "query" && config_.expansion.has_value()) Expand(*config_.expansion, &text);
    return text;
  }
  const Tokenizer* tokenizer() const override { return &encoder_.tokenizer(); }
  int64_t max_length() const override { return max_length_; }

  Status Forward(const ExecContext& ctx, Features* features) const override {
    ForwardRequest request;
    request.batch.ids = features->ids;
    request.batch.type_ids = features->type_ids;
    request.batch.offsets = features->offsets;
    const std::vector<int32_t> key_counts = KeyCounts(*features);
    request.batch.key_counts = key_counts;
    if (keep_layers_ > 0) request.all_layers = &features->all_layers;
    if (task_adapter_) request.adapter = features->texts[0]->task;
    std::vector<int32_t> first;
    if (model_.head != nullptr && model_.head->first_token_only()) {
      for (int64_t text = 0; text < features->count(); ++text) {
        if (features->length(text) > 0) first.push_back(features->first(text));
      }
      request.needed_rows = first;
    } else if (model_.head == nullptr) {
      request.needed_rows = features->needed_rows;
    }
    const Matrix hidden = ctx.arena->NewMatrix(features->tokens(), model_.model->hidden_size());
    TV_RETURN_IF_ERROR(ShardedForward(*model_.model, request, ctx, hidden));
    if (model_.head == nullptr) {
      features->Set(config_.output, hidden, true);
      return Status::Ok();
    }
    if (config_.task == Task::kCausalLm) return LastLogits(request.batch, hidden, ctx, features);
    const bool per_token = model_.head->per_token();
    const Matrix out = ctx.arena->NewMatrix(per_token ? features->tokens() : features->count(), model_.head->outputs());
    TV_RETURN_IF_ERROR(model_.head->Forward(request.batch, hidden, ctx, out));
    features->Set(config_.output, out, per_token);
    return Status::Ok();
  }

  json::object Describe() const override { return about_; }

 private:
  Result<int64_t> LengthFor(const InputText& input) const {
    int64_t length = max_length_;
    if (input.task == "query" && config_.query_length.has_value()) length = *config_.query_length;
    if (input.task == "document" && config_.document_length.has_value()) length = *config_.document_length;
    if (input.task == "query" && config_.expansion.has_value()) return ExpandedLength(input);
    if (!input.max_length.has_value()) return length;
    const int64_t wanted = *input.max_length;
    if (wanted < 1)
      return UsageError("max length: expected a positive number of tokens, got " + std::to_string(wanted));
    const int64_t positions = model_.model->max_positions();
    if (positions > 0 && wanted > positions) {
      return UsageError("max length " + std::to_string(wanted) + " exceeds the model's " + std::to_string(positions) +
                        " positions");
    }
    return wanted;
  }

  // Strategy "fixed": every query is cut to the expansion's length, whatever is asked. "min": its length is a floor.
  Result<int64_t> ExpandedLength(const InputText& input) const {
    const QueryExpansion& expansion = *config_.expansion;
    if (expansion.fixed) return expansion.length;
    const std::optional<int64_t> ceiling = input.max_length.has_value() ? input.max_length : config_.query_length;
    return ceiling.has_value() ? std::max(*ceiling, expansion.length) : max_length_;
  }

  // The padding of a query up to the expansion's length becomes tokens that are scored.
  static void Expand(const QueryExpansion& expansion, EncodedText* text) {
    const int64_t missing = expansion.length - static_cast<int64_t>(text->ids.size());
    if (missing <= 0) return;
    const bool left = expansion.fixed && expansion.on_left;
    const auto count = static_cast<size_t>(missing);
    text->ids.insert(left ? text->ids.begin() : text->ids.end(), count, expansion.id);
    if (!text->type_ids.empty()) text->type_ids.insert(left ? text->type_ids.begin() : text->type_ids.end(), count, 0);
    text->expansion = static_cast<int32_t>(missing);
    text->attend_expansion = expansion.attend;
  }

  // Empty when every token is a key.
  static std::vector<int32_t> KeyCounts(const Features& features) {
    std::vector<int32_t> counts;
    bool limited = false;
    for (int64_t text = 0; text < features.count(); ++text) {
      const EncodedText& encoded = *features.texts[static_cast<size_t>(text)];
      const int32_t hidden = encoded.attend_expansion ? 0 : encoded.expansion;
      limited = limited || hidden > 0;
      counts.push_back(features.length(text) - hidden);
    }
    if (!limited) counts.clear();
    return counts;
  }

  // logits_to_keep=1: the vocabulary's logits at each text's last token only.
  Status LastLogits(const PackedBatch& batch, const Matrix& hidden, const ExecContext& ctx, Features* features) const {
    const Matrix last = ctx.arena->NewMatrix(features->count(), hidden.cols);
    std::vector<int32_t> ids;
    std::vector<int32_t> offsets = {0};
    for (int64_t text = 0; text < features->count(); ++text) {
      const int32_t end = batch.offsets[static_cast<size_t>(text) + 1];
      if (end == batch.offsets[static_cast<size_t>(text)]) return InputError("a text without tokens has no score");
      std::copy(hidden.row(end - 1), hidden.row(end - 1) + hidden.cols, last.row(text));
      ids.push_back(batch.ids[static_cast<size_t>(end) - 1]);
      offsets.push_back(static_cast<int32_t>(ids.size()));
    }
    PackedBatch lasts;
    lasts.ids = ids;
    lasts.offsets = offsets;
    const Matrix out = ctx.arena->NewMatrix(features->count(), model_.head->outputs());
    TV_RETURN_IF_ERROR(model_.head->Forward(lasts, last, ctx, out));
    features->Set(config_.output, out, false);
    return Status::Ok();
  }

  TransformerConfig config_;
  TextEncoder encoder_;
  LoadedModel model_;
  int64_t max_length_;
  json::object about_;
  int64_t keep_layers_;
  bool task_adapter_;
};

// Names that CONTRACT section 10 gives to what configs call otherwise, and the configs' names.
struct OverrideName {
  std::string_view key;
  std::string_view names;
};
constexpr std::array<OverrideName, 4> kOverrideNames = {{
    {"architecture", "model_type"},
    {"activation",
     "hidden_act hidden_activation activation_function activation afn ff_activation feed_forward_proj dense_act_fn"},
    {"layer_norm_eps", "layer_norm_eps rms_norm_eps norm_eps layer_norm_epsilon"},
    {"attention", "is_causal simulate_causal"},
}};
constexpr std::string_view kAttention = "attention";
constexpr std::string_view kPositionShift = "simulate_position_shift";

// Position of the first token where the architecture counts from elsewhere than 0. Reference:
// create_position_ids_from_input_ids of modeling_roberta.py; MPNet has its padding id hard-coded.
std::optional<int64_t> PositionOffset(std::string_view architecture, const JsonRef& config) {
  if (architecture == "mpnet") return 2;
  for (const std::string_view name : {"roberta", "xlm-roberta", "camembert", "xlm-roberta-xl", "longformer"}) {
    if (architecture != name) continue;
    const JsonRef pad = config["pad_token_id"];
    return pad.is_number() && pad.Int().ok() ? pad.Int().value() + 1 : 2;
  }
  for (const std::string_view name : {"bert", "distilbert", "electra", "albert"}) {
    if (architecture == name) return 0;
  }
  return std::nullopt;
}

Status MapOverrides(const JsonRef& config, Overrides* overrides) {
  const std::map<std::string, json::value, std::less<>> given = overrides->values();
  for (const OverrideName& row : kOverrideNames) {
    const auto found = given.find(row.key);
    if (found == given.end()) continue;
    if (row.key == "attention") {
      const bool causal = found->second == json::value("causal");
      if (!causal && found->second != json::value("bidirectional")) {
        return UsageError("--override attention: expected causal or bidirectional, got " + WriteJson(found->second));
      }
      overrides->Set("is_causal", json::value(causal));
      overrides->Set("simulate_causal", json::value(causal ? 1 : 0));
      continue;
    }
    std::istringstream names{std::string(row.names)};
    for (std::string name; names >> name;) {
      if (!given.contains(name)) overrides->Set(name, found->second);
    }
  }
  const auto offset = given.find("position_offset");
  if (offset == given.end()) return Status::Ok();
  const std::optional<int64_t> natural =
      PositionOffset(config["model_type"].is_string() ? config["model_type"].String().value() : "", config);
  if (!offset->second.is_int64() || offset->second.get_int64() < 0 || !natural.has_value()) {
    return UsageError("--override position_offset: " +
                      std::string(natural.has_value()
                                      ? "expected an integer of at least 0, got " + WriteJson(offset->second)
                                      : "this architecture has no learned positions"));
  }
  overrides->Set(std::string(kPositionShift), json::value(offset->second.get_int64() - *natural));
  return Status::Ok();
}

// Tells the caller's overrides what the architecture read.
void MarkUsed(const Overrides& read, const Overrides& given) {
  for (const std::string& key : read.Used()) {
    given.Use(key);
    if (key == kPositionShift) given.Use("position_offset");
    for (const OverrideName& row : kOverrideNames) {
      std::istringstream names{std::string(row.names)};
      for (std::string name; names >> name;) {
        if (name == key) given.Use(row.key);
      }
    }
  }
}

// The reference's rule: the module's own length wins outright; else the smaller of tokenizer and positions. Then capped
// at what the positions can take, where the reference would fail inside PyTorch.
int64_t ResolveMaxLength(const TransformerConfig& config, const Tokenizer& tokenizer, const JsonRef& model_config,
                         const Model& model, const LoadContext& context, const std::string& config_file) {
  Settings* settings = &context.spec->settings;
  std::optional<int64_t> positions;
  const JsonRef position_ref = model_config["max_position_embeddings"];
  if (position_ref.is_number() && position_ref.Int().ok() && position_ref.Int().value() != -1) {
    positions = position_ref.Int().value();
  }
  const std::optional<int64_t> from_tokenizer = tokenizer.model_max_length();
  const SettingSource tokenizer_source = SettingSource::File("tokenizer_config.json", "model_max_length");
  const SettingSource position_source = SettingSource::File(config_file, "max_position_embeddings");
  int64_t length = 0;
  if (config.max_seq_length.has_value()) {
    length = *config.max_seq_length;
    settings->Record("max_length", json::value(length), config.max_seq_source);
    if (from_tokenizer.has_value() && *from_tokenizer != length) {
      settings->AddConflict("max_length", json::value(*from_tokenizer), tokenizer_source);
    }
    if (positions.has_value() && *positions != length) {
      settings->AddConflict("max_length", json::value(*positions), position_source);
    }
  } else if (from_tokenizer.has_value() && (!positions.has_value() || *from_tokenizer <= *positions)) {
    length = *from_tokenizer;
    settings->Record("max_length", json::value(length), tokenizer_source);
    if (positions.has_value() && *positions != length) {
      settings->AddConflict("max_length", json::value(*positions), position_source);
    }
  } else if (positions.has_value()) {
    length = *positions;
    settings->Record("max_length", json::value(length), position_source);
    if (from_tokenizer.has_value()) settings->AddConflict("max_length", json::value(*from_tokenizer), tokenizer_source);
  }
  if (const json::value* value = context.options->overrides.Use("max_length");
      value != nullptr && value->is_int64() && value->get_int64() > 0) {
    if (length > 0) {
      const Setting old = *settings->Find("max_length");
      settings->AddConflict("max_length", old.value, old.source);
    }
    length = value->get_int64();
    settings->Record("max_length", *value, SettingSource::Override("max_length=" + WriteJson(*value)));
  }
  const int64_t usable = model.max_positions();
  if (usable > 0 && (length == 0 || length > usable)) {
    if (length > usable) {
      context.spec->warnings.push_back("max_length " + std::to_string(length) + " exceeds the " +
                                       std::to_string(usable) +
                                       " usable positions: capped (the reference fails on such texts)");
      settings->AddConflict("max_length", json::value(length), settings->Find("max_length")->source);
    }
    length = usable;
    settings->Record("max_length", json::value(length), position_source);
  }
  return length;
}

struct Alias {
  std::string_view key;    // CONTRACT section 10
  std::string_view names;  // what architectures call it, in order of preference
};
constexpr std::array<Alias, 3> kAliases = {{
    {"architecture", "model_type"},
    {"activation", "hidden_act hidden_activation activation_function activation afn ff_activation"},
    {"layer_norm_eps", "rms_norm_eps norm_eps layer_norm_epsilon"},
}};
// Decoders that attend to the left unless is_causal or a switch of their own says otherwise.
constexpr std::array<std::string_view, 9> kDecoders = {"llama",  "mistral", "qwen2", "qwen3", "gemma",
                                                       "gemma2", "phi",     "phi3",  "gpt2"};

// What the attention is by nature, and what an override makes of it; decoders have recorded it themselves.
void RecordAttention(const std::string& architecture, const Overrides& overrides, Settings* settings) {
  if (settings->Find(kAttention) != nullptr) return;
  const auto is_true = [&](std::string_view key) {
    const Setting* found = settings->Find(key);
    return found != nullptr && found->value.is_bool() && found->value.get_bool();
  };
  const Setting* is_causal = settings->Find("is_causal");
  const bool decoder = std::find(kDecoders.begin(), kDecoders.end(), architecture) != kDecoders.end();
  const bool causal = is_causal != nullptr && is_causal->value.is_bool() ? is_causal->value.get_bool()
                                                                         : decoder || is_true("is_decoder");
  const SettingSource source =
      is_causal != nullptr ? is_causal->source : SettingSource::Default("transformers 5 " + architecture);
  const json::value* over = overrides.Use(kAttention);
  const Setting* own = settings->Find(kAttention);  // architectures with a choice of their own say it
  if (over == nullptr && own != nullptr) return;
  if (over != nullptr && own != nullptr) {
    const Setting lost = *own;
    settings->Record(std::string(kAttention), *over,
                     SettingSource::Override(std::string(kAttention) + "=" + WriteJson(*over)));
    if (lost.source.kind != SettingSource::Kind::kOverride) settings->AddConflict(kAttention, lost.value, lost.source);
    return;
  }
  if (over == nullptr) {
    settings->Record(std::string(kAttention), causal ? "causal" : "bidirectional", source);
    return;
  }
  settings->Record(std::string(kAttention), *over,
                   SettingSource::Override(std::string(kAttention) + "=" + WriteJson(*over)));
  if (is_causal == nullptr) {
    settings->AddConflict(kAttention, json::value(causal ? "causal" : "bidirectional"), source);
  }
}

void RecordCanonical(const std::string& architecture, const JsonRef& config, const Overrides& overrides,
                     const WeightScope& weights, Settings* settings) {
  for (const Alias& alias : kAliases) {
    if (settings->Find(alias.key) != nullptr) continue;
    std::istringstream names{std::string(alias.names)};
    for (std::string name; names >> name;) {
      const Setting* found = settings->Find(name);
      if (found == nullptr) continue;
      const Setting copy = *found;
      settings->Record(std::string(alias.key), copy.value, copy.source);
      break;
    }
  }
  RecordAttention(architecture, overrides, settings);
  if (const std::optional<int64_t> natural = PositionOffset(architecture, config); natural.has_value()) {
    const SettingSource source = *natural > 0 && architecture != "mpnet" && config["pad_token_id"].is_number()
                                     ? SettingSource::File(config.file(), "pad_token_id")
                                     : SettingSource::Default("transformers 5 " + architecture);
    const json::value* over = overrides.Use("position_offset");
    settings->Record("position_offset", over == nullptr ? json::value(*natural) : *over,
                     over == nullptr ? source : SettingSource::Override("position_offset=" + WriteJson(*over)));
    if (over != nullptr) settings->AddConflict("position_offset", json::value(*natural), source);
  }
  const std::vector<std::string> used = weights.Used();
  if (used.empty()) return;
  const WeightEntry* largest = weights.store()->Find(used.front());
  for (const std::string& name : used) {
    const WeightEntry* entry = weights.store()->Find(name);
    if (entry != nullptr && entry->view.count() > largest->view.count()) largest = entry;
  }
  settings->Record("stored_dtype", json::value(DTypeName(largest->view.dtype)),
                   SettingSource::File(largest->file, largest->name));
}

// Every unknown key, one per line.
Status CheckUnreadKeys(const ConfigReader& reader) {
  std::string problems;
  for (const std::string& key : reader.UnreadKeys()) {
    const auto known = std::any_of(kHarmlessConfigKeys.begin(), kHarmlessConfigKeys.end(),
                                   [&](const HarmlessKey& row) { return row.key == key; });
    if (known) continue;
    if (!problems.empty()) problems += '\n';
    problems += reader.Refuse(key, "unknown key that could change vectors").message();
  }
  return problems.empty() ? Status::Ok() : ModelError(std::move(problems));
}

Status CheckVocabulary(const Tokenizer& tokenizer, const Model& model, const LoadContext& context) {
  const int64_t rows = model.vocabulary_size();
  if (tokenizer.max_id() >= rows) {
    return ModelError("tokenizer.json: its largest id is " + std::to_string(tokenizer.max_id()) +
                      ", but the embedding table has " + std::to_string(rows) + " rows");
  }
  if (tokenizer.max_id() + 1 < rows) {
    context.spec->warnings.push_back("the embedding table has " + std::to_string(rows) + " rows, the tokenizer uses " +
                                     std::to_string(tokenizer.max_id() + 1));
  }
  return Status::Ok();
}

// How many layer outputs a WeightedLayerPooling further on gets: all, when the config asks for hidden states.
int64_t KeptLayers(const JsonRef& config, const Overrides& overrides, const LoadContext& context) {
  if (context.layers_wanted == 0) return 0;
  const json::value* over = overrides.Use("output_hidden_states");
  const JsonRef ref = over != nullptr ? JsonRef(over, "--override") : config["output_hidden_states"];
  if (!ref.is_bool() || !ref.Bool().value()) return 0;
  for (const std::string_view key : {"num_hidden_layers", "n_layers", "n_layer", "num_layers"}) {
    if (const JsonRef count = config[key]; count.is_number()) return count.Int().value() + 1;
  }
  return 0;
}

// Incident: tokenizer_config.json asks for tokens that the post-processor does not add; transformers 5 adds none.
void WarnAboutAddedTokens(const std::string& folder, const Tokenizer& tokenizer, const LoadContext& context) {
  const Result<JsonFile> file = JsonFile::Load(folder + "/tokenizer_config.json", "tokenizer_config.json");
  if (!file.ok()) return;
  for (const auto& [key, ids] :
       {std::pair("add_eos_token", tokenizer.SuffixIds()), std::pair("add_bos_token", tokenizer.PrefixIds())}) {
    const JsonRef asked = file->root()[key];
    if (asked.is_bool() && asked.Bool().value() && ids.empty()) {
      context.spec->warnings.push_back(std::string("tokenizer_config.json: ") + key +
                                       " is true, but the tokenizer's post-processor adds no such token, and the "
                                       "reference (transformers 5) adds none either; transformers 4 did");
    }
  }
}

void WarnAboutLastToken(const Tokenizer& tokenizer, const LoadContext& context) {
  const Setting* pooling = context.spec->settings.Find("pooling");
  if (pooling == nullptr || !pooling->value.is_string() || pooling->value.get_string() != "lasttoken") return;
  if (tokenizer.SuffixIds().empty()) {
    context.spec->warnings.push_back(
        "lasttoken pooling, but the tokenizer appends no end token: models trained with one give other vectors");
  }
}

// Finds the expansion's id and checks that the model can do it.
Status PrepareExpansion(const ModuleSpec& module, const Tokenizer& tokenizer, const Model& model,
                        TransformerConfig* config) {
  if (!config->expansion.has_value()) return Status::Ok();
  QueryExpansion& expansion = *config->expansion;
  const std::string where = module.Config()["query_expansion"].Where();
  if (expansion.token.has_value()) {
    const std::optional<int32_t> id = tokenizer.TokenToId(*expansion.token);
    if (!id.has_value()) return ModelError(where + ".token: the tokenizer has no token \"" + *expansion.token + "\"");
    expansion.id = *id;
  } else {
    const std::optional<int32_t> id = tokenizer.mask_id().has_value() ? tokenizer.mask_id() : tokenizer.eos_id();
    if (!id.has_value()) return ModelError(where + ": the tokenizer has no mask token and no end token to expand with");
    expansion.id = *id;
  }
  expansion.on_left = expansion.fixed && tokenizer.padding_side() == Side::kLeft;
  if (expansion.attend) return Status::Ok();
  if (expansion.on_left || !model.limits_keys()) {
    return ModelError(where + ".attend: false is not supported " +
                      (expansion.on_left ? "with a tokenizer that pads on the left" : "for this architecture"));
  }
  return Status::Ok();
}

// The attention override works where the architecture reads one of its names, or says what is so anyway.
Status CheckAttentionOverride(const Overrides& overrides) {
  if (!overrides.values().contains(kAttention)) return Status::Ok();
  for (const std::string& key : overrides.Used()) {
    if (key == "is_causal" || key == "simulate_causal") return Status::Ok();
  }
  return UsageError("--override attention: this architecture's attention cannot be changed");
}

void RecordLengths(const TransformerConfig& config, const ModuleSpec& module, Settings* settings) {
  const auto source = [&](std::string_view key) {
    const JsonRef ref = module.Config()[key];
    return SettingSource::File(ref.present() ? ref.file() : module.config_file, std::string(key));
  };
  if (config.query_length) settings->Record("query_length", json::value(*config.query_length), source("query_length"));
  if (config.document_length) {
    settings->Record("document_length", json::value(*config.document_length), source("document_length"));
  }
  if (!config.expansion.has_value()) return;
  const QueryExpansion& e = *config.expansion;
  settings->Record(
      "query_expansion",
      json::object{
          {"strategy", e.fixed ? "fixed" : "min"}, {"attend", e.attend}, {"length", e.length}, {"token_id", e.id}},
      source("query_expansion"));
}

}  // namespace

LoadedModule LoadTransformer(const ModuleSpec& module, const LoadContext& context) {
  TV_ASSIGN_OR_RETURN(TransformerConfig config, TransformerConfig::Read(module, context));
  TV_ASSIGN_OR_RETURN(const Backbone backbone, OpenBackbone(module, context));
  const JsonRef model_config = backbone.config.root();
  TV_RETURN_IF_ERROR(CheckRemoteCode(model_config, &context.spec->settings));
  TV_RETURN_IF_ERROR(MapOverrides(model_config, &config.config_overrides));
  ConfigReader reader(model_config, &config.config_overrides, &context.spec->settings, "transformers 5");
  const auto& edit = context.options->edit_weights;
  const WeightScope weights(edit ? edit(backbone.weights) : backbone.weights);
  const std::shared_ptr<PackedCache> packed = PackedCache::Open(
      context.options->packed_cache, *weights.store(), std::to_string(static_cast<int>(context.options->compute_type)));
  weights.SetPacked(packed);
  ModelOptions options;
  options.compute_type = context.options->compute_type;
  options.task = config.task;
  TV_ASSIGN_OR_RETURN(LoadedModel model, LoadModel(reader, weights, options));
  for (const ModuleSpec& other : context.spec->modules) {
    if (other.shares_weights) weights.Ignore("linear.weight");
  }
  TV_RETURN_IF_ERROR(CheckUnreadKeys(reader));
  for (const std::string& note : weights.Notes()) context.spec->warnings.push_back(note);
  MarkUsed(config.config_overrides, context.options->overrides);
  TV_RETURN_IF_ERROR(CheckAttentionOverride(config.config_overrides));
  TV_RETURN_IF_ERROR(context.FinishWeights(module, weights));
  TV_ASSIGN_OR_RETURN(context.spec->architecture, model_config["model_type"].String());
  RecordCanonical(context.spec->architecture, model_config, config.config_overrides, weights, &context.spec->settings);
  TV_ASSIGN_OR_RETURN(TextEncoder encoder,
                      TextEncoder::Load(backbone.tokenizer_folder, context.spec->architecture, config, context));
  TV_RETURN_IF_ERROR(CheckVocabulary(encoder.tokenizer(), *model.model, context));
  WarnAboutLastToken(encoder.tokenizer(), context);
  WarnAboutAddedTokens(backbone.tokenizer_folder, encoder.tokenizer(), context);
  TV_RETURN_IF_ERROR(PrepareExpansion(module, encoder.tokenizer(), *model.model, &config));
  RecordLengths(config, module, &context.spec->settings);
  if (const json::value* value = context.options->overrides.Use("max_length");
      value != nullptr && (!value->is_int64() || value->get_int64() < 1)) {
    return UsageError("--override max_length: expected a positive number of tokens, got " + WriteJson(*value));
  }
  const int64_t max_length =
      ResolveMaxLength(config, encoder.tokenizer(), model_config, *model.model, context, backbone.config_file);
  const int64_t width = model.head == nullptr ? model.model->hidden_size() : model.head->outputs();
  const bool causal = config.task == Task::kCausalLm;
  (*context.widths)[config.output] = {width, model.head == nullptr || (model.head->per_token() && !causal)};
  const int64_t layers = KeptLayers(model_config, config.config_overrides, context);
  if (layers > 0) (*context.widths)["all_layer_embeddings"] = {layers, true};
  json::object about = {{"type", "Transformer"},
                        {"architecture", context.spec->architecture},
                        {"max_length", max_length},
                        {"lowercase", config.lowercase},
                        {"tokenizer", encoder.tokenizer().CanonicalForm()}};
  if (encoder.chat() != nullptr) {
    if (config.expansion.has_value()) {
      return ModelError(module.Config()["query_expansion"].Where() + ": cannot go with a chat template");
    }
    about["chat"] = encoder.chat()->Describe();
  }
  if (packed != nullptr && !packed->Finish()) *context.packed_damaged = true;
  const bool adapter =
      std::find(module.forward_kwargs.begin(), module.forward_kwargs.end(), "task") != module.forward_kwargs.end();
  return LoadedModule(std::make_unique<Transformer>(std::move(config), std::move(encoder), std::move(model), max_length,
                                                    std::move(about), layers, adapter));
}

}  // namespace truevec
