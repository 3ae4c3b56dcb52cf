// Pooling, projection, normalisation order and output: root causes R33 to R43.
#include <algorithm>
#include <array>
#include <cmath>

#include "verify/hypothesis.h"

namespace truevec {
namespace {

// Pools over the tokens that `keep` wants; a text with none keeps all.
Edit* Masked(Hypotheses* out, const char* cause, const char* variant, const char* says,
             std::function<bool(size_t index, size_t count, const IdContext&)> keep) {
  Edit* edit = AddHypothesis(out, cause, variant, says);
  edit->ids = [keep](const Part& part, const IdContext& c) {
    Part copy = part;
    const size_t count = part.text.ids.size();
    copy.text.pooling_mask.assign(count, 0);
    bool any = false;
    for (size_t i = 0; i < count; ++i) {
      copy.text.pooling_mask[i] = keep(i, count, c) ? 1 : 0;
      any = any || copy.text.pooling_mask[i] != 0;
    }
    if (!any) copy.text.pooling_mask.clear();
    return std::vector<Part>{copy};
  };
  return edit;
}

void NormalizeVector(Vector* v) {
  const double norm = Norm(*v);
  if (norm == 0) return;
  for (float& x : *v) x = static_cast<float>(x / norm);
}

void AddProjection(const ModelTraits& model, Hypotheses* out) {
  if (model.dense == 0) return;
  AddHypothesis(out, "projection-missing", "all", "without the Dense projection the vectors agree")->config = {
      {"dense", json::array()}};
  for (int64_t kept = 1; kept < model.dense; ++kept) {
    AddHypothesis(out, "projection-missing", "after " + std::to_string(kept),
                  "with only the first " + std::to_string(kept) + " Dense projections the vectors agree")
        ->config = {{"dense", json::value(kept)}};
  }
  AddHypothesis(out, "projection-missing", "no-activation", "without the activation of the Dense projection they agree")
      ->config = {{"dense_activation", json::value(false)}};
}

}  // namespace

void AddPoolingHypotheses(const ModelTraits& model, Hypotheses* out) {
  for (const std::string mode : {"mean", "cls", "max", "lasttoken", "weightedmean"}) {
    if (mode == model.pooling || model.pooling.empty()) continue;
    if (mode == "mean" && model.pooling == "mean_sqrt_len_tokens") continue;  // the norm only
    AddHypothesis(out, "pooling-mode", mode, "the model says " + model.pooling + ", the target pools " + mode)
        ->pooling = mode;
    out->back().parameter = "pooling";
    out->back().value = json::value(mode);
  }
  if (model.pooling == "lasttoken") {
    Masked(out, "last-token-index", "content", "with the last token before the closing one pooled the vectors agree",
           [](size_t i, size_t n, const IdContext& c) { return i + c.suffix.size() + 1 == n && !c.suffix.empty(); });
    Masked(out, "last-token-index", "one before", "with the token before the last pooled the vectors agree",
           [](size_t i, size_t n, const IdContext&) { return i + 2 == n; });
  }
  const bool averages = model.pooling.find("mean") != std::string::npos || model.pooling == "max";
  if (averages && model.prefix + model.suffix > 0) {
    Masked(out, "pooling-mask", "specials left out", "with special tokens left out of the mean the vectors agree",
           [](size_t i, size_t n, const IdContext& c) { return i >= c.prefix.size() && i + c.suffix.size() < n; });
    Masked(out, "pooling-mask", "first left out", "with the first token left out of the mean the vectors agree",
           [](size_t i, size_t, const IdContext& c) { return i >= std::max<size_t>(c.prefix.size(), 1); });
    Masked(out, "pooling-mask", "last left out", "with the last token left out of the mean the vectors agree",
           [](size_t i, size_t n, const IdContext&) { return i + 1 < n; });
  }
  if (!model.prompt.empty() && averages) {
    Masked(out, "pooling-mask", "prompt left out", "with the prompt left out of pooling the vectors agree",
           [](size_t i, size_t, const IdContext& c) {
             return i >= c.prefix.size() + static_cast<size_t>(c.prompt_tokens);
           });
    Masked(out, "pooling-mask", "prompt included", "with the prompt included in pooling the vectors agree",
           [](size_t, size_t, const IdContext&) { return true; });
  }
  // Without a projection behind it only the norm shows it.
  if (averages && model.dense > 0) {
    AddHypothesis(out, "pooling-mask", "sum", "with the sum of the tokens in place of their mean the vectors agree")
        ->summed = true;
  }
  AddProjection(model, out);
}

void AddOutputHypotheses(const ModelTraits& model, Hypotheses* out) {
  AddHypothesis(out, "dimensions-order", "reversed", "with the dimensions reversed the vectors agree")->output =
      [](Vector* v) { std::reverse(v->begin(), v->end()); };
  AddHypothesis(out, "dimensions-order", "even before odd", "with even dimensions before odd ones the vectors agree")
      ->output = [](Vector* v) {
    Vector sorted;
    for (size_t first : {size_t{0}, size_t{1}}) {
      for (size_t i = first; i < v->size(); i += 2) sorted.push_back((*v)[i]);
    }
    *v = sorted;
  };
  AddHypothesis(out, "output-quantization", "binary", "the target's values are the signs")->output = [](Vector* v) {
    for (float& x : *v) x = x > 0 ? 1.0f : -1.0f;
  };
  AddHypothesis(out, "output-quantization", "0 and 1", "the target's values are 1 where positive, else 0")->output =
      [](Vector* v) {
        for (float& x : *v) x = x > 0 ? 1.0f : 0.0f;
      };
  if (model.pipeline->spec().truncate_dim.has_value()) {
    AddHypothesis(out, "dimensions-order", "not cut", "with all dimensions kept the vectors agree")->truncate_dim =
        model.pipeline->dimension();
  }
  AddHypothesis(out, "normalization", "layer norm", "with a layer norm over the dimensions the vectors agree")->output =
      [](Vector* v) {
        double mean = 0;
        double square = 0;
        for (const float x : *v) mean += x;
        mean /= static_cast<double>(v->size());
        for (const float x : *v) square += (x - mean) * (x - mean);
        const double scale = 1 / std::sqrt(square / static_cast<double>(v->size()) + 1e-12);
        for (float& x : *v) x = static_cast<float>((x - mean) * scale);
        NormalizeVector(v);
      };
}

}  // namespace truevec
