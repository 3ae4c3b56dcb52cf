#include "verify/dialect.h"

#include <array>
#include <cmath>
#include <cstring>

namespace truevec {
namespace {

json::array Texts(const std::vector<std::string>& texts) {
  json::array out;
  for (const std::string& text : texts) out.emplace_back(text);
  return out;
}

json::object OpenAiBody(const EmbedCall& call) {
  json::object body = {{"input", Texts(call.texts)}, {"encoding_format", call.base64 ? "base64" : "float"}};
  if (!call.model.empty()) body["model"] = call.model;
  return body;
}

// -1: cut at the model's limit; vLLM refuses long texts otherwise.
json::object VllmBody(const EmbedCall& call) {
  json::object body = OpenAiBody(call);
  body["truncate_prompt_tokens"] = -1;
  return body;
}

json::object TeiBody(const EmbedCall& call) {
  json::object body = {{"inputs", Texts(call.texts)}, {"truncate", true}};
  if (!call.prompt_name.empty()) body["prompt_name"] = call.prompt_name;
  return body;
}

json::object OllamaBody(const EmbedCall& call) {
  return {{"model", call.model}, {"input", Texts(call.texts)}, {"truncate", true}};
}

json::object LlamaBody(const EmbedCall& call) {
  return {{"input", Texts(call.texts)}, {"encoding_format", call.base64 ? "base64" : "float"}};
}

json::object CohereBody(const EmbedCall& call) {
  json::object body = {{"texts", Texts(call.texts)}, {"embedding_types", json::array{"float"}}, {"truncate", "END"}};
  if (!call.model.empty()) body["model"] = call.model;
  if (call.prompt_name == "query") body["input_type"] = "search_query";
  if (call.prompt_name == "document") body["input_type"] = "search_document";
  if (!call.prompt_name.empty() && !body.contains("input_type")) body["input_type"] = call.prompt_name;
  return body;
}

json::object TeiTokenize(const std::string& text, const std::string&) { return {{"inputs", text}}; }
json::object VllmTokenize(const std::string& text, const std::string& model) {
  json::object body = {{"prompt", text}};
  if (!model.empty()) body["model"] = model;
  return body;
}
json::object LlamaTokenize(const std::string& text, const std::string&) {
  return {{"content", text}, {"add_special", true}};
}

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

Result<Vector> ReadVector(const JsonRef& ref) {
  Vector v;
  if (ref.is_string()) {
    TV_ASSIGN_OR_RETURN(const std::string text, ref.String());
    auto bytes = DecodeBase64(text);
    if (!bytes.ok()) return bytes.status().WithContext(ref.Where());
    if (bytes->size() % sizeof(float) != 0) {
      return EndpointError(ref.Where() + ": base64 of " + std::to_string(bytes->size()) +
                           " bytes, expected a multiple of 4");
    }
    v.resize(bytes->size() / sizeof(float));
    std::memcpy(v.data(), bytes->data(), bytes->size());
    return v;
  }
  TV_ASSIGN_OR_RETURN(const std::vector<JsonRef> values, ref.Array());
  v.reserve(values.size());
  for (const JsonRef& value : values) {
    if (value.is_null()) {
      v.push_back(NAN);
      continue;
    }
    TV_ASSIGN_OR_RETURN(const double x, value.Double());
    v.push_back(static_cast<float>(x));
  }
  return v;
}

// A vector, or a matrix: one row is llama.cpp's nesting, more are an unpooled answer.
Status ReadItem(const JsonRef& ref, size_t text, TargetReply* reply) {
  if (!ref.is_array() || ref.size() == 0 || !ref.At(0).is_array()) {
    TV_ASSIGN_OR_RETURN(reply->vectors[text], ReadVector(ref));
    return Status::Ok();
  }
  std::vector<Vector> rows;
  for (size_t i = 0; i < ref.size(); ++i) {
    TV_ASSIGN_OR_RETURN(Vector row, ReadVector(ref.At(i)));
    rows.push_back(std::move(row));
  }
  reply->vectors[text] = rows.back();
  if (rows.size() > 1 && reply->unpooled.empty()) reply->unpooled.resize(reply->vectors.size());
  if (!reply->unpooled.empty()) reply->unpooled[text] = std::move(rows);
  return Status::Ok();
}

std::optional<int64_t> Tokens(const JsonRef& root) {
  for (const JsonRef& ref : {root["usage"]["prompt_tokens"], root["usage"]["total_tokens"], root["prompt_eval_count"],
                             root["meta"]["billed_units"]["input_tokens"]}) {
    if (ref.is_number() && ref.Int().ok()) return ref.Int().value();
  }
  return std::nullopt;
}

// The member that holds the list of vectors.
JsonRef VectorList(const JsonRef& root) {
  if (root.is_array()) return root;
  if (root["data"].is_array()) return root["data"];
  const JsonRef embeddings = root["embeddings"];
  return embeddings.is_object() ? embeddings["float"] : embeddings;
}

Status AsEndpoint(const Status& status) { return {Code::kEndpoint, status.message()}; }

}  // namespace

const std::vector<EndpointDialect>& Dialects() {
  static const std::vector<EndpointDialect> dialects = {
      {"tei", {"/embed"}, 32, false, true, TeiBody, "/tokenize", TeiTokenize},
      {"ollama", {"/api/embed"}, 64, false, false, OllamaBody, "", nullptr},
      {"vllm", {"/v1/embeddings"}, 64, true, false, VllmBody, "/tokenize", VllmTokenize},
      {"llamacpp", {"/v1/embeddings", "/embedding"}, 32, true, false, LlamaBody, "/tokenize", LlamaTokenize},
      {"openai", {"/v1/embeddings", "/embeddings"}, 64, true, false, OpenAiBody, "", nullptr},
      {"cohere", {"/v2/embed", "/v1/embed"}, 64, false, true, CohereBody, "", nullptr},
  };
  return dialects;
}

const EndpointDialect* FindDialect(std::string_view name) {
  for (const EndpointDialect& dialect : Dialects()) {
    if (dialect.name == name) return &dialect;
  }
  return nullptr;
}

Result<TargetReply> ReadEmbedAnswer(const std::string& body, const std::string& where, size_t texts) {
  TV_ASSIGN_OR_RETURN(const JsonFile file, JsonFile::Parse(body, where, Code::kEndpoint));
  const JsonRef root = file.root();
  TargetReply reply;
  reply.vectors.resize(texts);
  reply.input_tokens = Tokens(root);
  if (root.is_object() && root["embedding"].present() && texts == 1) {
    if (const Status status = ReadItem(root["embedding"], 0, &reply); !status.ok()) return AsEndpoint(status);
    return reply;
  }
  const auto rows = VectorList(root).Array();
  if (!rows.ok()) return EndpointError(where + ": no vectors in the answer: " + body.substr(0, 200));
  if (rows->size() != texts) {
    return EndpointError(where + ": " + std::to_string(rows->size()) + " vectors for " + std::to_string(texts) +
                         " texts");
  }
  std::vector<bool> filled(texts);
  for (size_t i = 0; i < texts; ++i) {
    // OpenAI's rows say which input they are of; the order of the list is not promised.
    const JsonRef row = (*rows)[i];
    const JsonRef index = row["index"];
    const int64_t place = index.is_number() && index.Int().ok() ? index.Int().value() : static_cast<int64_t>(i);
    if (place < 0 || place >= static_cast<int64_t>(texts) || filled[static_cast<size_t>(place)]) {
      return EndpointError(where + ": " + index.Where() + ": expected each index from 0 to " +
                           std::to_string(texts - 1) + " once, got " + std::to_string(place));
    }
    filled[static_cast<size_t>(place)] = true;
    const Status status = ReadItem(row.is_object() ? row["embedding"] : row, static_cast<size_t>(place), &reply);
    if (!status.ok()) return AsEndpoint(status);
  }
  return reply;
}

Result<std::vector<int32_t>> ReadTokenizeAnswer(const std::string& body, const std::string& where) {
  TV_ASSIGN_OR_RETURN(const JsonFile file, JsonFile::Parse(body, where, Code::kEndpoint));
  JsonRef list = file.root();
  if (list.is_object()) list = list["tokens"];
  if (list.is_array() && list.size() == 1 && list.At(0).is_array()) list = list.At(0);
  std::vector<int32_t> ids;
  const auto items = list.Array();
  if (!items.ok()) return AsEndpoint(items.status());
  for (const JsonRef& item : *items) {
    const auto id = (item.is_object() ? item["id"] : item).Int();
    if (!id.ok()) return AsEndpoint(id.status());
    ids.push_back(static_cast<int32_t>(*id));
  }
  return ids;
}

std::string ErrorText(const std::string& body) {
  const auto file = JsonFile::Parse(body, "answer", Code::kEndpoint);
  if (file.ok()) {
    const JsonRef root = file->root();
    for (const JsonRef& ref : {root["error"]["message"], root["message"], root["error"], root["detail"]}) {
      if (ref.is_string()) return ref.String().value().substr(0, 300);
    }
  }
  return body.substr(0, 300);
}

Result<std::string> DecodeBase64(std::string_view text) {
  if (text.size() % 4 != 0) return EndpointError("base64 of " + std::to_string(text.size()) + " characters");
  std::string out;
  out.reserve(text.size() / 4 * 3);
  for (size_t i = 0; i < text.size(); i += 4) {
    uint32_t bits = 0;
    int padding = 0;
    for (size_t j = 0; j < 4; ++j) {
      const char c = text[i + j];
      const size_t value = kAlphabet.find(c);
      const bool pad = c == '=' && i + 4 == text.size() && j >= 2;
      if ((value == std::string_view::npos && !pad) || (padding > 0 && !pad)) {
        return EndpointError("base64 holds the character '" + std::string(1, c) + "' at " + std::to_string(i + j));
      }
      padding += pad ? 1 : 0;
      bits = bits << 6 | static_cast<uint32_t>(pad ? 0 : value);
    }
    for (int b = 0; b < 3 - padding; ++b) out += static_cast<char>(bits >> (16 - 8 * b) & 0xff);
  }
  return out;
}

std::string EncodeBase64(std::string_view bytes) {
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t bits = 0;
    for (size_t j = 0; j < 3; ++j) {
      bits = bits << 8 | (i + j < bytes.size() ? static_cast<uint8_t>(bytes[i + j]) : 0);
    }
    for (size_t j = 0; j < 4; ++j) {
      const bool pad = i + j > bytes.size();
      out += pad ? '=' : kAlphabet[bits >> (18 - 6 * j) & 63];
    }
  }
  return out;
}

}  // namespace truevec
