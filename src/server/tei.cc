// Text Embeddings Inference's routes, as in its router/src/http/{server,types}.rs (1.9): /embed, /embed_all,
// /embed_sparse, /rerank, /predict, /similarity, /tokenize, /decode, /info.
#include "server/vectors.h"

namespace truevec {
namespace {

int StatusOf(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kType:
    case ErrorKind::kValue:
    case ErrorKind::kTooMany:
    case ErrorKind::kTooLong:
      return 422;
    case ErrorKind::kWrongModel:
    case ErrorKind::kInternal:
      return 424;
    default:
      return 0;
  }
}

json::value WriteError(const ApiError& error, int status) {
  const char* type = "Validation";
  if (error.kind == ErrorKind::kEmpty) type = "Empty";
  if (error.kind == ErrorKind::kText) type = "Tokenizer";
  if (status == 429) type = "Overloaded";
  if (status == 424 || status >= 500) type = "Backend";
  if (status == 503) type = "Unhealthy";
  if (status == 401) type = "Unauthorized";
  return json::object{{"error", error.message}, {"error_type", type}};
}

const char* const kTruncateNote = "Cut texts that are too long; false refuses them. Default: --auto-truncate.";
const Field kInputsField{"inputs", FieldType::kInputs, "Text, or texts.", true};
const Field kTruncate{"truncate", FieldType::kBool, kTruncateNote};
const Field kDirection{"truncation_direction", FieldType::kString, "Which end is cut.", false, {"left", "right"}};
const Field kPromptName{"prompt_name", FieldType::kString, "One of the model's own prompts."};
const Field kRawScores{"raw_scores", FieldType::kBool, "Logits, without the model's activation."};

const Schema kEmbed{"TeiEmbedRequest",
                    {kInputsField,
                     kTruncate,
                     kDirection,
                     kPromptName,
                     {"normalize", FieldType::kBool, "Unit length; default true."},
                     {"dimensions", FieldType::kInt, "Keep the first N values, then unit length.", false, {}, 1}}};
const Schema kEmbedAll{"TeiEmbedAllRequest", {kInputsField, kTruncate, kDirection, kPromptName}};
const Schema kRerank{"TeiRerankRequest",
                     {{"query", FieldType::kString, "The query.", true},
                      {"texts", FieldType::kStrings, "The documents.", true},
                      kTruncate,
                      kDirection,
                      kRawScores,
                      {"return_text", FieldType::kBool, "Give the documents back."}}};
const Schema kPredict{
    "TeiPredictRequest",
    {{"inputs",
      FieldType::kAny,
      "A text, a pair [text, text], or a list of [text] and [text, text].",
      true,
      {},
      {},
      nullptr,
      R"({"anyOf":[{"type":"string"},{"type":"array","minItems":1,"maxItems":2,"items":{"type":"string"}},
{"type":"array","minItems":1,"items":{"type":"array","minItems":1,"maxItems":2,"items":{"type":"string"}}}]})"},
     kTruncate,
     kDirection,
     kRawScores}};
const Schema kSentences{"TeiSentences",
                        {{"source_sentence", FieldType::kString, "Compared with each of the others.", true},
                         {"sentences", FieldType::kStrings, "The others.", true}}};
const Schema kParameters{"TeiParameters", {kTruncate, kDirection, kPromptName}};
const Schema kSimilarity{"TeiSimilarityRequest",
                         {{"inputs", FieldType::kObject, "The sentences.", true, {}, {}, &kSentences},
                          {"parameters", FieldType::kObject, "How they are read.", false, {}, {}, &kParameters}}};
const Schema kTokenize{"TeiTokenizeRequest",
                       {{"inputs", FieldType::kTexts, "Text, or texts.", true},
                        {"add_special_tokens", FieldType::kBool, "Default true."},
                        kPromptName}};
const Schema kDecode{"TeiDecodeRequest",
                     {{"ids", FieldType::kIds, "Token ids of one text, or of several.", true},
                      {"skip_special_tokens", FieldType::kBool, "Default true."}}};

// truncate, truncation_direction, prompt_name
std::optional<ApiError> ReadEncode(const CallPtr& call, const Body& body, const ServingModel& model,
                                   EncodeTextOptions* encode) {
  encode->error_when_long = !body.Bool("truncate").value_or(call->app().options().auto_truncate);
  if (body.Has("truncation_direction")) {
    encode->truncation_side = body.Choice("truncation_direction") == "left" ? Side::kLeft : Side::kRight;
  }
  return SetPromptName(model, body.String("prompt_name"), "prompt_name", encode);
}

std::optional<ApiError> RefuseEmpty(const std::vector<TaskText>& texts) {
  for (const TaskText& text : texts) {
    if (text.text.empty() && text.ids.empty()) {
      return ApiError{ErrorKind::kEmpty, "Input validation error: `inputs` cannot be empty", "inputs"};
    }
  }
  return std::nullopt;
}

// What the three embed routes share: model, texts, encoding.
struct Read {
  const ServedModel* served = nullptr;
  TaskRequest task;
};

Expected<Read> ReadEmbed(const CallPtr& call, const Body& body, Ability ability) {
  Read read;
  auto model = call->ModelIfKnown("", ability);
  if (!model.ok()) return model.error();
  read.served = *model;
  auto texts = body.Texts("inputs", call->limits());
  if (!texts.ok()) return texts.error();
  if (auto fault = RefuseEmpty(*texts)) return *fault;
  read.task.texts = std::move(*texts);
  if (auto fault = ReadEncode(call, body, *read.served->model, &read.task.encode)) return *fault;
  return read;
}

void Embed(const CallPtr& call, const Body& body) {
  auto read = ReadEmbed(call, body, Ability::kVectors);
  if (!read.ok()) return call->Fail(read.error());
  TaskRequest& task = read->task;
  task.embed.normalize = body.Bool("normalize").value_or(true);
  const ServingModel& model = *read->served->model;
  if (auto fault = SetDimensions(model, body.Int("dimensions"), "dimensions", &task.embed)) return call->Fail(*fault);
  task.embed.normalize = body.Bool("normalize").value_or(true);
  call->Submit(*read->served, std::move(task), [](const TaskResult& result) {
    std::string out = "[";
    for (size_t i = 0; i < CountOf(result); ++i) {
      if (i > 0) out += ',';
      AppendVector(&out, RowOf(result, i));
    }
    return out + "]";
  });
}

void EmbedAll(const CallPtr& call, const Body& body) {
  auto read = ReadEmbed(call, body, Ability::kTokenVectors);
  if (!read.ok()) return call->Fail(read.error());
  read->task.kind = read->served->model->as() == "multi-vector" ? TaskKind::kMultiVector : TaskKind::kTokens;
  call->Submit(*read->served, std::move(read->task), [](const TaskResult& result) {
    std::string out = "[";
    for (size_t i = 0; i < CountOf(result); ++i) {
      out += i > 0 ? ",[" : "[";
      const auto rows = RowOf(result, i);
      const auto width = static_cast<size_t>(result.width);
      for (size_t k = 0; k < rows.size(); k += width) {
        if (k > 0) out += ',';
        AppendVector(&out, rows.subspan(k, width));
      }
      out += ']';
    }
    return out + "]";
  });
}

void EmbedSparse(const CallPtr& call, const Body& body) {
  auto read = ReadEmbed(call, body, Ability::kSparse);
  if (!read.ok()) return call->Fail(read.error());
  read->task.kind = TaskKind::kSparse;
  call->Submit(*read->served, std::move(read->task), [](const TaskResult& result) {
    std::string out = "[";
    for (size_t i = 0; i < CountOf(result); ++i) {
      out += i > 0 ? ",[" : "[";
      bool first = true;
      for (auto k = static_cast<size_t>(result.offsets[i]); k < static_cast<size_t>(result.offsets[i + 1]); ++k) {
        if (result.values[k] == 0) continue;
        out += std::string(first ? "" : ",") + R"({"index":)" + std::to_string(result.columns[k]) + R"(,"value":)";
        AppendFloat(&out, result.values[k]);
        out += '}';
        first = false;
      }
      out += ']';
    }
    return out + "]";
  });
}

void Rerank(const CallPtr& call, const Body& body) {
  auto model = call->ModelIfKnown("", Ability::kScores);
  if (!model.ok()) return call->Fail(model.error());
  auto texts = body.Texts("texts", call->limits());
  if (!texts.ok()) return call->Fail(texts.error());
  ScoreRequest request;
  request.raw = body.Bool("raw_scores").value_or(false);
  if (auto fault = ReadEncode(call, body, *(*model)->model, &request.encode)) return call->Fail(*fault);
  const std::string query = body.String("query");
  std::vector<std::string> documents;
  for (TaskText& text : *texts) {
    request.pairs.emplace_back(query, text.text);
    documents.push_back(std::move(text.text));
  }
  if (!body.Bool("return_text").value_or(false)) documents.clear();
  SubmitScores(call, **model, std::move(request),
               [documents = std::move(documents)](const std::vector<float>& scores, const TaskResult&) {
                 std::string out = "[";
                 for (const Ranked& ranked : Rank(scores, -1)) {
                   out += std::string(out.size() > 1 ? "," : "") + R"({"index":)" + std::to_string(ranked.index);
                   if (!documents.empty()) out += R"(,"text":)" + WriteJson(json::value(documents[ranked.index]));
                   out += R"(,"score":)";
                   AppendFloat(&out, ranked.score);
                   out += '}';
                 }
                 return out + "]";
               });
}

Expected<TaskText> ReadSequence(const JsonRef& value) {
  const bool pair = value.is_array() && value.size() == 2;
  if (!pair && !(value.is_array() && value.size() == 1)) {
    return ApiError{ErrorKind::kType, value.TypeError("[text] or [text, text]").message(), value.key()};
  }
  for (size_t i = 0; i < value.size(); ++i) {
    if (!value.At(i).is_string()) {
      return ApiError{ErrorKind::kType, value.At(i).TypeError("a string").message(), value.At(i).key()};
    }
  }
  TaskText text{value.At(0).String().value()};
  if (pair) text.pair = value.At(1).String().value();
  return text;
}

Expected<std::vector<TaskText>> ReadSequences(const JsonRef& inputs, size_t max_texts) {
  std::vector<TaskText> texts;
  if (inputs.is_string()) {
    texts.push_back({inputs.String().value()});
  } else if (!inputs.is_array()) {
    return ApiError{ErrorKind::kType, inputs.TypeError("a string or an array").message(), "inputs"};
  } else if (inputs.size() == 0) {
    return ApiError{ErrorKind::kEmpty, "`inputs` cannot be empty", "inputs"};
  } else if (!inputs.At(0).is_array()) {
    auto one = ReadSequence(inputs);
    if (!one.ok()) return one.error();
    texts.push_back(std::move(*one));
  } else if (inputs.size() > max_texts) {
    return ApiError{
        ErrorKind::kTooMany,
        "batch size " + std::to_string(inputs.size()) + " > maximum allowed batch size " + std::to_string(max_texts),
        "inputs"};
  } else {
    for (size_t i = 0; i < inputs.size(); ++i) {
      auto one = ReadSequence(inputs.At(i));
      if (!one.ok()) return one.error();
      texts.push_back(std::move(*one));
    }
  }
  if (auto fault = RefuseEmpty(texts)) return *fault;
  return texts;
}

void Predict(const CallPtr& call, const Body& body) {
  auto model = call->ModelIfKnown("", Ability::kScores);
  if (!model.ok()) return call->Fail(model.error());
  const ServingModel& serving = *(*model)->model;
  if (serving.as() != "cross-encoder") {
    return call->Fail({ErrorKind::kWrongModel, "the model is " + serving.as() + ", not a classifier or reranker"});
  }
  const JsonRef inputs = body.root()["inputs"];
  auto texts = ReadSequences(inputs, call->limits().max_texts);
  if (!texts.ok()) return call->Fail(texts.error());
  TaskRequest task;
  task.kind = TaskKind::kScore;
  task.texts = std::move(*texts);
  task.score.raw = body.Bool("raw_scores").value_or(false);
  task.score.softmax = !task.score.raw && serving.labels().size() > 1;
  if (auto fault = ReadEncode(call, body, serving, &task.encode)) return call->Fail(*fault);
  const bool nested = inputs.is_array() && inputs.At(0).is_array();
  call->Submit(**model, std::move(task), [nested, model = (*model)->model](const TaskResult& result) {
    std::string out = nested ? "[" : "";
    for (size_t i = 0; i < CountOf(result); ++i) {
      const auto row = RowOf(result, i);
      out += i > 0 ? ",[" : "[";
      bool first = true;
      for (const Ranked& ranked : Rank({row.begin(), row.end()}, -1)) {
        out += std::string(first ? "" : ",") + R"({"score":)";
        AppendFloat(&out, ranked.score);
        out += R"(,"label":)" + WriteJson(json::value(model->labels()[ranked.index])) + '}';
        first = false;
      }
      out += ']';
    }
    return out + (nested ? "]" : "");
  });
}

void Similarity(const CallPtr& call, const Body& body) {
  auto model = call->ModelIfKnown("", Ability::kVectors);
  if (!model.ok()) return call->Fail(model.error());
  const Body inputs = body.Object("inputs");
  auto others = inputs.Texts("sentences", call->limits());
  if (!others.ok()) return call->Fail(others.error());
  TaskRequest task;
  task.texts.push_back({inputs.String("source_sentence")});
  for (TaskText& text : *others) task.texts.push_back(std::move(text));
  if (auto fault = RefuseEmpty(task.texts)) return call->Fail(*fault);
  if (auto fault = ReadEncode(call, body.Object("parameters"), *(*model)->model, &task.encode)) {
    return call->Fail(*fault);
  }
  call->Submit(**model, std::move(task), [model = (*model)->model](const TaskResult& result) {
    std::string out = "[";
    for (size_t i = 1; i < CountOf(result); ++i) {
      if (i > 1) out += ',';
      AppendFloat(&out, static_cast<float>(model->Similarity(RowOf(result, 0), RowOf(result, i), result.width)));
    }
    return out + "]";
  });
}

void AppendTokens(const std::vector<TokenView>& tokens, std::string* out) {
  bool first = true;
  for (const TokenView& token : tokens) {
    *out += std::string(first ? "" : ",") + R"({"id":)" + std::to_string(token.id) + R"(,"text":)" +
            WriteJson(json::value(token.text)) + R"(,"special":)" + (token.special ? "true" : "false") +
            R"(,"start":)" + (token.special ? "null" : std::to_string(token.begin)) + R"(,"stop":)" +
            (token.special ? "null" : std::to_string(token.end)) + '}';
    first = false;
  }
}

void Tokenize(const CallPtr& call, const Body& body) {
  auto model = call->ModelIfKnown("", Ability::kAny);
  if (!model.ok()) return call->Fail(model.error());
  const ServingModel& serving = *(*model)->model;
  auto texts = body.Texts("inputs", {call->limits().max_texts, false});
  if (!texts.ok()) return call->Fail(texts.error());
  EncodeTextOptions encode;
  if (auto fault = SetPromptName(serving, body.String("prompt_name"), "prompt_name", &encode))
    return call->Fail(*fault);
  std::string prompt;
  if (encode.prompt.prompt_name.has_value()) prompt = serving.pipeline().ResolvePrompt(encode.prompt).value();
  size_t bytes = 0;
  for (const TaskText& text : *texts) bytes += prompt.size() + text.text.size();
  if (auto fault = CheckShown(bytes, "inputs")) return call->Fail(*fault);
  ServerResponse response;
  for (const TaskText& text : *texts) {
    const auto tokens = serving.Tokenize(prompt + text.text, body.Bool("add_special_tokens").value_or(true), 0);
    if (!tokens.ok()) return call->Fail({ErrorKind::kText, tokens.status().message()});
    response.body += response.body.empty() ? "[[" : ",[";
    AppendTokens(*tokens, &response.body);
    response.body += ']';
  }
  response.body += ']';
  call->Reply(std::move(response));
}

void Decode(const CallPtr& call, const Body& body) {
  auto model = call->ModelIfKnown("", Ability::kAny);
  if (!model.ok()) return call->Fail(model.error());
  auto lists = body.Ids("ids", call->limits());
  if (!lists.ok()) return call->Fail(lists.error());
  json::array all;
  for (const auto& ids : *lists) {
    const auto text = (*model)->model->Decode(ids, body.Bool("skip_special_tokens").value_or(true));
    if (!text.ok()) return call->Fail({ErrorKind::kValue, "ids" + text.status().message(), "ids"});
    all.push_back(json::value(*text));
  }
  call->ReplyJson(all);
}

json::object ModelType(const ServingModel& model) {
  if (model.as() == "cross-encoder") {
    json::object id2label;
    json::object label2id;
    for (size_t i = 0; i < model.labels().size(); ++i) {
      id2label[std::to_string(i)] = model.labels()[i];
      label2id[model.labels()[i]] = i;
    }
    json::object labels{{"id2label", std::move(id2label)}, {"label2id", std::move(label2id)}};
    return {{model.labels().size() == 1 ? "reranker" : "classifier", std::move(labels)}};
  }
  const json::value pooling = model.as() == "sparse" ? json::value("splade") : model.Setting("pooling");
  return {{"embedding", json::object{{"pooling", pooling}}}};
}

void Info(const CallPtr& call, const Body&) {
  auto found = call->Model("", Ability::kAny);
  if (!found.ok()) return call->Fail(found.error());
  const ServingModel& model = *(*found)->model;
  const SchedulerOptions& queue = call->app().scheduler().options();
  call->ReplyJson(json::object{{"model_id", (*found)->id()},
                               {"model_sha", nullptr},
                               {"model_dtype", model.dtype()},
                               {"served_model_name", (*found)->id()},
                               {"model_type", ModelType(model)},
                               {"max_concurrent_requests", queue.max_queue_texts},
                               {"max_input_length", model.max_length()},
                               {"max_batch_tokens", queue.max_batch_tokens},
                               {"max_batch_requests", nullptr},
                               {"max_client_batch_size", call->limits().max_texts},
                               {"auto_truncate", call->app().options().auto_truncate},
                               {"tokenization_workers", call->app().scheduler().pool()->threads()},
                               {"version", std::string(Version())},
                               {"sha", nullptr},
                               {"docker_label", nullptr},
                               {"dimension", model.dimension()},
                               {"normalize", model.Setting("normalize")},
                               {"prompts", model.Setting("prompts")},
                               {"fingerprint", model.fingerprint()}});
}

constexpr const char* kVectors = R"({"type":"array","items":{"type":"array","items":{"type":"number"}}})";
constexpr const char* kTokenVectors =
    R"({"type":"array","items":{"type":"array","items":{"type":"array","items":{"type":"number"}}}})";
constexpr const char* kSparseReply = R"({"type":"array","items":{"type":"array","items":{"type":"object",
"required":["index","value"],"properties":{"index":{"type":"integer"},"value":{"type":"number"}}}}})";
constexpr const char* kRanks = R"({"type":"array","items":{"type":"object","required":["index","score"],
"properties":{"index":{"type":"integer"},"score":{"type":"number"},"text":{"type":"string"}}}})";
constexpr const char* kList = R"({"type":"array"})";
constexpr const char* kTexts = R"({"type":"array","items":{"type":"string"}})";
constexpr const char* kNumbers = R"({"type":"array","items":{"type":"number"}})";
constexpr const char* kInfo = R"({"type":"object","required":["model_id","max_input_length","version"]})";

}  // namespace

const Dialect kTei{"tei", StatusOf, WriteError};

std::vector<Route> TeiRoutes() {
  constexpr Access kAsk = Access::kInference;
  constexpr Access kQueue = Access::kQueued;
  return {{"POST", "/embed", kQueue, &kTei, &kEmbed, Embed, "Vectors of texts.", kVectors},
          {"POST", "/embed_all", kQueue, &kTei, &kEmbedAll, EmbedAll, "A vector for each token.", kTokenVectors},
          {"POST", "/embed_sparse", kQueue, &kTei, &kEmbedAll, EmbedSparse, "Sparse vectors.", kSparseReply},
          {"POST", "tei:/rerank", kAsk, &kTei, &kRerank, Rerank, "Documents, best first.", kRanks},
          {"POST", "/predict", kQueue, &kTei, &kPredict, Predict, "Labels with their scores.", kList},
          {"POST", "/similarity", kQueue, &kTei, &kSimilarity, Similarity, "Cosines with one sentence.", kNumbers},
          {"POST", "tei:/tokenize", kAsk, &kTei, &kTokenize, Tokenize, "Tokens of texts.", kList},
          {"POST", "/decode", kAsk, &kTei, &kDecode, Decode, "Texts of token ids.", kTexts},
          {"GET", "/info", Access::kInference, &kTei, nullptr, Info, "The model and the limits.", kInfo}};
}

}  // namespace truevec
