#include "tokenizer/raw_file.h"

#include <array>

#include "base/file.h"
#include "base/serde_json.h"
#include "tokenizer/hf_tokenizer.h"

namespace truevec {
namespace {

// Short and telling ones first: the first difference is the example that is shown.
constexpr std::array<std::string_view, 26> kProbes = {
    "hello world",
    "Hello World",
    "HELLO",
    "caf\u00e9 na\u00efve",
    "cafe\u0301",
    "",
    " leading",
    "trailing ",
    "two  spaces",
    "tab\tand\nnewline",
    "don't it's",
    "2024-01-02 3.14",
    "a,b;c!",
    "\u65e5\u672c\u8a9e",
    "\ud55c\uad6d\uc5b4",
    "\ufb01 \uff21 \u00bd",
    "\u0130\u0130",
    "<mask> [MASK] a<mask>b",
    " <s> </s> [CLS] [SEP] <pad>",
    "<|endoftext|> <unk> [UNK] <eos>",
    "zero\u200bwidth\u00adsoft",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467",
    "\u0935\u093f\u0926\u094d\u092f\u093e \u0e20\u0e32\u0e29\u0e32",
    "antidisestablishmentarianismantidisestablishmentarianismantidisestablishmentarianismantidisestablishmentarianism",
    "def f(x):\n    return x**2",
    "\u2581under _score ##hash",
};

}  // namespace

Result<std::optional<RawFileDifference>> CompareWithRawFile(const Tokenizer& directory, const std::string& path) {
  TV_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, Code::kModelRefused));
  TV_ASSIGN_OR_RETURN(const json::value root, ParseJsonAsSerde(text, "tokenizer.json"));
  auto parts = ParseTokenizerJson(JsonRef(&root, "tokenizer.json"), false);
  if (!parts.ok()) {
    RawFileDifference difference;
    difference.error = parts.status().message();
    return std::optional<RawFileDifference>(std::move(difference));
  }
  const std::unique_ptr<Tokenizer> raw = MakeTokenizer(std::move(*parts));
  EncodeOptions options;
  options.truncation = Truncation{};
  for (const std::string_view probe : kProbes) {
    const Result<Encoding> ours = directory.Encode(probe, std::nullopt, options);
    const Result<Encoding> theirs = raw->Encode(probe, std::nullopt, options);
    if (!ours.ok() || (theirs.ok() && theirs->ids == ours->ids)) continue;
    RawFileDifference difference;
    difference.text = probe;
    difference.ids = ours->ids;
    if (theirs.ok()) difference.raw = theirs->ids;
    return std::optional<RawFileDifference>(std::move(difference));
  }
  return std::optional<RawFileDifference>();
}

}  // namespace truevec
