// Byte-pair encoding. Reference: huggingface/tokenizers tokenizers/src/models/bpe/{model,word}.rs.
#include <algorithm>
#include <cstdio>
#include <optional>
#include <queue>

#include "tokenizer/bpe.h"
#include "unicode/unicode.h"

namespace truevec {
namespace {

class Bpe : public TokenModel {
 public:
  Bpe(Vocabulary vocabulary, BpeMerges merges, BpeOptions options)
      : vocabulary_(std::move(vocabulary)), merges_(std::move(merges)), options_(std::move(options)) {
    if (options_.unk_token) unk_ = Find(*options_.unk_token);
    for (int byte = 0; byte < 256; ++byte) {
      char name[8];
      std::snprintf(name, sizeof name, "<0x%02X>", byte);
      byte_ids_[byte] = Find(name);
    }
  }
  static uint64_t Key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  const Vocabulary& vocabulary() const override { return vocabulary_; }
  std::unique_ptr<WordEncoder> MakeWordEncoder(bool byte_level) const override {
    return MakeBpeEncoder({vocabulary_, merges_, options_, byte_ids_, unk_}, byte_level);
  }

  void Tokenize(const Text& piece, std::vector<Token>* out) const override {
    if (options_.ignore_merges) {
      if (const int32_t id = Find(ToUtf8(piece.data(), piece.data() + piece.size())); id >= 0) {
        out->push_back({id, piece.front().begin, piece.back().end});
        return;
      }
    }
    std::vector<Symbol> symbols = Symbols(piece);
    MergeAll(&symbols);
    // Lengths count bytes from the start of the piece, as the reference's do, even where a character vanished.
    std::vector<const Char*> at_byte;
    for (const Char& c : piece) {
      std::string bytes;
      AppendUtf8(c.cp, &bytes);
      at_byte.insert(at_byte.end(), bytes.size(), &c);
    }
    size_t byte = 0;
    for (const Symbol& symbol : symbols) {
      if (symbol.bytes == 0) continue;
      // The bytes of a continuing_subword_prefix under byte_fallback are more than the piece has.
      const size_t first = std::min(byte, at_byte.size() - 1);
      const size_t last = std::min(byte + symbol.bytes, at_byte.size()) - 1;
      out->push_back({symbol.id, at_byte[first]->begin, at_byte[last]->end});
      byte += symbol.bytes;
    }
  }

 private:
  struct Symbol {
    int32_t id;
    int32_t previous;
    int32_t next;
    size_t bytes;  // 0: merged into its left neighbour
  };

  int32_t Find(std::string_view token) const {
    const auto found = vocabulary_.find(token);
    return found == vocabulary_.end() ? -1 : found->second;
  }

  // The bytes of `text` as <0xNN> tokens, when the vocabulary has them all.
  bool AddBytes(std::string_view text, std::vector<Symbol>* symbols) const {
    for (const char c : text) {
      if (byte_ids_[static_cast<uint8_t>(c)] < 0) return false;
    }
    for (const char c : text) symbols->push_back({byte_ids_[static_cast<uint8_t>(c)], 0, 0, 1});
    return true;
  }

  std::vector<Symbol> Symbols(const Text& piece) const {
    std::vector<Symbol> symbols;
    size_t unknown = 0;  // bytes of a pending unknown token; it is flushed late, as in the reference
    std::string name;
    for (size_t i = 0; i < piece.size(); ++i) {
      name = i > 0 ? options_.prefix : "";
      const size_t start = name.size();
      AppendUtf8(piece[i].cp, &name);
      const size_t bytes = name.size() - start;
      if (i + 1 == piece.size()) name += options_.suffix;
      if (const int32_t id = Find(name); id >= 0) {
        if (unknown > 0) symbols.push_back({unk_, 0, 0, unknown});
        unknown = 0;
        symbols.push_back({id, 0, 0, bytes});
        continue;
      }
      if (options_.byte_fallback && AddBytes(name, &symbols)) continue;
      if (unk_ < 0) continue;  // without an unknown token the character vanishes
      if (unknown > 0 && !options_.fuse_unk) {
        symbols.push_back({unk_, 0, 0, unknown});
        unknown = 0;
      }
      unknown += bytes;
    }
    if (unknown > 0) symbols.push_back({unk_, 0, 0, unknown});
    for (size_t i = 0; i < symbols.size(); ++i) {
      symbols[i].previous = static_cast<int32_t>(i) - 1;
      symbols[i].next = i + 1 < symbols.size() ? static_cast<int32_t>(i) + 1 : -1;
    }
    return symbols;
  }

  struct Candidate {
    int32_t rank;
    int32_t position;
    int32_t id;
    bool operator>(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : position > other.position;
    }
  };

  const BpeMerge* FindMerge(int32_t left, int32_t right) const {
    const auto found = merges_.find(Key(left, right));
    return found == merges_.end() ? nullptr : &found->second;
  }

  // Lowest rank first, then leftmost.
  void MergeAll(std::vector<Symbol>* list) const {
    std::vector<Symbol>& s = *list;
    std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
    const auto push = [&](int32_t left) {
      if (left < 0 || s[static_cast<size_t>(left)].next < 0) return;
      const Symbol& a = s[static_cast<size_t>(left)];
      if (const BpeMerge* merge = FindMerge(a.id, s[static_cast<size_t>(a.next)].id)) {
        queue.push({merge->rank, left, merge->id});
      }
    };
    for (size_t i = 0; i + 1 < s.size(); ++i) push(static_cast<int32_t>(i));
    while (!queue.empty()) {
      const Candidate top = queue.top();
      queue.pop();
      Symbol& left = s[static_cast<size_t>(top.position)];
      if (left.bytes == 0 || left.next < 0) continue;
      Symbol& right = s[static_cast<size_t>(left.next)];
      const BpeMerge* merge = FindMerge(left.id, right.id);
      if (merge == nullptr || merge->id != top.id) continue;  // stale
      left.id = merge->id;
      left.bytes += right.bytes;
      right.bytes = 0;
      left.next = right.next;
      if (left.next >= 0) s[static_cast<size_t>(left.next)].previous = top.position;
      push(left.previous);
      push(top.position);
    }
  }

  Vocabulary vocabulary_;
  BpeMerges merges_;
  BpeOptions options_;
  int32_t unk_ = -1;
  int32_t byte_ids_[256];
};

Result<std::pair<std::string, std::string>> MergePair(const JsonRef& json) {
  if (json.is_array()) {
    if (json.size() != 2) return json.TypeError("two parts");
    TV_ASSIGN_OR_RETURN(std::string left, json.At(0).String());
    TV_ASSIGN_OR_RETURN(std::string right, json.At(1).String());
    return std::pair(std::move(left), std::move(right));
  }
  TV_ASSIGN_OR_RETURN(const std::string text, json.String());
  const size_t space = text.find(' ');
  if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
    return json.TypeError("two parts and one space");
  }
  return std::pair(text.substr(0, space), text.substr(space + 1));
}

Result<BpeMerges> ParseMerges(const JsonRef& json, const Vocabulary& vocabulary, const std::string& prefix) {
  if (!json.is_array()) return json.TypeError("an array");
  BpeMerges merges;
  merges.reserve(json.size());
  int32_t rank = 0;
  for (size_t i = 0; i < json.size(); ++i) {
    const JsonRef entry = json.At(i);
    if (entry.is_string() && entry.value().get_string().starts_with("#version")) continue;
    TV_ASSIGN_OR_RETURN(const auto pair, MergePair(entry));
    const auto left = vocabulary.find(pair.first);
    const auto right = vocabulary.find(pair.second);
    const bool prefixed = !prefix.empty() && pair.second.starts_with(prefix);
    const auto whole = vocabulary.find(pair.first + (prefixed ? pair.second.substr(prefix.size()) : pair.second));
    for (const auto& found : {left, right, whole}) {
      if (found == vocabulary.end()) {
        return ModelError(entry.Where() + ": \"" + pair.first + "\" + \"" + pair.second +
                          "\": a part or the result is not in the vocabulary");
      }
    }
    merges[Bpe::Key(left->second, right->second)] = {rank++, whole->second};
  }
  return merges;
}

Status ReadOptional(const JsonRef& json, std::string* out) {
  if (!json.present() || json.is_null()) return Status::Ok();
  TV_ASSIGN_OR_RETURN(*out, json.String());
  return Status::Ok();
}
Status ReadOptional(const JsonRef& json, bool* out) {
  if (!json.present() || json.is_null()) return Status::Ok();
  TV_ASSIGN_OR_RETURN(*out, json.Bool());
  return Status::Ok();
}

}  // namespace

Result<std::unique_ptr<TokenModel>> ParseBpe(const JsonRef& json) {
  BpeOptions options;
  if (const JsonRef dropout = json["dropout"]; dropout.present() && !dropout.is_null()) {
    TV_ASSIGN_OR_RETURN(const double p, dropout.Double());
    if (p != 0) return ModelError(dropout.Where() + ": dropout makes ids random; only null or 0 is supported");
  }
  TV_RETURN_IF_ERROR(ReadOptional(json["continuing_subword_prefix"], &options.prefix));
  TV_RETURN_IF_ERROR(ReadOptional(json["end_of_word_suffix"], &options.suffix));
  TV_RETURN_IF_ERROR(ReadOptional(json["fuse_unk"], &options.fuse_unk));
  TV_RETURN_IF_ERROR(ReadOptional(json["byte_fallback"], &options.byte_fallback));
  TV_RETURN_IF_ERROR(ReadOptional(json["ignore_merges"], &options.ignore_merges));
  TV_ASSIGN_OR_RETURN(Vocabulary vocabulary, ParseVocabulary(json["vocab"]));
  if (const JsonRef unk = json["unk_token"]; unk.present() && !unk.is_null()) {
    TV_ASSIGN_OR_RETURN(options.unk_token, unk.String());
    if (!vocabulary.contains(*options.unk_token)) {
      return ModelError(unk.Where() + ": \"" + *options.unk_token + "\" is not in the vocabulary");
    }
  }
  TV_ASSIGN_OR_RETURN(BpeMerges merges, ParseMerges(json["merges"], vocabulary, options.prefix));
  return std::unique_ptr<TokenModel>(
      std::make_unique<Bpe>(std::move(vocabulary), std::move(merges), std::move(options)));
}

}  // namespace truevec
