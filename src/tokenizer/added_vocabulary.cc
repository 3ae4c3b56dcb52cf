#include "tokenizer/added_vocabulary.h"

#include <algorithm>
#include <map>

#include "tokenizer/component_json.h"
#include "tokenizer/utf8-inl.h"
#include "unicode/unicode.h"

namespace truevec {
namespace {

// The reference requires every field, "id" too, although it does not use the id.
Result<AddedToken> ParseToken(const JsonRef& json) {
  TV_RETURN_IF_ERROR(json.ExpectObject());
  AddedToken token;
  TV_RETURN_IF_ERROR(ReadId(json["id"]).status());
  TV_ASSIGN_OR_RETURN(token.content, json["content"].String());
  TV_ASSIGN_OR_RETURN(token.single_word, json["single_word"].Bool());
  TV_ASSIGN_OR_RETURN(token.lstrip, json["lstrip"].Bool());
  TV_ASSIGN_OR_RETURN(token.rstrip, json["rstrip"].Bool());
  TV_ASSIGN_OR_RETURN(token.special, json["special"].Bool());
  TV_ASSIGN_OR_RETURN(token.normalized, json["normalized"].Bool());
  return token;
}

}  // namespace

void AddedVocabulary::AddPattern(Patterns* patterns, Pattern pattern) {
  if (pattern.text.empty()) return;  // e.g. spaces under a stripping normalizer: nothing to find
  std::vector<Pattern>& list = (*patterns)[pattern.text.front()];
  const auto place = std::find_if(list.begin(), list.end(),
                                  [&](const Pattern& other) { return other.text.size() < pattern.text.size(); });
  list.insert(place, std::move(pattern));
}

Result<AddedVocabulary> AddedVocabulary::Parse(const JsonRef& json, const Vocabulary& vocabulary,
                                               const Normalizer* normalizer) {
  AddedVocabulary added;
  if (!json.present() || json.is_null()) return added;
  TV_ASSIGN_OR_RETURN(const std::vector<JsonRef> list, json.Array());
  // A new id is the vocabulary's size, then the next one: where the vocabulary has holes, that may be another token's
  // id.
  int32_t next = static_cast<int32_t>(vocabulary.size());
  std::unordered_map<std::string, size_t> seen;
  for (const JsonRef& element : list) {
    TV_ASSIGN_OR_RETURN(AddedToken token, ParseToken(element));
    if (token.content.empty()) continue;
    const auto found = vocabulary.find(token.content);
    if (const auto known = seen.find(token.content); known != seen.end()) {
      token.id = added.tokens_[known->second].id;
      added.tokens_[known->second] = std::move(token);
      continue;
    }
    token.id = found != vocabulary.end() ? found->second : next++;
    seen.emplace(token.content, added.tokens_.size());
    added.tokens_.push_back(std::move(token));
  }
  for (size_t i = 0; i < added.tokens_.size(); ++i) {
    AddedToken& token = added.tokens_[i];
    Text text;
    for (const uint32_t cp : DecodeUtf8(token.content)) text.push_back({cp, 0, 0});
    if (token.normalized && normalizer != nullptr) TV_RETURN_IF_ERROR(normalizer->Normalize(&text));
    token.decoded = ToUtf8(text.data(), text.data() + text.size());
    Pattern pattern{{}, i};
    for (const Char& c : text) pattern.text.push_back(c.cp);
    AddPattern(token.normalized ? &added.normalized_ : &added.raw_, std::move(pattern));
  }
  added.byte_raw_ = ToBytes(added.raw_);
  added.byte_normalized_ = ToBytes(added.normalized_);
  return added;
}

void AddedVocabulary::Split(const Text& text, bool normalized, std::vector<Segment>* out) const {
  const Patterns& patterns = normalized ? normalized_ : raw_;
  size_t plain = 0;  // first character not yet emitted
  const auto emit_plain = [&](size_t end) {
    if (end > plain) {
      out->push_back(
          {Text(text.begin() + static_cast<std::ptrdiff_t>(plain), text.begin() + static_cast<std::ptrdiff_t>(end)),
           nullptr});
    }
  };
  for (size_t i = 0; i < text.size();) {
    const auto bucket = patterns.find(text[i].cp);
    const Pattern* match = nullptr;
    if (bucket != patterns.end()) {
      for (const Pattern& pattern : bucket->second) {
        if (pattern.text.size() <= text.size() - i &&
            std::equal(pattern.text.begin(), pattern.text.end(), text.begin() + static_cast<std::ptrdiff_t>(i),
                       [](uint32_t cp, const Char& c) { return cp == c.cp; })) {
          match = &pattern;
          break;
        }
      }
    }
    if (match == nullptr) {
      ++i;
      continue;
    }
    const AddedToken& token = tokens_[match->token];
    size_t begin = i;
    size_t end = i + match->text.size();
    i = end;  // stripping does not move the search (tokenizers rescans the spaces after an rstrip token)
    if (encode_special_tokens_ && token.special) continue;
    if (token.single_word &&
        ((begin > 0 && IsWordCharacter(text[begin - 1].cp)) || (end < text.size() && IsWordCharacter(text[end].cp)))) {
      continue;
    }
    if (token.lstrip) {
      while (begin > plain && IsWhiteSpace(text[begin - 1].cp)) --begin;
      begin = std::max(begin, plain);
    }
    if (token.rstrip) {
      while (end < text.size() && IsWhiteSpace(text[end].cp)) ++end;
    }
    // Nothing is left of an lstrip token among spaces that an rstrip one took; the reference drops empty pieces.
    if (begin >= end) continue;
    emit_plain(begin);
    out->push_back(
        {Text(text.begin() + static_cast<std::ptrdiff_t>(begin), text.begin() + static_cast<std::ptrdiff_t>(end)),
         &token});
    plain = std::max(plain, end);
  }
  emit_plain(text.size());
}

AddedVocabulary::BytePatterns AddedVocabulary::ToBytes(const Patterns& patterns) {
  std::map<std::string, size_t> sorted;
  for (const auto& [first, list] : patterns) {
    for (const Pattern& pattern : list) {
      std::string bytes;
      for (const uint32_t cp : pattern.text) AppendUtf8(cp, &bytes);
      sorted.emplace(std::move(bytes), pattern.token);  // of equal patterns the first of the list, as Split finds it
    }
  }
  BytePatterns out;
  if (sorted.empty()) return out;
  std::vector<std::string_view> keys;
  std::vector<int32_t> tokens;
  for (const auto& [bytes, token] : sorted) {
    out.first[static_cast<uint8_t>(bytes[0])] = true;
    keys.push_back(bytes);
    tokens.push_back(static_cast<int32_t>(token));
  }
  out.trie = DoubleArray<int32_t>(keys, tokens, -1);
  return out;
}

bool AddedVocabulary::MayMatch(std::string_view text, bool normalized) const {
  const BytePatterns& patterns = normalized ? byte_normalized_ : byte_raw_;
  if (patterns.trie.empty()) return false;
  return std::any_of(text.begin(), text.end(), [&](char c) { return patterns.first[static_cast<uint8_t>(c)]; });
}

void AddedVocabulary::SplitBytes(std::string_view text, bool normalized, std::vector<ByteSegment>* out) const {
  const BytePatterns& patterns = normalized ? byte_normalized_ : byte_raw_;
  const char* const start = text.data();
  const char* const stop = start + text.size();
  const auto view = [](const char* from, const char* to) {
    return std::string_view(from, static_cast<size_t>(to - from));
  };
  const auto is_word = [](const char* p) {
    unsigned length;
    return IsWordCharacter(DecodeAt(p, &length));
  };
  const auto is_space = [](const char* p, unsigned* length) { return IsWhiteSpace(DecodeAt(p, length)); };
  const char* plain = start;  // first byte not yet emitted
  for (const char* p = start; p < stop;) {
    if (!patterns.first[static_cast<uint8_t>(*p)]) {
      ++p;
      continue;
    }
    const char* end = nullptr;
    int32_t found = -1;
    uint32_t state = patterns.trie.kRoot;
    for (const char* q = p; q < stop;) {
      state = patterns.trie.Step(state, *q++);
      if (state == patterns.trie.kNone) break;
      if (patterns.trie.value(state) < 0) continue;
      found = patterns.trie.value(state);
      end = q;
    }
    if (found < 0) {
      ++p;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<size_t>(found)];
    const char* begin = p;
    p = end;
    if (encode_special_tokens_ && token.special) continue;
    if (token.single_word && ((begin > start && is_word(Previous(begin))) || (end < stop && is_word(end)))) continue;
    unsigned length;
    while (token.lstrip && begin > plain && is_space(Previous(begin), &length)) begin = Previous(begin);
    if (token.lstrip) begin = std::max(begin, plain);
    while (token.rstrip && end < stop && is_space(end, &length)) end += length;
    if (begin >= end) continue;
    if (begin > plain) out->push_back({view(plain, begin), nullptr});
    out->push_back({view(begin, end), &token});
    plain = std::max(plain, end);
  }
  if (stop > plain) out->push_back({view(plain, stop), nullptr});
}

}  // namespace truevec
