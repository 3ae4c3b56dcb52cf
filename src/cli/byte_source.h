// Bytes of a file or stdin, decompressed by the file's name: .gz (zlib, RFC 1952, several members allowed) and .zst
// (zstd, RFC 8878).
#ifndef TRUEVEC_CLI_BYTE_SOURCE_H_
#define TRUEVEC_CLI_BYTE_SOURCE_H_

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

namespace truevec::cli {

class ByteSource {
 public:
  // "-" is stdin, uncompressed. Errors (kBadInput) name the path.
  static Result<std::unique_ptr<ByteSource>> Open(const std::string& path);
  virtual ~ByteSource() = default;
  // Fills up to `size` bytes; 0 at the end. A file that ends inside its compressed stream is an error.
  virtual Result<size_t> Read(char* data, size_t size) = 0;
};

// "corpus.jsonl.gz" -> "corpus.jsonl"
std::string_view WithoutCompression(std::string_view path);

// Lines of a source. A line is at most kMaxLine bytes, so that a compressed bomb cannot fill the memory.
class LineSource {
 public:
  static constexpr size_t kMaxLine = size_t{256} << 20;
  static Result<LineSource> Open(const std::string& path);
  // The next line with its '\n', or what is left at the end; false when nothing is.
  Result<bool> Next(std::string* line);

 private:
  std::unique_ptr<ByteSource> source_;
  std::string buffer_;
  size_t start_ = 0;  // first unread byte of buffer_
  bool ended_ = false;
};

}  // namespace truevec::cli

#endif  // TRUEVEC_CLI_BYTE_SOURCE_H_
