// https://prometheus.io/docs/specs/om/open_metrics_spec/; TEI's names: router/src/prometheus.rs and http/server.rs.
#include "server/metrics.h"

#include "base/json.h"

namespace truevec {
namespace {

std::string Number(double value) {
  std::string text;
  AppendDouble(&text, value);
  return text;
}

void Sample(std::string* out, const std::string& name, const std::string& labels, const std::string& value) {
  *out += name;
  if (!labels.empty()) *out += '{' + labels + '}';
  *out += ' ' + value + '\n';
}

double Seconds(std::chrono::nanoseconds time) { return std::chrono::duration<double>(time).count(); }

// Writes families; OpenMetrics names a counter's family without "_total", the older format with it.
class Writer {
 public:
  explicit Writer(bool open_metrics) : open_metrics_(open_metrics) {}
  void Family(const std::string& name, const char* type, const char* help) {
    const bool counter = type == std::string_view("counter");
    const std::string family = counter && !open_metrics_ ? name + "_total" : name;
    out += "# HELP " + family + ' ' + help + "\n# TYPE " + family + ' ' + type + '\n';
  }
  void Counter(const std::string& name, const char* help, uint64_t value) {
    Family(name, "counter", help);
    Sample(&out, name + "_total", "", std::to_string(value));
  }
  void Gauge(const std::string& name, const char* help, double value) {
    Family(name, "gauge", help);
    Sample(&out, name, "", Number(value));
  }
  void Distribution(const std::string& name, const char* help, const Histogram& histogram) {
    Family(name, "histogram", help);
    histogram.Write(&out, name, "");
  }
  // TEI's counters have no "_total"; as a counter they would not be valid OpenMetrics.
  void TeiFamily(const std::string& name, const char* help) { Family(name, open_metrics_ ? "unknown" : "gauge", help); }
  std::string out;

 private:
  bool open_metrics_;
};

}  // namespace

void Histogram::Add(double value) {
  size_t bucket = 0;
  for (double bound = start_; bucket < kBuckets && value > bound; bound *= factor_) ++bucket;
  const std::lock_guard lock(mutex_);
  ++counts_[bucket];
  ++count_;
  sum_ += value;
}

void Histogram::Write(std::string* out, const std::string& name, const std::string& labels) const {
  const std::lock_guard lock(mutex_);
  const std::string before = labels.empty() ? "" : labels + ",";
  uint64_t sum = 0;
  double bound = start_;
  for (size_t i = 0; i <= kBuckets; ++i, bound *= factor_) {
    sum += counts_[i];
    const std::string le = i == kBuckets ? "+Inf" : Number(bound);
    Sample(out, name + "_bucket", before + "le=\"" + le + "\"", std::to_string(sum));
  }
  Sample(out, name + "_sum", labels, Number(sum_));
  Sample(out, name + "_count", labels, std::to_string(count_));
}

void Metrics::AddRequest(std::string_view route, int status, std::string_view kind, std::chrono::nanoseconds duration,
                         bool batch) {
  duration_.Add(Seconds(duration));
  const std::lock_guard lock(mutex_);
  ++requests_[{std::string(route), status}];
  ++methods_[batch ? 1 : 0];
  if (kind.empty()) {
    ++successes_[batch ? 1 : 0];
  } else {
    ++failures_[std::string(kind)];
  }
}

void Metrics::AddTask(const TaskResult& result) {
  queue_.Add(Seconds(result.queue_time));
  tokenize_.Add(Seconds(result.tokenize_time));
  inference_.Add(Seconds(result.inference_time));
  for (const int32_t tokens : result.text_tokens) text_tokens_.Add(tokens);
  texts_ += result.text_tokens.size();
  tokens_ += static_cast<uint64_t>(result.tokens);
  truncated_texts_ += static_cast<uint64_t>(result.truncated_texts);
  truncated_tokens_ += static_cast<uint64_t>(result.truncated_tokens);
}

void Metrics::AddBatch(const BatchReport& batch) {
  ++batches_;
  batch_texts_.Add(static_cast<double>(batch.texts));
  batch_tokens_.Add(static_cast<double>(batch.tokens));
}

std::string Metrics::Write(const SchedulerLoad& load, size_t connections, bool open_metrics) const {
  Writer writer(open_metrics);
  std::string& out = writer.out;
  const std::lock_guard lock(mutex_);
  writer.Family("truevec_requests", "counter", "Answered requests.");
  for (const auto& [key, count] : requests_) {
    Sample(&out, "truevec_requests_total", "route=\"" + key.route + "\",status=\"" + std::to_string(key.status) + '"',
           std::to_string(count));
  }
  writer.Counter("truevec_texts", "Texts that were computed.", texts_);
  writer.Counter("truevec_tokens", "Tokens fed to models.", tokens_);
  writer.Counter("truevec_truncated_texts", "Texts that lost tokens to the model's maximum.", truncated_texts_);
  writer.Counter("truevec_truncated_tokens", "Tokens that truncation removed.", truncated_tokens_);
  writer.Counter("truevec_batches", "Batches that were run.", batches_);
  writer.Gauge("truevec_connections", "Open connections.", static_cast<double>(connections));
  writer.Gauge("truevec_queue_requests", "Requests waiting or running.", static_cast<double>(load.requests));
  writer.Gauge("truevec_queue_texts", "Texts waiting or running.", static_cast<double>(load.texts));
  writer.Gauge("truevec_queue_tokens", "Estimated tokens waiting.", static_cast<double>(load.tokens));
  writer.Gauge("truevec_queue_bytes", "Bytes of texts waiting or running.", static_cast<double>(load.bytes));
  writer.Gauge("truevec_tokens_per_second", "Measured speed, moving average.", load.tokens_per_second);
  writer.Distribution("truevec_request_duration_seconds", "From the first byte of a request to its reply.", duration_);
  writer.Distribution("truevec_queue_duration_seconds", "From arrival to the first batch.", queue_);
  writer.Distribution("truevec_tokenization_duration_seconds", "Tokenising a request's batches.", tokenize_);
  writer.Distribution("truevec_inference_duration_seconds", "Computing a request's batches.", inference_);
  writer.Distribution("truevec_text_tokens", "Tokens of a text.", text_tokens_);
  writer.Distribution("truevec_batch_texts", "Texts of a batch.", batch_texts_);
  writer.Distribution("truevec_batch_tokens", "Tokens of a batch.", batch_tokens_);

  constexpr const char* kMethods[] = {"single", "batch"};
  writer.TeiFamily("te_request_count", "TEI's name: requests by method.");
  for (size_t i = 0; i < 2; ++i) {
    Sample(&out, "te_request_count", std::string("method=\"") + kMethods[i] + '"', std::to_string(methods_[i]));
  }
  writer.TeiFamily("te_request_success", "TEI's name: successful requests by method.");
  for (size_t i = 0; i < 2; ++i) {
    Sample(&out, "te_request_success", std::string("method=\"") + kMethods[i] + '"', std::to_string(successes_[i]));
  }
  writer.TeiFamily("te_request_failure", "TEI's name: failed requests by cause.");
  for (const auto& [kind, count] : failures_) {
    Sample(&out, "te_request_failure", "err=\"" + kind + '"', std::to_string(count));
  }
  writer.Distribution("te_request_duration", "TEI's name: seconds.", duration_);
  writer.Distribution("te_request_tokenization_duration", "TEI's name: seconds.", tokenize_);
  writer.Distribution("te_request_queue_duration", "TEI's name: seconds.", queue_);
  writer.Distribution("te_request_inference_duration", "TEI's name: seconds.", inference_);
  writer.Distribution("te_request_input_length", "TEI's name: tokens of a text.", text_tokens_);
  writer.Distribution("te_batch_next_size", "TEI's name: texts of a batch.", batch_texts_);
  writer.Distribution("te_batch_next_tokens", "TEI's name: tokens of a batch.", batch_tokens_);
  writer.Gauge("te_queue_size", "TEI's name: texts in the queue.", static_cast<double>(load.texts));
  if (open_metrics) out += "# EOF\n";
  return out;
}

}  // namespace truevec
