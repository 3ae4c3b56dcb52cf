// Whether a directory's tokenizer.json alone, as transformers 4, text-embeddings-inference and other engines read it,
// gives other ids than the directory does through AutoTokenizer.
#ifndef TRUEVEC_TOKENIZER_RAW_FILE_H_
#define TRUEVEC_TOKENIZER_RAW_FILE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "tokenizer/tokenizer.h"

namespace truevec {

struct RawFileDifference {
  std::string text;          // for which the ids differ
  std::vector<int32_t> ids;  // of the directory
  std::vector<int32_t> raw;  // of the file; empty when it refuses the text
  std::string error;         // why the file does not load, when it does not
};

// Compares on texts chosen for what normalizers, pre-tokenizers and special tokens do differently, without truncation
// and padding. Nothing when all ids are equal. `path`: the tokenizer.json.
Result<std::optional<RawFileDifference>> CompareWithRawFile(const Tokenizer& directory, const std::string& path);

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_RAW_FILE_H_
