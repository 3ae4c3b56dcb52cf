#include "tokenizer/normalizers.h"

#include <algorithm>
#include <array>

#include "tokenizer/byte_level.h"
#include "tokenizer/precompiled.h"
#include "tokenizer/split.h"
#include "tokenizer/text_transform.h"
#include "unicode/unicode.h"

namespace truevec {

std::string ToUtf8(const Char* begin, const Char* end) {
  std::string out;
  for (const Char* c = begin; c != end; ++c) AppendUtf8(c->cp, &out);
  return out;
}

void Transform(const std::vector<Formed>& chars, Text* text) {
  Text out;
  out.reserve(chars.size());
  size_t next = 0;
  for (const Formed& c : chars) {
    const size_t at = c.change > 0 ? next - 1 : next;
    Char range{0, 0, 0};  // of what is inserted in front of everything
    if ((c.change <= 0 || next > 0) && !text->empty()) range = (*text)[std::min(at, text->size() - 1)];
    out.push_back({c.cp, range.begin, range.end});
    if (c.change <= 0) next += static_cast<size_t>(1 - c.change);
  }
  *text = std::move(out);
}

namespace {

// bert.rs is_chinese_char, with its own gap: 2B920 where Unicode's block begins at 2B820.
bool IsChinese(uint32_t cp) {
  return (cp >= 0x4E00 && cp <= 0x9FFF) || (cp >= 0x3400 && cp <= 0x4DBF) || (cp >= 0x20000 && cp <= 0x2A6DF) ||
         (cp >= 0x2A700 && cp <= 0x2B73F) || (cp >= 0x2B740 && cp <= 0x2B81F) || (cp >= 0x2B920 && cp <= 0x2CEAF) ||
         (cp >= 0xF900 && cp <= 0xFAFF) || (cp >= 0x2F800 && cp <= 0x2FA1F);
}

bool AllAscii(const Text& text) {
  return std::all_of(text.begin(), text.end(), [](const Char& c) { return c.cp < 128; });
}

// Stable sort of marks by combining class between starters.
void Reorder(std::vector<Formed>* chars) {
  const auto starter = [](const Formed& c) { return CombiningClass(c.cp) == 0; };
  for (auto begin = chars->begin(); begin != chars->end();) {
    begin = std::find_if_not(begin, chars->end(), starter);
    const auto end = std::find_if(begin, chars->end(), starter);
    std::stable_sort(begin, end,
                     [](const Formed& a, const Formed& b) { return CombiningClass(a.cp) < CombiningClass(b.cp); });
    begin = end;
  }
}

// Canonical composition of decomposed, ordered characters (Unicode 3.11, D117).
void ComposeAll(std::vector<Formed>* chars) {
  std::vector<Formed> out;
  out.reserve(chars->size());
  size_t starter = SIZE_MAX;
  int last_class = -1;
  for (const Formed& c : *chars) {
    const int klass = CombiningClass(c.cp);
    if (starter != SIZE_MAX && (last_class < klass || last_class == -1)) {
      if (const uint32_t composed = Compose(out[starter].cp, c.cp); composed != 0) {
        out[starter] = {composed, out[starter].change + c.change - 1};
        continue;
      }
    }
    if (klass == 0) {
      starter = out.size();
      last_class = -1;
    } else {
      last_class = klass;
    }
    out.push_back(c);
  }
  *chars = std::move(out);
}

// NFD, NFC, NFKD or NFKC. A composite adds up the changes of its parts and loses one per joint.
void NormalForm(bool compatibility, bool compose, Text* text) {
  if (AllAscii(*text)) return;
  std::vector<Formed> chars;
  chars.reserve(text->size() + 8);
  std::vector<uint32_t> parts;
  for (const Char& c : *text) {
    parts.clear();
    AppendDecomposition(c.cp, compatibility, &parts);
    for (size_t i = 0; i < parts.size(); ++i) chars.push_back({parts[i], i > 0 ? 1 : 0});
  }
  Reorder(&chars);
  if (compose) ComposeAll(&chars);
  Transform(chars, text);
}

void Lowercase(Text* text) {
  Text out;
  out.reserve(text->size());
  for (const Char& c : *text) {
    uint32_t extra = 0;
    out.push_back({ToLower(c.cp, &extra), c.begin, c.end});
    if (extra != 0) out.push_back({extra, c.begin, c.end});
  }
  *text = std::move(out);
}

template <typename Predicate>
void Drop(Text* text, Predicate drop) {
  text->erase(std::remove_if(text->begin(), text->end(), [&](const Char& c) { return drop(c.cp); }), text->end());
}

// bert.rs: clean, space CJK, strip accents, lower-case, in this order.
class BertNormalizer : public Normalizer {
 public:
  BertNormalizer(bool clean, bool chinese, bool strip, bool lower)
      : clean_(clean), chinese_(chinese), strip_(strip), lower_(lower) {}

  Status Normalize(Text* text) const override {
    if (clean_) {
      Drop(text, [](uint32_t cp) {
        if (cp == '\t' || cp == '\n' || cp == '\r') return false;
        return cp == 0 || cp == 0xFFFD || IsControl8(cp);
      });
      for (Char& c : *text) {
        if (IsWhiteSpace(c.cp)) c.cp = ' ';
      }
    }
    if (chinese_) SpaceChinese(text);
    if (strip_) {
      NormalForm(false, false, text);
      Drop(text, IsNonspacingMark8);
    }
    if (lower_) Lowercase(text);
    return Status::Ok();
  }
  void AddBytes(ByteNormalizers* out) const override {
    // Only marks that are left in the text could have been put in another order by NFD.
    const auto has_marks = [](const Text& text) {
      return std::any_of(text.begin(), text.end(), [](const Char& c) { return CombiningClass(c.cp) != 0; });
    };
    out->push_back(MakeCharacterMap(this, false, strip_ ? has_marks : std::function<bool(const Text&)>()));
  }

 private:
  static void SpaceChinese(Text* text) {
    if (std::none_of(text->begin(), text->end(), [](const Char& c) { return IsChinese(c.cp); })) return;
    Text out;
    for (const Char& c : *text) {
      if (IsChinese(c.cp)) {
        out.push_back({' ', c.begin, c.end});
        out.push_back(c);
        out.push_back({' ', c.begin, c.end});
      } else {
        out.push_back(c);
      }
    }
    *text = std::move(out);
  }
  bool clean_, chinese_, strip_, lower_;
};

// nmt.rs: controls dropped, odd spaces and invisible characters made a space.
void Nmt(Text* text) {
  Drop(text, [](uint32_t cp) {
    return (cp >= 1 && cp <= 8) || cp == 0xB || (cp >= 0xE && cp <= 0x1F) || cp == 0x7F || cp == 0x8F || cp == 0x9F;
  });
  for (Char& c : *text) {
    const uint32_t cp = c.cp;
    if (cp == 9 || cp == 0xA || cp == 0xC || cp == 0xD || cp == 0x1680 || (cp >= 0x200B && cp <= 0x200F) ||
        cp == 0x2028 || cp == 0x2029 || cp == 0x2581 || cp == 0xFEFF || cp == 0xFFFD) {
      c.cp = ' ';
    }
  }
}

enum class Form { kNfc, kNfd, kNfkc, kNfkd, kLowercase, kStripAccents, kByteLevel, kNmt };

class FormNormalizer : public Normalizer {
 public:
  explicit FormNormalizer(Form form) : form_(form) {}
  Status Normalize(Text* text) const override {
    switch (form_) {
      case Form::kLowercase:
        Lowercase(text);
        break;
      case Form::kStripAccents:
        Drop(text, IsMark9);
        break;
      case Form::kByteLevel:
        ToByteLevel(text);
        break;
      case Form::kNmt:
        Nmt(text);
        break;
      case Form::kNfd:
        NormalForm(false, false, text);
        break;
      case Form::kNfc:
        NormalForm(false, true, text);
        break;
      case Form::kNfkd:
        NormalForm(true, false, text);
        break;
      case Form::kNfkc:
        NormalForm(true, true, text);
        break;
    }
    return Status::Ok();
  }
  void AddBytes(ByteNormalizers* out) const override {
    switch (form_) {
      case Form::kNfd:
      case Form::kNfc:
      case Form::kNfkd:
      case Form::kNfkc:
        out->push_back(MakeNormalForm(this));
        break;
      default:
        out->push_back(MakeCharacterMap(this, form_ == Form::kLowercase || form_ == Form::kByteLevel, {}));
    }
  }

 private:
  Form form_;
};

class StripNormalizer : public Normalizer {
 public:
  StripNormalizer(bool left, bool right) : left_(left), right_(right) {}
  Status Normalize(Text* text) const override {
    if (right_) {
      while (!text->empty() && IsWhiteSpace(text->back().cp)) text->pop_back();
    }
    if (left_) {
      const auto first = std::find_if(text->begin(), text->end(), [](const Char& c) { return !IsWhiteSpace(c.cp); });
      text->erase(text->begin(), first);
    }
    return Status::Ok();
  }
  void AddBytes(ByteNormalizers* out) const override { out->push_back(MakeStrip(left_, right_)); }

 private:
  bool left_, right_;
};

class SequenceNormalizer : public Normalizer {
 public:
  explicit SequenceNormalizer(std::vector<std::unique_ptr<Normalizer>> parts) : parts_(std::move(parts)) {}
  Status Normalize(Text* text) const override {
    for (const auto& part : parts_) TV_RETURN_IF_ERROR(part->Normalize(text));
    return Status::Ok();
  }
  void AddBytes(ByteNormalizers* out) const override {
    for (const auto& part : parts_) part->AddBytes(out);
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> parts_;
};

// replace.rs: matches replaced by literal content. The inserted text takes the range of the match's last character
// (NormalizedString::transform), an insertion in front of everything the empty range at 0.
class ReplaceNormalizer : public Normalizer {
 public:
  ReplaceNormalizer(Pattern pattern, std::vector<uint32_t> content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}
  Status Normalize(Text* text) const override {
    TV_ASSIGN_OR_RETURN(const std::vector<Pattern::Span> matches, pattern_.FindAll(*text));
    if (matches.empty()) return Status::Ok();
    Text out;
    size_t at = 0;
    for (const auto& [begin, end] : matches) {
      out.insert(out.end(), text->begin() + static_cast<std::ptrdiff_t>(at),
                 text->begin() + static_cast<std::ptrdiff_t>(begin));
      Char range{0, 0, 0};
      if (end > 0) range = (*text)[end - 1];
      for (const uint32_t cp : content_) out.push_back({cp, range.begin, range.end});
      at = end;
    }
    out.insert(out.end(), text->begin() + static_cast<std::ptrdiff_t>(at), text->end());
    *text = std::move(out);
    return Status::Ok();
  }
  void AddBytes(ByteNormalizers* out) const override {
    std::string content;
    for (const uint32_t cp : content_) AppendUtf8(cp, &content);
    if (const std::string literal = pattern_.literal(); !literal.empty()) {
      out->push_back(MakeReplaceLiteral(literal, std::move(content)));
    } else if (pattern_.regex() == " {2,}") {
      out->push_back(MakeReplaceSpaces(std::move(content)));
    } else {
      out->push_back(ThroughText(this));
    }
  }

 private:
  Pattern pattern_;
  std::vector<uint32_t> content_;
};

class PrependNormalizer : public Normalizer {
 public:
  explicit PrependNormalizer(std::vector<uint32_t> content) : content_(std::move(content)) {}
  Status Normalize(Text* text) const override {
    if (text->empty()) return Status::Ok();
    Text out;
    for (const uint32_t cp : content_) out.push_back({cp, text->front().begin, text->front().end});
    text->insert(text->begin(), out.begin(), out.end());
    return Status::Ok();
  }
  void AddBytes(ByteNormalizers* out) const override {
    std::string content;
    for (const uint32_t cp : content_) AppendUtf8(cp, &content);
    out->push_back(MakePrepend(std::move(content)));
  }

 private:
  std::vector<uint32_t> content_;
};

Result<std::unique_ptr<Normalizer>> ParseReplace(const JsonRef& json) {
  TV_ASSIGN_OR_RETURN(Pattern pattern, Pattern::Parse(json["pattern"]));
  TV_ASSIGN_OR_RETURN(const std::string content, json["content"].String());
  return std::unique_ptr<Normalizer>(std::make_unique<ReplaceNormalizer>(std::move(pattern), DecodeUtf8(content)));
}

using Parsed = Result<std::unique_ptr<Normalizer>>;

Parsed ParseBert(const JsonRef& json) {
  TV_ASSIGN_OR_RETURN(const bool clean, json["clean_text"].Bool());
  TV_ASSIGN_OR_RETURN(const bool chinese, json["handle_chinese_chars"].Bool());
  TV_ASSIGN_OR_RETURN(const bool lower, json["lowercase"].Bool());
  bool strip = lower;
  if (const JsonRef accents = json["strip_accents"]; accents.present() && !accents.is_null()) {
    TV_ASSIGN_OR_RETURN(strip, accents.Bool());
  }
  return std::unique_ptr<Normalizer>(std::make_unique<BertNormalizer>(clean, chinese, strip, lower));
}

Parsed ParseStrip(const JsonRef& json) {
  TV_ASSIGN_OR_RETURN(const bool left, json["strip_left"].Bool());
  TV_ASSIGN_OR_RETURN(const bool right, json["strip_right"].Bool());
  return std::unique_ptr<Normalizer>(std::make_unique<StripNormalizer>(left, right));
}

Parsed ParsePrepend(const JsonRef& json) {
  TV_ASSIGN_OR_RETURN(const std::string content, json["prepend"].String());
  return std::unique_ptr<Normalizer>(std::make_unique<PrependNormalizer>(DecodeUtf8(content)));
}

Parsed ParseSequence(const JsonRef& json) {
  TV_ASSIGN_OR_RETURN(const std::vector<JsonRef> list, json["normalizers"].Array());
  std::vector<std::unique_ptr<Normalizer>> parts;
  for (const JsonRef& element : list) {
    TV_RETURN_IF_ERROR(element.ExpectObject());
    TV_ASSIGN_OR_RETURN(std::unique_ptr<Normalizer> part, ParseNormalizer(element));
    parts.push_back(std::move(part));
  }
  return std::unique_ptr<Normalizer>(std::make_unique<SequenceNormalizer>(std::move(parts)));
}

template <Form form>
Parsed ParseForm(const JsonRef&) {
  return std::unique_ptr<Normalizer>(std::make_unique<FormNormalizer>(form));
}

struct Row {
  std::string_view type;
  Parsed (*parse)(const JsonRef& json);
  std::array<std::string_view, 3> shape;  // fields of an object without a type; empty: it needs its type
};

constexpr std::array kRows = {
    Row{"BertNormalizer", ParseBert, {"clean_text", "handle_chinese_chars", "lowercase"}},
    Row{"Strip", ParseStrip, {"strip_left", "strip_right"}},
    Row{"StripAccents", ParseForm<Form::kStripAccents>, {}},
    Row{"NFC", ParseForm<Form::kNfc>, {}},
    Row{"NFD", ParseForm<Form::kNfd>, {}},
    Row{"NFKC", ParseForm<Form::kNfkc>, {}},
    Row{"NFKD", ParseForm<Form::kNfkd>, {}},
    Row{"Sequence", ParseSequence, {}},
    Row{"Lowercase", ParseForm<Form::kLowercase>, {}},
    Row{"Nmt", ParseForm<Form::kNmt>, {}},
    Row{"Precompiled", ParsePrecompiled, {"precompiled_charsmap"}},
    Row{"Replace", ParseReplace, {"pattern", "content"}},
    Row{"Prepend", ParsePrepend, {"prepend"}},
    Row{"ByteLevel", ParseForm<Form::kByteLevel>, {}},
    Row{"Bert", ParseBert, {}},
};

bool HasShape(const JsonRef& json, const Row& row) {
  return !row.shape[0].empty() && std::all_of(row.shape.begin(), row.shape.end(), [&](std::string_view field) {
    return field.empty() || json[field].present();
  });
}

}  // namespace

Result<std::unique_ptr<Normalizer>> ParseNormalizer(const JsonRef& json) {
  if (!json.present() || json.is_null()) return std::unique_ptr<Normalizer>();
  TV_RETURN_IF_ERROR(json.ExpectObject());
  std::string type;
  if (json["type"].present()) {
    TV_ASSIGN_OR_RETURN(type, json["type"].String());
  }
  for (const Row& row : kRows) {
    if (type.empty() ? HasShape(json, row) : row.type == type) return row.parse(json);
  }
  if (type.empty()) return json.TypeError("a normalizer with a type");
  return ModelError(json["type"].Where() + ": normalizer \"" + type + "\" is not supported");
}

}  // namespace truevec
