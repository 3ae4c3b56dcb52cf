// Logs and traces of requests: one line a request (text or JSON), W3C traceparent, OTLP/HTTP export in JSON.
// https://www.w3.org/TR/trace-context/, https://opentelemetry.io/docs/specs/otlp/. Any thread.
#ifndef TRUEVEC_SERVER_TELEMETRY_H_
#define TRUEVEC_SERVER_TELEMETRY_H_

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "base/json.h"

namespace truevec {

// 128 and 64 random bits in hex; `sampled` and the parent come from the request's traceparent, when it has one.
struct TraceContext {
  std::string trace_id;
  std::string span_id;
  std::string parent_id;
  bool sampled = true;

  static TraceContext FromHeader(std::string_view traceparent);
  // "00-<trace>-<span>-01"
  std::string Header() const;
};

// Hex digits from the system's random numbers.
std::string RandomHex(size_t digits);

struct RequestRecord {
  std::string method;
  std::string path;
  std::string route;  // the route's pattern, for grouping
  std::string dialect;
  std::string request_id;
  std::string model;
  std::string peer;
  std::string error;
  int status = 200;
  size_t texts = 0;
  int64_t tokens = 0;
  int64_t truncated_texts = 0;
  std::chrono::nanoseconds duration{0}, queue_time{0}, tokenize_time{0}, inference_time{0};
  TraceContext trace;
  std::chrono::system_clock::time_point start;
};

struct TelemetryOptions {
  bool json = false;          // JSON lines instead of text
  bool log_requests = false;  // one line on stderr for each
  std::string otlp_endpoint;  // "http://collector:4318"; empty: no export
  std::string otlp_service_name = "truevec";
};

class Telemetry {
 public:
  explicit Telemetry(const TelemetryOptions& options);
  // Sends what is left, for two seconds at most.
  ~Telemetry();
  Telemetry(const Telemetry&) = delete;
  Telemetry& operator=(const Telemetry&) = delete;
  void Record(RequestRecord record);
  // A message of the server itself.
  void Log(std::string_view level, std::string_view message);

 private:
  void Export();
  json::object Spans(const std::deque<RequestRecord>& records) const;

  TelemetryOptions options_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<RequestRecord> records_;
  bool stopping_ = false;
  std::thread exporter_;
};

}  // namespace truevec

#endif  // TRUEVEC_SERVER_TELEMETRY_H_
