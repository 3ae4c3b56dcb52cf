// What only a request with several texts shows: padding, leaks, wrong rows. Root causes R24 to R28, R34, R35.
#include <algorithm>

#include "verify/hypothesis.h"

namespace truevec {
namespace {

size_t Longest(const std::vector<Part>& texts) {
  size_t longest = 0;
  for (const Part& part : texts) longest = std::max(longest, part.text.ids.size());
  return longest;
}

struct Padding {
  bool left = false;
  bool masked = false;  // no query sees the padding
  // Which row of the padded sequence is pooled: flags by index; `real` ones start at `first`.
  std::function<bool(size_t index, size_t first, size_t real, size_t total)> pooled = nullptr;
};

Part Pad(const std::vector<Part>& texts, size_t index, const IdContext& c, const Padding& how) {
  const Part& part = texts[index];
  const size_t real = part.text.ids.size();
  const size_t total = Longest(texts);
  if (real == total) return part;
  const size_t first = how.left ? total - real : 0;
  std::vector<int32_t> ids(total, c.pad);
  std::copy(part.text.ids.begin(), part.text.ids.end(), ids.begin() + static_cast<ptrdiff_t>(first));
  Part padded = WithIds(part, std::move(ids));
  padded.text.pooling_mask.assign(total, 0);
  if (how.masked) padded.hidden_keys.assign(total, 0);
  for (size_t i = 0; i < total; ++i) {
    const bool is_real = i >= first && i < first + real;
    padded.text.pooling_mask[i] = how.pooled ? how.pooled(i, first, real, total) : is_real;
    if (how.masked && !is_real) padded.hidden_keys[i] = 1;
  }
  return padded;
}

void AddPadding(Hypotheses* out, const char* cause, const char* variant, const char* says, const Padding& how) {
  AddHypothesis(out, cause, variant, says)->batch = [how](const std::vector<Part>& texts, size_t index,
                                                          const IdContext& c) { return Pad(texts, index, c, how); };
}

}  // namespace

void AddBatchHypotheses(const ModelTraits& model, Hypotheses* out) {
  AddPadding(out, "padding-attended", "right", "with padding at the end that is attended to the batch agrees", {});
  AddPadding(out, "padding-attended", "left", "with padding in front that is attended to the batch agrees",
             {.left = true});
  const auto all = [](size_t, size_t, size_t, size_t) { return true; };
  if (model.pooling.find("mean") != std::string::npos || model.pooling == "max") {
    AddPadding(out, "pooling-mask", "padding pooled", "with padding rows in the mean the batch agrees",
               {.masked = true, .pooled = all});
    if (model.windowed) {
      AddPadding(
          out, "pooling-mask", "padding pooled, far from the text",
          "with padding rows in the mean, those too far from the text to see it as the mean of all, the batch agrees",
          {.masked = true, .pooled = all});
      out->back().edit.simulation = [](Simulation* s) { s->average_blind = true; };
    }
    AddPadding(out, "padding-attended", "right, and pooled",
               "with padding that is attended to and pooled the batch agrees", {.pooled = all});
  }
  if (model.pooling == "lasttoken") {
    AddPadding(out, "last-token-index", "padding row", "with the last row of the padded batch pooled it agrees",
               {.masked = true, .pooled = [](size_t i, size_t, size_t, size_t n) { return i + 1 == n; }});
    AddPadding(
        out, "last-token-index", "length of the text under left padding",
        "with row (length - 1) of a left-padded batch pooled it agrees",
        {.left = true, .masked = true, .pooled = [](size_t i, size_t, size_t real, size_t) { return i + 1 == real; }});
  }
  if (model.pooling == "cls") {
    AddPadding(out, "last-token-index", "first row under left padding",
               "with the first row of a left-padded batch pooled it agrees",
               {.left = true, .masked = true, .pooled = [](size_t i, size_t, size_t, size_t) { return i == 0; }});
  }
  AddHypothesis(out, "batch-leak", "texts attend to each other",
                "with all texts of the request in one attention the batch agrees")
      ->merge_batch = true;
  AddHypothesis(out, "batch-leak", "sums of earlier texts", "each vector holds the sum of those before it")->outputs =
      [](std::vector<Vector>* vectors) {
        for (size_t i = 1; i < vectors->size(); ++i) {
          for (size_t d = 0; d < (*vectors)[i].size(); ++d) (*vectors)[i][d] += (*vectors)[i - 1][d];
        }
      };
  Edit* raw = AddHypothesis(out, "batch-leak", "sums of earlier texts, before normalising",
                            "each vector holds the sum of those before it");
  raw->normalize = false;
  raw->outputs = out->at(out->size() - 2).edit.outputs;
  if (!model.causal) {
    AddHypothesis(out, "causal-mask", "in batches", "with a causal mask the batch agrees")->simulation =
        [](Simulation* s) { s->attention = [](AttentionSpec* spec) { spec->causal = true; }; };
  } else {
    AddHypothesis(out, "bidirectional-mask", "in batches", "without the causal mask the batch agrees")->simulation =
        [](Simulation* s) { s->attention = [](AttentionSpec* spec) { spec->causal = false; }; };
  }
  AddHypothesis(out, "constant-output", "first of the batch", "every text has the vector of the first")->outputs =
      [](std::vector<Vector>* vectors) {
        for (Vector& v : *vectors) v = vectors->front();
      };
}

Edit* AddHypothesis(Hypotheses* out, std::string cause, std::string variant, std::string says) {
  Hypothesis hypothesis;
  hypothesis.cause = std::move(cause);
  hypothesis.variant = std::move(variant);
  hypothesis.says = std::move(says);
  out->push_back(std::move(hypothesis));
  return &out->back().edit;
}

Hypotheses AllHypotheses(const ModelTraits& model) {
  Hypotheses out;
  AddTextHypotheses(model, &out);
  AddPromptHypotheses(model, &out);
  if (model.pipeline->has_tokenizer()) {
    AddSpecialTokenHypotheses(model, &out);
    AddTokenizerHypotheses(model, &out);
    AddLengthHypotheses(model, &out);
    AddPositionHypotheses(model, &out);
    AddAttentionHypotheses(model, &out);
    AddForwardHypotheses(model, &out);
    AddWeightHypotheses(model, &out);
    AddPoolingHypotheses(model, &out);
  }
  AddOutputHypotheses(model, &out);
  return out;
}

}  // namespace truevec
