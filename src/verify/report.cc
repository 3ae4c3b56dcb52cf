// A Diagnosis for people (text) and for programs (CONTRACT section 9). The HTML page is in report_html.cc.
#include <cmath>
#include <cstdio>

#include "verify/diagnose.h"

namespace truevec {
namespace {

std::string Number(double value, const char* format = "%.9g") {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, format, value);
  return buffer;
}

json::array Strings(const std::vector<std::string>& lines) {
  json::array out;
  for (const std::string& line : lines) out.emplace_back(line);
  return out;
}

json::array Ids(const std::vector<std::pair<int32_t, std::string>>& pieces) {
  json::array out;
  for (const auto& [id, piece] : pieces) out.emplace_back(id);
  return out;
}

// 0.9999999: enough digits to see how far from 1; NaN has no JSON number.
json::value Cosine(double value) { return std::isfinite(value) ? json::value(value) : json::value(nullptr); }

json::array CausesToJson(const Diagnosis& d) {
  json::array causes;
  for (const Cause& cause : d.causes) {
    json::object row = {{"id", cause.id},
                        {"variant", cause.variant},
                        {"confidence", cause.confidence},
                        {"cosine_before", Cosine(cause.cosine_before)},
                        {"cosine_after", Cosine(cause.cosine_after)},
                        {"evidence", Strings(cause.evidence)},
                        {"fix", cause.fix}};
    if (!cause.parameter.empty()) row["estimate"] = json::object{{"name", cause.parameter}, {"value", cause.value}};
    causes.push_back(row);
  }
  return causes;
}

}  // namespace

json::value DiagnosisToJson(const Diagnosis& d) {
  const Comparison& c = d.comparison;
  json::array ruled_out;
  for (const auto& [id, cosine] : d.ruled_out) {
    ruled_out.push_back(json::object{{"id", id}, {"cosine_after", Cosine(cosine)}});
  }
  json::array refused;
  for (const auto& [probe, message] : d.refused) {
    refused.push_back(json::object{{"probe", probe}, {"message", message}});
  }
  json::array probes;
  for (size_t i = 0; i < d.probes.size(); ++i) {
    json::object row = {{"name", d.probes[i].name}, {"cosine", Cosine(1 - c.distance[i])}};
    if (i < d.lengths.size()) row["tokens"] = d.lengths[i];
    if (i < d.explained.size()) row["cosine_after"] = Cosine(1 - d.explained[i]);
    probes.push_back(row);
  }
  json::object environment = {{"truevec", TRUEVEC_VERSION}, {"target", d.target}, {"api", d.dialect},
                              {"about", d.about},           {"model", d.model},   {"probes", kProbeSetVersion},
                              {"seconds", d.seconds}};
  json::object out = {
      {"schema", "truevec.diagnose/1"},
      {"verdict", d.verdict},
      {"tolerance", ToleranceName(d.tolerance)},
      {"metrics",
       json::object{
           {"texts", c.texts},
           {"cosine",
            json::object{{"min", Cosine(1 - c.worst)}, {"p01", Cosine(1 - c.p99)}, {"median", Cosine(1 - c.median)}}},
           {"max_abs", Cosine(c.max_abs)},
           {"norm_ratio", json::object{{"min", Cosine(c.norm_ratio_min)}, {"max", Cosine(c.norm_ratio_max)}}},
           {"neighbour_overlap", d.neighbour_overlap},
           {"geometry", d.geometry}}},
      {"causes", CausesToJson(d)},
      {"ruled_out", ruled_out},
      {"probes", probes},
      {"refused", refused},
      {"notes", Strings(d.notes)},
      {"requests", d.requests},
      {"environment", environment}};
  json::array token_ids;
  for (const IdDifference& row : d.id_differences) {
    token_ids.push_back(json::object{
        {"probe", row.probe}, {"by", row.by}, {"reference", Ids(row.reference)}, {"target", Ids(row.target)}});
  }
  out["token_ids"] = token_ids;
  if (!d.layers.empty()) {
    out["first_difference"] =
        json::object{{"layer", d.layers.front().first}, {"relative_error", d.layers.front().second}};
  }
  return out;
}

std::string DiagnosisToText(const Diagnosis& d) {
  const Comparison& c = d.comparison;
  std::string out = "verdict    " + d.verdict + " (tolerance class " + std::string(ToleranceName(d.tolerance)) + ")\n";
  out += "target     " + d.target + "\n";
  for (const auto& member : d.about) {
    if (member.value().is_string()) {
      out += "           " + std::string(member.key()) + " " + std::string(member.value().get_string()) + "\n";
    }
  }
  out += "texts      " + std::to_string(c.texts) + ", requests " + std::to_string(d.requests) + ", " +
         Number(d.seconds, "%.1f") + " s\n";
  out += "cosine     worst " + Number(1 - c.worst) + ", median " + Number(1 - c.median) + "\n";
  out += "max abs    " + Number(c.max_abs, "%.3g") + "\n";
  out += "norm ratio " + Number(c.norm_ratio_min, "%.7g") + " to " + Number(c.norm_ratio_max, "%.7g") + "\n";
  out += "neighbours " + Number(d.neighbour_overlap, "%.3f") + " of the 5 nearest agree\n";
  for (const Cause& cause : d.causes) {
    out += "cause      " + cause.id + (cause.variant.empty() ? "" : " (" + cause.variant + ")") + ", confidence " +
           Number(cause.confidence, "%.2f") + ", cosine " + Number(cause.cosine_before) + " -> " +
           Number(cause.cosine_after) + "\n";
    if (!cause.parameter.empty()) {
      out += "           estimated " + cause.parameter + " " + WriteJson(cause.value) + "\n";
    }
    for (const std::string& line : cause.evidence) out += "           " + line + "\n";
    if (!cause.fix.empty()) out += "           fix: " + cause.fix + "\n";
  }
  if (!d.layers.empty()) {
    out += "layers     first difference at " + d.layers.front().first + ", relative error " +
           Number(d.layers.front().second, "%.3g") + "\n";
  }
  for (const IdDifference& row : d.id_differences) {
    size_t first = 0;
    while (first < row.reference.size() && first < row.target.size() && row.reference[first] == row.target[first]) {
      ++first;
    }
    const auto piece = [&](const auto& ids) {
      return first < ids.size() ? "\"" + ids[first].second + "\"" : "the end";
    };
    out += "token ids  " + row.probe + ": " + std::to_string(row.target.size()) + " instead of " +
           std::to_string(row.reference.size()) + ", from number " + std::to_string(first) + ": " + piece(row.target) +
           " instead of " + piece(row.reference) + " (says " + row.by + ")\n";
  }
  for (const auto& [probe, message] : d.refused) out += "refused    " + probe + ": " + message + "\n";
  for (const std::string& note : d.notes) out += "note       " + note + "\n";
  return out;
}

}  // namespace truevec
