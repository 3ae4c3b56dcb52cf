// Status and Result<T>: how every part of truevec reports what the outside world got wrong.
//
// A Status is a code and one line of text that names what, where (file, key, tensor, line), expected and got.
// The code decides the exit code of the command line and the HTTP status of the server; both live in one table
// in status.cc (CONTRACT section 4). TV_CHECK (check.h) is for our own bugs only.
#ifndef TRUEVEC_BASE_STATUS_H_
#define TRUEVEC_BASE_STATUS_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace truevec {

enum class Code {
  kOk,
  kDifferent,     // compared, and different
  kUsage,         // wrong option or argument
  kModelRefused,  // unsupported, inconsistent or corrupt model
  kBadInput,      // input text, file or request body
  kEndpoint,      // endpoint or network
  kResource,      // memory, disk or a limit
  kInterrupted,   // SIGINT, cancelled, client gone
  kUnavailable,   // loading, draining or full: try again
  kInternal,      // our bug
};

// The process exit code and the HTTP status of `code` (one table, status.cc).
int ExitCode(Code code);
int HttpStatus(Code code);
std::string_view CodeName(Code code);

// Copyable; OK costs an empty string. Thread rule: as for std::string.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  static Status Ok() { return {}; }
  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }
  // The same error, told from further out: "<context>: <message>".
  Status WithContext(std::string_view context) const;

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

Status UsageError(std::string message);
Status ModelError(std::string message);
Status InputError(std::string message);
Status EndpointError(std::string message);
Status ResourceError(std::string message);
Status InternalError(std::string message);

// A value or a Status that is not OK. REQUIRES: value() only when ok().
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(Status status) : status_(std::move(status)) {  // NOLINT(google-explicit-constructor)
    TV_CHECK(!status_.ok());
  }
  Result(T value) : value_(std::move(value)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }
  T& value() & {
    TV_CHECK(value_.has_value());
    return *value_;
  }
  const T& value() const& {
    TV_CHECK(value_.has_value());
    return *value_;
  }
  T&& value() && {
    TV_CHECK(value_.has_value());
    return std::move(*value_);
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  Status status_;
  std::optional<T> value_;
};

#define TV_CONCAT_INNER(a, b) a##b
#define TV_CONCAT(a, b) TV_CONCAT_INNER(a, b)

// Returns from the calling function when `expr` (a Status) is not OK.
#define TV_RETURN_IF_ERROR(expr)                                   \
  do {                                                             \
    if (::truevec::Status tv_status_ = (expr); !tv_status_.ok()) { \
      return tv_status_;                                           \
    }                                                              \
  } while (false)

// `TV_ASSIGN_OR_RETURN(auto x, F());` where F returns Result<X>.
#define TV_ASSIGN_OR_RETURN(lhs, expr) TV_ASSIGN_OR_RETURN_IMPL(TV_CONCAT(tv_result_, __LINE__), lhs, expr)
#define TV_ASSIGN_OR_RETURN_IMPL(result, lhs, expr) \
  auto result = (expr);                             \
  if (!result.ok()) return result.status();         \
  lhs = std::move(result).value()

}  // namespace truevec

#endif  // TRUEVEC_BASE_STATUS_H_
