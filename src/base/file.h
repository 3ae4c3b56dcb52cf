// Files: read whole, map read-only, and write so that nobody ever sees half a file.
#ifndef TRUEVEC_BASE_FILE_H_
#define TRUEVEC_BASE_FILE_H_

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace truevec {

// The whole file. Errors: kModelRefused unless `error_code` says otherwise; the message names path and reason.
Result<std::string> ReadFile(const std::string& path, Code error_code = Code::kModelRefused,
                             size_t max_bytes = size_t{1} << 32);
bool FileExists(const std::string& path);
bool IsDirectory(const std::string& path);

// A read-only private mapping of a regular file; empty files map to an empty span. Movable; unmaps when destroyed.
class MappedFile {
 public:
  static Result<MappedFile> Open(const std::string& path, Code error_code = Code::kModelRefused);
  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();
  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), size_}; }
  const std::string& path() const { return path_; }
  // What the file was when it was opened; changes with every write to it.
  struct Stamp {
    uint64_t inode = 0;
    uint64_t size = 0;
    timespec modified{};
    timespec changed{};
  };
  const Stamp& stamp() const { return stamp_; }
  // Drops the pages from this process's memory; they come back from the file when touched.
  void ReleasePages() const;
  // The same for the pages under `part`, which may lie anywhere.
  void ReleasePages(std::span<const std::byte> part) const;

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
  std::string path_;
  Stamp stamp_;
};

// Writes to a temporary name beside `path`; Commit() flushes, fsyncs and renames. Destroyed without Commit, nothing
// is left. An existing target that is not a regular file (/dev/stdout, a pipe) is written directly.
class AtomicFileWriter {
 public:
  static Result<std::unique_ptr<AtomicFileWriter>> Create(const std::string& path);
  ~AtomicFileWriter();
  AtomicFileWriter(const AtomicFileWriter&) = delete;
  AtomicFileWriter& operator=(const AtomicFileWriter&) = delete;
  Status Write(std::string_view data);
  // Overwrites bytes already written, e.g. a header whose counts are known only at the end.
  // An error for a target that is not a regular file.
  Status WriteAt(uint64_t offset, std::string_view data);
  Status Commit();

 private:
  AtomicFileWriter() = default;
  Status Flush();
  std::string path_;
  std::string temporary_;  // empty when writing directly
  int fd_ = -1;
  std::string buffer_;
};

}  // namespace truevec

#endif  // TRUEVEC_BASE_FILE_H_
