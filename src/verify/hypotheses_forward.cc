// The forward pass: positions, masks, components, activation, norms, weights. Root causes R19 to R32.
#include <algorithm>
#include <cmath>

#include "verify/hypothesis.h"

namespace truevec {
namespace {

bool Contains(const std::string& name, std::string_view part) { return name.find(part) != std::string::npos; }
bool IsNorm(const std::string& name) {
  std::string lower = name;
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return Contains(lower, "norm") || Contains(lower, ".ln") || Contains(lower, "ln_") || Contains(lower, "emb_ln");
}
bool IsBias(const std::string& name) { return name.ends_with(".bias"); }
bool IsPositionTable(const std::string& name) {
  return name.ends_with("position_embeddings.weight") || name.ends_with("wpe.weight") ||
         name.ends_with("embed_positions.weight");
}
bool IsTypeTable(const std::string& name) { return name.ends_with("token_type_embeddings.weight"); }

bool Fill(std::vector<float>* values, float value) {
  std::fill(values->begin(), values->end(), value);
  return true;
}

// Row r of a table takes the values of row r + shift, held inside the table.
bool ShiftRows(const WeightEntry& entry, int64_t shift, std::vector<float>* values) {
  const int64_t rows = entry.view.shape[0];
  const int64_t cols = entry.view.shape[1];
  const std::vector<float> old = *values;
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t from = std::clamp<int64_t>(r + shift, 0, rows - 1);
    std::copy_n(old.begin() + from * cols, cols, values->begin() + r * cols);
  }
  return true;
}

double PlainFrequency(double theta, int64_t i, int64_t dim) {
  const auto exponent = static_cast<float>(2 * i) / static_cast<float>(dim);
  return static_cast<double>(1.0f / std::pow(static_cast<float>(theta), exponent));
}

std::string Short(double value) {
  return value == std::floor(value) && value < 1e15 ? std::to_string(static_cast<int64_t>(value))
                                                    : WriteJson(json::value(value));
}

}  // namespace

Hypothesis ThetaRow(double base, double where) {
  Hypothesis row;
  row.cause = "rope-theta";
  row.variant = (where > 0 ? Short(where) + " -> " : "") + Short(base);
  row.says =
      "with rotary base " + Short(base) + (where > 0 ? " in place of " + Short(where) : "") + " the vectors agree";
  row.parameter = "rope_theta";
  row.value = base;
  row.at = [where](double value) { return ThetaRow(value, where); };
  row.edit.simulation = [base, where](Simulation* s) {
    s->rope = [base, where](double theta, int64_t i, int64_t dim) {
      return PlainFrequency(where > 0 && theta != where ? theta : base, i, dim);
    };
  };
  return row;
}

namespace {

// Every table with its own base; `own`: the one that the configuration names, 0: what the table looks like. They are
// not the same where the model scales its frequencies itself.
Hypothesis LinearRow(double factor, double own) {
  Hypothesis row;
  row.cause = "rope-scaling";
  row.variant = "linear " + Short(factor);
  row.says = "with linear rotary scaling by " + Short(factor) + " the vectors agree";
  row.parameter = "factor";
  row.value = factor;
  row.at = [own](double value) { return LinearRow(value, own); };
  row.edit.simulation = [factor, own](Simulation* s) {
    s->rope = [factor, own](double theta, int64_t i, int64_t dim) {
      return PlainFrequency(own > 0 ? own : theta, i, dim) / factor;
    };
  };
  return row;
}

Hypothesis NtkRow(double factor, double own) {
  Hypothesis row;
  row.cause = "rope-scaling";
  row.variant = "ntk " + Short(factor);
  row.says = "with NTK rotary scaling by " + Short(factor) + " the vectors agree";
  row.parameter = "factor";
  row.value = factor;
  row.edit.simulation = [factor, own](Simulation* s) {
    s->rope = [factor, own](double theta, int64_t i, int64_t dim) {
      return PlainFrequency(
          (own > 0 ? own : theta) * std::pow(factor, static_cast<double>(dim) / static_cast<double>(dim - 2)), i, dim);
    };
  };
  return row;
}

void AddRope(const ModelTraits& model, Hypotheses* out) {
  if (model.thetas.empty()) return;
  std::vector<double> bases = model.thetas;
  for (const double base : {10000.0, 100000.0, 160000.0, 500000.0, 1000000.0, 1000.0}) {
    if (std::find(bases.begin(), bases.end(), base) == bases.end()) bases.push_back(base);
  }
  const bool one = model.thetas.size() == 1;
  double own = 0;
  const Setting* named = model.pipeline->spec().settings.Find("rope_theta");
  if (one && named != nullptr && named->value.is_number()) own = named->value.to_number<double>();
  for (const double base : bases) {
    if (base == own) continue;
    if (!one || base != model.thetas[0]) out->push_back(ThetaRow(base, 0));
    for (const double where : model.thetas) {
      if (!one && base != where) out->push_back(ThetaRow(base, where));
    }
  }
  if (model.thetas.size() == 2) {
    const double a = model.thetas[0];
    const double b = model.thetas[1];
    AddHypothesis(out, "rope-theta", "swapped", "with the two rotary bases swapped the vectors agree")->simulation =
        [a, b](Simulation* s) {
          s->rope = [a, b](double theta, int64_t i, int64_t dim) { return PlainFrequency(theta == a ? b : a, i, dim); };
        };
  }
  const Setting* scaling = model.pipeline->spec().settings.Find("rope_scaling");
  if (scaling == nullptr) scaling = model.pipeline->spec().settings.Find("rope_parameters");
  double factor = 0;
  if (scaling != nullptr && scaling->value.is_object()) {
    const JsonRef ref(&scaling->value, "");
    if (ref["factor"].is_number()) factor = ref["factor"].Double().value();
  }
  AddHypothesis(out, "rope-scaling", "off", "without the rotary scaling the vectors agree")->simulation =
      [own](Simulation* s) {
        s->rope = [own](double table, int64_t i, int64_t dim) { return PlainFrequency(own > 0 ? own : table, i, dim); };
      };
  std::vector<double> factors = {2, 4, 8};
  if (factor > 1 && factor != 2 && factor != 4 && factor != 8) factors.insert(factors.begin(), factor);
  for (const double f : factors) {
    out->push_back(LinearRow(f, own));
    out->push_back(NtkRow(f, own));
  }
}

// Reach of every sliding window in tokens; a model's own one-sided or two-sided shape stays.
Hypothesis WindowRow(int64_t reach) {
  Hypothesis row;
  row.cause = "sliding-window";
  row.variant = "reach " + std::to_string(reach);
  row.says = "with sliding windows that reach " + std::to_string(reach) + " tokens the vectors agree";
  row.parameter = "window_reach";
  row.value = reach;
  row.at = [](double value) { return WindowRow(static_cast<int64_t>(value)); };
  row.edit.simulation = [reach](Simulation* s) {
    s->attention = [reach](AttentionSpec* spec) {
      if (spec->window_left >= 0) spec->window_left = reach;
      if (spec->window_right >= 0) spec->window_right = reach;
    };
  };
  return row;
}

void AddWindows(const ModelTraits& model, Hypotheses* out) {
  if (!model.windowed) return;
  const auto add = [&](const char* variant, const char* says, const std::function<void(AttentionSpec*)>& change) {
    AddHypothesis(out, "sliding-window", variant, says)->simulation = [change](Simulation* s) {
      s->attention = [change](AttentionSpec* spec) {
        if (spec->window_left >= 0 || spec->window_right >= 0) change(spec);
      };
    };
  };
  add("off", "without the sliding window the vectors agree",
      [](AttentionSpec* s) { s->window_left = s->window_right = -1; });
  for (const int64_t reach : {4, 8, 16, 32, 63, 64, 65, 127, 128, 256, 512, 1024}) out->push_back(WindowRow(reach));
  for (const int64_t by : {-1, 1}) {
    add(by < 0 ? "one less" : "one more", "with the window off by one the vectors agree", [by](AttentionSpec* s) {
      if (s->window_left >= 0) s->window_left += by;
      if (s->window_right >= 0) s->window_right += by;
    });
  }
  add("causal", "with only the left half of the window the vectors agree", [](AttentionSpec* s) { s->causal = true; });
}

// `part` with unmasked padding at the end that is not pooled.
Part Padded(const Part& part, size_t total, const IdContext& c) {
  std::vector<int32_t> ids = part.text.ids;
  if (ids.size() >= total || (c.max_positions > 0 && static_cast<int64_t>(total) > c.max_positions)) return part;
  const size_t real = ids.size();
  ids.resize(total, c.pad);
  Part padded = WithIds(part, std::move(ids));
  padded.text.pooling_mask.assign(total, 0);
  std::fill_n(padded.text.pooling_mask.begin(), real, uint8_t{1});
  return padded;
}

// To the next multiple, as `pad_to_multiple_of` does.
Hypothesis PaddedToMultipleRow(int64_t of) {
  Hypothesis row;
  row.cause = "padding-attended";
  row.variant = "to a multiple of " + std::to_string(of);
  row.says = "with unmasked padding to a multiple of " + std::to_string(of) + " tokens the vectors agree";
  row.edit.ids = [of](const Part& part, const IdContext& c) {
    const auto by = static_cast<size_t>(of);
    return std::vector<Part>{Padded(part, (part.text.ids.size() + by - 1) / by * by, c)};
  };
  return row;
}

}  // namespace

Hypothesis PaddedRow(int64_t total) {
  Hypothesis row;
  row.cause = "padding-attended";
  row.variant = "to " + std::to_string(total);
  row.says = "with unmasked padding to " + std::to_string(total) + " tokens the vectors agree";
  row.parameter = "padded_length";
  row.value = total;
  row.at = [](double value) { return PaddedRow(static_cast<int64_t>(value)); };
  row.edit.ids = [total](const Part& part, const IdContext& c) {
    return std::vector<Part>{Padded(part, static_cast<size_t>(total), c)};
  };
  return row;
}

Hypothesis PositionRow(int64_t shift) {
  Hypothesis row;
  row.cause = "position-offset";
  row.variant = std::to_string(shift);
  row.says = "with positions moved by " + row.variant + " the vectors agree";
  row.edit.weights = [shift](const WeightEntry& entry, std::vector<float>* values) {
    return entry.view.shape.size() == 2 && ShiftRows(entry, shift, values);
  };
  row.edit.concerns = [](const WeightEntry& entry) { return IsPositionTable(entry.name); };
  row.parameter = "offset";
  row.value = shift;
  return row;
}

void AddPositionHypotheses(const ModelTraits& model, Hypotheses* out) {
  for (const int64_t shift : {-2, -1, 1, 2}) out->push_back(PositionRow(shift));
  AddRope(model, out);
  AddHypothesis(out, "token-type", "omitted", "without token type embeddings the vectors agree")->weights =
      [](const WeightEntry&, std::vector<float>* values) { return Fill(values, 0); };
  out->back().edit.concerns = [](const WeightEntry& entry) { return IsTypeTable(entry.name); };
  AddHypothesis(out, "token-type", "1", "with token type 1 the vectors agree")->weights =
      [](const WeightEntry& entry, std::vector<float>* values) {
        return entry.view.shape.size() == 2 && entry.view.shape[0] > 1 && ShiftRows(entry, 1, values);
      };
  out->back().edit.concerns = [](const WeightEntry& entry) { return IsTypeTable(entry.name); };
}

void AddAttentionHypotheses(const ModelTraits& model, Hypotheses* out) {
  const auto add = [&](const char* cause, const char* variant, const char* says,
                       const std::function<void(AttentionSpec*)>& change) {
    AddHypothesis(out, cause, variant, says)->simulation = [change](Simulation* s) { s->attention = change; };
  };
  if (!model.causal) {
    add("causal-mask", "", "with a causal mask the vectors agree", [](AttentionSpec* s) { s->causal = true; });
  } else {
    add("bidirectional-mask", "", "without the causal mask the vectors agree",
        [](AttentionSpec* s) { s->causal = false; });
  }
  AddWindows(model, out);
  if (model.relative) {
    add("architecture-component", "relative-bias", "without the relative attention bias the vectors agree",
        [](AttentionSpec* s) { s->relative_bias = nullptr; });
  }
  if (model.alibi) {
    add("architecture-component", "alibi", "without ALiBi the vectors agree",
        [](AttentionSpec* s) { s->alibi_slopes = nullptr; });
  }
  for (const int64_t total : {16, 32, 64, 128, 256, 512}) out->push_back(PaddedRow(total));
  for (const int64_t of : {8, 16, 32, 64, 128}) out->push_back(PaddedToMultipleRow(of));
}

namespace {

Hypothesis NormEpsilonRow(double eps) {
  Hypothesis row;
  row.cause = "layernorm";
  const std::string text = WriteJson(json::value(eps));
  row.variant = "eps " + text;
  row.says = "with norm epsilon " + text + " the vectors agree";
  row.edit.simulation = [eps](Simulation* s) { s->norm_eps = eps; };
  row.numeric = true;
  row.parameter = "layer_norm_eps";
  row.value = eps;
  row.at = NormEpsilonRow;
  return row;
}

}  // namespace

void AddForwardHypotheses(const ModelTraits& model, Hypotheses* out) {
  if (model.head_norms) {
    AddHypothesis(out, "architecture-component", "qk-norm", "without the norm of queries and keys the vectors agree")
        ->simulation = [](Simulation* s) { s->skip_head_norms = true; };
  }
  if (model.scales) {
    AddHypothesis(out, "architecture-component", "embedding-scale",
                  "without the scaling of the embeddings the vectors agree")
        ->simulation = [](Simulation* s) { s->skip_scale = true; };
  }
  AddHypothesis(out, "layernorm", "final skipped", "without the last norm the vectors agree")->simulation =
      [](Simulation* s) { s->skip_norm = kLastNorm; };
  AddHypothesis(out, "layernorm", "first skipped", "without the first norm the vectors agree")->simulation =
      [](Simulation* s) { s->skip_norm = 0; };
  const auto activation = [&](const char* variant, const char* says, Activation from, Activation to) {
    AddHypothesis(out, "gelu-variant", variant, says)->simulation = [from, to](Simulation* s) {
      s->activation = [from, to](Activation a) { return a == from ? to : a; };
    };
    out->back().numeric = true;
  };
  activation("tanh", "with GELU's tanh form the vectors agree", Activation::kGelu, Activation::kGeluTanh);
  activation("erf", "with GELU's erf form the vectors agree", Activation::kGeluTanh, Activation::kGelu);
  activation("quick", "with x*sigmoid(1.702 x) for GELU the vectors agree", Activation::kGelu, Activation::kQuickGelu);
  activation("quick for tanh", "with x*sigmoid(1.702 x) for GELU's tanh form the vectors agree", Activation::kGeluTanh,
             Activation::kQuickGelu);
  activation("erf for quick", "with GELU for x*sigmoid(1.702 x) the vectors agree", Activation::kQuickGelu,
             Activation::kGelu);
  AddHypothesis(out, "gelu-variant", "float16 table", "with tanh GELU through a float16 table the vectors agree")
      ->simulation = [](Simulation* s) { s->gelu_float16_table = true; };
  out->back().numeric = true;
  for (const double eps : {1e-2, 1e-3, 1e-5, 1e-6, 1e-7, 1e-8, 1e-12}) out->push_back(NormEpsilonRow(eps));
}

void AddWeightHypotheses(const ModelTraits& model, Hypotheses* out) {
  if (model.adapter) {
    AddHypothesis(out, "adapter-missing", "", "without the adapter the vectors agree")->without_adapter = true;
  }
  using Concerns = std::function<bool(const std::string& name)>;
  const auto add = [&](const char* cause, const char* variant, const char* says, const Concerns& concerns,
                       const std::function<bool(const std::string&, std::vector<float>*)>& change) {
    Edit* edit = AddHypothesis(out, cause, variant, says);
    edit->concerns = [concerns](const WeightEntry& entry) { return concerns(entry.name); };
    edit->weights = [change](const WeightEntry& entry, std::vector<float>* values) {
      return change(entry.name, values);
    };
  };
  const auto none = [](const std::string&, std::vector<float>* v) { return Fill(v, 0); };
  add(
      "layernorm", "no-bias", "without the norms' biases the vectors agree",
      [](const std::string& n) { return IsNorm(n) && IsBias(n); }, none);
  for (const float by : {1.0f, -1.0f}) {
    add(
        "layernorm", by > 0 ? "plus-one" : "minus-one",
        by > 0 ? "with 1 added to the norms' weights the vectors agree"
               : "with 1 taken from the norms' weights the vectors agree",
        [](const std::string& n) { return IsNorm(n) && n.ends_with(".weight"); },
        [by](const std::string&, std::vector<float>* v) {
          for (float& x : *v) x += by;
          return true;
        });
  }
  add(
      "weights-not-loaded", "biases", "with all biases at 0 the vectors agree",
      [](const std::string& n) { return !IsNorm(n) && IsBias(n); }, none);
  add("weights-not-loaded", "biases and norm biases", "with all biases, the norms' too, at 0 the vectors agree", IsBias,
      none);
  add(
      "weights-not-loaded", "attention biases", "with the attention's biases at 0 the vectors agree",
      [](const std::string& n) {
        const bool attention = Contains(n, "attention") || Contains(n, "attn");
        return attention && !IsNorm(n) && IsBias(n);
      },
      none);
  add("weights-not-loaded", "norms", "with the norms at weight 1 and bias 0 the vectors agree", IsNorm,
      [](const std::string& n, std::vector<float>* v) { return Fill(v, IsBias(n) ? 0.0f : 1.0f); });
  add("weights-not-loaded", "position embeddings", "with the position embeddings at 0 the vectors agree",
      IsPositionTable, none);
}

}  // namespace truevec
