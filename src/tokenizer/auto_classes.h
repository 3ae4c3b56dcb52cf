// The tokenizer classes of transformers 5 that rebuild their pipeline: each as the tokenizer.json that it amounts to.
#ifndef TRUEVEC_TOKENIZER_AUTO_CLASSES_H_
#define TRUEVEC_TOKENIZER_AUTO_CLASSES_H_

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/settings.h"
#include "base/status.h"

namespace truevec {

// The files of a tokenizer directory that exist.
struct TokenizerFiles {
  std::string directory;
  std::optional<JsonFile> tokenizer;    // tokenizer.json
  std::optional<JsonFile> config;       // tokenizer_config.json
  std::optional<JsonFile> special_map;  // special_tokens_map.json
  std::optional<JsonFile> added;        // added_tokens.json
  std::optional<JsonFile> model;        // config.json
  bool converted = false;               // `tokenizer` is what another file amounts to, ...
  bool from_tekken = false;             // ... a tekken.json
  std::string bos, eos;                 // that the other file names, empty: none

  JsonRef Config(std::string_view key) const { return config ? config->root()[key] : JsonRef(); }
};

// Whether the directory brings Alibaba's tokenization_qwen.py (gte-Qwen2 and its relatives), which is what publisher
// and users run: it appends the end token that add_eos_token asks for, though tokenizer.json's post-processor does not.
// Without the file the reference runs its own class, which does not either.
bool RemoteQwenAppendsEos(const TokenizerFiles& files);

// The effective tokenizer.json of class `name` ("BertTokenizer"; "TokenizersBackend" is the file as it is).
// Records lowercase, strip_accents, ... in `settings` (may be null). Unknown classes are refused by name.
Result<json::value> BuildTokenizerJson(const std::string& name, const TokenizerFiles& files, Settings* settings);

// tokenizer_config.json's value with its default, recorded under `setting`.
Result<json::value> TokenizerConfigValue(const TokenizerFiles& files, std::string_view key, json::value fallback,
                                         Settings* settings, const std::string& setting);
// The value of a special token ("pad_token") in the files; not present() when there is none.
JsonRef SpecialTokenRef(const TokenizerFiles& files, std::string_view key);
// Its text, or `fallback`.
Result<std::string> SpecialTokenText(const TokenizerFiles& files, std::string_view key, std::string_view fallback);

// A special token that a class has without being told.
struct SpecialDefault {
  std::string_view key;
  std::string text;
  bool lstrip = false;  // of the class's own AddedToken, when the files give a text only
};
// Extra special tokens that a class has when the files give none. `marker`: additional special tokens of which none
// contains it are put before them (T5's sentinels).
struct ExtraDefaults {
  std::vector<std::string> tokens;
  std::string marker;
};
struct AddedTokenRules {
  bool keep_file_tokens = false;  // those of tokenizer.json come first (a class that takes the file as it is)
  std::vector<SpecialDefault> defaults;
  ExtraDefaults extras;
  bool reset_special_flags = false;
};
// The added tokens in the order that gives new ids, each with all its fields.
Result<json::array> CollectAddedTokens(const TokenizerFiles& files, const AddedTokenRules& rules);

// model_type and the class registered for it.
struct RegisteredTokenizer {
  std::string_view model_type;
  std::string_view name;
};
std::span<const RegisteredTokenizer> RegisteredTokenizers();
// The model types whose declared class is not believed.
std::span<const std::string_view> DeclaredClassIsWrong();

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_AUTO_CLASSES_H_
