// Precision and quantisation: root causes R40, R42, R43. What is left when all else agrees.
#include <algorithm>
#include <cmath>

#include "verify/hypothesis.h"
#include "verify/weight_formats.h"

namespace truevec {
namespace {

bool IsMatrix(const WeightEntry& entry) { return entry.view.shape.size() == 2 && entry.view.shape[0] > 1; }
bool IsPositionTable(const WeightEntry& entry) { return entry.name.find("position") != std::string::npos; }
// Of Sentence Transformers' Dense modules, which engines keep or convert by their own lights.
bool IsDenseModule(const WeightEntry& entry) { return entry.name == "linear.weight"; }

enum class Tables { kExact, kRounded, kButPositions };

Hypothesis* AddWeightType(Hypotheses* out, const WeightFormat& format, Tables tables, bool dense_modules,
                          const std::string& variant) {
  AddHypothesis(out, "weight-quantization", variant, "with weights in " + variant + " the vectors agree")->weights =
      [=](const WeightEntry& entry, std::vector<float>* values) {
        if (!IsMatrix(entry) || (!dense_modules && IsDenseModule(entry))) return false;
        if (tables == Tables::kExact && IsEmbeddingTable(entry.name)) return false;
        if (tables == Tables::kButPositions && IsPositionTable(entry)) return false;
        return ApplyWeightFormat(format, entry.view.shape[1], values);
      };
  Hypothesis* row = &out->back();
  row->numeric = true;
  row->parameter = "weights";
  row->value = json::value(variant);
  return row;
}

// A row of the format, and for models with Dense modules one that leaves these exact.
void AddWeightRows(Hypotheses* out, const ModelTraits& model, const WeightFormat& format, Tables tables,
                   const std::string& variant) {
  AddWeightType(out, format, tables, true, variant);
  if (model.dense == 0) return;
  AddWeightType(out, format, tables, false, variant + ", Dense modules exact")->refines = variant;
}

// As the row of `variant`, which it refines, with the inputs of every product rounded too.
void WithInputs(Hypotheses* out, const std::string& variant, InputQuantization how) {
  const auto row = std::find_if(out->begin(), out->end(), [&](const Hypothesis& h) { return h.variant == variant; });
  Hypothesis both = *row;
  both.refines = variant;
  both.variant += ", int8 inputs";
  both.says = "with the inputs of every product in int8 too the vectors agree";
  both.value = json::value(both.variant);
  both.edit.simulation = [how](Simulation* s) { s->inputs = how; };
  out->push_back(std::move(both));
}

void AddRounding(Hypotheses* out, const char* cause, Rounding rounding, const char* name) {
  const auto weights = [rounding](const WeightEntry&, std::vector<float>* values) {
    for (float& x : *values) x = RoundTo(rounding, x);
    return true;
  };
  Edit* all = AddHypothesis(out, cause, "", std::string("the residual is that of ") + name + " arithmetic");
  all->weights = weights;
  all->simulation = [rounding](Simulation* s) { s->rounding = rounding; };
  out->back().numeric = true;
  AddHypothesis(out, cause, "weights", std::string("with the weights rounded to ") + name + " the vectors agree")
      ->weights = weights;
  out->back().numeric = true;
  for (size_t back = 1; back <= 2; ++back) {
    Hypothesis& row = (*out)[out->size() - back];
    row.parameter = "dtype";
    row.value = json::value(name);
  }
}

}  // namespace

void AddNumericHypotheses(const ModelTraits& model, Hypotheses* out) {
  AddRounding(out, "precision-float16", Rounding::kFloat16, "float16");
  AddRounding(out, "precision-bfloat16", Rounding::kBFloat16, "bfloat16");
  for (const WeightFormat& format : UsualWeightFormats()) {
    // llama.cpp rounds its tables too, others by their own lights.
    const bool ggml = format.block == 32;
    AddWeightRows(out, model, format, ggml ? Tables::kRounded : Tables::kExact, format.name);
    AddWeightRows(out, model, format, ggml ? Tables::kExact : Tables::kRounded,
                  format.name + (ggml ? ", tables exact" : ", tables too"));
    if (format.block == kWholeRow) {
      AddWeightRows(out, model, format, Tables::kButPositions, format.name + ", position table exact");
    }
  }
  for (const char* variant : {"Q8_0", "Q8_0, tables exact", "Q4_0", "Q4_0, tables exact"}) {
    WithInputs(out, variant, InputQuantization::kBlock32);
  }
  for (const char* variant : {"int8 per row", "int8 per row, tables too", "int8 per row, position table exact"}) {
    WithInputs(out, variant, InputQuantization::kRow);
    Hypothesis saturated = out->back();
    saturated.refines = saturated.variant;
    saturated.variant += ", 16-bit pairs";
    saturated.says =
        "with the inputs of every product in int8 and pairs of products held in 16 bits (AVX2 without VNNI) "
        "too the vectors agree";
    saturated.value = json::value(saturated.variant);
    saturated.edit.simulation = [](Simulation* s) {
      s->inputs = InputQuantization::kRow;
      s->saturate_pairs = true;
    };
    out->push_back(std::move(saturated));
  }
  for (const WeightFormat& format : OtherWeightFormats()) {
    const size_t before = out->size();
    AddWeightRows(out, model, format, Tables::kExact, format.name);
    AddWeightRows(out, model, format, Tables::kRounded, format.name + ", tables too");
    for (size_t i = before; i < out->size(); ++i) {
      (*out)[i].sized = true;
      if (i > before) (*out)[i].refines = format.name;
    }
  }
}

}  // namespace truevec
