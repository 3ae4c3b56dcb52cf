// A tokenizer.json, a NUL and a text: what loads must encode and decode, with and without details, the same ids.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/json.h"
#include "tokenizer/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace truevec;
  std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t end = input.find('\0');
  const std::string_view text = end == std::string_view::npos ? "The quick <s> fox" : input.substr(end + 1);
  const auto file = JsonFile::Parse(input.substr(0, end), "tokenizer.json");
  if (!file.ok()) return 0;
  const auto tokenizer = Tokenizer::FromJson(*file);
  if (!tokenizer.ok()) return 0;
  const auto plain = (*tokenizer)->Encode(text, std::nullopt, {});
  EncodeOptions options;
  options.overflow = true;
  const auto details = (*tokenizer)->Encode(text, "second text", options);
  options = {.add_special_tokens = false,
             .details = true,
             .overflow = true,
             .truncation = Truncation{.max_length = 3, .stride = 1}};
  const auto cut = (*tokenizer)->Encode(text, std::nullopt, options);
  options = {};
  options.details = true;
  const auto single = (*tokenizer)->Encode(text, std::nullopt, options);
  if (plain.ok() != single.ok() || (plain.ok() && plain->ids != single->ids)) std::abort();
  if (details.ok() && details->tokens.size() != details->ids.size()) std::abort();
  if (cut.ok() && cut->overflowing.size() > 10'000) return 0;
  if (plain.ok()) (void)(*tokenizer)->Decode(plain->ids, true);
  return 0;
}
