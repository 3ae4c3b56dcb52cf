// Texts for `bench`: made from a fixed word list and seed, so that every run and every engine gets the same bytes.
#ifndef TRUEVEC_CLI_BENCH_TEXTS_H_
#define TRUEVEC_CLI_BENCH_TEXTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "truevec/truevec.h"

namespace truevec::cli {

// Sentences of mixed length, log-normal around 20 words, at most 200, with capitals, commas and numbers.
std::vector<std::string> MixedTexts(int64_t count);
// Texts that `embedder` turns into exactly `tokens` tokens, specials included; a model whose tokenizer cannot hit the
// count gets the nearest below.
Result<std::vector<std::string>> TextsOfLength(const Embedder& embedder, int64_t count, int64_t tokens);

}  // namespace truevec::cli

#endif  // TRUEVEC_CLI_BENCH_TEXTS_H_
