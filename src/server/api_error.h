// What can go wrong with a request, before a dialect says it in its own words: one table of kinds and HTTP statuses.
#ifndef TRUEVEC_SERVER_API_ERROR_H_
#define TRUEVEC_SERVER_API_ERROR_H_

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "base/json.h"
#include "engine/scheduler.h"

namespace truevec {

enum class ErrorKind {
  kMalformed,  // no JSON, invalid UTF-8, too deep
  kType,       // a field of the wrong type, or missing
  kValue,      // a value that is not allowed
  kEmpty,      // no texts
  kTooMany,    // texts
  kTooLong,    // a text that would be cut although the request forbids it
  kText,       // a text that the model cannot take
  kUnauthorized,
  kNoModel,
  kNoRoute,
  kMethod,
  kTooLarge,  // body
  kHeader,
  kMedia,       // content coding
  kWrongModel,  // the model cannot do what the route does
  kFull,
  kUnavailable,  // loading or stopping
  kLate,
  kGone,
  kInternal,
};

struct ApiError {
  ErrorKind kind = ErrorKind::kInternal;
  std::string message;
  std::string param = {};  // dotted JSON path, when one field is to blame
  std::chrono::milliseconds retry_after{0};
};

// The HTTP status where a dialect has none of its own.
int DefaultStatus(ErrorKind kind);
// From the HTTP layer's refusals.
ErrorKind KindOfStatus(int status);
// "overloaded", ...: the label in metrics and logs.
const char* KindName(ErrorKind kind);
// REQUIRES: result.outcome is not kDone.
ApiError ErrorOf(const TaskResult& result);

// A dialect: how errors are told.
struct Dialect {
  const char* name;
  // 0: the default.
  int (*status)(ErrorKind kind);
  json::value (*write)(const ApiError& error, int status);

  int StatusOf(ErrorKind kind) const {
    const int own = status == nullptr ? 0 : status(kind);
    return own == 0 ? DefaultStatus(kind) : own;
  }
};

// A value or an ApiError.
template <typename T>
class Expected {
 public:
  Expected(ApiError error) : value_(std::move(error)) {}  // NOLINT(google-explicit-constructor)
  Expected(T value) : value_(std::move(value)) {}         // NOLINT(google-explicit-constructor)
  bool ok() const { return std::holds_alternative<T>(value_); }
  const ApiError& error() const { return std::get<ApiError>(value_); }
  T& operator*() { return std::get<T>(value_); }
  T* operator->() { return &std::get<T>(value_); }

 private:
  std::variant<ApiError, T> value_;
};

}  // namespace truevec

#endif  // TRUEVEC_SERVER_API_ERROR_H_
