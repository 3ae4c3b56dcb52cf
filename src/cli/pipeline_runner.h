// PipelineRunner: a Pipeline with threads and scratch, for the commands that want more than one vector per text.
#ifndef TRUEVEC_CLI_PIPELINE_RUNNER_H_
#define TRUEVEC_CLI_PIPELINE_RUNNER_H_

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cli/command.h"
#include "pipeline/pipeline.h"

namespace truevec::cli {

class PipelineRunner {
 public:
  // Tells the warnings of loading on stderr. `default_as`: what a directory is that does not say.
  static Result<std::unique_ptr<PipelineRunner>> Load(const std::string& model, const CommonOptions& common,
                                                      const std::string& as, const std::string& default_as);
  const Pipeline& pipeline() const { return *pipeline_; }
  const ExecContext& context() const { return context_; }
  // Calls `run` on neighbouring texts of about `batch_tokens` tokens, shortest first; `indices` are their places.
  using RunBatch = FunctionRef<Status(std::span<const EncodedText* const> texts, std::span<const size_t> indices)>;
  Status Batches(const std::vector<EncodedText>& texts, int64_t batch_tokens, RunBatch run) const;

  // Scores of pairs in the order given, [pairs * labels]; a bi-encoder gives the model's similarity.
  Result<std::vector<float>> Score(const std::vector<std::pair<std::string, std::string>>& pairs,
                                   const EncodeTextOptions& options, const ScoreOptions& score) const;
  // One similarity per text of `others`, by `function` or, when empty, the model's own.
  Result<std::vector<double>> Similarities(const std::string& text, const std::vector<std::string>& others,
                                           const std::string& function, const EncodeTextOptions& query,
                                           const EncodeTextOptions& document) const;

 private:
  PipelineRunner() = default;
  Result<std::vector<EncodedText>> EncodeAll(const std::vector<std::string>& texts,
                                             const EncodeTextOptions& options) const;
  std::shared_ptr<const Pipeline> pipeline_;
  std::unique_ptr<ThreadPool> pool_;
  std::unique_ptr<Arena> arena_;
  ExecContext context_;
};

}  // namespace truevec::cli

#endif  // TRUEVEC_CLI_PIPELINE_RUNNER_H_
