// The tokenizer classes of transformers 5 that rebuild their pipeline: each as the tokenizer.json that it amounts to.
#ifndef TRUEVEC_TOKENIZER_AUTO_CLASSES_H_
#define TRUEVEC_TOKENIZER_AUTO_CLASSES_H_

#include <optional>
#include <string>
#include <string_view>

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

  JsonRef Config(std::string_view key) const { return config ? config->root()[key] : JsonRef(); }
};

// The effective tokenizer.json of class `name` ("BertTokenizer"; "TokenizersBackend" is the file as it is).
// Records lowercase, strip_accents, ... in `settings` (may be null). Unknown classes are refused by name.
Result<json::value> BuildTokenizerJson(const std::string& name, const TokenizerFiles& files, Settings* settings);

// tokenizer_config.json's value with its default, recorded under `setting`.
Result<json::value> TokenizerConfigValue(const TokenizerFiles& files, std::string_view key, json::value fallback,
                                         Settings* settings, const std::string& setting);
// The text of a special token ("pad_token"), or `fallback`.
Result<std::string> SpecialTokenText(const TokenizerFiles& files, std::string_view key, std::string_view fallback);

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_AUTO_CLASSES_H_
