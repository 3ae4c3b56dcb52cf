// vLLM's pooling routes: /pooling, /classify, /score, /tokenize, /detokenize, /version (vllm/entrypoints/pooling). Its
// /v1/embeddings is OpenAI's, its /rerank Cohere's.
#include <algorithm>

#include "server/vectors.h"
#include "server/vllm_request.h"

namespace truevec {
namespace {

json::value WriteError(const ApiError& error, int status) {
  const char* type = status == 404   ? "NotFoundError"
                     : status == 401 ? "AuthenticationError"
                     : status == 422 ? "UnprocessableEntityError"
                     : status >= 500 ? "InternalServerError"
                                     : "BadRequestError";
  const json::value param = error.param.empty() ? json::value() : json::value(error.param);
  return json::object{
      {"error", json::object{{"message", error.message}, {"type", type}, {"param", param}, {"code", status}}}};
}

int StatusOf(ErrorKind kind) { return kind == ErrorKind::kText ? 400 : 0; }

const Field kModel{"model", FieldType::kString, "The id of a served model; left out: the first that can do it."};
const Field kInput{"input", FieldType::kInputs, "Text, or texts; required unless messages."};
const Schema kPooling{
    "PoolingRequest",
    WithVllmFields({kModel,
                    kInput,
                    {"task",
                     FieldType::kString,
                     "What to give; default embed, or classify for a classifier.",
                     false,
                     {"embed", "token_embed", "classify"}},
                    {"encoding_format", FieldType::kString, "Only for task embed.", false, {"float", "base64"}},
                    {"embed_dtype", FieldType::kString, "Only float32.", false, {"float32"}},
                    {"endianness", FieldType::kString, "Only little.", false, {"little", "native"}},
                    {"dimensions", FieldType::kInt, "Keep the first N values, then unit length.", false, {}, 1},
                    {"use_activation", FieldType::kBool, "false: logits, or vectors that are not normalised."}},
                   true)};
const Schema kClassify{"ClassifyRequest",
                       WithVllmFields({kModel, kInput, {"use_activation", FieldType::kBool, "false: logits."}}, true)};
const Schema kScore{
    "ScoreRequest",
    WithVllmFields({kModel,
                    {"queries", FieldType::kTexts, "One text, or as many as documents."},
                    {"documents", FieldType::kTexts, "The other texts."},
                    {"text_1", FieldType::kTexts, "As queries."},
                    {"text_2", FieldType::kTexts, "As documents."},
                    {"data_1", FieldType::kTexts, "As queries."},
                    {"data_2", FieldType::kTexts, "As documents."},
                    {"items", FieldType::kTexts, "As documents."},
                    {"max_tokens_per_query", FieldType::kInt, "Cut each query to N tokens; 0: not.", false, {}, 0},
                    {"max_tokens_per_doc", FieldType::kInt, "Cut each document to N tokens; 0: not.", false, {}, 0},
                    {"use_activation", FieldType::kBool, "false: logits."}},
                   false)};
const Schema kTokenize{"VllmTokenizeRequest",
                       WithVllmFields({kModel,
                                       {"prompt", FieldType::kString, "The text; required unless messages."},
                                       {"return_token_strs", FieldType::kBool, "Give each token's text."}},
                                      true)};
const Schema kDetokenize{"VllmDetokenizeRequest",
                         {kModel, {"tokens", FieldType::kIds, "Token ids of one text.", true}}};

int64_t Now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// {"id","object","created","model","data":[ ... ],"usage"} around what `item` writes for each text.
std::string WriteList(const std::string& prefix, const std::string& model, const TaskResult& result, size_t count,
                      const std::function<void(size_t i, std::string* out)>& item) {
  std::string out = R"({"id":")" + prefix + RandomHex(32) + R"(","object":"list","created":)" + std::to_string(Now()) +
                    R"(,"model":)" + WriteJson(json::value(model)) + R"(,"data":[)";
  for (size_t i = 0; i < count; ++i) {
    out += std::string(i > 0 ? "," : "") + R"({"index":)" + std::to_string(i) + ',';
    item(i, &out);
    out += '}';
  }
  json::object usage = Usage(result);
  usage["completion_tokens"] = 0;
  return out + R"(],"usage":)" + WriteJson(usage) + '}';
}

void WritePooled(const TaskResult& result, const ServingModel& model, TaskKind kind, VectorFormat format, size_t i,
                 std::string* out) {
  *out += R"("object":"pooling","data":)";
  const auto rows = RowOf(result, i);
  if (kind == TaskKind::kDense || kind == TaskKind::kScore) return AppendFormatted(out, model, rows, format);
  const auto width = static_cast<size_t>(result.width);
  *out += '[';
  for (size_t k = 0; k < rows.size(); k += width) {
    if (k > 0) *out += ',';
    AppendVector(out, rows.subspan(k, width));
  }
  *out += ']';
}

void Pooling(const CallPtr& call, const Body& body) {
  auto any = call->Model(body.String("model"), Ability::kAny);
  if (!any.ok()) return call->Fail(any.error());
  const bool classifier = (*any)->model->as() == "cross-encoder";
  const bool tokens_only = (*any)->model->as() == "multi-vector";
  const std::string wanted = body.Choice("task", classifier ? "classify" : tokens_only ? "token_embed" : "embed");
  const Ability ability = wanted == "classify"      ? Ability::kScores
                          : wanted == "token_embed" ? Ability::kTokenVectors
                                                    : Ability::kVectors;
  auto model = call->Model(body.String("model"), ability);
  if (!model.ok()) return call->Fail(model.error());
  const ServedModel& served = **model;
  if (wanted == "classify" && served.model->as() != "cross-encoder") {
    return call->Fail({ErrorKind::kWrongModel, "the model \"" + served.id() + "\" is no classifier"});
  }
  TaskRequest task;
  if (auto fault = ReadVllmInputs(body, *served.model, call->limits(), &task)) return call->Fail(*fault);
  const bool multi = served.model->as() == "multi-vector";
  task.kind = wanted == "classify"      ? TaskKind::kScore
              : wanted == "token_embed" ? (multi ? TaskKind::kMultiVector : TaskKind::kTokens)
                                        : TaskKind::kDense;
  task.score.raw = !body.Bool("use_activation").value_or(true);
  if (body.Has("use_activation")) task.embed.normalize = body.Bool("use_activation");
  if (auto fault = SetDimensions(*served.model, body.Int("dimensions"), "dimensions", &task.embed)) {
    return call->Fail(*fault);
  }
  if (auto fault = ReadVllmTruncation(body, *served.model, true, &task.encode)) return call->Fail(*fault);
  const VectorFormat format = FormatByName(body.Choice("encoding_format", "float"));
  const TaskKind kind = task.kind;
  call->Submit(
      served, std::move(task), [kind, model = served.model, id = served.id(), format](const TaskResult& result) {
        return WriteList("pool-", id, result, CountOf(result),
                         [&](size_t i, std::string* out) { WritePooled(result, *model, kind, format, i, out); });
      });
}

void Classify(const CallPtr& call, const Body& body) {
  auto model = call->Model(body.String("model"), Ability::kScores);
  if (!model.ok()) return call->Fail(model.error());
  const ServedModel& served = **model;
  if (served.model->as() != "cross-encoder") {
    return call->Fail({ErrorKind::kWrongModel, "the model \"" + served.id() + "\" is no classifier"});
  }
  TaskRequest task;
  task.kind = TaskKind::kScore;
  if (auto fault = ReadVllmInputs(body, *served.model, call->limits(), &task)) return call->Fail(*fault);
  if (auto fault = ReadVllmTruncation(body, *served.model, true, &task.encode)) return call->Fail(*fault);
  task.score.raw = !body.Bool("use_activation").value_or(true);
  task.score.softmax = !task.score.raw && served.model->labels().size() > 1;
  call->Submit(served, std::move(task), [model = served.model, id = served.id()](const TaskResult& result) {
    return WriteList("classify-", id, result, CountOf(result), [&](size_t i, std::string* out) {
      const auto row = RowOf(result, i);
      const auto best = static_cast<size_t>(std::max_element(row.begin(), row.end()) - row.begin());
      *out += R"("label":)" + WriteJson(json::value(model->labels()[best])) + R"(,"probs":)";
      AppendVector(out, row);
      *out += R"(,"num_classes":)" + std::to_string(row.size());
    });
  });
}

Expected<std::vector<std::pair<std::string, std::string>>> ReadPairs(const Body& body, const InputLimits& limits) {
  const auto named = [&](std::initializer_list<const char*> names) {
    for (const char* name : names) {
      if (body.Has(name)) return name;
    }
    return *names.begin();
  };
  const char* first_name = named({"queries", "text_1", "data_1"});
  const char* second_name = named({"documents", "text_2", "data_2", "items"});
  for (const char* name : {first_name, second_name}) {
    if (!body.Has(name)) return ApiError{ErrorKind::kType, std::string("body: ") + name + ": missing", name};
  }
  auto first = body.Texts(first_name, {limits.max_texts, false});
  if (!first.ok()) return first.error();
  auto second = body.Texts(second_name, {limits.max_texts, false});
  if (!second.ok()) return second.error();
  if (first->size() != 1 && first->size() != second->size()) {
    return ApiError{ErrorKind::kValue,
                    std::string(first_name) + ": expected one text or as many as " + second_name + " (" +
                        std::to_string(second->size()) + "), got " + std::to_string(first->size()),
                    first_name};
  }
  std::vector<std::pair<std::string, std::string>> pairs;
  for (size_t i = 0; i < second->size(); ++i) {
    pairs.emplace_back((*first)[first->size() == 1 ? 0 : i].text, (*second)[i].text);
  }
  return pairs;
}

void Score(const CallPtr& call, const Body& body) {
  auto model = call->Model(body.String("model"), Ability::kScores);
  if (!model.ok()) return call->Fail(model.error());
  ScoreRequest request;
  auto pairs = ReadPairs(body, call->limits());
  if (!pairs.ok()) return call->Fail(pairs.error());
  request.pairs = std::move(*pairs);
  request.raw = !body.Bool("use_activation").value_or(true);
  auto query_limit = ReadTokenLimit(body, "max_tokens_per_query", *(*model)->model);
  auto document_limit = ReadTokenLimit(body, "max_tokens_per_doc", *(*model)->model);
  for (auto* limit : {&query_limit, &document_limit}) {
    if (!limit->ok()) return call->Fail(limit->error());
  }
  request.most_query_tokens = *query_limit;
  request.most_document_tokens = *document_limit;
  if (auto fault = ReadVllmTruncation(body, *(*model)->model, true, &request.encode)) return call->Fail(*fault);
  SubmitScores(call, **model, std::move(request),
               [id = (*model)->id()](const std::vector<float>& scores, const TaskResult& result) {
                 return WriteList("score-", id, result, scores.size(), [&](size_t i, std::string* out) {
                   *out += R"("object":"score","score":)";
                   AppendFloat(out, scores[i]);
                 });
               });
}

void Tokenize(const CallPtr& call, const Body& body) {
  auto model = call->Model(body.String("model"), Ability::kAny);
  if (!model.ok()) return call->Fail(model.error());
  const ServingModel& serving = *(*model)->model;
  TaskText text{.text = body.String("prompt"), .special_tokens = body.Bool("add_special_tokens").value_or(true)};
  if (!body.Has("prompt")) {
    TaskRequest chat;
    if (!body.Has("messages")) return call->Fail({ErrorKind::kType, "body: prompt: missing", "prompt"});
    if (auto fault = ReadVllmInputs(body, serving, {1, false}, &chat)) return call->Fail(*fault);
    text = std::move(chat.texts.front());
  }
  if (auto fault = CheckShown(text.text.size(), "prompt")) return call->Fail(*fault);
  const auto tokens = serving.Tokenize(text.text, *text.special_tokens, 0);
  if (!tokens.ok()) return call->Fail({ErrorKind::kText, tokens.status().message()});
  json::array ids;
  json::array texts;
  for (const TokenView& token : *tokens) {
    ids.push_back(token.id);
    texts.push_back(json::value(token.text));
  }
  json::object reply{{"count", ids.size()}, {"max_model_len", serving.max_length()}, {"tokens", std::move(ids)}};
  reply["token_strs"] = body.Bool("return_token_strs").value_or(false) ? json::value(std::move(texts)) : json::value();
  call->ReplyJson(reply);
}

void Detokenize(const CallPtr& call, const Body& body) {
  auto model = call->Model(body.String("model"), Ability::kAny);
  if (!model.ok()) return call->Fail(model.error());
  auto lists = body.Ids("tokens", call->limits());
  if (!lists.ok()) return call->Fail(lists.error());
  const auto text = (*model)->model->Decode(lists->front(), false);
  if (!text.ok()) return call->Fail({ErrorKind::kValue, "tokens" + text.status().message(), "tokens"});
  call->ReplyJson(json::object{{"prompt", *text}});
}

void GetVersion(const CallPtr& call, const Body&) {
  call->ReplyJson(json::object{{"version", std::string(Version())}});
}

constexpr const char* kListReply = R"({"type":"object","required":["id","object","data","usage"],"properties":{
"data":{"type":"array","items":{"type":"object","required":["index","object"]}}}})";
constexpr const char* kClassifyReply = R"({"type":"object","required":["id","object","data","usage"],"properties":{
"data":{"type":"array","items":{"type":"object","required":["index","label","probs","num_classes"]}}}})";
constexpr const char* kAnyReply = R"({"type":"object"})";

}  // namespace

const Dialect kVllm{"vllm", StatusOf, WriteError};

std::vector<Route> VllmRoutes() {
  constexpr Access kAsk = Access::kInference;
  constexpr Access kQueue = Access::kQueued;
  return {{"POST", "/pooling", kQueue, &kVllm, &kPooling, Pooling, "Vectors, token vectors or labels.", kListReply},
          {"POST", "/classify", kQueue, &kVllm, &kClassify, Classify, "The label of texts.", kClassifyReply},
          {"POST", "/score", kAsk, &kVllm, &kScore, Score, "Scores of pairs.", kListReply},
          {"POST", "/v1/score", kAsk, &kVllm, &kScore, Score, "Scores of pairs.", kListReply},
          {"POST", "vllm:/tokenize", kAsk, &kVllm, &kTokenize, Tokenize, "Token ids of a text.", kAnyReply},
          {"POST", "vllm:/detokenize", kAsk, &kVllm, &kDetokenize, Detokenize, "The text of token ids.", kAnyReply},
          {"GET", "/version", Access::kOpen, &kVllm, nullptr, GetVersion, "The version.", kAnyReply}};
}

}  // namespace truevec
