// llama.cpp's llama-server: /embedding, /tokenize, /detokenize, /props (tools/server/README.md); /rerank, /reranking
// and /v1/embeddings are shared with the other dialects (shared.cc).
#include <cmath>

#include "server/vectors.h"

namespace truevec {
namespace {

json::value WriteError(const ApiError& error, int status) {
  const char* type = status == 401                          ? "authentication_error"
                     : status == 404                        ? "not_found_error"
                     : status == 503                        ? "unavailable_error"
                     : error.kind == ErrorKind::kWrongModel ? "not_supported_error"
                     : status >= 500                        ? "server_error"
                                                            : "invalid_request_error";
  return json::object{{"error", json::object{{"code", status}, {"message", error.message}, {"type", type}}}};
}

int StatusOf(ErrorKind kind) { return kind == ErrorKind::kText ? 400 : 0; }

const Schema kEmbedding{
    "LlamaCppEmbeddingRequest",
    {{"content", FieldType::kInputs, "Text, or texts."},
     {"input", FieldType::kInputs, "As content."},
     {"embd_normalize",
      FieldType::kInt,
      "-1: not normalised, 0: greatest magnitude to 32760, 1: taxicab, 2: Euclidean (default), N: the N-norm.",
      false,
      {},
      -1}}};
const Schema kTokenize{"LlamaCppTokenizeRequest",
                       {{"content", FieldType::kString, "The text.", true},
                        {"add_special", FieldType::kBool, "With special tokens; default false."},
                        {"parse_special", FieldType::kBool, "Only true: special tokens in the text are recognised."},
                        {"with_pieces", FieldType::kBool, "Give each token's text."}}};
const Schema kDetokenize{"LlamaCppDetokenizeRequest", {{"tokens", FieldType::kIds, "Token ids of one text.", true}}};

// llama.cpp common_embd_normalize.
std::vector<float> Normalised(std::span<const float> row, int64_t kind) {
  double sum = 0;
  for (const float value : row) {
    const double magnitude = std::abs(static_cast<double>(value));
    if (kind == 0) {
      sum = std::max(sum, magnitude / 32760.0);
    } else {
      sum += kind == 1 ? magnitude : std::pow(magnitude, static_cast<double>(kind));
    }
  }
  if (kind > 1) sum = std::pow(sum, 1.0 / static_cast<double>(kind));
  const double scale = sum > 0 ? 1.0 / sum : 0.0;
  std::vector<float> out;
  for (const float value : row) out.push_back(static_cast<float>(static_cast<double>(value) * scale));
  return out;
}

void Embedding(const CallPtr& call, const Body& body) {
  auto model = call->ModelIfKnown("", Ability::kVectors);
  if (!model.ok()) return call->Fail(model.error());
  const char* field = body.Has("content") ? "content" : "input";
  if (!body.Has(field)) return call->Fail({ErrorKind::kType, "body: content: missing", "content"});
  auto texts = body.Texts(field, call->limits());
  if (!texts.ok()) return call->Fail(texts.error());
  TaskRequest task;
  task.texts = std::move(*texts);
  const int64_t kind = body.Int("embd_normalize").value_or(2);
  task.embed.normalize = kind == 2;
  call->Submit(**model, std::move(task), [kind](const TaskResult& result) {
    std::string out = "[";
    for (size_t i = 0; i < CountOf(result); ++i) {
      out += std::string(i > 0 ? "," : "") + R"({"index":)" + std::to_string(i) + R"(,"embedding":[)";
      if (kind == 2 || kind == -1) {
        AppendVector(&out, RowOf(result, i));
      } else {
        AppendVector(&out, Normalised(RowOf(result, i), kind));
      }
      out += "]}";
    }
    return out + "]";
  });
}

void Tokenize(const CallPtr& call, const Body& body) {
  auto model = call->ModelIfKnown("", Ability::kAny);
  if (!model.ok()) return call->Fail(model.error());
  if (auto fault = CheckShown(body.String("content").size(), "content")) return call->Fail(*fault);
  const auto tokens = (*model)->model->Tokenize(body.String("content"), body.Bool("add_special").value_or(false), 0);
  if (!tokens.ok()) return call->Fail({ErrorKind::kText, tokens.status().message()});
  json::array list;
  for (const TokenView& token : *tokens) {
    if (body.Bool("with_pieces").value_or(false)) {
      list.push_back(json::object{{"id", token.id}, {"piece", token.text}});
    } else {
      list.push_back(token.id);
    }
  }
  call->ReplyJson(json::object{{"tokens", std::move(list)}});
}

void Detokenize(const CallPtr& call, const Body& body) {
  auto model = call->ModelIfKnown("", Ability::kAny);
  if (!model.ok()) return call->Fail(model.error());
  const JsonRef tokens = body.root()["tokens"];
  if (tokens.size() == 0) return call->ReplyJson(json::object{{"content", ""}});
  auto lists = body.Ids("tokens", call->limits());
  if (!lists.ok()) return call->Fail(lists.error());
  const auto text = (*model)->model->Decode(lists->front(), false);
  if (!text.ok()) return call->Fail({ErrorKind::kValue, "tokens" + text.status().message(), "tokens"});
  call->ReplyJson(json::object{{"content", *text}});
}

void Props(const CallPtr& call, const Body&) {
  auto found = call->Model("", Ability::kAny);
  if (!found.ok()) return call->Fail(found.error());
  const ServingModel& model = *(*found)->model;
  call->ReplyJson(json::object{{"default_generation_settings", json::object{{"n_ctx", model.max_length()}}},
                               {"total_slots", 1},
                               {"model_path", (*found)->id()},
                               {"model_alias", (*found)->id()},
                               {"build_info", "truevec " + std::string(Version())}});
}

constexpr const char* kEmbeddingReply =
    R"({"type":"array","items":{"type":"object","required":["index","embedding"]}})";
constexpr const char* kTokensReply = R"({"type":"object","required":["tokens"]})";
constexpr const char* kContentReply = R"({"type":"object","required":["content"]})";
constexpr const char* kAnyReply = R"({"type":"object"})";

}  // namespace

const Dialect kLlamaCpp{"llamacpp", StatusOf, WriteError};

std::vector<Route> LlamaCppRoutes() {
  constexpr Access kAsk = Access::kInference;
  constexpr Access kQueue = Access::kQueued;
  return {
      {"POST", "/embedding", kQueue, &kLlamaCpp, &kEmbedding, Embedding, "Vectors of texts, nested.", kEmbeddingReply},
      {"POST", "llamacpp:/tokenize", kAsk, &kLlamaCpp, &kTokenize, Tokenize, "Token ids of a text.", kTokensReply},
      {"POST", "llamacpp:/detokenize", kAsk, &kLlamaCpp, &kDetokenize, Detokenize, "The text of token ids.",
       kContentReply},
      {"GET", "/props", kAsk, &kLlamaCpp, nullptr, Props, "Properties of the server.", kAnyReply}};
}

}  // namespace truevec
