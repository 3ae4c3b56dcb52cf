#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace truevec {
namespace {

std::string Reason() { return std::strerror(errno); }

// Closes on destruction.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Status WriteFully(int fd, const char* data, size_t size, const std::string& path) {
  while (size > 0) {
    const ssize_t n = ::write(fd, data, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ResourceError(path + ": cannot write: " + Reason());
    data += n;
    size -= static_cast<size_t>(n);
  }
  return Status::Ok();
}

constexpr size_t kBufferBytes = size_t{1} << 20;

}  // namespace

Result<std::string> ReadFile(const std::string& path, Code error_code, size_t max_bytes) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return Status(error_code, path + ": cannot open: " + Reason());
  std::string out;
  struct stat info{};
  if (::fstat(file.get(), &info) == 0 && S_ISREG(info.st_mode)) {
    if (static_cast<size_t>(info.st_size) > max_bytes) {
      return Status(error_code, path + ": " + std::to_string(info.st_size) + " bytes exceed the limit of " +
                                    std::to_string(max_bytes));
    }
    out.reserve(static_cast<size_t>(info.st_size));
  }
  char buffer[65536];
  while (true) {
    const ssize_t n = ::read(file.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Status(error_code, path + ": cannot read: " + Reason());
    if (n == 0) return out;
    out.append(buffer, static_cast<size_t>(n));
    if (out.size() > max_bytes) {
      return Status(error_code, path + ": more than the limit of " + std::to_string(max_bytes) + " bytes");
    }
  }
}

bool FileExists(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && !S_ISDIR(info.st_mode);
}

bool IsDirectory(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

Result<MappedFile> MappedFile::Open(const std::string& path, Code error_code) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return Status(error_code, path + ": cannot open: " + Reason());
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return Status(error_code, path + ": cannot stat: " + Reason());
  if (!S_ISREG(info.st_mode)) return Status(error_code, path + ": not a regular file");
  MappedFile mapped;
  mapped.path_ = path;
  mapped.size_ = static_cast<size_t>(info.st_size);
  mapped.stamp_ = {info.st_ino, static_cast<uint64_t>(info.st_size), info.st_mtim, info.st_ctim};
  if (mapped.size_ == 0) return mapped;
  void* data = ::mmap(nullptr, mapped.size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (data == MAP_FAILED) {
    mapped.size_ = 0;
    return Status(error_code, path + ": cannot map: " + Reason());
  }
  mapped.data_ = data;
  return mapped;
}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  if (this == &other) return *this;
  if (data_ != nullptr) ::munmap(data_, size_);
  data_ = std::exchange(other.data_, nullptr);
  size_ = std::exchange(other.size_, 0);
  path_ = std::move(other.path_);
  stamp_ = other.stamp_;
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

void MappedFile::ReleasePages() const {
  if (data_ != nullptr) ::madvise(data_, size_, MADV_DONTNEED);
}

void MappedFile::ReleasePages(std::span<const std::byte> part) const {
  const auto* first = static_cast<const std::byte*>(data_);
  if (data_ == nullptr || part.data() < first || part.data() + part.size() > first + size_) return;
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t begin = static_cast<size_t>(part.data() - first) / page * page;
  ::madvise(static_cast<std::byte*>(data_) + begin, static_cast<size_t>(part.data() - first) + part.size() - begin,
            MADV_DONTNEED);
}

Result<std::unique_ptr<AtomicFileWriter>> AtomicFileWriter::Create(const std::string& path) {
  auto writer = std::unique_ptr<AtomicFileWriter>(new AtomicFileWriter());
  writer->path_ = path;
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    if (S_ISDIR(info.st_mode)) return InputError(path + ": cannot write: is a directory");
    writer->fd_ = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  } else {
    writer->temporary_ = path + ".tmp." + std::to_string(::getpid());
    writer->fd_ = ::open(writer->temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  }
  if (writer->fd_ < 0) {
    const std::string reason = Reason();
    writer->temporary_.clear();
    return InputError(path + ": cannot write: " + reason);
  }
  return writer;
}

AtomicFileWriter::~AtomicFileWriter() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Status AtomicFileWriter::Flush() {
  const Status status = WriteFully(fd_, buffer_.data(), buffer_.size(), path_);
  buffer_.clear();
  return status;
}

Status AtomicFileWriter::Write(std::string_view data) {
  buffer_.append(data);
  return buffer_.size() >= kBufferBytes ? Flush() : Status::Ok();
}

Status AtomicFileWriter::WriteAt(uint64_t offset, std::string_view data) {
  TV_RETURN_IF_ERROR(Flush());
  if (temporary_.empty()) return InputError(path_ + ": cannot seek: not a regular file");
  const ssize_t n = ::pwrite(fd_, data.data(), data.size(), static_cast<off_t>(offset));
  if (n != static_cast<ssize_t>(data.size())) return ResourceError(path_ + ": cannot write: " + Reason());
  return Status::Ok();
}

Status AtomicFileWriter::Commit() {
  TV_RETURN_IF_ERROR(Flush());
  if (!temporary_.empty() && ::fsync(fd_) != 0) return ResourceError(path_ + ": cannot write: " + Reason());
  const int closed = ::close(std::exchange(fd_, -1));
  if (closed != 0) return ResourceError(path_ + ": cannot write: " + Reason());
  if (temporary_.empty()) return Status::Ok();
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return ResourceError(path_ + ": cannot rename: " + Reason());
  temporary_.clear();
  return Status::Ok();
}

}  // namespace truevec
