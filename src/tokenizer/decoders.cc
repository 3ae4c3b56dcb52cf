#include "tokenizer/decoders.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "tokenizer/byte_level.h"
#include "tokenizer/component_json.h"
#include "tokenizer/split.h"
#include "unicode/unicode.h"

namespace truevec {
namespace {

using Tokens = std::vector<std::string>;

// str::replace: all occurrences from left to right.
std::string ReplaceAll(std::string_view text, std::string_view what, std::string_view with) {
  std::string out;
  if (what.empty()) {  // between all characters
    out = with;
    for (size_t i = 0; i < text.size();) {
      const size_t begin = i;
      NextCodePoint(text, &i);
      out.append(text.substr(begin, i - begin)).append(with);
    }
    return out;
  }
  size_t from = 0;
  for (size_t at = text.find(what); at != std::string_view::npos; at = text.find(what, from)) {
    out.append(text.substr(from, at - from)).append(with);
    from = at + what.size();
  }
  return out.append(text.substr(from));
}

// decoders/wordpiece.rs cleanup
std::string CleanUp(std::string text) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 11> kRules = {{
      {" .", "."},
      {" ?", "?"},
      {" !", "!"},
      {" ,", ","},
      {" ' ", "'"},
      {" n't", "n't"},
      {" 'm", "'m"},
      {" do not", " don't"},
      {" 's", "'s"},
      {" 've", "'ve"},
      {" 're", "'re"},
  }};
  for (const auto& [what, with] : kRules) {
    if (text.find(what) != std::string::npos) text = ReplaceAll(text, what, with);
  }
  return text;
}

// The end of the valid UTF-8 prefix of `bytes`, and how many bytes after it are one broken sequence (WHATWG: a
// maximal subpart), as String::from_utf8_lossy replaces them.
std::string LossyUtf8(std::string_view bytes) {
  std::string out;
  while (!bytes.empty()) {
    const std::optional<size_t> bad = FirstInvalidUtf8(bytes);
    if (!bad) return out.append(bytes);
    out.append(bytes.substr(0, *bad)).append("\xEF\xBF\xBD");
    bytes.remove_prefix(*bad);
    const auto lead = static_cast<uint8_t>(bytes[0]);
    const size_t length = lead >= 0xC2 && lead <= 0xDF   ? 2
                          : lead >= 0xE0 && lead <= 0xEF ? 3
                          : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                         : 1;
    size_t broken = 1;
    while (broken < length && broken < bytes.size()) {
      const auto byte = static_cast<uint8_t>(bytes[broken]);
      uint8_t low = 0x80;
      uint8_t high = 0xBF;
      if (broken == 1) {
        if (lead == 0xE0) low = 0xA0;
        if (lead == 0xED) high = 0x9F;
        if (lead == 0xF0) low = 0x90;
        if (lead == 0xF4) high = 0x8F;
      }
      if (byte < low || byte > high) break;
      ++broken;
    }
    bytes.remove_prefix(std::min(broken, bytes.size()));
  }
  return out;
}

class BpeDecoder : public TokenDecoder {
 public:
  explicit BpeDecoder(std::string suffix) : suffix_(std::move(suffix)) {}
  Status Decode(Tokens* tokens) const override {
    for (size_t i = 0; i < tokens->size(); ++i) {
      (*tokens)[i] = ReplaceAll((*tokens)[i], suffix_, i + 1 == tokens->size() ? "" : " ");
    }
    return Status::Ok();
  }

 private:
  std::string suffix_;
};

class ByteLevelDecoder : public TokenDecoder {
 public:
  Status Decode(Tokens* tokens) const override {
    std::string bytes;
    for (const std::string& token : *tokens) {
      const size_t begin = bytes.size();
      for (size_t i = 0; i < token.size();) {
        const std::optional<uint8_t> byte = CharToByte(NextCodePoint(token, &i));
        if (!byte) {  // not of the alphabet: the token's own bytes
          bytes.replace(begin, std::string::npos, token);
          break;
        }
        bytes.push_back(static_cast<char>(*byte));
      }
    }
    *tokens = {LossyUtf8(bytes)};
    return Status::Ok();
  }
};

class WordPieceDecoder : public TokenDecoder {
 public:
  WordPieceDecoder(std::string prefix, bool cleanup) : prefix_(std::move(prefix)), cleanup_(cleanup) {}
  Status Decode(Tokens* tokens) const override {
    for (size_t i = 0; i < tokens->size(); ++i) {
      std::string& token = (*tokens)[i];
      if (i > 0) token = token.starts_with(prefix_) ? token.substr(prefix_.size()) : " " + token;
      if (cleanup_) token = CleanUp(std::move(token));
    }
    return Status::Ok();
  }

 private:
  std::string prefix_;
  bool cleanup_;
};

class MetaspaceDecoder : public TokenDecoder {
 public:
  MetaspaceDecoder(uint32_t replacement, bool prepended) : prepended_(prepended) {
    AppendUtf8(replacement, &replacement_);
  }
  Status Decode(Tokens* tokens) const override {
    for (size_t i = 0; i < tokens->size(); ++i) {
      (*tokens)[i] = ReplaceAll((*tokens)[i], replacement_, i == 0 && prepended_ ? "" : " ");
    }
    return Status::Ok();
  }

 private:
  std::string replacement_;
  bool prepended_;
};

class CtcDecoder : public TokenDecoder {
 public:
  CtcDecoder(std::string pad, std::string delimiter, bool cleanup)
      : pad_(std::move(pad)), delimiter_(std::move(delimiter)), cleanup_(cleanup) {}
  Status Decode(Tokens* tokens) const override {
    tokens->erase(std::unique(tokens->begin(), tokens->end()), tokens->end());
    for (std::string& token : *tokens) {
      token = ReplaceAll(token, pad_, "");
      if (cleanup_) token = ReplaceAll(CleanUp(std::move(token)), delimiter_, " ");
    }
    std::erase(*tokens, std::string());
    return Status::Ok();
  }

 private:
  std::string pad_, delimiter_;
  bool cleanup_;
};

class ByteFallbackDecoder : public TokenDecoder {
 public:
  Status Decode(Tokens* tokens) const override {
    Tokens out;
    std::string bytes;
    const auto flush = [&] {
      if (bytes.empty()) return;
      if (FirstInvalidUtf8(bytes)) {
        out.insert(out.end(), bytes.size(), "\xEF\xBF\xBD");
      } else {
        out.push_back(bytes);
      }
      bytes.clear();
    };
    for (std::string& token : *tokens) {
      if (const std::optional<uint8_t> byte = Byte(token)) {
        bytes.push_back(static_cast<char>(*byte));
        continue;
      }
      flush();
      out.push_back(std::move(token));
    }
    flush();
    *tokens = std::move(out);
    return Status::Ok();
  }

 private:
  // <0xNN>; u8::from_str_radix takes a plus sign too.
  static std::optional<uint8_t> Byte(std::string_view token) {
    if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return std::nullopt;
    std::string_view digits = token.substr(3, 2);
    if (digits.front() == '+') digits.remove_prefix(1);
    uint8_t byte = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
    if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
    return byte;
  }
};

class FuseDecoder : public TokenDecoder {
 public:
  Status Decode(Tokens* tokens) const override {
    std::string all;
    for (const std::string& token : *tokens) all += token;
    *tokens = {std::move(all)};
    return Status::Ok();
  }
};

class StripDecoder : public TokenDecoder {
 public:
  StripDecoder(uint32_t content, size_t start, size_t stop) : content_(content), start_(start), stop_(stop) {}
  Status Decode(Tokens* tokens) const override {
    for (std::string& token : *tokens) {
      const std::vector<uint32_t> cps = DecodeUtf8(token);
      size_t begin = 0;
      while (begin < std::min(start_, cps.size()) && cps[begin] == content_) ++begin;
      size_t end = cps.size();
      while (cps.size() - end < stop_ && end > begin && cps[end - 1] == content_) --end;
      std::string stripped;
      for (size_t i = begin; i < end; ++i) AppendUtf8(cps[i], &stripped);
      token = std::move(stripped);
    }
    return Status::Ok();
  }

 private:
  uint32_t content_;
  size_t start_, stop_;
};

class ReplaceDecoder : public TokenDecoder {
 public:
  ReplaceDecoder(Pattern pattern, std::string content) : pattern_(std::move(pattern)), content_(std::move(content)) {}
  Status Decode(Tokens* tokens) const override {
    for (std::string& token : *tokens) {
      if (token.empty()) continue;
      Text text;
      for (size_t i = 0; i < token.size();) text.push_back({NextCodePoint(token, &i), 0, 0});
      TV_ASSIGN_OR_RETURN(const std::vector<Pattern::Span> matches, pattern_.FindAll(text));
      std::string out;
      size_t at = 0;
      for (const auto& [begin, end] : matches) {
        out += ToUtf8(text.data() + at, text.data() + begin) + content_;
        at = end;
      }
      token = out + ToUtf8(text.data() + at, text.data() + text.size());
    }
    return Status::Ok();
  }

 private:
  Pattern pattern_;
  std::string content_;
};

class SequenceDecoder : public TokenDecoder {
 public:
  explicit SequenceDecoder(std::vector<std::unique_ptr<TokenDecoder>> parts) : parts_(std::move(parts)) {}
  Status Decode(Tokens* tokens) const override {
    for (const auto& part : parts_) TV_RETURN_IF_ERROR(part->Decode(tokens));
    return Status::Ok();
  }

 private:
  std::vector<std::unique_ptr<TokenDecoder>> parts_;
};

using Parsed = Result<std::unique_ptr<TokenDecoder>>;

template <typename T, typename... Args>
Parsed Make(Args&&... args) {
  return std::unique_ptr<TokenDecoder>(std::make_unique<T>(std::forward<Args>(args)...));
}

Parsed ParseBpeDecoder(const JsonRef& json) {
  TV_ASSIGN_OR_RETURN(std::string suffix, json["suffix"].String());
  return Make<BpeDecoder>(std::move(suffix));
}

Parsed ParseByteLevelDecoder(const JsonRef& json) {
  TV_RETURN_IF_ERROR(json["add_prefix_space"].Bool().status());
  TV_RETURN_IF_ERROR(json["trim_offsets"].Bool().status());
  return Make<ByteLevelDecoder>();
}

Parsed ParseWordPieceDecoder(const JsonRef& json) {
  TV_ASSIGN_OR_RETURN(std::string prefix, json["prefix"].String());
  TV_ASSIGN_OR_RETURN(const bool cleanup, json["cleanup"].Bool());
  return Make<WordPieceDecoder>(std::move(prefix), cleanup);
}

Parsed ParseMetaspaceDecoder(const JsonRef& json) {
  TV_ASSIGN_OR_RETURN(const uint32_t replacement, ReadCharacter(json["replacement"]));
  std::string scheme = "always";
  if (json["prepend_scheme"].present()) {
    TV_ASSIGN_OR_RETURN(scheme, json["prepend_scheme"].String());
    if (scheme != "always" && scheme != "first" && scheme != "never") {
      return json["prepend_scheme"].TypeError("always, first or never");
    }
  }
  if (json["add_prefix_space"].is_bool() && !json["add_prefix_space"].value().get_bool()) scheme = "never";
  return Make<MetaspaceDecoder>(replacement, scheme != "never");
}

Parsed ParseCtcDecoder(const JsonRef& json) {
  TV_ASSIGN_OR_RETURN(std::string pad, json["pad_token"].String());
  TV_ASSIGN_OR_RETURN(std::string delimiter, json["word_delimiter_token"].String());
  TV_ASSIGN_OR_RETURN(const bool cleanup, json["cleanup"].Bool());
  return Make<CtcDecoder>(std::move(pad), std::move(delimiter), cleanup);
}

Parsed ParseStripDecoder(const JsonRef& json) {
  TV_ASSIGN_OR_RETURN(const uint32_t content, ReadCharacter(json["content"]));
  TV_ASSIGN_OR_RETURN(const int64_t start, ReadCount(json["start"]));
  TV_ASSIGN_OR_RETURN(const int64_t stop, ReadCount(json["stop"]));
  return Make<StripDecoder>(content, static_cast<size_t>(start), static_cast<size_t>(stop));
}

Parsed ParseReplaceDecoder(const JsonRef& json) {
  TV_ASSIGN_OR_RETURN(Pattern pattern, Pattern::Parse(json["pattern"]));
  TV_ASSIGN_OR_RETURN(std::string content, json["content"].String());
  return Make<ReplaceDecoder>(std::move(pattern), std::move(content));
}

Parsed ParseSequenceDecoder(const JsonRef& json) {
  TV_ASSIGN_OR_RETURN(const std::vector<JsonRef> list, json["decoders"].Array());
  std::vector<std::unique_ptr<TokenDecoder>> parts;
  for (const JsonRef& element : list) {
    TV_RETURN_IF_ERROR(element.ExpectObject());
    TV_ASSIGN_OR_RETURN(std::unique_ptr<TokenDecoder> part, ParseDecoder(element));
    parts.push_back(std::move(part));
  }
  return Make<SequenceDecoder>(std::move(parts));
}

struct Row {
  std::string_view type;
  Parsed (*parse)(const JsonRef& json);
  std::array<std::string_view, 3> shape;  // fields of an object without a type; empty: it needs its type
};

constexpr std::array kRows = {
    Row{"BPEDecoder", ParseBpeDecoder, {"suffix"}},
    Row{"ByteLevel", ParseByteLevelDecoder, {}},
    Row{"WordPiece", ParseWordPieceDecoder, {"prefix", "cleanup"}},
    Row{"Metaspace", ParseMetaspaceDecoder, {}},
    Row{"CTC", ParseCtcDecoder, {"pad_token", "word_delimiter_token", "cleanup"}},
    Row{"Sequence", ParseSequenceDecoder, {}},
    Row{"Replace", ParseReplaceDecoder, {"pattern", "content"}},
    Row{"Fuse", [](const JsonRef&) { return Make<FuseDecoder>(); }, {}},
    Row{"Strip", ParseStripDecoder, {"content", "start", "stop"}},
    Row{"ByteFallback", [](const JsonRef&) { return Make<ByteFallbackDecoder>(); }, {}},
};

bool HasShape(const JsonRef& json, const Row& row) {
  return !row.shape[0].empty() && std::all_of(row.shape.begin(), row.shape.end(), [&](std::string_view field) {
    return field.empty() || json[field].present();
  });
}

}  // namespace

Parsed ParseDecoder(const JsonRef& json) {
  if (!json.present() || json.is_null()) return std::unique_ptr<TokenDecoder>();
  TV_RETURN_IF_ERROR(json.ExpectObject());
  const bool typed = json["type"].present();
  std::string type;
  if (typed) {
    TV_ASSIGN_OR_RETURN(type, json["type"].String());
  }
  for (const Row& row : kRows) {
    if (typed ? row.type == type : HasShape(json, row)) return row.parse(json);
  }
  if (!typed) return json.TypeError("a decoder with a type");
  return ModelError(json["type"].Where() + ": decoder \"" + type + "\" is not supported");
}

}  // namespace truevec
