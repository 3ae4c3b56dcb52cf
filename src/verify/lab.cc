// Runs the engine with hypotheses.
#include "verify/lab.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "base/file.h"
#include "verify/tokenizer_edits.h"
#include "verify/weight_formats.h"

namespace truevec {
namespace {

constexpr int64_t kBatchTokens = 2048;
constexpr size_t kFewTokens = 48;
constexpr size_t kCacheFloats = size_t{96} << 20;
constexpr size_t kCachedModels = 24;
constexpr int64_t kSmallModel = int64_t{64} << 20;  // parameters; of larger ones only two altered copies are kept

// Serves altered values of some tensors.
class EditedStore : public WeightStore {
 public:
  EditedStore(std::shared_ptr<const WeightStore> store, const std::vector<const Edit*>& changes)
      : store_(std::move(store)) {
    for (const Edit* edit : changes) {
      if (edit->rename) rename_ = edit->rename;
    }
    for (const std::string& name : store_->Names()) {
      const WeightEntry* entry = store_->Find(name);
      const DType type = entry->view.dtype;
      if (type != DType::kF32 && type != DType::kF16 && type != DType::kBF16 && type != DType::kF64) continue;
      const auto concerned = [&](const Edit* edit) {
        return edit->weights && (!edit->concerns || edit->concerns(*entry));
      };
      if (std::none_of(changes.begin(), changes.end(), concerned)) continue;
      std::vector<float> values = ToFloat(entry->view);
      bool changed = false;
      for (const Edit* edit : changes) changed = (concerned(edit) && edit->weights(*entry, &values)) || changed;
      if (!changed) continue;
      WeightEntry altered = *entry;
      buffers_.push_back(std::move(values));
      altered.view = {buffers_.back().data(), DType::kF32, entry->view.shape};
      altered_.emplace(name, std::move(altered));
    }
  }
  bool changed() const { return !altered_.empty() || rename_; }
  const WeightEntry* Find(std::string_view name) const override {
    const std::string own = rename_ ? rename_(std::string(name)) : std::string(name);
    const auto found = altered_.find(own);
    return found == altered_.end() ? store_->Find(own) : &found->second;
  }
  // Without those that the renaming leaves nothing for: a model with a layer less does not read them.
  std::vector<std::string> Names() const override {
    std::vector<std::string> names = store_->Names();
    if (rename_) std::erase_if(names, [&](const std::string& n) { return store_->Find(rename_(n)) == nullptr; });
    return names;
  }
  std::string Description() const override { return store_->Description(); }
  void ReleasePages() const override { store_->ReleasePages(); }
  void ReleaseTensor(const TensorView& tensor) const override { store_->ReleaseTensor(tensor); }

 private:
  std::shared_ptr<const WeightStore> store_;
  std::function<std::string(const std::string&)> rename_;
  std::vector<std::vector<float>> buffers_;
  std::map<std::string, WeightEntry, std::less<>> altered_;
};

class LayerTrace : public Trace {
 public:
  explicit LayerTrace(std::vector<Layer>* out) : out_(out) {}
  void Record(std::string_view name, ConstMatrix values) override {
    Layer layer;
    layer.name = std::string(name);
    layer.width = values.cols;
    for (int64_t r = 0; r < values.rows; ++r) {
      layer.values.insert(layer.values.end(), values.row(r), values.row(r) + values.cols);
    }
    out_->push_back(std::move(layer));
  }

 private:
  std::vector<Layer>* out_;
};

template <typename Predicate>
std::string KeyOf(const Combination& h, Predicate predicate) {
  std::string key;
  for (const Hypothesis* hypothesis : h) {
    if (predicate(*hypothesis)) key += hypothesis->Name() + "\n";
  }
  return key;
}

template <typename T>
void AppendRaw(const std::vector<T>& values, std::string* key) {
  const uint64_t size = values.size();
  key->append(reinterpret_cast<const char*>(&size), sizeof size);
  key->append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

// What servers pad with: the tokenizer's own padding, else pad_token of tokenizer_config.json or
// special_tokens_map.json, else 0.
int32_t PadId(const Pipeline& pipeline, const std::string& directory) {
  if (const auto id = pipeline.tokenizer().pad_id()) return *id;
  for (const char* name : {"tokenizer_config.json", "special_tokens_map.json"}) {
    const auto text = ReadFile(directory + "/" + name);
    if (!text.ok()) continue;
    const auto file = JsonFile::Parse(*text, name);
    if (!file.ok()) continue;
    const JsonRef token = file->root()["pad_token"];
    const auto content = (token.is_object() ? token["content"] : token).String();
    if (!content.ok()) continue;
    if (const auto id = pipeline.tokenizer().TokenToId(*content)) return *id;
  }
  return 0;
}

bool Merges(const Combination& h) {
  return std::any_of(h.begin(), h.end(), [](const Hypothesis* x) { return x->edit.merge_batch; });
}

}  // namespace

Result<std::unique_ptr<Lab>> Lab::Load(const std::string& directory, const SpecOptions& options,
                                       const PromptChoice& prompt, int threads) {
  auto lab = std::make_unique<Lab>();
  lab->directory_ = directory;
  lab->options_ = options;
  lab->options_.known_tokenizers = &lab->known_tokenizers_;
  SpecOptions watched = lab->options_;
  watched.edit_weights = [&](std::shared_ptr<const WeightStore> store) {
    lab->weights_.push_back(store);
    return store;
  };
  lab->prompt_ = prompt;
  TV_ASSIGN_OR_RETURN(lab->base_, Pipeline::Load(directory, watched));
  const Pipeline& base = *lab->base_;
  if (base.labels() > 0 || base.dimension() == 0 || base.spec().as == "sparse" || base.spec().as == "multi-vector") {
    return UsageError(directory + ": verify compares dense embeddings; this is a " + base.spec().as + " model");
  }
  TV_ASSIGN_OR_RETURN(lab->own_prompt_, base.ResolvePrompt(prompt));
  lab->pool_ = std::make_unique<ThreadPool>(threads > 0 ? threads : AvailableCpus());
  IdContext& ids = lab->ids_;
  if (base.has_tokenizer()) {
    ids.tokenizer = &base.tokenizer();
    ids.prefix = base.tokenizer().PrefixIds();
    ids.suffix = base.tokenizer().SuffixIds();
    ids.pad = PadId(base, directory);
    ids.max_length = base.max_length();
    if (const Setting* positions = base.spec().settings.Find("max_position_embeddings");
        positions != nullptr && positions->value.is_int64()) {
      // Some tables keep rows for padding: the longest text is shorter.
      EncodeTextOptions longest;
      longest.max_length = positions->value.get_int64();
      for (int tries = 0; tries < 8 && !base.Encode("a", longest).ok(); ++tries) --*longest.max_length;
      ids.max_positions = *longest.max_length;
    }
    if (!lab->own_prompt_.empty()) {
      EncodeOptions bare;
      bare.add_special_tokens = false;
      TV_ASSIGN_OR_RETURN(const Encoding encoding, base.tokenizer().Encode(lab->own_prompt_, std::nullopt, bare));
      ids.prompt_tokens = static_cast<int64_t>(encoding.ids.size());
    }
    lab->ReadScores();
  }
  TV_RETURN_IF_ERROR(lab->LookAround());
  return lab;
}

// One pass that shows what the model is made of, and whether a pass can start at Pooling.
Status Lab::LookAround() {
  Simulation simulation;
  TV_ASSIGN_OR_RETURN(const Part part, EncodeOne("a", {}));
  const EncodedText* text = &part.text;
  Vector row(static_cast<size_t>(base_->OutputWidth({})));
  const Matrix out{row.data(), 1, static_cast<int64_t>(row.size()), static_cast<int64_t>(row.size())};
  TV_RETURN_IF_ERROR(
      base_->Embed({&text, 1}, {}, {.pool = pool_.get(), .arena = &arena_, .simulation = &simulation}, out));
  norms_ = simulation.norms_seen;
  const auto tokens = base_->EmbedTokens({&text, 1}, {pool_.get(), &arena_});
  from_tokens_ = tokens.ok() && base_->EmbedFromTokens({&text, 1}, *tokens, {}, {pool_.get(), &arena_}, out).ok();
  arena_.Reset();
  const Settings& settings = base_->spec().settings;
  ModelTraits& t = traits_;
  t.pipeline = base_.get();
  t.prompt = own_prompt_;
  const Setting* pooling = settings.Find("pooling");
  if (pooling != nullptr && pooling->value.is_string()) t.pooling = std::string(pooling->value.get_string());
  const Setting* normalize = settings.Find("normalize");
  t.normalizes = normalize != nullptr && normalize->value.is_bool() && normalize->value.get_bool();
  t.causal = simulation.causal_seen;
  t.windowed = simulation.window_seen;
  t.alibi = simulation.alibi_seen;
  t.relative = simulation.relative_seen;
  t.head_norms = simulation.head_norms_seen > 0;
  t.scales = simulation.scales_seen > 0;
  t.thetas = simulation.thetas_seen;
  t.prefix = static_cast<int64_t>(ids_.prefix.size());
  t.suffix = static_cast<int64_t>(ids_.suffix.size());
  t.max_length = ids_.max_length;
  t.adapter = settings.Find("base_model") != nullptr;
  for (const ModuleSpec& module : base_->spec().modules) t.dense += module.type == "Dense" ? 1 : 0;
  return Status::Ok();
}

// Unigram scores, for engines that merge greedily by them.
void Lab::ReadScores() {
  const auto json_text = ParseJson(base_->tokenizer().CanonicalForm(), "tokenizer");
  if (!json_text.ok() || !json_text->is_object()) return;
  const JsonRef vocabulary = JsonRef(&json_text.value(), "tokenizer")["model"]["vocab"];
  if (!vocabulary.is_array()) return;
  for (size_t i = 0; i < vocabulary.size(); ++i) {
    const auto score = vocabulary.At(i).At(1).Double();
    scores_.push_back(score.ok() ? static_cast<float>(*score) : 0.0f);
  }
  ids_.scores = &scores_;
}

Result<const Tokenizer*> Lab::EditedTokenizer(const std::string& edit) {
  if (const auto found = tokenizers_.find(edit); found != tokenizers_.end()) return found->second.get();
  tokenizers_[edit] = nullptr;
  if (form_.is_null()) {
    std::string form = base_->tokenizer().CanonicalForm();
    form.resize(form.rfind('}') + 1);
    TV_ASSIGN_OR_RETURN(form_, ParseJson(form, "tokenizer"));
  }
  json::value root = form_;
  if (!EditTokenizerJson(edit, &root)) return static_cast<const Tokenizer*>(nullptr);
  root.get_object()["padding"] = nullptr;
  root.get_object()["truncation"] = nullptr;
  TV_ASSIGN_OR_RETURN(const JsonFile edited, JsonFile::Parse(WriteJson(root), "tokenizer.json (" + edit + ")"));
  TV_ASSIGN_OR_RETURN(tokenizers_[edit], Tokenizer::FromJson(edited));
  return tokenizers_[edit].get();
}

Result<std::shared_ptr<const Pipeline>> Lab::EditedPipeline(const Combination& h) {
  const std::string key = KeyOf(h, [](const Hypothesis& x) {
    return !x.edit.config.empty() || x.edit.weights || x.edit.rename || x.edit.without_adapter;
  });
  if (key.empty()) return base_;
  if (const auto found = pipelines_.find(key); found != pipelines_.end()) {
    if (found->second == nullptr) return ModelError("this model has no such setting");
    return found->second;
  }
  const size_t kept = base_->dimension() * 100000 > kSmallModel ? 2 : kCachedModels;
  if (std::count_if(pipelines_.begin(), pipelines_.end(), [](const auto& p) { return p.second != nullptr; }) >=
      static_cast<ptrdiff_t>(kept)) {
    std::erase_if(pipelines_, [](const auto& p) { return p.second != nullptr; });
  }
  pipelines_[key] = nullptr;
  SpecOptions options = options_;
  std::vector<const Edit*> changes;
  for (const Hypothesis* hypothesis : h) {
    for (const auto& [name, value] : hypothesis->edit.config) options.overrides.Set(name, value);
    if (hypothesis->edit.without_adapter) options.overrides.Set("adapter", json::value(false));
    if (hypothesis->edit.weights || hypothesis->edit.rename) changes.push_back(&hypothesis->edit);
  }
  bool changed = changes.empty();
  if (!changes.empty()) {
    options.edit_weights = [&](std::shared_ptr<const WeightStore> store) -> std::shared_ptr<const WeightStore> {
      auto edited = std::make_shared<EditedStore>(std::move(store), changes);
      changed = changed || edited->changed();
      return edited;
    };
  }
  TV_ASSIGN_OR_RETURN(std::shared_ptr<const Pipeline> loaded, Pipeline::Load(directory_, options));
  if (!changed) return ModelError("this model has no such tensor");
  pipelines_[key] = loaded;
  return loaded;
}

Result<Part> Lab::EncodeOne(const std::string& original, const Combination& h) {
  const std::string key = KeyOf(h,
                                [](const Hypothesis& x) {
                                  return x.edit.text || x.edit.prompt || !x.edit.tokenizer.empty() ||
                                         x.edit.max_length || x.edit.untruncated;
                                }) +
                          '\0' + original;
  if (const auto found = encodings_.find(key); found != encodings_.end()) return found->second;
  std::string text = original;
  EncodeTextOptions options;
  options.prompt = prompt_;
  std::string edit;
  bool whole = false;
  for (const Hypothesis* hypothesis : h) {
    const Edit& e = hypothesis->edit;
    if (e.text) text = e.text(text);
    if (e.prompt.has_value()) options.prompt.prompt = e.prompt;
    if (e.max_length.has_value()) options.max_length = e.max_length;
    if (!e.tokenizer.empty()) edit = e.tokenizer;
    whole = whole || e.untruncated;
  }
  Part part;
  TV_ASSIGN_OR_RETURN(part.text, base_->Encode(text, options));
  if (!edit.empty() || (whole && base_->has_tokenizer())) {
    const Tokenizer* tokenizer = &base_->tokenizer();
    if (!edit.empty()) {
      TV_ASSIGN_OR_RETURN(tokenizer, EditedTokenizer(edit));
    }
    if (tokenizer == nullptr) return ModelError("the tokenizer has no such setting");
    TV_ASSIGN_OR_RETURN(const std::string prompt, base_->ResolvePrompt(options.prompt));
    EncodeOptions how;
    how.truncation = Truncation{whole ? 0 : options.max_length.value_or(base_->max_length())};
    TV_ASSIGN_OR_RETURN(const Encoding encoding, tokenizer->Encode(prompt + text, std::nullopt, how));
    part.text.ids = encoding.ids;
    part.text.type_ids.clear();
  }
  part.weight = static_cast<double>(part.text.ids.size());
  encodings_[key] = part;
  return part;
}

Result<std::vector<std::vector<Part>>> Lab::EncodeAll(const std::vector<std::string>& texts, const Combination& h) {
  std::vector<std::vector<Part>> all;
  for (const std::string& text : texts) {
    TV_ASSIGN_OR_RETURN(Part whole, EncodeOne(text, h));
    const Part unedited = whole;
    IdContext context = ids_;
    for (const Hypothesis* hypothesis : h) {
      if (hypothesis->edit.max_length) context.max_length = *hypothesis->edit.max_length;
    }
    std::vector<Part> parts = {std::move(whole)};
    // Cuts of long texts first: what changes special tokens finds them cut.
    Combination ordered = h;
    std::stable_sort(ordered.begin(), ordered.end(),
                     [](const Hypothesis* a, const Hypothesis* b) { return a->long_only > b->long_only; });
    for (const Hypothesis* hypothesis : ordered) {
      if (!hypothesis->edit.ids) continue;
      std::vector<Part> next;
      for (const Part& part : parts) {
        for (Part& piece : hypothesis->edit.ids(part, context)) {
          if (parts.size() > 1) piece.weight = part.weight;  // of one chunk of several
          next.push_back(std::move(piece));
        }
      }
      parts = std::move(next);
    }
    std::erase_if(parts, [](const Part& part) { return part.text.ids.empty(); });
    if (parts.empty()) parts.push_back(unedited);
    all.push_back(std::move(parts));
  }
  for (const Hypothesis* hypothesis : h) {
    if (!hypothesis->edit.batch) continue;
    std::vector<Part> before;
    for (const std::vector<Part>& parts : all) before.push_back(parts.front());
    for (size_t i = 0; i < all.size(); ++i) all[i] = {hypothesis->edit.batch(before, i, ids_)};
  }
  return all;
}

Result<std::vector<Lab::SharedRows>> Lab::ComputeRows(const Pipeline& pipeline, const Combination& h,
                                                      const std::vector<const Part*>& parts) {
  std::vector<const EncodedText*> batch;
  std::vector<uint8_t> hidden;
  bool hides = false;
  for (const Part* part : parts) {
    batch.push_back(&part->text);
    tokens_computed_ += static_cast<int64_t>(part->text.ids.size());
    hides = hides || !part->hidden_keys.empty();
    const size_t first = hidden.size();
    hidden.resize(first + part->text.ids.size());
    std::copy(part->hidden_keys.begin(), part->hidden_keys.end(), hidden.begin() + static_cast<ptrdiff_t>(first));
  }
  Simulation simulation;
  bool simulated = hides || Merges(h);
  for (const Hypothesis* hypothesis : h) {
    if (hypothesis->edit.simulation) hypothesis->edit.simulation(&simulation);
    simulated = simulated || hypothesis->edit.simulation != nullptr;
  }
  if (simulation.skip_norm == kLastNorm) simulation.skip_norm = norms_ - 1;
  if (hides) simulation.hidden_keys = hidden;
  simulation.merge_sequences = Merges(h);
  ThreadPool* pool = hidden.size() <= kFewTokens ? &one_thread_ : pool_.get();
  const ExecContext context{.pool = pool, .arena = &arena_, .simulation = simulated ? &simulation : nullptr};
  std::vector<SharedRows> out;
  if (!from_tokens_) {
    const int64_t width = pipeline.OutputWidth({});
    std::vector<float> buffer(batch.size() * static_cast<size_t>(width));
    TV_RETURN_IF_ERROR(
        pipeline.Embed(batch, {}, context, {buffer.data(), static_cast<int64_t>(batch.size()), width, width}));
    for (size_t i = 0; i < batch.size(); ++i) {
      auto rows = std::make_shared<Rows>();
      rows->width = width;
      const auto first = buffer.begin() + static_cast<ptrdiff_t>(i) * width;
      rows->values.assign(first, first + width);
      out.push_back(std::move(rows));
    }
  } else {
    TV_ASSIGN_OR_RETURN(const TokenVectors tokens, pipeline.EmbedTokens(batch, context));
    for (size_t i = 0; i < batch.size(); ++i) {
      auto rows = std::make_shared<Rows>();
      rows->width = tokens.width;
      const auto begin = tokens.values.begin();
      rows->values.assign(begin + tokens.offsets[i] * tokens.width, begin + tokens.offsets[i + 1] * tokens.width);
      out.push_back(std::move(rows));
    }
  }
  arena_.Reset();
  return out;
}

Status Lab::TokenVectorsOf(const Pipeline& pipeline, const std::string& model_key, const Combination& h,
                           const std::vector<const Part*>& parts, std::vector<SharedRows>* rows) {
  rows->assign(parts.size(), nullptr);
  if (Merges(h)) {
    TV_ASSIGN_OR_RETURN(*rows, ComputeRows(pipeline, h, parts));
    return Status::Ok();
  }
  std::vector<std::string> keys;
  std::vector<size_t> missing;
  for (size_t i = 0; i < parts.size(); ++i) {
    std::string key = model_key + '\0' + parts[i]->text.task + '\0';
    AppendRaw(parts[i]->text.ids, &key);
    AppendRaw(parts[i]->text.type_ids, &key);
    AppendRaw(parts[i]->hidden_keys, &key);
    const auto found = rows_.find(key);
    if (found != rows_.end()) {
      (*rows)[i] = found->second;
    } else {
      missing.push_back(i);
    }
    keys.push_back(std::move(key));
  }
  for (size_t first = 0; first < missing.size();) {
    std::vector<const Part*> batch;
    size_t last = first;
    int64_t tokens = 0;
    for (; last < missing.size() && (last == first || tokens < kBatchTokens); ++last) {
      batch.push_back(parts[missing[last]]);
      tokens += static_cast<int64_t>(batch.back()->text.ids.size());
    }
    TV_ASSIGN_OR_RETURN(const std::vector<SharedRows> computed, ComputeRows(pipeline, h, batch));
    for (size_t i = first; i < last; ++i) {
      (*rows)[missing[i]] = computed[i - first];
      cached_floats_ += computed[i - first]->values.size();
      rows_[keys[missing[i]]] = computed[i - first];
    }
    first = last;
  }
  if (cached_floats_ > kCacheFloats) {
    rows_.clear();
    cached_floats_ = 0;
  }
  return Status::Ok();
}

Status Lab::PoolParts(const Pipeline& pipeline, const Combination& h, const std::vector<const Part*>& parts,
                      const std::vector<SharedRows>& rows, std::vector<Vector>* out) {
  EmbedOptions options;
  bool summed = false;
  for (const Hypothesis* hypothesis : h) {
    const Edit& e = hypothesis->edit;
    if (!e.pooling.empty()) options.pooling = {e.pooling};
    summed = summed || e.summed;
    if (e.normalize.has_value()) options.normalize = e.normalize;
    if (e.truncate_dim.has_value()) options.truncate_dim = e.truncate_dim;
  }
  if (!from_tokens_) {
    if (!options.pooling.empty() || options.normalize || options.truncate_dim || summed) {
      return ModelError("this model has no Pooling module");
    }
    for (const SharedRows& row : rows) out->push_back(row->values);
    return Status::Ok();
  }
  TokenVectors tokens;
  tokens.offsets.push_back(0);
  std::vector<const EncodedText*> texts;
  for (size_t i = 0; i < parts.size(); ++i) {
    texts.push_back(&parts[i]->text);
    tokens.width = rows[i]->width;
    const auto& mask = parts[i]->text.pooling_mask;
    const auto count = mask.empty() ? static_cast<ptrdiff_t>(parts[i]->text.ids.size())
                                    : static_cast<ptrdiff_t>(mask.size()) - std::count(mask.begin(), mask.end(), 0);
    for (const float x : rows[i]->values) tokens.values.push_back(summed ? x * static_cast<float>(count) : x);
    tokens.offsets.push_back(static_cast<int64_t>(tokens.values.size()) / tokens.width);
  }
  const int64_t width = pipeline.OutputWidth(options);
  std::vector<float> buffer(parts.size() * static_cast<size_t>(width));
  const Matrix matrix{buffer.data(), static_cast<int64_t>(parts.size()), width, width};
  TV_RETURN_IF_ERROR(pipeline.EmbedFromTokens(texts, tokens, options, {&one_thread_, &arena_}, matrix));
  arena_.Reset();
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto first = buffer.begin() + static_cast<ptrdiff_t>(i) * width;
    out->emplace_back(first, first + width);
  }
  return Status::Ok();
}

Result<std::vector<Vector>> Lab::Run(const std::vector<std::string>& texts, const Combination& h) {
  TV_ASSIGN_OR_RETURN(const std::shared_ptr<const Pipeline> pipeline, EditedPipeline(h));
  TV_ASSIGN_OR_RETURN(const std::vector<std::vector<Part>> encoded, EncodeAll(texts, h));
  std::vector<const Part*> parts;
  for (const std::vector<Part>& pieces : encoded) {
    for (const Part& piece : pieces) parts.push_back(&piece);
  }
  const std::string model_key = KeyOf(h, [](const Hypothesis& x) { return x.edit.ChangesModel(); });
  std::vector<SharedRows> rows;
  TV_RETURN_IF_ERROR(TokenVectorsOf(*pipeline, model_key, h, parts, &rows));
  std::vector<Vector> pooled;
  TV_RETURN_IF_ERROR(PoolParts(*pipeline, h, parts, rows, &pooled));
  std::vector<Vector> out;
  size_t next = 0;
  for (const std::vector<Part>& pieces : encoded) {
    Vector sum = pooled[next];
    if (pieces.size() > 1) {
      std::vector<double> total(sum.size());
      double weights = 0;
      for (size_t p = 0; p < pieces.size(); ++p) {
        weights += pieces[p].weight;
        for (size_t d = 0; d < total.size(); ++d)
          total[d] += pieces[p].weight * static_cast<double>(pooled[next + p][d]);
      }
      for (size_t d = 0; d < total.size(); ++d) sum[d] = static_cast<float>(total[d] / weights);
    }
    next += pieces.size();
    out.push_back(std::move(sum));
  }
  for (const Hypothesis* hypothesis : h) {
    if (hypothesis->edit.outputs) hypothesis->edit.outputs(&out);
    if (!hypothesis->edit.output) continue;
    for (Vector& v : out) hypothesis->edit.output(&v);
  }
  return out;
}

Result<std::vector<std::vector<int32_t>>> Lab::Ids(const std::vector<std::string>& texts, const Combination& h) {
  TV_ASSIGN_OR_RETURN(const std::vector<std::vector<Part>> encoded, EncodeAll(texts, h));
  std::vector<std::vector<int32_t>> ids;
  for (const std::vector<Part>& parts : encoded) {
    std::vector<int32_t>& all = ids.emplace_back();
    for (const Part& part : parts) all.insert(all.end(), part.text.ids.begin(), part.text.ids.end());
  }
  return ids;
}

Result<std::vector<Vector>> Lab::RunIds(const std::vector<std::vector<int32_t>>& ids) {
  std::vector<Part> parts(ids.size());
  std::vector<const Part*> views;
  for (size_t i = 0; i < ids.size(); ++i) {
    parts[i].text.ids = ids[i];
    views.push_back(&parts[i]);
  }
  TV_ASSIGN_OR_RETURN(const std::vector<SharedRows> rows, ComputeRows(*base_, {}, views));
  std::vector<Vector> out;
  TV_RETURN_IF_ERROR(PoolParts(*base_, {}, views, rows, &out));
  return out;
}

Result<std::vector<Vector>> Lab::RunOnce(const std::vector<std::string>& texts, const Hypothesis& row) {
  const auto models = pipelines_;
  const auto rows = rows_;
  auto vectors = Run(texts, {&row});
  pipelines_ = models;
  rows_ = rows;
  return vectors;
}

std::vector<std::string> Lab::TensorNames() const {
  std::vector<std::string> all;
  for (const auto& store : weights_) {
    const std::vector<std::string> names = store->Names();
    all.insert(all.end(), names.begin(), names.end());
  }
  return all;
}

Table Lab::TokenTable() const {
  Table table;
  if (ids_.tokenizer == nullptr) return table;
  const WeightEntry* best = nullptr;
  for (const auto& store : weights_) {
    for (const std::string& name : store->Names()) {
      const WeightEntry* entry = store->Find(name);
      const bool table_name = name.find("embed") != std::string::npos || name.find("embd") != std::string::npos ||
                              name.find("shared") != std::string::npos || name.find("wte") != std::string::npos;
      const auto& shape = entry->view.shape;
      if (!table_name || shape.size() != 2 || shape[0] <= ids_.tokenizer->max_id()) continue;
      if (best == nullptr || shape[0] * shape[1] > best->view.shape[0] * best->view.shape[1]) best = entry;
    }
  }
  if (best == nullptr) return table;
  table.values = ToFloat(best->view);
  table.rows = best->view.shape[0];
  table.cols = best->view.shape[1];
  return table;
}

int64_t Lab::Parameters() const {
  int64_t count = 0;
  for (const auto& store : weights_) {
    for (const std::string& name : store->Names()) {
      int64_t values = 1;
      for (const int64_t size : store->Find(name)->view.shape) values *= size;
      count += values;
    }
  }
  return count;
}

double Lab::WeightError(const Hypothesis& row) {
  constexpr int64_t kRows = 64;
  if (!row.edit.weights) return 0;
  if (const auto known = weight_errors_.find(row.Name()); known != weight_errors_.end()) return known->second;
  std::set<std::vector<int64_t>> seen;  // shapes
  double error = 0;
  double size = 0;
  for (const auto& store : weights_) {
    for (const std::string& name : store->Names()) {
      WeightEntry part = *store->Find(name);
      auto& shape = part.view.shape;
      if (shape.size() != 2 || shape[0] < 2 || IsEmbeddingTable(name)) continue;
      if (!seen.insert({shape.begin(), shape.end()}).second) continue;
      const auto whole = static_cast<double>(shape[0]);
      shape[0] = std::min(kRows, shape[0]);
      const double share = whole / static_cast<double>(shape[0]);
      const std::vector<float> before = ToFloat(part.view);
      std::vector<float> after = before;
      row.edit.weights(part, &after);
      for (size_t i = 0; i < before.size(); ++i) {
        const double off = static_cast<double>(after[i]) - before[i];
        error += share * off * off;
        size += share * before[i] * before[i];
      }
    }
  }
  return weight_errors_[row.Name()] = size == 0 ? 0 : std::sqrt(error / size);
}

Result<std::vector<Layer>> Lab::Layers(const std::string& text) {
  TV_ASSIGN_OR_RETURN(const Part part, EncodeOne(text, {}));
  std::vector<Layer> layers;
  LayerTrace trace(&layers);
  const EncodedText* one = &part.text;
  Vector row(static_cast<size_t>(base_->OutputWidth({})));
  const auto width = static_cast<int64_t>(row.size());
  TV_RETURN_IF_ERROR(base_->Embed({&one, 1}, {}, {pool_.get(), &arena_, &trace}, {row.data(), 1, width, width}));
  arena_.Reset();
  return layers;
}

}  // namespace truevec
