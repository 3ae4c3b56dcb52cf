#include "server/api_error.h"

namespace truevec {
namespace {

struct KindRow {
  ErrorKind kind;
  int status;
  const char* name;
};

constexpr KindRow kKinds[] = {
    {ErrorKind::kMalformed, 400, "malformed"},
    {ErrorKind::kType, 400, "validation"},
    {ErrorKind::kValue, 400, "validation"},
    {ErrorKind::kEmpty, 400, "validation"},
    {ErrorKind::kTooMany, 400, "batch_size"},
    {ErrorKind::kTooLong, 400, "tokenization"},
    {ErrorKind::kText, 422, "tokenization"},
    {ErrorKind::kUnauthorized, 401, "unauthorized"},
    {ErrorKind::kNoModel, 404, "no_model"},
    {ErrorKind::kNoRoute, 404, "no_route"},
    {ErrorKind::kMethod, 405, "method"},
    {ErrorKind::kTooLarge, 413, "too_large"},
    {ErrorKind::kHeader, 431, "header"},
    {ErrorKind::kMedia, 415, "media"},
    {ErrorKind::kWrongModel, 400, "model_type"},
    {ErrorKind::kFull, 429, "overloaded"},
    {ErrorKind::kUnavailable, 503, "unavailable"},
    {ErrorKind::kLate, 504, "dropped"},
    {ErrorKind::kGone, 499, "dropped"},
    {ErrorKind::kInternal, 500, "inference"},
};

}  // namespace

int DefaultStatus(ErrorKind kind) {
  for (const KindRow& row : kKinds) {
    if (row.kind == kind) return row.status;
  }
  return 500;
}

const char* KindName(ErrorKind kind) {
  for (const KindRow& row : kKinds) {
    if (row.kind == kind) return row.name;
  }
  return "inference";
}

ErrorKind KindOfStatus(int status) {
  for (const KindRow& row : kKinds) {
    if (row.status == status) return row.kind;
  }
  return ErrorKind::kInternal;
}

ApiError ErrorOf(const TaskResult& result) {
  ApiError error;
  error.message = result.status.message();
  error.retry_after = result.retry_after;
  switch (result.outcome) {
    case TaskOutcome::kTooLong:
      error.kind = ErrorKind::kTooLong;
      break;
    case TaskOutcome::kFull:
      error.kind = ErrorKind::kFull;
      break;
    case TaskOutcome::kStopping:
      error.kind = ErrorKind::kUnavailable;
      error.retry_after = std::chrono::seconds(1);
      break;
    case TaskOutcome::kLate:
      error.kind = ErrorKind::kLate;
      break;
    case TaskOutcome::kGone:
      error.kind = ErrorKind::kGone;
      break;
    case TaskOutcome::kDone:
    case TaskOutcome::kFailed:
      switch (result.status.code()) {
        case Code::kBadInput:
          error.kind = ErrorKind::kText;
          break;
        case Code::kUsage:
          error.kind = ErrorKind::kValue;
          break;
        default:
          error.kind = ErrorKind::kInternal;
          break;
      }
      break;
  }
  return error;
}

}  // namespace truevec
