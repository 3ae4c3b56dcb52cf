// StaticEmbedding: the mean of one table row per token, no special tokens, no limit on length. Layouts of Sentence
// Transformers ("embedding.weight") and model2vec ("embeddings", "mapping", "weights").
// Reference: sentence_transformer/modules/static_embedding.py.
#include <algorithm>
#include <cstring>

#include "base/file.h"
#include "kernels/kernels.h"
#include "pipeline/fingerprint.h"
#include "pipeline/modules.h"

namespace truevec {
namespace {

// Token id -> row of the table and its weight.
struct StaticTable {
  TensorView rows;               // [rows, width]
  std::vector<int32_t> mapping;  // empty: the id is the row
  std::vector<float> weights;    // by id; empty: 1
  std::shared_ptr<const WeightStore> store;
  int64_t ids() const {
    if (!mapping.empty()) return static_cast<int64_t>(mapping.size());
    return rows.shape[0];
  }
};

struct StaticTokenizer {
  std::unique_ptr<Tokenizer> tokenizer;
  bool truncates = false;
};

class StaticEmbedding : public InputModule {
 public:
  StaticEmbedding(StaticTokenizer tokenizer, StaticTable table, json::object about)
      : tokenizer_(std::move(tokenizer.tokenizer)),
        truncates_(tokenizer.truncates),
        table_(std::move(table)),
        about_(std::move(about)) {}

  Result<EncodedText> Encode(const InputText& input) const override {
    EncodeOptions options;
    options.add_special_tokens = false;
    if (input.max_length.has_value()) {
      if (*input.max_length < 1) return UsageError("max length: expected a positive number of tokens");
      Truncation truncation;
      truncation.max_length = *input.max_length;
      options.truncation = truncation;
    }
    const std::string joined = input.prompt.empty() ? "" : std::string(input.prompt) + std::string(input.text);
    const std::string_view text = input.prompt.empty() ? input.text : joined;
    EncodedText result;
    result.task = std::string(input.task);
    if (!truncates_ && !options.truncation) {
      TV_RETURN_IF_ERROR(tokenizer_->EncodeIds(text, options, &result.ids));
      return result;
    }
    TV_ASSIGN_OR_RETURN(Encoding encoding, tokenizer_->Encode(text, std::nullopt, options));
    result.ids = std::move(encoding.ids);
    result.truncated_tokens = encoding.truncated_tokens;
    return result;
  }
  const Tokenizer* tokenizer() const override { return tokenizer_.get(); }
  int64_t max_length() const override { return 0; }

  Status Forward(const ExecContext& ctx, Features* features) const override {
    const int64_t width = table_.rows.shape[1];
    const Matrix out = ctx.arena->NewMatrix(features->count(), width);
    for (const int32_t id : features->ids) {
      if (id < 0 || id >= table_.ids()) return InputError("token id " + std::to_string(id) + " has no embedding");
    }
    const int64_t blocks = std::clamp<int64_t>(features->tokens() * width / kUnitValues, 1, features->count());
    const Matrix rows = ctx.arena->NewMatrix(ctx.pool->threads(), width);
    double* const sums = ctx.arena->Allocate<double>(width * ctx.pool->threads());
    ctx.pool->ParallelFor(blocks, [&](int64_t block, int worker) {
      for (int64_t text = features->count() * block / blocks; text < features->count() * (block + 1) / blocks; ++text) {
        Mean(*features, text, rows.row(worker), sums + worker * width, out.row(text));
      }
    });
    features->Set("sentence_embedding", out, false);
    return Status::Ok();
  }
  json::object Describe() const override { return about_; }

 private:
  static constexpr int64_t kUnitValues = 16384;  // additions that are worth waking a thread

  void Mean(const Features& features, int64_t text, float* row, double* sums, float* out) const {
    const int64_t width = table_.rows.shape[1];
    const kernels::KernelTable& table = kernels::Active();
    const int64_t length = features.length(text);
    std::fill(sums, sums + width, 0.0);
    for (int64_t i = 0; i < length; ++i) {
      table.add_to_double(Row(features.id(text, i), row), width, sums);
    }
    const double count = length > 0 ? static_cast<double>(length) : 1.0;
    for (int64_t c = 0; c < width; ++c) out[c] = static_cast<float>(sums[c] / count);
  }

  // The token's row: in place where it is float32 and has no weight, else made in `buffer`.
  const float* Row(int32_t id, float* buffer) const {
    const auto at = static_cast<size_t>(id);
    const int64_t width = table_.rows.shape[1];
    const int64_t index = table_.mapping.empty() ? id : table_.mapping[at];
    const char* const stored = static_cast<const char*>(table_.rows.data) +
                               static_cast<size_t>(index * width) * ElementBytes(table_.rows.dtype);
    if (table_.weights.empty() && table_.rows.dtype == DType::kF32 &&
        reinterpret_cast<uintptr_t>(stored) % alignof(float) == 0) {
      return reinterpret_cast<const float*>(stored);
    }
    ConvertToFloat(stored, table_.rows.dtype, width, buffer);
    for (int64_t c = 0; c < width && !table_.weights.empty(); ++c) buffer[c] *= table_.weights[at];
    return buffer;
  }

  std::unique_ptr<Tokenizer> tokenizer_;
  bool truncates_;  // the file says so
  StaticTable table_;
  json::object about_;
};

// tokenizer.json with padding off, as the reference's no_padding(); its truncation stays.
Result<StaticTokenizer> LoadTokenizer(const ModuleSpec& module, const LoadContext& context) {
  const std::string name = module.FilePath("tokenizer.json");
  if (!context.directory->Has(name)) return ModelError(name + ": no such file");
  TV_ASSIGN_OR_RETURN(const JsonFile file, context.directory->Json(name));
  if (!file.root().is_object()) return file.root().TypeError("an object");
  json::object root = file.root().value().get_object();
  root["padding"] = nullptr;
  TV_ASSIGN_OR_RETURN(const JsonFile changed, JsonFile::Parse(WriteJson(root), name));
  StaticTokenizer result;
  const JsonRef truncation = changed.root()["truncation"];
  result.truncates = truncation.present() && !truncation.is_null();
  TV_ASSIGN_OR_RETURN(result.tokenizer, Tokenizer::FromJson(changed));
  return result;
}

Result<std::vector<int32_t>> ReadMapping(const WeightScope& weights, int64_t rows) {
  const WeightEntry* entry = weights.store()->Find("mapping");
  std::vector<int32_t> mapping;
  if (entry == nullptr) return mapping;
  weights.Ignore("mapping");
  const bool wide = entry->view.dtype == DType::kI64;
  if ((!wide && entry->view.dtype != DType::kI32) || entry->view.shape.size() != 1) {
    return ModelError(entry->file + ": tensor mapping: expected integers [ids], got " +
                      std::string(DTypeName(entry->view.dtype)) + " " + ShapeText(entry->view.shape));
  }
  for (int64_t i = 0; i < entry->view.count(); ++i) {
    int64_t row = 0;
    if (wide) {
      std::memcpy(&row, static_cast<const char*>(entry->view.data) + i * 8, 8);
    } else {
      int32_t narrow = 0;
      std::memcpy(&narrow, static_cast<const char*>(entry->view.data) + i * 4, 4);
      row = narrow;
    }
    if (row < 0 || row >= rows) {
      return ModelError(entry->file + ": tensor mapping: entry " + std::to_string(i) + " is " + std::to_string(row) +
                        ", but there are " + std::to_string(rows) + " rows");
    }
    mapping.push_back(static_cast<int32_t>(row));
  }
  return mapping;
}

}  // namespace

LoadedModule LoadStaticEmbedding(const ModuleSpec& module, const LoadContext& context) {
  TV_ASSIGN_OR_RETURN(StaticTokenizer tokenizer, LoadTokenizer(module, context));
  TV_ASSIGN_OR_RETURN(const WeightScope weights, context.Weights(module));
  StaticTable table;
  const bool own = weights.Has("embedding.weight");
  TV_ASSIGN_OR_RETURN(table.rows, weights.Get(own ? "embedding.weight" : "embeddings", {-1, -1}));
  if (!own) {
    TV_ASSIGN_OR_RETURN(table.mapping, ReadMapping(weights, table.rows.shape[0]));
    if (weights.Has("weights")) {
      TV_ASSIGN_OR_RETURN(table.weights, weights.GetFloats("weights", {table.ids()}));
    }
    if (const WeightEntry* mapping = weights.store()->Find("mapping"); mapping != nullptr) {
      context.weight_hash->Add("StaticEmbedding/mapping", mapping->view, weights.store());
    }
  }
  TV_RETURN_IF_ERROR(context.FinishWeights(module, weights));
  table.store = weights.store();
  const int32_t max_id = tokenizer.tokenizer->max_id();
  if (max_id >= table.ids()) {
    return ModelError(module.FilePath("tokenizer.json") + ": its largest id is " + std::to_string(max_id) +
                      ", but there are " + std::to_string(table.ids()) + " embeddings");
  }
  (*context.widths)["sentence_embedding"] = {table.rows.shape[1], false};
  if (context.spec->as == "dense") {
    const Setting* as = context.spec->settings.Find("as");
    context.spec->settings.Record("as", json::value("static"), as->source);
  }
  json::object about = {{"type", "StaticEmbedding"}, {"tokenizer", tokenizer.tokenizer->CanonicalForm()}};
  return LoadedModule(std::make_unique<StaticEmbedding>(std::move(tokenizer), std::move(table), std::move(about)));
}

}  // namespace truevec
