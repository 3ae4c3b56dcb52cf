// StaticEmbedding: the mean of one table row per token, no special tokens, no limit on length. Layouts of Sentence
// Transformers ("embedding.weight") and model2vec ("embeddings", "mapping", "weights").
// Reference: sentence_transformer/modules/static_embedding.py.
#include <algorithm>
#include <cstring>

#include "base/file.h"
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

class StaticEmbedding : public InputModule {
 public:
  StaticEmbedding(std::unique_ptr<Tokenizer> tokenizer, StaticTable table, json::object about)
      : tokenizer_(std::move(tokenizer)), table_(std::move(table)), about_(std::move(about)) {}

  Result<EncodedText> Encode(const InputText& input) const override {
    EncodeOptions options;
    options.add_special_tokens = false;
    if (input.max_length.has_value()) {
      if (*input.max_length < 1) return UsageError("max length: expected a positive number of tokens");
      Truncation truncation;
      truncation.max_length = *input.max_length;
      options.truncation = truncation;
    }
    const std::string text = std::string(input.prompt) + std::string(input.text);
    TV_ASSIGN_OR_RETURN(Encoding encoding, tokenizer_->Encode(text, std::nullopt, options));
    EncodedText result;
    result.ids = std::move(encoding.ids);
    result.truncated_tokens = encoding.truncated_tokens;
    result.task = std::string(input.task);
    return result;
  }
  const Tokenizer* tokenizer() const override { return tokenizer_.get(); }
  int64_t max_length() const override { return 0; }

  Status Forward(const ExecContext& ctx, Features* features) const override {
    const int64_t width = table_.rows.shape[1];
    const Matrix out = ctx.arena->NewMatrix(features->count(), width);
    const Matrix row = ctx.arena->NewMatrix(1, width);
    double* sums = ctx.arena->Allocate<double>(width);
    for (int64_t text = 0; text < features->count(); ++text) {
      std::fill(sums, sums + width, 0.0);
      const int64_t length = features->length(text);
      for (int64_t i = 0; i < length; ++i) {
        const int32_t id = features->ids[static_cast<size_t>(features->first(text) + i)];
        if (id < 0 || id >= table_.ids()) return InputError("token id " + std::to_string(id) + " has no embedding");
        ReadRow(id, row);
        for (int64_t c = 0; c < width; ++c) sums[c] += static_cast<double>(row.data[c]);
      }
      const double count = length > 0 ? static_cast<double>(length) : 1.0;
      for (int64_t c = 0; c < width; ++c) out.row(text)[c] = static_cast<float>(sums[c] / count);
    }
    features->Set("sentence_embedding", out, false);
    return Status::Ok();
  }
  json::object Describe() const override { return about_; }

 private:
  void ReadRow(int32_t id, const Matrix& row) const {
    const auto at = static_cast<size_t>(id);
    const int64_t index = table_.mapping.empty() ? id : table_.mapping[at];
    const size_t bytes = static_cast<size_t>(row.cols) * ElementBytes(table_.rows.dtype);
    ConvertToFloat(static_cast<const char*>(table_.rows.data) + static_cast<size_t>(index) * bytes, table_.rows.dtype,
                   row.cols, row.data);
    if (table_.weights.empty()) return;
    for (int64_t c = 0; c < row.cols; ++c) row.data[c] *= table_.weights[at];
  }

  std::unique_ptr<Tokenizer> tokenizer_;
  StaticTable table_;
  json::object about_;
};

// tokenizer.json with padding off, as the reference's no_padding(); its truncation stays.
Result<std::unique_ptr<Tokenizer>> LoadTokenizer(const ModuleSpec& module, const LoadContext& context) {
  const std::string name = module.FilePath("tokenizer.json");
  if (!context.directory->Has(name)) return ModelError(name + ": no such file");
  TV_ASSIGN_OR_RETURN(const JsonFile file, context.directory->Json(name));
  if (!file.root().is_object()) return file.root().TypeError("an object");
  json::object root = file.root().value().get_object();
  root["padding"] = nullptr;
  TV_ASSIGN_OR_RETURN(const JsonFile changed, JsonFile::Parse(WriteJson(root), name));
  return Tokenizer::FromJson(changed);
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
  TV_ASSIGN_OR_RETURN(std::unique_ptr<Tokenizer> tokenizer, LoadTokenizer(module, context));
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
      context.weight_hash->Add("StaticEmbedding/mapping", mapping->view);
    }
  }
  TV_RETURN_IF_ERROR(context.FinishWeights(module, weights));
  table.store = weights.store();
  if (tokenizer->max_id() >= table.ids()) {
    return ModelError(module.FilePath("tokenizer.json") + ": its largest id is " + std::to_string(tokenizer->max_id()) +
                      ", but there are " + std::to_string(table.ids()) + " embeddings");
  }
  (*context.widths)["sentence_embedding"] = {table.rows.shape[1], false};
  if (context.spec->as == "dense") {
    const Setting* as = context.spec->settings.Find("as");
    context.spec->settings.Record("as", json::value("static"), as->source);
  }
  json::object about = {{"type", "StaticEmbedding"}, {"tokenizer", tokenizer->CanonicalForm()}};
  return LoadedModule(std::make_unique<StaticEmbedding>(std::move(tokenizer), std::move(table), std::move(about)));
}

}  // namespace truevec
