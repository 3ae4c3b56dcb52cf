// Our own routes: /live, /ready, /health, /ping, /metrics, /explain, /inspect.
#include "server/vectors.h"

namespace truevec {
namespace {

json::value WriteError(const ApiError& error, int) {
  json::object object{{"error", error.message}, {"kind", KindName(error.kind)}};
  if (!error.param.empty()) object["param"] = error.param;
  return object;
}

const Schema kExplain{"ExplainRequest",
                      {{"text", FieldType::kString, "The text.", true},
                       {"model", FieldType::kString, "The id of a served model; left out: the first."},
                       {"prompt_name", FieldType::kString, "One of the model's own prompts."},
                       {"prompt", FieldType::kString, "Text put in front."},
                       {"task", FieldType::kString, "query, document, or the name of a prompt."},
                       {"normalize", FieldType::kBool, "Unit length, whatever the model does."},
                       {"dimensions", FieldType::kInt, "Keep the first N values, then unit length.", false, {}, 1}}};

void Live(const CallPtr& call, const Body&) { call->ReplyJson(json::object{{"status", "ok"}}); }

void Ready(const CallPtr& call, const Body& body) {
  if (call->app().ready()) return Live(call, body);
  ApiError error{ErrorKind::kUnavailable, call->app().draining() ? "the server is stopping" : "the model is loading"};
  error.retry_after = std::chrono::seconds(1);
  call->Fail(error);
}

void ShowMetrics(const CallPtr& call, const Body&) {
  const bool open = call->request().Header("accept").find("application/openmetrics-text") != std::string_view::npos;
  ServerResponse response;
  response.content_type =
      open ? "application/openmetrics-text; version=1.0.0; charset=utf-8" : "text/plain; version=0.0.4; charset=utf-8";
  App& app = call->app();
  response.body = app.metrics().Write(app.scheduler().load(), app.connections(), open);
  call->Reply(std::move(response));
}

// Runs on the I/O thread: a question of a person, not a load.
void ExplainText(const CallPtr& call, const Body& body) {
  auto model = call->Model(body.String("model"), Ability::kAny);
  if (!model.ok()) return call->Fail(model.error());
  const ServingModel& serving = *(*model)->model;
  EncodeTextOptions encode;
  EmbedOptions embed;
  if (body.Has("task")) SetTask(serving, body.String("task"), &encode);
  if (auto fault = SetPromptName(serving, body.String("prompt_name"), "prompt_name", &encode))
    return call->Fail(*fault);
  if (body.Has("prompt")) encode.prompt.prompt = body.String("prompt");
  if (body.Has("normalize")) embed.normalize = body.Bool("normalize");
  if (auto fault = SetDimensions(serving, body.Int("dimensions"), "dimensions", &embed)) return call->Fail(*fault);
  if (auto fault = CheckShown(body.String("text").size(), "text")) return call->Fail(*fault);
  auto explained = Explain(serving, body.String("text"), encode, embed, call->app().scheduler().pool());
  if (!explained.ok()) return call->Fail({ErrorKind::kText, explained.status().message(), "text"});
  (*explained)["model"] = (*model)->id();
  call->ReplyJson(*explained);
}

void Inspect(const CallPtr& call, const Body&) {
  json::array models;
  for (const ServedModel& served : call->models()) {
    json::object report = served.model->InspectJson();
    report["id"] = served.id();
    models.push_back(std::move(report));
  }
  call->ReplyJson(json::object{{"models", std::move(models)}});
}

constexpr const char* kStatus = R"({"type":"object","required":["status"],"properties":{"status":{"const":"ok"}}})";
constexpr const char* kExplainReply =
    R"({"type":"object","required":["text","prompt","fed","ids","truncated_tokens","layers","fingerprint"]})";
constexpr const char* kInspectReply = R"({"type":"object","required":["models"]})";

}  // namespace

const Dialect kOwn{"own", nullptr, WriteError};

std::vector<Route> OwnRoutes() {
  constexpr Access kOpen = Access::kOpen;
  return {{"GET", "/live", kOpen, &kOwn, nullptr, Live, "The process runs.", kStatus},
          {"GET", "/ready", kOpen, &kOwn, nullptr, Ready, "Ready for requests.", kStatus},
          {"GET", "/health", kOpen, &kTei, nullptr, Ready, "Ready for requests.", kStatus},
          {"GET", "/v1/health", kOpen, &kLlamaCpp, nullptr, Ready, "Ready for requests.", kStatus},
          {"GET", "/ping", kOpen, &kTei, nullptr, Ready, "Ready for requests.", kStatus},
          {"GET", "/metrics", kOpen, &kOwn, nullptr, ShowMetrics, "Counters for Prometheus.", nullptr},
          {"POST", "/explain", Access::kInference, &kOwn, &kExplain, ExplainText,
           "What happens to a text: prompt, tokens, truncation, norms of every layer.", kExplainReply},
          {"GET", "/inspect", Access::kInference, &kOwn, nullptr, Inspect, "Resolved settings with their sources.",
           kInspectReply}};
}

}  // namespace truevec
