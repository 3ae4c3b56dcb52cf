// Blob: u32 bytes of a Darts double array, the array's u32 units, then NUL-separated replacements. For each extended
// grapheme cluster below 6 bytes the shortest prefix with a value replaces the whole cluster; otherwise each code
// point is looked up alone.
#include "tokenizer/precompiled.h"

#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "tokenizer/base64.h"
#include "tokenizer/char_table.h"
#include "tokenizer/code_point_set.h"
#include "tokenizer/regex_properties.h"
#include "tokenizer/text_transform.h"
#include "tokenizer/utf8-inl.h"
#include "unicode/unicode.h"

namespace truevec {
namespace {

class Charsmap {
 public:
  static Result<Charsmap> Parse(const std::string& blob) {
    Charsmap map;
    uint32_t trie_bytes = 0;
    if (blob.size() < 4) return ModelError("a character map of less than 4 bytes");
    std::memcpy(&trie_bytes, blob.data(), 4);
    if (trie_bytes % 4 != 0 || trie_bytes > blob.size() - 4) {
      return ModelError("a character map that is not of its stated size");
    }
    map.units_.resize(trie_bytes / 4);
    std::memcpy(map.units_.data(), blob.data() + 4, trie_bytes);
    map.replacements_ = blob.substr(4 + trie_bytes);
    if (FirstInvalidUtf8(map.replacements_)) return ModelError("a character map with invalid UTF-8 in it");
    return map;
  }

  // The replacement of the shortest prefix of `key` that has one.
  std::optional<std::string_view> Shortest(std::string_view key) const {
    if (units_.empty()) return std::nullopt;
    uint32_t node = Offset(units_[0]);
    for (const char c : key) {
      const auto label = static_cast<uint8_t>(c);
      if (label == 0) return std::nullopt;
      node ^= label;
      if (node >= units_.size()) return std::nullopt;
      const uint32_t unit = units_[node];
      if ((unit & ((1u << 31) | 0xFFu)) != label) return std::nullopt;
      node ^= Offset(unit);
      if ((unit >> 8 & 1u) != 0) {  // has a value
        if (node >= units_.size()) return std::nullopt;
        const uint32_t at = units_[node] & 0x7FFFFFFFu;
        // Not outside, and not inside of a character.
        if (at >= replacements_.size() || (replacements_[at] & 0xC0) == 0x80) return std::nullopt;
        return std::string_view(replacements_.c_str() + at);
      }
    }
    return std::nullopt;
  }

 private:
  static uint32_t Offset(uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }
  std::vector<uint32_t> units_;
  std::string replacements_;
};

enum class Break : uint8_t { kOther, kCr, kLf, kControl, kJoins, kZwj, kPrepend, kPictographic };

// Where extended grapheme clusters end (UAX 29). Left out is what no cluster of fewer than 6 bytes, and no mark after
// one, can show: Hangul, regional indicators and Indic conjuncts.
class ClusterBreaks {
 public:
  ClusterBreaks() {
    const auto add = [](std::string_view name, CodePointSet* set) {
      set->Add(FindRegexProperty(name).value_or(std::span<const CodePointRange>()));
    };
    add("gcb:control", &control_);
    add("gcb:extend", &joins_);
    add("gcb:spacingmark", &joins_);
    add("gcb:prepend", &prepend_);
    add("extendedpictographic", &pictographic_);
  }
  Break Of(uint32_t cp) const {
    if (cp == '\r') return Break::kCr;
    if (cp == '\n') return Break::kLf;
    if (cp == 0x200D) return Break::kZwj;
    if (joins_.Contains(cp)) return Break::kJoins;
    if (control_.Contains(cp)) return Break::kControl;
    if (prepend_.Contains(cp)) return Break::kPrepend;
    return pictographic_.Contains(cp) ? Break::kPictographic : Break::kOther;
  }

 private:
  CodePointSet control_, joins_, prepend_, pictographic_;
};

// Walks over one cluster: whether it goes on with the next character.
class Cluster {
 public:
  explicit Cluster(Break first) : last_(first), pictographic_(first == Break::kPictographic) {}
  bool GoesOn(Break next) {
    const bool joins = Joins(next);
    pictographic_ = next == Break::kPictographic || (pictographic_ && (next == Break::kJoins || next == Break::kZwj));
    last_ = next;
    return joins;
  }

 private:
  static bool IsControl(Break b) { return b == Break::kCr || b == Break::kLf || b == Break::kControl; }
  bool Joins(Break next) const {
    if (last_ == Break::kCr) return next == Break::kLf;                            // GB3
    if (IsControl(last_) || IsControl(next)) return false;                         // GB4, GB5
    if (next == Break::kJoins || next == Break::kZwj) return true;                 // GB9, GB9a
    if (last_ == Break::kPrepend) return true;                                     // GB9b
    return pictographic_ && last_ == Break::kZwj && next == Break::kPictographic;  // GB11
  }
  Break last_;
  bool pictographic_;  // a pictograph, then only Extend and ZWJ
};

// The same on bytes: what becomes of each character alone is kept in a table, and printable ASCII that no mark follows
// is copied in blocks when the map leaves it as it is.
class PrecompiledBytes : public ByteNormalizer {
 public:
  explicit PrecompiledBytes(const Charsmap* map) : map_(map), table_([this](uint32_t cp) { return Compute(cp); }) {
    for (uint32_t c = 0x20; c < 0x7F; ++c) copies_ascii_ = copies_ascii_ && table_[c].copy;
  }

  Status Normalize(ByteWork* work) const override {
    ByteBuffer* out = &work->spare_text;
    out->clear();
    out->Reserve(work->text.size() + 64);
    const char* const end = work->text.data() + work->text.size();
    for (const char* p = work->text.data(); p < end;) {
      // One byte more than the block is looked at: a mark would join the last character.
      if (copies_ascii_ && end - p > 8 && AllPrintable8(Load8(p)) && static_cast<unsigned char>(p[8]) < 0x80) {
        out->Append(p, 8);
        p += 8;
        continue;
      }
      unsigned length;
      const uint32_t cp = DecodeAt(p, &length);
      const char* const stop = ClusterEnd(p + length, end, table_[cp].breaks);
      std::optional<std::string_view> hit;
      if (stop > p + length && stop - p < 6) hit = map_->Shortest({p, static_cast<size_t>(stop - p)});
      if (hit) {
        Append(*hit, out);
        p = stop;
      }
      for (; p < stop; p += length) {
        const Entry& entry = table_[DecodeAt(p, &length)];
        Append(entry.copy ? std::string_view(p, length) : std::string_view(entry.text, entry.size), out);
      }
    }
    work->SwapText();
    return Status::Ok();
  }

 private:
  struct Entry {
    const char* text;
    uint32_t size;
    bool copy;  // stays as it is
    Break breaks;
  };
  Entry Compute(uint32_t cp) const {
    std::string bytes;
    if (cp < 0xD800 || cp >= 0xE000) AppendUtf8(cp, &bytes);
    const auto hit = map_->Shortest(bytes);
    if (!hit) return {nullptr, 0, true, breaks_.Of(cp)};
    return {hit->data(), static_cast<uint32_t>(hit->size()), false, breaks_.Of(cp)};
  }
  const char* ClusterEnd(const char* p, const char* end, Break first) const {
    Cluster cluster(first);
    while (p < end) {
      unsigned length;
      if (!cluster.GoesOn(table_[DecodeAt(p, &length)].breaks)) break;
      p += length;
    }
    return p;
  }

  const Charsmap* map_;
  ClusterBreaks breaks_;
  CharTable<Entry> table_;
  bool copies_ascii_ = true;
};

class Precompiled : public Normalizer {
 public:
  explicit Precompiled(Charsmap map) : map_(std::move(map)) {}
  void AddBytes(ByteNormalizers* out) const override { out->push_back(std::make_unique<PrecompiledBytes>(&map_)); }

  Status Normalize(Text* text) const override {
    std::vector<Formed> out;
    out.reserve(text->size());
    bool modified = false;
    std::string cluster;
    for (size_t i = 0; i < text->size();) {
      size_t end = i + 1;
      for (Cluster walk(breaks_.Of((*text)[i].cp)); end < text->size() && walk.GoesOn(breaks_.Of((*text)[end].cp));)
        ++end;
      std::optional<std::string_view> hit;
      if (end - i < kMaxClusterBytes) {
        cluster = ToUtf8(text->data() + i, text->data() + end);
        if (cluster.size() < kMaxClusterBytes) hit = map_.Shortest(cluster);
      }
      if (hit) Replace(*hit, end - i, &out);
      modified = modified || hit.has_value();
      for (size_t j = i; j < end && !hit; ++j) {
        cluster.clear();
        AppendUtf8((*text)[j].cp, &cluster);
        const std::optional<std::string_view> one = map_.Shortest(cluster);
        if (one) {
          Replace(*one, 1, &out);
        } else {
          out.push_back({(*text)[j].cp, 0});
        }
        modified = modified || one.has_value();
      }
      i = end;
    }
    if (modified) Transform(out, text);
    return Status::Ok();
  }

 private:
  static constexpr size_t kMaxClusterBytes = 6;

  // `old_count` characters become `replacement`. What is more is inserted; what is less belongs to the character
  // before, and is lost where there is none.
  static void Replace(std::string_view replacement, size_t old_count, std::vector<Formed>* out) {
    size_t count = 0;
    for (size_t i = 0; i < replacement.size(); ++count) {
      out->push_back({NextCodePoint(replacement, &i), count < old_count ? 0 : 1});
    }
    if (count < old_count && !out->empty()) out->back().change -= static_cast<int>(old_count - count);
  }
  Charsmap map_;
  ClusterBreaks breaks_;
};

class Nothing : public Normalizer {
 public:
  Status Normalize(Text*) const override { return Status::Ok(); }
};

}  // namespace

Result<std::unique_ptr<Normalizer>> ParsePrecompiled(const JsonRef& json) {
  const JsonRef map = json["precompiled_charsmap"];
  if (!map.present() || map.is_null()) return std::unique_ptr<Normalizer>(std::make_unique<Nothing>());
  TV_ASSIGN_OR_RETURN(const std::string text, map.String());
  const std::optional<std::string> blob = BytesOfBase64(text);
  if (!blob) return map.TypeError("base64");
  auto normalizer = MakePrecompiled(*blob);
  if (!normalizer.ok()) return normalizer.status().WithContext(map.Where());
  return normalizer;
}

Result<std::unique_ptr<Normalizer>> MakePrecompiled(const std::string& blob) {
  TV_ASSIGN_OR_RETURN(Charsmap parsed, Charsmap::Parse(blob));
  return std::unique_ptr<Normalizer>(std::make_unique<Precompiled>(std::move(parsed)));
}

}  // namespace truevec
