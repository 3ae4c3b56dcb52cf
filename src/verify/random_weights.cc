// A part of the weights that was never loaded and holds a fresh random start: root cause R32. Its values cannot be
// known, but what they do can: the target then differs from the model with that part at 0 as any other random start
// does, by as much, in another direction, and with the same pattern over the texts.
#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <random>

#include "verify/diagnose.h"

namespace truevec {
namespace {

constexpr int kDraws = 6;
constexpr size_t kTexts = 8;
constexpr int64_t kLongest = 48;  // tokens of a text
constexpr size_t kMostParts = 4;
constexpr double kUnrelated = 0.5;  // 1 - cosine of every text
constexpr double kExplains = 2.5;   // times nearer than the model as loaded

// How a framework starts a matrix: normal with `std`, or for std 0 PyTorch's nn.Linear, uniform within 1/sqrt(inputs).
struct Start {
  const char* name;
  double std = 0;
  bool plain = false;  // biases 0 and norms 1 too, else as loaded
};
constexpr Start kStarts[] = {{"normal, 0.02", 0.02, false},
                             {"normal, 0.02, biases and norms too", 0.02, true},
                             {"uniform within 1/sqrt(inputs)", 0, false}};

// "encoder.layer.5.": up to the first number; "" when there is none.
std::string LayerOf(const std::string& name) {
  for (size_t at = 0, next = 0; at < name.size(); at = next + 1) {
    next = name.find('.', at);
    if (next == std::string::npos) return "";
    const bool number =
        next > at && std::all_of(name.begin() + static_cast<ptrdiff_t>(at), name.begin() + static_cast<ptrdiff_t>(next),
                                 [](unsigned char c) { return std::isdigit(c) != 0; });
    if (number) return name.substr(0, next + 1);
  }
  return "";
}

int64_t IndexOf(const std::string& layer) {
  const size_t dot = layer.rfind('.', layer.size() - 2);
  return std::stol(layer.substr(dot == std::string::npos ? 0 : dot + 1));
}

// Parts that are left out together, as prefixes of tensor names: the layers from the last, then Dense projections.
std::vector<std::string> Parts(const Lab& lab, int64_t* count) {
  std::vector<std::string> layers;
  bool dense = false;
  for (const std::string& name : lab.TensorNames()) {
    dense = dense || name == "linear.weight";
    const std::string layer = LayerOf(name);
    if (!layer.empty() && std::find(layers.begin(), layers.end(), layer) == layers.end()) layers.push_back(layer);
  }
  std::stable_sort(layers.begin(), layers.end(),
                   [](const std::string& a, const std::string& b) { return IndexOf(a) > IndexOf(b); });
  *count = static_cast<int64_t>(layers.size());
  layers.resize(std::min(layers.size(), kMostParts));
  if (dense) layers.emplace_back("linear.");
  return layers;
}

// `part` at a random start; draw 0: its matrices at 0, the middle of all starts.
Hypothesis At(const std::string& part, const Start& start, int draw) {
  Hypothesis row;
  row.cause = "weights-not-loaded";
  row.variant = part + " " + start.name + " " + std::to_string(draw);
  row.edit.concerns = [part](const WeightEntry& entry) { return entry.name.starts_with(part); };
  row.edit.weights = [start, draw](const WeightEntry& entry, std::vector<float>* values) {
    if (entry.view.shape.size() < 2) {
      if (start.plain) std::fill(values->begin(), values->end(), entry.name.ends_with(".bias") ? 0.0f : 1.0f);
      return start.plain;
    }
    if (draw == 0) {
      std::fill(values->begin(), values->end(), 0.0f);
      return true;
    }
    // Fixed bits, so that a diagnosis repeats. Four uniforms of 16 bits add up to what is normal enough here.
    std::mt19937_64 bits(std::hash<std::string>()(entry.name) + static_cast<uint64_t>(draw));
    const double inputs = static_cast<double>(entry.view.shape.back());
    const double step = start.std > 0 ? start.std * std::sqrt(3.0) / 65536 : 1 / std::sqrt(inputs) / 32768;
    for (float& x : *values) {
      const uint64_t u = bits();
      const uint64_t sum =
          start.std > 0 ? (u & 0xffff) + (u >> 16 & 0xffff) + (u >> 32 & 0xffff) + (u >> 48) : u & 0xffff;
      x = static_cast<float>((static_cast<double>(sum) - (start.std > 0 ? 131070 : 32767.5)) * step);
    }
    return true;
  };
  return row;
}

double MeanDistance(const std::vector<Vector>& a, const std::vector<Vector>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += CosineDistance(a[i], b[i]) / static_cast<double>(a.size());
  return sum;
}

// Distance to the model without the layer `part`: no cause of ours, yet very much like a layer at a random start, all
// the more where a layer only adds to its input. That one is exact. Unset where the
// model cannot be loaded so.
std::optional<double> WithoutLayer(Lab* lab, const std::string& part, int64_t layers,
                                   const std::vector<std::string>& texts, const std::vector<Vector>& target) {
  const int64_t index = IndexOf(part);
  const std::string stem = part.substr(0, part.size() - std::to_string(index).size() - 1);
  const Settings& settings = lab->pipeline().spec().settings;
  for (const char* key : {"num_hidden_layers", "num_layers", "n_layer", "n_layers"}) {
    if (settings.Find(key) == nullptr) continue;
    Hypothesis row;
    row.variant = "without " + part;
    row.edit.config = {{key, json::value(layers - 1)}};
    const Setting* types = settings.Find("layer_types");
    if (types != nullptr && types->value.is_array() && types->value.get_array().size() == static_cast<size_t>(layers)) {
      json::array left = types->value.get_array();
      left.erase(left.begin() + index);
      row.edit.config.emplace_back("layer_types", std::move(left));
    }
    row.edit.rename = [stem, index](const std::string& name) {
      if (!name.starts_with(stem) || LayerOf(name).empty()) return name;
      const int64_t own = IndexOf(LayerOf(name));
      const std::string rest = name.substr(stem.size() + std::to_string(own).size());
      return own < index ? name : stem + std::to_string(own + 1) + rest;
    };
    const auto vectors = lab->RunOnce(texts, row);
    if (vectors.ok()) return MeanDistance(*vectors, target);
  }
  return std::nullopt;
}

Vector Apart(const Vector& from, const Vector& to) {
  const double a = Norm(from);
  const double b = Norm(to);
  Vector r(from.size());
  if (a == 0 || b == 0 || from.size() != to.size()) return r;
  for (size_t i = 0; i < r.size(); ++i) r[i] = static_cast<float>(to[i] / b - from[i] / a);
  return r;
}

double Inner(const Vector& a, const Vector& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

// What vectors do beside the middle: inner products of the residuals of every two texts.
struct Pattern {
  std::vector<Vector> residuals;
  std::vector<double> gram;

  Pattern(const std::vector<Vector>& middle, const std::vector<Vector>& vectors) {
    for (size_t i = 0; i < middle.size(); ++i) residuals.push_back(Apart(middle[i], vectors[i]));
    for (const Vector& a : residuals) {
      for (const Vector& b : residuals) gram.push_back(Inner(a, b));
    }
  }
};

// Of patterns brought to one size, as sizes are compared on their own: 0 for equal ones.
double Unlike(const std::vector<double>& a, const std::vector<double>& b) {
  double ab = 0;
  double aa = 0;
  double bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return aa == 0 || bb == 0 ? 1 : std::sqrt(std::max(0.0, 2 - 2 * ab / std::sqrt(aa * bb)));
}

// Cosine of the residuals of all texts together.
double Direction(const Pattern& a, const Pattern& b) {
  double ab = 0;
  double aa = 0;
  double bb = 0;
  for (size_t i = 0; i < a.residuals.size(); ++i) {
    ab += Inner(a.residuals[i], b.residuals[i]);
    aa += Inner(a.residuals[i], a.residuals[i]);
    bb += Inner(b.residuals[i], b.residuals[i]);
  }
  return aa == 0 || bb == 0 ? 1 : ab / std::sqrt(aa * bb);
}

// How `seen` lies to the starts without number `without`: what must be alike for every start.
struct Standing {
  double distance = 0;  // mean 1 - cosine
  double unlike = 0;    // of its pattern and their mean pattern

  Standing(const std::vector<Vector>& vectors, const Pattern& pattern, const std::vector<std::vector<Vector>>& draws,
           const std::vector<Pattern>& patterns, size_t without) {
    std::vector<double> mean(pattern.gram.size());
    const auto count = static_cast<double>(draws.size() - (without < draws.size() ? 1 : 0));
    for (size_t i = 0; i < draws.size(); ++i) {
      if (i == without) continue;
      distance += MeanDistance(draws[i], vectors) / count;
      for (size_t j = 0; j < mean.size(); ++j) mean[j] += patterns[i].gram[j] / count;
    }
    unlike = Unlike(pattern.gram, mean);
  }
};

struct Fit {
  double to_target = 2, between = 2;  // mean distance of the starts to the target and to each other
};

// The whole model at a random start: how such a model places texts to each other is the same for every start, while
// one that was trained, this one or another, places them in its own way. `unclear`: so does this one as loaded, or
// starts differ too much.
bool AllRandom(Lab* lab, const std::vector<std::string>& texts, const std::vector<Vector>& target,
               const std::vector<Vector>& reference, bool* unclear) {
  const auto pattern = [](const std::vector<Vector>& vectors) {
    std::vector<double> gram;
    double mean = 0;
    for (size_t i = 0; i < vectors.size(); ++i) {
      for (size_t j = 0; j < i; ++j) gram.push_back(CosineDistance(vectors[i], vectors[j]));
    }
    for (const double g : gram) mean += g / static_cast<double>(gram.size());
    for (double& g : gram) g -= mean;
    return gram;
  };
  std::vector<std::vector<double>> patterns;
  for (int draw = 1; draw <= kDraws; ++draw) {
    const Hypothesis row = At("", kStarts[1], draw);
    const auto vectors = lab->RunOnce(texts, row);
    if (!vectors.ok()) return false;
    patterns.push_back(pattern(*vectors));
  }
  const auto unlike = [&](const std::vector<double>& own, size_t without) {
    std::vector<double> mean(own.size());
    for (size_t i = 0; i < patterns.size(); ++i) {
      for (size_t j = 0; i != without && j < mean.size(); ++j) mean[j] += patterns[i][j];
    }
    return Unlike(own, mean);
  };
  double most = 0;
  for (size_t i = 0; i < patterns.size(); ++i) most = std::max(most, unlike(patterns[i], i));
  const double bound = 1.5 * most + 0.05;
  if (unlike(pattern(target), kDraws) > bound) return false;
  *unclear = most > 0.5 || unlike(pattern(reference), kDraws) < 2 * bound;
  return !*unclear;
}

// The target is one more random start of `part`: each start is held against the others as the target against all.
std::optional<Fit> OneMore(Lab* lab, const std::string& part, const Start& start, const std::vector<std::string>& texts,
                           const std::vector<Vector>& target, double loaded) {
  const auto run = [&](int draw) {
    const Hypothesis row = At(part, start, draw);
    return lab->RunOnce(texts, row);
  };
  const auto first = run(1);
  if (!first.ok() || MeanDistance(*first, target) * kExplains > loaded) return std::nullopt;
  const auto middle = run(0);
  if (!middle.ok()) return std::nullopt;
  std::vector<std::vector<Vector>> draws = {*first};
  for (int draw = 2; draw <= kDraws; ++draw) {
    auto vectors = run(draw);
    if (!vectors.ok()) return std::nullopt;
    draws.push_back(std::move(*vectors));
  }
  const Pattern seen(*middle, target);
  std::vector<Pattern> patterns;
  for (const auto& vectors : draws) patterns.emplace_back(*middle, vectors);
  const Standing own(target, seen, draws, patterns, draws.size());
  Fit fit{own.distance, 0};
  double farthest = 0;
  double most_unlike = 0;
  for (size_t i = 0; i < draws.size(); ++i) {
    if (std::abs(Direction(seen, patterns[i])) > 0.5) return std::nullopt;
    const Standing other(draws[i], patterns[i], draws, patterns, i);
    fit.between += other.distance / kDraws;
    farthest = std::max(farthest, other.distance);
    most_unlike = std::max(most_unlike, other.unlike);
  }
  if (own.distance > 1.5 * farthest || own.distance < 0.65 * fit.between) return std::nullopt;
  if (own.unlike > 1.5 * most_unlike + 0.05 || most_unlike > 0.7) return std::nullopt;
  return fit;
}

std::string Short(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.3g", value);
  return buffer;
}

}  // namespace

bool RandomWeights(const Evidence& e, Lab* lab, Diagnosis* d) {
  if (!d->comparison.same_dimension) return false;
  std::vector<std::string> texts;
  std::vector<Vector> target;
  std::vector<Vector> reference;
  for (size_t i = 0; i < e.seen->texts.size() && texts.size() < kTexts; ++i) {
    if (!IsFinite(e.seen->singles[i]) || d->lengths[i] > kLongest || d->lengths[i] < 4) continue;
    texts.push_back(e.seen->texts[i]);
    target.push_back(e.seen->singles[i]);
    reference.push_back((*e.reference)[i]);
  }
  if (texts.size() < 4) return false;
  const double loaded = MeanDistance(reference, target);
  double nearest = 2;
  for (size_t i = 0; i < texts.size(); ++i) nearest = std::min(nearest, CosineDistance(reference[i], target[i]));
  if (nearest > kUnrelated && AllRandom(lab, texts, target, reference, &d->may_be_random)) {
    AddCause(
        d, "weights-not-loaded", "random: all", 0.7,
        "no text is near the reference's, and the texts lie to each other as in this model with all its weights at "
        "a fresh random start",
        1 - d->comparison.worst, 1 - d->comparison.worst);
    return true;
  }
  int64_t layers = 0;
  for (const std::string& part : Parts(*lab, &layers)) {
    for (const Start& start : kStarts) {
      const auto fit = OneMore(lab, part, start, texts, target, loaded);
      if (!fit) continue;
      if (part != "linear.") {
        const auto without = WithoutLayer(lab, part, layers, texts, target);
        if (!without || *without < fit->to_target / 20) return false;
      }
      Cause* cause =
          AddCause(d, "weights-not-loaded", "random: " + part + "*", 0.8,
                   "with " + part + "* at a fresh random start (" + start.name + ") the vectors are " +
                       Short(fit->to_target) + " from the target's (1 - cosine), as such starts are from each other (" +
                       Short(fit->between) + "); as loaded " + Short(loaded),
                   1 - d->comparison.worst, 1 - fit->to_target);
      cause->parameter = "tensors";
      cause->value = json::value(part + "*");
      return true;
    }
  }
  return false;
}

}  // namespace truevec
