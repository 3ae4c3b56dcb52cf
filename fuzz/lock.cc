// Lock files of any bytes: refused, or written again and read to the same.
#include "verify/lock.h"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto lock = truevec::ParseLock(text, "fuzz.lock.json");
  if (!lock.ok()) {
    if (lock.status().code() != truevec::Code::kBadInput) std::abort();
    return 0;
  }
  const std::string written = truevec::WriteLock(*lock);
  const auto again = truevec::ParseLock(written, "again.lock.json");
  if (!again.ok() || truevec::WriteLock(*again) != written) std::abort();
  return 0;
}
