// Tokenizer::LoadDirectory: the ids of transformers 5's AutoTokenizer, which Sentence Transformers 6 loads.
//
// A tokenizer class with an __init__ of its own rebuilds the pipeline: of tokenizer.json it keeps the vocabulary and
// the added tokens; normalizer and template come from the class and tokenizer_config.json. So the effective
// tokenizer.json is built here, one function per class, and read like any other file.
// Reference: transformers 5.23 tokenization_utils_tokenizers.py, tokenization_utils_base.py,
// models/*/tokenization_*.py.
#include <algorithm>
#include <array>
#include <map>

#include "base/file.h"
#include "tokenizer/hf_tokenizer.h"
#include "tokenizer/tokenizer.h"
#include "unicode/unicode.h"

namespace truevec {
namespace {

constexpr std::string_view kDefaultSource = "transformers 5";

// The files of a tokenizer directory; a missing one is an empty object.
struct Files {
  std::string directory;
  std::optional<JsonFile> tokenizer;
  std::optional<JsonFile> config;
  std::optional<JsonFile> special_map;

  JsonRef Config(std::string_view key) const { return config ? config->root()[key] : JsonRef(); }
};

Result<std::optional<JsonFile>> LoadOptional(const std::string& directory, const std::string& name) {
  const std::string path = directory + "/" + name;
  if (!FileExists(path)) return std::optional<JsonFile>();
  TV_ASSIGN_OR_RETURN(JsonFile file, JsonFile::Load(path, name));
  TV_RETURN_IF_ERROR(file.root().ExpectObject());
  return std::optional<JsonFile>(std::move(file));
}

// A value of tokenizer_config.json with its default, recorded under `setting`.
Result<json::value> ConfigValue(const Files& files, std::string_view key, json::value fallback, Settings* settings,
                                std::string setting) {
  const JsonRef ref = files.Config(key);
  const bool present = ref.present();
  json::value value = present ? ref.value() : std::move(fallback);
  if (settings != nullptr) {
    settings->Record(
        std::move(setting), value,
        present ? SettingSource::File(ref.file(), ref.key()) : SettingSource::Default(std::string(kDefaultSource)));
  }
  return value;
}

// The text of a special token: tokenizer_config.json, then special_tokens_map.json (a string or an AddedToken
// object), then the class default.
Result<std::string> SpecialToken(const Files& files, std::string_view key, std::string_view fallback) {
  for (const std::optional<JsonFile>* file : {&files.config, &files.special_map}) {
    if (!file->has_value()) continue;
    const JsonRef ref = (*file)->root()[key];
    if (!ref.present() || ref.is_null()) continue;
    return ref.is_object() ? ref["content"].String() : ref.String();
  }
  return std::string(fallback);
}

// vocab.txt: a token a line, its id the line number.
Result<json::object> ReadVocabText(const std::string& directory) {
  TV_ASSIGN_OR_RETURN(const std::string text, ReadFile(directory + "/vocab.txt"));
  if (const auto bad = FirstInvalidUtf8(text)) {
    return ModelError("vocab.txt: invalid UTF-8 at byte " + std::to_string(*bad));
  }
  json::object vocabulary;
  int64_t id = 0;
  for (size_t begin = 0; begin < text.size(); ++id) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line(text.data() + begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    vocabulary[line] = id;
    begin = end + 1;
  }
  return vocabulary;
}

Result<json::value> Vocabulary(const Files& files) {
  if (files.tokenizer) {
    const JsonRef vocabulary = files.tokenizer->root()["model"]["vocab"];
    TV_RETURN_IF_ERROR(vocabulary.ExpectObject());
    return vocabulary.value();
  }
  TV_ASSIGN_OR_RETURN(json::object vocabulary, ReadVocabText(files.directory));
  return json::value(std::move(vocabulary));
}

json::object AddedTokenJson(std::string_view content, bool special) {
  return {{"content", content}, {"single_word", false},   {"lstrip", false},
          {"rstrip", false},    {"normalized", !special}, {"special", special}};
}

// added_tokens_decoder of the config by id, else added_tokens of tokenizer.json; then the class's special tokens and
// the extra ones that are not among them.
Result<json::array> AddedTokens(const Files& files, const std::vector<std::string>& specials) {
  json::array added;
  const auto contains = [&](std::string_view content) {
    for (const json::value& token : added) {
      if (const json::value* c = token.get_object().if_contains("content");
          c != nullptr && *c == json::value(content)) {
        return true;
      }
    }
    return false;
  };
  const JsonRef decoder = files.Config("added_tokens_decoder");
  if (decoder.is_object() && decoder.size() > 0) {
    std::map<int64_t, json::value> by_id;
    for (const auto& member : decoder.value().get_object()) {
      if (!member.value().is_object()) return decoder[member.key()].TypeError("an object");
      by_id[std::atoll(std::string(member.key()).c_str())] = member.value();
    }
    for (auto& [id, token] : by_id) added.push_back(std::move(token));
  } else if (files.tokenizer) {
    const JsonRef list = files.tokenizer->root()["added_tokens"];
    if (list.is_array()) added = list.value().get_array();
  }
  for (const std::string& content : specials) {
    if (!contains(content)) added.push_back(AddedTokenJson(content, true));
  }
  for (const std::string_view key : {"additional_special_tokens", "extra_special_tokens"}) {
    const JsonRef extra = files.Config(key);
    for (size_t i = 0; extra.is_array() && i < extra.size(); ++i) {
      const JsonRef token = extra.At(i);
      TV_ASSIGN_OR_RETURN(const std::string content, token.is_object() ? token["content"].String() : token.String());
      if (!contains(content)) added.push_back(AddedTokenJson(content, true));
    }
  }
  return added;
}

json::value TemplateToken(std::string_view token, int type_id) {
  return json::object{{"SpecialToken", json::object{{"id", token}, {"type_id", type_id}}}};
}
json::value TemplateSequence(std::string_view name, int type_id) {
  return json::object{{"Sequence", json::object{{"id", name}, {"type_id", type_id}}}};
}

// models/bert/tokenization_bert.py
Result<json::value> BuildBert(const Files& files, Settings* settings) {
  TV_ASSIGN_OR_RETURN(const std::string unk, SpecialToken(files, "unk_token", "[UNK]"));
  TV_ASSIGN_OR_RETURN(const std::string sep, SpecialToken(files, "sep_token", "[SEP]"));
  TV_ASSIGN_OR_RETURN(const std::string pad, SpecialToken(files, "pad_token", "[PAD]"));
  TV_ASSIGN_OR_RETURN(const std::string cls, SpecialToken(files, "cls_token", "[CLS]"));
  TV_ASSIGN_OR_RETURN(const std::string mask, SpecialToken(files, "mask_token", "[MASK]"));
  TV_ASSIGN_OR_RETURN(json::value vocabulary, Vocabulary(files));
  const json::object& ids = vocabulary.get_object();
  for (const std::string* token : {&unk, &sep, &cls}) {
    if (!ids.contains(*token)) {
      return ModelError(files.directory + ": special token \"" + *token + "\" is not in the tokenizer's vocabulary");
    }
  }
  TV_ASSIGN_OR_RETURN(const json::value lower, ConfigValue(files, "do_lower_case", true, settings, "lowercase"));
  TV_ASSIGN_OR_RETURN(const json::value strip, ConfigValue(files, "strip_accents", nullptr, settings, "strip_accents"));
  TV_ASSIGN_OR_RETURN(const json::value chinese,
                      ConfigValue(files, "tokenize_chinese_chars", true, settings, "tokenize_chinese_chars"));
  TV_ASSIGN_OR_RETURN(json::array added, AddedTokens(files, {unk, sep, pad, cls, mask}));
  json::object special_tokens;
  for (const std::string* token : {&cls, &sep}) {
    special_tokens[*token] =
        json::object{{"id", *token}, {"ids", json::array{ids.at(*token)}}, {"tokens", json::array{*token}}};
  }
  json::object root;
  root["version"] = "1.0";
  root["added_tokens"] = std::move(added);
  root["normalizer"] = json::object{{"type", "BertNormalizer"},
                                    {"clean_text", true},
                                    {"handle_chinese_chars", chinese},
                                    {"strip_accents", strip},
                                    {"lowercase", lower}};
  root["pre_tokenizer"] = json::object{{"type", "BertPreTokenizer"}};
  root["post_processor"] =
      json::object{{"type", "TemplateProcessing"},
                   {"single", json::array{TemplateToken(cls, 0), TemplateSequence("A", 0), TemplateToken(sep, 0)}},
                   {"pair", json::array{TemplateToken(cls, 0), TemplateSequence("A", 0), TemplateToken(sep, 0),
                                        TemplateSequence("B", 1), TemplateToken(sep, 1)}},
                   {"special_tokens", std::move(special_tokens)}};
  root["model"] = json::object{{"type", "WordPiece"},
                               {"unk_token", unk},
                               {"continuing_subword_prefix", "##"},
                               {"max_input_chars_per_word", 100},
                               {"vocab", std::move(vocabulary)}};
  return json::value(std::move(root));
}

// TokenizersBackend and PreTrainedTokenizerFast take tokenizer.json as it is.
Result<json::value> BuildFromFile(const Files& files, Settings*) {
  if (!files.tokenizer) return ModelError(files.directory + ": no tokenizer.json");
  return files.tokenizer->root().value();
}

struct TokenizerClass {
  std::string_view name;  // tokenizer_class without "Fast"
  Result<json::value> (*build)(const Files& files, Settings* settings);
};

constexpr std::array kClasses = {
    TokenizerClass{"BertTokenizer", BuildBert},
    TokenizerClass{"TokenizersBackend", BuildFromFile},
    TokenizerClass{"PreTrainedTokenizer", BuildFromFile},
};

// tokenizer_class of tokenizer_config.json, else the class that is registered for the model type.
Result<std::string> ClassName(const Files& files, const std::string& model_type, Settings* settings) {
  std::string name = model_type == "bert" ? "BertTokenizer" : "TokenizersBackend";
  SettingSource source = SettingSource::Default(std::string(kDefaultSource) + " for model_type " + model_type);
  if (const JsonRef declared = files.Config("tokenizer_class"); declared.present() && !declared.is_null()) {
    TV_ASSIGN_OR_RETURN(name, declared.String());
    source = SettingSource::File(declared.file(), declared.key());
  }
  if (settings != nullptr) settings->Record("tokenizer_class", json::value(name), std::move(source));
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  return name;
}

// Sentence Transformers' do_lower_case puts Lowercase in front, unless the chain has one.
void PrependLowercase(json::object* root) {
  const json::value lowercase = json::object{{"type", "Lowercase"}};
  json::value& normalizer = (*root)["normalizer"];
  json::array chain;
  if (normalizer.is_object() && normalizer.get_object()["type"] == json::value("Sequence")) {
    chain = normalizer.get_object()["normalizers"].as_array();
  } else if (normalizer.is_object()) {
    chain.push_back(normalizer);
  }
  for (const json::value& part : chain) {
    if (part.is_object() && part.get_object().contains("type") &&
        part.get_object().at("type") == json::value("Lowercase")) {
      return;
    }
  }
  chain.insert(chain.begin(), lowercase);
  normalizer = json::object{{"type", "Sequence"}, {"normalizers", std::move(chain)}};
}

Result<Side> SideSetting(const Files& files, std::string_view key, Settings* settings) {
  TV_ASSIGN_OR_RETURN(const json::value side, ConfigValue(files, key, "right", settings, std::string(key)));
  if (side == json::value("right")) return Side::kRight;
  if (side == json::value("left")) return Side::kLeft;
  return files.Config(key).TypeError("\"left\" or \"right\"");
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> Tokenizer::LoadDirectory(const std::string& directory, const std::string& model_type,
                                                            const TokenizerLoadOptions& options, Settings* settings) {
  Files files;
  files.directory = directory;
  TV_ASSIGN_OR_RETURN(files.tokenizer, LoadOptional(directory, "tokenizer.json"));
  TV_ASSIGN_OR_RETURN(files.config, LoadOptional(directory, "tokenizer_config.json"));
  TV_ASSIGN_OR_RETURN(files.special_map, LoadOptional(directory, "special_tokens_map.json"));
  if (!files.tokenizer && !FileExists(directory + "/vocab.txt")) {
    return ModelError(directory + ": no tokenizer files: expected tokenizer.json or vocab.txt");
  }
  TV_ASSIGN_OR_RETURN(const std::string name, ClassName(files, model_type, settings));
  const auto* row = std::find_if(kClasses.begin(), kClasses.end(), [&](const auto& c) { return c.name == name; });
  if (row == kClasses.end()) {
    return ModelError("tokenizer_config.json: tokenizer_class: \"" + name + "\" is not supported");
  }
  TV_ASSIGN_OR_RETURN(json::value root, row->build(files, settings));
  if (options.prepend_lowercase) PrependLowercase(&root.get_object());
  TV_ASSIGN_OR_RETURN(TokenizerParts parts, ParseTokenizerJson(JsonRef(&root, "tokenizer.json"), false));
  TV_ASSIGN_OR_RETURN(parts.truncation_side, SideSetting(files, "truncation_side", settings));
  TV_ASSIGN_OR_RETURN(parts.padding_side, SideSetting(files, "padding_side", settings));
  if (const JsonRef limit = files.Config("model_max_length"); limit.is_number()) {
    TV_ASSIGN_OR_RETURN(const double value, limit.Double());
    if (value < 1e12) parts.model_max_length = static_cast<int64_t>(value);  // 1e30 stands for "none"
  }
  TV_ASSIGN_OR_RETURN(const std::string pad, SpecialToken(files, "pad_token", ""));
  const auto pad_found = parts.model->vocabulary().find(pad);
  if (pad_found != parts.model->vocabulary().end()) parts.pad_id = pad_found->second;
  std::unique_ptr<Tokenizer> tokenizer = MakeTokenizer(std::move(parts));
  if (settings != nullptr) {
    json::array prefix;
    json::array suffix;
    for (const int32_t id : tokenizer->PrefixIds()) prefix.push_back(id);
    for (const int32_t id : tokenizer->SuffixIds()) suffix.push_back(id);
    settings->Record("special_tokens", json::object{{"prefix", prefix}, {"suffix", suffix}},
                     SettingSource::Default(std::string(kDefaultSource) + " " + name));
  }
  return tokenizer;
}

}  // namespace truevec
