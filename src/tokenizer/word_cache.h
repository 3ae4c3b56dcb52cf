// Word -> ids, bounded: a model is a pure function of the word, so that a cache changes nothing but time. Two tables of
// fixed size: words of up to 15 bytes with up to 4 ids (half a cache line, 2 ways), and words of up to 62 bytes with up
// to 16 ids (2 cache lines, 1 way). A newer word replaces an older one of the same place. For one thread at a time.
#ifndef TRUEVEC_TOKENIZER_WORD_CACHE_H_
#define TRUEVEC_TOKENIZER_WORD_CACHE_H_

#include <bit>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace truevec {

// Keeps the first n bytes of 16, by n.
struct ByteMasks {
  uint64_t at[16][2] = {};
  constexpr ByteMasks() {
    for (size_t n = 0; n < 16; ++n) {
      at[n][0] = n >= 8 ? ~uint64_t{0} : (uint64_t{1} << (8 * n)) - 1;
      at[n][1] = n <= 8 ? 0 : (uint64_t{1} << (8 * (n - 8))) - 1;
    }
  }
};
inline constexpr ByteMasks kByteMasks;

class WordCache {
 public:
  static constexpr size_t kShortBytes = 15;
  static constexpr size_t kShortIds = 4;
  static constexpr size_t kLongBytes = 62;
  static constexpr size_t kLongIds = 16;

  WordCache() : short_(kShortSets), long_(kLongEntries) {}

  // The key of a word of at most kShortBytes bytes: its bytes, zeros, and its length in the last byte.
  struct Key {
    uint64_t low, high;
  };
  // REQUIRES: 0 < length <= kShortBytes; 16 bytes readable at `word`.
  static Key MakeKey(const char* word, size_t length) {
    Key key;
    std::memcpy(&key.low, word, 8);
    std::memcpy(&key.high, word + 8, 8);
    key.low &= kByteMasks.at[length][0];
    key.high = (key.high & kByteMasks.at[length][1]) | static_cast<uint64_t>(length) << 56;
    return key;
  }

  // The number of ids of the word, written to `out` (which has room for kShortIds), or -1.
  int FindShort(const Key& key, int32_t* out) {
    ShortSet& set = short_[Place(key)];
    if (set.ways[0].low == key.low && (set.ways[0].high & kKeyMask) == key.high) [[likely]]
      return Give(set.ways[0], out);
    if (set.ways[1].low == key.low && (set.ways[1].high & kKeyMask) == key.high) {
      std::swap(set.ways[0], set.ways[1]);
      return Give(set.ways[0], out);
    }
    return -1;
  }
  // REQUIRES: count <= kShortIds; `ids` readable for kShortIds.
  void InsertShort(const Key& key, const int32_t* ids, size_t count) {
    ShortSet& set = short_[Place(key)];
    set.ways[1] = set.ways[0];
    set.ways[0].low = key.low;
    set.ways[0].high = key.high | static_cast<uint64_t>(count) << 60;
    std::memcpy(set.ways[0].ids, ids, sizeof set.ways[0].ids);
  }

  // REQUIRES: kShortBytes < length <= kLongBytes, or a shorter word with more than kShortIds ids.
  int FindLong(const char* word, size_t length, int32_t* out) {
    const LongEntry& entry = long_[LongPlace(word, length)];
    if (entry.length != length || std::memcmp(entry.bytes, word, length) != 0) return -1;
    std::memcpy(out, entry.ids, sizeof entry.ids);
    return entry.count;
  }
  void InsertLong(const char* word, size_t length, const int32_t* ids, size_t count) {
    LongEntry& entry = long_[LongPlace(word, length)];
    entry.length = static_cast<uint8_t>(length);
    entry.count = static_cast<uint8_t>(count);
    std::memcpy(entry.bytes, word, length);
    std::memcpy(entry.ids, ids, count * sizeof(int32_t));
  }

 private:
  static_assert(std::endian::native == std::endian::little, "keys are loaded as little-endian words");
  static constexpr size_t kShortSets = size_t{1} << 15;
  static constexpr size_t kLongEntries = size_t{1} << 13;
  static constexpr uint64_t kKeyMask = 0x0FFFFFFFFFFFFFFF;  // the count is in the 4 bits above the length

  struct ShortEntry {
    uint64_t low, high;  // high 0: empty, as a length is never 0
    int32_t ids[kShortIds];
  };
  struct alignas(64) ShortSet {
    ShortEntry ways[2];
  };
  struct alignas(64) LongEntry {
    uint8_t length, count;
    char bytes[kLongBytes];
    int32_t ids[kLongIds];
  };
  static_assert(sizeof(ShortSet) == 64 && sizeof(LongEntry) == 128);

  // Zero pages from the system, touched only where they are used.
  template <typename T>
  class Table {
   public:
    explicit Table(size_t size) : memory_(std::calloc(size + 1, sizeof(T)), &std::free) {
      const auto address = reinterpret_cast<uintptr_t>(memory_.get());
      data_ = reinterpret_cast<T*>((address + alignof(T) - 1) & ~(uintptr_t{alignof(T)} - 1));
    }
    bool ok() const { return memory_ != nullptr; }
    T& operator[](size_t i) { return data_[i]; }

   private:
    std::unique_ptr<void, void (*)(void*)> memory_;
    T* data_;
  };

  static uint64_t Mix(uint64_t a, uint64_t b) {
    const auto product = static_cast<unsigned __int128>(a) * b;
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  }
  static size_t Place(const Key& key) {
    return Mix(key.low ^ 0x9E3779B97F4A7C15, key.high ^ 0xD6E8FEB86659FD93) & (kShortSets - 1);
  }
  static size_t LongPlace(const char* word, size_t length) {
    uint64_t hash = 0x9E3779B97F4A7C15 ^ length;
    size_t i = 0;
    for (; i + 8 <= length; i += 8) {
      uint64_t block;
      std::memcpy(&block, word + i, 8);
      hash = Mix(hash ^ block, 0xA0761D6478BD642F);
    }
    uint64_t block;
    std::memcpy(&block, word + i, 8);
    hash = Mix(hash ^ (block & kByteMasks.at[length - i][0]), 0xE7037ED1A0B428DB);
    return hash & (kLongEntries - 1);
  }
  static int Give(const ShortEntry& entry, int32_t* out) {
    std::memcpy(out, entry.ids, sizeof entry.ids);
    return static_cast<int>(entry.high >> 60);
  }

  Table<ShortSet> short_;
  Table<LongEntry> long_;
};

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_WORD_CACHE_H_
