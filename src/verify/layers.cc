#include "verify/layers.h"

#include <algorithm>
#include <cmath>

namespace truevec {
namespace {

double RelativeError(const Vector& a, const Vector& b) {
  double difference = 0;
  double size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
    size += static_cast<double>(a[i]) * a[i];
  }
  return size == 0 ? std::sqrt(difference) : std::sqrt(difference / size);
}

}  // namespace

void CompareLayers(Lab* lab, Target* target, Diagnosis* d) {
  if (d->probes.empty()) return;
  const auto worst = static_cast<size_t>(
      std::max_element(d->comparison.distance.begin(), d->comparison.distance.end()) - d->comparison.distance.begin());
  const std::string& text = d->probes[worst].text;
  const auto theirs = target->Layers(text);
  if (!theirs.ok() || theirs->empty()) return;
  const auto ours = lab->Layers(text);
  if (!ours.ok()) return;
  d->notes.push_back("layers compared on probe " + d->probes[worst].name);
  for (const Layer& layer : *ours) {
    const auto found =
        std::find_if(theirs->begin(), theirs->end(), [&](const Layer& t) { return t.name == layer.name; });
    if (found == theirs->end()) continue;
    if (found->values.size() != layer.values.size()) {
      d->layers.emplace_back(
          layer.name + " (" + std::to_string(found->values.size() / static_cast<size_t>(found->width)) +
              " rows instead of " + std::to_string(layer.values.size() / static_cast<size_t>(layer.width)) + ")",
          1.0);
      continue;
    }
    const double error = RelativeError(layer.values, found->values);
    if (error > 1e-5) d->layers.emplace_back(layer.name, error);
  }
}

}  // namespace truevec
