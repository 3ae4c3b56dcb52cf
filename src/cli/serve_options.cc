// TEI's flags: text-embeddings-inference router/src/main.rs (1.9).
#include "cli/serve_options.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

namespace truevec::cli {
namespace {

std::chrono::milliseconds Seconds(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000.0));
}

std::string DirectoryName(const std::string& model) {
  const std::filesystem::path path = std::filesystem::absolute(model).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

}  // namespace

CLI::Option* ServeOptions::Add(CLI::Option* option, const char* tei_variable) {
  aliases_.push_back({option, tei_variable});
  return option;
}

void ServeOptions::Configure(CLI::App* cli) {
  Add(cli->add_option("MODEL,--model-id", models, "Model directories"), "MODEL_ID");
  cli->add_option("--host,--hostname", server.host, "Address to listen on");
  Add(cli->add_option("--port", server.port, "Port; 0: any free one")->check(CLI::Range(0, 65535)), "PORT");
  cli->add_option("--uds,--uds-path", server.unix_socket, "Unix socket to listen on, in place of host and port");
  cli->add_option("--tls-cert", server.tls_certificate, "PEM file with the certificate and its chain");
  cli->add_option("--tls-key", server.tls_key, "PEM file with the key of the certificate");
  Add(cli->add_option("--served-model-name", names,
                      "Model id, one for each MODEL (repeatable); of a single MODEL, more are further names")
          ->allow_extra_args(false),
      "SERVED_MODEL_NAME");
  cli->add_option("--as", as, "Which Sentence Transformers class loads a directory that does not say");
  cli->add_option("--calibration", calibration, "float32 .npy whose ranges int8 and uint8 vectors use");
  Add(cli->add_option("--pooling", pooling_, "Pooling in place of the model's: cls, mean, last-token, splade"),
      "POOLING");
  Add(cli->add_option("--default-prompt", app.default_prompt, "Text in front of inputs that choose no prompt"),
      "DEFAULT_PROMPT");
  Add(cli->add_option("--default-prompt-name", app.default_prompt_name, "Prompt of inputs that choose none"),
      "DEFAULT_PROMPT_NAME");
  Add(cli->add_option("--auto-truncate", app.auto_truncate,
                      "TEI and OpenAI routes: cut long texts when a request does not say"),
      "AUTO_TRUNCATE");
  cli->add_flag("--accept-token-ids", app.accept_token_ids, "Take token ids as input; they must be this model's own");

  Add(cli->add_option("--max-batch-tokens", app.queue.max_batch_tokens, "Tokens of a batch")
          ->check(CLI::PositiveNumber),
      "MAX_BATCH_TOKENS");
  Add(cli->add_option("--max-batch-requests", app.queue.max_batch_texts, "Texts of a batch")
          ->check(CLI::PositiveNumber),
      "MAX_BATCH_REQUESTS");
  Add(cli->add_option("--max-queue,--max-concurrent-requests", app.queue.max_queue_texts,
                      "Waiting texts; more are answered 429")
          ->check(CLI::PositiveNumber),
      "MAX_CONCURRENT_REQUESTS");
  cli->add_option("--max-queue-tokens", app.queue.max_queue_tokens, "Waiting tokens; more are answered 429")
      ->check(CLI::PositiveNumber);
  cli->add_option("--max-wait", max_wait_, "Seconds that a small request may have to wait; more are answered 429")
      ->check(CLI::PositiveNumber);
  cli->add_option("--request-timeout", request_timeout_, "Seconds after which a waiting request is given up; 0: none");
  Add(cli->add_option("--max-client-batch-size", app.max_texts, "Texts of a request")->check(CLI::PositiveNumber),
      "MAX_CLIENT_BATCH_SIZE");
  Add(cli->add_option("--max-body,--payload-limit", server.max_body, "Bytes of a request body")
          ->check(CLI::PositiveNumber),
      "PAYLOAD_LIMIT");
  cli->add_option("--max-connections", server.max_connections, "Open connections")->check(CLI::PositiveNumber);
  cli->add_option("--io-threads", server.io_threads, "Threads for HTTP and JSON")->check(CLI::Range(1, 64));
  cli->add_option("--idle-timeout", idle_timeout_, "Seconds that a connection may stay without a request")
      ->check(CLI::PositiveNumber);
  cli->add_flag("--no-compression{false}", server.compress, "Never compress replies");
  cli->add_option("--drain-timeout", drain_seconds, "Seconds to finish requests after SIGTERM")
      ->check(CLI::NonNegativeNumber);

  Add(cli->add_option("--api-key", app.api_keys, "Key that inference routes ask for (repeatable)")
          ->allow_extra_args(false),
      "API_KEY");
  cli->add_option("--api-key-env", key_variable_, "Environment variable that holds the key");
  cli->add_option("--api-key-file", key_file_, "File of keys, one a line");
  Add(cli->add_option("--cors-allow-origin", app.cors_origins,
                      "Origin that browsers may ask from; * for any (repeatable)")
          ->allow_extra_args(false),
      "CORS_ALLOW_ORIGIN");
  cli->add_option("--metrics", metrics_, "GET /metrics: open, key or off")
      ->check(CLI::IsMember({"open", "key", "off"}));
  cli->add_flag("--log-requests", app.telemetry.log_requests, "A line on stderr for each request");
  Add(cli->add_flag("--json-output", json_output_, "As --log-format json --log-requests"), "JSON_OUTPUT");
  Add(cli->add_option("--otlp-endpoint", app.telemetry.otlp_endpoint, "OTLP/HTTP collector: http://host:4318"),
      "OTLP_ENDPOINT");
  Add(cli->add_option("--otlp-service-name", app.telemetry.otlp_service_name, "Name of this service in traces"),
      "OTLP_SERVICE_NAME");
  for (const char* name : {"--tokenization-workers", "--prometheus-port", "--hf-token", "--huggingface-hub-cache"}) {
    cli->add_option(name, ignored_, "Accepted for TEI's sake; has no effect")->group("");
  }
}

Status ServeOptions::ReadTeiVariables() {
  for (const Alias& alias : aliases_) {
    const char* value = std::getenv(alias.variable);
    if (alias.option->count() > 0 || value == nullptr || *value == '\0') continue;
    try {
      alias.option->add_result(value);
      alias.option->run_callback();
    } catch (const CLI::Error& error) {  // the library's way to report usage
      return UsageError(std::string(alias.variable) + ": " + error.what());
    }
  }
  return Status::Ok();
}

Status ServeOptions::ReadKeys() {
  if (!key_variable_.empty()) {
    const char* key = std::getenv(key_variable_.c_str());
    if (key == nullptr || *key == '\0') return UsageError("--api-key-env: " + key_variable_ + " is not set");
    app.api_keys.emplace_back(key);
  }
  if (!key_file_.empty()) {
    std::ifstream file(key_file_);
    if (!file) return UsageError("--api-key-file: cannot read " + key_file_);
    size_t count = 0;
    for (std::string line; std::getline(file, line);) {
      while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
      if (line.empty()) continue;
      app.api_keys.push_back(line);
      ++count;
    }
    if (count == 0) return UsageError("--api-key-file: " + key_file_ + " has no key");
  }
  for (const std::string& key : app.api_keys) {
    if (key.empty()) return UsageError("--api-key: the key is empty");
  }
  return Status::Ok();
}

Status ServeOptions::CheckNames() {
  if (models.empty()) return UsageError("MODEL is missing");
  if (models.size() > 1 && !names.empty() && names.size() != models.size()) {
    return UsageError("--served-model-name: expected " + std::to_string(models.size()) + " names, got " +
                      std::to_string(names.size()));
  }
  std::set<std::string> unique;
  for (size_t i = 0; i < models.size(); ++i) {
    for (const std::string& name : NamesOf(i)) {
      if (!unique.insert(name).second) return UsageError("two models have the same id; give --served-model-name");
    }
  }
  return Status::Ok();
}

std::vector<std::string> ServeOptions::NamesOf(size_t i) const {
  if (names.empty()) return {DirectoryName(models[i])};
  return models.size() == 1 ? names : std::vector<std::string>{names[i]};
}

Status ServeOptions::Resolve(CommonOptions* common) {
  TV_RETURN_IF_ERROR(ReadTeiVariables());
  TV_RETURN_IF_ERROR(ReadKeys());
  TV_RETURN_IF_ERROR(CheckNames());
  if (server.tls_certificate.empty() != server.tls_key.empty()) {
    return UsageError("--tls-cert and --tls-key belong together");
  }
  if (!app.default_prompt.empty() && !app.default_prompt_name.empty()) {
    return UsageError("--default-prompt and --default-prompt-name exclude each other");
  }
  if (pooling_ == "splade") {
    as = "sparse";
  } else if (!pooling_.empty()) {
    common->overrides.push_back("pooling=" + (pooling_ == "last-token" ? "lasttoken" : pooling_));
  }
  app.metrics = metrics_ != "off";
  app.metrics_need_key = metrics_ == "key";
  app.telemetry.json = common->log_format == "json" || json_output_;
  app.telemetry.log_requests |= json_output_ || app.telemetry.json;
  app.request_timeout = Seconds(request_timeout_);
  app.queue.threads = common->threads;
  app.queue.max_wait = Seconds(max_wait_);
  app.queue.max_bulk_wait = Seconds(max_wait_ * 30);
  server.idle_timeout = std::chrono::seconds(std::max<int64_t>(1, static_cast<int64_t>(idle_timeout_)));
  server.max_bodies = std::max(server.max_bodies, 2 * server.max_body);
  return Status::Ok();
}

}  // namespace truevec::cli
