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

void AddRope(const ModelTraits& model, Hypotheses* out) {
  if (model.thetas.empty()) return;
  const auto plain = [](double theta, int64_t i, int64_t dim) {
    const auto exponent = static_cast<float>(2 * i) / static_cast<float>(dim);
    return static_cast<double>(1.0f / static_cast<float>(std::pow(static_cast<float>(theta), exponent)));
  };
  const auto add = [&](const char* cause, const std::string& variant, const std::string& says,
                       std::function<double(double, int64_t, int64_t)> rope) {
    AddHypothesis(out, cause, variant, says)->simulation = [rope](Simulation* s) { s->rope = rope; };
  };
  std::vector<double> bases = model.thetas;
  for (const double base : {10000.0, 100000.0, 160000.0, 500000.0, 1000000.0, 1000.0}) {
    if (std::find(bases.begin(), bases.end(), base) == bases.end()) bases.push_back(base);
  }
  const bool one = model.thetas.size() == 1;
  for (const double base : bases) {
    if (one && base == model.thetas[0]) continue;
    const std::string text = WriteJson(json::value(static_cast<int64_t>(base)));
    add("rope-theta", one ? text : "all layers " + text, "with rotary base " + text + " the vectors agree",
        [plain, base](double, int64_t i, int64_t dim) { return plain(base, i, dim); });
  }
  if (model.thetas.size() == 2) {
    const double a = model.thetas[0];
    const double b = model.thetas[1];
    add("rope-theta", "swapped", "with the two rotary bases swapped the vectors agree",
        [plain, a, b](double theta, int64_t i, int64_t dim) { return plain(theta == a ? b : a, i, dim); });
  }
  const Setting* scaling = model.pipeline->spec().settings.Find("rope_scaling");
  if (scaling == nullptr) scaling = model.pipeline->spec().settings.Find("rope_parameters");
  double factor = 0;
  if (scaling != nullptr && scaling->value.is_object()) {
    const JsonRef ref(&scaling->value, "");
    if (ref["factor"].is_number()) factor = ref["factor"].Double().value();
  }
  const Setting* stated = model.pipeline->spec().settings.Find("rope_theta");
  const double theta =
      stated != nullptr && stated->value.is_number() ? JsonRef(&stated->value, "").Double().value() : model.thetas[0];
  add("rope-scaling", "off", "without the rotary scaling the vectors agree",
      [plain, theta](double, int64_t i, int64_t dim) { return plain(theta, i, dim); });
  std::vector<double> factors = {2, 4, 8};
  if (factor > 1) factors.insert(factors.begin(), factor);
  for (const double f : factors) {
    const std::string text = WriteJson(json::value(f));
    add("rope-scaling", "linear " + text, "with linear rotary scaling by " + text + " the vectors agree",
        [plain, theta, f](double, int64_t i, int64_t dim) { return plain(theta, i, dim) / f; });
    add("rope-scaling", "ntk " + text, "with NTK rotary scaling by " + text + " the vectors agree",
        [plain, theta, f](double, int64_t i, int64_t dim) {
          return plain(theta * std::pow(f, static_cast<double>(dim) / static_cast<double>(dim - 2)), i, dim);
        });
  }
}

void AddWindows(const ModelTraits& model, Hypotheses* out) {
  if (!model.windowed) return;
  const auto add = [&](const char* variant, const char* says, std::function<void(AttentionSpec*)> change) {
    AddHypothesis(out, "sliding-window", variant, says)->simulation = [change](Simulation* s) {
      s->attention = [change](AttentionSpec* spec) {
        if (spec->window_left >= 0 || spec->window_right >= 0) change(spec);
      };
    };
  };
  add("off", "without the sliding window the vectors agree",
      [](AttentionSpec* s) { s->window_left = s->window_right = -1; });
  const auto scaled = [](int64_t window, int64_t up, int64_t down) { return window < 0 ? window : window * up / down; };
  add("half", "with half the window the vectors agree", [scaled](AttentionSpec* s) {
    s->window_left = scaled(s->window_left, 1, 2);
    s->window_right = scaled(s->window_right, 1, 2);
  });
  add("double", "with twice the window the vectors agree", [scaled](AttentionSpec* s) {
    s->window_left = scaled(s->window_left, 2, 1);
    s->window_right = scaled(s->window_right, 2, 1);
  });
  for (const int64_t by : {-1, 1}) {
    add(by < 0 ? "one less" : "one more", "with the window off by one the vectors agree", [by](AttentionSpec* s) {
      if (s->window_left >= 0) s->window_left += by;
      if (s->window_right >= 0) s->window_right += by;
    });
  }
  add("causal", "with only the left half of the window the vectors agree", [](AttentionSpec* s) { s->causal = true; });
}

}  // namespace

void AddPositionHypotheses(const ModelTraits& model, Hypotheses* out) {
  for (const int64_t shift : {-2, -1, 1, 2}) {
    AddHypothesis(out, "position-offset", std::to_string(shift),
                  "with positions moved by " + std::to_string(shift) + " the vectors agree")
        ->weights = [shift](const WeightEntry& entry, std::vector<float>* values) {
      return IsPositionTable(entry.name) && entry.view.shape.size() == 2 && ShiftRows(entry, shift, values);
    };
  }
  AddRope(model, out);
  AddHypothesis(out, "token-type", "omitted", "without token type embeddings the vectors agree")->weights =
      [](const WeightEntry& entry, std::vector<float>* values) { return IsTypeTable(entry.name) && Fill(values, 0); };
  AddHypothesis(out, "token-type", "1", "with token type 1 the vectors agree")->weights =
      [](const WeightEntry& entry, std::vector<float>* values) {
        return IsTypeTable(entry.name) && entry.view.shape.size() == 2 && entry.view.shape[0] > 1 &&
               ShiftRows(entry, 1, values);
      };
}

void AddAttentionHypotheses(const ModelTraits& model, Hypotheses* out) {
  const auto add = [&](const char* cause, const char* variant, const char* says,
                       std::function<void(AttentionSpec*)> change) {
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
  for (const int64_t total : {16, 32, 64, 128, 256, 512}) {
    Edit* edit = AddHypothesis(out, "padding-attended", "to " + std::to_string(total),
                               "with unmasked padding to " + std::to_string(total) + " tokens the vectors agree");
    edit->ids = [total](const Part& part, const IdContext& c) {
      std::vector<int32_t> ids = part.text.ids;
      const auto wanted = static_cast<size_t>(total);
      if (ids.size() >= wanted || (c.max_positions > 0 && total > c.max_positions)) return std::vector<Part>{part};
      const size_t real = ids.size();
      ids.resize(wanted, c.pad);
      Part padded = WithIds(part, std::move(ids));
      padded.text.pooling_mask.assign(wanted, 0);
      std::fill_n(padded.text.pooling_mask.begin(), real, uint8_t{1});
      return std::vector<Part>{padded};
    };
  }
}

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
  const auto activation = [&](const char* variant, const char* says, Activation from, Activation to) {
    AddHypothesis(out, "gelu-variant", variant, says)->simulation = [from, to](Simulation* s) {
      s->activation = [from, to](Activation a) { return a == from ? to : a; };
    };
    out->back().numeric = true;
  };
  activation("tanh", "with GELU's tanh form the vectors agree", Activation::kGelu, Activation::kGeluTanh);
  activation("erf", "with GELU's erf form the vectors agree", Activation::kGeluTanh, Activation::kGelu);
  activation("quick", "with x*sigmoid(1.702 x) for GELU the vectors agree", Activation::kGelu, Activation::kQuickGelu);
  AddHypothesis(out, "gelu-variant", "float16 table", "with tanh GELU through a float16 table the vectors agree")
      ->simulation = [](Simulation* s) { s->gelu_float16_table = true; };
  out->back().numeric = true;
  for (const double eps : {1e-3, 1e-5, 1e-6, 1e-7, 1e-12}) {
    const std::string text = WriteJson(json::value(eps));
    AddHypothesis(out, "layernorm", "eps " + text, "with norm epsilon " + text + " the vectors agree")->simulation =
        [eps](Simulation* s) { s->norm_eps = eps; };
    out->back().numeric = true;
  }
}

void AddWeightHypotheses(const ModelTraits& model, Hypotheses* out) {
  if (model.adapter) {
    AddHypothesis(out, "adapter-missing", "", "without the adapter the vectors agree")->without_adapter = true;
  }
  const auto add = [&](const char* cause, const char* variant, const char* says,
                       std::function<bool(const std::string&, std::vector<float>*)> change) {
    AddHypothesis(out, cause, variant, says)->weights = [change](const WeightEntry& entry, std::vector<float>* values) {
      return change(entry.name, values);
    };
  };
  add("layernorm", "no-bias", "without the norms' biases the vectors agree",
      [](const std::string& n, std::vector<float>* v) { return IsNorm(n) && IsBias(n) && Fill(v, 0); });
  for (const float by : {1.0f, -1.0f}) {
    add("layernorm", by > 0 ? "plus-one" : "minus-one",
        by > 0 ? "with 1 added to the norms' weights the vectors agree"
               : "with 1 taken from the norms' weights the vectors agree",
        [by](const std::string& n, std::vector<float>* v) {
          if (!IsNorm(n) || !n.ends_with(".weight")) return false;
          for (float& x : *v) x += by;
          return true;
        });
  }
  add("weights-not-loaded", "biases", "with all biases at 0 the vectors agree",
      [](const std::string& n, std::vector<float>* v) { return !IsNorm(n) && IsBias(n) && Fill(v, 0); });
  add("weights-not-loaded", "biases and norm biases", "with all biases, the norms' too, at 0 the vectors agree",
      [](const std::string& n, std::vector<float>* v) { return IsBias(n) && Fill(v, 0); });
  add("weights-not-loaded", "attention biases", "with the attention's biases at 0 the vectors agree",
      [](const std::string& n, std::vector<float>* v) {
        const bool attention = Contains(n, "attention") || Contains(n, "attn");
        return attention && !IsNorm(n) && IsBias(n) && Fill(v, 0);
      });
  add("weights-not-loaded", "norms", "with the norms at weight 1 and bias 0 the vectors agree",
      [](const std::string& n, std::vector<float>* v) { return IsNorm(n) && Fill(v, IsBias(n) ? 0.0f : 1.0f); });
  add("weights-not-loaded", "position embeddings", "with the position embeddings at 0 the vectors agree",
      [](const std::string& n, std::vector<float>* v) { return IsPositionTable(n) && Fill(v, 0); });
}

}  // namespace truevec
