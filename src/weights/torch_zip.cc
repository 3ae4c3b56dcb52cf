#include "weights/torch_zip.h"

#include <algorithm>
#include <cstring>
#include <optional>

namespace truevec {
namespace {

constexpr uint32_t kEndSignature = 0x06054b50;
constexpr uint32_t kEnd64Signature = 0x06064b50;
constexpr uint32_t kLocator64Signature = 0x07064b50;
constexpr uint32_t kCentralSignature = 0x02014b50;
constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr size_t kEndBytes = 22;
constexpr size_t kCentralBytes = 46;
constexpr size_t kLocalBytes = 30;
constexpr uint64_t kMaxEntries = 1'000'000;

// Little-endian reads that cannot leave the file.
class Cursor {
 public:
  explicit Cursor(std::span<const std::byte> bytes) : bytes_(bytes) {}
  template <typename T>
  std::optional<T> At(uint64_t offset) const {
    if (offset > bytes_.size() || bytes_.size() - offset < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, bytes_.data() + offset, sizeof value);
    return value;
  }
  bool Holds(uint64_t offset, uint64_t size) const { return offset <= bytes_.size() && size <= bytes_.size() - offset; }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

struct Directory {
  uint64_t offset = 0;
  uint64_t entries = 0;
};

std::optional<Directory> FindDirectory(const Cursor& c) {
  const size_t size = c.bytes().size();
  if (size < kEndBytes) return std::nullopt;
  const size_t lowest = size > kEndBytes + 65535 ? size - kEndBytes - 65535 : 0;
  for (size_t at = size - kEndBytes + 1; at-- > lowest;) {
    if (c.At<uint32_t>(at) != kEndSignature) continue;
    Directory directory{*c.At<uint32_t>(at + 16), *c.At<uint16_t>(at + 10)};
    if (at >= 20 && c.At<uint32_t>(at - 20) == kLocator64Signature) {
      const uint64_t end64 = *c.At<uint64_t>(at - 12);
      if (c.At<uint32_t>(end64) != kEnd64Signature || !c.Holds(end64, 56)) return std::nullopt;
      directory = {*c.At<uint64_t>(end64 + 48), *c.At<uint64_t>(end64 + 32)};
    }
    return directory;
  }
  return std::nullopt;
}

struct Entry {
  std::string name;
  uint64_t size = 0;
  uint64_t local = 0;  // offset of the local header
  uint64_t next = 0;   // offset of the next central header
};

// The 64-bit values that a zip64 extra field holds for the 32-bit ones that are saturated, in their order.
void ReadZip64(const Cursor& c, uint64_t extra, uint64_t extra_end, uint64_t* size, uint64_t* compressed,
               uint64_t* local) {
  while (extra + 4 <= extra_end) {
    const uint16_t id = *c.At<uint16_t>(extra);
    const uint64_t length = *c.At<uint16_t>(extra + 2);
    uint64_t at = extra + 4;
    extra = at + length;
    if (id != 1 || extra > extra_end) continue;
    for (uint64_t* value : {size, compressed, local}) {
      if (*value != 0xFFFFFFFFu || at + 8 > extra) continue;
      *value = *c.At<uint64_t>(at);
      at += 8;
    }
  }
}

Result<Entry> ReadCentral(const Cursor& c, uint64_t at, const std::string& file) {
  const auto broken = [&] { return ModelError(file + ": broken zip directory at byte " + std::to_string(at)); };
  if (!c.Holds(at, kCentralBytes) || c.At<uint32_t>(at) != kCentralSignature) return broken();
  const uint16_t flags = *c.At<uint16_t>(at + 8);
  const uint16_t method = *c.At<uint16_t>(at + 10);
  uint64_t compressed = *c.At<uint32_t>(at + 20);
  Entry entry;
  entry.size = *c.At<uint32_t>(at + 24);
  entry.local = *c.At<uint32_t>(at + 42);
  const uint64_t name_length = *c.At<uint16_t>(at + 28);
  const uint64_t extra_length = *c.At<uint16_t>(at + 30);
  const uint64_t comment_length = *c.At<uint16_t>(at + 32);
  const uint64_t name_at = at + kCentralBytes;
  entry.next = name_at + name_length + extra_length + comment_length;
  if (!c.Holds(name_at, name_length + extra_length + comment_length)) return broken();
  entry.name.assign(reinterpret_cast<const char*>(c.bytes().data()) + name_at, name_length);
  ReadZip64(c, name_at + name_length, name_at + name_length + extra_length, &entry.size, &compressed, &entry.local);
  if (method != 0 || compressed != entry.size) {
    return ModelError(file + ": zip entry " + entry.name + " is compressed; torch.save stores entries as they are");
  }
  if ((flags & 1) != 0) return ModelError(file + ": zip entry " + entry.name + " is encrypted");
  return entry;
}

}  // namespace

Result<std::map<std::string, std::span<const std::byte>>> ReadTorchZip(std::span<const std::byte> bytes,
                                                                       const std::string& file) {
  const Cursor c(bytes);
  const std::optional<Directory> directory = FindDirectory(c);
  if (!directory || directory->entries > kMaxEntries) {
    return ModelError(file + ": no zip directory (truncated, or not saved by torch.save of version 1.6 or later)");
  }
  std::map<std::string, std::span<const std::byte>> entries;
  uint64_t at = directory->offset;
  for (uint64_t i = 0; i < directory->entries; ++i) {
    TV_ASSIGN_OR_RETURN(const Entry entry, ReadCentral(c, at, file));
    at = entry.next;
    if (!c.Holds(entry.local, kLocalBytes) || c.At<uint32_t>(entry.local) != kLocalSignature) {
      return ModelError(file + ": zip entry " + entry.name + " has no local header");
    }
    const uint64_t data =
        entry.local + kLocalBytes + *c.At<uint16_t>(entry.local + 26) + *c.At<uint16_t>(entry.local + 28);
    if (!c.Holds(data, entry.size)) {
      return ModelError(file + ": zip entry " + entry.name + " of " + std::to_string(entry.size) +
                        " bytes reaches past the end of the file");
    }
    const size_t slash = entry.name.find('/');
    std::string name = slash == std::string::npos ? entry.name : entry.name.substr(slash + 1);
    if (!entries.emplace(std::move(name), bytes.subspan(data, entry.size)).second) {
      return ModelError(file + ": zip entry " + entry.name + " appears twice");
    }
  }
  return entries;
}

}  // namespace truevec
