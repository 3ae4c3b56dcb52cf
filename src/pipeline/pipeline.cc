// Load, Encode and Embed over the module list.
#include "pipeline/pipeline.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <sstream>

#include "kernels/kernels.h"
#include "pipeline/fingerprint.h"
#include "pipeline/modules.h"
#include "pipeline/torch_activation.h"

namespace truevec {
namespace {

class LoadedPipeline : public Pipeline {
 public:
  Status Init(const ModelDirectory& directory, const SpecOptions& options, ModelSpec spec, LoadReport* report);
  bool packed_damaged() const { return packed_damaged_; }

  const ModelSpec& spec() const override { return spec_; }
  const Tokenizer& tokenizer() const override {
    TV_CHECK(has_tokenizer());
    return *input_->tokenizer();
  }
  bool has_tokenizer() const override { return input_->tokenizer() != nullptr; }
  int64_t dimension() const override { return dimension_; }
  int64_t max_length() const override { return input_->max_length(); }
  int64_t labels() const override { return labels_; }

  Result<std::string> ResolvePrompt(const PromptChoice& choice) const override;
  Result<EncodedText> Encode(std::string_view text, const EncodeTextOptions& options) const override {
    return EncodeInput(text, std::nullopt, options);
  }
  Result<EncodedText> EncodePair(std::string_view text, std::string_view pair,
                                 const EncodeTextOptions& options) const override {
    return EncodeInput(text, pair, options);
  }
  int64_t OutputWidth(const EmbedOptions& options) const override {
    const std::optional<int64_t> cut = options.truncate_dim.has_value() ? options.truncate_dim : spec_.truncate_dim;
    return cut.has_value() ? std::min(*cut, dimension_) : dimension_;
  }
  Status Embed(std::span<const EncodedText* const> texts, const EmbedOptions& options, const ExecContext& ctx,
               Matrix out) const override {
    return EmbedWith(texts, nullptr, options, ctx, out);
  }
  Status EmbedFromTokens(std::span<const EncodedText* const> texts, const TokenVectors& tokens,
                         const EmbedOptions& options, const ExecContext& ctx, Matrix out) const override {
    return EmbedWith(texts, &tokens, options, ctx, out);
  }
  Result<TokenVectors> EmbedTokens(std::span<const EncodedText* const> texts, const ExecContext& ctx) const override;
  Result<SparseVectors> EmbedSparse(std::span<const EncodedText* const> texts, int64_t max_active,
                                    const ExecContext& ctx) const override;
  Result<TokenVectors> EmbedMultiVector(std::span<const EncodedText* const> texts,
                                        const ExecContext& ctx) const override;
  Status Score(std::span<const EncodedText* const> pairs, const ScoreOptions& options, const ExecContext& ctx,
               Matrix out) const override;

 private:
  using Visit = FunctionRef<Status(const Features& features, std::span<const int64_t> indices)>;
  Result<EncodedText> EncodeInput(std::string_view text, std::optional<std::string_view> pair,
                                  const EncodeTextOptions& options) const;
  // Runs the modules over each group of texts with the same task; `indices` are the group's places in `texts`.
  struct RunOptions {
    bool skip_normalize = false;
    int64_t max_active = 0;
    std::span<const std::string> pooling = {};
    const TokenVectors* tokens = nullptr;  // given: the modules before Pooling are left out
    bool sentences_only = false;           // nobody reads token_embeddings afterwards
  };
  Status RunGroups(std::span<const EncodedText* const> texts, const RunOptions& options, const ExecContext& ctx,
                   Visit visit) const;
  Status RunModules(size_t first, const ExecContext& ctx, Features* features) const;
  Status EmbedWith(std::span<const EncodedText* const> texts, const TokenVectors* tokens, const EmbedOptions& options,
                   const ExecContext& ctx, Matrix out) const;
  size_t PoolingIndex() const;  // modules_.size() when there is none
  // Whether token vectors go from the first module to Pooling and no further.
  bool OnlyPoolingReadsTokens() const;
  Status LoadModules(const ModelDirectory& directory, const SpecOptions& options, LoadReport* report);
  void CheckOutput(const FeatureWidths& widths);
  Status LoadScoreActivation(const ModelDirectory& directory);
  // Everything but the weights that changes a vector.
  json::object DescribeAll(const SpecOptions& options) const;

  ModelSpec spec_;
  std::vector<std::unique_ptr<PipelineModule>> modules_;
  const InputModule* input_ = nullptr;  // modules_[0]
  int64_t dimension_ = 0;
  int64_t labels_ = 0;
  bool only_pooling_reads_tokens_ = false;
  bool packed_damaged_ = false;
  TorchActivation score_activation_;
};

// "file: key: problem", one per line, as refusals.
void AddRefusals(const std::string& message, ModelSpec* spec) {
  std::istringstream lines(message);
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(": ");
    const size_t second = first == std::string::npos ? first : line.find(": ", first + 2);
    const bool named = second != std::string::npos;
    spec->Refuse(named ? line.substr(first + 2, second - first - 2) : "model",
                 first == std::string::npos ? "" : line.substr(0, first), line);
  }
}

Status LoadedPipeline::Init(const ModelDirectory& directory, const SpecOptions& options, ModelSpec spec,
                            LoadReport* report) {
  spec_ = std::move(spec);
  Status status = spec_.RefusalStatus();
  if (status.ok()) {
    status = LoadModules(directory, options, report);
    if (status.code() == Code::kModelRefused) AddRefusals(status.message(), &spec_);
  }
  if (status.ok()) {
    const std::vector<std::string> unused = options.overrides.Unused();
    if (!unused.empty()) status = UsageError("--override " + unused.front() + ": this model has no such setting");
  }
  report->spec = spec_;
  report->dimension = dimension_;
  report->max_length = input_ == nullptr ? 0 : input_->max_length();
  return status;
}

Status LoadedPipeline::LoadModules(const ModelDirectory& directory, const SpecOptions& options, LoadReport* report) {
  FeatureWidths widths;
  WeightHash weight_hash;
  LoadContext context;
  context.directory = &directory;
  context.options = &options;
  context.spec = &spec_;
  context.report = report;
  context.widths = &widths;
  context.weight_hash = &weight_hash;
  context.packed_damaged = &packed_damaged_;
  for (const ModuleSpec& module : spec_.modules) {
    if (module.type == "WeightedLayerPooling") context.layers_wanted = 1;
  }
  // Modules load while spec_ takes settings and warnings, so the list itself is walked by a copy.
  const std::vector<ModuleSpec> list = spec_.modules;
  for (const ModuleSpec& module : list) {
    context.first = modules_.empty();
    TV_ASSIGN_OR_RETURN(std::unique_ptr<PipelineModule> loaded, LoadModule(module, context));
    if (context.first) {
      input_ = dynamic_cast<const InputModule*>(loaded.get());
      if (input_ == nullptr) {
        return ModelError("modules.json: module " + module.name + " (" + module.type +
                          ") cannot be the first: it takes no text");
      }
      context.input = input_;
    }
    modules_.push_back(std::move(loaded));
  }
  CheckOutput(widths);
  only_pooling_reads_tokens_ = OnlyPoolingReadsTokens();
  TV_RETURN_IF_ERROR(spec_.RefusalStatus());
  if (labels_ > 0) TV_RETURN_IF_ERROR(LoadScoreActivation(directory));
  spec_.lazy_fingerprint =
      std::make_shared<LazyText>([description = DescribeAll(options), weights = std::move(weight_hash)]() mutable {
        description["weights"] = weights.ToJson();
        return Fingerprint(description);
      });
  return Status::Ok();
}

void LoadedPipeline::CheckOutput(const FeatureWidths& widths) {
  const auto find = [&](std::string_view name) {
    const auto found = widths.find(name);
    return found == widths.end() ? int64_t{0} : found->second.width;
  };
  std::string_view wanted = "sentence_embedding";
  if (spec_.as == "cross-encoder") wanted = "scores";
  if (spec_.as == "multi-vector") wanted = "token_embeddings";
  const int64_t width = find(wanted);
  if (width == 0) {
    spec_.Refuse("modules", "modules.json",
                 "no module writes \"" + std::string(wanted) + "\", which a " + spec_.as + " model gives");
    return;
  }
  if (spec_.as == "cross-encoder") labels_ = width;
  dimension_ = spec_.as == "cross-encoder" ? 0 : width;
  if (spec_.truncate_dim.has_value() && *spec_.truncate_dim > dimension_ && dimension_ > 0) {
    spec_.warnings.push_back("truncate_dim " + std::to_string(*spec_.truncate_dim) + " exceeds the dimension " +
                             std::to_string(dimension_) + ": nothing is cut");
  }
}

// config_sentence_transformers activation_fn > config.json sentence_transformers.activation_fn > legacy key > Sigmoid
// for one label, else Identity. (cross_encoder/model.py get_default_activation_fn)
Status LoadedPipeline::LoadScoreActivation(const ModelDirectory& directory) {
  std::string path = spec_.activation_fn;
  SettingSource source = SettingSource::File("config_sentence_transformers.json", "activation_fn");
  const std::string config_file = spec_.modules.front().FilePath("config.json");
  if (path.empty() && directory.Has(config_file)) {
    TV_ASSIGN_OR_RETURN(const JsonFile file, directory.Json(config_file));
    JsonRef ref = file.root()["sentence_transformers"]["activation_fn"];
    if (!ref.present()) ref = file.root()["sbert_ce_default_activation_function"];
    if (ref.is_string()) {
      path = ref.String().value();
      source = SettingSource::File(ref.file(), ref.key());
    }
  }
  if (path.empty()) {
    path = labels_ == 1 ? "torch.nn.modules.activation.Sigmoid" : "torch.nn.modules.linear.Identity";
    source = SettingSource::Default(std::string(kReferenceName) + " CrossEncoder");
  }
  TV_ASSIGN_OR_RETURN(score_activation_, TorchActivation::FromPath(path, source.Describe(), labels_));
  spec_.settings.Record("activation_fn", json::value(path), source);
  return Status::Ok();
}

json::object LoadedPipeline::DescribeAll(const SpecOptions& options) const {
  json::array modules;
  for (const auto& module : modules_) modules.push_back(module->Describe());
  json::object settings;
  // What decides no vector or is in the modules' own description.
  static constexpr std::array<std::string_view, 8> kApart = {"similarity", "as",    "pooling", "normalize",
                                                             "base_model", "dense", "model",   "include_prompt"};
  for (const Setting& setting : spec_.settings.all()) {
    if (std::find(kApart.begin(), kApart.end(), setting.key) == kApart.end()) settings[setting.key] = setting.value;
  }
  json::object prompts;
  for (const auto& [name, text] : spec_.prompts) prompts[name] = text;
  settings["prompts"] = prompts;
  settings["default_prompt_name"] = spec_.default_prompt_name;
  static constexpr std::array<std::string_view, 3> kComputeTypes = {"float32", "bfloat16", "int8"};
  json::object all = {
      {"numerics", kNumericsVersion},
      {"compute", kComputeTypes[static_cast<size_t>(options.compute_type)]},
      {"modules", std::move(modules)},
      {"settings", std::move(settings)},
      {"truncate_dim", spec_.truncate_dim.has_value() ? json::value(*spec_.truncate_dim) : json::value()}};
  // Such products give other bits than those of other CPUs.
  if (options.compute_type != ComputeType::kFloat32 && kernels::Active().gemm_bfloat16 != nullptr) {
    all["bfloat16_activations"] = kernels::Active().name;
  }
  return all;
}

Result<std::string> LoadedPipeline::ResolvePrompt(const PromptChoice& choice) const {
  if (choice.prompt.has_value()) return *choice.prompt;
  std::string name;
  if (choice.prompt_name.has_value()) {
    name = *choice.prompt_name;
  } else if (choice.task == "query" && spec_.prompts.contains("query")) {
    name = "query";
  } else if (choice.task == "document") {
    for (const char* candidate : {"document", "passage", "corpus"}) {
      if (name.empty() && spec_.prompts.contains(candidate)) name = candidate;
    }
  }
  if (name.empty()) name = spec_.default_prompt_name;
  if (name.empty() && !choice.prompt_name.has_value()) return std::string();
  if (const auto found = spec_.prompts.find(name); found != spec_.prompts.end()) return found->second;
  std::string known;
  for (const auto& [key, text] : spec_.prompts) known += (known.empty() ? "" : ", ") + key;
  return UsageError("prompt name \"" + name +
                    "\" is not among the model's prompts: " + (known.empty() ? "none" : known));
}

Result<EncodedText> LoadedPipeline::EncodeInput(std::string_view text, std::optional<std::string_view> pair,
                                                const EncodeTextOptions& options) const {
  TV_ASSIGN_OR_RETURN(const std::string prompt, ResolvePrompt(options.prompt));
  for (const auto& module : modules_) TV_RETURN_IF_ERROR(module->CheckTask(options.prompt.task));
  InputText input;
  input.text = text;
  input.pair = pair;
  input.prompt = prompt;
  input.task = options.prompt.task;
  input.max_length = options.max_length;
  input.truncation_side = options.truncation_side;
  TV_ASSIGN_OR_RETURN(EncodedText encoded, input_->Encode(input));
  if (options.error_when_long && encoded.truncated_tokens > 0) {
    return InputError("the text has " +
                      std::to_string(static_cast<int64_t>(encoded.ids.size()) + encoded.truncated_tokens) +
                      " tokens, more than the limit of " + std::to_string(encoded.ids.size()));
  }
  return encoded;
}

size_t LoadedPipeline::PoolingIndex() const {
  const auto pools = [](const ModuleSpec& module) { return module.type == "Pooling"; };
  return static_cast<size_t>(std::find_if(spec_.modules.begin(), spec_.modules.end(), pools) - spec_.modules.begin());
}

bool LoadedPipeline::OnlyPoolingReadsTokens() const {
  const std::vector<ModuleSpec>& list = spec_.modules;
  if (list.size() < 2 || list[0].type != "Transformer" || list[1].type != "Pooling") return false;
  return std::all_of(list.begin() + 2, list.end(), [](const ModuleSpec& module) {
    static constexpr std::array<std::string_view, 4> kOfSentences = {"Normalize", "Dense", "Dropout", "LayerNorm"};
    const JsonRef input = module.Config()["module_input_name"];
    return std::find(kOfSentences.begin(), kOfSentences.end(), module.type) != kOfSentences.end() &&
           (!input.present() || (input.is_string() && input.String().value() == "sentence_embedding"));
  });
}

Status LoadedPipeline::RunModules(size_t first, const ExecContext& ctx, Features* features) const {
  for (size_t i = first; i < modules_.size(); ++i) TV_RETURN_IF_ERROR(modules_[i]->Forward(ctx, features));
  return Status::Ok();
}

// The rows of the texts `indices` as one matrix.
Matrix Gather(const TokenVectors& tokens, std::span<const int64_t> indices, const ExecContext& ctx) {
  int64_t rows = 0;
  for (const int64_t i : indices) {
    rows += tokens.offsets[static_cast<size_t>(i) + 1] - tokens.offsets[static_cast<size_t>(i)];
  }
  const Matrix out = ctx.arena->NewMatrix(rows, tokens.width);
  float* to = out.data;
  for (const int64_t i : indices) {
    const float* first = tokens.values.data() + tokens.offsets[static_cast<size_t>(i)] * tokens.width;
    const float* last = tokens.values.data() + tokens.offsets[static_cast<size_t>(i) + 1] * tokens.width;
    to = std::copy(first, last, to);
  }
  return out;
}

Status LoadedPipeline::RunGroups(std::span<const EncodedText* const> texts, const RunOptions& options,
                                 const ExecContext& ctx, Visit visit) const {
  std::map<std::string_view, std::vector<int64_t>> groups;
  for (size_t i = 0; i < texts.size(); ++i) groups[texts[i]->task].push_back(static_cast<int64_t>(i));
  for (const auto& [task, indices] : groups) {
    const Arena::Scope scope(ctx.arena);
    std::vector<const EncodedText*> group;
    Features features;
    features.skip_sentence_normalize = options.skip_normalize;
    features.max_active = options.max_active;
    features.pooling = options.pooling;
    features.offsets.push_back(0);
    bool typed = false;
    for (const int64_t index : indices) {
      const EncodedText* text = texts[static_cast<size_t>(index)];
      group.push_back(text);
      features.ids.insert(features.ids.end(), text->ids.begin(), text->ids.end());
      features.offsets.push_back(static_cast<int32_t>(features.ids.size()));
      typed = typed || !text->type_ids.empty();
      if (!text->type_ids.empty() && text->type_ids.size() != text->ids.size()) {
        return InputError("type_ids: expected one per id");
      }
      if (!text->pooling_mask.empty() && text->pooling_mask.size() != text->ids.size()) {
        return InputError("pooling_mask: expected one flag per id");
      }
    }
    if (typed) {
      features.type_ids.assign(features.ids.size(), 0);
      for (size_t g = 0; g < group.size(); ++g) {
        std::copy(group[g]->type_ids.begin(), group[g]->type_ids.end(),
                  features.type_ids.begin() + features.offsets[g]);
      }
    }
    features.texts = group;
    const size_t first = options.tokens == nullptr ? 0 : PoolingIndex();
    if (options.tokens != nullptr) {
      features.Set("token_embeddings", Gather(*options.tokens, indices, ctx), true);
    }
    if (first == 0 && options.sentences_only && only_pooling_reads_tokens_) {
      features.needed_rows = modules_[1]->NeededRows(features);
    }
    TV_RETURN_IF_ERROR(RunModules(first, ctx, &features));
    TV_RETURN_IF_ERROR(visit(features, indices));
  }
  return Status::Ok();
}

Status LoadedPipeline::EmbedWith(std::span<const EncodedText* const> texts, const TokenVectors* tokens,
                                 const EmbedOptions& options, const ExecContext& ctx, Matrix out) const {
  if (spec_.as == "cross-encoder" || spec_.as == "multi-vector") {
    return UsageError("the model is a " + spec_.as + ": it gives no single vector per text");
  }
  if (options.truncate_dim.has_value() && *options.truncate_dim < 1) {
    return UsageError("truncate_dim: expected a positive number, got " + std::to_string(*options.truncate_dim));
  }
  TV_CHECK(out.rows == static_cast<int64_t>(texts.size()) && out.cols == OutputWidth(options));
  if (tokens != nullptr && PoolingIndex() == modules_.size()) {
    return UsageError("the model has no Pooling module");
  }
  RunOptions run;
  run.skip_normalize = options.normalize.has_value() && !*options.normalize;
  run.pooling = options.pooling;
  run.tokens = tokens;
  run.sentences_only = true;
  TV_RETURN_IF_ERROR(RunGroups(texts, run, ctx, [&](const Features& f, std::span<const int64_t> indices) {
    const Matrix vectors = f.at("sentence_embedding").matrix;
    for (size_t i = 0; i < indices.size(); ++i) {
      const float* row = vectors.row(static_cast<int64_t>(i));
      std::copy(row, row + out.cols, out.row(indices[i]));
    }
    return Status::Ok();
  }));
  if (options.normalize.has_value() && *options.normalize) L2Normalize(ctx, out);
  ctx.Record("output", out);
  return Status::Ok();
}

// Rows of `name` by text, in the order of the texts given; `keep` may drop rows.
void Collect(const Features& f, std::string_view name, std::span<const int64_t> indices,
             std::vector<std::vector<float>>* rows) {
  const Matrix m = f.at(name).matrix;
  for (size_t i = 0; i < indices.size(); ++i) {
    std::vector<float>& target = (*rows)[static_cast<size_t>(indices[i])];
    const auto text = static_cast<int64_t>(i);
    if (!f.token_offsets.empty()) {  // pooled: every row is kept
      for (int32_t r = f.token_offsets[i]; r < f.token_offsets[i + 1]; ++r) {
        target.insert(target.end(), m.row(r), m.row(r) + m.cols);
      }
      continue;
    }
    for (int32_t t = 0; t < f.length(text); ++t) {
      if (!f.keep.empty() && f.keep[i][static_cast<size_t>(t)] == 0) continue;
      const float* row = m.row(f.first(text) + t);
      target.insert(target.end(), row, row + m.cols);
    }
  }
}

TokenVectors Flatten(const std::vector<std::vector<float>>& rows, int64_t width) {
  TokenVectors result;
  result.width = width;
  result.offsets.push_back(0);
  for (const std::vector<float>& text : rows) {
    result.values.insert(result.values.end(), text.begin(), text.end());
    result.offsets.push_back(static_cast<int64_t>(result.values.size()) / width);
  }
  return result;
}

Result<TokenVectors> LoadedPipeline::EmbedTokens(std::span<const EncodedText* const> texts,
                                                 const ExecContext& ctx) const {
  std::vector<std::vector<float>> rows(texts.size());
  int64_t width = 1;
  TV_RETURN_IF_ERROR(RunGroups(texts, {}, ctx, [&](const Features& f, std::span<const int64_t> indices) {
    if (!f.values.contains("token_embeddings")) return UsageError("the model has no token vectors");
    width = f.at("token_embeddings").matrix.cols;
    Collect(f, "token_embeddings", indices, &rows);
    return Status::Ok();
  }));
  return Flatten(rows, width);
}

Result<TokenVectors> LoadedPipeline::EmbedMultiVector(std::span<const EncodedText* const> texts,
                                                      const ExecContext& ctx) const {
  if (spec_.as != "multi-vector") return UsageError("the model is " + spec_.as + ", not multi-vector");
  return EmbedTokens(texts, ctx);
}

void AppendSparseRow(const float* row, int64_t width, int64_t max_active, SparseVectors* out) {
  std::vector<int32_t> active;
  for (int64_t c = 0; c < width; ++c) {
    if (row[c] != 0) active.push_back(static_cast<int32_t>(c));
  }
  if (max_active > 0 && static_cast<int64_t>(active.size()) > max_active) {
    const auto larger = [&](int32_t a, int32_t b) {
      const float x = std::abs(row[a]);
      const float y = std::abs(row[b]);
      return x != y ? x > y : a < b;
    };
    std::nth_element(active.begin(), active.begin() + max_active, active.end(), larger);
    active.resize(static_cast<size_t>(max_active));
    std::sort(active.begin(), active.end());
  }
  for (const int32_t c : active) {
    out->columns.push_back(c);
    out->values.push_back(row[c]);
  }
  out->offsets.push_back(static_cast<int64_t>(out->values.size()));
}

Result<SparseVectors> LoadedPipeline::EmbedSparse(std::span<const EncodedText* const> texts, int64_t max_active,
                                                  const ExecContext& ctx) const {
  if (spec_.as != "sparse") return UsageError("the model is " + spec_.as + ", not sparse");
  if (max_active <= 0) max_active = spec_.max_active_dims.value_or(0);
  std::vector<SparseVectors> rows(texts.size());
  TV_RETURN_IF_ERROR(
      RunGroups(texts, {.max_active = max_active}, ctx, [&](const Features& f, std::span<const int64_t> indices) {
        const Matrix m = f.at("sentence_embedding").matrix;
        for (size_t i = 0; i < indices.size(); ++i) {
          AppendSparseRow(m.row(static_cast<int64_t>(i)), m.cols, max_active, &rows[static_cast<size_t>(indices[i])]);
        }
        return Status::Ok();
      }));
  SparseVectors result;
  result.width = dimension_;
  result.offsets.push_back(0);
  for (const SparseVectors& row : rows) {
    result.values.insert(result.values.end(), row.values.begin(), row.values.end());
    result.columns.insert(result.columns.end(), row.columns.begin(), row.columns.end());
    result.offsets.push_back(static_cast<int64_t>(result.values.size()));
  }
  return result;
}

Status LoadedPipeline::Score(std::span<const EncodedText* const> pairs, const ScoreOptions& options,
                             const ExecContext& ctx, Matrix out) const {
  if (labels_ == 0) return UsageError("the model is " + spec_.as + ", not a cross-encoder");
  TV_CHECK(out.rows == static_cast<int64_t>(pairs.size()) && out.cols == labels_);
  TV_RETURN_IF_ERROR(RunGroups(pairs, {}, ctx, [&](const Features& f, std::span<const int64_t> indices) {
    const Matrix scores = f.at("scores").matrix;
    for (size_t i = 0; i < indices.size(); ++i) {
      const float* row = scores.row(static_cast<int64_t>(i));
      std::copy(row, row + out.cols, out.row(indices[i]));
    }
    return Status::Ok();
  }));
  const Arena::Scope scope(ctx.arena);
  if (!options.raw) score_activation_.Run(ctx, out);
  if (options.softmax && labels_ > 1) {
    TV_ASSIGN_OR_RETURN(const TorchActivation softmax,
                        TorchActivation::FromPath("torch.nn.modules.activation.Softmax", "softmax", labels_));
    softmax.Run(ctx, out);
  }
  return Status::Ok();
}

}  // namespace

Result<std::shared_ptr<const Pipeline>> Pipeline::Load(const std::string& directory, const SpecOptions& options,
                                                       LoadReport* report) {
  LoadReport own;
  if (report == nullptr) report = &own;
  TV_ASSIGN_OR_RETURN(ModelSpec spec, ResolveModelSpec(directory, options));
  TV_ASSIGN_OR_RETURN(const ModelDirectory files, ModelDirectory::Open(directory));
  auto pipeline = std::make_shared<LoadedPipeline>();
  const Status loaded = pipeline->Init(files, options, std::move(spec), report);
  if (pipeline->packed_damaged()) {
    SpecOptions anew = options;
    anew.packed_cache.read = false;
    *report = LoadReport();
    return Load(directory, anew, report);
  }
  TV_RETURN_IF_ERROR(loaded);
  return std::shared_ptr<const Pipeline>(std::move(pipeline));
}

}  // namespace truevec
