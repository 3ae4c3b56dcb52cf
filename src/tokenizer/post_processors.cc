#include "tokenizer/post_processors.h"

#include <map>

namespace truevec {
namespace {

TemplatePiece Sequence(int index, int32_t type_id) { return {index, {}, type_id}; }
TemplatePiece Special(int32_t id, int32_t type_id) { return {-1, {id}, type_id}; }

// ["[SEP]", 102]
Result<int32_t> ParseTokenPair(const JsonRef& json) {
  TV_ASSIGN_OR_RETURN(const std::vector<JsonRef> pair, json.Array());
  if (pair.size() != 2) return json.TypeError("[token, id]");
  TV_ASSIGN_OR_RETURN(const int64_t id, pair[1].Int());
  return static_cast<int32_t>(id);
}

Result<std::vector<TemplatePiece>> ParsePieces(const JsonRef& json,
                                               const std::map<std::string, std::vector<int32_t>>& specials) {
  TV_ASSIGN_OR_RETURN(const std::vector<JsonRef> list, json.Array());
  std::vector<TemplatePiece> pieces;
  for (const JsonRef& element : list) {
    const bool is_special = element["SpecialToken"].present();
    const JsonRef body = is_special ? element["SpecialToken"] : element["Sequence"];
    TV_RETURN_IF_ERROR(body.ExpectObject());
    TV_ASSIGN_OR_RETURN(const std::string id, body["id"].String());
    TV_ASSIGN_OR_RETURN(const int64_t type_id, body["type_id"].Int());
    TemplatePiece piece{-1, {}, static_cast<int32_t>(type_id)};
    if (is_special) {
      const auto found = specials.find(id);
      if (found == specials.end()) {
        return ModelError(body["id"].Where() + ": \"" + id + "\" is not among special_tokens");
      }
      piece.ids = found->second;
    } else if (id == "A" || id == "B") {
      piece.sequence = id == "A" ? 0 : 1;
    } else {
      return body["id"].TypeError("\"A\" or \"B\"");
    }
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

Result<PostProcessor> ParseTemplate(const JsonRef& json) {
  std::map<std::string, std::vector<int32_t>> specials;
  const JsonRef tokens = json["special_tokens"];
  for (const std::string& name : tokens.Keys()) {
    TV_ASSIGN_OR_RETURN(const std::vector<JsonRef> ids, tokens[name]["ids"].Array());
    for (const JsonRef& id : ids) {
      TV_ASSIGN_OR_RETURN(const int64_t value, id.Int());
      specials[name].push_back(static_cast<int32_t>(value));
    }
  }
  PostProcessor processor;
  TV_ASSIGN_OR_RETURN(processor.single, ParsePieces(json["single"], specials));
  if (json["pair"].present()) {
    TV_ASSIGN_OR_RETURN(processor.pair, ParsePieces(json["pair"], specials));
  }
  return processor;
}

}  // namespace

int64_t PostProcessor::AddedTokens(bool is_pair) const {
  int64_t count = 0;
  for (const TemplatePiece& piece : is_pair ? pair : single) count += static_cast<int64_t>(piece.ids.size());
  return count;
}

Result<PostProcessor> ParsePostProcessor(const JsonRef& json) {
  if (!json.present() || json.is_null()) {
    return PostProcessor{{Sequence(0, 0)}, {Sequence(0, 0), Sequence(1, 1)}};
  }
  TV_RETURN_IF_ERROR(json.ExpectObject());
  TV_ASSIGN_OR_RETURN(const std::string type, json["type"].String());
  if (type == "TemplateProcessing") return ParseTemplate(json);
  if (type == "BertProcessing" || type == "RobertaProcessing") {
    TV_ASSIGN_OR_RETURN(const int32_t sep, ParseTokenPair(json["sep"]));
    TV_ASSIGN_OR_RETURN(const int32_t cls, ParseTokenPair(json["cls"]));
    const TemplatePiece c = Special(cls, 0);
    if (type == "BertProcessing") {
      return PostProcessor{{c, Sequence(0, 0), Special(sep, 0)},
                           {c, Sequence(0, 0), Special(sep, 0), Sequence(1, 1), Special(sep, 1)}};
    }
    return PostProcessor{{c, Sequence(0, 0), Special(sep, 0)},
                         {c, Sequence(0, 0), Special(sep, 0), Special(sep, 0), Sequence(1, 0), Special(sep, 0)}};
  }
  return ModelError(json["type"].Where() + ": post-processor \"" + type + "\" is not supported");
}

}  // namespace truevec
