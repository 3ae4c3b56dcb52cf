#include "tokenizer/pre_tokenizers.h"

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
  void Split(std::vector<Text>* pieces) const override {
    SplitByClass(pieces, [](uint32_t cp) -> CharClass {
      if (IsWhiteSpace(cp)) return {Kind::kDrop, 0};
      return {IsBertPunctuation(cp) ? Kind::kAlone : Kind::kWord, 0};
    });
  }
};

class WhitespaceSplit : public PreTokenizer {
 public:
  void Split(std::vector<Text>* pieces) const override {
    SplitByClass(pieces, [](uint32_t cp) -> CharClass { return {IsWhiteSpace(cp) ? Kind::kDrop : Kind::kWord, 0}; });
  }
};

// \w+|[^\w\s]+ of Rust's regex crate.
class Whitespace : public PreTokenizer {
 public:
  void Split(std::vector<Text>* pieces) const override {
    SplitByClass(pieces, [](uint32_t cp) -> CharClass {
      if (IsWordCharacter(cp)) return {Kind::kWord, 0};
      return {IsWhiteSpace(cp) ? Kind::kDrop : Kind::kWord, 1};
    });
  }
};

class SequencePreTokenizer : public PreTokenizer {
 public:
  explicit SequencePreTokenizer(std::vector<std::unique_ptr<PreTokenizer>> parts) : parts_(std::move(parts)) {}
  void Split(std::vector<Text>* pieces) const override {
    for (const auto& part : parts_) part->Split(pieces);
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> parts_;
};

}  // namespace

Result<std::unique_ptr<PreTokenizer>> ParsePreTokenizer(const JsonRef& json) {
  if (!json.present() || json.is_null()) return std::unique_ptr<PreTokenizer>();
  TV_RETURN_IF_ERROR(json.ExpectObject());
  TV_ASSIGN_OR_RETURN(const std::string type, json["type"].String());
  if (type == "BertPreTokenizer") return std::unique_ptr<PreTokenizer>(std::make_unique<BertPreTokenizer>());
  if (type == "WhitespaceSplit") return std::unique_ptr<PreTokenizer>(std::make_unique<WhitespaceSplit>());
  if (type == "Whitespace") return std::unique_ptr<PreTokenizer>(std::make_unique<Whitespace>());
  if (type == "Sequence") {
    TV_ASSIGN_OR_RETURN(const std::vector<JsonRef> list, json["pretokenizers"].Array());
    std::vector<std::unique_ptr<PreTokenizer>> parts;
    for (const JsonRef& element : list) {
      TV_ASSIGN_OR_RETURN(std::unique_ptr<PreTokenizer> part, ParsePreTokenizer(element));
      if (part != nullptr) parts.push_back(std::move(part));
    }
    return std::unique_ptr<PreTokenizer>(std::make_unique<SequencePreTokenizer>(std::move(parts)));
  }
  return ModelError(json["type"].Where() + ": pre-tokenizer \"" + type + "\" is not supported");
}

}  // namespace truevec
