// The file: matrices at page starts, each followed by its scales and bias; then a JSON table {"identity", "matrices"};
// then a footer of 32 bytes with the table's place, size and checksum.
#define XXH_INLINE_ALL
#include "weights/packed_cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <map>
#include <thread>
#include <vector>

#include "base/json.h"

namespace truevec {
namespace {

constexpr uint64_t kPage = 4096;
constexpr char kMagic[8] = {'T', 'V', 'P', 'A', 'C', 'K', '0', '1'};
constexpr std::string_view kSuffix = ".packed";
constexpr std::string_view kTemporary = ".packing";
constexpr double kAbandonedSeconds = 3600;          // a temporary file that old has lost its writer
constexpr uint64_t kSpaceLeft = uint64_t{1} << 30;  // a disk with less is not written to
constexpr size_t kMaxTable = size_t{64} << 20;

struct Footer {
  char magic[8];
  uint64_t table_offset;
  uint64_t table_size;
  uint64_t table_hash;
};

std::string Hex(uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

uint64_t Hash(const void* data, size_t size) { return XXH3_64bits(data, size); }

double AgeSeconds(const timespec& then) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<double>(now.tv_sec - then.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec - then.tv_nsec);
}

// mkdir -p, for this user alone.
bool MakeDirectory(const std::string& path) {
  for (size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
    const std::string part = path.substr(0, at);
    if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) return false;
    if (at == std::string::npos) return true;
  }
}

class Mapping {
 public:
  Mapping(void* data, size_t size) : data_(data), size_(size) {}
  ~Mapping() { munmap(data_, size_); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), size_}; }

 private:
  void* data_;
  size_t size_;
};

// Only a file of this user that nobody else may write: its bytes become vectors.
std::shared_ptr<const Mapping> MapOwnFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return nullptr;
  struct stat info{};
  std::shared_ptr<const Mapping> mapping;
  if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_uid == geteuid() &&
      (info.st_mode & (S_IWGRP | S_IWOTH)) == 0 && info.st_size > static_cast<off_t>(sizeof(Footer))) {
    const auto size = static_cast<size_t>(info.st_size);
    void* data = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
    if (data != MAP_FAILED) mapping = std::make_shared<Mapping>(data, size);
  }
  close(fd);
  return mapping;
}

struct Matrix {
  PackedLinear linear;
  uint64_t hash = 0;
  std::span<const std::byte> all;  // packed, scales and bias
};

// `offset`..`offset + size` of `bytes`, or nothing when that is not inside.
std::optional<std::span<const std::byte>> Part(std::span<const std::byte> bytes, uint64_t offset, uint64_t size) {
  if (offset > bytes.size() || size > bytes.size() - offset) return std::nullopt;
  return bytes.subspan(offset, size);
}

std::optional<uint64_t> Natural(const JsonRef& json) {
  const auto value = json.Int();
  return value.ok() && *value >= 0 ? std::optional(static_cast<uint64_t>(*value)) : std::nullopt;
}

std::span<const float> Floats(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const float*>(bytes.data()), bytes.size() / sizeof(float)};
}

std::optional<Matrix> ReadMatrix(const JsonRef& json, std::span<const std::byte> bytes) {
  std::optional<uint64_t> numbers[8];
  static constexpr const char* kKeys[] = {"offset", "packed", "scales", "bias", "in", "out", "limit", "storage"};
  for (size_t i = 0; i < 8; ++i) {
    numbers[i] = Natural(json[kKeys[i]]);
    if (!numbers[i]) return std::nullopt;
  }
  const auto type = Natural(json["type"]);
  const auto note = json["note"].String();
  const auto hash = json["hash"].String();
  const uint64_t offset = *numbers[0];
  const uint64_t packed = *numbers[1];
  const uint64_t scales = *numbers[2] * sizeof(float);
  const uint64_t bias = *numbers[3] * sizeof(float);
  constexpr uint64_t kMost = uint64_t{1} << 40;  // keeps the sum from overflowing
  if (!type || *type > 2 || !note.ok() || !hash.ok() || offset % kPage != 0 || packed > kMost || packed % 4 != 0 ||
      *numbers[2] > kMost || *numbers[3] > kMost) {
    return std::nullopt;
  }
  const auto all = Part(bytes, offset, packed + scales + bias);
  if (!all) return std::nullopt;
  Matrix matrix;
  matrix.all = *all;
  matrix.hash = std::strtoull(hash->c_str(), nullptr, 16);
  matrix.linear.packed = all->first(packed);
  matrix.linear.column_scales = Floats(all->subspan(packed, scales));
  matrix.linear.bias = Floats(all->subspan(packed + scales, bias));
  matrix.linear.in = static_cast<int64_t>(*numbers[4]);
  matrix.linear.out = static_cast<int64_t>(*numbers[5]);
  matrix.linear.limit = static_cast<int64_t>(*numbers[6]);
  matrix.linear.storage = static_cast<int>(std::min<uint64_t>(*numbers[7], 1000));
  matrix.linear.type = static_cast<int>(*type);
  matrix.linear.note = *note;
  return matrix;
}

class Reader : public PackedCache {
 public:
  // Null when the file is missing, damaged where that shows at once, or of other weights.
  static std::unique_ptr<PackedCache> Open(const std::string& path, const std::string& identity) {
    auto mapping = MapOwnFile(path);
    if (mapping == nullptr) return nullptr;
    const std::span<const std::byte> bytes = mapping->bytes();
    Footer footer;
    std::memcpy(&footer, bytes.data() + bytes.size() - sizeof footer, sizeof footer);
    const auto table = Part(bytes.first(bytes.size() - sizeof footer), footer.table_offset, footer.table_size);
    if (std::memcmp(footer.magic, kMagic, sizeof kMagic) != 0 || !table || table->size() > kMaxTable ||
        footer.table_offset + footer.table_size + sizeof footer != bytes.size() ||
        Hash(table->data(), table->size()) != footer.table_hash) {
      return nullptr;
    }
    const auto json = ParseJson({reinterpret_cast<const char*>(table->data()), table->size()}, path);
    if (!json.ok()) return nullptr;
    const JsonRef root(&*json, path);
    const auto own = root["identity"].String();
    if (!own.ok() || *own != identity) return nullptr;
    std::unique_ptr<Reader> reader(new Reader(path, std::move(mapping)));
    const JsonRef matrices = root["matrices"];
    for (const std::string& name : matrices.Keys()) {
      std::optional<Matrix> matrix = ReadMatrix(matrices[name], bytes);
      if (!matrix) return nullptr;
      reader->matrices_.emplace(name, std::move(*matrix));
    }
    utimensat(AT_FDCWD, path.c_str(), nullptr, 0);  // used now: the last to be evicted
    reader->checker_ = std::thread([r = reader.get()] { r->Check(); });
    return reader;
  }
  ~Reader() override {
    if (checker_.joinable()) checker_.join();
  }

  std::optional<Linear> Find(std::string_view name) override {
    const auto found = matrices_.find(name);
    if (found == matrices_.end()) return std::nullopt;
    return Linear::FromPacked(found->second.linear, mapping_);
  }
  void Add(std::string_view, const Linear&) override {}
  bool Finish() override {
    if (checker_.joinable()) checker_.join();
    if (!damaged_) return true;
    unlink(path_.c_str());
    return false;
  }

 private:
  Reader(std::string path, std::shared_ptr<const Mapping> mapping)
      : path_(std::move(path)), mapping_(std::move(mapping)) {}
  void Check() {
#ifdef MADV_POPULATE_READ
    const std::span<const std::byte> bytes = mapping_->bytes();
    madvise(const_cast<std::byte*>(bytes.data()), bytes.size(), MADV_POPULATE_READ);
#endif
    for (const auto& [name, matrix] : matrices_) {
      damaged_ = damaged_ || Hash(matrix.all.data(), matrix.all.size()) != matrix.hash;
    }
  }

  std::string path_;
  std::shared_ptr<const Mapping> mapping_;
  std::map<std::string, Matrix, std::less<>> matrices_;
  std::thread checker_;
  bool damaged_ = false;  // of checker_ until it is joined
};

// Writes to a temporary name of its own, so that writers never meet; the last to finish wins.
class Writer : public PackedCache {
 public:
  static std::unique_ptr<PackedCache> Open(const PackedCacheOptions& options, std::string path, std::string identity) {
    struct statvfs space{};
    if (!MakeDirectory(options.directory) || statvfs(options.directory.c_str(), &space) != 0 ||
        static_cast<uint64_t>(space.f_bavail) * space.f_frsize < kSpaceLeft) {
      return nullptr;
    }
    std::string temporary = path + std::string(kTemporary) + "XXXXXX";
    const int fd = mkostemp(temporary.data(), O_CLOEXEC);
    if (fd < 0) return nullptr;
    std::unique_ptr<Writer> writer(new Writer());
    writer->options_ = options;
    writer->path_ = std::move(path);
    writer->temporary_ = std::move(temporary);
    writer->identity_ = std::move(identity);
    writer->fd_ = fd;
    return writer;
  }
  ~Writer() override {
    if (fd_ >= 0) close(fd_);
    if (!temporary_.empty()) unlink(temporary_.c_str());
  }

  std::optional<Linear> Find(std::string_view) override { return std::nullopt; }

  void Add(std::string_view name, const Linear& linear) override {
    if (failed_) return;
    const PackedLinear p = linear.ToPacked();
    const std::span<const std::byte> pieces[] = {p.packed, std::as_bytes(p.column_scales), std::as_bytes(p.bias)};
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    const uint64_t offset = (size_ + kPage - 1) / kPage * kPage;
    size_ = offset;
    for (const std::span<const std::byte> piece : pieces) {
      XXH3_64bits_update(&state, piece.data(), piece.size());
      Write(piece.data(), piece.size());
    }
    matrices_[name] = {{"offset", offset},
                       {"packed", p.packed.size()},
                       {"scales", p.column_scales.size()},
                       {"bias", p.bias.size()},
                       {"in", p.in},
                       {"out", p.out},
                       {"limit", p.limit},
                       {"storage", p.storage},
                       {"type", p.type},
                       {"note", p.note},
                       {"hash", Hex(XXH3_64bits_digest(&state))}};
    if (size_ > options_.max_file_bytes) failed_ = true;
  }

  bool Finish() override {
    if (failed_ || matrices_.empty()) return true;
    const std::string table = WriteJson(json::object{{"identity", identity_}, {"matrices", std::move(matrices_)}});
    Footer footer{{}, size_, table.size(), Hash(table.data(), table.size())};
    std::memcpy(footer.magic, kMagic, sizeof kMagic);
    Write(table.data(), table.size());
    Write(&footer, sizeof footer);
    // No fsync: what a crash of the machine leaves half written fails its checksum.
    if (!failed_ && rename(temporary_.c_str(), path_.c_str()) == 0) {
      temporary_.clear();
      Evict();
    }
    return true;
  }

 private:
  Writer() = default;

  void Write(const void* data, size_t size) {
    const auto* bytes = static_cast<const char*>(data);
    while (size > 0 && !failed_) {
      const ssize_t n = pwrite(fd_, bytes, size, static_cast<off_t>(size_));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        failed_ = true;
        return;
      }
      bytes += n;
      size -= static_cast<size_t>(n);
      size_ += static_cast<uint64_t>(n);
    }
  }

  // Keeps the directory within its limit, this file last, and removes what dead writers have left.
  void Evict() const {
    struct File {
      std::string path;
      double age;
      uint64_t size;
    };
    std::vector<File> files;
    uint64_t total = 0;
    DIR* directory = opendir(options_.directory.c_str());
    if (directory == nullptr) return;
    while (const dirent* entry = readdir(directory)) {  // NOLINT(concurrency-mt-unsafe): a stream of this call
      const std::string_view name = entry->d_name;
      const std::string path = options_.directory + "/" + entry->d_name;
      struct stat info{};
      if (lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
      const double age = AgeSeconds(info.st_mtim);
      if (name.find(std::string(kSuffix) + std::string(kTemporary)) != std::string_view::npos) {
        if (age > kAbandonedSeconds) unlink(path.c_str());
      } else if (name.ends_with(kSuffix)) {
        total += static_cast<uint64_t>(info.st_size);
        if (path != path_) files.push_back({path, age, static_cast<uint64_t>(info.st_size)});
      }
    }
    closedir(directory);
    std::sort(files.begin(), files.end(), [](const File& a, const File& b) { return a.age > b.age; });
    for (size_t i = 0; i < files.size() && total > options_.max_total_bytes; ++i) {
      if (unlink(files[i].path.c_str()) == 0) total -= files[i].size;
    }
  }

  PackedCacheOptions options_;
  std::string path_;
  std::string temporary_;
  std::string identity_;
  json::object matrices_;
  uint64_t size_ = 0;
  int fd_ = -1;
  bool failed_ = false;
};

}  // namespace

std::unique_ptr<PackedCache> PackedCache::Open(const PackedCacheOptions& options, const WeightStore& store,
                                               const std::string& variant) {
  if (options.directory.empty()) return nullptr;
  const WeightIdentity identity = store.Identity();
  if (identity.place.empty()) return nullptr;
  const std::string how = "\n" + variant + "\n" + std::string(PackedLayout());
  // The name is that of the place, not of the content: a checkpoint that changes replaces its file.
  const std::string place = identity.place + how;
  const std::string path = options.directory + "/" + Hex(Hash(place.data(), place.size())) + std::string(kSuffix);
  const std::string all = place + "\n" + identity.files;
  if (options.read) {
    if (std::unique_ptr<PackedCache> reader = Reader::Open(path, all)) return reader;
  }
  return AgeSeconds(identity.changed) < options.min_age_seconds ? nullptr : Writer::Open(options, path, all);
}

}  // namespace truevec
