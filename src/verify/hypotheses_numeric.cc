// Precision and quantisation: root causes R40, R42, R43. What is left when all else agrees.
#include <algorithm>
#include <cmath>

#include "verify/hypothesis.h"

namespace truevec {
namespace {

bool IsMatrix(const WeightEntry& entry) { return entry.view.shape.size() == 2 && entry.view.shape[0] > 1; }
bool IsTable(const WeightEntry& entry) { return entry.name.find("embed") != std::string::npos; }

// Blocks of 32 along a row, as ggml-quants.c quantize_row_q8_0_ref: scale max/127, held in float16.
void QuantizeQ8(float* x, int64_t n) {
  float largest = 0;
  for (int64_t i = 0; i < n; ++i) largest = std::max(largest, std::abs(x[i]));
  const float scale = largest / 127;
  const float inverse = scale != 0 ? 1 / scale : 0;
  const float stored = RoundTo(Rounding::kFloat16, scale);
  for (int64_t i = 0; i < n; ++i) x[i] = std::round(x[i] * inverse) * stored;
}

// quantize_row_q4_0_ref: scale by the value of largest magnitude, -8..7.
void QuantizeQ4(float* x, int64_t n) {
  float largest = 0;
  float signed_largest = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (std::abs(x[i]) > largest) {
      largest = std::abs(x[i]);
      signed_largest = x[i];
    }
  }
  const float scale = signed_largest / -8;
  const float inverse = scale != 0 ? 1 / scale : 0;
  const float stored = RoundTo(Rounding::kFloat16, scale);
  for (int64_t i = 0; i < n; ++i) {
    const int q = std::min(15, static_cast<int>(x[i] * inverse + 8.5f));
    x[i] = static_cast<float>(q - 8) * stored;
  }
}

// Symmetric int8 over `n` values: round(x / scale), scale max/127.
void QuantizeInt8(float* x, int64_t n) {
  float largest = 0;
  for (int64_t i = 0; i < n; ++i) largest = std::max(largest, std::abs(x[i]));
  if (largest == 0) return;
  const float scale = largest / 127;
  for (int64_t i = 0; i < n; ++i) x[i] = std::nearbyint(x[i] / scale) * scale;
}

// Asymmetric uint8 over the whole tensor, as onnxruntime's quantize_dynamic: zero is exact.
void QuantizeUInt8(float* x, int64_t n) {
  const float low = std::min(0.0f, *std::min_element(x, x + n));
  const float high = std::max(0.0f, *std::max_element(x, x + n));
  if (high == low) return;
  const float scale = (high - low) / 255;
  const float zero = std::nearbyint(-low / scale);
  for (int64_t i = 0; i < n; ++i) x[i] = (std::clamp(std::nearbyint(x[i] / scale) + zero, 0.0f, 255.0f) - zero) * scale;
}

bool IsPositionTable(const WeightEntry& entry) { return entry.name.find("position") != std::string::npos; }

enum class Block { k32, kRow, kTensor };
enum class Tables { kExact, kRounded, kButPositions };

void AddWeightType(Hypotheses* out, const char* cause, const char* variant, const char* says, Block block,
                   Tables tables, std::function<void(float*, int64_t)> quantize) {
  AddHypothesis(out, cause, variant, says)->weights = [=](const WeightEntry& entry, std::vector<float>* values) {
    if (!IsMatrix(entry) || (tables == Tables::kExact && IsTable(entry))) return false;
    if (tables == Tables::kButPositions && IsPositionTable(entry)) return false;
    const auto total = static_cast<int64_t>(values->size());
    const int64_t cols = entry.view.shape[1];
    if (block == Block::k32 && cols % 32 != 0) return false;
    const int64_t size = block == Block::k32 ? 32 : block == Block::kRow ? cols : total;
    for (int64_t at = 0; at < total; at += size) quantize(values->data() + at, size);
    return true;
  };
  out->back().numeric = true;
  out->back().parameter = "weights";
  out->back().value = json::value(variant);
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

void AddNumericHypotheses(const ModelTraits&, Hypotheses* out) {
  AddRounding(out, "precision-float16", Rounding::kFloat16, "float16");
  AddRounding(out, "precision-bfloat16", Rounding::kBFloat16, "bfloat16");
  const char* cause = "weight-quantization";
  AddWeightType(out, cause, "Q8_0", "with weights in Q8_0 the vectors agree", Block::k32, Tables::kRounded, QuantizeQ8);
  AddWeightType(out, cause, "Q8_0, tables exact", "with weights in Q8_0 the vectors agree", Block::k32, Tables::kExact,
                QuantizeQ8);
  AddWeightType(out, cause, "Q4_0", "with weights in Q4_0 the vectors agree", Block::k32, Tables::kRounded, QuantizeQ4);
  AddWeightType(out, cause, "Q4_0, tables exact", "with weights in Q4_0 the vectors agree", Block::k32, Tables::kExact,
                QuantizeQ4);
  AddWeightType(out, cause, "int8 per row", "with int8 weights per output row the vectors agree", Block::kRow,
                Tables::kExact, QuantizeInt8);
  AddWeightType(out, cause, "int8 per row, tables too", "with int8 weights per row the vectors agree", Block::kRow,
                Tables::kRounded, QuantizeInt8);
  AddWeightType(out, cause, "int8 per row, position table exact", "with int8 weights per row the vectors agree",
                Block::kRow, Tables::kButPositions, QuantizeInt8);
  AddWeightType(out, cause, "int8 per tensor", "with int8 weights per tensor the vectors agree", Block::kTensor,
                Tables::kExact, QuantizeInt8);
  AddWeightType(out, cause, "int8 per tensor, tables too", "with int8 weights per tensor the vectors agree",
                Block::kTensor, Tables::kRounded, QuantizeInt8);
  AddWeightType(out, cause, "uint8 per tensor", "with uint8 weights per tensor the vectors agree", Block::kTensor,
                Tables::kExact, QuantizeUInt8);
  AddWeightType(out, cause, "uint8 per tensor, tables too", "with uint8 weights per tensor the vectors agree",
                Block::kTensor, Tables::kRounded, QuantizeUInt8);
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
}

}  // namespace truevec
