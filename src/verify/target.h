// Targets: what is compared with the reference, behind one interface. An endpoint, another model on our own engine,
// the live Python reference, a vectors file, a lock.
#ifndef TRUEVEC_VERIFY_TARGET_H_
#define TRUEVEC_VERIFY_TARGET_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "spec/model_spec.h"
#include "verify/compare.h"

namespace truevec {

struct PromptChoice;

struct TargetReply {
  std::vector<Vector> vectors;                // one per text, in the order of the texts
  std::vector<std::vector<Vector>> unpooled;  // per text, its rows, when matrices came back; else empty
  std::optional<int64_t> input_tokens;        // what the endpoint says it read; a hint, not to be trusted
};

// An intermediate of one text by name ("layer.3.output"): [tokens, width].
struct Layer {
  std::string name;
  Vector values;
  int64_t width = 0;
};

struct AskOptions {
  bool base64 = false;  // endpoints that know encoding_format
};

class Target {
 public:
  virtual ~Target() = default;
  virtual std::string Description() const = 0;
  // Which server family it is, for the fix: "openai", "tei", ..., "" for files and models.
  virtual std::string Dialect() const { return ""; }
  // Texts that it can answer; empty: any.
  virtual const std::vector<std::string>& FixedTexts() const { return none_; }
  // Answers may depend on what is asked together (endpoints).
  virtual bool HasBatches() const { return false; }
  virtual bool HasBase64() const { return false; }
  virtual size_t MaxBatch() const { return 32; }
  virtual int64_t Requests() const { return 0; }
  virtual int Concurrency() const { return 1; }
  // What it says about itself (versions, model name, dtype, pooling); for reports and as a hint.
  virtual json::object About() const { return {}; }
  // The ids that it says it makes of `text`; an error when it does not tell. A hint.
  virtual Result<std::vector<int32_t>> Tokenize(const std::string& text);
  // Its vector for token ids in place of a text; an error when it takes none.
  virtual Result<Vector> EmbedIds(const std::vector<int32_t>& ids);
  // Its intermediates for `text`; an error when it cannot show them.
  virtual Result<std::vector<Layer>> Layers(const std::string& text);
  // A text that it refuses is an error; its code kBadInput says that other texts may work.
  // Thread rule: usable from several threads at once.
  virtual Result<TargetReply> Embed(const std::vector<std::string>& texts, const AskOptions& options) = 0;

 private:
  std::vector<std::string> none_;
};

struct EndpointOptions {
  std::string api;            // empty: guessed
  std::string model;          // what the requests name; empty: what the server lists first
  std::string api_key;        // empty: none
  std::string prompt_name;    // sent in the dialect's own field
  std::string client_prompt;  // put in front of every text on our side
  int64_t max_requests = 200;
  int concurrency = 4;
  int timeout_seconds = 60;
};

// Names of --api.
inline constexpr std::string_view kApis = "openai, tei, ollama, llamacpp, cohere or vllm";

Result<std::unique_ptr<Target>> MakeEndpointTarget(const std::string& url, const EndpointOptions& options);
// A directory on our own engine; `threads` compute threads.
Result<std::unique_ptr<Target>> MakeModelTarget(const std::string& directory, const SpecOptions& options,
                                                const PromptChoice& prompt, int threads);
// Sentence Transformers in float32 through a Python child process. `python`: the interpreter, empty: found by
// TRUEVEC_PYTHON's caller. Errors say how to install it.
Result<std::unique_ptr<Target>> MakeReferenceTarget(const std::string& directory, const PromptChoice& prompt,
                                                    const std::string& python);
// .npy, .npz (its first matrix, or "embeddings", "vectors", "arr_0") or .jsonl; row i belongs to texts[i].
Result<std::unique_ptr<Target>> MakeVectorsTarget(const std::string& path, std::vector<std::string> texts);
// Texts with their vectors, e.g. a lock's cases.
std::unique_ptr<Target> MakeStoredTarget(std::string description, std::vector<std::string> texts,
                                         std::vector<Vector> vectors);

}  // namespace truevec

#endif  // TRUEVEC_VERIFY_TARGET_H_
