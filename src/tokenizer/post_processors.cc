#include "tokenizer/post_processors.h"

#include <algorithm>

#include "tokenizer/byte_level.h"
#include "tokenizer/component_json.h"
#include "tokenizer/encoding_ops.h"
#include "unicode/unicode.h"

namespace truevec {
namespace {

constexpr int kMaxDepth = 32;

// ["[SEP]", 102]
Result<TemplatePiece> ParseTokenPair(const JsonRef& json) {
  TV_ASSIGN_OR_RETURN(const std::vector<JsonRef> pair, json.Array());
  if (pair.size() != 2) return json.TypeError("[token, id]");
  TV_ASSIGN_OR_RETURN(std::string token, pair[0].String());
  TV_ASSIGN_OR_RETURN(const int32_t id, ReadId(pair[1]));
  return TemplatePiece{.ids = {id}, .tokens = {std::move(token)}};
}

// Special tokens as an encoding of their own.
Encoding SpecialEncoding(const TemplatePiece& piece, int32_t type_id) {
  Encoding out;
  const size_t size = piece.ids.size();
  out.ids = piece.ids;
  out.type_ids.assign(size, type_id);
  out.tokens = piece.tokens;
  out.offsets.assign(size, {0, 0});
  out.special_tokens_mask.assign(size, 1);
  out.attention_mask.assign(size, 1);
  out.sequence_ids.assign(size, -1);
  return out;
}

// Puts special tokens before and after `encoding` and each of its windows.
Status Surround(const Encoding* before, const Encoding& after, Encoding* encoding) {
  std::vector<Encoding> windows = std::move(encoding->overflowing);
  encoding->overflowing.clear();
  for (Encoding& window : windows) TV_RETURN_IF_ERROR(Surround(before, after, &window));
  if (before != nullptr) {
    Encoding whole = *before;
    TV_RETURN_IF_ERROR(MergeInto(&whole, *encoding));
    *encoding = std::move(whole);
  }
  TV_RETURN_IF_ERROR(MergeInto(encoding, after));
  encoding->overflowing = std::move(windows);
  return Status::Ok();
}

void Trim(bool add_prefix_space, Encoding* encoding) {
  for (size_t i = 0; i < encoding->tokens.size(); ++i) {
    TrimSpaces(encoding->tokens[i], i == 0, add_prefix_space, &encoding->offsets[i]);
  }
  for (Encoding& window : encoding->overflowing) Trim(add_prefix_space, &window);
}

}  // namespace

void TrimSpaces(std::string_view token, bool first, bool add_prefix_space, std::pair<int32_t, int32_t>* offsets) {
  const auto is_space = [](uint32_t cp) { return cp == ByteToChar(' ') || IsWhiteSpace(cp); };
  const std::vector<uint32_t> cps = DecodeUtf8(token);
  auto leading = static_cast<int32_t>(std::find_if_not(cps.begin(), cps.end(), is_space) - cps.begin());
  const auto trailing = static_cast<int32_t>(std::find_if_not(cps.rbegin(), cps.rend(), is_space) - cps.rbegin());
  auto& [begin, end] = *offsets;
  if (leading > 0) {
    const bool added_prefix = add_prefix_space && (first || begin == 0);
    if (added_prefix && leading == 1) leading = 0;  // more than one were not added
    begin = std::min(begin + leading, end);
  }
  if (trailing > 0 && end >= trailing) end = std::max(end - trailing, begin);
}

Result<Template> PostProcessor::ParsePieces(const JsonRef& json, const Specials& specials, int sequences) {
  TV_ASSIGN_OR_RETURN(const std::vector<JsonRef> list, json.Array());
  Template pieces;
  for (const JsonRef& element : list) {
    TV_RETURN_IF_ERROR(element.ExpectObject());
    const bool is_special = element["SpecialToken"].present();
    const JsonRef body = is_special ? element["SpecialToken"] : element["Sequence"];
    TV_RETURN_IF_ERROR(body.ExpectObject());
    TV_ASSIGN_OR_RETURN(const std::string id, body["id"].String());
    TemplatePiece piece;
    if (is_special) {
      const auto found = specials.find(id);
      if (found == specials.end()) {
        return ModelError(body["id"].Where() + ": \"" + id + "\" is not among special_tokens");
      }
      piece = found->second;
    } else if (id == "A" || (id == "B" && sequences == 2)) {
      piece.sequence = id == "A" ? 0 : 1;
    } else {
      return body["id"].TypeError(sequences == 2 ? "\"A\" or \"B\"" : "\"A\"");
    }
    TV_ASSIGN_OR_RETURN(piece.type_id, ReadId(body["type_id"]));
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

Result<PostProcessor::Step> PostProcessor::ParseTemplate(const JsonRef& json) {
  Specials specials;
  const JsonRef tokens = json["special_tokens"];
  TV_RETURN_IF_ERROR(tokens.ExpectObject());
  for (const std::string& name : tokens.Keys()) {
    TemplatePiece piece;
    TV_RETURN_IF_ERROR(tokens[name]["id"].String().status());
    TV_ASSIGN_OR_RETURN(const std::vector<JsonRef> ids, tokens[name]["ids"].Array());
    TV_ASSIGN_OR_RETURN(const std::vector<JsonRef> texts, tokens[name]["tokens"].Array());
    if (ids.size() != texts.size()) return tokens[name]["tokens"].TypeError("as many tokens as ids");
    for (size_t i = 0; i < ids.size(); ++i) {
      TV_ASSIGN_OR_RETURN(const int32_t id, ReadId(ids[i]));
      TV_ASSIGN_OR_RETURN(std::string text, texts[i].String());
      piece.ids.push_back(id);
      piece.tokens.push_back(std::move(text));
    }
    specials[name] = std::move(piece);
  }
  Step step;
  TV_ASSIGN_OR_RETURN(step.single, ParsePieces(json["single"], specials, 1));
  TV_ASSIGN_OR_RETURN(step.pair, ParsePieces(json["pair"], specials, 2));
  return step;
}

Result<PostProcessor::Step> PostProcessor::ParseBertOrRoberta(const JsonRef& json, bool roberta) {
  Step step;
  step.kind = roberta ? Step::Kind::kRoberta : Step::Kind::kBert;
  TV_ASSIGN_OR_RETURN(step.sep, ParseTokenPair(json["sep"]));
  TV_ASSIGN_OR_RETURN(step.cls, ParseTokenPair(json["cls"]));
  if (roberta) {
    TV_ASSIGN_OR_RETURN(step.trim, json["trim_offsets"].Bool());
    TV_ASSIGN_OR_RETURN(step.add_prefix_space, json["add_prefix_space"].Bool());
  }
  return step;
}

// The reference's post-processors are untagged: an object is what its fields fit, Roberta before Bert.
Status PostProcessor::Add(const JsonRef& json, int depth) {
  TV_RETURN_IF_ERROR(json.ExpectObject());
  if (depth > kMaxDepth) return json.TypeError("a less deeply nested post-processor");
  std::string type;
  if (json["type"].present()) {
    TV_ASSIGN_OR_RETURN(type, json["type"].String());
  } else if (HasAll(json, {"sep", "cls"})) {
    type = "BertProcessing";
  } else if (HasAll(json, {"single", "pair", "special_tokens"})) {
    type = "TemplateProcessing";
  } else {
    return json.TypeError("a post-processor with a type");
  }
  if (type == "BertProcessing" || type == "RobertaProcessing") {
    const bool roberta = type == "RobertaProcessing" || HasAll(json, {"trim_offsets", "add_prefix_space"});
    TV_ASSIGN_OR_RETURN(Step step, ParseBertOrRoberta(json, roberta));
    steps_.push_back(std::move(step));
  } else if (type == "TemplateProcessing") {
    TV_ASSIGN_OR_RETURN(Step step, ParseTemplate(json));
    steps_.push_back(std::move(step));
  } else if (type == "ByteLevel") {
    Step step;
    step.kind = Step::Kind::kTrim;
    TV_ASSIGN_OR_RETURN(step.trim, json["trim_offsets"].Bool());
    TV_ASSIGN_OR_RETURN(step.add_prefix_space, json["add_prefix_space"].Bool());
    steps_.push_back(std::move(step));
  } else if (type == "Sequence") {
    TV_ASSIGN_OR_RETURN(const std::vector<JsonRef> list, json["processors"].Array());
    for (const JsonRef& element : list) TV_RETURN_IF_ERROR(Add(element, depth + 1));
  } else {
    return ModelError(json["type"].Where() + ": post-processor \"" + type + "\" is not supported");
  }
  return Status::Ok();
}

Result<std::vector<Encoding>> PostProcessor::Apply(const Step& step, std::vector<Encoding> parts,
                                                   bool add_special_tokens) {
  if (step.trim) {
    for (Encoding& part : parts) Trim(step.add_prefix_space, &part);
  }
  if (step.kind == Step::Kind::kTrim) return parts;
  if (step.kind == Step::Kind::kTemplate) {
    if (parts.empty() || parts.size() > 2) {
      return ModelError("a TemplateProcessing that follows one which leaves " + std::to_string(parts.size()) +
                        " parts, and takes 1 or 2");
    }
    std::vector<Encoding> out;
    for (const TemplatePiece& piece : parts.size() == 2 ? step.pair : step.single) {
      if (piece.sequence >= 0) {
        Encoding& part = parts[static_cast<size_t>(piece.sequence)];
        part.type_ids.assign(part.ids.size(), piece.type_id);  // of the sequence, not of its windows
        out.push_back(part);
      } else if (add_special_tokens) {
        out.push_back(SpecialEncoding(piece, piece.type_id));
      }
    }
    return out;
  }
  const bool roberta = step.kind == Step::Kind::kRoberta;
  if (roberta) {
    for (Encoding& part : parts) part.type_ids.assign(part.ids.size(), 0);
  }
  if (!add_special_tokens) return parts;
  for (size_t i = 0; i < parts.size(); ++i) {
    parts[i].special_tokens_mask.assign(parts[i].ids.size(), 0);
    for (Encoding& window : parts[i].overflowing) {
      window.special_tokens_mask.assign(window.ids.size(), 0);
      if (roberta) window.type_ids.assign(window.ids.size(), 0);
    }
    const Encoding cls = SpecialEncoding(step.cls, 0);
    const Encoding sep = SpecialEncoding(step.sep, i == 0 || roberta ? 0 : 1);
    TV_RETURN_IF_ERROR(Surround(i == 0 ? &cls : roberta ? &sep : nullptr, sep, &parts[i]));
  }
  return parts;
}

Result<Encoding> PostProcessor::Process(std::vector<Encoding> parts, bool add_special_tokens) const {
  for (size_t i = 0; i < parts.size(); ++i) parts[i].type_ids.assign(parts[i].ids.size(), static_cast<int32_t>(i));
  for (const Step& step : steps_) {
    TV_ASSIGN_OR_RETURN(parts, Apply(step, std::move(parts), add_special_tokens));
  }
  Encoding whole;
  for (const Encoding& part : parts) TV_RETURN_IF_ERROR(MergeInto(&whole, part));
  return whole;
}

// Runs the steps over one marker token per sequence and reads the template from where the markers are.
Status PostProcessor::Compile(const JsonRef& json) {
  for (const bool pair : {false, true}) {
    for (const bool special : {false, true}) {
      std::vector<Encoding> parts;
      for (int sequence = 0; sequence <= (pair ? 1 : 0); ++sequence) {
        Encoding marker;
        marker.ids = {-1 - sequence};
        marker.type_ids = {sequence};
        marker.tokens = {"x"};
        marker.offsets = {{0, 1}};
        marker.special_tokens_mask = {0};
        marker.attention_mask = {1};
        marker.sequence_ids = {sequence};
        parts.push_back(std::move(marker));
      }
      const Result<Encoding> whole = Process(std::move(parts), special);
      if (!whole.ok()) return ModelError(json.Where() + ": " + whole.status().message());
      for (size_t i = 0; i < whole->ids.size(); ++i) {
        TemplatePiece piece;
        piece.type_id = whole->type_ids[i];
        if (whole->ids[i] < 0) {
          piece.sequence = -1 - whole->ids[i];
        } else {
          piece.ids = {whole->ids[i]};
          piece.tokens = {whole->tokens[i]};
          piece.mask = whole->special_tokens_mask[i];
        }
        compiled_[pair][special].push_back(std::move(piece));
      }
    }
  }
  bool joined = false;
  for (const Step& step : steps_) {
    if (step.trim) {
      trims_.push_back(step.add_prefix_space);
      trims_late_ = trims_late_ || joined;
    }
    joined = joined || step.kind == Step::Kind::kBert || step.kind == Step::Kind::kRoberta;
  }
  return Status::Ok();
}

int64_t PostProcessor::AddedTokens(bool pair) const {
  int64_t count = 0;
  for (const Step& step : steps_) {
    if (step.kind == Step::Kind::kBert) count += pair ? 3 : 2;
    if (step.kind == Step::Kind::kRoberta) count += pair ? 4 : 2;
    for (const TemplatePiece& piece : pair ? step.pair : step.single) count += static_cast<int64_t>(piece.ids.size());
  }
  return count;
}

Result<PostProcessor> PostProcessor::Parse(const JsonRef& json) {
  PostProcessor processor;
  if (json.present() && !json.is_null()) TV_RETURN_IF_ERROR(processor.Add(json, 0));
  TV_RETURN_IF_ERROR(processor.Compile(json));
  return processor;
}

}  // namespace truevec
