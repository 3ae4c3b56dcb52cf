// The added tokens that a directory's tokenizer ends up with, in the order in which new ids are given.
// Reference: transformers 5.23 tokenization_utils_base.py (_from_pretrained, PreTrainedTokenizerBase.__init__) and
// tokenization_utils_tokenizers.py (TokenizersBackend.__init__).
#include <algorithm>
#include <array>
#include <charconv>
#include <map>

#include "tokenizer/auto_classes.h"

namespace truevec {
namespace {

constexpr std::array<std::string_view, 7> kSpecialKeys = {"bos_token", "eos_token", "unk_token", "sep_token",
                                                          "pad_token", "cls_token", "mask_token"};
// SPECIAL_TOKENS_ATTRIBUTES has only those; other "*_token" keys with a text are model-specific special tokens.
bool IsSpecialKey(std::string_view key) {
  return std::find(kSpecialKeys.begin(), kSpecialKeys.end(), key) != kSpecialKeys.end();
}

json::object PlainToken(std::string_view content, bool lstrip) {
  return {{"content", content}, {"lstrip", lstrip}, {"special", true}};
}

class Collector {
 public:
  explicit Collector(const TokenizerFiles& files) : files_(files) {}

  void Keep(const JsonRef& list) {
    if (list.is_array()) tokens_ = list.value().get_array();
  }

  // added_tokens_decoder, else added_tokens.json and the file's own list.
  Status AddDecoder() {
    std::map<int64_t, json::value> by_id;
    if (const JsonRef decoder = files_.Config("added_tokens_decoder"); decoder.is_object()) {
      for (const std::string& key : decoder.Keys()) {
        int64_t id = 0;
        const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
        if (error != std::errc() || end != key.data() + key.size()) return decoder[key].TypeError("an id as its key");
        TV_RETURN_IF_ERROR(decoder[key]["content"].String().status());
        by_id[id] = decoder[key].value();
      }
    } else {
      if (files_.added) {
        for (const std::string& content : files_.added->root().Keys()) {
          TV_ASSIGN_OR_RETURN(const int64_t id, files_.added->root()[content].Int());
          const bool special = IsDeclaredSpecial(content);
          by_id[id] = json::object{{"content", content}, {"normalized", !special}, {"special", special}};
        }
      }
      if (files_.tokenizer) {
        const JsonRef list = files_.tokenizer->root()["added_tokens"];
        for (size_t i = 0; list.is_array() && i < list.size(); ++i) {
          TV_ASSIGN_OR_RETURN(const int64_t id, list.At(i)["id"].Int());
          by_id[id] = list.At(i).value();
        }
      }
    }
    for (auto& [id, token] : by_id) {
      Put(std::move(token));
    }
    return Status::Ok();
  }

  Status AddSpecials(const std::vector<SpecialDefault>& defaults) {
    for (const std::string_view key : kSpecialKeys) {
      const JsonRef ref = SpecialTokenRef(files_, key);
      if (ref.present()) {
        TV_RETURN_IF_ERROR(AddOne(ref, IsLstripDefault(defaults, key), true));
        continue;
      }
      for (const SpecialDefault& fallback : defaults) {
        if (fallback.key == key && !fallback.text.empty()) PutNew(PlainToken(fallback.text, fallback.lstrip));
      }
    }
    for (const std::optional<JsonFile>* file : {&files_.config, &files_.special_map}) {
      if (!file->has_value()) continue;
      for (const std::string& key : (*file)->root().Keys()) {
        const JsonRef ref = SpecialTokenRef(files_, key);
        if (key.ends_with("_token") && !IsSpecialKey(key) && (ref.is_string() || ref["content"].is_string())) {
          TV_RETURN_IF_ERROR(AddOne(ref, false, true));
        }
      }
    }
    return Status::Ok();
  }

  // extra_special_tokens or additional_special_tokens: a list, or an object of named tokens.
  Status AddExtras(const std::vector<std::string>& fallback) {
    JsonRef extra = SpecialTokenRef(files_, "extra_special_tokens");
    if (!extra.present() || extra.size() == 0) extra = SpecialTokenRef(files_, "additional_special_tokens");
    if (!extra.present()) {
      for (const std::string& content : fallback) PutNew(PlainToken(content, false));
      return Status::Ok();
    }
    if (extra.is_object()) {
      for (const std::string& key : extra.Keys()) TV_RETURN_IF_ERROR(AddOne(extra[key], false, true));
      return Status::Ok();
    }
    TV_ASSIGN_OR_RETURN(const std::vector<JsonRef> list, extra.Array());
    for (const JsonRef& token : list) TV_RETURN_IF_ERROR(AddOne(token, false, token.is_string()));
    return Status::Ok();
  }

  // Every token with all fields, by the defaults of tokenizers' AddedToken.
  json::array Take() {
    for (json::value& token : tokens_) {
      json::object& fields = token.get_object();
      const json::value* special = fields.if_contains("special");
      const bool is_special = special != nullptr && special->is_bool() && special->get_bool();
      for (const auto& [name, value] :
           {std::pair("id", json::value(0)), std::pair("single_word", json::value(false)),
            std::pair("lstrip", json::value(false)), std::pair("rstrip", json::value(false)),
            std::pair("special", json::value(false)), std::pair("normalized", json::value(!is_special))}) {
        if (!fields.contains(name)) fields[name] = value;
      }
    }
    return std::move(tokens_);
  }

 private:
  static bool IsLstripDefault(const std::vector<SpecialDefault>& defaults, std::string_view key) {
    return std::any_of(defaults.begin(), defaults.end(),
                       [&](const SpecialDefault& d) { return d.key == key && d.lstrip; });
  }
  bool IsDeclaredSpecial(const std::string& content) const {
    return std::any_of(kSpecialKeys.begin(), kSpecialKeys.end(), [&](std::string_view key) {
      const Result<std::string> text = SpecialTokenText(files_, key, "");
      return text.ok() && *text == content;
    });
  }
  static const json::value* Content(const json::value& token) {
    return token.is_object() ? token.get_object().if_contains("content") : nullptr;
  }
  json::value* Find(json::array* list, const json::value& content) {
    for (json::value& token : *list) {
      if (const json::value* other = Content(token); other != nullptr && *other == content) return &token;
    }
    return nullptr;
  }
  // A token added twice keeps its id and takes the later flags.
  void Put(json::value token) {
    if (json::value* same = Find(&tokens_, token.get_object().at("content"))) {
      *same = std::move(token);
    } else {
      tokens_.push_back(std::move(token));
    }
  }
  void PutNew(json::object token) {
    if (Find(&tokens_, token.at("content")) == nullptr) tokens_.push_back(std::move(token));
  }
  Status AddOne(const JsonRef& ref, bool lstrip, bool named) {
    if (!ref.is_object()) {
      TV_ASSIGN_OR_RETURN(const std::string content, ref.String());
      if (!content.empty()) PutNew(PlainToken(content, lstrip));
      return Status::Ok();
    }
    TV_RETURN_IF_ERROR(ref["content"].String().status());
    json::object token = ref.value().get_object();
    if (named) token["special"] = true;
    PutNew(std::move(token));
    return Status::Ok();
  }

  const TokenizerFiles& files_;
  json::array tokens_;
};

}  // namespace

// Without an added_tokens_decoder, special_tokens_map.json wins over tokenizer_config.json (the legacy rule of
// _from_pretrained); with one it is not read.
JsonRef SpecialTokenRef(const TokenizerFiles& files, std::string_view key) {
  const bool legacy = !files.Config("added_tokens_decoder").present();
  for (const std::optional<JsonFile>* file : {&files.special_map, &files.config}) {
    if (!file->has_value() || (file == &files.special_map && !legacy)) continue;
    const JsonRef ref = (*file)->root()[key];
    if (ref.present() && !ref.is_null()) return ref;
  }
  return {};
}

Result<std::string> SpecialTokenText(const TokenizerFiles& files, std::string_view key, std::string_view fallback) {
  const JsonRef ref = SpecialTokenRef(files, key);
  if (!ref.present()) return std::string(fallback);
  return ref.is_object() ? ref["content"].String() : ref.String();
}

Result<json::array> CollectAddedTokens(const TokenizerFiles& files, bool keep_file_tokens,
                                       const std::vector<SpecialDefault>& defaults,
                                       const std::vector<std::string>& default_extras) {
  Collector collector(files);
  if (keep_file_tokens && files.tokenizer) collector.Keep(files.tokenizer->root()["added_tokens"]);
  TV_RETURN_IF_ERROR(collector.AddDecoder());
  TV_RETURN_IF_ERROR(collector.AddSpecials(defaults));
  TV_RETURN_IF_ERROR(collector.AddExtras(default_extras));
  return collector.Take();
}

}  // namespace truevec
