// Reference: transformers 5.23 tokenization_utils_tokenizers.py (convert_to_native_format, TokenizersBackend.__init__)
// and models/{bert,mpnet,roberta,gpt2,xlm_roberta,camembert,t5,albert,deberta_v2,qwen2,llama,gemma}/tokenization_*.py.
#include "tokenizer/auto_classes.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>

#include "base/file.h"
#include "base/serde_json.h"
#include "tokenizer/byte_level.h"
#include "tokenizer/sentencepiece_model.h"
#include "unicode/unicode.h"

namespace truevec {
namespace {

constexpr const char* kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr const char* kQwen35Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// vocab.txt: a token a line, its id the line number.
Result<json::value> ReadVocabText(const std::string& directory) {
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
  return json::value(std::move(vocabulary));
}

// merges.txt: two parts a line; lines that begin with # are comments.
Result<json::value> ReadMergesText(const std::string& directory) {
  TV_ASSIGN_OR_RETURN(const std::string text, ReadFile(directory + "/merges.txt"));
  json::array merges;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line(text.data() + begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty() && line[0] != '#') merges.push_back(json::value(line));
    begin = end + 1;
  }
  return json::value(std::move(merges));
}

// The SentencePiece file of each class that has one.
constexpr std::array<std::pair<std::string_view, const char*>, 7> kSentencePieceFiles = {{
    {"XLMRobertaTokenizer", "sentencepiece.bpe.model"},
    {"CamembertTokenizer", "sentencepiece.bpe.model"},
    {"T5Tokenizer", "spiece.model"},
    {"AlbertTokenizer", "spiece.model"},
    {"DebertaV2Tokenizer", "spm.model"},
    {"LlamaTokenizer", "tokenizer.model"},
    {"GemmaTokenizer", "tokenizer.model"},
}};

const char* FindSentencePieceFile(std::string_view name) {
  const auto* row = std::find_if(kSentencePieceFiles.begin(), kSentencePieceFiles.end(),
                                 [&](const auto& pair) { return pair.first == name; });
  return row == kSentencePieceFiles.end() ? nullptr : row->second;
}

// What a class is built from: the vocabulary, its special tokens, and the ids that added tokens will get.
class Builder {
 public:
  Builder(const TokenizerFiles& files, Settings* settings) : files_(files), settings_(settings) {}

  const TokenizerFiles& files() const { return files_; }

  // An object {token: id} or a list [[piece, score]].
  Status LoadVocabulary(std::string_view name) {
    if (!files_.tokenizer) {
      TV_ASSIGN_OR_RETURN(const bool loaded, LoadSentencePiece(name));
      if (loaded) return Status::Ok();
    }
    if (files_.tokenizer) {
      const JsonRef vocabulary = files_.tokenizer->root()["model"]["vocab"];
      if (!vocabulary.is_object() && !vocabulary.is_array()) return vocabulary.TypeError("an object or an array");
      vocabulary_ = vocabulary.value();
    } else if (FindSentencePieceFile(name) != nullptr) {
      return ModelError(files_.directory + ": " + std::string(name) + " without a tokenizer.json or a .model file " +
                        "is not supported");
    } else if (FileExists(files_.directory + "/vocab.json")) {
      TV_ASSIGN_OR_RETURN(const JsonFile file, JsonFile::Load(files_.directory + "/vocab.json", "vocab.json"));
      TV_RETURN_IF_ERROR(file.root().ExpectObject());
      vocabulary_ = file.root().value();
    } else {
      TV_ASSIGN_OR_RETURN(vocabulary_, ReadVocabText(files_.directory));
    }
    return Status::Ok();
  }

  // T5's extra_ids.
  Result<int64_t> ExtraIds() const {
    const JsonRef count = files_.Config("extra_ids");
    if (!count.present()) return 100;
    TV_ASSIGN_OR_RETURN(const int64_t value, count.Int());
    if (value < 0 || value > 100'000) return count.TypeError("0 to 100000");
    return value;
  }
  // The class's SentencePiece file as its converter (convert_slow_tokenizer.py, convert_from_spm) reorders it; false
  // when the class or the directory has none.
  Result<bool> LoadSentencePiece(std::string_view name);
  // The Precompiled normalizer of the SentencePiece file, or null.
  const json::value& charsmap() const { return charsmap_; }

  Result<json::value> Merges() const {
    if (!merges_.is_null()) return merges_;
    if (!files_.tokenizer) return ReadMergesText(files_.directory);
    const JsonRef merges = files_.tokenizer->root()["model"]["merges"];
    if (!merges.is_array()) {
      return ModelError(merges.Where() + ": a file without merges is not supported by this tokenizer class");
    }
    return merges.value();
  }

  Status RequireKind(bool object) const {
    if (vocabulary_.is_object() == object) return Status::Ok();
    return ModelError("tokenizer.json: model.vocab: " + std::string(object ? "a list" : "an object") +
                      " is not supported by the tokenizer class, which needs " +
                      (object ? "an object of tokens" : "a list of [piece, score]"));
  }

  // Declares a special token of the class; gives its text.
  Result<std::string> Special(std::string_view key, std::string_view fallback, bool lstrip = false) {
    defaults_.push_back({key, std::string(fallback), lstrip});
    return SpecialTokenText(files_, key, fallback);
  }
  // The class's extra special tokens when the files give none.
  void SetDefaultExtras(const std::vector<std::string>& extras, std::string marker = "") {
    extras_.tokens = file_extras_;
    extras_.tokens.insert(extras_.tokens.end(), extras.begin(), extras.end());
    extras_.marker = std::move(marker);
  }
  void ResetSpecialFlags() { reset_special_flags_ = true; }

  Result<json::value> Value(std::string_view key, json::value fallback, const std::string& setting) const {
    return TokenizerConfigValue(files_, key, std::move(fallback), settings_, setting);
  }
  Result<bool> Flag(std::string_view key, bool fallback) const {
    TV_ASSIGN_OR_RETURN(const json::value value, Value(key, fallback, std::string(key)));
    if (value.is_null()) return false;  // None: the default is only of a key that is not there
    if (!value.is_bool()) return files_.Config(key).TypeError("true or false");
    return value.get_bool();
  }

  // added_tokens_decoder by id, else tokenizer.json's list; then declared and extra special tokens not among them.
  Status CollectAdded(bool keep_file_tokens = false);
  std::string SpecialText(std::string_view key) const {
    const auto found = std::find_if(defaults_.begin(), defaults_.end(), [&](const auto& d) { return d.key == key; });
    const Result<std::string> text = SpecialTokenText(files_, key, found == defaults_.end() ? "" : found->text);
    return text.ok() ? *text : "";
  }
  // Whether "bos_token" or "eos_token" is put around texts: add_bos_token of the config, without a tokenizer.json.
  Result<bool> AddsToken(const std::string& key) const {
    const JsonRef flag = files_.Config("add_" + key);
    if ((files_.tokenizer && !files_.converted) || !flag.present() || flag.is_null()) return false;
    TV_ASSIGN_OR_RETURN(const bool adds, flag.Bool());
    return adds && !SpecialText(key).empty();
  }
  // The id of `token` in the finished tokenizer.
  Result<int64_t> Id(const std::string& token) const;

  json::value TakeVocabulary() { return std::move(vocabulary_); }
  const json::value& vocabulary() const { return vocabulary_; }
  json::array TakeAdded() { return std::move(added_); }
  const json::array& added() const { return added_; }
  // For a file that is taken as it is: the vocabulary that Id looks in.
  Status TakeVocabularyOf(const json::value& root) {
    const JsonRef vocabulary = JsonRef(&root, "tokenizer.json")["model"]["vocab"];
    if (!vocabulary.is_object() && !vocabulary.is_array()) return vocabulary.TypeError("an object or an array");
    vocabulary_ = vocabulary.value();
    return Status::Ok();
  }

 private:
  std::optional<int64_t> VocabularyId(const std::string& token) const;

  const TokenizerFiles& files_;
  Settings* settings_;
  json::value vocabulary_;
  json::value merges_;    // of a SentencePiece file
  json::value charsmap_;  // of a SentencePiece file
  std::vector<std::string> file_extras_;
  std::vector<SpecialDefault> defaults_;
  ExtraDefaults extras_;
  bool reset_special_flags_ = false;
  json::array added_;
};

Result<bool> Builder::LoadSentencePiece(std::string_view name) {
  const char* file = FindSentencePieceFile(name);
  if (file == nullptr || !FileExists(files_.directory + "/" + file)) return false;
  TV_ASSIGN_OR_RETURN(const SentencePieceModel model, SentencePieceModel::Load(files_.directory + "/" + file, file));
  if (!model.charsmap.empty()) {
    charsmap_ = json::object{{"type", "Precompiled"}, {"precompiled_charsmap", model.CharsmapBase64()}};
  }
  for (const SentencePieceModel::Piece& piece : model.pieces) {
    if (piece.type == 3 || piece.type == 4) file_extras_.push_back(piece.text);
  }
  extras_.tokens = file_extras_;
  if (name == "LlamaTokenizer" || name == "GemmaTokenizer") {
    vocabulary_ = model.Ids();
    merges_ = model.Merges();
    return true;
  }
  json::array list;
  const auto add = [&](std::string_view key, std::string_view fallback) -> Status {
    TV_ASSIGN_OR_RETURN(const std::string text, SpecialTokenText(files_, key, fallback));
    list.push_back(json::array{text, 0.0});
    return Status::Ok();
  };
  size_t from = 0;
  if (name == "XLMRobertaTokenizer") {
    for (const auto& [key, text] : {std::pair("bos_token", "<s>"), std::pair("pad_token", "<pad>"),
                                    std::pair("eos_token", "</s>"), std::pair("unk_token", "<unk>")}) {
      TV_RETURN_IF_ERROR(add(key, text));
    }
    from = 3;
  } else if (name == "CamembertTokenizer") {
    list.push_back(json::array{"<s>NOTUSED", 0.0});
    TV_RETURN_IF_ERROR(add("pad_token", "<pad>"));
    list.push_back(json::array{"</s>NOTUSED", 0.0});
    TV_RETURN_IF_ERROR(add("unk_token", "<unk>"));
    list.push_back(json::array{"<unk>NOTUSED", -100.0});
    from = 1;
  }
  for (json::value& piece : model.Scores(from)) list.push_back(std::move(piece));
  if (name == "XLMRobertaTokenizer" || name == "CamembertTokenizer") TV_RETURN_IF_ERROR(add("mask_token", "<mask>"));
  if (name == "T5Tokenizer") {
    TV_ASSIGN_OR_RETURN(const int64_t extra_ids, ExtraIds());
    for (int64_t i = extra_ids - 1; i >= 0; --i) {
      list.push_back(json::array{"<extra_id_" + std::to_string(i) + ">", 0.0});
    }
  }
  vocabulary_ = std::move(list);
  return true;
}

Status Builder::CollectAdded(bool keep_file_tokens) {
  TV_ASSIGN_OR_RETURN(added_, CollectAddedTokens(files_, {keep_file_tokens, defaults_, extras_, reset_special_flags_}));
  return Status::Ok();
}

std::optional<int64_t> Builder::VocabularyId(const std::string& token) const {
  if (vocabulary_.is_object()) {
    const json::value* id = vocabulary_.get_object().if_contains(token);
    if (id == nullptr || !id->is_int64()) return std::nullopt;
    return id->get_int64();
  }
  const json::array& list = vocabulary_.get_array();
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i].is_array() && !list[i].get_array().empty() && list[i].get_array()[0] == json::value(token)) {
      return static_cast<int64_t>(i);
    }
  }
  return std::nullopt;
}

Result<int64_t> Builder::Id(const std::string& token) const {
  if (const auto id = VocabularyId(token)) return *id;
  auto next =
      static_cast<int64_t>(vocabulary_.is_object() ? vocabulary_.get_object().size() : vocabulary_.get_array().size());
  for (const json::value& added : added_) {
    const json::value& content = added.get_object().at("content");
    if (!content.is_string()) continue;
    const int64_t id = VocabularyId(std::string(content.get_string())).value_or(next);
    if (content == json::value(token)) return id;
    next = std::max(next, id + 1);
  }
  return ModelError(files_.directory + ": special token \"" + token + "\" is not in the tokenizer's vocabulary");
}

// "[CLS]:0 $A:0 [SEP]:0" as a template; $A and $B are the sequences.
json::array Pieces(const std::vector<std::pair<std::string, int>>& items) {
  json::array pieces;
  for (const auto& [name, type] : items) {
    const bool sequence = name == "$A" || name == "$B";
    pieces.push_back(json::object{{sequence ? "Sequence" : "SpecialToken",
                                   json::object{{"id", sequence ? name.substr(1) : name}, {"type_id", type}}}});
  }
  return pieces;
}

using Items = std::vector<std::pair<std::string, int>>;

// `known`: ids that are not the names' own.
Result<json::value> Template(const Builder& builder, const Items& single, const Items& pair,
                             const std::map<std::string, int64_t>& known = {}) {
  json::object specials;
  for (const auto& [name, type] : pair) {
    if (name == "$A" || name == "$B" || specials.contains(name)) continue;
    const auto given = known.find(name);
    TV_ASSIGN_OR_RETURN(const int64_t id, given != known.end() ? given->second : builder.Id(name));
    specials[name] = json::object{{"id", name}, {"ids", json::array{id}}, {"tokens", json::array{name}}};
  }
  return json::value(json::object{{"type", "TemplateProcessing"},
                                  {"single", Pieces(single)},
                                  {"pair", Pieces(pair)},
                                  {"special_tokens", std::move(specials)}});
}

Result<json::value> RobertaTemplate(const Builder& builder, const std::string& cls, const std::string& sep,
                                    bool add_prefix_space) {
  TV_ASSIGN_OR_RETURN(const int64_t cls_id, builder.Id(cls));
  TV_ASSIGN_OR_RETURN(const int64_t sep_id, builder.Id(sep));
  return json::value(json::object{{"type", "RobertaProcessing"},
                                  {"sep", json::array{sep, sep_id}},
                                  {"cls", json::array{cls, cls_id}},
                                  {"trim_offsets", true},
                                  {"add_prefix_space", add_prefix_space}});
}

// update_post_processor: add_bos_token and add_eos_token count only where there is no tokenizer.json.
Result<json::value> BosEosTemplate(const Builder& builder) {
  Items single;
  Items pair;
  TV_ASSIGN_OR_RETURN(const bool bos, builder.AddsToken("bos_token"));
  TV_ASSIGN_OR_RETURN(const bool eos, builder.AddsToken("eos_token"));
  for (const int type : {0, 1}) {
    Items part;
    if (bos) part.emplace_back(builder.SpecialText("bos_token"), type);
    part.emplace_back(type == 0 ? "$A" : "$B", type);
    if (eos) part.emplace_back(builder.SpecialText("eos_token"), type);
    if (type == 0) single = part;
    pair.insert(pair.end(), part.begin(), part.end());
  }
  return Template(builder, single, pair);
}

// The file's own post-processor: what classes keep that do not set one.
Result<json::value> FilePostProcessor(const Builder& builder) {
  if (RemoteQwenAppendsEos(builder.files())) {
    const std::string eos = builder.SpecialText("eos_token");
    return Template(builder, {{"$A", 0}, {eos, 0}}, {{"$A", 0}, {eos, 0}, {"$B", 1}, {eos, 1}});
  }
  if (builder.files().tokenizer) {
    const JsonRef processor = builder.files().tokenizer->root()["post_processor"];
    if (processor.present() && !processor.is_null()) return processor.value();
  }
  return BosEosTemplate(builder);
}

struct Components {
  json::value decoder;
  json::value normalizer;
  json::value pre_tokenizer;
  json::value post_processor;
  json::object model;  // without the vocabulary
};

// The decoder that the classes set: by the model, else by the pre-tokenizer.
json::value DecoderFor(const Components& parts) {
  if (parts.model.at("type") == json::value("WordPiece")) {
    return json::object{{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}};
  }
  const std::string split = WriteJson(parts.pre_tokenizer);
  if (split.find("\"ByteLevel\"") != std::string::npos) {
    return json::object{{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
  }
  const bool prefix = split.find("\"never\"") == std::string::npos;
  return json::object{
      {"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", prefix ? "always" : "never"}, {"split", true}};
}

// Llama's and Gemma's: the space for ▁, bytes joined, and the prefix space taken away again.
json::value SentencePieceDecoder(bool strip) {
  json::array list = {json::object{{"type", "Replace"}, {"pattern", json::object{{"String", "▁"}}}, {"content", " "}},
                      json::object{{"type", "ByteFallback"}}, json::object{{"type", "Fuse"}}};
  if (strip) list.push_back(json::object{{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  return json::object{{"type", "Sequence"}, {"decoders", std::move(list)}};
}

json::value Assemble(Builder* builder, Components parts) {
  parts.model["vocab"] = builder->TakeVocabulary();
  json::object root;
  root["version"] = "1.0";
  root["added_tokens"] = builder->TakeAdded();
  root["decoder"] = parts.decoder.is_null() ? DecoderFor(parts) : std::move(parts.decoder);
  root["normalizer"] = std::move(parts.normalizer);
  root["pre_tokenizer"] = std::move(parts.pre_tokenizer);
  root["post_processor"] = std::move(parts.post_processor);
  root["model"] = std::move(parts.model);
  return root;
}

json::object WordPieceModel(const std::string& unk) {
  return {{"type", "WordPiece"},
          {"unk_token", unk},
          {"continuing_subword_prefix", "##"},
          {"max_input_chars_per_word", 100}};
}

Result<json::value> BertNormalizerJson(const Builder& builder) {
  TV_ASSIGN_OR_RETURN(const json::value lower, builder.Value("do_lower_case", true, "lowercase"));
  TV_ASSIGN_OR_RETURN(const json::value strip, builder.Value("strip_accents", nullptr, "strip_accents"));
  TV_ASSIGN_OR_RETURN(const json::value chinese,
                      builder.Value("tokenize_chinese_chars", true, "tokenize_chinese_chars"));
  return json::value(json::object{{"type", "BertNormalizer"},
                                  {"clean_text", true},
                                  {"handle_chinese_chars", chinese},
                                  {"strip_accents", strip},
                                  {"lowercase", lower}});
}

Result<json::value> BuildBert(Builder* b) {
  TV_RETURN_IF_ERROR(b->RequireKind(true));
  TV_ASSIGN_OR_RETURN(const std::string unk, b->Special("unk_token", "[UNK]"));
  TV_ASSIGN_OR_RETURN(std::string sep, b->Special("sep_token", "[SEP]"));
  TV_RETURN_IF_ERROR(b->Special("pad_token", "[PAD]").status());
  TV_ASSIGN_OR_RETURN(std::string cls, b->Special("cls_token", "[CLS]"));
  TV_RETURN_IF_ERROR(b->Special("mask_token", "[MASK]").status());
  TV_RETURN_IF_ERROR(b->CollectAdded());
  Components parts;
  TV_ASSIGN_OR_RETURN(parts.normalizer, BertNormalizerJson(*b));
  parts.pre_tokenizer = json::object{{"type", "BertPreTokenizer"}};
  std::map<std::string, int64_t> known;  // a token that is null has the id 2 or 3, as in the class
  if (cls.empty()) known[cls = "None"] = 2;
  if (sep.empty()) known[sep = "None"] = 3;
  TV_ASSIGN_OR_RETURN(parts.post_processor, Template(*b, {{cls, 0}, {"$A", 0}, {sep, 0}},
                                                     {{cls, 0}, {"$A", 0}, {sep, 0}, {"$B", 1}, {sep, 1}}, known));
  parts.model = WordPieceModel(unk);
  return Assemble(b, std::move(parts));
}

Result<json::value> BuildFunnel(Builder* b) {
  TV_RETURN_IF_ERROR(b->RequireKind(true));
  TV_ASSIGN_OR_RETURN(const std::string unk, b->Special("unk_token", "<unk>"));
  TV_ASSIGN_OR_RETURN(const std::string sep, b->Special("sep_token", "<sep>"));
  TV_ASSIGN_OR_RETURN(const std::string cls, b->Special("cls_token", "<cls>"));
  for (const auto& [key, token] : {std::pair("pad_token", "<pad>"), std::pair("mask_token", "<mask>"),
                                   std::pair("bos_token", "<s>"), std::pair("eos_token", "</s>")}) {
    TV_RETURN_IF_ERROR(b->Special(key, token).status());
  }
  TV_RETURN_IF_ERROR(b->CollectAdded());
  Components parts;
  TV_ASSIGN_OR_RETURN(parts.normalizer, BertNormalizerJson(*b));
  TV_ASSIGN_OR_RETURN(parts.normalizer.get_object()["clean_text"], b->Flag("clean_text", true));
  parts.pre_tokenizer = json::object{{"type", "BertPreTokenizer"}};
  TV_ASSIGN_OR_RETURN(parts.post_processor, Template(*b, {{cls, 2}, {"$A", 0}, {sep, 0}},
                                                     {{cls, 2}, {"$A", 0}, {sep, 0}, {"$B", 1}, {sep, 1}}));
  parts.model = WordPieceModel(unk);
  return Assemble(b, std::move(parts));
}

Result<json::value> BuildMpnet(Builder* b) {
  TV_RETURN_IF_ERROR(b->RequireKind(true));
  TV_RETURN_IF_ERROR(b->Special("bos_token", "<s>").status());
  TV_RETURN_IF_ERROR(b->Special("eos_token", "</s>").status());
  TV_ASSIGN_OR_RETURN(const std::string sep, b->Special("sep_token", "</s>"));
  TV_ASSIGN_OR_RETURN(const std::string cls, b->Special("cls_token", "<s>"));
  TV_ASSIGN_OR_RETURN(const std::string unk, b->Special("unk_token", "[UNK]"));
  TV_RETURN_IF_ERROR(b->Special("pad_token", "<pad>").status());
  TV_RETURN_IF_ERROR(b->Special("mask_token", "<mask>", true).status());
  TV_RETURN_IF_ERROR(b->CollectAdded());
  Components parts;
  TV_ASSIGN_OR_RETURN(parts.normalizer, BertNormalizerJson(*b));
  parts.pre_tokenizer = json::object{{"type", "BertPreTokenizer"}};
  TV_ASSIGN_OR_RETURN(parts.post_processor, RobertaTemplate(*b, cls, sep, false));
  parts.model = WordPieceModel(unk);
  return Assemble(b, std::move(parts));
}

json::value ByteLevelJson(bool add_prefix_space, bool use_regex) {
  return json::object{
      {"type", "ByteLevel"}, {"add_prefix_space", add_prefix_space}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

Result<json::object> BpeModel(const Builder& b, json::value unk, bool fuse_unk, bool byte_fallback) {
  TV_RETURN_IF_ERROR(b.RequireKind(true));
  TV_ASSIGN_OR_RETURN(json::value merges, b.Merges());
  return json::object{{"type", "BPE"},
                      {"unk_token", std::move(unk)},
                      {"fuse_unk", fuse_unk},
                      {"byte_fallback", byte_fallback},
                      {"merges", std::move(merges)}};
}

Result<json::value> BuildRoberta(Builder* b) {
  TV_RETURN_IF_ERROR(b->Special("bos_token", "<s>").status());
  TV_RETURN_IF_ERROR(b->Special("eos_token", "</s>").status());
  TV_ASSIGN_OR_RETURN(const std::string sep, b->Special("sep_token", "</s>"));
  TV_ASSIGN_OR_RETURN(const std::string cls, b->Special("cls_token", "<s>"));
  TV_RETURN_IF_ERROR(b->Special("unk_token", "<unk>").status());
  TV_RETURN_IF_ERROR(b->Special("pad_token", "<pad>").status());
  TV_RETURN_IF_ERROR(b->Special("mask_token", "<mask>").status());
  TV_RETURN_IF_ERROR(b->CollectAdded());
  TV_ASSIGN_OR_RETURN(const bool prefix, b->Flag("add_prefix_space", false));
  Components parts;
  parts.pre_tokenizer = ByteLevelJson(prefix, true);
  TV_ASSIGN_OR_RETURN(parts.post_processor, RobertaTemplate(*b, cls, sep, prefix));
  TV_ASSIGN_OR_RETURN(parts.model, BpeModel(*b, nullptr, false, false));
  return Assemble(b, std::move(parts));
}

Result<json::value> BuildGpt2(Builder* b) {
  TV_RETURN_IF_ERROR(b->Special("unk_token", "<|endoftext|>").status());
  TV_RETURN_IF_ERROR(b->Special("bos_token", "<|endoftext|>").status());
  TV_RETURN_IF_ERROR(b->Special("eos_token", "<|endoftext|>").status());
  TV_RETURN_IF_ERROR(b->Special("pad_token", "").status());
  TV_RETURN_IF_ERROR(b->CollectAdded());
  TV_ASSIGN_OR_RETURN(const bool prefix, b->Flag("add_prefix_space", false));
  Components parts;
  parts.pre_tokenizer = ByteLevelJson(prefix, true);
  TV_ASSIGN_OR_RETURN(parts.post_processor, FilePostProcessor(*b));
  TV_ASSIGN_OR_RETURN(parts.model, BpeModel(*b, nullptr, false, false));
  return Assemble(b, std::move(parts));
}

Result<json::value> BuildQwen(Builder* b, const char* pattern, bool reset_special_flags) {
  TV_RETURN_IF_ERROR(b->Special("unk_token", "<|endoftext|>").status());
  TV_RETURN_IF_ERROR(b->Special("bos_token", "").status());
  TV_RETURN_IF_ERROR(b->Special("eos_token", "<|endoftext|>").status());
  TV_RETURN_IF_ERROR(b->Special("pad_token", "<|endoftext|>").status());
  if (reset_special_flags) b->ResetSpecialFlags();
  TV_RETURN_IF_ERROR(b->CollectAdded());
  TV_ASSIGN_OR_RETURN(const bool prefix, b->Flag("add_prefix_space", false));
  Components parts;
  parts.normalizer = json::object{{"type", "NFC"}};
  json::value split = json::object{
      {"type", "Split"}, {"pattern", json::object{{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}};
  parts.pre_tokenizer = json::object{{"type", "Sequence"},
                                     {"pretokenizers", json::array{std::move(split), ByteLevelJson(prefix, false)}}};
  TV_ASSIGN_OR_RETURN(parts.post_processor, FilePostProcessor(*b));
  TV_ASSIGN_OR_RETURN(parts.model, BpeModel(*b, nullptr, false, false));
  return Assemble(b, std::move(parts));
}

Result<json::value> BuildQwen2(Builder* b) { return BuildQwen(b, kQwen2Pattern, true); }
Result<json::value> BuildQwen35(Builder* b) { return BuildQwen(b, kQwen35Pattern, false); }

Result<json::value> BuildGptNeoX(Builder* b) {
  for (const std::string_view key : {"unk_token", "bos_token", "eos_token"}) {
    TV_RETURN_IF_ERROR(b->Special(key, "<|endoftext|>").status());
  }
  TV_RETURN_IF_ERROR(b->Special("pad_token", "<|padding|>").status());
  TV_RETURN_IF_ERROR(b->CollectAdded());
  TV_ASSIGN_OR_RETURN(const bool prefix, b->Flag("add_prefix_space", false));
  Components parts;
  parts.normalizer = json::object{{"type", "NFC"}};
  parts.pre_tokenizer = ByteLevelJson(prefix, true);
  // The class calls update_post_processor last, so the file's post-processor is lost.
  TV_ASSIGN_OR_RETURN(parts.post_processor, BosEosTemplate(*b));
  TV_ASSIGN_OR_RETURN(parts.model, BpeModel(*b, nullptr, false, false));
  return Assemble(b, std::move(parts));
}

Result<json::value> BuildDeberta(Builder* b) {
  TV_RETURN_IF_ERROR(b->Special("bos_token", "[CLS]").status());
  TV_RETURN_IF_ERROR(b->Special("eos_token", "[SEP]").status());
  TV_ASSIGN_OR_RETURN(const std::string sep, b->Special("sep_token", "[SEP]"));
  TV_ASSIGN_OR_RETURN(const std::string cls, b->Special("cls_token", "[CLS]"));
  TV_RETURN_IF_ERROR(b->Special("unk_token", "[UNK]").status());
  TV_RETURN_IF_ERROR(b->Special("pad_token", "[PAD]").status());
  TV_RETURN_IF_ERROR(b->Special("mask_token", "[MASK]").status());
  TV_RETURN_IF_ERROR(b->CollectAdded());
  TV_ASSIGN_OR_RETURN(const bool prefix, b->Flag("add_prefix_space", false));
  Components parts;
  parts.pre_tokenizer = ByteLevelJson(prefix, true);
  TV_ASSIGN_OR_RETURN(parts.post_processor, Template(*b, {{cls, 0}, {"$A", 0}, {sep, 0}},
                                                     {{cls, 0}, {"$A", 0}, {sep, 0}, {sep, 0}, {"$B", 0}, {sep, 0}}));
  TV_ASSIGN_OR_RETURN(parts.model, BpeModel(*b, nullptr, false, false));
  return Assemble(b, std::move(parts));
}

Result<json::value> BuildLlama(Builder* b) {
  TV_ASSIGN_OR_RETURN(const std::string unk, b->Special("unk_token", "<unk>"));
  TV_RETURN_IF_ERROR(b->Special("bos_token", "<s>").status());
  TV_RETURN_IF_ERROR(b->Special("eos_token", "</s>").status());
  TV_RETURN_IF_ERROR(b->Special("pad_token", "").status());
  TV_RETURN_IF_ERROR(b->CollectAdded());
  TV_ASSIGN_OR_RETURN(bool prefix, b->Flag("add_prefix_space", true));
  prefix = prefix || b->files().Config("add_prefix_space").is_null();
  TV_ASSIGN_OR_RETURN(const bool legacy, b->Flag("legacy", false));
  Components parts;
  parts.pre_tokenizer = json::object{{"type", "Metaspace"},
                                     {"replacement", "▁"},
                                     {"prepend_scheme", !prefix  ? "never"
                                                        : legacy ? "always"
                                                                 : "first"},
                                     {"split", false}};
  TV_ASSIGN_OR_RETURN(parts.post_processor, FilePostProcessor(*b));
  parts.decoder = SentencePieceDecoder(prefix);
  TV_ASSIGN_OR_RETURN(parts.model, BpeModel(*b, nullptr, true, true));
  return Assemble(b, std::move(parts));
}

Result<json::value> BuildGemma(Builder* b) {
  TV_ASSIGN_OR_RETURN(const std::string unk, b->Special("unk_token", "<unk>"));
  for (const auto& [key, token] : {std::pair("bos_token", "<bos>"), std::pair("eos_token", "<eos>"),
                                   std::pair("pad_token", "<pad>"), std::pair("mask_token", "<mask>")}) {
    TV_RETURN_IF_ERROR(b->Special(key, token).status());
  }
  TV_RETURN_IF_ERROR(b->CollectAdded());
  Components parts;
  parts.normalizer = json::object{{"type", "Replace"}, {"pattern", json::object{{"String", " "}}}, {"content", "▁"}};
  parts.pre_tokenizer = json::object{{"type", "Split"},
                                     {"pattern", json::object{{"String", " "}}},
                                     {"behavior", "MergedWithPrevious"},
                                     {"invert", false}};
  TV_ASSIGN_OR_RETURN(parts.post_processor, FilePostProcessor(*b));
  parts.decoder = SentencePieceDecoder(false);
  TV_ASSIGN_OR_RETURN(parts.model, BpeModel(*b, json::value(unk), true, true));
  return Assemble(b, std::move(parts));
}

json::value Metaspace(bool prefix, const char* otherwise) {
  return json::object{
      {"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", prefix ? "always" : otherwise}, {"split", true}};
}

json::value ReplaceJson(const char* kind, const char* pattern, const char* content) {
  return json::object{{"type", "Replace"}, {"pattern", json::object{{kind, pattern}}}, {"content", content}};
}

json::value WhitespaceAndMetaspace(bool prefix) {
  return json::object{
      {"type", "Sequence"},
      {"pretokenizers", json::array{json::object{{"type", "WhitespaceSplit"}}, Metaspace(prefix, "never")}}};
}

// The Precompiled normalizer of the file, alone or in a Sequence; null when there is none.
json::value FileCharsmap(const Builder& b) {
  if (!b.files().tokenizer) return b.charsmap();
  const JsonRef normalizer = b.files().tokenizer->root()["normalizer"];
  if (normalizer["type"].present() && normalizer["type"].value() == json::value("Precompiled"))
    return normalizer.value();
  const JsonRef list = normalizer["normalizers"];
  for (size_t i = 0; i < list.size(); ++i) {
    const JsonRef type = list.At(i)["type"];
    if (type.present() && type.value() == json::value("Precompiled")) return list.At(i).value();
  }
  return nullptr;
}

json::object UnigramModel(int64_t unk_id) {
  return {{"type", "Unigram"}, {"unk_id", unk_id}, {"byte_fallback", false}};
}

Result<json::value> BuildXlmRobertaLike(Builder* b, bool mask_lstrip) {
  TV_RETURN_IF_ERROR(b->RequireKind(false));
  TV_ASSIGN_OR_RETURN(const std::string bos, b->Special("bos_token", "<s>"));
  TV_ASSIGN_OR_RETURN(const std::string eos, b->Special("eos_token", "</s>"));
  for (const auto& [key, token] : {std::pair("sep_token", "</s>"), std::pair("cls_token", "<s>"),
                                   std::pair("unk_token", "<unk>"), std::pair("pad_token", "<pad>")}) {
    TV_RETURN_IF_ERROR(b->Special(key, token).status());
  }
  TV_RETURN_IF_ERROR(b->Special("mask_token", "<mask>", mask_lstrip).status());
  TV_RETURN_IF_ERROR(b->CollectAdded());
  TV_ASSIGN_OR_RETURN(const bool prefix, b->Flag("add_prefix_space", true));
  Components parts;
  parts.normalizer = FileCharsmap(*b);
  parts.pre_tokenizer = WhitespaceAndMetaspace(prefix);
  TV_ASSIGN_OR_RETURN(parts.post_processor, Template(*b, {{bos, 0}, {"$A", 0}, {eos, 0}},
                                                     {{bos, 0}, {"$A", 0}, {eos, 0}, {eos, 0}, {"$B", 0}, {eos, 0}}));
  parts.model = UnigramModel(3);
  return Assemble(b, std::move(parts));
}

Result<json::value> BuildXlmRoberta(Builder* b) { return BuildXlmRobertaLike(b, false); }

Result<json::value> BuildCamembert(Builder* b) {
  if (b->files().tokenizer) b->SetDefaultExtras({"<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"});
  TV_ASSIGN_OR_RETURN(const std::string unk, SpecialTokenText(b->files(), "unk_token", "<unk>"));
  TV_ASSIGN_OR_RETURN(json::value root, BuildXlmRobertaLike(b, true));
  const json::array& list = root.at("model").at("vocab").get_array();
  int64_t unk_id = 0;
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i].is_array() && list[i].get_array()[0] == json::value(unk)) {
      unk_id = static_cast<int64_t>(i);
      break;
    }
  }
  root.get_object()["model"].get_object()["unk_id"] = unk_id;
  return root;
}

Result<json::value> BuildT5(Builder* b) {
  TV_RETURN_IF_ERROR(b->RequireKind(false));
  TV_ASSIGN_OR_RETURN(const std::string eos, b->Special("eos_token", "</s>"));
  TV_RETURN_IF_ERROR(b->Special("unk_token", "<unk>").status());
  TV_RETURN_IF_ERROR(b->Special("pad_token", "<pad>").status());
  TV_ASSIGN_OR_RETURN(const int64_t extra_ids, b->ExtraIds());
  std::vector<std::string> extras;
  for (int64_t i = 0; i < extra_ids; ++i) extras.push_back("<extra_id_" + std::to_string(i) + ">");
  b->SetDefaultExtras(extras, "<extra_id_");
  TV_RETURN_IF_ERROR(b->CollectAdded());
  Components parts;
  parts.normalizer = FileCharsmap(*b);
  parts.pre_tokenizer = WhitespaceAndMetaspace(true);
  TV_ASSIGN_OR_RETURN(const int64_t eos_id, b->Id(eos));  // whatever its text, the class calls it </s>
  TV_ASSIGN_OR_RETURN(
      parts.post_processor,
      Template(*b, {{"$A", 0}, {"</s>", 0}}, {{"$A", 0}, {"</s>", 0}, {"$B", 0}, {"</s>", 0}}, {{"</s>", eos_id}}));
  parts.model = UnigramModel(2);
  return Assemble(b, std::move(parts));
}

Result<json::value> BuildDebertaV2(Builder* b) {
  TV_RETURN_IF_ERROR(b->RequireKind(false));
  TV_RETURN_IF_ERROR(b->Special("bos_token", "[CLS]").status());
  TV_RETURN_IF_ERROR(b->Special("eos_token", "[SEP]").status());
  TV_ASSIGN_OR_RETURN(const std::string unk, b->Special("unk_token", "[UNK]"));
  TV_ASSIGN_OR_RETURN(const std::string sep, b->Special("sep_token", "[SEP]"));
  TV_RETURN_IF_ERROR(b->Special("pad_token", "[PAD]").status());
  TV_ASSIGN_OR_RETURN(const std::string cls, b->Special("cls_token", "[CLS]"));
  TV_RETURN_IF_ERROR(b->Special("mask_token", "[MASK]").status());
  TV_RETURN_IF_ERROR(b->CollectAdded());
  TV_ASSIGN_OR_RETURN(const bool lower, b->Flag("do_lower_case", false));
  TV_ASSIGN_OR_RETURN(const bool punctuation, b->Flag("split_by_punct", false));
  TV_ASSIGN_OR_RETURN(const bool prefix, b->Flag("add_prefix_space", true));
  Components parts;
  json::array normalizers;
  if (lower) normalizers.push_back(json::object{{"type", "Lowercase"}});
  normalizers.push_back(ReplaceJson("Regex", R"(\s{2,}|[\n\r\t])", " "));
  normalizers.push_back(json::object{{"type", "NFC"}});
  normalizers.push_back(json::object{{"type", "Strip"}, {"strip_left", false}, {"strip_right", true}});
  parts.normalizer = json::object{{"type", "Sequence"}, {"normalizers", std::move(normalizers)}};
  json::array split;
  if (punctuation) split.push_back(json::object{{"type", "Punctuation"}, {"behavior", "Isolated"}});
  split.push_back(Metaspace(prefix, "first"));
  parts.pre_tokenizer = json::object{{"type", "Sequence"}, {"pretokenizers", std::move(split)}};
  TV_ASSIGN_OR_RETURN(parts.post_processor, Template(*b, {{cls, 0}, {"$A", 0}, {sep, 0}},
                                                     {{cls, 0}, {"$A", 0}, {sep, 0}, {"$B", 1}, {sep, 1}}));
  // The first ("[UNK]", 0.0), else unk_id of the config, else 1.
  int64_t unk_id = 1;
  if (const JsonRef id = b->files().Config("unk_id"); id.present()) {
    TV_ASSIGN_OR_RETURN(unk_id, id.Int());
  }
  const json::array& list = b->vocabulary().get_array();
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i] == json::value(json::array{unk, 0.0})) {
      unk_id = static_cast<int64_t>(i);
      break;
    }
  }
  parts.model = UnigramModel(unk_id);
  return Assemble(b, std::move(parts));
}

Result<json::value> BuildAlbert(Builder* b) {
  TV_RETURN_IF_ERROR(b->RequireKind(false));
  TV_RETURN_IF_ERROR(b->Special("bos_token", "[CLS]").status());
  TV_RETURN_IF_ERROR(b->Special("eos_token", "[SEP]").status());
  TV_RETURN_IF_ERROR(b->Special("unk_token", "<unk>").status());
  TV_ASSIGN_OR_RETURN(const std::string sep, b->Special("sep_token", "[SEP]"));
  TV_RETURN_IF_ERROR(b->Special("pad_token", "<pad>").status());
  TV_ASSIGN_OR_RETURN(const std::string cls, b->Special("cls_token", "[CLS]"));
  TV_RETURN_IF_ERROR(b->Special("mask_token", "[MASK]").status());
  TV_RETURN_IF_ERROR(b->CollectAdded());
  TV_ASSIGN_OR_RETURN(const bool lower, b->Flag("do_lower_case", true));
  TV_ASSIGN_OR_RETURN(const bool keep_accents, b->Flag("keep_accents", false));
  TV_ASSIGN_OR_RETURN(const bool prefix, b->Flag("add_prefix_space", true));
  Components parts;
  json::array normalizers = {ReplaceJson("String", "``", "\""), ReplaceJson("String", "''", "\"")};
  if (!keep_accents) {
    normalizers.push_back(json::object{{"type", "NFKD"}});
    normalizers.push_back(json::object{{"type", "StripAccents"}});
  }
  if (lower) normalizers.push_back(json::object{{"type", "Lowercase"}});
  if (json::value charsmap = FileCharsmap(*b); !charsmap.is_null()) normalizers.push_back(std::move(charsmap));
  parts.normalizer = json::object{{"type", "Sequence"}, {"normalizers", std::move(normalizers)}};
  parts.pre_tokenizer = WhitespaceAndMetaspace(prefix);
  // The file's own wins; the class's own names its tokens [CLS] and [SEP], whatever their texts.
  const bool has_file = b->files().tokenizer && b->files().tokenizer->root()["post_processor"].is_object();
  const bool told = b->files().Config("add_bos_token").present() || b->files().Config("add_eos_token").present();
  if (has_file || (told && !b->files().tokenizer)) {
    TV_ASSIGN_OR_RETURN(parts.post_processor, FilePostProcessor(*b));
  } else {
    TV_ASSIGN_OR_RETURN(const int64_t cls_id, b->Id(cls));
    TV_ASSIGN_OR_RETURN(const int64_t sep_id, b->Id(sep));
    TV_ASSIGN_OR_RETURN(parts.post_processor, Template(*b, {{"[CLS]", 0}, {"$A", 0}, {"[SEP]", 0}},
                                                       {{"[CLS]", 0}, {"$A", 0}, {"[SEP]", 0}, {"$B", 1}, {"[SEP]", 1}},
                                                       {{"[CLS]", cls_id}, {"[SEP]", sep_id}}));
  }
  parts.model = UnigramModel(1);
  return Assemble(b, std::move(parts));
}

struct ClassRow {
  std::string_view name;
  Result<json::value> (*build)(Builder* builder);
};

constexpr std::array kClasses = {
    ClassRow{"BertTokenizer", BuildBert},           ClassRow{"DistilBertTokenizer", BuildBert},
    ClassRow{"ElectraTokenizer", BuildBert},        ClassRow{"MPNetTokenizer", BuildMpnet},
    ClassRow{"RobertaTokenizer", BuildRoberta},     ClassRow{"GPT2Tokenizer", BuildGpt2},
    ClassRow{"Qwen2Tokenizer", BuildQwen2},         ClassRow{"LlamaTokenizer", BuildLlama},
    ClassRow{"GemmaTokenizer", BuildGemma},         ClassRow{"XLMRobertaTokenizer", BuildXlmRoberta},
    ClassRow{"CamembertTokenizer", BuildCamembert}, ClassRow{"T5Tokenizer", BuildT5},
    ClassRow{"LxmertTokenizer", BuildBert},         ClassRow{"MobileBertTokenizer", BuildBert},
    ClassRow{"BartTokenizer", BuildRoberta},        ClassRow{"LEDTokenizer", BuildRoberta},
    ClassRow{"MvpTokenizer", BuildRoberta},         ClassRow{"Qwen3_5Tokenizer", BuildQwen35},
    ClassRow{"GPTNeoXTokenizer", BuildGptNeoX},     ClassRow{"DebertaTokenizer", BuildDeberta},
    ClassRow{"FunnelTokenizer", BuildFunnel},       ClassRow{"DebertaV2Tokenizer", BuildDebertaV2},
    ClassRow{"AlbertTokenizer", BuildAlbert},
};

}  // namespace

Result<json::value> TokenizerConfigValue(const TokenizerFiles& files, std::string_view key, json::value fallback,
                                         Settings* settings, const std::string& setting) {
  const JsonRef ref = files.Config(key);
  const bool present = ref.present();
  json::value value = present ? ref.value() : std::move(fallback);
  if (settings != nullptr) {
    settings->Record(setting, value,
                     present ? SettingSource::File(ref.file(), ref.key()) : SettingSource::Default("transformers 5"));
  }
  return value;
}

Result<json::value> BuildTokenizerJson(const std::string& name, const TokenizerFiles& files, Settings* settings) {
  Builder builder(files, settings);
  if (name == "TokenizersBackend") {
    if (!files.tokenizer) {
      return ModelError(files.directory + ": no tokenizer.json, which " + name + " needs: not supported");
    }
    if (files.converted) {
      TV_RETURN_IF_ERROR(builder.Special("bos_token", files.bos).status());
      TV_RETURN_IF_ERROR(builder.Special("eos_token", files.eos).status());
    }
    TV_RETURN_IF_ERROR(builder.CollectAdded(true));
    json::value root = files.tokenizer->root().value();
    if (!files.converted && files.tokenizer->root()["model"]["vocab"].is_array()) {
      // Read by tokenizers itself; the classes below get the scores that Python reads.
      TV_ASSIGN_OR_RETURN(const std::string text, ReadFile(files.directory + "/tokenizer.json", Code::kModelRefused));
      TV_ASSIGN_OR_RETURN(root, ParseJsonAsSerde(text, "tokenizer.json"));
    }
    if (!root.is_object()) return files.tokenizer->root().TypeError("an object");
    root.get_object()["added_tokens"] = builder.added();
    if (files.converted && (files.Config("add_bos_token").present() || files.Config("add_eos_token").present())) {
      TV_RETURN_IF_ERROR(builder.TakeVocabularyOf(root));
      TV_ASSIGN_OR_RETURN(root.get_object()["post_processor"], BosEosTemplate(builder));
    }
    return root;
  }
  for (const ClassRow& row : kClasses) {
    if (row.name != name) continue;
    TV_RETURN_IF_ERROR(builder.LoadVocabulary(name));
    return row.build(&builder);
  }
  // A class that transformers 5 does not know loads the file as it is.
  const auto known = RegisteredTokenizers();
  if (std::none_of(known.begin(), known.end(), [&](const RegisteredTokenizer& row) { return row.name == name; })) {
    return BuildTokenizerJson("TokenizersBackend", files, settings);
  }
  return ModelError("tokenizer_config.json: tokenizer_class: \"" + name + "\" is not supported");
}

}  // namespace truevec
