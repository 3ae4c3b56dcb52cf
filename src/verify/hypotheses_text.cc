// Client text and prompts: root causes R1 to R3.
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <functional>

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

std::string EachCodePoint(const std::string& text, const std::function<void(uint32_t, std::string*)>& put) {
  std::string out;
  for (const uint32_t cp : DecodeUtf8(text)) put(cp, &out);
  return out;
}

// UTF-8 bytes taken for characters of Latin-1, or of Windows-1252 (WHATWG, with its five C1 controls), and encoded
// again.
std::string Mojibake(const std::string& text, bool windows) {
  static constexpr uint16_t kWindows1252[32] = {0x20ac, 0x81,   0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
                                                0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8d,   0x017d, 0x8f,
                                                0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
                                                0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x9d,   0x017e, 0x0178};
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    AppendUtf8(windows && byte >= 0x80 && byte < 0xa0 ? kWindows1252[byte - 0x80] : byte, &out);
  }
  return out;
}

// The inside of a JSON string; `ascii`: all else as \u escapes, as json.dumps does by default.
std::string JsonEscaped(const std::string& text, bool ascii) {
  const auto unit = [](uint32_t u, std::string* out) {
    char buffer[16];
    std::snprintf(buffer, sizeof buffer, "\\u%04x", u);
    *out += buffer;
  };
  return EachCodePoint(text, [&](uint32_t cp, std::string* out) {
    static constexpr std::string_view kFrom = "\"\\\b\f\n\r\t";
    static constexpr std::string_view kTo = "\"\\bfnrt";
    const size_t at = cp < 0x80 ? kFrom.find(static_cast<char>(cp)) : std::string_view::npos;
    if (at != std::string_view::npos) {
      *out += {'\\', kTo[at]};
    } else if (cp < 0x20 || (ascii && cp >= 0x7f && cp < 0x10000)) {
      unit(cp, out);
    } else if (ascii && cp >= 0x10000) {
      unit(0xd800 + ((cp - 0x10000) >> 10), out);
      unit(0xdc00 + ((cp - 0x10000) & 0x3ff), out);
    } else {
      AppendUtf8(cp, out);
    }
  });
}

// application/x-www-form-urlencoded (space: "+") or RFC 3986 (space: "%20").
std::string UrlEncoded(const std::string& text, std::string_view space) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte < 0x80 && std::isalnum(byte) != 0) ||
                       (c != 0 && std::string_view("-_.~").find(c) != std::string_view::npos);
    if (plain) {
      out += c;
    } else if (c == ' ') {
      out += space;
    } else {
      char buffer[16];
      std::snprintf(buffer, sizeof buffer, "%%%02X", byte);
      out += buffer;
    }
  }
  return out;
}

std::string UrlDecoded(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    const bool escape = text[i] == '%' && i + 2 < text.size() &&
                        std::isxdigit(static_cast<unsigned char>(text[i + 1])) != 0 &&
                        std::isxdigit(static_cast<unsigned char>(text[i + 2])) != 0 &&
                        std::sscanf(text.c_str() + i + 1, "%2x", &value) == 1 && value < 0x80;
    out += escape ? static_cast<char>(value) : text[i] == '+' ? ' ' : text[i];
    if (escape) i += 2;
  }
  return out;
}

// Everything between "<" and the next ">".
std::string WithoutTags(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const size_t end = text[i] == '<' ? text.find('>', i) : std::string::npos;
    if (end == std::string::npos) {
      out += text[i];
    } else {
      i = end;
    }
  }
  return out;
}

bool IsPunctuation(uint32_t cp) {
  const Category c = GeneralCategory(cp);
  return c == Category::kPc || c == Category::kPd || c == Category::kPs || c == Category::kPe || c == Category::kPi ||
         c == Category::kPf || c == Category::kPo;
}
bool IsAsciiPunctuation(uint32_t cp) { return cp > 0x20 && cp < 0x7f && std::isalnum(static_cast<int>(cp)) == 0; }
// What [^\w\s] of Python's re does not match.
bool IsWordOrSpace(uint32_t cp) {
  const Category c = GeneralCategory(cp);
  return cp == '_' || IsWhiteSpace(cp) || (c <= Category::kLo) || (c >= Category::kNd && c <= Category::kNo);
}

std::string Without(const std::string& text, bool (*dropped)(uint32_t)) {
  return EachCodePoint(text, [&](uint32_t cp, std::string* out) {
    if (!dropped(cp)) AppendUtf8(cp, out);
  });
}

// What clients make of texts on their way: escapes, wrong decodings, clean-ups.
struct ClientChange {
  const char* variant;
  const char* says;
  std::string (*change)(const std::string&);
};
constexpr ClientChange kClientChanges[] = {
    {"latin1", "UTF-8 was read as Latin-1", [](const std::string& t) { return Mojibake(t, false); }},
    {"windows-1252", "UTF-8 was read as Windows-1252", [](const std::string& t) { return Mojibake(t, true); }},
    {"replaced", "characters beyond ASCII became \"?\"",
     [](const std::string& t) {
       return EachCodePoint(t, [](uint32_t cp, std::string* out) { *out += cp < 0x80 ? static_cast<char>(cp) : '?'; });
     }},
    {"bmp", "characters beyond U+FFFF (emoji) were dropped",
     [](const std::string& t) { return Without(t, [](uint32_t cp) { return cp > 0xffff; }); }},
    {"json", "the text was escaped as in JSON", [](const std::string& t) { return JsonEscaped(t, false); }},
    {"json, ascii", "the text was escaped as in ASCII JSON", [](const std::string& t) { return JsonEscaped(t, true); }},
    {"json string", "the text was a JSON string with its quotes",
     [](const std::string& t) { return "\"" + JsonEscaped(t, false) + "\""; }},
    {"json string, ascii", "the text was an ASCII JSON string with its quotes",
     [](const std::string& t) { return "\"" + JsonEscaped(t, true) + "\""; }},
    {"quoted", "the text was put in quotes", [](const std::string& t) { return "\"" + t + "\""; }},
    {"apostrophes", "the text was put in apostrophes", [](const std::string& t) { return "'" + t + "'"; }},
    {"list", "the text was written as a list of one", [](const std::string& t) { return "['" + t + "']"; }},
    {"backslash-n", "line breaks became a backslash and an n",
     [](const std::string& t) { return Replace(t, "\n", "\\n"); }},
    {"crlf", "line breaks became CR LF", [](const std::string& t) { return Replace(t, "\n", "\r\n"); }},
    {"no newlines", "line breaks were dropped", [](const std::string& t) { return Replace(t, "\n", ""); }},
    {"tabs", "tabs became spaces", [](const std::string& t) { return Replace(t, "\t", " "); }},
    {"form", "the text was URL-encoded, spaces as \"+\"", [](const std::string& t) { return UrlEncoded(t, "+"); }},
    {"percent", "the text was URL-encoded, spaces as \"%20\"",
     [](const std::string& t) { return UrlEncoded(t, "%20"); }},
    {"plus", "spaces became \"+\"", [](const std::string& t) { return Replace(t, " ", "+"); }},
    {"url-decoded", "the text was URL-decoded", UrlDecoded},
    {"no spaces", "spaces were dropped", [](const std::string& t) { return Replace(t, " ", ""); }},
    {"tags", "what looks like HTML tags was dropped", WithoutTags},
    {"punctuation", "punctuation was dropped", [](const std::string& t) { return Without(t, IsPunctuation); }},
    {"ascii punctuation", "ASCII punctuation was dropped",
     [](const std::string& t) { return Without(t, IsAsciiPunctuation); }},
    {"words", "all but letters, digits and white space was dropped",
     [](const std::string& t) { return Without(t, [](uint32_t cp) { return !IsWordOrSpace(cp); }); }},
    {"full stop", "a full stop was added", [](const std::string& t) { return t + "."; }},
    {"trailing space", "a space was added", [](const std::string& t) { return t + " "; }},
    {"trailing newline", "a line break was added", [](const std::string& t) { return t + "\n"; }},
    {"nul", "a NUL character was added", [](const std::string& t) { return t + std::string(1, '\0'); }},
    {"bom", "a byte order mark was put in front", [](const std::string& t) { return "\xef\xbb\xbf" + t; }},
};

// Whether the model's own tokenizer leaves upper case as it is.
bool TellsCase(const ModelTraits& model) {
  if (!model.pipeline->has_tokenizer()) return false;
  const auto upper = model.pipeline->tokenizer().Encode("A B", std::nullopt, {});
  const auto lower = model.pipeline->tokenizer().Encode("a b", std::nullopt, {});
  return upper.ok() && lower.ok() && upper->ids != lower->ids;
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

void AddTextHypotheses(const ModelTraits& model, Hypotheses* out) {
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
  add("nfkd", "the text was brought to NFKD")->text = [](const std::string& t) { return NormalForm(t, true, false); };
  if (TellsCase(model)) {
    AddHypothesis(out, "lowercase-forced", "by the client",
                  "with texts lower-cased before they are tokenised the vectors agree")
        ->text = [](const std::string& t) {
      return EachCodePoint(t, [](uint32_t cp, std::string* lower) {
        uint32_t extra = 0;
        AppendUtf8(ToLower(cp, &extra), lower);
        if (extra != 0) AppendUtf8(extra, lower);
      });
    };
  }
  for (const ClientChange& c : kClientChanges) add(c.variant, c.says)->text = c.change;
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
