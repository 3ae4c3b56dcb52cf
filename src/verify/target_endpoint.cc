// HTTP endpoints in the dialects of OpenAI (vLLM, Infinity, LM Studio), TEI, Ollama and llama.cpp.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <thread>

#include "net/http_client.h"
#include "verify/target.h"

namespace truevec {
namespace {

struct DialectRow {
  std::string_view name;
  std::string_view path;
  std::string_view input;    // member of the request that holds the texts
  std::string_view vectors;  // member of the reply; "": the reply itself
  size_t max_batch;
};
constexpr std::array<DialectRow, 5> kDialects = {{
    {"tei", "/embed", "inputs", "", 32},
    {"ollama", "/api/embed", "input", "embeddings", 64},
    {"openai", "/v1/embeddings", "input", "data", 64},
    {"vllm", "/v1/embeddings", "input", "data", 64},
    {"llamacpp", "/embedding", "content", "", 32},
}};
constexpr int kAttempts = 5;

Status ReadVector(const JsonRef& ref, TargetReply* reply) {
  TV_ASSIGN_OR_RETURN(std::vector<JsonRef> values, ref.Array());
  if (!values.empty() && values.front().is_array()) {  // a matrix: llama.cpp always nests, unpooled servers too
    reply->unpooled = reply->unpooled || values.size() > 1;
    const JsonRef row = values.back();
    TV_ASSIGN_OR_RETURN(values, row.Array());
  }
  Vector v;
  for (const JsonRef& value : values) {
    // Servers write NaN as null.
    if (value.is_null()) {
      v.push_back(NAN);
      continue;
    }
    TV_ASSIGN_OR_RETURN(const double x, value.Double());
    v.push_back(static_cast<float>(x));
  }
  reply->vectors.push_back(std::move(v));
  return Status::Ok();
}

class EndpointTarget : public Target {
 public:
  EndpointTarget(Url url, const DialectRow* dialect, EndpointOptions options)
      : url_(std::move(url)), dialect_(dialect), options_(std::move(options)) {}
  std::string Description() const override { return url_.Text() + " (" + std::string(dialect_->name) + ")"; }
  std::string Dialect() const override { return std::string(dialect_->name); }
  const std::vector<std::string>& FixedTexts() const override { return none_; }
  bool HasBatches() const override { return true; }
  size_t MaxBatch() const override { return dialect_->max_batch; }
  int64_t Requests() const override { return requests_; }
  Result<TargetReply> Embed(const std::vector<std::string>& texts, const AskOptions& options) override;

 private:
  Result<HttpResponse> Send(const HttpRequest& request);
  Url url_;
  const DialectRow* dialect_;
  EndpointOptions options_;
  std::vector<std::string> none_;
  std::atomic<int64_t> requests_ = 0;
};

// Tries again on 429 and 503, waiting as long as retry-after says.
Result<HttpResponse> EndpointTarget::Send(const HttpRequest& request) {
  for (int attempt = 1;; ++attempt) {
    if (++requests_ > options_.max_requests) {
      return EndpointError(url_.Text() + ": more than " + std::to_string(options_.max_requests) +
                           " requests needed; raise --max-requests");
    }
    TV_ASSIGN_OR_RETURN(HttpResponse response, SendHttp(url_, request));
    if ((response.status != 429 && response.status != 503) || attempt == kAttempts) return response;
    const auto header = response.headers.find("retry-after");
    const int seconds = header == response.headers.end() ? attempt : std::atoi(header->second.c_str());
    std::this_thread::sleep_for(std::chrono::seconds(std::clamp(seconds, 1, 30)));
  }
}

Result<TargetReply> EndpointTarget::Embed(const std::vector<std::string>& texts, const AskOptions&) {
  json::array inputs;
  for (const std::string& text : texts) inputs.emplace_back(text);
  json::object body = {{dialect_->input, inputs}};
  if (!options_.model.empty()) body["model"] = options_.model;
  HttpRequest request;
  request.method = "POST";
  request.path = dialect_->path;
  request.body = WriteJson(body);
  request.timeout_seconds = options_.timeout_seconds;
  if (!options_.api_key.empty()) request.headers["authorization"] = "Bearer " + options_.api_key;
  TV_ASSIGN_OR_RETURN(const HttpResponse response, Send(request));
  const std::string where = url_.Text() + std::string(dialect_->path);
  if (response.status != 200) {
    return EndpointError(where + ": HTTP " + std::to_string(response.status) + ": " + response.body.substr(0, 300));
  }
  TV_ASSIGN_OR_RETURN(const JsonFile file, JsonFile::Parse(response.body, where, Code::kEndpoint));
  const JsonRef list = dialect_->vectors.empty() ? file.root() : file.root()[dialect_->vectors];
  TV_ASSIGN_OR_RETURN(const std::vector<JsonRef> rows, list.Array());
  std::vector<JsonRef> ordered(texts.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    // OpenAI replies say which input a row is of; the order of the list is not promised.
    const JsonRef index = rows[i]["index"];
    const int64_t place = index.is_number() ? index.Int().value() : static_cast<int64_t>(i);
    if (place < 0 || place >= static_cast<int64_t>(texts.size()) || rows.size() != texts.size()) {
      return EndpointError(where + ": " + std::to_string(rows.size()) + " vectors for " + std::to_string(texts.size()) +
                           " texts");
    }
    ordered[static_cast<size_t>(place)] = rows[i].is_object() ? rows[i]["embedding"] : rows[i];
  }
  TargetReply reply;
  for (const JsonRef& row : ordered) {
    if (const Status status = ReadVector(row, &reply); !status.ok()) return EndpointError(status.message());
  }
  return reply;
}

}  // namespace

Result<std::unique_ptr<Target>> MakeEndpointTarget(const std::string& text, const EndpointOptions& options) {
  TV_ASSIGN_OR_RETURN(const Url url, Url::Parse(text));
  std::string tried;
  for (const DialectRow& dialect : kDialects) {
    if (!options.api.empty() && options.api != dialect.name) continue;
    auto target = std::make_unique<EndpointTarget>(url, &dialect, options);
    if (!options.api.empty()) return std::unique_ptr<Target>(std::move(target));
    const auto reply = target->Embed({"hello"}, {});
    if (reply.ok()) return std::unique_ptr<Target>(std::move(target));
    tried += "; " + reply.status().message();
  }
  if (!options.api.empty())
    return UsageError("--api " + options.api + ": expected openai, tei, ollama, llamacpp or vllm");
  return EndpointError(text + ": no known API answers" + tried);
}

}  // namespace truevec
