// Writes vectors in order, as float32 or quantised: .jsonl lines, .csv rows, or a .npy, .npz or .safetensors matrix.
// Files appear whole or not at all.
#ifndef TRUEVEC_CLI_VECTOR_WRITER_H_
#define TRUEVEC_CLI_VECTOR_WRITER_H_

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/file.h"
#include "base/json.h"
#include "base/status.h"
#include "pipeline/quantize.h"

namespace truevec::cli {

struct VectorFormat {
  Precision precision = Precision::kFloat32;
  // For int8 and uint8; without them the writer keeps all vectors and takes the ranges of the whole result.
  std::optional<QuantizationRanges> ranges;
};

class VectorWriter {
 public:
  // "-" writes .jsonl to stdout. `width`: floats per vector.
  static Result<std::unique_ptr<VectorWriter>> Create(const std::string& path, size_t width,
                                                      const VectorFormat& format = {});
  virtual ~VectorWriter() = default;
  // `id` null: the line carries "index", counted from 0.
  virtual Status Write(const json::value& id, std::span<const float> vector) = 0;
  virtual Status Commit() = 0;
};

// Lines to a file, or to stdout for "-".
class LineSink {
 public:
  static Result<LineSink> Open(const std::string& path);
  Status Write(std::string_view text);
  Status Commit();

 private:
  std::unique_ptr<AtomicFileWriter> file_;  // null: stdout
};
// "{\"index\":3" or "{\"id\":\"a\"".
std::string LineStart(const json::value& id, int64_t index);

}  // namespace truevec::cli

#endif  // TRUEVEC_CLI_VECTOR_WRITER_H_
