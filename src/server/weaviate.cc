// Weaviate's text2vec-transformers container: POST /vectors, GET /meta, /.well-known/{live,ready}
// (weaviate/t2v-transformers-models app.py; usecases/modulecomponents/clients/transformers).
#include "server/vectors.h"

namespace truevec {
namespace {

json::value WriteError(const ApiError& error, int) { return json::object{{"error", error.message}}; }

constexpr const char* kObject = R"({"type":"object"})";
const Schema kConfig{"WeaviateConfig",
                     {{"task_type", FieldType::kString, "query or passage: chooses the model's prompt."},
                      {"dimensions", FieldType::kInt, "Keep the first N values, then unit length.", false, {}, 0},
                      {"pooling_strategy", FieldType::kString, "Ignored: the model's own pooling is used."}}};
const Schema kVectors{"WeaviateVectorsRequest",
                      {{"text", FieldType::kString, "The text."},
                       {"texts", FieldType::kStrings, "Or texts."},
                       {"config", FieldType::kObject, "How they are read.", false, {}, {}, &kConfig}}};

void Vectors(const CallPtr& call, const Body& body) {
  auto model = call->ModelIfKnown("", Ability::kVectors);
  if (!model.ok()) return call->Fail(model.error());
  const ServingModel& serving = *(*model)->model;
  const bool many = body.Has("texts");
  if (!many && !body.Has("text")) return call->Fail({ErrorKind::kType, "body: text: missing", "text"});
  TaskRequest task;
  if (many) {
    auto texts = body.Texts("texts", {call->limits().max_texts, false});
    if (!texts.ok()) return call->Fail(texts.error());
    task.texts = std::move(*texts);
  } else {
    task.texts.push_back({body.String("text")});
  }
  const Body config = body.Object("config");
  if (config.Has("task_type")) SetTask(serving, config.String("task_type"), &task.encode);
  const auto dimensions = config.Int("dimensions");
  if (dimensions.value_or(0) > 0) {
    if (auto fault = SetDimensions(serving, dimensions, "config.dimensions", &task.embed)) return call->Fail(*fault);
  }
  call->Submit(**model, std::move(task), [many, text = body.String("text")](const TaskResult& result) {
    const std::string width = std::to_string(result.width);
    std::string out;
    if (!many) {
      out = R"({"text":)" + WriteJson(json::value(text)) + R"(,"vector":)";
      AppendVector(&out, RowOf(result, 0));
    } else {
      out = R"({"vectors":[)";
      for (size_t i = 0; i < CountOf(result); ++i) {
        if (i > 0) out += ',';
        AppendVector(&out, RowOf(result, i));
      }
      out += ']';
    }
    // The container answers `dim`, the Go client reads `dims`.
    return out + R"(,"dim":)" + width + R"(,"dims":)" + width + '}';
  });
}

void Meta(const CallPtr& call, const Body&) {
  auto found = call->Model("", Ability::kAny);
  if (!found.ok()) return call->Fail(found.error());
  const ServingModel& model = *(*found)->model;
  call->ReplyJson(json::object{{"model", (*found)->id()},
                               {"model_type", model.architecture()},
                               {"dimension", model.dimension()},
                               {"max_length", model.max_length()},
                               {"fingerprint", model.fingerprint()},
                               {"version", std::string(Version())}});
}

void Live(const CallPtr& call, const Body&) {
  ServerResponse response;
  response.status = 204;
  call->Reply(std::move(response));
}

void Ready(const CallPtr& call, const Body& body) {
  if (call->app().ready()) return Live(call, body);
  call->Fail({ErrorKind::kUnavailable, call->app().draining() ? "the server is stopping" : "the model is loading"});
}

}  // namespace

const Dialect kWeaviate{"weaviate", nullptr, WriteError};

std::vector<Route> WeaviateRoutes() {
  return {{"POST", "/vectors", Access::kQueued, &kWeaviate, &kVectors, Vectors, "The vector of a text.", kObject},
          {"GET", "/meta", Access::kOpen, &kWeaviate, nullptr, Meta, "The model.", kObject},
          {"GET", "/.well-known/live", Access::kOpen, &kWeaviate, nullptr, Live, "The process runs.", nullptr},
          {"GET", "/.well-known/ready", Access::kOpen, &kWeaviate, nullptr, Ready, "Ready for requests.", nullptr}};
}

}  // namespace truevec
