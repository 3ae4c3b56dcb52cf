#include "tokenizer/tekken.h"

#include <algorithm>
#include <tuple>
#include <unordered_map>

#include "tokenizer/base64.h"
#include "tokenizer/byte_level.h"
#include "tokenizer/component_json.h"
#include "tokenizer/token_model.h"
#include "unicode/unicode.h"

namespace truevec {
namespace {

constexpr size_t kMaxTokenBytes = 1024;

std::string ToAlphabet(std::string_view bytes) {
  std::string out;
  for (const char byte : bytes) AppendUtf8(ByteToChar(static_cast<uint8_t>(byte)), &out);
  return out;
}

// The special tokens by rank, and fillers up to their declared number.
Result<std::vector<std::string>> SpecialTokens(const JsonRef& root) {
  if (!root["special_tokens"].present() || root["special_tokens"].is_null()) {
    return ModelError(root["special_tokens"].Where() + ": a tekken.json without it (the old form) is not supported");
  }
  TV_ASSIGN_OR_RETURN(const std::vector<JsonRef> list, root["special_tokens"].Array());
  std::vector<std::pair<int64_t, std::string>> ranked;
  for (const JsonRef& entry : list) {
    TV_ASSIGN_OR_RETURN(const int64_t rank, entry["rank"].Int());
    TV_ASSIGN_OR_RETURN(std::string text, entry["token_str"].String());
    ranked.emplace_back(rank, std::move(text));
  }
  std::sort(ranked.begin(), ranked.end());
  std::vector<std::string> tokens;
  for (auto& [rank, text] : ranked) {
    if (rank != static_cast<int64_t>(tokens.size())) return root["special_tokens"].TypeError("ranks 0, 1, 2, ...");
    tokens.push_back(std::move(text));
  }
  const JsonRef count = root["config"]["default_num_special_tokens"];
  if (!count.present() || count.is_null()) return tokens;
  TV_ASSIGN_OR_RETURN(const int64_t wanted, ReadCount(count));
  for (auto i = static_cast<int64_t>(tokens.size()); i < wanted; ++i) {
    tokens.push_back("<SPECIAL_" + std::to_string(i) + ">");
  }
  return tokens;
}

// The byte strings by rank.
Result<std::vector<std::string>> ByteTokens(const JsonRef& root, int64_t specials) {
  TV_ASSIGN_OR_RETURN(std::vector<JsonRef> list, root["vocab"].Array());
  if (const JsonRef size = root["config"]["default_vocab_size"]; size.present() && !size.is_null()) {
    TV_ASSIGN_OR_RETURN(const int64_t total, ReadCount(size));
    if (total < specials) return size.TypeError("at least the number of special tokens");
    if (static_cast<int64_t>(list.size()) > total - specials) list.resize(static_cast<size_t>(total - specials));
  }
  std::vector<std::string> tokens;
  for (const JsonRef& entry : list) {
    TV_ASSIGN_OR_RETURN(const std::string text, entry["token_bytes"].String());
    std::optional<std::string> bytes = BytesOfBase64(text);
    if (!bytes || bytes->empty() || bytes->size() > kMaxTokenBytes) {
      return entry["token_bytes"].TypeError("1 to 1024 bytes in base64");
    }
    tokens.push_back(std::move(*bytes));
  }
  return tokens;
}

// A merge for every split of every token into two tokens: by the token's rank, then by those of the parts.
json::array Merges(const std::vector<std::string>& tokens,
                   const std::unordered_map<std::string, int64_t, StringHash, std::equal_to<>>& ranks) {
  json::array merges;
  for (const std::string& token : tokens) {
    std::vector<std::tuple<int64_t, int64_t, size_t>> splits;
    for (size_t at = 1; at < token.size(); ++at) {
      const auto left = ranks.find(std::string_view(token).substr(0, at));
      const auto right = ranks.find(std::string_view(token).substr(at));
      if (left != ranks.end() && right != ranks.end()) splits.emplace_back(left->second, right->second, at);
    }
    std::stable_sort(splits.begin(), splits.end(), [](const auto& a, const auto& b) {
      return std::tie(std::get<0>(a), std::get<1>(a)) < std::tie(std::get<0>(b), std::get<1>(b));
    });
    for (const auto& [left, right, at] : splits) {
      merges.push_back(json::array{ToAlphabet(token.substr(0, at)), ToAlphabet(token.substr(at))});
    }
  }
  return merges;
}

}  // namespace

Result<json::value> TekkenToTokenizerJson(const JsonRef& root) {
  TV_RETURN_IF_ERROR(root.ExpectObject());
  TV_ASSIGN_OR_RETURN(const std::string pattern, root["config"]["pattern"].String());
  TV_ASSIGN_OR_RETURN(const std::vector<std::string> specials, SpecialTokens(root));
  TV_ASSIGN_OR_RETURN(const std::vector<std::string> tokens, ByteTokens(root, static_cast<int64_t>(specials.size())));
  std::unordered_map<std::string, int64_t, StringHash, std::equal_to<>> ranks;
  json::object vocabulary;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (!ranks.emplace(tokens[i], static_cast<int64_t>(i)).second) {
      return ModelError(root["vocab"].At(i).Where() + ": a token that is there twice");
    }
    vocabulary[ToAlphabet(tokens[i])] = specials.size() + i;
  }
  json::array added;
  for (size_t i = 0; i < specials.size(); ++i) {
    vocabulary[specials[i]] = i;
    added.push_back(json::object{{"id", i},
                                 {"content", specials[i]},
                                 {"single_word", false},
                                 {"lstrip", false},
                                 {"rstrip", false},
                                 {"normalized", false},
                                 {"special", true}});
  }
  const auto byte_level = [](bool trim) {
    return json::object{
        {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", trim}, {"use_regex", false}};
  };
  json::object split = {
      {"type", "Split"}, {"pattern", json::object{{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}};
  return json::value(json::object{
      {"version", "1.0"},
      {"added_tokens", std::move(added)},
      {"normalizer", nullptr},
      {"pre_tokenizer",
       json::object{{"type", "Sequence"}, {"pretokenizers", json::array{std::move(split), byte_level(true)}}}},
      {"post_processor",
       json::object{{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", false}, {"use_regex", true}}},
      {"decoder", byte_level(true)},
      {"model", json::object{{"type", "BPE"},
                             {"fuse_unk", false},
                             {"byte_fallback", false},
                             {"ignore_merges", true},
                             {"vocab", std::move(vocabulary)},
                             {"merges", Merges(tokens, ranks)}}}});
}

}  // namespace truevec
