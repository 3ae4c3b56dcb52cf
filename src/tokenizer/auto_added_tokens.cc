// The added tokens that a directory's tokenizer ends up with, in the order in which new ids are given.
// Reference: transformers 5.23 tokenization_utils_base.py (_from_pretrained, PreTrainedTokenizerBase.__init__) and
// tokenization_utils_tokenizers.py (TokenizersBackend.__init__).
#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <set>

#include "tokenizer/auto_classes.h"

namespace truevec {
namespace {

constexpr std::array<std::string_view, 7> kSpecialKeys = {"bos_token", "eos_token", "unk_token", "sep_token",
                                                          "pad_token", "cls_token", "mask_token"};
// SPECIAL_TOKENS_ATTRIBUTES has only those; other "*_token" keys with a text are model-specific special tokens.
bool IsSpecialKey(std::string_view key) {
  return std::find(kSpecialKeys.begin(), kSpecialKeys.end(), key) != kSpecialKeys.end();
}
bool IsModelSpecificKey(std::string_view key) { return key.ends_with("_token") && !IsSpecialKey(key); }

// An object that from_pretrained turns into an AddedToken: of tokenizer_config.json only one that says so.
bool IsTokenObject(const JsonRef& ref, bool of_special_map) {
  return ref.is_object() && ref["content"].present() &&
         (of_special_map || (ref["__type"].is_string() && ref["__type"].value() == json::value("AddedToken")));
}

json::object PlainToken(std::string_view content, bool lstrip) {
  return {{"content", content}, {"lstrip", lstrip}, {"special", true}};
}

// special_tokens_map.json counts only without an added_tokens_decoder (the legacy rule of _from_pretrained).
bool ReadsSpecialMap(const TokenizerFiles& files) {
  return files.special_map.has_value() && !files.Config("added_tokens_decoder").present();
}

// The keyword arguments about special tokens that reach the class, after _from_pretrained has rearranged them.
struct SpecialArguments {
  std::vector<std::pair<std::string, JsonRef>> model_specific;
  bool extras_given = false;      // "extra_special_tokens" is there, whatever its value
  std::vector<JsonRef> extras;    // its list
  bool additional_given = false;  // "additional_special_tokens" is still there
  std::vector<JsonRef> additional;
};

bool IsTruthy(const JsonRef& ref) { return (ref.is_array() || ref.is_object()) && ref.size() > 0; }

Result<SpecialArguments> Arguments(const TokenizerFiles& files) {
  SpecialArguments out;
  std::vector<std::pair<std::string, JsonRef>> automatic;
  std::vector<std::pair<std::string, JsonRef>> named;
  const auto put = [](std::vector<std::pair<std::string, JsonRef>>* list, const std::string& key, const JsonRef& ref) {
    const auto same = std::find_if(list->begin(), list->end(), [&](const auto& entry) { return entry.first == key; });
    if (same != list->end()) {
      same->second = ref;
    } else {
      list->emplace_back(key, ref);
    }
  };
  const JsonRef config = files.config ? files.config->root() : JsonRef();
  for (const std::string& key : config.Keys()) {
    if (!IsModelSpecificKey(key)) continue;
    if (config[key].is_string()) put(&named, key, config[key]);
    if (IsTokenObject(config[key], false)) put(&automatic, key, config[key]);
  }
  JsonRef extra = config["extra_special_tokens"];
  JsonRef additional = config["additional_special_tokens"];
  if (additional.present() && !IsTruthy(extra)) {
    extra = additional;
    additional = JsonRef();
  }
  if (extra.is_object()) {
    for (const std::string& key : extra.Keys()) put(&named, key, extra[key]);
    extra = JsonRef();
  }
  const JsonRef map = ReadsSpecialMap(files) ? files.special_map->root() : JsonRef();
  for (const std::string& key : map.Keys()) {
    if (IsModelSpecificKey(key) && (map[key].is_string() || IsTokenObject(map[key], true))) {
      put(&automatic, key, map[key]);
    }
  }
  out.extras_given = extra.present();
  if (extra.is_array()) {
    TV_ASSIGN_OR_RETURN(out.extras, extra.Array());
  } else if (extra.present() && !extra.is_null()) {
    return extra.TypeError("a list or an object of tokens");
  }
  if (const JsonRef more = map["extra_special_tokens"]; more.is_array()) {
    out.extras_given = true;
    for (size_t i = 0; i < more.size(); ++i) {
      const JsonRef token = more.At(i);
      const bool known = std::any_of(out.extras.begin(), out.extras.end(),
                                     [&](const JsonRef& other) { return other.value() == token.value(); });
      if (!known) out.extras.push_back(token);
    }
  } else if (more.is_object()) {
    for (const std::string& key : more.Keys()) put(&named, key, more[key]);
  }
  if (map["additional_special_tokens"].present()) additional = map["additional_special_tokens"];
  out.additional_given = additional.present() && !additional.is_null();
  if (out.additional_given) {
    TV_ASSIGN_OR_RETURN(out.additional, additional.Array());
  }
  out.model_specific = std::move(automatic);
  for (const auto& [key, ref] : named) put(&out.model_specific, key, ref);
  return out;
}

class Collector {
 public:
  Collector(const TokenizerFiles& files, SpecialArguments arguments)
      : files_(files), arguments_(std::move(arguments)) {}

  void Keep(const JsonRef& list) {
    if (list.is_array()) tokens_ = list.value().get_array();
  }

  // added_tokens_decoder, else added_tokens.json and the file's own list.
  Status AddDecoder() {
    std::map<int64_t, json::value> by_id;
    if (const JsonRef decoder = files_.Config("added_tokens_decoder"); decoder.present()) {
      TV_RETURN_IF_ERROR(decoder.ExpectObject());
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
      if (IsNamed(token.get_object().at("content"))) token.get_object()["special"] = true;
      Put(std::move(token));
    }
    return Status::Ok();
  }

  Status AddSpecials(const std::vector<SpecialDefault>& defaults) {
    for (const json::value& token : tokens_) {
      if (const json::value* content = Content(token); content != nullptr && content->is_string()) {
        encoder_.insert(std::string(content->get_string()));
      }
    }
    for (const std::string_view key : kSpecialKeys) {
      const JsonRef ref = SpecialTokenRef(files_, key);
      const auto fallback = std::find_if(defaults.begin(), defaults.end(), [&](const auto& d) { return d.key == key; });
      if (ref.present()) {
        if (ref.is_null()) continue;
        TV_RETURN_IF_ERROR(AddOne(ref, fallback != defaults.end() && fallback->lstrip, true));
      } else if (fallback != defaults.end() && !fallback->text.empty()) {
        PutNew(PlainToken(fallback->text, fallback->lstrip));
      }
    }
    for (const auto& [key, ref] : arguments_.model_specific) TV_RETURN_IF_ERROR(AddOne(ref, false, true));
    return Status::Ok();
  }

  // extra_special_tokens, else additional_special_tokens, else what the class has.
  Status AddExtras(const ExtraDefaults& fallback) {
    const bool given = arguments_.extras_given;
    const std::vector<JsonRef>& list = given ? arguments_.extras : arguments_.additional;
    for (const JsonRef& token : list) TV_RETURN_IF_ERROR(AddOne(token, false, token.is_string()));
    const bool has_own = std::any_of(list.begin(), list.end(), [&](const JsonRef& token) {
      return token.is_string() && !fallback.marker.empty() &&
             std::string_view(token.value().get_string()).find(fallback.marker) != std::string_view::npos;
    });
    if (given || (arguments_.additional_given && (fallback.marker.empty() || has_own))) return Status::Ok();
    for (const std::string& content : fallback.tokens) PutNew(PlainToken(content, false));
    return Status::Ok();
  }

  // Qwen2Tokenizer adds its special tokens again, as plain ones.
  void ResetSpecialFlags() {
    for (json::value& token : tokens_) {
      const json::value content = token.get_object().at("content");
      if (!content.is_string() || !specials_.contains(std::string(content.get_string()))) continue;
      token = PlainToken(content.get_string(), false);
    }
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
  static std::string Text(const JsonRef& ref) {
    const JsonRef content = ref.is_object() ? ref["content"] : ref;
    return content.is_string() ? std::string(content.value().get_string()) : "";
  }
  bool IsNamed(const json::value& content) const {
    const auto same = [&](const JsonRef& ref) { return ref.present() && json::value(Text(ref)) == content; };
    return std::any_of(kSpecialKeys.begin(), kSpecialKeys.end(),
                       [&](std::string_view key) { return same(SpecialTokenRef(files_, key)); }) ||
           std::any_of(arguments_.model_specific.begin(), arguments_.model_specific.end(),
                       [&](const auto& entry) { return same(entry.second); });
  }
  bool IsDeclaredSpecial(const std::string& content) const {
    const auto same = [&](const JsonRef& ref) { return Text(ref) == content; };
    return std::any_of(kSpecialKeys.begin(), kSpecialKeys.end(),
                       [&](std::string_view key) { return same(SpecialTokenRef(files_, key)); }) ||
           std::any_of(arguments_.extras.begin(), arguments_.extras.end(), same);
  }
  static const json::value* Content(const json::value& token) {
    return token.is_object() ? token.get_object().if_contains("content") : nullptr;
  }
  static json::value* Find(json::array* list, const json::value& content) {
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
  // A special token: left out when the file's or the decoder's tokens have it, else a later one changes the flags.
  void PutNew(json::object token) {
    const json::value& content = token.at("content");
    if (!content.is_string()) return;
    const std::string text(content.get_string());
    specials_.insert(text);
    if (!encoder_.contains(text)) Put(std::move(token));
  }
  Status AddOne(const JsonRef& ref, bool lstrip, bool named) {
    if (ref.is_null()) return Status::Ok();
    if (!ref.is_object()) {
      TV_ASSIGN_OR_RETURN(const std::string content, ref.String());
      if (!content.empty()) PutNew(PlainToken(content, lstrip));
      return Status::Ok();
    }
    if (!IsTokenObject(ref, ref.file() == "special_tokens_map.json" && named)) {
      return ref.TypeError("a text or an AddedToken object");
    }
    TV_RETURN_IF_ERROR(ref["content"].String().status());
    json::object token = ref.value().get_object();
    if (named) token["special"] = true;
    PutNew(std::move(token));
    return Status::Ok();
  }

  const TokenizerFiles& files_;
  SpecialArguments arguments_;
  json::array tokens_;
  std::set<std::string> specials_;  // contents of named and extra special tokens
  std::set<std::string> encoder_;   // contents of the file's and the decoder's tokens
};

}  // namespace

// What special_tokens_map.json has, null too, replaces tokenizer_config.json's value (the legacy rule).
JsonRef SpecialTokenRef(const TokenizerFiles& files, std::string_view key) {
  if (ReadsSpecialMap(files) && files.special_map->root()[key].present()) return files.special_map->root()[key];
  return files.Config(key);
}

Result<std::string> SpecialTokenText(const TokenizerFiles& files, std::string_view key, std::string_view fallback) {
  const JsonRef ref = SpecialTokenRef(files, key);
  if (!ref.present()) return std::string(fallback);
  if (ref.is_null()) return std::string();
  return ref.is_object() ? ref["content"].String() : ref.String();
}

Result<json::array> CollectAddedTokens(const TokenizerFiles& files, const AddedTokenRules& rules) {
  TV_ASSIGN_OR_RETURN(SpecialArguments arguments, Arguments(files));
  Collector collector(files, std::move(arguments));
  if (rules.keep_file_tokens && files.tokenizer) collector.Keep(files.tokenizer->root()["added_tokens"]);
  TV_RETURN_IF_ERROR(collector.AddDecoder());
  TV_RETURN_IF_ERROR(collector.AddSpecials(rules.defaults));
  TV_RETURN_IF_ERROR(collector.AddExtras(rules.extras));
  if (rules.reset_special_flags) collector.ResetSpecialFlags();
  return collector.Take();
}

}  // namespace truevec
