// A Diagnosis for people (text, HTML) and for programs (CONTRACT section 9).
#include <cstdio>

#include "verify/diagnose.h"

namespace truevec {
namespace {

std::string Number(double value, const char* format = "%.9g") {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, format, value);
  return buffer;
}

std::string Escape(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else
      out += c;
  }
  return out;
}

}  // namespace

json::value DiagnosisToJson(const Diagnosis& d) {
  const Comparison& c = d.comparison;
  json::array causes;
  for (const Cause& cause : d.causes) {
    json::array evidence;
    for (const std::string& line : cause.evidence) evidence.emplace_back(line);
    causes.push_back(json::object{{"id", cause.id},
                                  {"variant", cause.variant},
                                  {"confidence", cause.confidence},
                                  {"cosine_before", cause.cosine_before},
                                  {"cosine_after", cause.cosine_after},
                                  {"evidence", evidence},
                                  {"fix", cause.fix}});
  }
  json::array ruled_out;
  for (const auto& [id, cosine] : d.ruled_out) ruled_out.push_back(json::object{{"id", id}, {"cosine_after", cosine}});
  return json::object{
      {"schema", "truevec.diagnose/1"},
      {"verdict", d.verdict},
      {"metrics",
       json::object{{"texts", c.texts},
                    {"cosine", json::object{{"min", 1 - c.worst}, {"p01", 1 - c.p99}, {"median", 1 - c.median}}},
                    {"max_abs", c.max_abs},
                    {"norm_ratio", json::object{{"min", c.norm_ratio_min}, {"max", c.norm_ratio_max}}},
                    {"neighbour_overlap", d.neighbour_overlap}}},
      {"causes", causes},
      {"ruled_out", ruled_out},
      {"requests", d.requests},
      {"environment", json::object{{"truevec", TRUEVEC_VERSION}, {"target", d.target}, {"probes", kProbeSetVersion}}}};
}

std::string DiagnosisToText(const Diagnosis& d) {
  const Comparison& c = d.comparison;
  std::string out = "verdict    " + d.verdict + " (tolerance class " + std::string(ToleranceName(d.tolerance)) + ")\n";
  out += "target     " + d.target + "\n";
  out += "texts      " + std::to_string(c.texts) + ", requests " + std::to_string(d.requests) + "\n";
  out += "cosine     worst " + Number(1 - c.worst) + ", median " + Number(1 - c.median) + "\n";
  out += "max abs    " + Number(c.max_abs, "%.3g") + "\n";
  out += "norm ratio " + Number(c.norm_ratio_min) + " to " + Number(c.norm_ratio_max) + "\n";
  out += "neighbours " + Number(d.neighbour_overlap, "%.3f") + " of the 5 nearest agree\n";
  for (const Cause& cause : d.causes) {
    out += "cause      " + cause.id + (cause.variant.empty() ? "" : " (" + cause.variant + ")") + ", cosine " +
           Number(cause.cosine_before) + " -> " + Number(cause.cosine_after) + "\n";
    for (const std::string& line : cause.evidence) out += "           " + line + "\n";
    if (!cause.fix.empty()) out += "           fix: " + cause.fix + "\n";
  }
  return out;
}

std::string DiagnosisToHtml(const Diagnosis& d) {
  std::string out =
      "<!doctype html><meta charset=\"utf-8\"><title>truevec diagnose</title><style>body{font:15px sans-serif;"
      "margin:2em}td,th{padding:2px 10px;text-align:left}</style><h1>" +
      Escape(d.verdict) + "</h1><pre>" + Escape(DiagnosisToText(d)) +
      "</pre><table><tr><th>probe<th>trap<th>1 - cosine</tr>";
  for (size_t i = 0; i < d.comparison.distance.size() && i < d.probes.size(); ++i) {
    out += "<tr><td>" + Escape(d.probes[i].name) + "<td>" + Escape(d.probes[i].trap) + "<td>" +
           Number(d.comparison.distance[i], "%.3g") + "</tr>";
  }
  return out + "</table>\n";
}

}  // namespace truevec
