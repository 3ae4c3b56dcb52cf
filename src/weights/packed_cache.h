// PackedCache: a file of one checkpoint's packed matrices, so that the next start maps them instead of packing them
// again. Only ever a copy: it is used when it is whole (checksums), of the same files (size, times, inode), packed by
// the same code for the same instruction set, and ours; otherwise it is ignored and, where that works, written anew.
// Nothing about it is an error to the caller.
#ifndef TRUEVEC_WEIGHTS_PACKED_CACHE_H_
#define TRUEVEC_WEIGHTS_PACKED_CACHE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "tensor/ops.h"
#include "weights/weight_scope.h"

namespace truevec {

struct PackedCacheOptions {
  std::string directory;  // empty: no cache
  bool read = true;       // false: written anew whatever is there
  // Checkpoints younger than this are not cached: a file's times are too coarse to tell two writes in a row apart.
  double min_age_seconds = 2;
  uint64_t max_file_bytes = uint64_t{2} << 30;   // a larger model is not cached
  uint64_t max_total_bytes = uint64_t{4} << 30;  // of the directory; the files that were used longest ago go first
};

class PackedCache {
 public:
  // `variant`: what else packing depends on (dtype). Null when there is nothing to do. A file that is found is checked
  // byte by byte on a thread of its own.
  static std::unique_ptr<PackedCache> Open(const PackedCacheOptions& options, const WeightStore& store,
                                           const std::string& variant);
  virtual ~PackedCache() = default;
  // The matrix kept under `name`; it reads the mapped file. Not for concurrent use.
  virtual std::optional<Linear> Find(std::string_view name) = 0;
  // Writes a matrix of a checkpoint that is not cached; does nothing while one is read.
  virtual void Add(std::string_view name, const Linear& linear) = 0;
  // When all matrices are loaded. False: the file that was read is damaged and gone, and what Find gave must not be
  // used.
  virtual bool Finish() = 0;
};

}  // namespace truevec

#endif  // TRUEVEC_WEIGHTS_PACKED_CACHE_H_
