#include "tokenizer/hf_tokenizer.h"

#include <algorithm>
#include <unordered_set>

#include "base/file.h"
#include "base/serde_json.h"
#include "tokenizer/component_json.h"
#include "tokenizer/ids_encoder.h"
#include "tokenizer/post_processors.h"
#include "tokenizer/sentencepiece_model.h"
#include "unicode/unicode.h"

namespace truevec {
namespace {

class HfTokenizer : public Tokenizer {
 public:
  explicit HfTokenizer(TokenizerParts parts) : parts_(std::move(parts)) {
    tokens_.reserve(parts_.model->vocabulary().size());
    for (const auto& [token, id] : parts_.model->vocabulary()) SetToken(id, token);
    for (const AddedToken& token : parts_.added.tokens()) {
      replaced_.emplace(token.id, Find(token.id));  // the first: what the model has there
      SetToken(token.id, token.content);
      added_ids_.emplace(token.content, token.id);
      added_[token.id] = &token;
      if (!token.special) continue;
      special_ids_.insert(token.id);
      special_contents_.insert(token.content);
    }
    for (const bool pair : {false, true}) {
      for (const TemplatePiece& piece : parts_.post_processor.Compiled(pair, true)) {
        special_ids_.insert(piece.ids.begin(), piece.ids.end());
      }
    }
    ids_encoder_ = IdsEncoder::Make(parts_);
  }

  Result<Encoding> Encode(std::string_view text, std::optional<std::string_view> pair,
                          const EncodeOptions& options) const override;
  Status EncodeIds(std::string_view text, const EncodeOptions& options, std::vector<int32_t>* ids) const override;
  Result<std::string> Decode(const std::vector<int32_t>& ids, bool skip_special_tokens) const override;

  int64_t vocabulary_size() const override {
    int64_t size = static_cast<int64_t>(parts_.model->vocabulary().size());
    for (const auto& [content, id] : added_ids_) size += parts_.model->vocabulary().contains(content) ? 0 : 1;
    return size;
  }
  int32_t max_id() const override { return static_cast<int32_t>(tokens_.size()) - 1; }
  std::optional<int32_t> TokenToId(std::string_view token) const override {
    if (const auto found = added_ids_.find(token); found != added_ids_.end()) return found->second;
    const auto found = parts_.model->vocabulary().find(token);
    if (found == parts_.model->vocabulary().end()) return std::nullopt;
    return found->second;
  }
  std::optional<std::string> IdToToken(int32_t id) const override {
    const std::string* token = Find(id);
    return token == nullptr ? std::nullopt : std::optional(*token);
  }
  bool IsSpecial(int32_t id) const override { return special_ids_.contains(id); }
  std::vector<int32_t> PrefixIds() const override { return Around(true); }
  std::vector<int32_t> SuffixIds() const override { return Around(false); }
  std::optional<int64_t> model_max_length() const override { return parts_.model_max_length; }
  Side truncation_side() const override { return parts_.truncation_side; }
  Side padding_side() const override { return parts_.padding_side; }
  std::optional<int32_t> pad_id() const override { return parts_.pad_id; }
  std::optional<int32_t> mask_id() const override { return parts_.mask_id; }
  std::optional<int32_t> eos_id() const override { return parts_.eos_id; }
  std::string CanonicalForm() const override { return parts_.canonical; }

 private:
  void SetToken(int32_t id, const std::string& token) {
    if (static_cast<size_t>(id) >= tokens_.size()) tokens_.resize(static_cast<size_t>(id) + 1);
    tokens_[static_cast<size_t>(id)] = &token;
  }
  const std::string* Find(int32_t id) const {
    return id < 0 || static_cast<size_t>(id) >= tokens_.size() ? nullptr : tokens_[static_cast<size_t>(id)];
  }
  // The token of the model alone, where an added token has the same id.
  const std::string* FindInModel(int32_t id) const {
    const auto replaced = replaced_.find(id);
    return replaced != replaced_.end() ? replaced->second : Find(id);
  }
  std::vector<int32_t> Around(bool before) const {
    std::vector<int32_t> ids;
    bool seen = false;
    for (const TemplatePiece& piece : parts_.post_processor.Compiled(false, true)) {
      if (piece.sequence == 0) {
        seen = true;
      } else if (seen != before) {
        ids.insert(ids.end(), piece.ids.begin(), piece.ids.end());
      }
    }
    return ids;
  }
  // The tokens of one text. `texts`: those that differ from the vocabulary's, by index, with details.
  struct Tokenized {
    std::vector<Token> tokens;
    std::vector<std::pair<size_t, std::string>> texts;
  };
  Result<Tokenized> Tokenize(std::string_view text, bool details) const;
  Status TokenizePlain(Text text, bool details, Tokenized* out) const;
  static void AddToken(const Segment& segment, bool details, Tokenized* out);
  Encoding Part(const Tokenized& tokenized, int sequence) const;
  void Trim(Encoding* part) const;
  Encoding Compose(const Template& pieces, const std::vector<Tokenized>& sequences) const;
  Result<Encoding> ComposeDetails(const Template& pieces, std::vector<Encoding> parts, bool add_special_tokens,
                                  bool overflow) const;

  TokenizerParts parts_;
  std::unique_ptr<IdsEncoder> ids_encoder_;  // null: the parts have no form without offsets
  mutable ScratchPool scratches_;
  std::vector<const std::string*> tokens_;                    // by id, of parts_; null: none; added tokens win
  std::unordered_map<int32_t, const std::string*> replaced_;  // what added tokens have taken the place of
  std::unordered_map<std::string, int32_t, StringHash, std::equal_to<>> added_ids_;
  std::unordered_map<int32_t, const AddedToken*> added_;  // by id
  std::unordered_set<std::string> special_contents_;
  std::unordered_set<int32_t> special_ids_;
};

Status CheckUtf8(std::string_view text) {
  const auto bad = FirstInvalidUtf8(text);
  if (!bad) return Status::Ok();
  return InputError("the text is not valid UTF-8 at byte " + std::to_string(*bad));
}

void Shift(int32_t by, Text* text) {
  if (by == 0) return;
  for (Char& c : *text) {
    c.begin += by;
    c.end += by;
  }
}

void HfTokenizer::AddToken(const Segment& segment, bool details, Tokenized* out) {
  if (details) {
    out->texts.emplace_back(out->tokens.size(), ToUtf8(segment.text.data(), segment.text.data() + segment.text.size()));
  }
  out->tokens.push_back({segment.token->id, segment.text.front().begin, segment.text.back().end});
}

Result<HfTokenizer::Tokenized> HfTokenizer::Tokenize(std::string_view utf8, bool details) const {
  TV_RETURN_IF_ERROR(CheckUtf8(utf8));
  if (!details && ids_encoder_ != nullptr) {
    const ScratchPool::Lease scratch(&scratches_);
    TV_RETURN_IF_ERROR(ids_encoder_->Encode(utf8, scratch.get()));
    Tokenized out;
    out.tokens.reserve(scratch.get()->ids.size());
    for (const int32_t id : scratch.get()->ids) out.tokens.push_back({id, 0, 0});
    return out;
  }
  Text text;
  text.reserve(utf8.size());
  int32_t index = 0;
  for (size_t i = 0; i < utf8.size(); ++index) text.push_back({NextCodePoint(utf8, &i), index, index + 1});
  std::vector<Segment> raw;
  parts_.added.Split(text, false, &raw);
  Tokenized out;
  for (Segment& segment : raw) {
    if (segment.token != nullptr) {
      AddToken(segment, details, &out);
      continue;
    }
    // A normalizer counts from the start of its piece (Replace puts what it inserts in front at 0).
    const int32_t base = segment.text.front().begin;
    Shift(-base, &segment.text);
    if (parts_.normalizer != nullptr) TV_RETURN_IF_ERROR(parts_.normalizer->Normalize(&segment.text));
    Shift(base, &segment.text);
    std::vector<Segment> normalized;
    parts_.added.Split(segment.text, true, &normalized);
    for (Segment& part : normalized) {
      if (part.token != nullptr) {
        AddToken(part, details, &out);
      } else {
        TV_RETURN_IF_ERROR(TokenizePlain(std::move(part.text), details, &out));
      }
    }
  }
  return out;
}

Status HfTokenizer::TokenizePlain(Text text, bool details, Tokenized* out) const {
  std::vector<Text> pieces;
  pieces.push_back(std::move(text));
  if (parts_.pre_tokenizer != nullptr) TV_RETURN_IF_ERROR(parts_.pre_tokenizer->Split(&pieces));
  for (const Text& piece : pieces) {
    if (piece.empty()) continue;
    const size_t first = out->tokens.size();
    parts_.model->Tokenize(piece, &out->tokens);
    if (!details) continue;
    for (auto& [index, unknown] : parts_.model->UnknownTexts(piece)) {
      out->texts.emplace_back(first + index, std::move(unknown));
    }
  }
  return Status::Ok();
}

// A sequence before post-processing, with details.
Encoding HfTokenizer::Part(const Tokenized& tokenized, int sequence) const {
  Encoding out;
  const size_t size = tokenized.tokens.size();
  for (const Token& token : tokenized.tokens) {
    out.ids.push_back(token.id);
    const std::string* text = FindInModel(token.id);
    out.tokens.push_back(text == nullptr ? "" : *text);
    out.offsets.emplace_back(token.begin, token.end);
  }
  for (const auto& [index, text] : tokenized.texts) out.tokens[index] = text;
  out.type_ids.assign(size, sequence);
  out.special_tokens_mask.assign(size, 0);
  out.attention_mask.assign(size, 1);
  out.sequence_ids.assign(size, sequence);
  return out;
}

void HfTokenizer::Trim(Encoding* part) const {
  for (const bool add_prefix_space : parts_.post_processor.trims()) {
    for (size_t i = 0; i < part->tokens.size(); ++i) {
      TrimSpaces(part->tokens[i], i == 0, add_prefix_space, &part->offsets[i]);
    }
  }
}

Encoding HfTokenizer::Compose(const Template& pieces, const std::vector<Tokenized>& sequences) const {
  Encoding out;
  size_t size = 0;
  for (const Tokenized& sequence : sequences) size += sequence.tokens.size();
  out.ids.reserve(size + 8);
  for (const TemplatePiece& piece : pieces) {
    if (piece.sequence < 0) {
      out.ids.insert(out.ids.end(), piece.ids.begin(), piece.ids.end());
    } else {
      for (const Token& token : sequences[static_cast<size_t>(piece.sequence)].tokens) out.ids.push_back(token.id);
    }
    out.type_ids.resize(out.ids.size(), piece.type_id);
  }
  return out;
}

Result<Encoding> HfTokenizer::ComposeDetails(const Template& pieces, std::vector<Encoding> parts,
                                             bool add_special_tokens, bool overflow) const {
  if (overflow || parts_.post_processor.trims_late()) {
    return parts_.post_processor.Process(std::move(parts), add_special_tokens);
  }
  for (Encoding& part : parts) Trim(&part);
  Encoding out;
  for (const TemplatePiece& piece : pieces) {
    if (piece.sequence >= 0) {
      Encoding& part = parts[static_cast<size_t>(piece.sequence)];
      part.type_ids.assign(part.ids.size(), piece.type_id);
      TV_RETURN_IF_ERROR(MergeInto(&out, part));
      continue;
    }
    const size_t size = out.ids.size() + piece.ids.size();
    out.ids.insert(out.ids.end(), piece.ids.begin(), piece.ids.end());
    out.tokens.insert(out.tokens.end(), piece.tokens.begin(), piece.tokens.end());
    out.type_ids.resize(size, piece.type_id);
    out.offsets.resize(size, {0, 0});
    out.special_tokens_mask.resize(size, piece.mask);
    out.attention_mask.resize(size, 1);
    out.sequence_ids.resize(size, -1);
  }
  return out;
}

// Byte offsets from code point offsets of the texts given.
void FillByteOffsets(const std::vector<std::vector<int32_t>>& starts, Encoding* out) {
  for (Encoding& window : out->overflowing) FillByteOffsets(starts, &window);
  for (size_t i = 0; i < out->ids.size(); ++i) {
    const int sequence = out->sequence_ids[i];
    if (sequence < 0) {
      out->byte_offsets.emplace_back(0, 0);
      continue;
    }
    const std::vector<int32_t>& start = starts[static_cast<size_t>(sequence)];
    out->byte_offsets.emplace_back(start[static_cast<size_t>(out->offsets[i].first)],
                                   start[static_cast<size_t>(out->offsets[i].second)]);
  }
}

// The byte at which each code point of `text` starts, and its end.
std::vector<int32_t> CodePointStarts(std::string_view text) {
  std::vector<int32_t> starts;
  for (size_t i = 0; i < text.size();) {
    starts.push_back(static_cast<int32_t>(i));
    NextCodePoint(text, &i);
  }
  starts.push_back(static_cast<int32_t>(text.size()));
  return starts;
}

// Keeps `keep` of the tokens, with the texts that belong to them.
template <typename Tokenized>
void Cut(int64_t keep, Side side, Tokenized* sequence) {
  const auto size = static_cast<int64_t>(sequence->tokens.size());
  if (keep >= size) return;
  const int64_t begin = side == Side::kRight ? 0 : size - keep;
  sequence->tokens.erase(sequence->tokens.begin() + begin + keep, sequence->tokens.end());
  sequence->tokens.erase(sequence->tokens.begin(), sequence->tokens.begin() + begin);
  std::erase_if(sequence->texts, [&](const auto& text) {
    return static_cast<int64_t>(text.first) < begin || static_cast<int64_t>(text.first) >= begin + keep;
  });
  for (auto& text : sequence->texts) text.first -= static_cast<size_t>(begin);
}

Result<Encoding> HfTokenizer::Encode(std::string_view text, std::optional<std::string_view> pair,
                                     const EncodeOptions& options) const {
  const bool details = options.details || options.overflow;
  const size_t count = pair ? 2 : 1;
  std::vector<Tokenized> sequences(count);
  TV_ASSIGN_OR_RETURN(sequences[0], Tokenize(text, details));
  if (pair) {
    TV_ASSIGN_OR_RETURN(sequences[1], Tokenize(*pair, details));
  }
  const PostProcessor& processor = parts_.post_processor;
  const bool special = options.add_special_tokens;
  const Template& pieces = processor.Compiled(pair.has_value(), special);
  std::vector<int64_t> keep;
  for (const Tokenized& sequence : sequences) keep.push_back(static_cast<int64_t>(sequence.tokens.size()));
  int64_t removed = 0;
  const std::optional<Truncation>& truncation = options.truncation ? options.truncation : parts_.truncation;
  if (truncation && truncation->max_length > 0) {
    const Kept sizes = {keep[0], pair ? keep[1] : 0};
    TV_ASSIGN_OR_RETURN(const Kept kept, KeptTokens(*truncation, special ? processor.AddedTokens(pair.has_value()) : 0,
                                                    sizes, pair.has_value()));
    removed = sizes.first + sizes.second - kept.first - kept.second;
    keep = {kept.first, kept.second};
    for (size_t i = 0; i < count && !options.overflow; ++i) Cut(keep[i], truncation->side, &sequences[i]);
  }
  Encoding out;
  if (details) {
    std::vector<Encoding> parts;
    for (size_t i = 0; i < count; ++i) {
      parts.push_back(Part(sequences[i], static_cast<int>(i)));
      if (options.overflow && removed > 0) {
        TV_RETURN_IF_ERROR(CutIntoWindows(&parts.back(), keep[i], truncation->stride, truncation->side));
      }
    }
    TV_ASSIGN_OR_RETURN(out, ComposeDetails(pieces, std::move(parts), special, options.overflow));
  } else {
    out = Compose(pieces, sequences);
  }
  out.truncated_tokens = removed;
  if (parts_.padding) PadEncoding(*parts_.padding, details, &out);
  if (details) {
    std::vector<std::vector<int32_t>> starts = {CodePointStarts(text)};
    if (pair) starts.push_back(CodePointStarts(*pair));
    FillByteOffsets(starts, &out);
  }
  return out;
}

Status HfTokenizer::EncodeIds(std::string_view text, const EncodeOptions& options, std::vector<int32_t>* ids) const {
  const std::optional<Truncation>& truncation = options.truncation ? options.truncation : parts_.truncation;
  if (ids_encoder_ == nullptr || parts_.padding || (truncation && truncation->max_length > 0)) {
    EncodeOptions plain = options;
    plain.details = false;
    TV_ASSIGN_OR_RETURN(const Encoding encoding, Encode(text, std::nullopt, plain));
    ids->insert(ids->end(), encoding.ids.begin(), encoding.ids.end());
    return Status::Ok();
  }
  TV_RETURN_IF_ERROR(CheckUtf8(text));
  const ScratchPool::Lease scratch(&scratches_);
  TV_RETURN_IF_ERROR(ids_encoder_->Encode(text, scratch.get()));
  const IdBuffer& model_ids = scratch.get()->ids;
  for (const TemplatePiece& piece : parts_.post_processor.Compiled(false, options.add_special_tokens)) {
    if (piece.sequence >= 0) {
      ids->insert(ids->end(), model_ids.begin(), model_ids.end());
    } else {
      ids->insert(ids->end(), piece.ids.begin(), piece.ids.end());
    }
  }
  return Status::Ok();
}

Result<std::string> HfTokenizer::Decode(const std::vector<int32_t>& ids, bool skip_special_tokens) const {
  std::vector<std::string> tokens;
  for (const int32_t id : ids) {
    std::optional<std::string> token = IdToToken(id);
    if (const auto added = added_.find(id); added != added_.end()) token = added->second->decoded;
    if (!token) return InputError("token id " + std::to_string(id) + " is not in the vocabulary");
    if (skip_special_tokens && special_contents_.contains(*token)) continue;
    tokens.push_back(std::move(*token));
  }
  if (parts_.decoder != nullptr) TV_RETURN_IF_ERROR(parts_.decoder->Decode(&tokens));
  std::string out;
  for (size_t i = 0; i < tokens.size(); ++i) out += (i > 0 && parts_.decoder == nullptr ? " " : "") + tokens[i];
  return out;
}

// `root` without what changes no ids, as WriteJson would write it: in the order that json::object::erase leaves, which
// puts the last member in the place of the erased one.
std::string WriteCanonical(const json::object& root) {
  std::vector<json::string_view> keys;
  for (const auto& member : root) keys.push_back(member.key());
  for (const std::string_view name : {"truncation", "padding", "decoder", "version"}) {
    const auto found = std::find(keys.begin(), keys.end(), name);
    if (found == keys.end()) continue;
    *found = keys.back();
    keys.pop_back();
  }
  std::string out = "{";
  for (const json::string_view key : keys) {
    if (out.size() > 1) out += ',';
    out += WriteJson(json::value(key)) + ":" + WriteJson(root.at(key));
  }
  return out + "}";
}

Result<Side> ParseDirection(const JsonRef& json) {
  TV_ASSIGN_OR_RETURN(const std::string direction, json.String());
  if (direction != "Left" && direction != "Right") return json.TypeError("Left or Right");
  return direction == "Left" ? Side::kLeft : Side::kRight;
}

Result<Truncation> ParseTruncation(const JsonRef& json) {
  TV_RETURN_IF_ERROR(json.ExpectObject());
  Truncation truncation;
  TV_ASSIGN_OR_RETURN(truncation.max_length, json["max_length"].Int());
  if (truncation.max_length < 1) return json["max_length"].TypeError("a positive number");
  TV_ASSIGN_OR_RETURN(truncation.stride, json["stride"].Int());
  if (truncation.stride < 0 || truncation.stride >= truncation.max_length) {
    return json["stride"].TypeError("a number below max_length");
  }
  TV_ASSIGN_OR_RETURN(const std::string strategy, json["strategy"].String());
  if (strategy == "OnlyFirst") {
    truncation.strategy = TruncationStrategy::kOnlyFirst;
  } else if (strategy == "OnlySecond") {
    truncation.strategy = TruncationStrategy::kOnlySecond;
  } else if (strategy != "LongestFirst") {
    return json["strategy"].TypeError("LongestFirst, OnlyFirst or OnlySecond");
  }
  if (json["direction"].present()) {
    TV_ASSIGN_OR_RETURN(truncation.side, ParseDirection(json["direction"]));
  }
  return truncation;
}

Result<Padding> ParsePadding(const JsonRef& json) {
  TV_RETURN_IF_ERROR(json.ExpectObject());
  Padding padding;
  const JsonRef strategy = json["strategy"];
  if (strategy.is_object()) {
    TV_ASSIGN_OR_RETURN(padding.fixed_length, ReadCount(strategy["Fixed"]));
  } else {
    TV_ASSIGN_OR_RETURN(const std::string name, strategy.String());
    if (name != "BatchLongest") return strategy.TypeError("BatchLongest or {\"Fixed\": n}");
  }
  TV_ASSIGN_OR_RETURN(padding.side, ParseDirection(json["direction"]));
  if (const JsonRef multiple = json["pad_to_multiple_of"]; multiple.present() && !multiple.is_null()) {
    TV_ASSIGN_OR_RETURN(padding.multiple_of, ReadCount(multiple));
  }
  TV_ASSIGN_OR_RETURN(padding.id, ReadId(json["pad_id"]));
  TV_ASSIGN_OR_RETURN(padding.type_id, ReadId(json["pad_type_id"]));
  TV_ASSIGN_OR_RETURN(padding.token, json["pad_token"].String());
  return padding;
}

}  // namespace

Result<TokenizerParts> ParseTokenizerJson(const JsonRef& root, bool keep_padding_and_truncation) {
  TV_RETURN_IF_ERROR(root.ExpectObject());
  if (const JsonRef version = root["version"]; version.present()) {
    TV_ASSIGN_OR_RETURN(const std::string text, version.String());
    if (text != "1.0") return version.TypeError("\"1.0\"");
  }
  TokenizerParts parts;
  TV_ASSIGN_OR_RETURN(parts.normalizer, ParseNormalizer(root["normalizer"]));
  TV_ASSIGN_OR_RETURN(parts.pre_tokenizer, ParsePreTokenizer(root["pre_tokenizer"]));
  TV_ASSIGN_OR_RETURN(parts.model, ParseTokenModel(root["model"]));
  TV_ASSIGN_OR_RETURN(parts.added,
                      AddedVocabulary::Parse(root["added_tokens"], parts.model->vocabulary(), parts.normalizer.get()));
  TV_ASSIGN_OR_RETURN(parts.post_processor, PostProcessor::Parse(root["post_processor"]));
  TV_ASSIGN_OR_RETURN(parts.decoder, ParseDecoder(root["decoder"]));
  if (keep_padding_and_truncation) {
    if (const JsonRef truncation = root["truncation"]; truncation.present() && !truncation.is_null()) {
      TV_ASSIGN_OR_RETURN(parts.truncation, ParseTruncation(truncation));
      parts.truncation_side = parts.truncation->side;
    }
    if (const JsonRef padding = root["padding"]; padding.present() && !padding.is_null()) {
      TV_ASSIGN_OR_RETURN(parts.padding, ParsePadding(padding));
    }
  }
  parts.canonical = WriteCanonical(root.value().get_object());
  return parts;
}

std::unique_ptr<Tokenizer> MakeTokenizer(TokenizerParts parts) {
  return std::make_unique<HfTokenizer>(std::move(parts));
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::FromJson(const JsonFile& file) {
  JsonRef root = file.root();
  json::value as_serde;
  if (root["model"]["vocab"].is_array()) {  // scores
    TV_ASSIGN_OR_RETURN(as_serde, ParseJsonAsSerde(WriteJson(root.value()), file.name()));
    root = JsonRef(&as_serde, file.name());
  }
  TV_ASSIGN_OR_RETURN(TokenizerParts parts, ParseTokenizerJson(root, true));
  return MakeTokenizer(std::move(parts));
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::LoadFile(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (path.ends_with(".model")) {
    TV_ASSIGN_OR_RETURN(const SentencePieceModel model, SentencePieceModel::Load(path, name));
    TV_ASSIGN_OR_RETURN(const json::value root, model.ToTokenizerJson(name));
    TV_ASSIGN_OR_RETURN(TokenizerParts parts, ParseTokenizerJson(JsonRef(&root, name), true));
    return MakeTokenizer(std::move(parts));
  }
  TV_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, Code::kModelRefused));
  TV_ASSIGN_OR_RETURN(const json::value root, ParseJsonAsSerde(text, name));
  TV_ASSIGN_OR_RETURN(TokenizerParts parts, ParseTokenizerJson(JsonRef(&root, name), true));
  return MakeTokenizer(std::move(parts));
}

}  // namespace truevec
