// What the command line and the C API print as JSON: tokens (`tokenize`).
#ifndef TRUEVEC_ENGINE_JSON_VIEWS_H_
#define TRUEVEC_ENGINE_JSON_VIEWS_H_

#include "base/json.h"
#include "tokenizer/tokenizer.h"

namespace truevec {

// {"ids","tokens","offsets","type_ids","special_tokens_mask"[,"truncated_tokens"]}; needs an Encoding with details.
json::value EncodingToJson(const Encoding& encoding);

}  // namespace truevec

#endif  // TRUEVEC_ENGINE_JSON_VIEWS_H_
