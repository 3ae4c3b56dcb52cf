// Ollama's embedding routes: /api/embed, /api/embeddings, /api/tags, /api/show, /api/version, /api/ps.
// https://github.com/ollama/ollama/blob/main/docs/api.md. Vectors have unit length, as there.
#include "server/vectors.h"

namespace truevec {
namespace {

json::value WriteError(const ApiError& error, int) { return json::object{{"error", error.message}}; }

// Ollama answers a busy server with 503.
int StatusOf(ErrorKind kind) { return kind == ErrorKind::kText ? 400 : 0; }

const Field kModel{"model", FieldType::kString, "The id of a served model, with or without \":latest\"."};
constexpr const char* kObject = R"({"type":"object"})";
const Field kOptions{"options", FieldType::kAny, "Ignored: options of text generation.", false, {}, {},
                     nullptr,   kObject};
const Schema kEmbed{"OllamaEmbedRequest",
                    {kModel,
                     {"input", FieldType::kTexts, "Text, or texts.", true},
                     {"truncate", FieldType::kBool, "Cut texts that are too long; false refuses them. Default true."},
                     {"dimensions", FieldType::kInt, "Keep the first N values, then unit length.", false, {}, 1},
                     kOptions}};
const Schema kEmbeddings{"OllamaEmbeddingsRequest",
                         {kModel, {"prompt", FieldType::kString, "The text.", true}, kOptions}};
const Schema kShow{"OllamaShowRequest", {kModel, {"name", FieldType::kString, "As model."}}};

// "name:latest" is "name".
std::string Untagged(std::string name) {
  if (name.ends_with(":latest")) name.resize(name.size() - 7);
  return name;
}

std::string Nanos(std::chrono::nanoseconds time) { return std::to_string(time.count()); }

void Embed(const CallPtr& call, const Body& body) {
  auto model = call->Model(Untagged(body.String("model")), Ability::kVectors);
  if (!model.ok()) return call->Fail(model.error());
  const ServedModel& served = **model;
  const std::string name = body.String("model", served.id());
  const JsonRef input = body.root()["input"];
  if ((input.is_array() && input.size() == 0) || (input.is_string() && input.String()->empty())) {
    return call->ReplyJson(json::object{{"model", name}, {"embeddings", json::array()}});
  }
  TaskRequest task;
  auto texts = body.Texts("input", {call->limits().max_texts, false});
  if (!texts.ok()) return call->Fail(texts.error());
  task.texts = std::move(*texts);
  task.encode.error_when_long = !body.Bool("truncate").value_or(true);
  task.embed.normalize = true;
  if (auto fault = SetDimensions(*served.model, body.Int("dimensions"), "dimensions", &task.embed)) {
    return call->Fail(*fault);
  }
  call->Submit(served, std::move(task), [name](const TaskResult& result) {
    std::string out = R"({"model":)" + WriteJson(json::value(name)) + R"(,"embeddings":[)";
    for (size_t i = 0; i < CountOf(result); ++i) {
      if (i > 0) out += ',';
      AppendVector(&out, RowOf(result, i));
    }
    return out + R"(],"total_duration":)" + Nanos(result.total_time) + R"(,"load_duration":0,"prompt_eval_count":)" +
           std::to_string(result.tokens) + '}';
  });
}

void Embeddings(const CallPtr& call, const Body& body) {
  auto model = call->Model(Untagged(body.String("model")), Ability::kVectors);
  if (!model.ok()) return call->Fail(model.error());
  const std::string prompt = body.String("prompt");
  if (prompt.empty()) return call->ReplyJson(json::object{{"embedding", json::array()}});
  TaskRequest task;
  task.texts.push_back({prompt});
  task.embed.normalize = true;
  call->Submit(**model, std::move(task), [](const TaskResult& result) {
    std::string out = R"({"embedding":)";
    AppendVector(&out, RowOf(result, 0));
    return out + "}";
  });
}

json::object Details(const ServingModel& model) {
  const char* level = model.dtype() == "bfloat16" ? "BF16" : model.dtype() == "int8" ? "INT8" : "F32";
  return {{"parent_model", ""},
          {"format", "safetensors"},
          {"family", model.architecture()},
          {"families", json::array{json::value(model.architecture())}},
          {"parameter_size", std::to_string(model.parameters() / 1000000) + "M"},
          {"quantization_level", level}};
}

json::object Tag(const CallPtr& call, const ServedModel& served) {
  const std::time_t started = std::chrono::system_clock::to_time_t(call->app().started());
  char time[32];
  std::tm parts{};
  gmtime_r(&started, &parts);
  std::strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%SZ", &parts);
  const std::string name = served.id().find(':') == std::string::npos ? served.id() + ":latest" : served.id();
  return {{"name", name},
          {"model", name},
          {"modified_at", time},
          {"size", served.model->parameters() * 4},
          {"digest", served.model->fingerprint()},
          {"details", Details(*served.model)}};
}

void Tags(const CallPtr& call, const Body&) {
  json::array models;
  for (const ServedModel& served : call->models()) models.push_back(Tag(call, served));
  call->ReplyJson(json::object{{"models", std::move(models)}});
}

void Running(const CallPtr& call, const Body&) {
  json::array models;
  for (const ServedModel& served : call->models()) {
    json::object tag = Tag(call, served);
    tag["expires_at"] = "9999-12-31T23:59:59Z";
    tag["size_vram"] = 0;
    models.push_back(std::move(tag));
  }
  call->ReplyJson(json::object{{"models", std::move(models)}});
}

void Show(const CallPtr& call, const Body& body) {
  auto model = call->Model(Untagged(body.String("model", body.String("name"))), Ability::kAny);
  if (!model.ok()) return call->Fail(model.error());
  const ServingModel& serving = *(*model)->model;
  const std::string family = serving.architecture();
  json::object info{{"general.architecture", family},
                    {"general.parameter_count", serving.parameters()},
                    {family + ".context_length", serving.max_length()},
                    {family + ".embedding_length", serving.dimension()}};
  call->ReplyJson(json::object{{"modelfile", ""},
                               {"parameters", ""},
                               {"template", "{{ .Prompt }}"},
                               {"details", Details(serving)},
                               {"model_info", std::move(info)},
                               {"capabilities", json::array{"embedding"}}});
}

void GetVersion(const CallPtr& call, const Body&) {
  call->ReplyJson(json::object{{"version", std::string(Version())}});
}

constexpr const char* kEmbedReply = R"({"type":"object","required":["model","embeddings"]})";
constexpr const char* kEmbeddingReply = R"({"type":"object","required":["embedding"]})";
constexpr const char* kTagsReply = R"({"type":"object","required":["models"]})";
constexpr const char* kAnyReply = R"({"type":"object"})";

}  // namespace

const Dialect kOllama{"ollama", StatusOf, WriteError};

std::vector<Route> OllamaRoutes() {
  constexpr Access kAsk = Access::kInference;
  constexpr Access kQueue = Access::kQueued;
  return {
      {"POST", "/api/embed", kQueue, &kOllama, &kEmbed, Embed, "Vectors of texts.", kEmbedReply},
      {"POST", "/api/embeddings", kQueue, &kOllama, &kEmbeddings, Embeddings, "The vector of a text.", kEmbeddingReply},
      {"GET", "/api/tags", Access::kOpen, &kOllama, nullptr, Tags, "The served models.", kTagsReply},
      {"GET", "/api/ps", Access::kOpen, &kOllama, nullptr, Running, "The loaded models.", kTagsReply},
      {"POST", "/api/show", kAsk, &kOllama, &kShow, Show, "One model.", kAnyReply},
      {"GET", "/api/version", Access::kOpen, &kOllama, nullptr, GetVersion, "The version.", kAnyReply}};
}

}  // namespace truevec
