#include "cli/vector_writer.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace truevec::cli {
namespace {

// {"index":0,"embedding":[...]}
class JsonLinesWriter : public VectorWriter {
 public:
  explicit JsonLinesWriter(std::unique_ptr<AtomicFileWriter> file) : file_(std::move(file)) {}

  Status Write(const json::value& id, std::span<const float> vector) override {
    std::string line = id.is_null() ? "{\"index\":" + std::to_string(index_) : "{\"id\":" + WriteJson(id);
    line += ",\"embedding\":[";
    for (size_t i = 0; i < vector.size(); ++i) {
      if (i > 0) line += ',';
      AppendFloat(&line, vector[i]);
    }
    line += "]}\n";
    ++index_;
    if (file_ != nullptr) return file_->Write(line);
    if (std::fwrite(line.data(), 1, line.size(), stdout) != line.size()) {
      return ResourceError(std::string("stdout: cannot write: ") + std::strerror(errno));
    }
    return Status::Ok();
  }
  Status Commit() override { return file_ != nullptr ? file_->Commit() : Status::Ok(); }

 private:
  std::unique_ptr<AtomicFileWriter> file_;  // null: stdout
  int64_t index_ = 0;
};

// NumPy format 1.0 (numpy/lib/format.py). The row count is known at the end, so the 128-byte header is written again.
class NpyWriter : public VectorWriter {
 public:
  NpyWriter(std::unique_ptr<AtomicFileWriter> file, size_t width) : file_(std::move(file)), width_(width) {}

  Status Start() { return file_->Write(Header()); }
  Status Write(const json::value&, std::span<const float> vector) override {
    ++rows_;
    return file_->Write({reinterpret_cast<const char*>(vector.data()), vector.size_bytes()});
  }
  Status Commit() override {
    TV_RETURN_IF_ERROR(file_->WriteAt(0, Header()));
    return file_->Commit();
  }

 private:
  std::string Header() const {
    constexpr size_t kHeaderBytes = 128;
    std::string header("\x93NUMPY\x01\x00", 8);
    header += static_cast<char>(kHeaderBytes - 10);
    header += '\0';
    header += "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows_) + ", " +
              std::to_string(width_) + "), }";
    header.resize(kHeaderBytes - 1, ' ');
    return header + '\n';
  }
  std::unique_ptr<AtomicFileWriter> file_;
  size_t width_;
  int64_t rows_ = 0;
};

}  // namespace

Result<std::unique_ptr<VectorWriter>> VectorWriter::Create(const std::string& path, size_t width) {
  if (path.empty() || path == "-") return std::unique_ptr<VectorWriter>(std::make_unique<JsonLinesWriter>(nullptr));
  const bool npy = path.ends_with(".npy");
  const bool special = path.starts_with("/dev/");
  if (!npy && !special && !path.ends_with(".jsonl")) {
    return UsageError(path + ": unknown output format; expected .npy or .jsonl");
  }
  TV_ASSIGN_OR_RETURN(std::unique_ptr<AtomicFileWriter> file, AtomicFileWriter::Create(path));
  if (!npy) return std::unique_ptr<VectorWriter>(std::make_unique<JsonLinesWriter>(std::move(file)));
  auto writer = std::make_unique<NpyWriter>(std::move(file), width);
  TV_RETURN_IF_ERROR(writer->Start());
  return std::unique_ptr<VectorWriter>(std::move(writer));
}

}  // namespace truevec::cli
