// TV_CHECK: stops the process on a bug of ours. Never for bad input, files or requests: those get a Status.
#ifndef TRUEVEC_BASE_CHECK_H_
#define TRUEVEC_BASE_CHECK_H_

namespace truevec::internal {
[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);
}  // namespace truevec::internal

#define TV_CHECK(condition)                                             \
  do {                                                                  \
    if (!(condition)) [[unlikely]]                                      \
      ::truevec::internal::CheckFailed(#condition, __FILE__, __LINE__); \
  } while (false)

#endif  // TRUEVEC_BASE_CHECK_H_
