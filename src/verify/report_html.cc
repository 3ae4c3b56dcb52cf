// The HTML report: one self-contained page, no scripts, charts as inline SVG.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "verify/diagnose.h"

namespace truevec {
namespace {

constexpr double kFloor = 1e-14;

std::string Number(double value, const char* format = "%.3g") {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, format, value);
  return buffer;
}

std::string Escape(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

// 1 - cosine on a logarithmic scale, 0 (exact) to 1 (unrelated).
double Height(double distance) {
  return std::clamp((std::log10(std::max(distance, kFloor)) - std::log10(kFloor)) / -std::log10(kFloor), 0.0, 1.0);
}

std::string Bars(const Diagnosis& d) {
  std::string out = "<table><tr><th>probe<th>trap<th>tokens<th>1 - cosine<th>with the causes<th></tr>";
  for (size_t i = 0; i < d.comparison.distance.size() && i < d.probes.size(); ++i) {
    const double distance = d.comparison.distance[i];
    const std::string width = Number(240 * Height(distance), "%.0f");
    const char* color = distance <= 1e-6 ? "#2a7" : distance <= 1e-3 ? "#c90" : "#c33";
    out += "<tr><td>" + Escape(d.probes[i].name) + "<td>" + Escape(d.probes[i].trap) + "<td>" +
           (i < d.lengths.size() ? std::to_string(d.lengths[i]) : "") + "<td>" + Number(distance) + "<td>" +
           (i < d.explained.size() ? Number(d.explained[i]) : "") +
           "<td><svg width=\"240\" height=\"10\" role=\"img\" aria-label=\"" + Number(distance) + "\"><rect width=\"" +
           width + "\" height=\"10\" fill=\"" + color + "\"/></svg></tr>\n";
  }
  return out + "</table>\n";
}

// Error against length: one dot a probe.
std::string Scatter(const Diagnosis& d) {
  if (d.lengths.empty()) return "";
  const double longest =
      static_cast<double>(std::max<int64_t>(2, *std::max_element(d.lengths.begin(), d.lengths.end())));
  std::string out =
      "<h2>Error against length</h2><svg width=\"640\" height=\"240\" role=\"img\" aria-label=\"1 - cosine against "
      "tokens\"><rect x=\"40\" y=\"10\" width=\"580\" height=\"190\" fill=\"none\" stroke=\"#999\"/>";
  for (const double level : {1e-12, 1e-9, 1e-6, 1e-3, 1.0}) {
    const std::string y = Number(200 - 190 * Height(level), "%.1f");
    out += "<line x1=\"40\" x2=\"620\" y1=\"" + y + "\" y2=\"" + y + "\" stroke=\"#ddd\"/><text x=\"2\" y=\"" + y +
           "\" font-size=\"11\">" + Number(level) + "</text>";
  }
  for (size_t i = 0; i < d.lengths.size() && i < d.comparison.distance.size(); ++i) {
    const double x = 40 + 580 * std::log(static_cast<double>(std::max<int64_t>(1, d.lengths[i]))) / std::log(longest);
    const double y = 200 - 190 * Height(d.comparison.distance[i]);
    out += "<circle cx=\"" + Number(x, "%.1f") + "\" cy=\"" + Number(y, "%.1f") + "\" r=\"4\" fill=\"#36c\"><title>" +
           Escape(d.probes[i].name) + ": " + std::to_string(d.lengths[i]) + " tokens, " +
           Number(d.comparison.distance[i]) + "</title></circle>";
  }
  return out + "<text x=\"40\" y=\"220\" font-size=\"11\">1 token</text><text x=\"560\" y=\"220\" font-size=\"11\">" +
         Number(longest, "%.0f") + " tokens</text></svg>\n";
}

std::string Causes(const Diagnosis& d) {
  std::string out;
  for (const Cause& cause : d.causes) {
    out += "<section><h3>" + Escape(cause.id) + (cause.variant.empty() ? "" : " (" + Escape(cause.variant) + ")") +
           "</h3><p>confidence " + Number(cause.confidence, "%.2f") + ", worst cosine " +
           Number(cause.cosine_before, "%.9g") + " → " + Number(cause.cosine_after, "%.9g") + "<ul>";
    if (!cause.parameter.empty()) {
      out += "<li>estimated " + Escape(cause.parameter) + " " + Escape(WriteJson(cause.value));
    }
    for (const std::string& line : cause.evidence) out += "<li>" + Escape(line);
    out += "</ul>";
    if (!cause.fix.empty()) out += "<p><b>Fix:</b> " + Escape(cause.fix);
    out += "</section>\n";
  }
  return out;
}

std::string Layers(const Diagnosis& d) {
  if (d.layers.empty()) return "";
  std::string out = "<h2>Layers that differ</h2><table><tr><th>intermediate<th>relative error</tr>";
  for (const auto& [name, error] : d.layers) out += "<tr><td>" + Escape(name) + "<td>" + Number(error) + "</tr>";
  return out + "</table>\n";
}

// One line of pieces; those that differ from `other` at the same distance from both ends are marked.
std::string PieceRow(const std::vector<std::pair<int32_t, std::string>>& pieces,
                     const std::vector<std::pair<int32_t, std::string>>& other) {
  size_t front = 0;
  while (front < pieces.size() && front < other.size() && pieces[front] == other[front]) ++front;
  size_t back = 0;
  while (back + front < std::min(pieces.size(), other.size()) &&
         pieces[pieces.size() - 1 - back] == other[other.size() - 1 - back]) {
    ++back;
  }
  std::string out;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const bool marked = i >= front && i + back < pieces.size();
    if (pieces.size() > 60 && !marked) continue;
    out += std::string(marked ? "<b>" : "<span>") + Escape(pieces[i].second) + "<sub>" +
           std::to_string(pieces[i].first) + "</sub>" + (marked ? "</b> " : "</span> ");
  }
  return out;
}

std::string TokenIds(const Diagnosis& d) {
  if (d.id_differences.empty()) return "";
  std::string out = "<h2>Token ids</h2><table><tr><th>probe<th>whose<th>pieces and ids; what differs is marked</tr>\n";
  for (const IdDifference& row : d.id_differences) {
    out += "<tr><td rowspan=\"2\">" + Escape(row.probe) + "<td>reference<td>" + PieceRow(row.reference, row.target) +
           "</tr><tr><td>" + Escape(row.by) + "<td>" + PieceRow(row.target, row.reference) + "</tr>\n";
  }
  return out + "</table>\n";
}

}  // namespace

std::string DiagnosisToHtml(const Diagnosis& d) {
  std::string out =
      "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\"><title>truevec: " +
      Escape(d.verdict) +
      "</title><style>body{font:15px/1.4 sans-serif;margin:2em;max-width:70em}td,th{padding:2px 10px;text-align:left;"
      "vertical-align:top}pre{background:#f5f5f5;padding:1em;overflow:auto}td "
      "b{background:#fdd}sub{color:#888;margin-left:1px}section{border-left:4px solid "
      "#c33;padding-left:1em}</style><h1>" +
      Escape(d.verdict) + "</h1>\n";
  out += Causes(d);
  out +=
      "<pre>" + Escape(DiagnosisToText(d)) + "</pre>\n<h2>Cosine per probe</h2>\n" + Bars(d) + Scatter(d) + Layers(d);
  out += TokenIds(d);
  return out + "</html>\n";
}

}  // namespace truevec
