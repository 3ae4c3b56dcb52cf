// Lab: our own engine with hypotheses switched on. Encodings, altered tokenizers, altered models and token vectors are
// kept, so that a combination only computes what no earlier one did.
#ifndef TRUEVEC_VERIFY_LAB_H_
#define TRUEVEC_VERIFY_LAB_H_

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "verify/hypothesis.h"
#include "verify/target.h"

namespace truevec {

// Rows by token id.
struct Table {
  std::vector<float> values;
  int64_t rows = 0, cols = 0;
};

class Lab {
 public:
  static Result<std::unique_ptr<Lab>> Load(const std::string& directory, const SpecOptions& options,
                                           const PromptChoice& prompt, int threads);
  const std::string& directory() const { return directory_; }
  const Pipeline& pipeline() const { return *base_; }
  const std::string& prompt() const { return own_prompt_; }
  const IdContext& ids() const { return ids_; }
  const ModelTraits& traits() const { return traits_; }

  // Vectors as the model says; our bits do not depend on the batch.
  Result<std::vector<Vector>> Reference(const std::vector<std::string>& texts) { return Run(texts, {}); }
  // `texts` as one request, with the hypotheses switched on. A hypothesis that this model cannot have is an error.
  Result<std::vector<Vector>> Run(const std::vector<std::string>& texts, const Combination& hypotheses);
  // The ids the model is fed, after the hypotheses' edits (the parts of each text back to back).
  Result<std::vector<std::vector<int32_t>>> Ids(const std::vector<std::string>& texts, const Combination& hypotheses);
  // Vectors of token sequences as they are, special tokens included.
  Result<std::vector<Vector>> RunIds(const std::vector<std::vector<int32_t>>& ids);
  // Intermediates of one text by name, as the trace tap sees them: [tokens, width] each.
  Result<std::vector<Layer>> Layers(const std::string& text);
  // As Run with `row` alone, and nothing of it is kept.
  Result<std::vector<Vector>> RunOnce(const std::vector<std::string>& texts, const Hypothesis& row);
  // A copy of a row that lives as long as the lab.
  const Hypothesis* Keep(const Hypothesis& row) { return &kept_.emplace_back(row); }
  // Of all weight files.
  std::vector<std::string> TensorNames() const;
  // The model's table of token embeddings, [ids, width]; no values when none of its tensors looks like one.
  Table TokenTable() const;
  // Root mean square of what `row` changes the layers' matrices by, in those of their values: a matrix of each shape,
  // its first rows. 0 where it changes none.
  double WeightError(const Hypothesis& row);
  // Values of all weights.
  int64_t Parameters() const;
  int64_t tokens_computed() const { return tokens_computed_; }

 private:
  struct Rows {
    std::vector<float> values;
    int64_t width = 0;
  };
  using SharedRows = std::shared_ptr<const Rows>;
  Result<std::vector<std::vector<Part>>> EncodeAll(const std::vector<std::string>& texts, const Combination& h);
  Result<Part> EncodeOne(const std::string& text, const Combination& h);
  Result<const Tokenizer*> EditedTokenizer(const std::string& edit);
  Result<std::shared_ptr<const Pipeline>> EditedPipeline(const Combination& h);
  Status TokenVectorsOf(const Pipeline& pipeline, const std::string& model_key, const Combination& h,
                        const std::vector<const Part*>& parts, std::vector<SharedRows>* rows);
  Result<std::vector<SharedRows>> ComputeRows(const Pipeline& pipeline, const Combination& h,
                                              const std::vector<const Part*>& parts);
  Status PoolParts(const Pipeline& pipeline, const Combination& h, const std::vector<const Part*>& parts,
                   const std::vector<SharedRows>& rows, std::vector<Vector>* out);
  Status LookAround();
  void ReadScores();

  std::string directory_;
  SpecOptions options_;
  PromptChoice prompt_;
  std::string own_prompt_;
  std::shared_ptr<const Pipeline> base_;
  std::vector<std::shared_ptr<const WeightStore>> weights_;  // of base_, as in its files
  std::unique_ptr<ThreadPool> pool_;
  ThreadPool one_thread_{1};  // a few tokens cost less than waking threads
  Arena arena_;
  IdContext ids_;
  std::vector<float> scores_;
  ModelTraits traits_;
  bool from_tokens_ = true;  // the pipeline can start at Pooling
  int64_t norms_ = 0;        // LayerNorm calls of a pass
  int64_t tokens_computed_ = 0;
  size_t cached_floats_ = 0;
  json::value form_;                                              // the tokenizer's canonical form, once parsed
  std::map<std::string, std::unique_ptr<Tokenizer>> tokenizers_;  // edited
  std::map<std::string, std::shared_ptr<const Tokenizer>> known_tokenizers_;  // the model's own, by folder
  std::map<std::string, std::shared_ptr<const Pipeline>> pipelines_;
  std::map<std::string, Part> encodings_;
  std::map<std::string, double> weight_errors_;  // by cause and variant
  std::deque<Hypothesis> kept_;
  std::map<std::string, SharedRows> rows_;
};

}  // namespace truevec

#endif  // TRUEVEC_VERIFY_LAB_H_
