#include "cli/vector_writer.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "cli/array_file.h"

namespace truevec::cli {
namespace {

struct Layout {
  Precision precision;
  size_t width;
  size_t row_bytes;
  bool is_signed() const { return precision == Precision::kInt8 || precision == Precision::kBinary; }
  size_t columns() const { return precision == Precision::kFloat32 ? width : row_bytes; }
  std::string_view numpy() const {
    if (precision == Precision::kFloat32) return "<f4";
    return is_signed() ? "|i1" : "|u1";
  }
};

// "0.5,1,-2" of one encoded row.
void AppendValues(const Layout& layout, std::span<const uint8_t> row, std::string* out) {
  for (size_t i = 0; i < layout.columns(); ++i) {
    if (i > 0) *out += ',';
    if (layout.precision == Precision::kFloat32) {
      float value = 0;
      std::memcpy(&value, row.data() + i * 4, 4);
      AppendFloat(out, value);
    } else {
      *out += std::to_string(layout.is_signed() ? static_cast<int>(static_cast<int8_t>(row[i])) : row[i]);
    }
  }
}

// Takes rows that are already in their final element type.
class RowWriter {
 public:
  virtual ~RowWriter() = default;
  virtual Status Start() { return Status::Ok(); }
  virtual Status Row(const json::value& id, std::span<const uint8_t> row) = 0;
  virtual Status Commit() = 0;
};

// {"index":0,"embedding":[...]}
class JsonLinesWriter : public RowWriter {
 public:
  JsonLinesWriter(LineSink sink, Layout layout) : sink_(std::move(sink)), layout_(layout) {}
  Status Row(const json::value& id, std::span<const uint8_t> row) override {
    std::string line = LineStart(id, index_++) + ",\"embedding\":[";
    AppendValues(layout_, row, &line);
    return sink_.Write(line + "]}\n");
  }
  Status Commit() override { return sink_.Commit(); }

 private:
  LineSink sink_;
  Layout layout_;
  int64_t index_ = 0;
};

// One row of numbers per vector, the id first when there are ids.
class CsvWriter : public RowWriter {
 public:
  CsvWriter(LineSink sink, Layout layout) : sink_(std::move(sink)), layout_(layout) {}
  Status Row(const json::value& id, std::span<const uint8_t> row) override {
    std::string line;
    if (!id.is_null()) line = CsvField(id.is_string() ? std::string(id.get_string()) : WriteJson(id)) + ",";
    AppendValues(layout_, row, &line);
    return sink_.Write(line + "\n");
  }
  Status Commit() override { return sink_.Commit(); }

 private:
  static std::string CsvField(const std::string& text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string quoted = "\"";
    for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
    return quoted + "\"";
  }
  LineSink sink_;
  Layout layout_;
};

// Raw rows behind a header of fixed size that is written again when the row count is known.
class MatrixWriter : public RowWriter {
 public:
  using Header = std::string (*)(const Layout& layout, int64_t rows);
  MatrixWriter(std::unique_ptr<AtomicFileWriter> file, Layout layout, Header header)
      : file_(std::move(file)), layout_(layout), header_(header) {}
  Status Start() override { return file_->Write(header_(layout_, 0)); }
  Status Row(const json::value&, std::span<const uint8_t> row) override {
    ++rows_;
    return file_->Write({reinterpret_cast<const char*>(row.data()), row.size()});
  }
  Status Commit() override {
    TV_RETURN_IF_ERROR(file_->WriteAt(0, header_(layout_, rows_)));
    return file_->Commit();
  }

 private:
  std::unique_ptr<AtomicFileWriter> file_;
  Layout layout_;
  Header header_;
  int64_t rows_ = 0;
};

std::string NpyMatrixHeader(const Layout& layout, int64_t rows) {
  return NpyHeader(layout.numpy(), std::to_string(rows) + ", " + std::to_string(layout.columns()));
}

// 8-byte length and a JSON header padded with spaces (github.com/huggingface/safetensors, "Format").
std::string SafetensorsHeader(const Layout& layout, int64_t rows) {
  constexpr size_t kHeaderBytes = 256;
  const std::string_view dtype = layout.precision == Precision::kFloat32 ? "F32" : layout.is_signed() ? "I8" : "U8";
  std::string text = "{\"embeddings\":{\"dtype\":\"" + std::string(dtype) + "\",\"shape\":[" + std::to_string(rows) +
                     "," + std::to_string(layout.columns()) + "],\"data_offsets\":[0," +
                     std::to_string(static_cast<uint64_t>(rows) * layout.row_bytes) + "]}}";
  text.resize(kHeaderBytes, ' ');
  std::string length(8, '\0');
  for (size_t i = 0; i < 8; ++i) length[i] = static_cast<char>((kHeaderBytes >> (8 * i)) & 0xFF);
  return length + text;
}

class NpzWriter : public RowWriter {
 public:
  NpzWriter(std::string path, Layout layout) : path_(std::move(path)), layout_(layout) {}
  Status Row(const json::value&, std::span<const uint8_t> row) override {
    data_.append(reinterpret_cast<const char*>(row.data()), row.size());
    ++rows_;
    return Status::Ok();
  }
  Status Commit() override {
    NpzBuilder archive;
    archive.Add("embeddings", layout_.numpy(), std::to_string(rows_) + ", " + std::to_string(layout_.columns()), data_);
    return WriteWholeFile(path_, archive.Finish());
  }

 private:
  std::string path_;
  Layout layout_;
  std::string data_;
  int64_t rows_ = 0;
};

// Encodes rows; waits for all of them when the ranges are those of the whole result.
class EncodingWriter : public VectorWriter {
 public:
  EncodingWriter(std::unique_ptr<RowWriter> rows, Layout layout, std::optional<QuantizationRanges> ranges)
      : rows_(std::move(rows)),
        layout_(layout),
        ranges_(std::move(ranges)),
        collector_(static_cast<int64_t>(layout.width)),
        waiting_(NeedsRanges(layout.precision) && !ranges_.has_value()) {}

  Status Write(const json::value& id, std::span<const float> vector) override {
    if (!waiting_) return WriteNow(id, vector);
    collector_.Add(vector);
    ids_.push_back(id);
    kept_.insert(kept_.end(), vector.begin(), vector.end());
    return Status::Ok();
  }
  Status Commit() override {
    if (waiting_ && !ids_.empty()) {
      TV_ASSIGN_OR_RETURN(ranges_, collector_.Finish());
      for (size_t i = 0; i < ids_.size(); ++i) {
        TV_RETURN_IF_ERROR(WriteNow(ids_[i], std::span<const float>(kept_).subspan(i * layout_.width, layout_.width)));
      }
    }
    return rows_->Commit();
  }

 private:
  Status WriteNow(const json::value& id, std::span<const float> vector) {
    buffer_.resize(layout_.row_bytes);
    static const QuantizationRanges kNone;
    Quantize(layout_.precision, vector, ranges_.has_value() ? *ranges_ : kNone, buffer_.data());
    return rows_->Row(id, buffer_);
  }
  std::unique_ptr<RowWriter> rows_;
  Layout layout_;
  std::optional<QuantizationRanges> ranges_;
  RangeCollector collector_;
  bool waiting_;
  std::vector<json::value> ids_;
  std::vector<float> kept_;
  std::vector<uint8_t> buffer_;
};

Result<std::unique_ptr<RowWriter>> OpenRows(const std::string& path, const Layout& layout) {
  const bool special = path.starts_with("/dev/");
  if (path.empty() || path == "-" || path.ends_with(".jsonl") || (special && !path.ends_with(".npy"))) {
    TV_ASSIGN_OR_RETURN(LineSink sink, LineSink::Open(path));
    return std::unique_ptr<RowWriter>(std::make_unique<JsonLinesWriter>(std::move(sink), layout));
  }
  if (path.ends_with(".csv")) {
    TV_ASSIGN_OR_RETURN(LineSink sink, LineSink::Open(path));
    return std::unique_ptr<RowWriter>(std::make_unique<CsvWriter>(std::move(sink), layout));
  }
  if (path.ends_with(".npz")) return std::unique_ptr<RowWriter>(std::make_unique<NpzWriter>(path, layout));
  const bool npy = path.ends_with(".npy");
  if (!npy && !path.ends_with(".safetensors")) {
    return UsageError(path + ": unknown output format; expected .npy, .npz, .jsonl, .csv or .safetensors");
  }
  TV_ASSIGN_OR_RETURN(std::unique_ptr<AtomicFileWriter> file, AtomicFileWriter::Create(path));
  return std::unique_ptr<RowWriter>(
      std::make_unique<MatrixWriter>(std::move(file), layout, npy ? NpyMatrixHeader : SafetensorsHeader));
}

}  // namespace

Result<LineSink> LineSink::Open(const std::string& path) {
  LineSink sink;
  if (path.empty() || path == "-") return sink;
  TV_ASSIGN_OR_RETURN(sink.file_, AtomicFileWriter::Create(path));
  return sink;
}

Status LineSink::Write(std::string_view text) {
  if (file_ != nullptr) return file_->Write(text);
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size()) return Status::Ok();
  return ResourceError(std::string("stdout: cannot write: ") + std::strerror(errno));
}

Status LineSink::Commit() { return file_ != nullptr ? file_->Commit() : Status::Ok(); }

std::string LineStart(const json::value& id, int64_t index) {
  return id.is_null() ? "{\"index\":" + std::to_string(index) : "{\"id\":" + WriteJson(id);
}

Result<std::unique_ptr<VectorWriter>> VectorWriter::Create(const std::string& path, size_t width,
                                                           const VectorFormat& format) {
  const Layout layout{format.precision, width,
                      static_cast<size_t>(QuantizedBytes(format.precision, static_cast<int64_t>(width)))};
  if (format.ranges.has_value() && format.ranges->low.size() != width) {
    return InputError("the calibration vectors have " + std::to_string(format.ranges->low.size()) +
                      " values, the model's " + std::to_string(width));
  }
  TV_ASSIGN_OR_RETURN(std::unique_ptr<RowWriter> rows, OpenRows(path, layout));
  TV_RETURN_IF_ERROR(rows->Start());
  return std::unique_ptr<VectorWriter>(std::make_unique<EncodingWriter>(std::move(rows), layout, format.ranges));
}

}  // namespace truevec::cli
