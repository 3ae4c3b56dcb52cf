// Cohere's /v1/embed, /v2/embed, /v1/rerank, /v2/rerank (https://docs.cohere.com/reference/embed); Jina's rerank has
// the same shape. Plain /rerank leaves `document` out, because LiteLLM's two clients of that path disagree about its
// type, and is a "rerank" object, as Infinity's client demands.
#include "server/vectors.h"
#include "server/vllm_request.h"

namespace truevec {
namespace {

json::value WriteError(const ApiError& error, int) {
  return json::object{{"id", RandomHex(32)}, {"message", error.message}, {"error", error.message}};
}

const Field kModel{"model", FieldType::kString, "The id of a served model; left out: the first that can do it."};
constexpr const char* kContents = R"({"type":"array","minItems":1,"items":{"type":"object","required":["content"],
"properties":{"content":{"type":"array","items":{"type":"object"}}}}})";

const Schema kEmbed{
    "CohereEmbedRequest",
    {kModel,
     {"texts", FieldType::kStrings, "The texts."},
     {"inputs",
      FieldType::kAny,
      "Texts as [{\"content\":[{\"type\":\"text\",\"text\":...}]}].",
      false,
      {},
      {},
      nullptr,
      kContents},
     {"input_type", FieldType::kString,
      "search_query, search_document, classification, clustering, or the name of a prompt of the model."},
     {"embedding_types",
      FieldType::kStrings,
      "Which forms to give; default float.",
      false,
      {"float", "int8", "uint8", "binary", "ubinary", "base64"}},
     {"output_dimension", FieldType::kInt, "Keep the first N values, then unit length.", false, {}, 1},
     {"max_tokens", FieldType::kInt, "Cut texts to N tokens.", false, {}, 1},
     {"truncate",
      FieldType::kString,
      "Which end of a long text is cut; NONE refuses it.",
      false,
      {"NONE", "START", "END", "LEFT", "RIGHT"}}}};

constexpr const char* kDocuments = R"({"type":"array","minItems":1,"items":{"anyOf":[{"type":"string"},
{"type":"object","required":["text"],"properties":{"text":{"type":"string"}}}]}})";
const Schema kRerank{
    "RerankRequest",
    {kModel,
     {"query",
      FieldType::kAny,
      "The query.",
      true,
      {},
      {},
      nullptr,
      R"({"anyOf":[{"type":"string"},{"type":"object","required":["text"],"properties":{"text":{"type":"string"}}}]})"},
     {"documents", FieldType::kAny, "Strings or {\"text\"} objects.", true, {}, {}, nullptr, kDocuments},
     {"top_n", FieldType::kInt, "Give the best N only; 0 or left out: all.", false, {}, 0},
     {"max_tokens_per_doc", FieldType::kInt, "Cut each document to N tokens; 0: not.", false, {}, 0},
     {"max_tokens_per_query", FieldType::kInt, "Cut the query to N tokens; 0: not.", false, {}, 0},
     {"truncate_prompt_tokens", FieldType::kInt, "Cut each pair to N tokens.", false, {}, -1},
     {"raw_scores", FieldType::kBool, "Logits, without the model's activation."},
     {"use_activation", FieldType::kBool, "false: as raw_scores."},
     {"return_documents", FieldType::kBool, "Give the documents back."}}};

// [{"content":[{"type":"text","text":"..."}]}]
Expected<std::vector<TaskText>> ReadContents(const JsonRef& inputs, const InputLimits& limits) {
  const auto fault = [](const JsonRef& at, const char* expected) {
    return ApiError{ErrorKind::kType, at.TypeError(expected).message(), at.key()};
  };
  if (!inputs.is_array()) return fault(inputs, "an array");
  if (inputs.size() == 0) return ApiError{ErrorKind::kEmpty, "inputs: expected at least one", "inputs"};
  if (inputs.size() > limits.max_texts) {
    return ApiError{ErrorKind::kTooMany, "inputs: expected at most " + std::to_string(limits.max_texts), "inputs"};
  }
  std::vector<TaskText> texts;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const JsonRef content = inputs.At(i)["content"];
    if (!content.is_array()) return fault(inputs.At(i), "an object with a content array");
    std::string joined;
    for (size_t k = 0; k < content.size(); ++k) {
      const JsonRef text = content.At(k)["text"];
      if (!text.is_string()) return fault(content.At(k), "a part of type text");
      joined += text.String().value();
    }
    texts.push_back({std::move(joined)});
  }
  return texts;
}

std::optional<ApiError> ReadEncode(const Body& body, const ServingModel& model, TaskRequest* task) {
  if (body.Has("input_type")) SetTask(model, body.String("input_type"), &task->encode);
  const std::string truncate = body.Choice("truncate", "end");
  task->encode.error_when_long = truncate == "none";
  if (truncate == "start" || truncate == "left") task->encode.truncation_side = Side::kLeft;
  if (const auto cut = body.Int("max_tokens")) {
    task->encode.max_length = model.max_length() > 0 ? std::min(*cut, model.max_length()) : *cut;
  }
  return SetDimensions(model, body.Int("output_dimension"), "output_dimension", &task->embed);
}

struct EmbedReply {
  std::shared_ptr<const ServingModel> model;
  std::vector<std::string> types;  // empty: v1's bare list
  std::vector<std::string> texts;
  bool v1 = false;
};

std::string WriteVectors(const TaskResult& result, const ServingModel& model, VectorFormat format) {
  std::string out = "[";
  for (size_t i = 0; i < CountOf(result); ++i) {
    if (i > 0) out += ',';
    AppendFormatted(&out, model, RowOf(result, i), format);
  }
  return out + "]";
}

std::string WriteEmbed(const EmbedReply& reply, const TaskResult& result) {
  std::string out = R"({"id":")" + RandomHex(32) + R"(","response_type":")" +
                    (reply.types.empty() ? "embeddings_floats" : "embeddings_by_type") + R"(","embeddings":)";
  if (reply.types.empty()) {
    out += WriteVectors(result, *reply.model, VectorFormat::kFloat);
  } else {
    out += '{';
    for (size_t i = 0; i < reply.types.size(); ++i) {
      out += std::string(i > 0 ? "," : "") + '"' + reply.types[i] +
             "\":" + WriteVectors(result, *reply.model, FormatByName(reply.types[i]));
    }
    out += '}';
  }
  json::array texts;
  for (const std::string& text : reply.texts) texts.push_back(json::value(text));
  const json::object meta{{"api_version", json::object{{"version", reply.v1 ? "1" : "2"}}},
                          {"billed_units", json::object{{"input_tokens", result.tokens}}},
                          {"tokens", json::object{{"input_tokens", result.tokens}}}};
  return out + R"(,"texts":)" + WriteJson(texts) + R"(,"meta":)" + WriteJson(meta) + '}';
}

void Embed(const CallPtr& call, const Body& body, bool v1) {
  auto model = call->Model(body.String("model"), Ability::kVectors);
  if (!model.ok()) return call->Fail(model.error());
  const ServedModel& served = **model;
  TaskRequest task;
  const bool contents = !body.Has("texts") && body.Has("inputs");
  if (!contents && !body.Has("texts")) return call->Fail({ErrorKind::kType, "body: texts: missing", "texts"});
  auto texts = contents ? ReadContents(body.root()["inputs"], call->limits())
                        : body.Texts("texts", {call->limits().max_texts, false});
  if (!texts.ok()) return call->Fail(texts.error());
  task.texts = std::move(*texts);
  if (auto fault = ReadEncode(body, *served.model, &task)) return call->Fail(*fault);
  EmbedReply reply{served.model, {}, {}, v1};
  for (const std::string& type : body.Choices("embedding_types")) {
    if (auto fault = CheckFormat(*served.model, FormatByName(type), task.embed)) return call->Fail(*fault);
    if (std::find(reply.types.begin(), reply.types.end(), type) == reply.types.end()) reply.types.push_back(type);
  }
  if (reply.types.empty() && !v1) reply.types.emplace_back("float");
  for (const TaskText& text : task.texts) reply.texts.push_back(text.text);
  call->Submit(served, std::move(task),
               [reply = std::move(reply)](const TaskResult& result) { return WriteEmbed(reply, result); });
}

void EmbedV1(const CallPtr& call, const Body& body) { Embed(call, body, true); }
void EmbedV2(const CallPtr& call, const Body& body) { Embed(call, body, false); }

Expected<std::string> ReadText(const JsonRef& value) {
  const JsonRef text = value.is_object() ? value["text"] : value;
  if (!text.is_string()) {
    return ApiError{ErrorKind::kType, value.TypeError("a string or an object with text").message(), value.key()};
  }
  return text.String().value();
}

Expected<std::vector<std::string>> ReadDocuments(const JsonRef& documents, size_t max_texts) {
  if (!documents.is_array()) return ApiError{ErrorKind::kType, documents.TypeError("an array").message(), "documents"};
  if (documents.size() == 0) return ApiError{ErrorKind::kEmpty, "documents: expected at least one", "documents"};
  if (documents.size() > max_texts) {
    return ApiError{
        ErrorKind::kTooMany,
        "documents: expected at most " + std::to_string(max_texts) + ", got " + std::to_string(documents.size()),
        "documents"};
  }
  std::vector<std::string> texts;
  for (size_t i = 0; i < documents.size(); ++i) {
    auto text = ReadText(documents.At(i));
    if (!text.ok()) return text.error();
    texts.push_back(std::move(*text));
  }
  return texts;
}

void Rerank(const CallPtr& call, const Body& body, bool with_documents) {
  auto model = call->Model(body.String("model"), Ability::kScores);
  if (!model.ok()) return call->Fail(model.error());
  const ServedModel& served = **model;
  auto query = ReadText(body.root()["query"]);
  if (!query.ok()) return call->Fail(query.error());
  auto documents = ReadDocuments(body.root()["documents"], call->limits().max_texts);
  if (!documents.ok()) return call->Fail(documents.error());
  ScoreRequest request;
  request.raw = body.Bool("raw_scores").value_or(false);
  if (body.Has("use_activation")) request.raw = !body.Bool("use_activation").value();
  request.most_document_tokens = body.Int("max_tokens_per_doc").value_or(0);
  request.most_query_tokens = body.Int("max_tokens_per_query").value_or(0);
  if (auto fault = ReadVllmTruncation(body, *served.model, false, &request.encode)) return call->Fail(*fault);
  for (const std::string& document : *documents) request.pairs.emplace_back(*query, document);
  if (!with_documents || !body.Bool("return_documents").value_or(false)) documents->clear();
  const int64_t top = body.Int("top_n").value_or(0);
  SubmitScores(call, served, std::move(request),
               [documents = std::move(*documents), top, id = served.id(), object = with_documents ? "list" : "rerank"](
                   const std::vector<float>& scores, const TaskResult& result) {
                 std::string out = R"({"id":")" + RandomHex(32) + R"(","object":")" + object + R"(","model":)" +
                                   WriteJson(json::value(id)) + R"(,"results":[)";
                 bool first = true;
                 for (const Ranked& ranked : Rank(scores, top == 0 ? -1 : top)) {
                   out += std::string(first ? "" : ",") + R"({"index":)" + std::to_string(ranked.index) +
                          R"(,"relevance_score":)";
                   AppendFloat(&out, ranked.score);
                   if (!documents.empty()) {
                     out += R"(,"document":)" + WriteJson(json::object{{"text", documents[ranked.index]}});
                   }
                   out += '}';
                   first = false;
                 }
                 const json::object meta{{"api_version", json::object{{"version", "2"}}},
                                         {"billed_units", json::object{{"search_units", 1}}},
                                         {"tokens", json::object{{"input_tokens", result.tokens}}}};
                 return out + R"(],"usage":)" + WriteJson(Usage(result)) + R"(,"meta":)" + WriteJson(meta) + '}';
               });
}

void RerankPlain(const CallPtr& call, const Body& body) { Rerank(call, body, false); }
void RerankFull(const CallPtr& call, const Body& body) { Rerank(call, body, true); }

constexpr const char* kEmbedReply = R"({"type":"object","required":["id","embeddings","texts","meta"]})";
constexpr const char* kRerankReply = R"({"type":"object","required":["id","results"],"properties":{"results":
{"type":"array","items":{"type":"object","required":["index","relevance_score"],"properties":{
"index":{"type":"integer"},"relevance_score":{"type":"number"}}}}}})";

}  // namespace

const Dialect kCohere{"cohere", nullptr, WriteError};

std::vector<Route> CohereRoutes() {
  constexpr Access kAsk = Access::kInference;
  constexpr Access kQueue = Access::kQueued;
  return {{"POST", "/v2/embed", kQueue, &kCohere, &kEmbed, EmbedV2, "Vectors of texts, by type.", kEmbedReply},
          {"POST", "/v1/embed", kQueue, &kCohere, &kEmbed, EmbedV1, "Vectors of texts.", kEmbedReply},
          {"POST", "cohere:/v1/rerank", kAsk, &kCohere, &kRerank, RerankFull, "Documents, best first.", kRerankReply},
          {"POST", "cohere:/rerank", kAsk, &kCohere, &kRerank, RerankPlain, "Documents, best first.", kRerankReply}};
}

}  // namespace truevec
