// The Precompiled normalizer: SentencePiece's character map, applied as Hugging Face does (crate spm_precompiled).
#ifndef TRUEVEC_TOKENIZER_PRECOMPILED_H_
#define TRUEVEC_TOKENIZER_PRECOMPILED_H_

#include <memory>
#include <string>

#include "base/json.h"
#include "base/status.h"
#include "tokenizer/normalizers.h"

namespace truevec {

// {"type": "Precompiled", "precompiled_charsmap": base64 or null}; null changes nothing.
Result<std::unique_ptr<Normalizer>> ParsePrecompiled(const JsonRef& json);
// From the map's bytes.
Result<std::unique_ptr<Normalizer>> MakePrecompiled(const std::string& blob);

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_PRECOMPILED_H_
