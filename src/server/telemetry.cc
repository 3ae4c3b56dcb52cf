#include "server/telemetry.h"

#include <sys/random.h>

#include <cctype>
#include <cstdio>
#include <ctime>

#include "net/http_client.h"

namespace truevec {
namespace {

constexpr size_t kMaxSpans = 4096;  // that wait for a collector; later ones are dropped

std::string Timestamp(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count() % 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[40];
  const size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text + length, sizeof text - length, ".%03dZ", static_cast<int>(millis));
  return text;
}

double Millis(std::chrono::nanoseconds time) { return std::chrono::duration<double, std::milli>(time).count(); }

bool IsHex(std::string_view text) {
  for (const char c : text) {
    if (!std::isdigit(static_cast<unsigned char>(c)) && (c < 'a' || c > 'f')) return false;
  }
  return true;
}

void WriteLine(const std::string& line) { std::fwrite(line.data(), 1, line.size(), stderr); }

std::string Nanos(std::chrono::system_clock::time_point time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count());
}

json::object Text(const char* key, std::string_view value) {
  return {{"key", key}, {"value", json::object{{"stringValue", value}}}};
}
json::object Int(const char* key, int64_t value) {
  return {{"key", key}, {"value", json::object{{"intValue", std::to_string(value)}}}};
}

}  // namespace

std::string RandomHex(size_t digits) {
  unsigned char bytes[32] = {};
  size_t filled = 0;
  while (filled < sizeof bytes) {
    const ssize_t got = getrandom(bytes + filled, sizeof bytes - filled, 0);
    if (got > 0) filled += static_cast<size_t>(got);
  }
  std::string text;
  for (size_t i = 0; i < digits; ++i) text += "0123456789abcdef"[(i % 2 == 0 ? bytes[i / 2] >> 4 : bytes[i / 2]) & 15];
  return text;
}

TraceContext TraceContext::FromHeader(std::string_view header) {
  TraceContext context;
  context.span_id = RandomHex(16);
  const bool valid = header.size() >= 55 && header[2] == '-' && header[35] == '-' && header[52] == '-' &&
                     header.substr(0, 2) != "ff" && IsHex(header.substr(0, 2)) && IsHex(header.substr(3, 32)) &&
                     IsHex(header.substr(36, 16)) && IsHex(header.substr(53, 2)) &&
                     header.substr(3, 32) != std::string(32, '0') && header.substr(36, 16) != std::string(16, '0');
  if (!valid) {
    context.trace_id = RandomHex(32);
    return context;
  }
  context.trace_id = std::string(header.substr(3, 32));
  context.parent_id = std::string(header.substr(36, 16));
  const char flags = header[54];
  const int value = flags <= '9' ? flags - '0' : flags - 'a' + 10;
  context.sampled = (value & 1) != 0;
  return context;
}

std::string TraceContext::Header() const { return "00-" + trace_id + "-" + span_id + (sampled ? "-01" : "-00"); }

Telemetry::Telemetry(const TelemetryOptions& options) : options_(options) {
  if (!options_.otlp_endpoint.empty()) exporter_ = std::thread([this] { Export(); });
}

Telemetry::~Telemetry() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (exporter_.joinable()) exporter_.join();
}

void Telemetry::Log(std::string_view level, std::string_view message) {
  if (!options_.json) return WriteLine("truevec: " + std::string(message) + "\n");
  WriteLine(WriteJson(json::object{
                {"time", Timestamp(std::chrono::system_clock::now())}, {"level", level}, {"message", message}}) +
            "\n");
}

void Telemetry::Record(RequestRecord record) {
  if (options_.log_requests && options_.json) {
    json::object line{{"time", Timestamp(record.start)},
                      {"level", record.status >= 500 ? "error" : "info"},
                      {"message", "request"},
                      {"request_id", record.request_id},
                      {"trace_id", record.trace.trace_id},
                      {"peer", record.peer},
                      {"method", record.method},
                      {"path", record.path},
                      {"dialect", record.dialect},
                      {"model", record.model},
                      {"status", record.status},
                      {"texts", record.texts},
                      {"tokens", record.tokens},
                      {"truncated_texts", record.truncated_texts},
                      {"total_ms", Millis(record.duration)},
                      {"queue_ms", Millis(record.queue_time)},
                      {"tokenization_ms", Millis(record.tokenize_time)},
                      {"inference_ms", Millis(record.inference_time)}};
    if (!record.error.empty()) line["error"] = record.error;
    WriteLine(WriteJson(line) + "\n");
  } else if (options_.log_requests) {
    char numbers[96];
    std::snprintf(numbers, sizeof numbers, "%d %zu texts %lld tokens %.1f ms", record.status, record.texts,
                  static_cast<long long>(record.tokens), Millis(record.duration));
    WriteLine("truevec: " + Timestamp(record.start) + ' ' + record.peer + ' ' + record.method + ' ' + record.path +
              ' ' + numbers + ' ' + record.request_id + (record.error.empty() ? "" : " " + record.error) + "\n");
  }
  if (options_.otlp_endpoint.empty() || !record.trace.sampled) return;
  const std::lock_guard lock(mutex_);
  if (records_.size() >= kMaxSpans) return;
  records_.push_back(std::move(record));
  if (records_.size() == 256) wake_.notify_one();
}

// Names follow OpenTelemetry's HTTP and GenAI conventions (operation "embeddings").
json::object Telemetry::Spans(const std::deque<RequestRecord>& records) const {
  json::array spans;
  for (const RequestRecord& record : records) {
    json::array attributes{Text("http.request.method", record.method), Text("url.path", record.path),
                           Text("http.route", record.route),           Int("http.response.status_code", record.status),
                           Text("client.address", record.peer),        Text("truevec.request_id", record.request_id),
                           Text("truevec.dialect", record.dialect)};
    if (!record.model.empty()) {
      attributes.push_back(Text("gen_ai.operation.name", "embeddings"));
      attributes.push_back(Text("gen_ai.request.model", record.model));
      attributes.push_back(Int("gen_ai.usage.input_tokens", record.tokens));
      attributes.push_back(Int("truevec.queue_time_us", record.queue_time.count() / 1000));
      attributes.push_back(Int("truevec.inference_time_us", record.inference_time.count() / 1000));
    }
    json::object span{
        {"traceId", record.trace.trace_id},
        {"spanId", record.trace.span_id},
        {"name", record.method + " " + record.route},
        {"kind", 2},
        {"startTimeUnixNano", Nanos(record.start)},
        {"endTimeUnixNano",
         Nanos(record.start + std::chrono::duration_cast<std::chrono::system_clock::duration>(record.duration))},
        {"attributes", std::move(attributes)},
        {"status", json::object{{"code", record.status >= 500 ? 2 : 0}}}};
    if (!record.trace.parent_id.empty()) span["parentSpanId"] = record.trace.parent_id;
    spans.push_back(std::move(span));
  }
  const json::object scope{{"scope", json::object{{"name", "truevec"}}}, {"spans", std::move(spans)}};
  const json::object resource{
      {"resource", json::object{{"attributes", json::array{Text("service.name", options_.otlp_service_name)}}}},
      {"scopeSpans", json::array{scope}}};
  return {{"resourceSpans", json::array{resource}}};
}

void Telemetry::Export() {
  const auto url = Url::Parse(options_.otlp_endpoint);
  if (!url.ok()) return Log("error", "OTLP export is off: " + url.status().message());
  const bool whole = url->path.ends_with("/v1/traces");
  bool failing = false;
  for (;;) {
    std::deque<RequestRecord> records;
    bool last = false;
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, std::chrono::seconds(1), [this] { return stopping_ || records_.size() >= 256; });
      records.swap(records_);
      last = stopping_;
    }
    if (!records.empty()) {
      HttpCall request;
      request.method = "POST";
      request.path = whole ? "" : "/v1/traces";
      request.body = WriteJson(Spans(records));
      request.headers["content-type"] = "application/json";
      auto client = HttpClient::Create(*url, last ? 2 : 10);
      if (!client.ok()) return Log("error", "OTLP export is off: " + client.status().message());
      const auto response = (*client)->Send(request);
      const bool failed = !response.ok() || response->status >= 300;
      if (failed && !failing) {
        Log("warning", "OTLP export failed: " + (response.ok() ? "status " + std::to_string(response->status)
                                                               : response.status().message()));
      }
      failing = failed;
    }
    if (last) return;
  }
}

}  // namespace truevec
