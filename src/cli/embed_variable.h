// embed's outputs that are not one dense vector per text: token embeddings, multi-vectors, sparse vectors.
#ifndef TRUEVEC_CLI_EMBED_VARIABLE_H_
#define TRUEVEC_CLI_EMBED_VARIABLE_H_

#include <string>
#include <vector>

#include "cli/pipeline_runner.h"
#include "cli/text_reader.h"

namespace truevec::cli {

struct VariableEmbed {
  bool sparse = false;        // else rows per text
  bool multi_vector = false;  // the mask of MultiVectorEncoder applies
  bool normalize = false;     // token vectors of multi-vector models to unit length
  EncodeTextOptions encode;
  int64_t max_active = 0;
  int64_t batch_tokens = 4096;
};

// All of `records` at once: .npz (CSR as scipy.sparse.save_npz, or `values` and `offsets`), .jsonl, or "-".
Status EmbedVariableLength(const PipelineRunner& runner, const VariableEmbed& what,
                           const std::vector<TextRecord>& records, const std::string& output);

}  // namespace truevec::cli

#endif  // TRUEVEC_CLI_EMBED_VARIABLE_H_
