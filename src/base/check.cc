#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace truevec::internal {

void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "truevec: internal error: %s is false at %s:%d\n", condition, file, line);
  std::abort();
}

}  // namespace truevec::internal
