#include "cli/byte_source.h"

#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

namespace truevec::cli {
namespace {

class PlainSource : public ByteSource {
 public:
  PlainSource(std::FILE* file, std::string name) : file_(file), name_(std::move(name)) {}
  ~PlainSource() override {
    if (file_ != stdin) std::fclose(file_);
  }
  Result<size_t> Read(char* data, size_t size) override {
    errno = 0;
    const size_t n = std::fread(data, 1, size, file_);
    if (n == 0 && std::ferror(file_) != 0) return InputError(name_ + ": cannot read: " + std::strerror(errno));
    return n;
  }

 private:
  std::FILE* file_;
  std::string name_;
};

class GzipSource : public ByteSource {
 public:
  GzipSource(std::unique_ptr<ByteSource> inner, std::string name) : inner_(std::move(inner)), name_(std::move(name)) {}
  ~GzipSource() override {
    if (open_) inflateEnd(&stream_);
  }
  Result<size_t> Read(char* data, size_t size) override {
    stream_.next_out = reinterpret_cast<Bytef*>(data);
    stream_.avail_out = static_cast<uInt>(std::min<size_t>(size, 1U << 30));
    const uInt wanted = stream_.avail_out;
    while (stream_.avail_out == wanted) {
      if (stream_.avail_in == 0) {
        TV_ASSIGN_OR_RETURN(const size_t n, inner_->Read(input_.data(), input_.size()));
        stream_.next_in = reinterpret_cast<Bytef*>(input_.data());
        stream_.avail_in = static_cast<uInt>(n);
        if (n == 0 && !open_) return started_ ? Result<size_t>(0) : Bad("is empty, not gzip");
        if (n == 0) return Bad("ends inside its gzip stream");
      }
      if (!open_) {
        stream_.zalloc = nullptr;
        stream_.zfree = nullptr;
        if (inflateInit2(&stream_, 16 + MAX_WBITS) != Z_OK) return ResourceError(name_ + ": zlib cannot start");
        open_ = started_ = true;
      }
      const int code = inflate(&stream_, Z_NO_FLUSH);
      if (code == Z_STREAM_END) {  // another member may follow
        inflateEnd(&stream_);
        open_ = false;
      } else if (code != Z_OK && code != Z_BUF_ERROR) {
        return Bad(stream_.msg != nullptr ? stream_.msg : "is not gzip");
      }
    }
    return static_cast<size_t>(wanted - stream_.avail_out);
  }

 private:
  Status Bad(const std::string& why) const { return InputError(name_ + ": gzip: " + why); }
  std::unique_ptr<ByteSource> inner_;
  std::string name_;
  z_stream stream_{};
  bool open_ = false;
  bool started_ = false;
  std::vector<char> input_ = std::vector<char>(1 << 16);
};

class ZstdSource : public ByteSource {
 public:
  ZstdSource(std::unique_ptr<ByteSource> inner, std::string name)
      : inner_(std::move(inner)), name_(std::move(name)), stream_(ZSTD_createDStream(), ZSTD_freeDStream) {}
  Result<size_t> Read(char* data, size_t size) override {
    ZSTD_outBuffer out{data, size, 0};
    while (out.pos == 0) {
      if (in_.pos == in_.size) {
        TV_ASSIGN_OR_RETURN(const size_t n, inner_->Read(input_.data(), input_.size()));
        in_ = {input_.data(), n, 0};
        if (n == 0 && left_ != 0) return InputError(name_ + ": zstd: ends inside its stream");
        if (n == 0) return size_t{0};
      }
      left_ = ZSTD_decompressStream(stream_.get(), &out, &in_);
      if (ZSTD_isError(left_) != 0) return InputError(name_ + ": zstd: " + ZSTD_getErrorName(left_));
    }
    return out.pos;
  }

 private:
  std::unique_ptr<ByteSource> inner_;
  std::string name_;
  std::unique_ptr<ZSTD_DStream, size_t (*)(ZSTD_DStream*)> stream_;
  std::vector<char> input_ = std::vector<char>(1 << 16);
  ZSTD_inBuffer in_{nullptr, 0, 0};
  size_t left_ = 1;  // 0: at the end of a frame
};

}  // namespace

std::string_view WithoutCompression(std::string_view path) {
  for (const std::string_view end : {".gz", ".zst"}) {
    if (path.ends_with(end)) return path.substr(0, path.size() - end.size());
  }
  return path;
}

Result<std::unique_ptr<ByteSource>> ByteSource::Open(const std::string& path) {
  if (path == "-") return std::unique_ptr<ByteSource>(std::make_unique<PlainSource>(stdin, "stdin"));
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return InputError(path + ": is a directory");
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) return InputError(path + ": cannot open: " + std::strerror(errno));
  std::unique_ptr<ByteSource> plain = std::make_unique<PlainSource>(file, path);
  if (path.ends_with(".gz")) return std::unique_ptr<ByteSource>(std::make_unique<GzipSource>(std::move(plain), path));
  if (path.ends_with(".zst")) return std::unique_ptr<ByteSource>(std::make_unique<ZstdSource>(std::move(plain), path));
  return plain;
}

Result<LineSource> LineSource::Open(const std::string& path) {
  LineSource lines;
  TV_ASSIGN_OR_RETURN(lines.source_, ByteSource::Open(path));
  return lines;
}

Result<bool> LineSource::Next(std::string* line) {
  constexpr size_t kBlock = 1 << 16;
  size_t searched = start_;
  while (true) {
    const size_t newline = buffer_.find('\n', searched);
    if (newline != std::string::npos) {
      line->assign(buffer_, start_, newline + 1 - start_);
      start_ = newline + 1;
      return true;
    }
    if (ended_) {
      line->assign(buffer_, start_);
      buffer_.clear();
      start_ = 0;
      return !line->empty();
    }
    if (buffer_.size() - start_ > kMaxLine) {
      return InputError("a line of more than " + std::to_string(kMaxLine) + " bytes");
    }
    buffer_.erase(0, start_);
    start_ = 0;
    searched = buffer_.size();
    buffer_.resize(searched + kBlock);
    const Result<size_t> n = source_->Read(buffer_.data() + searched, kBlock);
    buffer_.resize(searched + (n.ok() ? *n : 0));
    if (!n.ok()) return n.status();
    ended_ = *n == 0;
  }
}

}  // namespace truevec::cli
