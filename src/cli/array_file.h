// NumPy files: .npy headers (numpy/lib/format.py 1.0), .npz archives (ZIP, stored) with SciPy's CSR layout, and reading
// a float32 .npy matrix.
#ifndef TRUEVEC_CLI_ARRAY_FILE_H_
#define TRUEVEC_CLI_ARRAY_FILE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace truevec::cli {

// `descr` is NumPy's: "<f4", "|i1", "<i8"; `shape` without parentheses: "3, 384" or "5,". Always 128 bytes.
std::string NpyHeader(std::string_view descr, std::string_view shape);

// A ZIP archive without compression, built in memory.
class NpzBuilder {
 public:
  // Adds `name`.npy with raw little-endian elements.
  void Add(std::string_view name, std::string_view descr, std::string_view shape, std::string_view bytes);
  std::string Finish();

 private:
  std::string data_;
  std::string directory_;
  uint16_t count_ = 0;
};

struct FloatMatrix {
  std::vector<float> values;
  int64_t rows = 0;
  int64_t cols = 0;
};
// A two-dimensional C-order "<f4" or "<f8" .npy file.
Result<FloatMatrix> ReadNpy(const std::string& path);

// Writes `bytes` to `path` atomically; "-" is refused by callers.
Status WriteWholeFile(const std::string& path, std::string_view bytes);

}  // namespace truevec::cli

#endif  // TRUEVEC_CLI_ARRAY_FILE_H_
