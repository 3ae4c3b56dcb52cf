#include <algorithm>
#include <functional>

#include "base/unique_keys.h"
#include "server/app.h"

namespace truevec {
namespace {

bool GoodRequestId(std::string_view id) {
  return !id.empty() && id.size() <= 128 &&
         std::all_of(id.begin(), id.end(), [](char c) { return c > ' ' && c < 127; });
}

// A path may hold any bytes; logs and messages are UTF-8.
std::string Printable(std::string text) {
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text.substr(0, 256);
}

// What a message quotes may be as long as a body.
std::string Shortened(std::string text) {
  constexpr size_t kMost = 1000;
  if (text.size() <= kMost) return text;
  size_t end = kMost;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

std::string Millis(std::chrono::nanoseconds time) {
  std::string text;
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(time);
  AppendDouble(&text, static_cast<double>(micros.count()) / 1000.0);
  return text;
}

TaskClient Probe(const HttpExchange& exchange) {
  switch (exchange.client()) {
    case ClientState::kConnected:
      return TaskClient::kHere;
    case ClientState::kHalfClosed:
      return TaskClient::kDoubtful;
    case ClientState::kGone:
      return TaskClient::kGone;
  }
  return TaskClient::kHere;
}

std::string_view AbilityName(Ability ability) {
  switch (ability) {
    case Ability::kVectors:
      return "gives sentence vectors";
    case Ability::kSparse:
      return "gives sparse vectors";
    case Ability::kTokenVectors:
      return "gives token vectors";
    case Ability::kScores:
      return "scores pairs";
    case Ability::kAny:
      return "";
  }
  return "";
}

}  // namespace

Call::Call(App* app, ServerRequest request, std::shared_ptr<HttpExchange> exchange)
    : app_(app), request_(std::move(request)), exchange_(std::move(exchange)), models_(app->models()) {
  const std::string_view id = request_.Header("x-request-id");
  record_.request_id = GoodRequestId(id) ? std::string(id) : RandomHex(32);
  record_.trace = TraceContext::FromHeader(request_.Header("traceparent"));
  record_.method = request_.method;
  record_.path = Printable(request_.path);
  record_.peer = request_.peer;
  record_.start = std::chrono::system_clock::now();
}

InputLimits Call::limits() const { return {app_->options().max_texts, app_->options().accept_token_ids}; }

Expected<const ServedModel*> Call::Model(const std::string& name, Ability ability) const {
  const ServedModel* found = nullptr;
  for (const ServedModel& model : *models_) {
    const bool named = name.empty() ? Can(*model.model, ability)
                                    : std::find(model.names.begin(), model.names.end(), name) != model.names.end();
    if (!named) continue;
    // A reranker scores; what only compares vectors stands in for it.
    const bool better = found != nullptr && name.empty() && ability == Ability::kScores &&
                        found->model->as() != "cross-encoder" && model.model->as() == "cross-encoder";
    if (found == nullptr || better) found = &model;
  }
  if (found == nullptr && !name.empty()) {
    return ApiError{ErrorKind::kNoModel,
                    "no model \"" + Printable(name) + "\"; GET /v1/models lists those that are served", "model"};
  }
  if (found == nullptr || !Can(*found->model, ability)) {
    const std::string which =
        found == nullptr ? "no served model "
                         : "the model \"" + found->id() + "\" is " + found->model->as() + "; none of its kind ";
    return ApiError{ErrorKind::kWrongModel, which + std::string(AbilityName(ability))};
  }
  return found;
}

Expected<const ServedModel*> Call::ModelIfKnown(const std::string& name, Ability ability) const {
  for (const ServedModel& model : *models_) {
    if (std::find(model.names.begin(), model.names.end(), name) != model.names.end()) return Model(name, ability);
  }
  return Model("", ability);
}

void Call::AddHeaders(ServerResponse* response) const {
  for (const auto& [name, value] : headers_) response->headers[name] = value;
  response->headers["x-request-id"] = record_.request_id;
  if (!fingerprint_.empty()) response->headers["x-truevec-fingerprint"] = fingerprint_;
  app_->AddCors(request_, response);
}

void Call::Reply(ServerResponse response) {
  AddHeaders(&response);
  const char* path = route_ == nullptr ? "none" : route_->path;
  record_.route = path;
  record_.dialect = route_ == nullptr ? "" : route_->dialect->name;
  record_.status = response.status;
  record_.duration = std::chrono::steady_clock::now() - request_.received;
  if (route_ == nullptr || IsInference(route_->access)) {
    app_->metrics().AddRequest(path, response.status, error_kind_, record_.duration, record_.texts > 1);
  }
  app_->telemetry().Record(std::move(record_));
  exchange_->Reply(std::move(response));
}

void Call::ReplyJson(const json::value& value, int status) {
  ServerResponse response;
  response.status = status;
  response.body = WriteJson(value);
  Reply(std::move(response));
}

void Call::Fail(const ApiError& what) {
  ApiError error = what;
  error.message = Shortened(std::move(error.message));
  const Dialect& dialect = route_ == nullptr ? app_->DialectOf(request_.path) : *route_->dialect;
  ServerResponse response;
  response.status = dialect.StatusOf(error.kind);
  response.body = WriteJson(dialect.write(error, response.status));
  if (error.retry_after.count() > 0) {
    const auto millis = error.retry_after.count();
    response.headers["retry-after"] = std::to_string((millis + 999) / 1000);
    response.headers["retry-after-ms"] = std::to_string(millis);
  } else if (response.status >= 500 && error.kind == ErrorKind::kInternal) {
    response.headers["x-should-retry"] = "false";
  }
  error_kind_ = KindName(error.kind);
  record_.error = error.message;
  Reply(std::move(response));
}

void Call::ReadBodyAndRun() {
  if (route_->body == nullptr) return Run(JsonRef());
  // At overload most requests end here: not reading them leaves the time to those that are served.
  if (route_->access == Access::kQueued) {
    const auto refusal = app_->scheduler().RefusalOfAny(request_.body.size());
    if (refusal.has_value()) return Fail(ErrorOf(*refusal));
  }
  const auto document = ParseJsonWithUniqueKeys(request_.body, "body");
  if (!document.ok()) return Fail({ErrorKind::kMalformed, document.status().message()});
  request_.body = std::string();
  Run(JsonRef(&*document, "body"));
}

void Call::Run(const JsonRef& document) {
  static const Schema kNoBody{"none", {}};
  static const json::value kEmpty = json::object();
  const Schema& schema = route_->body == nullptr ? kNoBody : *route_->body;
  auto body = Body::Check(route_->body == nullptr ? JsonRef(&kEmpty, "body") : document, schema);
  if (!body.ok()) return Fail(body.error());
  route_->handle(shared_from_this(), *body);
}

void Call::Forward(const char* path, const JsonRef& document) {
  std::string allowed;
  std::string rest;
  route_ = app_->FindRoute("POST", path, &allowed, &rest);
  Run(document);
}

void Call::SetDefaultPrompt(EncodeTextOptions* encode) const {
  PromptChoice& choice = encode->prompt;
  if (choice.prompt.has_value() || choice.prompt_name.has_value() || !choice.task.empty()) return;
  if (!app_->options().default_prompt.empty()) choice.prompt = app_->options().default_prompt;
  if (!app_->options().default_prompt_name.empty()) choice.prompt_name = app_->options().default_prompt_name;
}

// A vector for every token: a small body can ask for gigabytes.
std::optional<ApiError> Call::CheckReplySize(const TaskRequest& task) {
  constexpr size_t kMost = size_t{128} << 20;
  const size_t bytes = EstimateTokenVectors(task);
  if (bytes <= kMost) return std::nullopt;
  return ApiError{ErrorKind::kTooLarge, "the vectors of all tokens would be about " + std::to_string(bytes >> 20) +
                                            " MiB, at most " + std::to_string(kMost >> 20) +
                                            " are given: send fewer texts"};
}

void Call::Submit(const ServedModel& model, TaskRequest task, std::function<std::string(const TaskResult&)> write) {
  task.model = model.model;
  if (auto fault = CheckReplySize(task)) return Fail(*fault);
  SetDefaultPrompt(&task.encode);
  record_.model = model.id();
  record_.texts = task.texts.size();
  fingerprint_ = model.model->fingerprint();
  task.client = request_.peer + "#" + std::to_string(std::hash<std::string_view>()(request_.Header("authorization")));
  task.state = [exchange = exchange_] { return Probe(*exchange); };
  if (app_->options().request_timeout.count() > 0) {
    task.deadline = request_.received + app_->options().request_timeout;
  }
  for (size_t i = 0; i < task.texts.size(); ++i) {
    if (task.texts[i].ids.empty()) continue;
    const Status ids = model.model->CheckIds(task.texts[i].ids);
    if (!ids.ok()) return Fail({ErrorKind::kValue, "text " + std::to_string(i) + ": ids" + ids.message()});
  }
  size_t characters = 0;
  for (const TaskText& text : task.texts) characters += text.text.size();
  auto self = shared_from_this();
  app_->scheduler().Submit(std::move(task), [self, characters, write = std::move(write)](TaskResult result) mutable {
    auto shared = std::make_shared<TaskResult>(std::move(result));
    // Writing thousands of numbers would hold up the next batch here.
    self->exchange_->Post([self, shared, characters, write = std::move(write)] {
      if (shared->outcome != TaskOutcome::kDone) return self->Fail(ErrorOf(*shared));
      self->app_->metrics().AddTask(*shared);
      RequestRecord& record = self->record_;
      record.tokens = shared->tokens;
      record.truncated_texts = shared->truncated_texts;
      record.queue_time = shared->queue_time;
      record.tokenize_time = shared->tokenize_time;
      record.inference_time = shared->inference_time;
      ServerResponse response;
      response.body = write(*shared);
      auto& headers = response.headers;
      headers["server-timing"] =
          "queue;dur=" + Millis(shared->queue_time) + ", tokenize;dur=" + Millis(shared->tokenize_time) +
          ", inference;dur=" + Millis(shared->inference_time) + ", total;dur=" + Millis(shared->total_time);
      if (self->route_->dialect == &kTei) {
        headers["x-compute-type"] = "cpu";
        headers["x-compute-characters"] = std::to_string(characters);
        headers["x-compute-tokens"] = std::to_string(shared->tokens);
        const auto whole = [](std::chrono::nanoseconds time) { return std::to_string(time.count() / 1000000); };
        headers["x-compute-time"] = whole(shared->total_time);
        headers["x-total-time"] = whole(shared->total_time);
        headers["x-tokenization-time"] = whole(shared->tokenize_time);
        headers["x-queue-time"] = whole(shared->queue_time);
        headers["x-inference-time"] = whole(shared->inference_time);
      }
      if (shared->truncated_texts > 0) {
        headers["x-truevec-truncated-texts"] = std::to_string(shared->truncated_texts);
        headers["x-truevec-truncated-tokens"] = std::to_string(shared->truncated_tokens);
      }
      self->Reply(std::move(response));
    });
  });
}

}  // namespace truevec
