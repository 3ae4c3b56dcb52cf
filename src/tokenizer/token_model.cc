#include "tokenizer/token_model.h"

#include <unordered_set>

namespace truevec {

Result<Vocabulary> ParseVocabulary(const JsonRef& json) {
  TV_RETURN_IF_ERROR(json.ExpectObject());
  constexpr int64_t kMaxId = int64_t{1} << 24;
  Vocabulary vocabulary;
  vocabulary.reserve(json.size());
  std::unordered_set<int32_t> seen;
  seen.reserve(json.size());
  for (const auto& member : json.value().get_object()) {
    if (!member.value().is_int64() || member.value().get_int64() < 0 || member.value().get_int64() >= kMaxId) {
      return json[member.key()].TypeError("a token id in [0, 2^24)");
    }
    const auto id = static_cast<int32_t>(member.value().get_int64());
    if (!seen.insert(id).second) {
      return ModelError(json[member.key()].Where() + ": id " + std::to_string(id) + " is given to two tokens");
    }
    vocabulary.emplace(std::string(member.key()), id);
  }
  return vocabulary;
}

Result<std::unique_ptr<TokenModel>> ParseTokenModel(const JsonRef& json) {
  TV_RETURN_IF_ERROR(json.ExpectObject());
  std::string type;
  if (json["type"].present()) {
    TV_ASSIGN_OR_RETURN(type, json["type"].String());
  } else if (!json["merges"].present() && json["max_input_chars_per_word"].present()) {
    type = "WordPiece";  // files without types are told by their shape
  }
  if (type == "WordPiece") return ParseWordPiece(json);
  return ModelError(json["type"].Where() + ": token model \"" + type + "\" is not supported");
}

}  // namespace truevec
