// A pipeline without a model, for tests of the queue and the server and for the fuzz target.
#ifndef TRUEVEC_ENGINE_FAKE_PIPELINE_H_
#define TRUEVEC_ENGINE_FAKE_PIPELINE_H_

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>

#include "pipeline/pipeline.h"

namespace truevec {

// A token a byte; vector = (length, first byte). "bad" fails in Embed, "no" in Encode; a score is the number of tokens.
class FakePipeline : public Pipeline {
 public:
  explicit FakePipeline(int64_t labels = 0) : labels_(labels) {}
  const ModelSpec& spec() const override { return spec_; }
  const Tokenizer& tokenizer() const override { std::abort(); }
  bool has_tokenizer() const override { return false; }
  int64_t dimension() const override { return 2; }
  int64_t max_length() const override { return 100000; }
  int64_t labels() const override { return labels_; }
  Result<std::string> ResolvePrompt(const PromptChoice&) const override { return std::string(); }
  Result<EncodedText> Encode(std::string_view text, const EncodeTextOptions& options) const override {
    if (text == "no") return InputError("no");
    EncodedText encoded;
    encoded.ids.assign(text.begin(), text.end());
    if (options.max_length.has_value() && text.size() > static_cast<size_t>(*options.max_length)) {
      encoded.truncated_tokens = static_cast<int64_t>(text.size()) - *options.max_length;
      encoded.ids.resize(static_cast<size_t>(*options.max_length));
    }
    return encoded;
  }
  Result<EncodedText> EncodePair(std::string_view text, std::string_view pair,
                                 const EncodeTextOptions& options) const override {
    return Encode(std::string(text) + std::string(pair), options);
  }
  int64_t OutputWidth(const EmbedOptions& options) const override { return options.truncate_dim.value_or(2); }
  Status Embed(std::span<const EncodedText* const> texts, const EmbedOptions&, const ExecContext&,
               Matrix out) const override {
    if (before_batch) before_batch();
    for (size_t i = 0; i < texts.size(); ++i) {
      const auto& ids = texts[i]->ids;
      if (ids == std::vector<int32_t>{'b', 'a', 'd'}) return InputError("bad");
      float* row = out.row(static_cast<int64_t>(i));
      row[0] = static_cast<float>(ids.size());
      if (out.cols > 1) row[1] = static_cast<float>(ids.empty() ? 0 : ids[0]);
      ++embedded;
    }
    return Status::Ok();
  }
  Status EmbedFromTokens(std::span<const EncodedText* const>, const TokenVectors&, const EmbedOptions&,
                         const ExecContext&, Matrix) const override {
    return InternalError("unused");
  }
  Result<TokenVectors> EmbedTokens(std::span<const EncodedText* const> texts, const ExecContext&) const override {
    TokenVectors all;
    all.width = 1;
    all.offsets.push_back(0);
    for (const EncodedText* text : texts) {
      all.values.insert(all.values.end(), text->ids.begin(), text->ids.end());
      all.offsets.push_back(static_cast<int64_t>(all.values.size()));
    }
    return all;
  }
  Result<SparseVectors> EmbedSparse(std::span<const EncodedText* const>, int64_t, const ExecContext&) const override {
    return UsageError("not sparse");
  }
  Result<TokenVectors> EmbedMultiVector(std::span<const EncodedText* const>, const ExecContext&) const override {
    return UsageError("not multi-vector");
  }
  Status Score(std::span<const EncodedText* const> pairs, const ScoreOptions&, const ExecContext&,
               Matrix out) const override {
    for (int64_t i = 0; i < out.rows; ++i) {
      std::fill_n(out.row(i), out.cols, static_cast<float>(pairs[static_cast<size_t>(i)]->ids.size()));
    }
    return Status::Ok();
  }

  std::function<void()> before_batch;  // called by Embed
  mutable std::atomic<int> embedded{0};

 private:
  int64_t labels_;
  ModelSpec spec_;
};

}  // namespace truevec

#endif  // TRUEVEC_ENGINE_FAKE_PIPELINE_H_
