#include "tokenizer/pre_tokenizers.h"

#include <algorithm>
#include <array>
#include <optional>

#include "tokenizer/byte_level.h"
#include "tokenizer/component_json.h"
#include "tokenizer/split.h"
#include "tokenizer/unicode_scripts.h"
#include "unicode/unicode.h"

namespace truevec {
namespace {

enum class Kind : uint8_t { kDrop, kAlone, kWord };  // kWord: joined with neighbours of the same class

struct CharClass {
  Kind kind;
  int group;  // words of different groups do not join
};

// Splits by a class per character: dropped, a piece of its own, or part of a run.
template <typename Classify>
void SplitByClass(std::vector<Text>* pieces, Classify classify) {
  std::vector<Text> out;
  for (const Text& piece : *pieces) {
    Text run;
    int group = -1;
    const auto flush = [&] {
      if (!run.empty()) out.push_back(std::move(run));
      run.clear();
    };
    for (const Char& c : piece) {
      const CharClass k = classify(c.cp);
      if (k.kind != Kind::kWord || k.group != group) flush();
      group = k.group;
      if (k.kind == Kind::kDrop) continue;
      run.push_back(c);
      if (k.kind == Kind::kAlone) flush();
    }
    flush();
  }
  *pieces = std::move(out);
}

class BertPreTokenizer : public PreTokenizer {
 public:
  Status Split(std::vector<Text>* pieces) const override {
    SplitByClass(pieces, [](uint32_t cp) -> CharClass {
      if (IsWhiteSpace(cp)) return {Kind::kDrop, 0};
      return {IsBertPunctuation(cp) ? Kind::kAlone : Kind::kWord, 0};
    });
    return Status::Ok();
  }
  void AddBytes(ByteSplitters* out) const override {
    out->push_back(MakeClassSplitter([](uint32_t cp) {
      if (IsWhiteSpace(cp)) return CharKind::kDrop;
      return IsBertPunctuation(cp) ? CharKind::kAlone : CharKind::kWord;
    }));
  }
};

class WhitespaceSplit : public PreTokenizer {
 public:
  Status Split(std::vector<Text>* pieces) const override {
    SplitByClass(pieces, [](uint32_t cp) -> CharClass { return {IsWhiteSpace(cp) ? Kind::kDrop : Kind::kWord, 0}; });
    return Status::Ok();
  }
  void AddBytes(ByteSplitters* out) const override {
    out->push_back(MakeClassSplitter([](uint32_t cp) { return IsWhiteSpace(cp) ? CharKind::kDrop : CharKind::kWord; }));
  }
};

// \w+|[^\w\s]+ of Rust's regex crate.
class Whitespace : public PreTokenizer {
 public:
  Status Split(std::vector<Text>* pieces) const override {
    SplitByClass(pieces, [](uint32_t cp) -> CharClass {
      if (IsWordCharacter(cp)) return {Kind::kWord, 0};
      return {IsWhiteSpace(cp) ? Kind::kDrop : Kind::kWord, 1};
    });
    return Status::Ok();
  }
  void AddBytes(ByteSplitters* out) const override {
    out->push_back(MakeClassSplitter([](uint32_t cp) {
      if (IsWordCharacter(cp)) return CharKind::kWord;
      return IsWhiteSpace(cp) ? CharKind::kDrop : CharKind::kWord2;
    }));
  }
};

// Applies body(text, &parts) to each piece.
template <typename Body>
Status ForEachPiece(std::vector<Text>* pieces, Body body) {
  std::vector<Text> out;
  for (Text& piece : *pieces) TV_RETURN_IF_ERROR(body(&piece, &out));
  *pieces = std::move(out);
  return Status::Ok();
}

void AppendSpans(const Text& text, const std::vector<Pattern::Span>& spans, std::vector<Text>* out) {
  for (const auto& [begin, end] : spans) {
    out->emplace_back(text.begin() + static_cast<std::ptrdiff_t>(begin),
                      text.begin() + static_cast<std::ptrdiff_t>(end));
  }
}

// Cuts at every character that `is_match` holds for.
template <typename Predicate>
Status SplitAtCharacters(std::vector<Text>* pieces, SplitBehavior behavior, Predicate is_match) {
  return ForEachPiece(pieces, [&](Text* text, std::vector<Text>* out) {
    std::vector<Pattern::Span> matches;
    for (size_t i = 0; i < text->size(); ++i) {
      if (is_match((*text)[i].cp)) matches.emplace_back(i, i + 1);
    }
    AppendSpans(*text, SplitSpans(matches, text->size(), behavior, false), out);
    return Status::Ok();
  });
}

class SplitPreTokenizer : public PreTokenizer {
 public:
  SplitPreTokenizer(Pattern pattern, SplitBehavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}
  Status Split(std::vector<Text>* pieces) const override {
    return ForEachPiece(pieces, [&](Text* text, std::vector<Text>* out) -> Status {
      TV_ASSIGN_OR_RETURN(const std::vector<Pattern::Span> matches, pattern_.FindAll(*text));
      AppendSpans(*text, SplitSpans(matches, text->size(), behavior_, invert_), out);
      return Status::Ok();
    });
  }
  void AddBytes(ByteSplitters* out) const override {
    std::unique_ptr<ByteSplitter> stage;
    if (const std::string literal = pattern_.literal(); !literal.empty()) {
      stage = MakeLiteralSplitter(literal, behavior_, invert_);
    } else if (behavior_ == SplitBehavior::kIsolated) {  // invert changes nothing where no part is left out
      stage = MakeScannerSplitter(pattern_.regex());
    }
    out->push_back(stage != nullptr ? std::move(stage) : ThroughText(this));
  }

 private:
  Pattern pattern_;
  SplitBehavior behavior_;
  bool invert_;
};

class Punctuation : public PreTokenizer {
 public:
  explicit Punctuation(SplitBehavior behavior) : behavior_(behavior) {}
  Status Split(std::vector<Text>* pieces) const override {
    return SplitAtCharacters(pieces, behavior_, IsBertPunctuation);
  }
  void AddBytes(ByteSplitters* out) const override {
    out->push_back(MakeCharacterSplitter(IsBertPunctuation, behavior_));
  }

 private:
  SplitBehavior behavior_;
};

class CharDelimiterSplit : public PreTokenizer {
 public:
  explicit CharDelimiterSplit(uint32_t delimiter) : delimiter_(delimiter) {}
  Status Split(std::vector<Text>* pieces) const override {
    return SplitAtCharacters(pieces, SplitBehavior::kRemoved, [this](uint32_t cp) { return cp == delimiter_; });
  }
  void AddBytes(ByteSplitters* out) const override {
    out->push_back(MakeCharacterSplitter([delimiter = delimiter_](uint32_t cp) { return cp == delimiter; },
                                         SplitBehavior::kRemoved));
  }

 private:
  uint32_t delimiter_;
};

// char::is_numeric: Nd, Nl, No.
class Digits : public PreTokenizer {
 public:
  explicit Digits(bool individual) : behavior_(individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous) {}
  Status Split(std::vector<Text>* pieces) const override { return SplitAtCharacters(pieces, behavior_, IsNumeric); }
  void AddBytes(ByteSplitters* out) const override { out->push_back(MakeCharacterSplitter(IsNumeric, behavior_)); }

 private:
  static bool IsNumeric(uint32_t cp) {
    const Category category = GeneralCategory(cp);
    return category == Category::kNd || category == Category::kNl || category == Category::kNo;
  }
  SplitBehavior behavior_;
};

// Cuts where the script changes; a space and a character of no script join either side. As in the reference, what
// stands before the first character with a script is lost when there is none at the start.
class UnicodeScripts : public PreTokenizer {
 public:
  Status Split(std::vector<Text>* pieces) const override {
    return ForEachPiece(pieces, [](Text* text, std::vector<Text>* out) {
      std::vector<size_t> cuts;
      std::optional<uint8_t> last;
      for (size_t i = 0; i < text->size(); ++i) {
        const uint8_t script = Script((*text)[i].cp);
        if (script == 0) continue;
        if (last != script) cuts.push_back(i);
        last = script;
      }
      cuts.push_back(text->size());
      std::vector<Pattern::Span> spans;
      for (size_t i = 0; i + 1 < cuts.size(); ++i) spans.emplace_back(cuts[i], cuts[i + 1]);
      AppendSpans(*text, spans, out);
      return Status::Ok();
    });
  }

 private:
  static uint8_t Script(uint32_t cp) {
    const std::span<const ScriptRange> ranges = ScriptRanges();
    const auto after = std::upper_bound(ranges.begin(), ranges.end(), cp,
                                        [](uint32_t value, const ScriptRange& range) { return value < range.first; });
    if (after == ranges.begin()) return 0;
    const ScriptRange& range = *std::prev(after);
    return cp <= range.last ? range.script : 0;
  }
};

class FixedLength : public PreTokenizer {
 public:
  explicit FixedLength(size_t length) : length_(length) {}
  Status Split(std::vector<Text>* pieces) const override {
    return ForEachPiece(pieces, [&](Text* text, std::vector<Text>* out) {
      std::vector<Pattern::Span> spans;
      for (size_t i = 0; i < text->size(); i += length_) spans.emplace_back(i, std::min(i + length_, text->size()));
      AppendSpans(*text, spans, out);
      return Status::Ok();
    });
  }

 private:
  size_t length_;
};

class ByteLevel : public PreTokenizer {
 public:
  ByteLevel(bool add_prefix_space, std::optional<Pattern> pattern)
      : add_prefix_space_(add_prefix_space), pattern_(std::move(pattern)) {}
  Status Split(std::vector<Text>* pieces) const override {
    return ForEachPiece(pieces, [&](Text* text, std::vector<Text>* out) -> Status {
      if (text->empty()) return Status::Ok();
      if (add_prefix_space_ && text->front().cp != ' ') {
        text->insert(text->begin(), {' ', text->front().begin, text->front().end});
      }
      std::vector<Text> parts;
      if (pattern_) {
        TV_ASSIGN_OR_RETURN(const std::vector<Pattern::Span> matches, pattern_->FindAll(*text));
        AppendSpans(*text, SplitSpans(matches, text->size(), SplitBehavior::kIsolated, false), &parts);
      } else {
        parts.push_back(std::move(*text));
      }
      for (Text& part : parts) {
        ToByteLevel(&part);
        out->push_back(std::move(part));
      }
      return Status::Ok();
    });
  }
  void AddBytes(ByteSplitters* out) const override {
    out->push_back(MakeByteLevel(add_prefix_space_, pattern_ ? pattern_->regex() : std::string_view()));
  }

 private:
  bool add_prefix_space_;
  std::optional<Pattern> pattern_;  // none: use_regex is false
};

enum class PrependScheme { kAlways, kFirst, kNever };

class Metaspace : public PreTokenizer {
 public:
  Metaspace(uint32_t replacement, PrependScheme scheme, bool split)
      : replacement_(replacement), scheme_(scheme), split_(split) {}
  Status Split(std::vector<Text>* pieces) const override {
    return ForEachPiece(pieces, [&](Text* text, std::vector<Text>* out) {
      if (text->empty()) return Status::Ok();
      for (Char& c : *text) {
        if (c.cp == ' ') c.cp = replacement_;
      }
      const bool prepend =
          scheme_ == PrependScheme::kAlways || (scheme_ == PrependScheme::kFirst && text->front().begin == 0);
      if (prepend && text->front().cp != replacement_) {
        text->insert(text->begin(), {replacement_, text->front().begin, text->front().end});
      }
      if (!split_) {
        out->push_back(std::move(*text));
        return Status::Ok();
      }
      std::vector<Pattern::Span> matches;
      for (size_t i = 0; i < text->size(); ++i) {
        if ((*text)[i].cp == replacement_) matches.emplace_back(i, i + 1);
      }
      AppendSpans(*text, SplitSpans(matches, text->size(), SplitBehavior::kMergedWithNext, false), out);
      return Status::Ok();
    });
  }
  void AddBytes(ByteSplitters* out) const override {
    out->push_back(
        MakeMetaspace(replacement_, scheme_ != PrependScheme::kNever, scheme_ == PrependScheme::kFirst, split_));
  }

 private:
  uint32_t replacement_;
  PrependScheme scheme_;
  bool split_;
};

class SequencePreTokenizer : public PreTokenizer {
 public:
  explicit SequencePreTokenizer(std::vector<std::unique_ptr<PreTokenizer>> parts) : parts_(std::move(parts)) {}
  Status Split(std::vector<Text>* pieces) const override {
    for (const auto& part : parts_) TV_RETURN_IF_ERROR(part->Split(pieces));
    return Status::Ok();
  }
  void AddBytes(ByteSplitters* out) const override {
    for (const auto& part : parts_) part->AddBytes(out);
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> parts_;
};

Result<bool> Flag(const JsonRef& json, bool fallback) { return json.present() ? json.Bool() : Result<bool>(fallback); }
// As Flag, where null counts as absent (an Option of the reference).
Result<bool> OptionalFlag(const JsonRef& json, bool fallback) {
  return json.is_null() ? Result<bool>(fallback) : Flag(json, fallback);
}

using Parsed = Result<std::unique_ptr<PreTokenizer>>;

template <typename T, typename... Args>
Parsed Make(Args&&... args) {
  return std::unique_ptr<PreTokenizer>(std::make_unique<T>(std::forward<Args>(args)...));
}

Parsed ParseSplit(const JsonRef& json) {
  TV_ASSIGN_OR_RETURN(Pattern pattern, Pattern::Parse(json["pattern"]));
  TV_ASSIGN_OR_RETURN(const SplitBehavior behavior, ParseSplitBehavior(json["behavior"]));
  TV_ASSIGN_OR_RETURN(const bool invert, json["invert"].Bool());
  return Make<SplitPreTokenizer>(std::move(pattern), behavior, invert);
}

Parsed ParsePunctuation(const JsonRef& json) {
  SplitBehavior behavior = SplitBehavior::kIsolated;
  if (json["behavior"].present()) {
    TV_ASSIGN_OR_RETURN(behavior, ParseSplitBehavior(json["behavior"]));
  }
  return Make<Punctuation>(behavior);
}

Parsed ParseDelimiter(const JsonRef& json) {
  TV_ASSIGN_OR_RETURN(const uint32_t delimiter, ReadCharacter(json["delimiter"]));
  return Make<CharDelimiterSplit>(delimiter);
}

Parsed ParseDigits(const JsonRef& json) {
  TV_ASSIGN_OR_RETURN(const bool individual, json["individual_digits"].Bool());
  return Make<Digits>(individual);
}

Parsed ParseFixedLength(const JsonRef& json) {
  int64_t length = 5;
  if (json["length"].present()) {
    TV_ASSIGN_OR_RETURN(length, ReadCount(json["length"]));
  }
  if (length < 1) return json["length"].TypeError("a positive length");
  return Make<FixedLength>(static_cast<size_t>(length));
}

Parsed ParseByteLevel(const JsonRef& json) {
  TV_ASSIGN_OR_RETURN(const bool add_prefix_space, json["add_prefix_space"].Bool());
  TV_RETURN_IF_ERROR(json["trim_offsets"].Bool().status());
  TV_ASSIGN_OR_RETURN(const bool use_regex, Flag(json["use_regex"], true));
  std::optional<Pattern> pattern;
  if (use_regex) {
    TV_ASSIGN_OR_RETURN(pattern, Pattern::Expression(kGpt2Pattern));
  }
  return Make<ByteLevel>(add_prefix_space, std::move(pattern));
}

Parsed ParseMetaspace(const JsonRef& json) {
  TV_ASSIGN_OR_RETURN(const uint32_t replacement, ReadCharacter(json["replacement"]));
  TV_ASSIGN_OR_RETURN(const bool split, OptionalFlag(json["split"], true));
  PrependScheme scheme = PrependScheme::kAlways;
  if (json["prepend_scheme"].present()) {
    TV_ASSIGN_OR_RETURN(const std::string name, json["prepend_scheme"].String());
    if (name != "always" && name != "first" && name != "never") {
      return json["prepend_scheme"].TypeError("always, first or never");
    }
    scheme = name == "always"  ? PrependScheme::kAlways
             : name == "first" ? PrependScheme::kFirst
                               : PrependScheme::kNever;
  }
  // The reference refuses false beside a scheme that prepends. Without a scheme (old files) it means never.
  TV_ASSIGN_OR_RETURN(const bool add_prefix_space, OptionalFlag(json["add_prefix_space"], true));
  if (!add_prefix_space && scheme != PrependScheme::kNever) {
    if (json["prepend_scheme"].present()) return json["add_prefix_space"].TypeError("true beside this prepend_scheme");
    scheme = PrependScheme::kNever;
  }
  return Make<Metaspace>(replacement, scheme, split);
}

Parsed ParseSequence(const JsonRef& json) {
  TV_ASSIGN_OR_RETURN(const std::vector<JsonRef> list, json["pretokenizers"].Array());
  std::vector<std::unique_ptr<PreTokenizer>> parts;
  for (const JsonRef& element : list) {
    TV_RETURN_IF_ERROR(element.ExpectObject());
    TV_ASSIGN_OR_RETURN(std::unique_ptr<PreTokenizer> part, ParsePreTokenizer(element));
    parts.push_back(std::move(part));
  }
  return Make<SequencePreTokenizer>(std::move(parts));
}

struct Row {
  std::string_view type;
  Parsed (*parse)(const JsonRef& json);
};

constexpr std::array kRows = {
    Row{"BertPreTokenizer", [](const JsonRef&) { return Make<BertPreTokenizer>(); }},
    Row{"WhitespaceSplit", [](const JsonRef&) { return Make<WhitespaceSplit>(); }},
    Row{"Whitespace", [](const JsonRef&) { return Make<Whitespace>(); }},
    Row{"Split", ParseSplit},
    Row{"Punctuation", ParsePunctuation},
    Row{"CharDelimiterSplit", ParseDelimiter},
    Row{"Digits", ParseDigits},
    Row{"FixedLength", ParseFixedLength},
    Row{"ByteLevel", ParseByteLevel},
    Row{"Metaspace", ParseMetaspace},
    Row{"Sequence", ParseSequence},
    Row{"UnicodeScripts", [](const JsonRef&) { return Make<UnicodeScripts>(); }},
};

}  // namespace

Result<std::unique_ptr<PreTokenizer>> ParsePreTokenizer(const JsonRef& json) {
  if (!json.present() || json.is_null()) return std::unique_ptr<PreTokenizer>();
  TV_RETURN_IF_ERROR(json.ExpectObject());
  TV_ASSIGN_OR_RETURN(const std::string type, json["type"].String());
  for (const Row& row : kRows) {
    if (row.type == type) return row.parse(json);
  }
  return ModelError(json["type"].Where() + ": pre-tokenizer \"" + type + "\" is not supported");
}

}  // namespace truevec
