// The C++ API over Pipeline: tokenises in parallel, packs texts of similar length into token-budget batches, and puts
// every vector back in the order of its text.
#include <algorithm>
#include <atomic>
#include <mutex>
#include <new>
#include <numeric>

#include "engine/json_views.h"
#include "kernels/kernels.h"
#include "pipeline/inspect.h"
#include "pipeline/pipeline.h"
#include "truevec/truevec.h"

namespace truevec {
namespace {

Error ToError(const Status& status) { return {ExitCode(status.code()), status.message()}; }

EncodeTextOptions EncodeOptionsOf(const EmbedParams& params) {
  EncodeTextOptions options;
  options.prompt = {params.prompt, params.prompt_name, params.task};
  options.max_length = params.max_length;
  options.error_when_long = params.error_when_long;
  return options;
}

// Arenas that finished calls leave for later ones, so that a warm call allocates nothing.
class ArenaPool {
 public:
  std::unique_ptr<Arena> Take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return std::make_unique<Arena>();
    std::unique_ptr<Arena> arena = std::move(free_.back());
    free_.pop_back();
    return arena;
  }
  void Return(std::unique_ptr<Arena> arena) {
    arena->Reset();
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(arena));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Arena>> free_;
};

class PipelineEmbedder : public Embedder {
 public:
  PipelineEmbedder(std::shared_ptr<const Pipeline> pipeline, LoadReport report, int threads)
      : pipeline_(std::move(pipeline)), report_(std::move(report)), pool_(std::make_unique<ThreadPool>(threads)) {}

  size_t dimension() const override { return static_cast<size_t>(pipeline_->dimension()); }
  size_t width(const EmbedParams& params) const override {
    return static_cast<size_t>(pipeline_->OutputWidth({params.normalize, params.truncate_dim, {}}));
  }
  int64_t max_length() const override { return pipeline_->max_length(); }
  std::string fingerprint() const override { return pipeline_->spec().fingerprint(); }
  std::string InspectJson() const override { return WriteJson(InspectToJson(report_)); }

  Error Embed(std::span<const std::string_view> texts, const EmbedParams& params, std::span<float> out,
              EmbedStats* stats) const override {
    try {
      return ToError(EmbedAll(texts, params, out, stats));
    } catch (const std::bad_alloc&) {
      return {ExitCode(Code::kResource), "out of memory while embedding"};
    }
  }

  Error CountTokens(std::span<const std::string_view> texts, const EmbedParams& params,
                    std::vector<int64_t>* counts) const override {
    try {
      std::vector<EncodedText> encoded;
      const Status status = EncodeAll(texts, params, &encoded);
      for (const EncodedText& text : encoded) counts->push_back(static_cast<int64_t>(text.ids.size()));
      return ToError(status);
    } catch (const std::bad_alloc&) {
      return {ExitCode(Code::kResource), "out of memory while tokenising"};
    }
  }

  Error TokenizeJson(std::string_view text, const EmbedParams& params, std::string* out) const override {
    auto value = Tokenize(text, params);
    if (!value.ok()) return ToError(value.status());
    *out = WriteJson(*value);
    return {};
  }

 private:
  Result<json::value> Tokenize(std::string_view text, const EmbedParams& params) const {
    if (!pipeline_->has_tokenizer()) return ModelError("this model has no tokenizer");
    TV_ASSIGN_OR_RETURN(const std::string prompt,
                        pipeline_->ResolvePrompt({params.prompt, params.prompt_name, params.task}));
    EncodeOptions options;
    options.details = true;
    options.add_special_tokens = params.add_special_tokens;
    const int64_t limit = params.max_length.value_or(pipeline_->max_length());
    if (limit > 0)
      options.truncation = Truncation{.max_length = limit, .side = pipeline_->tokenizer().truncation_side()};
    TV_ASSIGN_OR_RETURN(const Encoding encoding,
                        pipeline_->tokenizer().Encode(prompt + std::string(text), params.text_pair, options));
    return EncodingToJson(encoding);
  }

  Status EncodeAll(std::span<const std::string_view> texts, const EmbedParams& params,
                   std::vector<EncodedText>* encoded) const {
    const EncodeTextOptions options = EncodeOptionsOf(params);
    encoded->resize(texts.size());
    std::mutex mutex;
    size_t failed = texts.size();
    Status failure;
    pool_->ParallelFor(static_cast<int64_t>(texts.size()), [&](int64_t unit, int) {
      const auto i = static_cast<size_t>(unit);
      auto result = pipeline_->Encode(texts[i], options);
      if (result.ok()) {
        (*encoded)[i] = std::move(result).value();
        return;
      }
      const std::lock_guard lock(mutex);
      if (i < failed) {
        failed = i;
        failure = result.status().WithContext("text " + std::to_string(i));
      }
    });
    return failure;
  }

  Status EmbedAll(std::span<const std::string_view> texts, const EmbedParams& params, std::span<float> out,
                  EmbedStats* stats) const {
    if (params.truncate_dim && *params.truncate_dim < 1) return UsageError("truncate_dim must be at least 1");
    const auto vector_width = static_cast<int64_t>(width(params));
    TV_CHECK(out.size() == texts.size() * static_cast<size_t>(vector_width));
    std::vector<EncodedText> encoded;
    TV_RETURN_IF_ERROR(EncodeAll(texts, params, &encoded));
    std::vector<size_t> order(texts.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return encoded[a].ids.size() > encoded[b].ids.size(); });
    for (size_t begin = 0; begin < order.size();) {
      size_t end = begin;
      int64_t tokens = 0;
      while (end < order.size() &&
             (end == begin || tokens + static_cast<int64_t>(encoded[order[end]].ids.size()) <= params.batch_tokens)) {
        tokens += static_cast<int64_t>(encoded[order[end++]].ids.size());
      }
      TV_RETURN_IF_ERROR(RunBatch({order.data() + begin, end - begin}, encoded, params, vector_width, out, stats));
      begin = end;
    }
    if (stats != nullptr) {
      for (const EncodedText& text : encoded) {
        stats->tokens += static_cast<int64_t>(text.ids.size());
        stats->truncated_tokens += text.truncated_tokens;
        stats->truncated_texts += text.truncated_tokens > 0 ? 1 : 0;
        if (stats->text_tokens != nullptr) stats->text_tokens->push_back(static_cast<int64_t>(text.ids.size()));
        if (stats->text_truncated != nullptr) stats->text_truncated->push_back(text.truncated_tokens);
      }
    }
    return Status::Ok();
  }

  Status RunBatch(std::span<const size_t> indices, const std::vector<EncodedText>& encoded, const EmbedParams& params,
                  int64_t width, std::span<float> out, EmbedStats* stats) const {
    std::vector<const EncodedText*> batch;
    for (const size_t index : indices) batch.push_back(&encoded[index]);
    std::unique_ptr<Arena> arena = arenas_.Take();
    const Matrix vectors = arena->NewMatrix(static_cast<int64_t>(batch.size()), width);
    const ExecContext ctx{pool_.get(), arena.get(), nullptr, stats == nullptr ? nullptr : &stats->flops};
    Status status = pipeline_->Embed(batch, {params.normalize, params.truncate_dim, {}}, ctx, vectors);
    for (size_t i = 0; status.ok() && i < indices.size(); ++i) {
      const float* row = vectors.row(static_cast<int64_t>(i));
      std::copy(row, row + width, out.data() + indices[i] * static_cast<size_t>(width));
    }
    arenas_.Return(std::move(arena));
    return status;
  }

  std::shared_ptr<const Pipeline> pipeline_;
  LoadReport report_;
  std::unique_ptr<ThreadPool> pool_;
  mutable ArenaPool arenas_;
};

}  // namespace

Embedder::~Embedder() = default;

Error Embedder::CountTokens(std::span<const std::string_view>, const EmbedParams&, std::vector<int64_t>*) const {
  return {ExitCode(Code::kUsage), "this embedder does not tokenise"};
}

Error Embedder::Load(const std::string& path, const LoadParams& params, std::shared_ptr<const Embedder>* embedder) {
  try {
    if (params.threads < 0) return {ExitCode(Code::kUsage), "threads must not be negative"};
    SpecOptions options;
    auto overrides = Overrides::Parse(params.overrides);
    if (!overrides.ok()) return ToError(overrides.status());
    options.overrides = std::move(overrides).value();
    auto type = ComputeTypeByName(params.dtype);
    if (!type.ok()) return ToError(type.status());
    options.compute_type = *type;
    options.as = params.as;
    options.default_as = "dense";
    options.packed_cache.directory = params.packed_cache;
    LoadReport report;
    auto pipeline = Pipeline::Load(path, options, &report);
    if (!pipeline.ok()) return ToError(pipeline.status());
    const int threads = params.threads == 0 ? AvailableCpus() : params.threads;
    *embedder = std::make_shared<PipelineEmbedder>(std::move(pipeline).value(), std::move(report), threads);
    return {};
  } catch (const std::bad_alloc&) {
    return {ExitCode(Code::kResource), path + ": out of memory while loading"};
  }
}

std::string_view Version() { return TRUEVEC_VERSION; }
std::string_view Isa() { return kernels::Active().name; }

Error UseIsa(const std::string& name) {
  if (kernels::ForceTable(name.c_str())) return {};
  const kernels::KernelTable* const* tables = nullptr;
  const int count = kernels::AvailableTables(&tables);
  std::string known;
  for (int i = 0; i < count; ++i) known += std::string(i > 0 ? ", " : "") + tables[i]->name;
  return {ExitCode(Code::kUsage), "instruction set \"" + name + "\" is not available here; known: " + known};
}

}  // namespace truevec
