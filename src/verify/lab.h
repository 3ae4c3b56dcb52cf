// Lab: our own engine with faults switched on. A Fault alters the text, the tokenizer, the ids, the forward pass,
// the pooling or the output; faults combine by being applied one after another.
#ifndef TRUEVEC_VERIFY_LAB_H_
#define TRUEVEC_VERIFY_LAB_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/pipeline.h"
#include "verify/compare.h"

namespace truevec {

// One declarative row: a cause, what it changes, how it is mended.
struct Fault {
  std::string cause;    // CONTRACT section 9
  std::string variant;  // "cls", "128", ...
  std::string says;     // one line of evidence
  std::string fix;
  std::function<std::string(const std::string&)> text;
  std::optional<std::string> prompt;                      // replaces the model's own choice
  std::string tokenizer;                                  // Lab's name of an altered tokenizer
  std::optional<int64_t> max_length;                      // tokens with specials
  std::vector<std::pair<std::string, json::value>> spec;  // overrides
  // Alters ids; may give several sequences whose vectors are averaged by length (chunking).
  std::function<std::vector<EncodedText>(const EncodedText&, const Tokenizer&)> ids;
  std::string pooling;  // a pooling mode
  std::function<void(Vector*)> output;
};

class Lab {
 public:
  static Result<std::unique_ptr<Lab>> Load(const std::string& directory, const SpecOptions& options,
                                           const PromptChoice& prompt, int threads);
  const std::string& directory() const { return directory_; }
  const Pipeline& pipeline() const { return *base_; }
  // Vectors as the model says, one text at a time (our bits do not depend on the batch).
  Result<std::vector<Vector>> Reference(const std::vector<std::string>& texts) { return Run(texts, {}); }
  Result<std::vector<int32_t>> Ids(const std::string& text);
  Result<std::vector<Vector>> Run(const std::vector<std::string>& texts, const std::vector<const Fault*>& faults);
  // Names of altered tokenizers that this model's tokenizer.json allows.
  static std::vector<std::string> TokenizerEdits();

 private:
  Result<const Tokenizer*> EditedTokenizer(const std::string& edit);
  Result<std::shared_ptr<const Pipeline>> EditedPipeline(const std::vector<const Fault*>& faults);
  Result<std::vector<EncodedText>> Encode(const std::string& text, const std::vector<const Fault*>& faults);

  std::string directory_;
  SpecOptions options_;
  PromptChoice prompt_;
  std::shared_ptr<const Pipeline> base_;
  std::unique_ptr<ThreadPool> pool_;
  std::map<std::string, std::unique_ptr<Tokenizer>> tokenizers_;
  std::map<std::string, std::shared_ptr<const Pipeline>> pipelines_;
};

// Every single fault that can be tried on this model.
std::vector<Fault> AllFaults(const Pipeline& model);

}  // namespace truevec

#endif  // TRUEVEC_VERIFY_LAB_H_
