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

PostProcessor Plain() { return {{Sequence(0, 0)}, {Sequence(0, 0), Sequence(1, 1)}, false, false}; }

Status ParseTemplate(const JsonRef& json, PostProcessor* processor) {
  std::map<std::string, std::vector<int32_t>> specials;
  const JsonRef tokens = json["special_tokens"];
  for (const std::string& name : tokens.Keys()) {
    TV_ASSIGN_OR_RETURN(const std::vector<JsonRef> ids, tokens[name]["ids"].Array());
    for (const JsonRef& id : ids) {
      TV_ASSIGN_OR_RETURN(const int64_t value, id.Int());
      specials[name].push_back(static_cast<int32_t>(value));
    }
  }
  TV_ASSIGN_OR_RETURN(processor->single, ParsePieces(json["single"], specials));
  if (json["pair"].present()) {
    TV_ASSIGN_OR_RETURN(processor->pair, ParsePieces(json["pair"], specials));
  }
  return Status::Ok();
}

Status ParseTrimming(const JsonRef& json, PostProcessor* processor) {
  processor->trim_offsets = true;
  processor->add_prefix_space = true;
  if (json["trim_offsets"].present()) {
    TV_ASSIGN_OR_RETURN(processor->trim_offsets, json["trim_offsets"].Bool());
  }
  if (json["add_prefix_space"].present()) {
    TV_ASSIGN_OR_RETURN(processor->add_prefix_space, json["add_prefix_space"].Bool());
  }
  return Status::Ok();
}

Status ParseBertOrRoberta(const JsonRef& json, bool roberta, PostProcessor* processor) {
  TV_ASSIGN_OR_RETURN(const int32_t sep, ParseTokenPair(json["sep"]));
  TV_ASSIGN_OR_RETURN(const int32_t cls, ParseTokenPair(json["cls"]));
  const TemplatePiece c = Special(cls, 0);
  const TemplatePiece s = Special(sep, 0);
  processor->single = {c, Sequence(0, 0), s};
  if (!roberta) {
    processor->pair = {c, Sequence(0, 0), s, Sequence(1, 1), Special(sep, 1)};
    return Status::Ok();
  }
  processor->pair = {c, Sequence(0, 0), s, s, Sequence(1, 0), s};
  return ParseTrimming(json, processor);
}

// Applies one post-processor object on top of what `processor` has.
Status ParseInto(const JsonRef& json, PostProcessor* processor) {
  TV_RETURN_IF_ERROR(json.ExpectObject());
  TV_ASSIGN_OR_RETURN(const std::string type, json["type"].String());
  if (type == "TemplateProcessing") return ParseTemplate(json, processor);
  if (type == "BertProcessing") return ParseBertOrRoberta(json, false, processor);
  if (type == "RobertaProcessing") return ParseBertOrRoberta(json, true, processor);
  if (type == "ByteLevel") return ParseTrimming(json, processor);
  if (type != "Sequence") {
    return ModelError(json["type"].Where() + ": post-processor \"" + type + "\" is not supported");
  }
  TV_ASSIGN_OR_RETURN(const std::vector<JsonRef> list, json["processors"].Array());
  bool has_template = false;
  for (const JsonRef& element : list) {
    const bool adds_tokens = element["type"].present() && element["type"].value() != json::value("ByteLevel");
    if (adds_tokens && has_template) {
      return ModelError(element.Where() + ": two post-processors that add tokens in one Sequence");
    }
    has_template = has_template || adds_tokens;
    TV_RETURN_IF_ERROR(ParseInto(element, processor));
  }
  return Status::Ok();
}

}  // namespace

int64_t PostProcessor::AddedTokens(bool is_pair) const {
  int64_t count = 0;
  for (const TemplatePiece& piece : is_pair ? pair : single) count += static_cast<int64_t>(piece.ids.size());
  return count;
}

Result<PostProcessor> ParsePostProcessor(const JsonRef& json) {
  if (!json.present() || json.is_null()) {
    return Plain();
  }
  PostProcessor processor = Plain();
  TV_RETURN_IF_ERROR(ParseInto(json, &processor));
  return processor;
}

}  // namespace truevec
