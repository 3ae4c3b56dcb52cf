// Writes vectors in order: .jsonl lines or a .npy float32 matrix. Files appear whole or not at all.
#ifndef TRUEVEC_CLI_VECTOR_WRITER_H_
#define TRUEVEC_CLI_VECTOR_WRITER_H_

#include <memory>
#include <span>
#include <string>

#include "base/file.h"
#include "base/json.h"
#include "base/status.h"

namespace truevec::cli {

class VectorWriter {
 public:
  // "-" writes .jsonl to stdout. `width`: floats per vector.
  static Result<std::unique_ptr<VectorWriter>> Create(const std::string& path, size_t width);
  virtual ~VectorWriter() = default;
  // `id` null: the line carries "index", counted from 0.
  virtual Status Write(const json::value& id, std::span<const float> vector) = 0;
  virtual Status Commit() = 0;
};

}  // namespace truevec::cli

#endif  // TRUEVEC_CLI_VECTOR_WRITER_H_
