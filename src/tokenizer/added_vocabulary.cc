#include "tokenizer/added_vocabulary.h"

#include <algorithm>

#include "tokenizer/component_json.h"
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
    emit_plain(begin);
    out->push_back(
        {Text(text.begin() + static_cast<std::ptrdiff_t>(begin), text.begin() + static_cast<std::ptrdiff_t>(end)),
         &token});
    plain = std::max(plain, end);
  }
  emit_plain(text.size());
}

}  // namespace truevec
