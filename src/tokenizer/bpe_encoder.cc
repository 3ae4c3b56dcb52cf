// BPE of one piece on bytes. Merges are looked up in one open-addressed table of 64-bit words; short pieces find the
// lowest rank by a scan, long ones by a heap. Reference: huggingface/tokenizers tokenizers/src/models/bpe/word.rs.
#include <algorithm>
#include <array>
#include <bit>
#include <functional>
#include <utility>

#include "tokenizer/bpe.h"
#include "tokenizer/byte_level.h"
#include "tokenizer/char_table.h"
#include "tokenizer/utf8-inl.h"

namespace truevec {
namespace {

constexpr uint32_t kNoRank = UINT32_MAX;

// (left, right) -> rank, packed: 20 bits each of the ids, 24 of the rank.
class PairTable {
 public:
  static constexpr int32_t kMaxId = (1 << 20) - 1;
  static constexpr int32_t kMaxRank = (1 << 24) - 2;

  static bool Fits(const BpeMerges& merges) {
    return std::all_of(merges.begin(), merges.end(), [](const auto& entry) {
      return (entry.first >> 32) <= kMaxId && (entry.first & 0xFFFFFFFF) <= kMaxId && entry.second.rank <= kMaxRank;
    });
  }
  explicit PairTable(const BpeMerges& merges)
      : slots_(std::bit_ceil(merges.size() * 2 + 2), kEmpty), shift_(64 - std::countr_zero(slots_.size())) {
    for (const auto& [pair, merge] : merges) {
      const uint64_t key = (pair >> 32) << 20 | (pair & 0xFFFFFFFF);
      size_t place = Place(key);
      while (slots_[place] != kEmpty) place = (place + 1) & (slots_.size() - 1);
      slots_[place] = key << 24 | static_cast<uint32_t>(merge.rank);
      const auto rank = static_cast<size_t>(merge.rank);
      if (rank >= merged_.size()) merged_.resize(rank + 1, -1);
      merged_[rank] = merge.id;
    }
  }

  uint32_t Rank(int32_t left, int32_t right) const {
    const uint64_t key = static_cast<uint64_t>(left) << 20 | static_cast<uint64_t>(right);
    for (size_t place = Place(key);; place = (place + 1) & (slots_.size() - 1)) {
      const uint64_t slot = slots_[place];
      if (slot >> 24 == key) return static_cast<uint32_t>(slot & 0xFFFFFF);
      if (slot == kEmpty) return kNoRank;
    }
  }
  int32_t Merged(uint32_t rank) const { return merged_[rank]; }

 private:
  static constexpr uint64_t kEmpty = UINT64_MAX;  // rank 2^24 - 1 is above kMaxRank
  size_t Place(uint64_t key) const { return key * 0x9E3779B97F4A7C15 >> shift_; }
  std::vector<uint64_t> slots_;
  int shift_;
  std::vector<int32_t> merged_;
};

// Pairs of characters that some merge joins: the last of its left part, the first of its right one. No merge crosses a
// place between two known characters that are no such pair, so that the text can be cut there.
class JoinedPairs {
 public:
  explicit JoinedPairs(size_t expected) { slots_.resize(std::bit_ceil(expected * 2 + 2), kEmpty); }
  void Add(uint32_t left, uint32_t right) {
    if (left < 128 && right < 128) ascii_[left][right / 64] |= uint64_t{1} << (right % 64);
    const uint64_t key = Key(left, right);
    size_t place = Place(key);
    while (slots_[place] != kEmpty && slots_[place] != key) place = (place + 1) & (slots_.size() - 1);
    slots_[place] = key;
  }
  bool Contains(uint32_t left, uint32_t right) const {
    if (left < 128 && right < 128) return (ascii_[left][right / 64] >> (right % 64) & 1) != 0;
    const uint64_t key = Key(left, right);
    for (size_t place = Place(key);; place = (place + 1) & (slots_.size() - 1)) {
      if (slots_[place] == key) return true;
      if (slots_[place] == kEmpty) return false;
    }
  }

 private:
  static constexpr uint64_t kEmpty = UINT64_MAX;
  static uint64_t Key(uint32_t left, uint32_t right) { return static_cast<uint64_t>(left) << 32 | right; }
  size_t Place(uint64_t key) const { return (key * 0x9E3779B97F4A7C15 >> 32) & (slots_.size() - 1); }
  std::array<std::array<uint64_t, 2>, 128> ascii_{};
  std::vector<uint64_t> slots_;
};

int32_t Find(const Vocabulary& vocabulary, std::string_view token) {
  const auto found = vocabulary.find(token);
  return found == vocabulary.end() ? -1 : found->second;
}

class BpeEncoder : public WordEncoder {
 public:
  BpeEncoder(const BpeView& model, bool byte_level)
      : model_(model),
        byte_level_(byte_level),
        pairs_(model.merges),
        char_ids_([&vocabulary = model.vocabulary](uint32_t cp) {
          char bytes[4];
          return Find(vocabulary, {bytes, EncodeAt(cp, bytes)});
        }) {
    for (uint32_t byte = 0; byte < 256; ++byte) {
      single_[byte] = byte_level ? char_ids_[ByteToChar(static_cast<uint8_t>(byte))] : -1;
    }
  }

  void Encode(std::string_view word, ModelScratch* scratch, IdBuffer* out) const override {
    if (model_.options.ignore_merges) {
      if (const int32_t id = Whole(word, scratch); id >= 0) {
        out->Push(id);
        return;
      }
    }
    const size_t before = out->size();
    byte_level_ ? PutByteSymbols(word, out) : PutCharSymbols(word, out);
    const size_t count = out->size() - before;
    int32_t* const ids = out->data() + before;
    out->set_size(before + (count <= kShort ? MergeShort(ids, count) : MergeLong(ids, count, scratch)));
  }

 private:
  static constexpr size_t kShort = 40;

  int32_t Whole(std::string_view word, ModelScratch* scratch) const {
    if (!byte_level_) return Find(model_.vocabulary, word);
    scratch->bytes.clear();
    char bytes[4];
    for (const char c : word) scratch->bytes.append(bytes, EncodeAt(ByteToChar(static_cast<uint8_t>(c)), bytes));
    return Find(model_.vocabulary, scratch->bytes);
  }

  // The character `name`, which has no token. False: it waits to be part of an unknown token.
  bool PutAsBytes(std::string_view name, IdBuffer* out) const {
    if (!model_.options.byte_fallback) return false;
    for (const char c : name) {
      if (model_.byte_ids[static_cast<uint8_t>(c)] < 0) return false;
    }
    for (const char c : name) out->Push(model_.byte_ids[static_cast<uint8_t>(c)]);
    return true;
  }
  // A pending unknown token is flushed late, as in the reference.
  void PutUnknown(std::string_view name, bool* pending, IdBuffer* out) const {
    if (PutAsBytes(name, out) || model_.unk < 0) return;  // without an unknown token the character vanishes
    if (*pending && !model_.options.fuse_unk) out->Push(model_.unk);
    *pending = true;
  }
  void PutKnown(int32_t id, bool* pending, IdBuffer* out) const {
    if (*pending) out->Push(model_.unk);
    *pending = false;
    out->Push(id);
  }

  void PutByteSymbols(std::string_view word, IdBuffer* out) const {
    out->Reserve(out->size() + word.size());
    bool pending = false;
    for (const char c : word) {
      const auto byte = static_cast<uint8_t>(c);
      if (single_[byte] >= 0) {
        PutKnown(single_[byte], &pending, out);
      } else {
        char name[4];
        PutUnknown({name, EncodeAt(ByteToChar(byte), name)}, &pending, out);
      }
    }
    if (pending) out->Push(model_.unk);
  }

  void PutCharSymbols(std::string_view word, IdBuffer* out) const {
    out->Reserve(out->size() + word.size());
    bool pending = false;
    for (size_t i = 0; i < word.size();) {
      unsigned length;
      const int32_t id = char_ids_[DecodeAt(word.data() + i, &length)];
      if (id >= 0) {
        PutKnown(id, &pending, out);
      } else {
        PutUnknown(word.substr(i, length), &pending, out);
      }
      i += length;
    }
    if (pending) out->Push(model_.unk);
  }

  // Merges in place: lowest rank first, then leftmost. Returns how many ids are left.
  size_t MergeShort(int32_t* ids, size_t count) const {
    if (count < 2) return count;
    uint32_t ranks[kShort];   // of (i, i + 1)
    size_t last = count - 1;  // pairs
    for (size_t i = 0; i < last; ++i) ranks[i] = pairs_.Rank(ids[i], ids[i + 1]);
    while (last > 0) {
      size_t best = 0;
      uint32_t rank = ranks[0];
      for (size_t i = 1; i < last; ++i) {
        if (ranks[i] < rank) {
          rank = ranks[i];
          best = i;
        }
      }
      if (rank == kNoRank) break;
      ids[best] = pairs_.Merged(rank);
      --last;
      for (size_t i = best + 1; i <= last; ++i) ids[i] = ids[i + 1];
      for (size_t i = best; i < last; ++i) ranks[i] = ranks[i + 1];
      if (best > 0) ranks[best - 1] = pairs_.Rank(ids[best - 1], ids[best]);
      if (best < last) ranks[best] = pairs_.Rank(ids[best], ids[best + 1]);
    }
    return last + 1;
  }

  size_t MergeLong(int32_t* ids, size_t count, ModelScratch* scratch) const {
    using Symbol = ModelScratch::Symbol;
    scratch->symbols.clear();
    Symbol* const s = scratch->symbols.Room(count);
    for (size_t i = 0; i < count; ++i) {
      s[i] = {ids[i], static_cast<int32_t>(i) - 1, i + 1 < count ? static_cast<int32_t>(i) + 1 : -1};
    }
    PodBuffer<uint64_t>& heap = scratch->heap;  // rank << 32 | place of the left symbol
    heap.clear();
    heap.Reserve(count);
    const auto entry = [](uint32_t rank, int32_t place) {
      return static_cast<uint64_t>(rank) << 32 | static_cast<uint32_t>(place);
    };
    for (size_t i = 0; i + 1 < count; ++i) {
      const uint32_t rank = pairs_.Rank(ids[i], ids[i + 1]);
      if (rank != kNoRank) heap.Push(entry(rank, static_cast<int32_t>(i)));
    }
    std::make_heap(heap.begin(), heap.end(), std::greater<>());
    const auto push = [&](int32_t place) {
      if (place < 0 || s[place].next < 0) return;
      const uint32_t rank = pairs_.Rank(s[place].id, s[s[place].next].id);
      if (rank == kNoRank) return;
      heap.Push(entry(rank, place));
      std::push_heap(heap.begin(), heap.end(), std::greater<>());
    };
    while (!heap.empty()) {
      const uint64_t top = heap[0];
      std::pop_heap(heap.begin(), heap.end(), std::greater<>());
      heap.set_size(heap.size() - 1);
      const auto place = static_cast<int32_t>(top & 0xFFFFFFFF);
      const auto rank = static_cast<uint32_t>(top >> 32);
      Symbol& left = s[place];
      if (left.id < 0 || left.next < 0) continue;
      Symbol& right = s[left.next];
      if (pairs_.Rank(left.id, right.id) != rank) continue;  // stale
      left.id = pairs_.Merged(rank);
      right.id = -1;
      left.next = right.next;
      if (left.next >= 0) s[left.next].previous = place;
      push(left.previous);
      push(place);
    }
    size_t kept = 0;
    for (int32_t i = 0; i >= 0; i = s[i].next) ids[kept++] = s[i].id;
    return kept;
  }

 protected:
  BpeView model_;
  bool byte_level_;
  PairTable pairs_;
  CharTable<int32_t> char_ids_;
  int32_t single_[256];
};

// A model of whole texts (no pre-tokenizer, ▁ for spaces): cut where no merge can join.
class CuttingBpeEncoder : public BpeEncoder {
 public:
  explicit CuttingBpeEncoder(const BpeView& model) : BpeEncoder(model, false), joined_(model.merges.size()) {
    int32_t highest = -1;
    for (const auto& [token, id] : model.vocabulary) highest = std::max(highest, id);
    std::vector<std::string_view> tokens(static_cast<size_t>(highest + 1));
    for (const auto& [token, id] : model.vocabulary) tokens[static_cast<size_t>(id)] = token;
    for (const auto& [pair, merge] : model.merges) {
      const std::string_view left = tokens[pair >> 32];
      const std::string_view right = tokens[pair & 0xFFFFFFFF];
      if (left.empty() || right.empty()) continue;
      unsigned length;
      joined_.Add(DecodeAt(Previous(left.data() + left.size()), &length), DecodeAt(right.data(), &length));
    }
  }
  bool cuts() const override { return true; }

  void Cut(const char* text, ByteSpan span, SpanBuffer* out) const override {
    const char* p = text + span.begin;
    const char* const end = text + span.end;
    ByteSpan* spans = out->Room(span.end - span.begin);
    uint32_t begin = span.begin;
    unsigned length;
    uint32_t left = DecodeAt(p, &length);
    bool left_known = char_ids_[left] >= 0;
    for (p += length; p < end; p += length) {
      const uint32_t right = DecodeAt(p, &length);
      const bool right_known = char_ids_[right] >= 0;
      if (left_known && right_known && !joined_.Contains(left, right)) {
        const auto here = static_cast<uint32_t>(p - text);
        *spans++ = {begin, here};
        begin = here;
      }
      left = right;
      left_known = right_known;
    }
    *spans++ = {begin, span.end};
    out->set_size(static_cast<size_t>(spans - out->data()));
  }

 private:
  JoinedPairs joined_;
};

}  // namespace

std::unique_ptr<WordEncoder> MakeBpeEncoder(const BpeView& model, bool byte_level) {
  if (!model.options.prefix.empty() || !model.options.suffix.empty() || !PairTable::Fits(model.merges)) return nullptr;
  for (const auto& [token, id] : model.vocabulary) {
    if (id > PairTable::kMaxId) return nullptr;
  }
  if (byte_level || model.options.ignore_merges) return std::make_unique<BpeEncoder>(model, byte_level);
  return std::make_unique<CuttingBpeEncoder>(model);
}

}  // namespace truevec
