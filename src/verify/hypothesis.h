// A hypothesis is one declarative row: a cause (CONTRACT section 9), what it changes in our own engine, and what is
// said when it fits. One file per family lists its rows; Lab runs any combination of them.
#ifndef TRUEVEC_VERIFY_HYPOTHESIS_H_
#define TRUEVEC_VERIFY_HYPOTHESIS_H_

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/pipeline.h"
#include "tensor/simulation.h"
#include "verify/compare.h"

namespace truevec {

// What edits of ids may look at.
struct IdContext {
  const Tokenizer* tokenizer = nullptr;
  std::vector<int32_t> prefix;  // special tokens around a text
  std::vector<int32_t> suffix;
  int32_t pad = 0;
  int64_t max_length = 0;                      // tokens with specials; 0: none
  int64_t max_positions = 0;                   // longest sequence the model can run; 0: unlimited
  int64_t prompt_tokens = 0;                   // tokens of the prompt without specials
  const std::vector<float>* scores = nullptr;  // Unigram scores by id; null: not a Unigram model
};

// One sequence for the engine. A text is one, or several whose vectors are averaged by weight.
struct Part {
  EncodedText text;
  std::vector<uint8_t> hidden_keys;  // per id, or empty
  double weight = 1;
};

// What the model is, beside its settings: seen in one pass.
struct ModelTraits {
  const Pipeline* pipeline = nullptr;
  std::string prompt;   // the one in use
  std::string pooling;  // "" when there is none or several
  bool normalizes = false;
  bool causal = false, windowed = false, alibi = false, relative = false;
  bool head_norms = false, scales = false;
  std::vector<double> thetas;      // bases of the rotary tables
  int64_t prefix = 0, suffix = 0;  // special tokens around a text
  int64_t max_length = 0;
  int64_t dense = 0;  // Dense modules
  bool adapter = false;
};

// Unset members change nothing. Edits of one combination apply stage by stage, in the order of the members.
struct Edit {
  std::function<std::string(const std::string&)> text;
  std::optional<std::string> prompt;
  std::string tokenizer;              // an altered tokenizer.json (tokenizer_edits.h)
  std::optional<int64_t> max_length;  // tokens with specials
  bool untruncated = false;           // `ids` gets the whole text
  std::function<std::vector<Part>(const Part&, const IdContext&)> ids;
  // As `ids`, knowing all texts of the request: the edited sequence of texts[index].
  std::function<Part(const std::vector<Part>& texts, size_t index, const IdContext&)> batch;
  std::vector<std::pair<std::string, json::value>> config;  // overrides of the model's settings
  // Replaces a tensor's values; false: left as they are. `values` comes filled, [rows, cols] for matrices.
  std::function<bool(const WeightEntry&, std::vector<float>* values)> weights;
  // Which tensors `weights` may change, so that the others need not be read; null: any.
  std::function<bool(const WeightEntry&)> concerns;
  std::function<std::string(const std::string& name)> rename;  // the tensor to read in place of `name`
  std::function<void(Simulation*)> simulation;
  bool without_adapter = false;
  bool merge_batch = false;  // all texts of a request run as one attention sequence
  std::string pooling;       // a mode in place of the model's
  bool summed = false;       // pooled vectors times their number of tokens
  std::optional<bool> normalize;
  std::optional<int64_t> truncate_dim;
  std::function<void(Vector*)> output;
  // Of all vectors of a request in order (unnormalised when `normalize` is false).
  std::function<void(std::vector<Vector>*)> outputs;

  // Whether ids change at all, the packed weights, or only what follows the token vectors.
  bool ChangesText() const { return text || prompt || !tokenizer.empty() || max_length || ids || batch; }
  bool ChangesModel() const {
    return !config.empty() || weights || rename || without_adapter || simulation || merge_batch;
  }
};

struct Hypothesis {
  std::string cause;
  std::string variant;
  std::string says;  // evidence: "without the special tokens the vectors agree"
  Edit edit;
  bool long_only = false;  // shows only on texts near or above a length limit
  bool numeric = false;    // rounding and other small numeric effects: the residual class
  bool decoy = false;      // no cause of the contract: never claimed, keeps look-alikes from being named
  bool asked = false;      // the target itself was asked for the number
  std::string refines;     // of a numeric row: tried only where the row of this variant goes in the right direction
  bool sized = false;      // of a numeric row: tried only where it rounds weights by as much as the residual shows
  // A number or name that the cause has, for the report: "max_length" 77, "pooling" "cls".
  std::string parameter;
  json::value value = nullptr;
  // The row at another value of its parameter, for estimating it; null: nothing to estimate.
  std::function<Hypothesis(double)> at = nullptr;

  std::string Name() const { return variant.empty() ? cause : cause + " (" + variant + ")"; }
};

using Hypotheses = std::vector<Hypothesis>;
// A combination; pointers into a list that outlives it.
using Combination = std::vector<const Hypothesis*>;

// How a long text is averaged over chunks of `size` content tokens (0: what fits in the limit).
struct Chunks {
  int64_t size = 0;
  int64_t overlap = 0;
  bool weighted = false;  // by length
  bool raw = false;       // averaged before normalising
};
Hypothesis MaxLengthRow(int64_t length);
// No cause: the ids of whole texts.
Hypothesis UncutRow();
Hypothesis ChunkRow(const Chunks& chunks);
Hypothesis PaddedRow(int64_t total);
// Position `i` reads the table's row i + shift.
Hypothesis PositionRow(int64_t shift);
// Rotary tables at another base. `where`: tables of this base only; 0: all.
Hypothesis ThetaRow(double base, double where);
// Texts cut before they are tokenised.
Hypothesis TextCutRow(int64_t count, bool words);

// Adds a row and returns its edit.
Edit* AddHypothesis(Hypotheses* out, std::string cause, std::string variant, std::string says);

// The families. The traits decide which rows make sense.
void AddTextHypotheses(const ModelTraits& model, Hypotheses* out);
void AddPromptHypotheses(const ModelTraits& model, Hypotheses* out);
void AddSpecialTokenHypotheses(const ModelTraits& model, Hypotheses* out);
void AddTokenizerHypotheses(const ModelTraits& model, Hypotheses* out);
void AddLengthHypotheses(const ModelTraits& model, Hypotheses* out);
void AddPositionHypotheses(const ModelTraits& model, Hypotheses* out);
void AddAttentionHypotheses(const ModelTraits& model, Hypotheses* out);
void AddForwardHypotheses(const ModelTraits& model, Hypotheses* out);
void AddWeightHypotheses(const ModelTraits& model, Hypotheses* out);
void AddPoolingHypotheses(const ModelTraits& model, Hypotheses* out);
void AddOutputHypotheses(const ModelTraits& model, Hypotheses* out);
// Precision and quantisation: the residual classes.
void AddNumericHypotheses(const ModelTraits& model, Hypotheses* out);
// Those that only a request with several texts shows.
void AddBatchHypotheses(const ModelTraits& model, Hypotheses* out);

// All single-request hypotheses but the numeric ones.
Hypotheses AllHypotheses(const ModelTraits& model);

// Parts of edits that several families use.
Part WithIds(const Part& part, std::vector<int32_t> ids);
// Content without the special tokens around it.
std::vector<int32_t> ContentOf(const Part& part, const IdContext& context);
std::vector<int32_t> Join(const std::vector<int32_t>& a, const std::vector<int32_t>& b, const std::vector<int32_t>& c);

}  // namespace truevec

#endif  // TRUEVEC_VERIFY_HYPOTHESIS_H_
