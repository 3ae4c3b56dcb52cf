// Causes that show without a forward pass: shapes, bytes, constants, repeats, norms. Root causes R36 to R48 in part.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <set>

#include "verify/diagnose.h"

namespace truevec {
namespace {

std::string Text(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.6g", value);
  return buffer;
}

bool AllEqual(const std::vector<Vector>& vectors) {
  if (vectors.size() < 3) return false;
  return std::all_of(vectors.begin(), vectors.end(), [&](const Vector& v) {
    return v.size() == vectors[0].size() && CosineDistance(vectors[0], v) <= 1e-7;
  });
}

Vector SwapBytes(const Vector& v) {
  Vector out;
  for (const float x : v) out.push_back(std::bit_cast<float>(__builtin_bswap32(std::bit_cast<uint32_t>(x))));
  return out;
}

// The bytes of `v` read as float64, as little-endian float16, or each float turned round.
std::vector<std::pair<std::string, Vector>> Readings(const Vector& v) {
  std::vector<std::pair<std::string, Vector>> out = {{"byte order", SwapBytes(v)}};
  if (v.size() % 2 == 0) {
    Vector wide(v.size() / 2);
    for (size_t i = 0; i < wide.size(); ++i) {
      double x = 0;
      std::memcpy(&x, v.data() + 2 * i, sizeof x);
      wide[i] = static_cast<float>(x);
    }
    out.emplace_back("float64", std::move(wide));
  }
  Vector narrow(v.size() * 2);
  ConvertToFloat(v.data(), DType::kF16, static_cast<int64_t>(narrow.size()), narrow.data());
  out.emplace_back("float16", narrow);
  ConvertToFloat(v.data(), DType::kBF16, static_cast<int64_t>(narrow.size()), narrow.data());
  out.emplace_back("bfloat16", std::move(narrow));
  return out;
}

std::string ReadingThatFits(const Vector& wanted, const Vector& got) {
  for (const auto& [name, reading] : Readings(got)) {
    if (reading.size() == wanted.size() && IsFinite(reading) && CosineDistance(wanted, reading) < 0.05) return name;
  }
  return "";
}

void CheckBase64(const Evidence& e, Diagnosis* d) {
  const Observations& o = *e.seen;
  if (!o.base64_error.empty()) {
    d->notes.push_back("asked for base64: " + o.base64_error);
    return;
  }
  for (const Asked& asked : o.base64) {
    const Vector& plain = o.singles[asked.texts[0]];
    const Vector& coded = asked.vectors[0];
    const double distance = AnswerDistance(plain, coded);
    if (distance <= std::max(1e-6, 10 * e.noise)) continue;
    const std::string reading = ReadingThatFits(plain, coded);
    AddCause(d, "serialization", reading.empty() ? "base64" : reading, reading.empty() ? 0.7 : 0.99,
             "base64 answers are not the float answers: " + std::to_string(coded.size()) + " values instead of " +
                 std::to_string(plain.size()) + (reading.empty() ? "" : "; read as " + reading + " they agree"),
             1 - distance, reading.empty() ? 1 - distance : 1);
    return;
  }
}

void CheckUnpooled(const Evidence& e, Diagnosis* d) {
  const Observations& o = *e.seen;
  if (o.unpooled.empty() || e.reference == nullptr) return;
  size_t rows = 0;
  std::array<double, 3> worst = {0, 0, 0};
  for (size_t i = 0; i < o.unpooled.size(); ++i) {
    const std::vector<Vector>& matrix = o.unpooled[i];
    if (matrix.empty()) continue;
    ++rows;
    Vector mean(matrix[0].size());
    for (const Vector& row : matrix) {
      for (size_t j = 0; j < mean.size() && j < row.size(); ++j) mean[j] += row[j];
    }
    const std::array<double, 3> now = {CosineDistance((*e.reference)[i], mean),
                                       CosineDistance((*e.reference)[i], matrix.front()),
                                       CosineDistance((*e.reference)[i], matrix.back())};
    for (size_t j = 0; j < 3; ++j) worst[j] = std::max(worst[j], now[j]);
  }
  const char* names[] = {"the mean of the rows", "the first row", "the last row"};
  const auto best = static_cast<size_t>(std::min_element(worst.begin(), worst.end()) - worst.begin());
  AddCause(d, "unpooled", "", 0.99,
           std::to_string(rows) + " answers are one vector per token; " + names[best] + " is within " +
               Text(worst[best]) + " of the reference",
           1 - d->comparison.worst, 1 - worst[best]);
}

// The first dimensions of the reference, when the target gives fewer.
bool IsPrefix(const Evidence& e) {
  const size_t size = e.seen->singles[0].size();
  for (size_t i = 0; i < e.seen->singles.size(); ++i) {
    const Vector& whole = (*e.reference)[i];
    if (e.seen->singles[i].size() != size || size >= whole.size()) return false;
    const Vector cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
    if (CosineDistance(cut, e.seen->singles[i]) > 5e-3) return false;
  }
  return true;
}

// Packed bits (ubinary, or int8 binary shifted by 128) of the reference's signs.
bool IsPackedSigns(const Evidence& e) {
  for (size_t i = 0; i < e.seen->singles.size(); ++i) {
    const Vector& whole = (*e.reference)[i];
    const Vector& bytes = e.seen->singles[i];
    if (bytes.size() * 8 != whole.size()) return false;
    size_t wrong = 0;
    for (size_t b = 0; b < bytes.size(); ++b) {
      int value = static_cast<int>(bytes[b]);
      if (static_cast<float>(value) != bytes[b]) return false;
      if (value < 0) value += 128;
      for (size_t k = 0; k < 8; ++k) {
        const bool bit = (value >> (7 - k) & 1) != 0;
        wrong += bit != (whole[b * 8 + k] > 0) && std::abs(whole[b * 8 + k]) > 1e-3 ? 1 : 0;
      }
    }
    if (wrong * 4 > whole.size()) return false;
  }
  return true;
}

void Dimensions(const Evidence& e, Diagnosis* d) {
  const std::vector<Vector>& target = e.seen->singles;
  const size_t got = target[0].size();
  const size_t wanted = (*e.reference)[0].size();
  const std::string sizes = "dimension " + std::to_string(got) + " instead of " + std::to_string(wanted);
  const double before = 1 - d->comparison.worst;
  if (IsPrefix(e)) {
    AddCause(d, "dimensions-order", "cut at " + std::to_string(got), 0.95,
             sizes + ": the first values of the reference", before, 1);
  } else if (IsPackedSigns(e)) {
    AddCause(d, "output-quantization", "packed bits", 0.95, sizes + ": the packed signs of the reference", before, 1);
  } else if (got * 4 == wanted) {
    AddCause(d, "serialization", "floats read as base64", 0.9,
             sizes + ", a quarter: a list of floats was decoded as base64 bytes", before, before);
  } else if (const std::string reading = ReadingThatFits((*e.reference)[0], target[0]); !reading.empty()) {
    AddCause(d, "serialization", reading, 0.98, sizes + ": read as " + reading + " the vectors agree", before, 1);
  } else {
    AddCause(d, "wrong-model", "", 0.8, sizes + ", and no part of the model gives it", before, before);
  }
}

}  // namespace

std::string OutputQuantization(const std::vector<Vector>& reference, std::vector<Vector>* target, double* after) {
  std::set<float> values;
  bool whole = true;
  for (const Vector& v : *target) {
    for (const float x : v) {
      whole = whole && x == std::nearbyint(x) && std::abs(x) <= 255;
      if (values.size() <= 300) values.insert(x);
    }
  }
  if (!whole || values.size() < 3) return "";  // signs are a hypothesis of their own
  const bool is_unsigned = *values.begin() >= 0;
  // One scale and offset a dimension, fitted over the texts.
  *after = 0;
  std::vector<Vector> fitted = *target;
  const size_t n = target->size();
  for (size_t dim = 0; dim < reference[0].size(); ++dim) {
    double mx = 0;
    double my = 0;
    for (size_t i = 0; i < n; ++i) {
      mx += static_cast<double>((*target)[i][dim]) / static_cast<double>(n);
      my += static_cast<double>(reference[i][dim]) / static_cast<double>(n);
    }
    double xy = 0;
    double xx = 0;
    for (size_t i = 0; i < n; ++i) {
      xy += ((*target)[i][dim] - mx) * (reference[i][dim] - my);
      xx += ((*target)[i][dim] - mx) * ((*target)[i][dim] - mx);
    }
    const double slope = xx == 0 ? 0 : xy / xx;
    for (size_t i = 0; i < n; ++i) fitted[i][dim] = static_cast<float>(my + slope * ((*target)[i][dim] - mx));
  }
  for (size_t i = 0; i < n; ++i) *after = std::max(*after, CosineDistance(reference[i], fitted[i]));
  if (*after <= 2e-2 || !is_unsigned) *target = std::move(fitted);
  return is_unsigned ? "uint8" : "int8";
}

bool StructuralCauses(const Evidence& e, Diagnosis* d) {
  const Observations& o = *e.seen;
  const Comparison& c = d->comparison;
  const double before = 1 - c.worst;
  for (const Asked& asked : o.again) {
    const double distance = AnswerDistance(o.singles[asked.texts[0]], asked.vectors[0]);
    if (distance <= 1e-6) continue;
    AddCause(d, "nondeterministic", "", 0.95, "the same request gave answers " + Text(distance) + " apart (1 - cosine)",
             1 - distance, 1 - distance);
    break;
  }
  const auto zero = [](const Vector& v) { return std::all_of(v.begin(), v.end(), [](float x) { return x == 0; }); };
  const auto zeros = static_cast<size_t>(std::count_if(o.singles.begin(), o.singles.end(), zero));
  size_t not_finite = 0;
  for (const Vector& v : o.singles) not_finite += IsFinite(v) ? 0 : 1;
  for (const Asked& asked : o.batches) {
    for (const Vector& v : asked.vectors) not_finite += IsFinite(v) ? 0 : 1;
  }
  if (not_finite > 0) {
    AddCause(d, "overflow-nan", "", 0.99, std::to_string(not_finite) + " answers hold NaN or infinity", before, before);
  }
  if (zeros == o.singles.size()) {
    AddCause(d, "constant-output", "zero", 0.99, "every vector is 0", before, before);
    return true;
  }
  if (AllEqual(o.singles)) {
    AddCause(d, "constant-output", "", 0.99, "every text has the same vector", before, before);
    return true;
  }
  CheckBase64(e, d);
  CheckUnpooled(e, d);
  if (e.reference == nullptr) return true;
  if (!o.unpooled.empty()) return true;
  if (!c.same_dimension) return false;  // a projection may explain it
  if (not_finite == o.singles.size() || c.worst >= 0.5) {
    std::vector<std::string> readings;
    for (size_t i = 0; i < o.singles.size(); ++i) readings.push_back(ReadingThatFits((*e.reference)[i], o.singles[i]));
    if (!readings[0].empty() &&
        std::count(readings.begin(), readings.end(), readings[0]) * 10 >= static_cast<ptrdiff_t>(readings.size()) * 9) {
      std::erase_if(d->causes, [](const Cause& cause) { return cause.id == "overflow-nan"; });
      AddCause(d, "serialization", readings[0], 0.98, "with the bytes read as " + readings[0] + " the vectors agree",
               before, 1);
      return true;
    }
  }
  return not_finite == o.singles.size();
}

void DimensionCauses(const Evidence& e, Diagnosis* d) { Dimensions(e, d); }

void NormCauses(const Evidence& e, Lab* lab, const Combination& fitted, Diagnosis* d) {
  const Observations& o = *e.seen;
  const bool right = d->comparison.same_dimension && d->comparison.worst <= 5e-3;
  for (const Cause& cause : d->causes) {
    // What leaves the float answers' directions as they are leaves their lengths to be judged: base64 alone may be
    // wrong.
    const bool rounded = cause.id == "output-quantization" && cause.variant.starts_with(kRoundedTo);
    if ((cause.id == "output-quantization" && !rounded) || (cause.id == "serialization" && !right) ||
        cause.id == "overflow-nan" || cause.id == "constant-output" || cause.id == "unpooled") {
      return;
    }
  }
  std::vector<Vector> expected = *e.reference;
  if (lab != nullptr && !fitted.empty()) {
    auto simulated = lab->Run(o.texts, fitted);
    if (simulated.ok()) expected = std::move(simulated).value();
  }
  const Comparison c = Compare(expected, o.singles);
  // As the reference's own, though the causes alone would move them (an average brought to length 1 again).
  if (!c.same_dimension || NormsAgree(c) || (d->comparison.same_dimension && LengthsAgree(d->comparison))) return;
  std::string variant = "scaled";
  std::string evidence = "norm ratio from " + Text(c.norm_ratio_min) + " to " + Text(c.norm_ratio_max);
  // Where the directions are not explained, the lengths are no cause of their own.
  for (Cause& cause : d->causes) {
    if (cause.id != "unknown" || c.worst <= 5e-3) continue;
    cause.evidence.push_back(evidence);
    return;
  }
  const bool unit = std::all_of(o.singles.begin(), o.singles.end(),
                                [](const Vector& v) { return !IsFinite(v) || std::abs(Norm(v) - 1) < 1e-2; });
  if (lab != nullptr) {
    Hypothesis raw;
    raw.cause = "normalization";
    raw.variant = "missing";
    raw.edit.normalize = false;
    Combination with = fitted;
    with.push_back(&raw);
    const auto bare = lab->Run(o.texts, with);
    const auto ids = lab->Ids(o.texts, fitted);
    if (bare.ok() && NormsAgree(Compare(*bare, o.singles))) variant = "missing";
    bool counts = bare.ok() && ids.ok();
    for (size_t i = 0; counts && i < o.singles.size(); ++i) {
      const double ratio = Norm(o.singles[i]) / Norm((*bare)[i]);
      counts = std::abs(ratio / static_cast<double>((*ids)[i].size()) - 1) < 1e-2;
    }
    if (counts && c.norm_ratio_max > c.norm_ratio_min * 1.1) {
      AddCause(d, "pooling-mask", "sum", 0.95, evidence + ", the number of tokens: a sum instead of the mean",
               1 - c.worst, 1 - c.worst);
      return;
    }
    if (unit && lab->pipeline().spec().truncate_dim.has_value()) {
      AddCause(d, "dimensions-order", "renormalised", 0.95,
               evidence + ": the cut vectors were brought to length 1, the reference leaves them", 1 - c.worst,
               1 - c.worst);
      return;
    }
  }
  const auto every = [&](auto norm) {
    return std::all_of(o.singles.begin(), o.singles.end(),
                       [&](const Vector& v) { return !IsFinite(v) || std::abs(norm(v) - 1) < 1e-2; });
  };
  const auto l1 = [](const Vector& v) {
    double sum = 0;
    for (const float x : v) sum += std::abs(static_cast<double>(x));
    return sum;
  };
  if (variant != "missing") {
    if (unit) variant = "extra";
    if (!unit && every(l1)) variant = "l1";
  }
  AddCause(d, "normalization", variant, 0.97, evidence, 1 - c.worst, 1 - c.worst);
}

Cause* AddCause(Diagnosis* d, const std::string& id, const std::string& variant, double confidence,
                const std::string& evidence, double before, double after) {
  for (Cause& known : d->causes) {
    if (known.id != id) continue;
    known.evidence.push_back(evidence);
    return &known;
  }
  Cause cause;
  cause.id = id;
  cause.variant = variant;
  cause.confidence = confidence;
  cause.cosine_before = before;
  cause.cosine_after = after;
  cause.evidence.push_back(evidence);
  cause.fix = FixFor(id, variant, d->dialect);
  d->causes.push_back(std::move(cause));
  return &d->causes.back();
}

}  // namespace truevec
