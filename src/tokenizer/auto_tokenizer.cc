// Tokenizer::LoadDirectory: the ids of transformers 5's AutoTokenizer, which Sentence Transformers 6 loads.
//
// A tokenizer class with an __init__ of its own rebuilds the pipeline: of tokenizer.json it keeps the vocabulary, the
// merges, the character map and the added tokens; the rest comes from the class and tokenizer_config.json. So the
// effective tokenizer.json is built (auto_classes.cc, a function per class) and read like any other file.
// Reference: transformers 5.23 models/auto/tokenization_auto.py (class choice), tokenization_utils_base.py.
#include <algorithm>
#include <array>
#include <charconv>

#include "base/file.h"
#include "tokenizer/auto_classes.h"
#include "tokenizer/auto_overrides.h"
#include "tokenizer/hf_tokenizer.h"
#include "tokenizer/sentencepiece_model.h"
#include "tokenizer/tekken.h"
#include "tokenizer/tokenizer.h"

namespace truevec {
namespace {

Result<std::optional<JsonFile>> LoadOptional(const std::string& directory, const std::string& name) {
  const std::string path = directory + "/" + name;
  if (!FileExists(path)) return std::optional<JsonFile>();
  TV_ASSIGN_OR_RETURN(JsonFile file, JsonFile::Load(path, name));
  TV_RETURN_IF_ERROR(file.root().ExpectObject());
  return std::optional<JsonFile>(std::move(file));
}

bool IsGeneric(std::string_view name) {
  return name == "TokenizersBackend" || name == "PythonBackend" || name == "PreTrainedTokenizer" ||
         name == "PreTrainedTokenizerFast" || name == "MistralCommonBackend";
}

std::string_view WithoutFast(std::string_view name) {
  if (name.ends_with("Fast")) name.remove_suffix(4);
  return name;
}

bool MentionsByteLevel(const JsonRef& component) {
  return component.present() && WriteJson(component.value()).find("\"ByteLevel\"") != std::string::npos;
}

// AutoTokenizer.from_pretrained's choice between the declared class and the one registered for the model type.
std::string ChooseClass(const TokenizerFiles& files, std::string_view declared, std::string_view model_type) {
  std::string_view registered;
  for (const auto& [type, name] : RegisteredTokenizers()) {
    if (type == model_type) registered = name;
  }
  const auto wrong = DeclaredClassIsWrong();
  const bool declared_is_wrong = std::find(wrong.begin(), wrong.end(), model_type) != wrong.end();
  if (declared == "LlamaTokenizer" && registered != "MistralCommonBackend" && !declared_is_wrong && files.tokenizer &&
      MentionsByteLevel(files.tokenizer->root()["pre_tokenizer"])) {
    return "TokenizersBackend";
  }
  std::string_view chosen = declared.empty() ? registered : declared;
  if (!declared.empty() && !registered.empty() && declared != registered) {
    chosen = IsGeneric(registered) ? "TokenizersBackend" : declared_is_wrong ? registered : declared;
  }
  return chosen.empty() || IsGeneric(chosen) ? "TokenizersBackend" : std::string(chosen);
}

// The class that AutoTokenizer builds, recorded with where its name came from.
Result<std::string> ClassName(const TokenizerFiles& files, const std::string& model_type, Settings* settings) {
  std::string declared;
  SettingSource source = SettingSource::Default("transformers 5 for model_type " + model_type);
  if (const JsonRef value = files.Config("tokenizer_class"); value.present() && !value.is_null()) {
    TV_ASSIGN_OR_RETURN(declared, value.String());
    source = SettingSource::File(value.file(), value.key());
  }
  if (const JsonRef value = files.model ? files.model->root()["tokenizer_class"] : JsonRef();
      declared.empty() && value.present() && !value.is_null()) {
    TV_ASSIGN_OR_RETURN(declared, value.String());
    source = SettingSource::File(value.file(), value.key());
  }
  const std::string_view plain = WithoutFast(declared);
  std::string chosen = ChooseClass(files, plain, model_type);
  if (settings != nullptr) {
    const bool declared_won = chosen == plain || (IsGeneric(plain) && chosen == "TokenizersBackend");
    settings->Record("tokenizer_class", json::value(chosen),
                     declared_won ? source : SettingSource::Default("transformers 5 for model_type " + model_type));
    if (!declared_won && !declared.empty()) settings->AddConflict("tokenizer_class", json::value(declared), source);
  }
  return chosen;
}

constexpr const char* kMistralPattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// A transformers version below 5.0.0; its pre-releases count as below.
bool IsBeforeFive(std::string_view version) {
  int major = 0;
  const auto [end, error] = std::from_chars(version.data(), version.data() + version.size(), major);
  if (error != std::errc()) return false;
  const std::string_view rest = version.substr(static_cast<size_t>(end - version.data()));
  const bool first = rest.empty() || rest == ".0" || rest == ".0.0";
  const bool zero = rest.starts_with(".0.0");
  return major < 5 || (major == 5 && zero && !first && rest.find_first_of("abdr") != std::string_view::npos);
}

// _patch_mistral_regex: with fix_mistral_regex, the first split of a large Mistral tokenizer is replaced.
Status PatchMistralRegex(const TokenizerFiles& files, json::object* root) {
  const JsonRef fix = files.Config("fix_mistral_regex");
  if (!fix.is_bool() || !fix.value().get_bool() || !files.model || !(*root)["pre_tokenizer"].is_object()) {
    return Status::Ok();
  }
  const JsonRef version = files.model->root()["transformers_version"];
  if (version.is_string() && !version.value().get_string().empty() &&
      !IsBeforeFive(std::string_view(version.value().get_string()))) {
    return Status::Ok();
  }
  constexpr std::array<std::string_view, 5> kTypes = {"mistral", "mistral3", "voxtral", "ministral", "pixtral"};
  const JsonRef type = files.model->root()["model_type"];
  if (type.is_string() &&
      std::find(kTypes.begin(), kTypes.end(), std::string_view(type.value().get_string())) == kTypes.end()) {
    return Status::Ok();
  }
  const json::value& vocabulary = (*root)["model"].at("vocab");
  if ((vocabulary.is_object() ? vocabulary.get_object().size() : vocabulary.get_array().size()) +
          (*root)["added_tokens"].get_array().size() <=
      100'000) {
    return Status::Ok();
  }
  json::value split = json::object{{"type", "Split"},
                                   {"pattern", json::object{{"Regex", kMistralPattern}}},
                                   {"behavior", "Isolated"},
                                   {"invert", false}};
  json::object& current = (*root)["pre_tokenizer"].get_object();
  const JsonRef list = JsonRef(&(*root)["pre_tokenizer"], "tokenizer.json")["pretokenizers"];
  if (current["type"] == json::value("Sequence") && list.is_array() && list.size() > 0) {
    current["pretokenizers"].get_array()[0] = std::move(split);
    return Status::Ok();
  }
  json::value second = current;
  if (current["type"] == json::value("Metaspace")) {
    second =
        json::object{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};
  }
  (*root)["pre_tokenizer"] =
      json::object{{"type", "Sequence"}, {"pretokenizers", json::array{std::move(split), std::move(second)}}};
  return Status::Ok();
}

// The id of a special token: what the files say, else what the class gave itself ("[MASK]", "<mask>").
Result<std::optional<int32_t>> SpecialId(const TokenizerFiles& files, std::string_view key,
                                         const std::vector<std::string_view>& class_defaults,
                                         const TokenizerParts& parts) {
  TV_ASSIGN_OR_RETURN(const std::string text, SpecialTokenText(files, key, ""));
  for (const AddedToken& token : parts.added.tokens()) {
    const bool is_default =
        text.empty() && token.special &&
        std::find(class_defaults.begin(), class_defaults.end(), token.content) != class_defaults.end();
    if ((!text.empty() && token.content == text) || is_default) return std::optional<int32_t>(token.id);
  }
  const auto found = parts.model->vocabulary().find(text);
  if (text.empty() || found == parts.model->vocabulary().end()) return std::optional<int32_t>();
  return std::optional<int32_t>(found->second);
}

Result<Side> SideSetting(const TokenizerFiles& files, std::string_view key, Settings* settings) {
  TV_ASSIGN_OR_RETURN(const json::value side, TokenizerConfigValue(files, key, "right", settings, std::string(key)));
  if (side == json::value("right")) return Side::kRight;
  if (side == json::value("left")) return Side::kLeft;
  return files.Config(key).TypeError("\"left\" or \"right\"");
}

}  // namespace

bool RemoteQwenAppendsEos(const TokenizerFiles& files) {
  const JsonRef classes = files.Config("auto_map")["AutoTokenizer"];
  bool remote = false;
  for (size_t i = 0; i < classes.size(); ++i) {
    const JsonRef name = classes.At(i);
    remote = remote || (name.is_string() && *name.String() == "tokenization_qwen.Qwen2TokenizerFast");
  }
  const JsonRef asked = files.Config("add_eos_token");
  if (!remote || !asked.is_bool() || !*asked.Bool() || !FileExists(files.directory + "/tokenization_qwen.py")) {
    return false;
  }
  const JsonRef processor = files.tokenizer ? files.tokenizer->root()["post_processor"] : JsonRef();
  const JsonRef type = processor["type"];
  return !processor.is_object() || (type.present() && type.value() == json::value("ByteLevel"));
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::LoadDirectory(const std::string& directory, const std::string& model_type,
                                                            const TokenizerLoadOptions& options, Settings* settings) {
  TokenizerFiles files;
  files.directory = directory;
  TV_ASSIGN_OR_RETURN(files.tokenizer, LoadOptional(directory, "tokenizer.json"));
  TV_ASSIGN_OR_RETURN(files.config, LoadOptional(directory, "tokenizer_config.json"));
  TV_ASSIGN_OR_RETURN(files.special_map, LoadOptional(directory, "special_tokens_map.json"));
  TV_ASSIGN_OR_RETURN(files.added, LoadOptional(directory, "added_tokens.json"));
  TV_ASSIGN_OR_RETURN(files.model, LoadOptional(directory, "config.json"));
  constexpr std::array kVocabularies = {"vocab.txt",    "vocab.json", "sentencepiece.bpe.model",
                                        "spiece.model", "spm.model",  "tokenizer.model"};
  if (!files.tokenizer && std::none_of(kVocabularies.begin(), kVocabularies.end(),
                                       [&](const char* name) { return FileExists(directory + "/" + name); })) {
    TV_ASSIGN_OR_RETURN(const std::optional<JsonFile> tekken, LoadOptional(directory, "tekken.json"));
    if (!tekken) {
      return ModelError(
          directory + ": no tokenizer files: expected tokenizer.json, vocab.txt, vocab.json, tekken.json or a .model");
    }
    TV_ASSIGN_OR_RETURN(const json::value converted, TekkenToTokenizerJson(tekken->root()));
    TV_ASSIGN_OR_RETURN(files.tokenizer, JsonFile::Parse(WriteJson(converted), "tekken.json"));
    files.from_tekken = files.converted = true;
  }
  TV_ASSIGN_OR_RETURN(const std::string name, ClassName(files, model_type, settings));
  if (!files.tokenizer && name == "TokenizersBackend" && FileExists(directory + "/tokenizer.model")) {
    if (files.Config("added_tokens_decoder").present()) {
      return ModelError(
          "tokenizer_config.json: added_tokens_decoder: beside only a tokenizer.model it is not supported");
    }
    TV_ASSIGN_OR_RETURN(const SentencePieceModel model,
                        SentencePieceModel::Load(directory + "/tokenizer.model", "tokenizer.model"));
    TV_ASSIGN_OR_RETURN(const json::value converted, model.ToTokenizerJson("tokenizer.model"));
    TV_ASSIGN_OR_RETURN(files.tokenizer, JsonFile::Parse(WriteJson(converted), "tokenizer.model"));
    files.converted = true;
    if (model.bos_id >= 0) files.bos = model.bos_piece;
    if (model.eos_id >= 0) files.eos = model.eos_piece;
  }
  if (files.from_tekken && name != "TokenizersBackend") {
    return ModelError("tekken.json: with the tokenizer class " + name + " it is not supported");
  }
  TV_ASSIGN_OR_RETURN(json::value root, BuildTokenizerJson(name, files, settings));
  TV_RETURN_IF_ERROR(PatchMistralRegex(files, &root.get_object()));
  const bool file_specials = files.tokenizer && files.tokenizer->root()["post_processor"].present() &&
                             files.tokenizer->root()["post_processor"].value() == root.get_object()["post_processor"];
  const SettingSource special_source = file_specials ? SettingSource::File(files.tokenizer->name(), "post_processor")
                                                     : SettingSource::Default("transformers 5 " + name);
  ApplyTokenizerOptions(options, &root.get_object());
  TV_ASSIGN_OR_RETURN(TokenizerParts parts, ParseTokenizerJson(JsonRef(&root, "tokenizer.json"), false));
  if (const JsonRef split = files.Config("split_special_tokens"); split.present() && !split.is_null()) {
    TV_ASSIGN_OR_RETURN(const bool value, split.Bool());
    parts.added.set_encode_special_tokens(value);
    if (value) parts.canonical += "split_special_tokens";
  }
  TV_ASSIGN_OR_RETURN(parts.truncation_side, SideSetting(files, "truncation_side", settings));
  TV_ASSIGN_OR_RETURN(parts.padding_side, SideSetting(files, "padding_side", settings));
  if (const JsonRef limit = files.Config("model_max_length"); limit.is_number()) {
    TV_ASSIGN_OR_RETURN(const double value, limit.Double());
    if (value < 1e12) parts.model_max_length = static_cast<int64_t>(value);  // 1e30 stands for "none"
  }
  TV_ASSIGN_OR_RETURN(const std::string pad, SpecialTokenText(files, "pad_token", ""));
  const auto pad_found = parts.model->vocabulary().find(pad);
  if (pad_found != parts.model->vocabulary().end()) parts.pad_id = pad_found->second;
  const bool own_class = name != "TokenizersBackend";
  TV_ASSIGN_OR_RETURN(parts.mask_id, SpecialId(files, "mask_token",
                                               own_class ? std::vector<std::string_view>{"[MASK]", "<mask>"}
                                                         : std::vector<std::string_view>{},
                                               parts));
  TV_ASSIGN_OR_RETURN(parts.eos_id, SpecialId(files, "eos_token", {}, parts));
  std::unique_ptr<Tokenizer> tokenizer = MakeTokenizer(std::move(parts));
  if (settings != nullptr) {
    json::array prefix;
    json::array suffix;
    for (const int32_t id : tokenizer->PrefixIds()) prefix.push_back(id);
    for (const int32_t id : tokenizer->SuffixIds()) suffix.push_back(id);
    settings->Record(
        "special_tokens", json::object{{"prefix", prefix}, {"suffix", suffix}},
        RemoteQwenAppendsEos(files) ? SettingSource::File("tokenizer_config.json", "add_eos_token") : special_source);
  }
  return tokenizer;
}

}  // namespace truevec
