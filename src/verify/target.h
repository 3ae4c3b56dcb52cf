// Targets: what is compared with the reference, behind one interface.
#ifndef TRUEVEC_VERIFY_TARGET_H_
#define TRUEVEC_VERIFY_TARGET_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "spec/model_spec.h"
#include "verify/compare.h"

namespace truevec {

struct TargetReply {
  std::vector<Vector> vectors;          // one per text, in the order of the texts
  std::optional<int64_t> input_tokens;  // what the endpoint says it read; a hint, not to be trusted
  bool unpooled = false;                // a matrix a text came back; `vectors` then hold its last rows
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
  virtual const std::vector<std::string>& FixedTexts() const = 0;
  // Answers may depend on what is asked together (endpoints).
  virtual bool HasBatches() const { return false; }
  virtual bool HasBase64() const { return false; }
  virtual size_t MaxBatch() const { return 32; }
  virtual int64_t Requests() const { return 0; }
  // Thread rule: usable from several threads at once.
  virtual Result<TargetReply> Embed(const std::vector<std::string>& texts, const AskOptions& options) = 0;
};

struct EndpointOptions {
  std::string api;      // empty: guessed
  std::string model;    // what the requests name
  std::string api_key;  // empty: none
  int64_t max_requests = 200;
  int timeout_seconds = 60;
};

Result<std::unique_ptr<Target>> MakeEndpointTarget(const std::string& url, const EndpointOptions& options);
// A directory on our own engine; `threads` compute threads.
Result<std::unique_ptr<Target>> MakeModelTarget(const std::string& directory, const SpecOptions& options, int threads);
// .npy or .jsonl; row i belongs to texts[i].
Result<std::unique_ptr<Target>> MakeVectorsTarget(const std::string& path, std::vector<std::string> texts);
// Texts with their vectors, e.g. a lock's cases.
std::unique_ptr<Target> MakeStoredTarget(std::string description, std::vector<std::string> texts,
                                         std::vector<Vector> vectors);

}  // namespace truevec

#endif  // TRUEVEC_VERIFY_TARGET_H_
