// HTTP endpoints: which dialect answers, keys, retries, the bound on requests.
#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <thread>

#include "net/http_client.h"
#include "verify/dialect.h"

namespace truevec {
namespace {

constexpr int kAttempts = 6;
constexpr int kLongestWait = 60;  // seconds

class EndpointTarget : public Target {
 public:
  EndpointTarget(std::unique_ptr<HttpClient> client, EndpointOptions options)
      : client_(std::move(client)), options_(std::move(options)) {}
  Status Init();

  std::string Description() const override {
    std::string text = client_->base().Text() + std::string(dialect_->paths[path_]) + " (" + Dialect();
    if (!options_.model.empty()) text += ", model " + options_.model;
    return text + ")";
  }
  std::string Dialect() const override { return std::string(dialect_->name); }
  bool HasBatches() const override { return true; }
  bool HasBase64() const override { return dialect_->base64; }
  size_t MaxBatch() const override { return max_batch_; }
  int64_t Requests() const override { return requests_; }
  int Concurrency() const override { return options_.concurrency; }
  json::object About() const override { return about_; }
  Result<std::vector<int32_t>> Tokenize(const std::string& text) override;
  Result<Vector> EmbedIds(const std::vector<int32_t>& ids) override;
  Result<TargetReply> Embed(const std::vector<std::string>& texts, const AskOptions& options) override;

 private:
  Result<HttpAnswer> Send(const std::string& method, std::string path, std::string body);
  // The JSON of a GET that answers 200; null otherwise.
  json::value Get(const std::string& path);
  void Recognise();
  Status Probe();
  Result<HttpAnswer> Post(const EndpointDialect& dialect, size_t path, const std::vector<std::string>& texts,
                          const AskOptions& options);

  std::unique_ptr<HttpClient> client_;
  EndpointOptions options_;
  const EndpointDialect* dialect_ = nullptr;
  size_t path_ = 0;
  size_t max_batch_ = 32;
  json::object about_;
  std::atomic<int64_t> requests_ = 0;
};

bool Overloaded(int status) { return status == 429 || status == 503 || status == 502 || status == 504; }

int WaitSeconds(const HttpAnswer& answer, int attempt) {
  int seconds = 1 << (attempt - 1);
  if (const auto header = answer.headers.find("retry-after"); header != answer.headers.end()) {
    double given = 0;
    const std::string& text = header->second;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), given);
    if (read.ec == std::errc()) seconds = static_cast<int>(given + 0.999);
  }
  return std::clamp(seconds, 0, kLongestWait);
}

// Tries again when the server is full or starting, as long as retry-after says, and after a broken connection.
Result<HttpAnswer> EndpointTarget::Send(const std::string& method, std::string path, std::string body) {
  HttpCall call;
  call.method = method;
  // A base URL that ends in /v1 is how OpenAI clients write it.
  if (client_->base().path.ends_with("/v1") && path.starts_with("/v1/")) path = path.substr(3);
  call.path = std::move(path);
  call.body = std::move(body);
  if (!options_.api_key.empty()) call.headers["authorization"] = "Bearer " + options_.api_key;
  for (int attempt = 1;; ++attempt) {
    if (++requests_ > options_.max_requests) {
      return EndpointError(client_->base().Text() + ": more than " + std::to_string(options_.max_requests) +
                           " requests needed; raise --max-requests");
    }
    auto answer = client_->Send(call);
    const bool last = attempt == kAttempts;
    if (answer.ok() ? !Overloaded(answer->status) || last : last || method == "GET") return answer;
    const int seconds = answer.ok() ? WaitSeconds(*answer, attempt) : 1;
    std::this_thread::sleep_for(std::chrono::seconds(seconds));
  }
}

json::value EndpointTarget::Get(const std::string& path) {
  const auto answer = Send("GET", path, "");
  if (!answer.ok() || answer->status != 200) return nullptr;
  auto value = ParseJson(answer->body, path);
  return value.ok() ? std::move(value).value() : json::value(nullptr);
}

bool HasMember(const json::value& value, std::string_view name) {
  return value.is_object() && value.get_object().contains(name);
}

std::string FirstName(const json::value& list, std::string_view array, std::string_view name) {
  if (!HasMember(list, array)) return "";
  const json::value& models = list.get_object().at(array);
  if (!models.is_array() || models.get_array().empty() || !HasMember(models.get_array()[0], name)) return "";
  const json::value& text = models.get_array()[0].get_object().at(name);
  return text.is_string() ? std::string(text.get_string()) : "";
}

// Asks the routes that only one kind of server has; most telling first.
void EndpointTarget::Recognise() {
  const auto wanted = [&](std::string_view api) {
    return dialect_ == nullptr && (options_.api.empty() || options_.api == api);
  };
  const auto found = [&](std::string_view api) { dialect_ = FindDialect(api); };
  if (wanted("tei")) {
    const json::value info = Get("/info");
    if (HasMember(info, "max_client_batch_size") || HasMember(info, "model_type")) {
      found("tei");
      about_ = info.get_object();
    }
  }
  if (wanted("ollama")) {
    const json::value tags = Get("/api/tags");
    if (HasMember(tags, "models")) {
      found("ollama");
      if (options_.model.empty()) options_.model = FirstName(tags, "models", "name");
      const json::value version = Get("/api/version");
      if (HasMember(version, "version")) about_ = version.get_object();
    }
  }
  if (wanted("llamacpp")) {
    const json::value props = Get("/props");
    if (HasMember(props, "default_generation_settings") || HasMember(props, "build_info")) {
      found("llamacpp");
      for (const char* key : {"build_info", "model_path", "total_slots"}) {
        if (HasMember(props, key)) about_[key] = props.get_object().at(key);
      }
    }
  }
  if (dialect_ == nullptr && (wanted("vllm") || wanted("openai") || wanted("cohere"))) {
    const json::value models = Get("/v1/models");
    const std::string owner = FirstName(models, "data", "owned_by");
    if (options_.model.empty()) options_.model = FirstName(models, "data", "id");
    if (HasMember(models, "data")) about_ = {{"models", models.get_object().at("data")}};
    if (owner == "vllm" && wanted("vllm")) found("vllm");
  }
}

// Embeds one word: with the dialect that was recognised or asked for, else with each in turn.
Status EndpointTarget::Probe() {
  std::string tried;
  std::vector<const EndpointDialect*> candidates;
  if (!options_.api.empty()) {
    candidates = {FindDialect(options_.api)};
  } else if (dialect_ != nullptr) {
    candidates = {dialect_};
  } else {
    for (const char* name : {"openai", "tei", "ollama", "cohere", "llamacpp"}) candidates.push_back(FindDialect(name));
  }
  for (const EndpointDialect* dialect : candidates) {
    for (size_t path = 0; path < dialect->paths.size(); ++path) {
      TV_ASSIGN_OR_RETURN(const HttpAnswer answer, Post(*dialect, path, {"hello"}, {}));
      const std::string where = client_->base().Text() + std::string(dialect->paths[path]);
      if (answer.status == 401 || answer.status == 403) {
        return EndpointError(where + ": HTTP " + std::to_string(answer.status) +
                             ": the key is missing or wrong; name its variable with --api-key-env");
      }
      if (answer.status == 200 && ReadEmbedAnswer(answer.body, where, 1).ok()) {
        dialect_ = dialect;
        path_ = path;
        max_batch_ = dialect->max_batch;
        return Status::Ok();
      }
      tried += "\n  " + where + ": HTTP " + std::to_string(answer.status) + ": " + ErrorText(answer.body);
    }
  }
  return EndpointError(client_->base().Text() + ": no embedding API answers:" + tried);
}

Status EndpointTarget::Init() {
  if (!options_.api.empty() && FindDialect(options_.api) == nullptr) {
    return UsageError("--api \"" + options_.api + "\": expected " + std::string(kApis));
  }
  Recognise();
  TV_RETURN_IF_ERROR(Probe());
  if (const json::value* most = about_.if_contains("max_client_batch_size"); most != nullptr && most->is_int64()) {
    max_batch_ = static_cast<size_t>(std::clamp<int64_t>(most->get_int64(), 1, 64));
  }
  return Status::Ok();
}

Result<HttpAnswer> EndpointTarget::Post(const EndpointDialect& dialect, size_t path,
                                        const std::vector<std::string>& texts, const AskOptions& options) {
  EmbedCall call;
  for (const std::string& text : texts) call.texts.push_back(options_.client_prompt + text);
  call.model = options_.model;
  call.prompt_name = options_.prompt_name;
  call.base64 = options.base64;
  return Send("POST", std::string(dialect.paths[path]), WriteJson(dialect.body(call)));
}

Result<TargetReply> EndpointTarget::Embed(const std::vector<std::string>& texts, const AskOptions& options) {
  TV_ASSIGN_OR_RETURN(const HttpAnswer answer, Post(*dialect_, path_, texts, options));
  const std::string where = client_->base().Text() + std::string(dialect_->paths[path_]);
  if (answer.status != 200) {
    // 4xx, and 500 as llama.cpp answers too long texts: this request, not the server.
    const bool text = (answer.status >= 400 && answer.status < 429) || answer.status == 500;
    return Status(text ? Code::kBadInput : Code::kEndpoint,
                  where + ": HTTP " + std::to_string(answer.status) + ": " + ErrorText(answer.body));
  }
  TV_ASSIGN_OR_RETURN(TargetReply reply, ReadEmbedAnswer(answer.body, where, texts.size()));
  if (const auto tokens = answer.headers.find("x-compute-tokens"); tokens != answer.headers.end()) {
    reply.input_tokens = std::atoll(tokens->second.c_str());
  }
  return reply;
}

Result<std::vector<int32_t>> EndpointTarget::Tokenize(const std::string& text) {
  if (dialect_->tokenize.empty()) return Target::Tokenize(text);
  const json::object body = dialect_->tokenize_body(options_.client_prompt + text, options_.model);
  TV_ASSIGN_OR_RETURN(const HttpAnswer answer, Send("POST", std::string(dialect_->tokenize), WriteJson(body)));
  const std::string where = client_->base().Text() + std::string(dialect_->tokenize);
  if (answer.status != 200) return EndpointError(where + ": HTTP " + std::to_string(answer.status));
  return ReadTokenizeAnswer(answer.body, where);
}

// OpenAI's API takes an array of ids for a text.
Result<Vector> EndpointTarget::EmbedIds(const std::vector<int32_t>& ids) {
  if (!dialect_->base64) return Target::EmbedIds(ids);
  EmbedCall call;
  call.model = options_.model;
  json::object body = dialect_->body(call);
  json::array list;
  for (const int32_t id : ids) list.emplace_back(id);
  body["input"] = json::array{list};
  TV_ASSIGN_OR_RETURN(const HttpAnswer answer, Send("POST", std::string(dialect_->paths[path_]), WriteJson(body)));
  const std::string where = client_->base().Text() + std::string(dialect_->paths[path_]);
  if (answer.status != 200) return EndpointError(where + ": HTTP " + std::to_string(answer.status));
  TV_ASSIGN_OR_RETURN(TargetReply reply, ReadEmbedAnswer(answer.body, where, 1));
  return std::move(reply.vectors[0]);
}

// The route at the end of a URL that names one: what is left is the base.
void CutRoute(Url* url, EndpointOptions* options) {
  for (const EndpointDialect& dialect : Dialects()) {
    for (const std::string_view path : dialect.paths) {
      if (!url->path.ends_with(path)) continue;
      url->path.resize(url->path.size() - path.size());
      if (options->api.empty() && (dialect.name == "tei" || dialect.name == "ollama" || dialect.name == "cohere")) {
        options->api = std::string(dialect.name);
      }
      return;
    }
  }
}

}  // namespace

Result<std::vector<int32_t>> Target::Tokenize(const std::string&) {
  return EndpointError(Description() + " does not tell token ids");
}

Result<Vector> Target::EmbedIds(const std::vector<int32_t>&) {
  return EndpointError(Description() + " takes no token ids");
}

Result<std::vector<Layer>> Target::Layers(const std::string&) {
  return EndpointError(Description() + " does not show its intermediates");
}

Result<std::unique_ptr<Target>> MakeEndpointTarget(const std::string& text, const EndpointOptions& given) {
  TV_ASSIGN_OR_RETURN(Url url, Url::Parse(text));
  EndpointOptions options = given;
  CutRoute(&url, &options);
  TV_ASSIGN_OR_RETURN(auto client, HttpClient::Create(url, options.timeout_seconds));
  auto target = std::make_unique<EndpointTarget>(std::move(client), std::move(options));
  TV_RETURN_IF_ERROR(target->Init());
  return std::unique_ptr<Target>(std::move(target));
}

}  // namespace truevec
