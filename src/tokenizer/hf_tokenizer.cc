#include "tokenizer/hf_tokenizer.h"

#include <algorithm>
#include <unordered_set>

#include "tokenizer/byte_level.h"
#include "unicode/unicode.h"

namespace truevec {
namespace {

class HfTokenizer : public Tokenizer {
 public:
  explicit HfTokenizer(TokenizerParts parts) : parts_(std::move(parts)) {
    for (const auto& [token, id] : parts_.model->vocabulary()) SetToken(id, token);
    for (const AddedToken& token : parts_.added.tokens()) {
      SetToken(token.id, token.content);
      added_ids_.emplace(token.content, token.id);
      if (token.special) special_ids_.insert(token.id);
    }
    for (const auto* pieces : {&parts_.post_processor.single, &parts_.post_processor.pair}) {
      for (const TemplatePiece& piece : *pieces) special_ids_.insert(piece.ids.begin(), piece.ids.end());
    }
  }

  Result<Encoding> Encode(std::string_view text, std::optional<std::string_view> pair,
                          const EncodeOptions& options) const override;
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
    if (id < 0 || static_cast<size_t>(id) >= tokens_.size()) return std::nullopt;
    return tokens_[static_cast<size_t>(id)];
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
    tokens_[static_cast<size_t>(id)] = token;
  }
  std::vector<int32_t> Around(bool before) const {
    std::vector<int32_t> ids;
    bool seen = false;
    for (const TemplatePiece& piece : parts_.post_processor.single) {
      if (piece.sequence == 0) {
        seen = true;
      } else if (seen != before) {
        ids.insert(ids.end(), piece.ids.begin(), piece.ids.end());
      }
    }
    return ids;
  }
  Result<std::vector<Token>> Tokenize(std::string_view text) const;
  Status TokenizePlain(Text text, std::vector<Token>* out) const;
  void TrimOffsets(std::vector<Token>* tokens) const;
  Status Truncate(const Truncation& truncation, int64_t added, std::vector<Token>* a, std::vector<Token>* b,
                  int64_t* removed) const;
  void Append(const Token& token, int32_t type_id, int sequence, bool special, bool details, Encoding* out) const;
  void Pad(bool details, Encoding* out) const;

  TokenizerParts parts_;
  std::vector<std::string> tokens_;  // by id
  std::unordered_map<std::string, int32_t, StringHash, std::equal_to<>> added_ids_;
  std::unordered_set<int32_t> special_ids_;
};

Result<std::vector<Token>> HfTokenizer::Tokenize(std::string_view utf8) const {
  if (const auto bad = FirstInvalidUtf8(utf8)) {
    return InputError("the text is not valid UTF-8 at byte " + std::to_string(*bad));
  }
  Text text;
  text.reserve(utf8.size());
  int32_t index = 0;
  for (size_t i = 0; i < utf8.size(); ++index) text.push_back({NextCodePoint(utf8, &i), index, index + 1});
  std::vector<Segment> raw;
  parts_.added.Split(text, false, &raw);
  std::vector<Token> tokens;
  for (Segment& segment : raw) {
    if (segment.token != nullptr) {
      tokens.push_back({segment.token->id, segment.text.front().begin, segment.text.back().end});
      continue;
    }
    if (parts_.normalizer != nullptr) TV_RETURN_IF_ERROR(parts_.normalizer->Normalize(&segment.text));
    std::vector<Segment> normalized;
    parts_.added.Split(segment.text, true, &normalized);
    for (Segment& part : normalized) {
      if (part.token != nullptr) {
        tokens.push_back({part.token->id, part.text.front().begin, part.text.back().end});
      } else {
        TV_RETURN_IF_ERROR(TokenizePlain(std::move(part.text), &tokens));
      }
    }
  }
  return tokens;
}

Status HfTokenizer::TokenizePlain(Text text, std::vector<Token>* out) const {
  std::vector<Text> pieces;
  pieces.push_back(std::move(text));
  if (parts_.pre_tokenizer != nullptr) TV_RETURN_IF_ERROR(parts_.pre_tokenizer->Split(&pieces));
  for (const Text& piece : pieces) {
    if (!piece.empty()) parts_.model->Tokenize(piece, out);
  }
  return Status::Ok();
}

void Cut(std::vector<Token>* tokens, int64_t keep, Side side, int64_t* removed) {
  const int64_t size = static_cast<int64_t>(tokens->size());
  if (keep >= size) return;
  *removed += size - keep;
  if (side == Side::kRight) {
    tokens->resize(static_cast<size_t>(keep));
  } else {
    tokens->erase(tokens->begin(), tokens->end() - keep);
  }
}

// utils/truncation.rs truncate_encodings
Status HfTokenizer::Truncate(const Truncation& truncation, int64_t added, std::vector<Token>* a, std::vector<Token>* b,
                             int64_t* removed) const {
  const int64_t limit = truncation.max_length - added;
  if (limit < 0) {
    return InputError("a maximum of " + std::to_string(truncation.max_length) + " tokens leaves no room for the " +
                      std::to_string(added) + " special tokens");
  }
  const int64_t size_a = static_cast<int64_t>(a->size());
  const int64_t size_b = b == nullptr ? 0 : static_cast<int64_t>(b->size());
  if (size_a + size_b <= limit) return Status::Ok();
  const int64_t excess = size_a + size_b - limit;
  if (truncation.strategy == TruncationStrategy::kLongestFirst) {
    if (b == nullptr) {
      Cut(a, limit, truncation.side, removed);
      return Status::Ok();
    }
    const bool swapped = size_a > size_b;  // n1 is the shorter sequence
    int64_t n1 = std::min(size_a, size_b);
    int64_t n2 = n1 > limit ? n1 : std::max(n1, limit - n1);
    if (n1 + n2 > limit) {
      n1 = limit / 2;
      n2 = n1 + limit % 2;
    }
    Cut(a, swapped ? n2 : n1, truncation.side, removed);
    Cut(b, swapped ? n1 : n2, truncation.side, removed);
    return Status::Ok();
  }
  std::vector<Token>* target = truncation.strategy == TruncationStrategy::kOnlyFirst ? a : b;
  const int64_t size = target == nullptr ? 0 : static_cast<int64_t>(target->size());
  if (size <= excess) return InputError("the sequence to truncate is too short to respect the maximum length");
  Cut(target, size - excess, truncation.side, removed);
  return Status::Ok();
}

void HfTokenizer::TrimOffsets(std::vector<Token>* tokens) const {
  const auto is_space = [](uint32_t cp) { return cp == ByteToChar(' ') || IsWhiteSpace(cp); };
  for (size_t i = 0; i < tokens->size(); ++i) {
    Token& token = (*tokens)[i];
    const std::vector<uint32_t> cps = DecodeUtf8(tokens_[static_cast<size_t>(token.id)]);
    auto leading = static_cast<int32_t>(std::find_if_not(cps.begin(), cps.end(), is_space) - cps.begin());
    const auto trailing = static_cast<int32_t>(std::find_if_not(cps.rbegin(), cps.rend(), is_space) - cps.rbegin());
    if (leading > 0) {
      const bool added_prefix = parts_.post_processor.add_prefix_space && (i == 0 || token.begin == 0);
      if (added_prefix && leading == 1) leading = 0;  // more than one were not added
      token.begin = std::min(token.begin + leading, token.end);
    }
    if (trailing > 0 && token.end >= trailing) token.end = std::max(token.end - trailing, token.begin);
  }
}

void HfTokenizer::Append(const Token& token, int32_t type_id, int sequence, bool special, bool details,
                         Encoding* out) const {
  out->ids.push_back(token.id);
  out->type_ids.push_back(type_id);
  if (!details) return;
  out->tokens.push_back(IdToToken(token.id).value_or(""));
  out->offsets.emplace_back(token.begin, token.end);
  out->special_tokens_mask.push_back(special ? 1 : 0);
  out->attention_mask.push_back(1);
  out->sequence_ids.push_back(sequence);
}

void HfTokenizer::Pad(bool details, Encoding* out) const {
  const Padding& padding = *parts_.padding;
  const int64_t size = static_cast<int64_t>(out->ids.size());
  int64_t target = std::max(padding.fixed_length, size);
  if (padding.multiple_of > 0) target = (target + padding.multiple_of - 1) / padding.multiple_of * padding.multiple_of;
  const size_t count = static_cast<size_t>(target - size);
  const auto pad = [&](auto* list, auto value) {
    list->insert(padding.side == Side::kRight ? list->end() : list->begin(), count, value);
  };
  pad(&out->ids, padding.id);
  pad(&out->type_ids, padding.type_id);
  if (!details) return;
  pad(&out->tokens, padding.token);
  pad(&out->offsets, std::pair<int32_t, int32_t>(0, 0));
  pad(&out->special_tokens_mask, uint8_t{1});
  pad(&out->attention_mask, uint8_t{0});
  pad(&out->sequence_ids, -1);
}

// Byte offsets from code point offsets of the texts given.
void FillByteOffsets(std::string_view text, std::optional<std::string_view> pair, Encoding* out) {
  std::vector<int32_t> starts[2];
  for (int s = 0; s < (pair ? 2 : 1); ++s) {
    const std::string_view source = s == 0 ? text : *pair;
    for (size_t i = 0; i < source.size();) {
      starts[s].push_back(static_cast<int32_t>(i));
      NextCodePoint(source, &i);
    }
    starts[s].push_back(static_cast<int32_t>(source.size()));
  }
  for (size_t i = 0; i < out->ids.size(); ++i) {
    const int sequence = out->sequence_ids[i];
    if (sequence < 0) {
      out->byte_offsets.emplace_back(0, 0);
    } else {
      out->byte_offsets.emplace_back(starts[sequence][static_cast<size_t>(out->offsets[i].first)],
                                     starts[sequence][static_cast<size_t>(out->offsets[i].second)]);
    }
  }
}

Result<Encoding> HfTokenizer::Encode(std::string_view text, std::optional<std::string_view> pair,
                                     const EncodeOptions& options) const {
  TV_ASSIGN_OR_RETURN(std::vector<Token> a, Tokenize(text));
  std::vector<Token> b;
  if (pair) {
    TV_ASSIGN_OR_RETURN(b, Tokenize(*pair));
  }
  Encoding out;
  const int64_t added = options.add_special_tokens ? parts_.post_processor.AddedTokens(pair.has_value()) : 0;
  const std::optional<Truncation>& truncation = options.truncation ? options.truncation : parts_.truncation;
  if (truncation && truncation->max_length > 0) {
    TV_RETURN_IF_ERROR(Truncate(*truncation, added, &a, pair ? &b : nullptr, &out.truncated_tokens));
  }
  if (options.details && parts_.post_processor.trim_offsets) {
    TrimOffsets(&a);
    TrimOffsets(&b);
  }
  const std::vector<TemplatePiece>& pieces = pair ? parts_.post_processor.pair : parts_.post_processor.single;
  for (const TemplatePiece& piece : pieces) {
    if (piece.sequence >= 0) {
      for (const Token& token : piece.sequence == 0 ? a : b) {
        Append(token, piece.type_id, piece.sequence, false, options.details, &out);
      }
    } else if (options.add_special_tokens) {
      for (const int32_t id : piece.ids) Append({id, 0, 0}, piece.type_id, -1, true, options.details, &out);
    }
  }
  if (parts_.padding) Pad(options.details, &out);
  if (options.details) FillByteOffsets(text, pair, &out);
  return out;
}

// decoders/wordpiece.rs with cleanup; other models join their tokens by spaces.
Result<std::string> HfTokenizer::Decode(const std::vector<int32_t>& ids, bool skip_special_tokens) const {
  std::string out;
  for (const int32_t id : ids) {
    const std::optional<std::string> token = IdToToken(id);
    if (!token) return InputError("token id " + std::to_string(id) + " is not in the vocabulary");
    if (skip_special_tokens && IsSpecial(id)) continue;
    if (token->starts_with("##") && !out.empty()) {
      out += token->substr(2);
    } else {
      out += (out.empty() ? "" : " ") + *token;
    }
  }
  return out;
}

Result<Truncation> ParseTruncation(const JsonRef& json) {
  Truncation truncation;
  TV_ASSIGN_OR_RETURN(truncation.max_length, json["max_length"].Int());
  TV_ASSIGN_OR_RETURN(truncation.stride, json["stride"].Int());
  if (truncation.max_length < 0) return json["max_length"].TypeError("a natural number");
  if (truncation.stride < 0 || (truncation.max_length > 0 && truncation.stride >= truncation.max_length)) {
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
    TV_ASSIGN_OR_RETURN(const std::string direction, json["direction"].String());
    if (direction != "Left" && direction != "Right") return json["direction"].TypeError("Left or Right");
    truncation.side = direction == "Left" ? Side::kLeft : Side::kRight;
  }
  return truncation;
}

// Longer paddings and truncations than any model has are a broken file, not a wish.
constexpr int64_t kMaxLength = int64_t{1} << 24;

Result<Padding> ParsePadding(const JsonRef& json) {
  Padding padding;
  const JsonRef strategy = json["strategy"];
  if (strategy.is_object()) {
    TV_ASSIGN_OR_RETURN(padding.fixed_length, strategy["Fixed"].Int());
    if (padding.fixed_length < 0 || padding.fixed_length > kMaxLength) {
      return strategy["Fixed"].TypeError("a length of at most 2^24");
    }
  } else {
    TV_ASSIGN_OR_RETURN(const std::string name, strategy.String());
    if (name != "BatchLongest") return strategy.TypeError("BatchLongest or {\"Fixed\": n}");
  }
  TV_ASSIGN_OR_RETURN(const std::string direction, json["direction"].String());
  padding.side = direction == "Left" ? Side::kLeft : Side::kRight;
  if (const JsonRef multiple = json["pad_to_multiple_of"]; multiple.present() && !multiple.is_null()) {
    TV_ASSIGN_OR_RETURN(padding.multiple_of, multiple.Int());
    if (padding.multiple_of < 0 || padding.multiple_of > kMaxLength) {
      return multiple.TypeError("a length of at most 2^24");
    }
  }
  TV_ASSIGN_OR_RETURN(const int64_t id, json["pad_id"].Int());
  TV_ASSIGN_OR_RETURN(const int64_t type_id, json["pad_type_id"].Int());
  TV_ASSIGN_OR_RETURN(padding.token, json["pad_token"].String());
  padding.id = static_cast<int32_t>(id);
  padding.type_id = static_cast<int32_t>(type_id);
  return padding;
}

}  // namespace

Result<TokenizerParts> ParseTokenizerJson(const JsonRef& root, bool keep_padding_and_truncation) {
  TV_RETURN_IF_ERROR(root.ExpectObject());
  if (const JsonRef version = root["version"]; version.present() && !version.is_null()) {
    TV_ASSIGN_OR_RETURN(const std::string text, version.String());
    if (text != "1.0") return version.TypeError("\"1.0\"");
  }
  TokenizerParts parts;
  TV_ASSIGN_OR_RETURN(parts.normalizer, ParseNormalizer(root["normalizer"]));
  TV_ASSIGN_OR_RETURN(parts.pre_tokenizer, ParsePreTokenizer(root["pre_tokenizer"]));
  TV_ASSIGN_OR_RETURN(parts.model, ParseTokenModel(root["model"]));
  TV_ASSIGN_OR_RETURN(parts.added,
                      AddedVocabulary::Parse(root["added_tokens"], parts.model->vocabulary(), parts.normalizer.get()));
  TV_ASSIGN_OR_RETURN(parts.post_processor, ParsePostProcessor(root["post_processor"]));
  if (keep_padding_and_truncation) {
    if (const JsonRef truncation = root["truncation"]; truncation.present() && !truncation.is_null()) {
      TV_ASSIGN_OR_RETURN(parts.truncation, ParseTruncation(truncation));
    }
    if (const JsonRef padding = root["padding"]; padding.present() && !padding.is_null()) {
      TV_ASSIGN_OR_RETURN(parts.padding, ParsePadding(padding));
    }
  }
  json::value canonical = root.value();
  for (const char* name : {"truncation", "padding", "decoder", "version"}) canonical.get_object().erase(name);
  parts.canonical = WriteJson(canonical);
  return parts;
}

std::unique_ptr<Tokenizer> MakeTokenizer(TokenizerParts parts) {
  return std::make_unique<HfTokenizer>(std::move(parts));
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::FromJson(const JsonFile& file) {
  TV_ASSIGN_OR_RETURN(TokenizerParts parts, ParseTokenizerJson(file.root(), true));
  return MakeTokenizer(std::move(parts));
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::LoadFile(const std::string& path) {
  const size_t slash = path.rfind('/');
  TV_ASSIGN_OR_RETURN(const JsonFile file,
                      JsonFile::Load(path, slash == std::string::npos ? path : path.substr(slash + 1)));
  return FromJson(file);
}

}  // namespace truevec
