// truevec's C++ API: load a model directory, turn texts into vectors that are the reference's (Sentence Transformers).
//
// No exceptions, no printing, no environment, no network. An Embedder is const after Load and may be used from many
// threads at once; it owns its compute threads and shares them between callers.
#ifndef TRUEVEC_TRUEVEC_H_
#define TRUEVEC_TRUEVEC_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace truevec {

// What went wrong: `code` is the exit code of the command line (0 ok, 2 usage, 3 model refused, 4 bad input,
// 5 endpoint, 6 resource, 130 interrupted, 70 our bug); `message` names what, where, expected and got.
struct [[nodiscard]] Error {
  int code = 0;
  std::string message;
  bool ok() const { return code == 0; }
};

struct LoadParams {
  int threads = 0;                     // 0: as many as this process may use
  std::string dtype = "float32";       // float32, bfloat16, int8
  std::vector<std::string> overrides;  // "KEY=VALUE", as --override
  std::string as;                      // Sentence Transformers class for a directory that does not say; "" = dense
  // A directory where packed weights are kept between starts, made when it is not there; "" = nowhere. A file in it is
  // used only when it is whole and of the same checkpoint; failing to write one is no error.
  std::string packed_cache;
};

struct EmbedParams {
  std::optional<std::string> prompt;       // wins over prompt_name
  std::optional<std::string> prompt_name;  // one of the model's prompts
  std::string task;                        // "", "query" or "document"
  std::optional<bool> normalize;           // overrides the model's Normalize module
  std::optional<int64_t> truncate_dim;     // keep the first N values
  std::optional<int64_t> max_length;       // tokens, specials included
  bool error_when_long = false;            // refuse a text that would be truncated
  int64_t batch_tokens = 4096;             // tokens that run together; changes speed and memory, never a bit
  // Of TokenizeJson only:
  std::optional<std::string> text_pair;  // a second text, as a cross-encoder takes it
  bool add_special_tokens = true;
};

struct EmbedStats {
  int64_t tokens = 0;            // fed to the model
  int64_t truncated_texts = 0;   // texts that lost tokens
  int64_t truncated_tokens = 0;  // tokens lost
  double flops = 0;              // multiply and add operations of matrix products and attention
  // When set: one entry a text is appended, in the order of the texts (for callers that mix requests in one call).
  std::vector<int64_t>* text_tokens = nullptr;
  std::vector<int64_t>* text_truncated = nullptr;
};

class [[gnu::visibility("default")]] Embedder {
 public:
  // `path`: a model directory in Hugging Face / Sentence Transformers layout. On success *embedder is set.
  static Error Load(const std::string& path, const LoadParams& params, std::shared_ptr<const Embedder>* embedder);
  virtual ~Embedder();

  // Width of the vectors, before truncate_dim.
  virtual size_t dimension() const = 0;
  // Width of the vectors that Embed gives with these parameters.
  virtual size_t width(const EmbedParams& params) const = 0;
  // Longest text in tokens, specials included; 0: unlimited.
  virtual int64_t max_length() const = 0;
  virtual std::string fingerprint() const = 0;
  // CONTRACT section 10 as one JSON object.
  virtual std::string InspectJson() const = 0;
  // texts (UTF-8) -> out[i * width(params) ...], order kept. REQUIRES:
  // out.size() == texts.size() * width(params). An error names the text by its index and leaves `out` unspecified.
  virtual Error Embed(std::span<const std::string_view> texts, const EmbedParams& params, std::span<float> out,
                      EmbedStats* stats = nullptr) const = 0;
  // Tokens of each text as the model would be fed, appended to *counts; all threads, no model run.
  virtual Error CountTokens(std::span<const std::string_view> texts, const EmbedParams& params,
                            std::vector<int64_t>* counts) const;
  // One JSON object: ids, tokens, offsets (code points of `text`), type_ids, special_tokens_mask; as the model is fed.
  virtual Error TokenizeJson(std::string_view text, const EmbedParams& params, std::string* json) const = 0;
};

// "0.1.0"
[[gnu::visibility("default")]] std::string_view Version();
// The instruction set in use ("avx512", "avx2", "scalar"); UseIsa forces one before the first Load.
[[gnu::visibility("default")]] std::string_view Isa();
[[gnu::visibility("default")]] Error UseIsa(const std::string& name);

}  // namespace truevec

#endif  // TRUEVEC_TRUEVEC_H_
