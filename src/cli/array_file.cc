#include "cli/array_file.h"

#include <array>
#include <cstring>

#include "base/file.h"

namespace truevec::cli {
namespace {

constexpr size_t kNpyHeaderBytes = 128;

std::array<uint32_t, 256> CrcTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t c = i;
    for (int k = 0; k < 8; ++k) c = (c & 1) != 0 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
    table[i] = c;
  }
  return table;
}

uint32_t Crc32(std::string_view bytes) {
  static const std::array<uint32_t, 256> table = CrcTable();
  uint32_t crc = 0xFFFFFFFFu;
  for (const char byte : bytes) crc = table[(crc ^ static_cast<unsigned char>(byte)) & 0xFF] ^ (crc >> 8);
  return crc ^ 0xFFFFFFFFu;
}

template <typename T>
void Append(T value, std::string* out) {
  for (size_t i = 0; i < sizeof(T); ++i) *out += static_cast<char>((static_cast<uint64_t>(value) >> (8 * i)) & 0xFF);
}

// The fields that local and central headers share (APPNOTE.TXT 4.3.7): version .. extra length.
std::string SharedHeader(std::string_view name, uint32_t crc, uint32_t size) {
  std::string header;
  Append<uint16_t>(20, &header);
  Append<uint16_t>(0, &header);
  Append<uint16_t>(0, &header);     // stored
  Append<uint16_t>(0, &header);     // time
  Append<uint16_t>(0x21, &header);  // 1980-01-01
  Append<uint32_t>(crc, &header);
  Append<uint32_t>(size, &header);
  Append<uint32_t>(size, &header);
  Append<uint16_t>(static_cast<uint16_t>(name.size()), &header);
  Append<uint16_t>(0, &header);
  return header;
}

// The integers of "'shape': (3, 4)".
std::vector<int64_t> ShapeOf(std::string_view header) {
  std::vector<int64_t> shape;
  const size_t open = header.find('(');
  const size_t close = header.find(')', open);
  if (open == std::string_view::npos || close == std::string_view::npos) return shape;
  int64_t value = -1;
  for (const char c : header.substr(open + 1, close - open)) {
    if (c >= '0' && c <= '9') {
      value = (value < 0 ? 0 : value) * 10 + (c - '0');
    } else if (value >= 0) {
      shape.push_back(value);
      value = -1;
    }
  }
  return shape;
}

}  // namespace

std::string NpyHeader(std::string_view descr, std::string_view shape) {
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(kNpyHeaderBytes - 10);
  header += '\0';
  header += "{'descr': '" + std::string(descr) + "', 'fortran_order': False, 'shape': (" + std::string(shape) + "), }";
  header.resize(kNpyHeaderBytes - 1, ' ');
  return header + '\n';
}

void NpzBuilder::Add(std::string_view name, std::string_view descr, std::string_view shape, std::string_view bytes) {
  const std::string file = std::string(name) + ".npy";
  const std::string content = NpyHeader(descr, shape) + std::string(bytes);
  const std::string shared = SharedHeader(file, Crc32(content), static_cast<uint32_t>(content.size()));
  const auto offset = static_cast<uint32_t>(data_.size());
  data_ += "PK\x03\x04" + shared + file + content;
  directory_ += "PK\x01\x02";
  Append<uint16_t>(20, &directory_);
  directory_ += shared;
  Append<uint16_t>(0, &directory_);  // comment
  Append<uint16_t>(0, &directory_);  // disk
  Append<uint16_t>(0, &directory_);  // internal attributes
  Append<uint32_t>(0, &directory_);  // external attributes
  Append<uint32_t>(offset, &directory_);
  directory_ += file;
  ++count_;
}

std::string NpzBuilder::Finish() {
  std::string end = "PK\x05\x06";
  Append<uint32_t>(0, &end);
  Append<uint16_t>(count_, &end);
  Append<uint16_t>(count_, &end);
  Append<uint32_t>(static_cast<uint32_t>(directory_.size()), &end);
  Append<uint32_t>(static_cast<uint32_t>(data_.size()), &end);
  Append<uint16_t>(0, &end);
  return data_ + directory_ + end;
}

Result<FloatMatrix> ReadNpy(const std::string& path) {
  TV_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, Code::kBadInput));
  if (bytes.size() < 12 || bytes.compare(0, 6, "\x93NUMPY") != 0) return InputError(path + ": not a .npy file");
  const bool first = bytes[6] == 1;
  uint32_t length = 0;
  std::memcpy(&length, bytes.data() + 8, first ? 2 : 4);
  const size_t start = (first ? 10 : 12) + size_t{length};
  if (start > bytes.size()) return InputError(path + ": the .npy header is cut off");
  const std::string_view header = std::string_view(bytes).substr(10, start - 10);
  const bool wide = header.find("'<f8'") != std::string_view::npos;
  const std::vector<int64_t> shape = ShapeOf(header);
  if ((!wide && header.find("'<f4'") == std::string_view::npos) || shape.size() != 2 ||
      header.find("'fortran_order': False") == std::string_view::npos) {
    return InputError(path + ": expected a float32 or float64 matrix in C order");
  }
  FloatMatrix matrix;
  matrix.rows = shape[0];
  matrix.cols = shape[1];
  const size_t width = wide ? 8 : 4;
  const size_t available = (bytes.size() - start) / width;
  if (matrix.cols <= 0 || matrix.rows < 0 ||
      static_cast<uint64_t>(matrix.rows) > available / static_cast<uint64_t>(matrix.cols)) {
    return InputError(path + ": shorter than its shape says");
  }
  matrix.values.resize(static_cast<size_t>(matrix.rows * matrix.cols));
  if (!wide) {
    std::memcpy(matrix.values.data(), bytes.data() + start, matrix.values.size() * 4);
    return matrix;
  }
  for (size_t i = 0; i < matrix.values.size(); ++i) {
    double value = 0;
    std::memcpy(&value, bytes.data() + start + i * 8, 8);
    matrix.values[i] = static_cast<float>(value);
  }
  return matrix;
}

Status WriteWholeFile(const std::string& path, std::string_view bytes) {
  TV_ASSIGN_OR_RETURN(const std::unique_ptr<AtomicFileWriter> file, AtomicFileWriter::Create(path));
  TV_RETURN_IF_ERROR(file->Write(bytes));
  return file->Commit();
}

}  // namespace truevec::cli
