// Client text and prompts: root causes R1 to R3.
#include <algorithm>

#include "unicode/unicode.h"
#include "verify/hypothesis.h"

namespace truevec {
namespace {

std::string Replace(std::string text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

std::string Strip(const std::string& t) {
  const size_t first = t.find_first_not_of(" \t\r\n");
  return first == std::string::npos ? std::string() : t.substr(first, t.find_last_not_of(" \t\r\n") - first + 1);
}

// Runs of white space to one space, none at the ends: " ".join(text.split()).
std::string Collapse(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (!space) {
      out += c;
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  return Strip(out);
}

// NFC, NFD, NFKC and NFKD (UAX 15).
std::string NormalForm(const std::string& text, bool compatibility, bool compose) {
  std::vector<uint32_t> points;
  for (const uint32_t cp : DecodeUtf8(text)) AppendDecomposition(cp, compatibility, &points);
  for (size_t i = 1; i < points.size(); ++i) {
    const int rank = CombiningClass(points[i]);
    for (size_t j = i; rank > 0 && j > 0 && CombiningClass(points[j - 1]) > rank; --j) {
      std::swap(points[j - 1], points[j]);
    }
  }
  if (compose) {
    std::vector<uint32_t> out;
    size_t starter = std::string::npos;
    int last = 0;
    for (const uint32_t cp : points) {
      const int rank = CombiningClass(cp);
      const bool blocked =
          starter == std::string::npos || (last != 0 && last >= rank) || (last == 0 && out.size() != starter + 1);
      const uint32_t joined = blocked ? 0 : Compose(out[starter], cp);
      if (joined != 0) {
        out[starter] = joined;
        continue;
      }
      if (rank == 0) starter = out.size();
      last = rank;
      out.push_back(cp);
    }
    points = std::move(out);
  }
  std::string result;
  for (const uint32_t cp : points) AppendUtf8(cp, &result);
  return result;
}

}  // namespace

Hypothesis TextCutRow(int64_t count, bool words) {
  Hypothesis row;
  row.cause = "client-text-changed";
  row.variant = "first " + std::to_string(count) + (words ? " words" : " characters");
  row.says = "with texts cut to the " + row.variant + " the vectors agree";
  row.long_only = true;
  row.parameter = words ? "words" : "characters";
  row.value = count;
  row.edit.text = [count, words](const std::string& text) {
    int64_t seen = 0;
    for (size_t at = 0; at < text.size(); ++at) {
      const bool space = text[at] == ' ' || text[at] == '\n' || text[at] == '\t' || text[at] == '\r';
      const bool starts = words ? space : (static_cast<unsigned char>(text[at]) & 0xc0) != 0x80;
      if (starts && (words ? ++seen == count : seen++ == count)) return text.substr(0, at);
    }
    return text;
  };
  return row;
}

void AddTextHypotheses(const ModelTraits&, Hypotheses* out) {
  const auto add = [&](const char* variant, const char* says) {
    return AddHypothesis(out, "client-text-changed", variant, says);
  };
  add("newlines", "newlines became spaces")->text = [](const std::string& t) { return Replace(t, "\n", " "); };
  add("strip", "white space at the ends was removed")->text = Strip;
  add("collapse", "runs of white space became one space")->text = Collapse;
  add("html", "the text was HTML-escaped")->text = [](const std::string& t) {
    return Replace(Replace(Replace(Replace(t, "&", "&amp;"), "<", "&lt;"), ">", "&gt;"), "\"", "&quot;");
  };
  add("html-all-quotes", "the text was HTML-escaped, apostrophes too")->text = [](const std::string& t) {
    return Replace(Replace(Replace(Replace(Replace(t, "&", "&amp;"), "<", "&lt;"), ">", "&gt;"), "\"", "&quot;"), "'",
                   "&#x27;");
  };
  add("nfc", "the text was brought to NFC")->text = [](const std::string& t) { return NormalForm(t, false, true); };
  add("nfd", "the text was brought to NFD")->text = [](const std::string& t) { return NormalForm(t, false, false); };
  add("nfkc", "the text was brought to NFKC")->text = [](const std::string& t) { return NormalForm(t, true, true); };
  add("ascii", "characters beyond ASCII were dropped")->text = [](const std::string& t) {
    std::string kept;
    for (const char c : t) {
      if (static_cast<unsigned char>(c) < 0x80) kept += c;
    }
    return kept;
  };
}

void AddPromptHypotheses(const ModelTraits& model, Hypotheses* out) {
  const std::string& own = model.prompt;
  if (!own.empty()) {
    AddHypothesis(out, "prompt-missing", "", "without the prompt the vectors agree")->prompt = "";
    AddHypothesis(out, "prompt-doubled", "", "with the prompt twice the vectors agree")->prompt = own + own;
    const std::string trimmed = Strip(own);
    if (trimmed != own) {
      AddHypothesis(out, "prompt-wrong", "no space", "with the prompt's space at the end cut the vectors agree")
          ->prompt = trimmed;
    } else {
      AddHypothesis(out, "prompt-wrong", "extra space", "with a space after the prompt the vectors agree")->prompt =
          own + " ";
    }
  }
  std::vector<std::string> seen = {own, "", own + own, Strip(own)};
  const auto wrong = [&](const std::string& name, const std::string& text) {
    if (std::find(seen.begin(), seen.end(), text) != seen.end()) return;
    seen.push_back(text);
    AddHypothesis(out, "prompt-wrong", name, "with \"" + text + "\" in front the vectors agree")->prompt = text;
    out->back().parameter = "prompt";
    out->back().value = json::value(text);
  };
  for (const auto& [name, text] : model.pipeline->spec().prompts) wrong(name, text);
  for (const char* text :
       {"query: ", "passage: ", "search_query: ", "search_document: ", "classification: ", "clustering: ",
        "Represent this sentence for searching relevant passages: ", "Represent this sentence: ",
        "title: none | text: ", "task: search result | query: ",
        "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: ",
        "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"}) {
    wrong(text, text);
  }
}

}  // namespace truevec
