#include "tokenizer/token_model.h"

#include "tokenizer/component_json.h"

namespace truevec {

Result<Vocabulary> ParseVocabulary(const JsonRef& json) {
  TV_RETURN_IF_ERROR(json.ExpectObject());
  constexpr int64_t kMaxId = int64_t{1} << 24;
  Vocabulary vocabulary;
  vocabulary.reserve(json.size());
  std::vector<bool> seen(json.size());
  for (const auto& member : json.value().get_object()) {
    if (!member.value().is_int64() || member.value().get_int64() < 0 || member.value().get_int64() >= kMaxId) {
      return json[member.key()].TypeError("a token id in [0, 2^24)");
    }
    const auto id = static_cast<int32_t>(member.value().get_int64());
    if (static_cast<size_t>(id) >= seen.size()) seen.resize(static_cast<size_t>(id) + 1);
    if (seen[static_cast<size_t>(id)]) {
      return ModelError(json[member.key()].Where() + ": id " + std::to_string(id) + " is given to two tokens");
    }
    seen[static_cast<size_t>(id)] = true;
    vocabulary.emplace(std::string(member.key()), id);
  }
  return vocabulary;
}

namespace {

// A piece is one token, or the unknown one.
class WordLevel : public TokenModel {
 public:
  WordLevel(Vocabulary vocabulary, int32_t unknown) : vocabulary_(std::move(vocabulary)), unknown_(unknown) {}
  const Vocabulary& vocabulary() const override { return vocabulary_; }
  void Tokenize(const Text& piece, std::vector<Token>* out) const override {
    const auto found = vocabulary_.find(ToUtf8(piece.data(), piece.data() + piece.size()));
    out->push_back({found != vocabulary_.end() ? found->second : unknown_, piece.front().begin, piece.back().end});
  }

 private:
  Vocabulary vocabulary_;
  int32_t unknown_;
};

Result<std::unique_ptr<TokenModel>> ParseWordLevel(const JsonRef& json) {
  TV_ASSIGN_OR_RETURN(Vocabulary vocabulary, ParseVocabulary(json["vocab"]));
  TV_ASSIGN_OR_RETURN(const std::string unknown, json["unk_token"].String());
  const auto found = vocabulary.find(unknown);
  if (found == vocabulary.end()) {
    return ModelError(json["unk_token"].Where() + ": \"" + unknown + "\" is not in the vocabulary");
  }
  const int32_t id = found->second;
  return std::unique_ptr<TokenModel>(std::make_unique<WordLevel>(std::move(vocabulary), id));
}

}  // namespace

Result<std::unique_ptr<TokenModel>> ParseTokenModel(const JsonRef& json) {
  TV_RETURN_IF_ERROR(json.ExpectObject());
  std::string type;
  if (json["type"].present()) {
    TV_ASSIGN_OR_RETURN(type, json["type"].String());
  } else if (HasAll(json, {"vocab", "merges"})) {  // files without types are told by their shape
    type = "BPE";
  } else if (HasAll(json, {"vocab", "unk_token", "continuing_subword_prefix", "max_input_chars_per_word"})) {
    type = "WordPiece";
  } else {
    type = json["vocab"].is_array() ? "Unigram" : "WordLevel";
  }
  if (type == "WordPiece") return ParseWordPiece(json);
  if (type == "BPE") return ParseBpe(json);
  if (type == "Unigram") return ParseUnigram(json);
  if (type == "WordLevel") return ParseWordLevel(json);
  return ModelError(json["type"].Where() + ": token model \"" + type + "\" is not supported");
}

}  // namespace truevec
