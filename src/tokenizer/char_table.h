// A value per Unicode code point, computed a page of 256 at a time when first asked for. Usable from many threads: a
// page is published whole, and two threads that compute the same page compute the same values.
#ifndef TRUEVEC_TOKENIZER_CHAR_TABLE_H_
#define TRUEVEC_TOKENIZER_CHAR_TABLE_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <utility>

namespace truevec {

template <typename Entry>
class CharTable {
 public:
  // `fill` gives the entry of a code point. It must depend on nothing else, and be callable from many threads.
  explicit CharTable(std::function<Entry(uint32_t)> fill) : fill_(std::move(fill)) {}
  CharTable(const CharTable&) = delete;
  CharTable& operator=(const CharTable&) = delete;
  ~CharTable() {
    for (auto& page : pages_) delete page.load(std::memory_order_relaxed);
  }

  const Entry& operator[](uint32_t cp) const {
    const Page* page = pages_[cp >> 8].load(std::memory_order_acquire);
    if (page == nullptr) [[unlikely]]
      page = Load(cp >> 8);
    return (*page)[cp & 255];
  }

 private:
  using Page = std::array<Entry, 256>;
  const Page* Load(uint32_t index) const {
    auto* page = new Page;
    for (uint32_t i = 0; i < 256; ++i) (*page)[i] = fill_(index << 8 | i);
    const Page* published = nullptr;
    if (pages_[index].compare_exchange_strong(published, page, std::memory_order_acq_rel)) return page;
    delete page;
    return published;
  }

  std::function<Entry(uint32_t)> fill_;
  mutable std::array<std::atomic<const Page*>, 0x1100> pages_{};
};

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_CHAR_TABLE_H_
