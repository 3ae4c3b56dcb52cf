// Growable arrays of plain values for the ids-only path: no initialisation, and room past the end, so that fixed-size
// loads and stores at the last element stay inside the allocation.
#ifndef TRUEVEC_TOKENIZER_POD_BUFFER_H_
#define TRUEVEC_TOKENIZER_POD_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

namespace truevec {

template <typename T>
class PodBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  // Elements that may be read (their values are unspecified) or written past size().
  static constexpr size_t kSlack = 64 / sizeof(T) + 1;

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* begin() { return data(); }
  T* end() { return data() + size_; }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }

  void clear() { size_ = 0; }
  void set_size(size_t size) { size_ = size; }  // REQUIRES: within what Reserve() gave
  // Makes room for `capacity` elements and the slack, keeping the content.
  void Reserve(size_t capacity) {
    if (data_ == nullptr || capacity > capacity_) Grow(capacity);
  }
  // A place for `count` more elements; commit them with set_size().
  T* Room(size_t count) {
    Reserve(size_ + count);
    return data() + size_;
  }
  void Push(T value) {
    if (size_ >= capacity_) Grow(size_ + 1);
    data_[size_++] = value;
  }
  void Append(const T* values, size_t count) {
    T* place = Room(count);
    if (count > 0) std::memcpy(place, values, count * sizeof(T));
    size_ += count;
  }
  void swap(PodBuffer& other) noexcept {
    data_.swap(other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }
  size_t capacity() const { return capacity_; }
  void Free() {
    data_.reset();
    size_ = capacity_ = 0;
  }

 private:
  void Grow(size_t capacity) {
    if (capacity < capacity_ * 2) capacity = capacity_ * 2;
    if (capacity < 64) capacity = 64;
    std::unique_ptr<T[]> grown(new T[capacity + kSlack]);
    if (size_ > 0) std::memcpy(grown.get(), data_.get(), size_ * sizeof(T));
    data_ = std::move(grown);
    capacity_ = capacity;
  }

  std::unique_ptr<T[]> data_;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

using ByteBuffer = PodBuffer<char>;
using IdBuffer = PodBuffer<int32_t>;

// [begin, end) in bytes of a ByteBuffer.
struct ByteSpan {
  uint32_t begin;
  uint32_t end;
};
using SpanBuffer = PodBuffer<ByteSpan>;

inline std::string_view View(const ByteBuffer& bytes) { return {bytes.data(), bytes.size()}; }
inline std::string_view View(const ByteBuffer& bytes, ByteSpan span) {
  return {bytes.data() + span.begin, span.end - span.begin};
}
inline void Append(std::string_view text, ByteBuffer* out) { out->Append(text.data(), text.size()); }

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_POD_BUFFER_H_
