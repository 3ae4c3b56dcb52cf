#include "base/status.h"

#include <array>

namespace truevec {
namespace {

struct CodeRow {
  Code code;
  std::string_view name;
  int exit_code;
  int http_status;
};

// CONTRACT section 4: the one table of exit codes and HTTP statuses.
constexpr std::array<CodeRow, 10> kCodes = {{
    {Code::kOk, "ok", 0, 200},
    {Code::kDifferent, "different", 1, 200},
    {Code::kUsage, "usage", 2, 400},
    {Code::kModelRefused, "model_refused", 3, 500},
    {Code::kBadInput, "bad_input", 4, 400},
    {Code::kEndpoint, "endpoint", 5, 424},
    {Code::kResource, "resource", 6, 413},
    {Code::kInterrupted, "interrupted", 130, 499},
    {Code::kUnavailable, "unavailable", 5, 503},
    {Code::kInternal, "internal", 70, 500},
}};

const CodeRow& Row(Code code) {
  for (const CodeRow& row : kCodes) {
    if (row.code == code) return row;
  }
  return kCodes.back();
}

}  // namespace

int ExitCode(Code code) { return Row(code).exit_code; }
int HttpStatus(Code code) { return Row(code).http_status; }
std::string_view CodeName(Code code) { return Row(code).name; }

Status Status::WithContext(std::string_view context) const {
  if (ok()) return *this;
  return {code_, std::string(context) + ": " + message_};
}

Status UsageError(std::string message) { return {Code::kUsage, std::move(message)}; }
Status ModelError(std::string message) { return {Code::kModelRefused, std::move(message)}; }
Status InputError(std::string message) { return {Code::kBadInput, std::move(message)}; }
Status EndpointError(std::string message) { return {Code::kEndpoint, std::move(message)}; }
Status ResourceError(std::string message) { return {Code::kResource, std::move(message)}; }
Status InternalError(std::string message) { return {Code::kInternal, std::move(message)}; }

}  // namespace truevec
