// Pooling: token vectors to one vector per text. Reference: sentence_transformer/modules/pooling.py (6.2: weights of
// weightedmean start at the first real token; an excluded prompt keeps the positions of what is left).
// Sums run in double over tokens in order, so a text's vector does not depend on its batch.
#include <boost/json/value_from.hpp>
#include <cmath>
#include <limits>
#include <set>

#include "pipeline/modules.h"

namespace truevec {
namespace {

enum class Mode { kCls, kMax, kMean, kMeanSqrt, kWeightedMean, kLastToken };

Mode ModeByName(std::string_view name) {
  if (name == "cls") return Mode::kCls;
  if (name == "max") return Mode::kMax;
  if (name == "mean_sqrt_len_tokens") return Mode::kMeanSqrt;
  if (name == "weightedmean") return Mode::kWeightedMean;
  if (name == "lasttoken") return Mode::kLastToken;
  return Mode::kMean;
}

class Pooling : public PipelineModule {
 public:
  Pooling(std::vector<std::string> names, bool include_prompt)
      : names_(std::move(names)), include_prompt_(include_prompt) {}

  Status Forward(const ExecContext& ctx, Features* features) const override {
    const Matrix tokens = features->at("token_embeddings").matrix;
    const int64_t width = tokens.cols;
    const Matrix out = ctx.arena->NewMatrix(features->count(), width * static_cast<int64_t>(names_.size()));
    double* sums = ctx.arena->Allocate<double>(width);
    const std::span<const std::string> names = Names(*features);
    for (int64_t text = 0; text < features->count(); ++text) {
      for (size_t m = 0; m < names_.size(); ++m) {
        float* target = out.row(text) + static_cast<int64_t>(m) * width;
        TV_RETURN_IF_ERROR(PoolOne(*features, tokens, text, ModeByName(names[m]), sums, target));
      }
    }
    features->Set("sentence_embedding", out, false);
    return Status::Ok();
  }

  std::vector<int32_t> NeededRows(const Features& f) const override {
    std::set<int32_t> rows;
    for (const std::string& name : Names(f)) {
      const Mode mode = ModeByName(name);
      if (mode != Mode::kCls && mode != Mode::kLastToken) return {};
      for (int64_t text = 0; text < f.count(); ++text) {
        const int64_t row = mode == Mode::kCls ? FirstPooled(f, text) : LastPooled(f, text);
        if (row >= 0) rows.insert(f.first(text) + static_cast<int32_t>(row));
      }
    }
    return {rows.begin(), rows.end()};
  }

  json::object Describe() const override {
    return {{"type", "Pooling"}, {"modes", json::value_from(names_)}, {"include_prompt", include_prompt_}};
  }

 private:
  std::span<const std::string> Names(const Features& f) const {
    return f.pooling.size() == names_.size() ? f.pooling : std::span<const std::string>(names_);
  }

  Status PoolOne(const Features& f, const Matrix& tokens, int64_t text, Mode mode, double* sums, float* out) const {
    const Matrix rows = tokens.Rows(f.first(text), f.length(text));
    switch (mode) {
      case Mode::kCls:
        CopyRow(rows, FirstPooled(f, text), out);
        return Status::Ok();
      case Mode::kLastToken:
        CopyRow(rows, LastPooled(f, text), out);
        return Status::Ok();
      case Mode::kMax:
        return Max(f, rows, text, out);
      case Mode::kMean:
      case Mode::kMeanSqrt:
      case Mode::kWeightedMean:
        Mean(f, rows, text, mode, sums, out);
        return Status::Ok();
    }
    return Status::Ok();
  }

  // An empty row set gives zeros, as a row of padding only does in the reference.
  static void CopyRow(const Matrix& rows, int64_t row, float* out) {
    if (row < 0) {
      std::fill(out, out + rows.cols, 0.0f);
    } else {
      std::copy(rows.row(row), rows.row(row) + rows.cols, out);
    }
  }

  // argmax of the mask: position 0 when nothing is left.
  int64_t FirstPooled(const Features& f, int64_t text) const {
    for (int32_t i = 0; i < f.length(text); ++i) {
      if (f.Pooled(text, i, include_prompt_)) return i;
    }
    return f.length(text) > 0 ? 0 : -1;
  }

  int64_t LastPooled(const Features& f, int64_t text) const {
    for (int32_t i = f.length(text) - 1; i >= 0; --i) {
      if (f.Pooled(text, i, include_prompt_)) return i;
    }
    return -1;
  }

  Status Max(const Features& f, const Matrix& rows, int64_t text, float* out) const {
    std::fill(out, out + rows.cols, -std::numeric_limits<float>::infinity());
    bool any = false;
    for (int32_t i = 0; i < f.length(text); ++i) {
      if (!f.Pooled(text, i, include_prompt_)) continue;
      any = true;
      const float* x = rows.row(i);
      for (int64_t c = 0; c < rows.cols; ++c) out[c] = std::max(out[c], x[c]);
    }
    if (any) return Status::Ok();
    return InputError("max pooling has no token to read: the text has none beside its prompt");
  }

  void Mean(const Features& f, const Matrix& rows, int64_t text, Mode mode, double* sums, float* out) const {
    std::fill(sums, sums + rows.cols, 0.0);
    double total = 0;
    for (int32_t i = 0; i < f.length(text); ++i) {
      if (!f.Pooled(text, i, include_prompt_)) continue;
      const double weight = mode == Mode::kWeightedMean ? i + 1 : 1;
      total += weight;
      const float* x = rows.row(i);
      for (int64_t c = 0; c < rows.cols; ++c) sums[c] += weight * static_cast<double>(x[c]);
    }
    if (!f.token_weights_sum.empty()) total = f.token_weights_sum[static_cast<size_t>(text)];
    total = std::max(total, 1e-9);
    if (mode == Mode::kMeanSqrt) total = std::sqrt(total);
    for (int64_t c = 0; c < rows.cols; ++c) out[c] = static_cast<float>(sums[c] / total);
  }

  std::vector<std::string> names_;
  bool include_prompt_;
};

}  // namespace

LoadedModule LoadPooling(const ModuleSpec& module, const LoadContext& context) {
  ConfigReader reader = context.Reader(module);
  reader.Ignore({"pooling_mode", "pooling_mode_cls_token", "pooling_mode_max_tokens", "pooling_mode_mean_tokens",
                 "pooling_mode_mean_sqrt_len_tokens", "pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken"});
  std::string key;
  TV_ASSIGN_OR_RETURN(std::vector<std::string> modes, PoolingModes(module.Config(), &key));
  TV_ASSIGN_OR_RETURN(const bool include_prompt, reader.Bool({"include_prompt"}, true));
  TV_ASSIGN_OR_RETURN(const int64_t stated, reader.Int({"embedding_dimension", "word_embedding_dimension"}, 0));
  TV_RETURN_IF_ERROR(context.Finish(module, reader));
  TV_ASSIGN_OR_RETURN(const FeatureWidth input, context.Width(module, "token_embeddings"));
  if (stated != 0 && stated != input.width) {
    context.spec->warnings.push_back(module.config_file + ": embedding_dimension " + std::to_string(stated) +
                                     " is not the model's " + std::to_string(input.width) + "; the model's counts");
  }
  (*context.widths)["sentence_embedding"] = {input.width * static_cast<int64_t>(modes.size()), false};
  return LoadedModule(std::make_unique<Pooling>(std::move(modes), include_prompt));
}

}  // namespace truevec
