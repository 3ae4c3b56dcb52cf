// Answers for the differential tests, one JSON line per request line on stdin:
//   {"load": {tokenizer.json}} · {"file": PATH} · {"directory": PATH, "model_type": T}   -> {"ok": true} or {"error"}
//   {"text", "text_pair"?, "special"?, "truncation"?, "ids_only"?}   -> the encoding
//   {"normalize": text} · {"pre_tokenize": text}   -> the stage alone, of the last "load"
//   {"decode": [ids], "skip": bool}   -> {"text"}
// A bad request ends the program; what the tokenizer refuses is an answer.
#include <iostream>
#include <memory>
#include <string>

#include "base/json.h"
#include "tokenizer/normalizers.h"
#include "tokenizer/pre_tokenizers.h"
#include "tokenizer/tokenizer.h"
#include "unicode/unicode.h"

namespace truevec {
namespace {

json::array Pairs(const std::vector<std::pair<int32_t, int32_t>>& pairs) {
  json::array out;
  for (const auto& [begin, end] : pairs) out.push_back(json::array{begin, end});
  return out;
}

template <typename T>
json::array List(const std::vector<T>& values) {
  json::array out;
  for (const T& value : values) out.push_back(json::value(value));
  return out;
}

json::object ToJson(const Encoding& encoding, bool ids_only) {
  json::object out = {{"ids", List(encoding.ids)}, {"type_ids", List(encoding.type_ids)}};
  if (ids_only) return out;
  out["tokens"] = List(encoding.tokens);
  out["offsets"] = Pairs(encoding.offsets);
  out["byte_offsets"] = Pairs(encoding.byte_offsets);
  out["special_tokens_mask"] = List(encoding.special_tokens_mask);
  out["attention_mask"] = List(encoding.attention_mask);
  json::array windows;
  for (const Encoding& window : encoding.overflowing) windows.push_back(ToJson(window, false));
  out["overflowing"] = std::move(windows);
  return out;
}

Text ToText(std::string_view utf8) {
  Text text;
  int32_t index = 0;
  for (size_t i = 0; i < utf8.size(); ++index) text.push_back({NextCodePoint(utf8, &i), index, index + 1});
  return text;
}

class Driver {
 public:
  Result<json::object> Answer(const JsonRef& request) {
    if (request["load"].present() || request["file"].present() || request["directory"].present()) return Load(request);
    if (request["normalize"].present()) return NormalizeAlone(request);
    if (request["pre_tokenize"].present()) return PreTokenizeAlone(request);
    if (tokenizer_ == nullptr) return InputError("no tokenizer is loaded");
    if (request["decode"].present()) return DecodeIds(request);
    return EncodeText(request);
  }

 private:
  Result<json::object> Load(const JsonRef& request) {
    tokenizer_ = nullptr;
    if (request["load"].present()) {
      TV_ASSIGN_OR_RETURN(const JsonFile file, JsonFile::Parse(WriteJson(request["load"].value()), "tokenizer.json"));
      document_ = file.root().value();
      TV_ASSIGN_OR_RETURN(tokenizer_, Tokenizer::FromJson(file));
    } else if (request["file"].present()) {
      TV_ASSIGN_OR_RETURN(const std::string path, request["file"].String());
      TV_ASSIGN_OR_RETURN(tokenizer_, Tokenizer::LoadFile(path));
    } else {
      TV_ASSIGN_OR_RETURN(const std::string path, request["directory"].String());
      TV_ASSIGN_OR_RETURN(const std::string type, request["model_type"].String());
      TV_ASSIGN_OR_RETURN(tokenizer_, Tokenizer::LoadDirectory(path, type, {}, nullptr));
    }
    return json::object{{"ok", true}};
  }

  Result<json::object> NormalizeAlone(const JsonRef& request) {
    TV_ASSIGN_OR_RETURN(const auto normalizer, ParseNormalizer(JsonRef(&document_, "load")["normalizer"]));
    TV_ASSIGN_OR_RETURN(const std::string utf8, request["normalize"].String());
    Text text = ToText(utf8);
    if (normalizer != nullptr) TV_RETURN_IF_ERROR(normalizer->Normalize(&text));
    return json::object{{"text", ToUtf8(text.data(), text.data() + text.size())}};
  }

  Result<json::object> PreTokenizeAlone(const JsonRef& request) {
    TV_ASSIGN_OR_RETURN(const auto pre_tokenizer, ParsePreTokenizer(JsonRef(&document_, "load")["pre_tokenizer"]));
    TV_ASSIGN_OR_RETURN(const std::string utf8, request["pre_tokenize"].String());
    std::vector<Text> pieces = {ToText(utf8)};
    if (pre_tokenizer != nullptr) TV_RETURN_IF_ERROR(pre_tokenizer->Split(&pieces));
    json::array out;
    for (const Text& piece : pieces) {
      if (piece.empty()) continue;
      out.push_back(
          json::array{ToUtf8(piece.data(), piece.data() + piece.size()), piece.front().begin, piece.back().end});
    }
    return json::object{{"pieces", std::move(out)}};
  }

  Result<json::object> DecodeIds(const JsonRef& request) {
    std::vector<int32_t> ids;
    for (size_t i = 0; i < request["decode"].size(); ++i) {
      TV_ASSIGN_OR_RETURN(const int64_t id, request["decode"].At(i).Int());
      ids.push_back(static_cast<int32_t>(id));
    }
    TV_ASSIGN_OR_RETURN(const bool skip, request["skip"].Bool());
    TV_ASSIGN_OR_RETURN(std::string text, tokenizer_->Decode(ids, skip));
    return json::object{{"text", std::move(text)}};
  }

  Result<json::object> EncodeText(const JsonRef& request) {
    TV_ASSIGN_OR_RETURN(const std::string text, request["text"].String());
    std::string pair;
    if (request["text_pair"].present()) {
      TV_ASSIGN_OR_RETURN(pair, request["text_pair"].String());
    }
    const bool ids_only = request["ids_only"].present();
    EncodeOptions options;
    options.details = options.overflow = !ids_only;
    if (request["special"].present()) {
      TV_ASSIGN_OR_RETURN(options.add_special_tokens, request["special"].Bool());
    }
    if (const JsonRef cut = request["truncation"]; cut.present()) {
      Truncation truncation;
      TV_ASSIGN_OR_RETURN(truncation.max_length, cut["max_length"].Int());
      TV_ASSIGN_OR_RETURN(truncation.stride, cut["stride"].Int());
      TV_ASSIGN_OR_RETURN(const std::string strategy, cut["strategy"].String());
      TV_ASSIGN_OR_RETURN(const std::string direction, cut["direction"].String());
      truncation.side = direction == "left" ? Side::kLeft : Side::kRight;
      truncation.strategy = strategy == "longest_first" ? TruncationStrategy::kLongestFirst
                            : strategy == "only_first"  ? TruncationStrategy::kOnlyFirst
                                                        : TruncationStrategy::kOnlySecond;
      options.truncation = truncation;
    }
    std::optional<std::string_view> second;
    if (request["text_pair"].present()) second = pair;
    TV_ASSIGN_OR_RETURN(const Encoding encoding, tokenizer_->Encode(text, second, options));
    return ToJson(encoding, ids_only);
  }

  json::value document_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

int Run() {
  std::ios::sync_with_stdio(false);
  Driver driver;
  for (std::string line; std::getline(std::cin, line);) {
    const auto request = ParseJson(line, "stdin");
    if (!request.ok()) {
      std::cerr << request.status().message() << "\n";
      return 2;
    }
    auto answer = driver.Answer(JsonRef(&*request, "stdin"));
    if (!answer.ok()) answer = json::object{{"error", answer.status().message()}};
    std::cout << WriteJson(*answer) << "\n";
    if (std::cin.rdbuf()->in_avail() <= 0) std::cout.flush();
  }
  return 0;
}

}  // namespace
}  // namespace truevec

int main() { return truevec::Run(); }
