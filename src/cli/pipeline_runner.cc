#include "cli/pipeline_runner.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "cli/model_path.h"
#include "pipeline/similarity.h"

namespace truevec::cli {
namespace {

constexpr int64_t kBatchTokens = 4096;

Status WithIndex(const Status& status, size_t index) { return status.WithContext("text " + std::to_string(index)); }

}  // namespace

Result<std::unique_ptr<PipelineRunner>> PipelineRunner::Load(const std::string& model, const CommonOptions& common,
                                                             const std::string& as, const std::string& default_as) {
  TV_ASSIGN_OR_RETURN(const SpecOptions options, SpecOptionsFrom(common, as, default_as));
  TV_ASSIGN_OR_RETURN(const std::string path, ResolveModelPath(model, common));
  std::unique_ptr<PipelineRunner> runner(new PipelineRunner());
  TV_ASSIGN_OR_RETURN(runner->pipeline_, Pipeline::Load(path, options));
  LogWarnings(common, runner->pipeline_->spec().warnings);
  runner->pool_ = std::make_unique<ThreadPool>(common.threads > 0 ? common.threads : AvailableCpus());
  runner->arena_ = std::make_unique<Arena>();
  runner->context_ = {runner->pool_.get(), runner->arena_.get(), nullptr};
  return runner;
}

Status PipelineRunner::Batches(const std::vector<EncodedText>& texts, int64_t batch_tokens, RunBatch run) const {
  std::vector<size_t> order(texts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return texts[a].ids.size() < texts[b].ids.size(); });
  for (size_t first = 0; first < order.size();) {
    if (InterruptRequested()) return Interrupted();
    std::vector<const EncodedText*> batch;
    size_t last = first;
    for (int64_t tokens = 0; last < order.size(); ++last) {
      tokens += static_cast<int64_t>(texts[order[last]].ids.size());
      if (last > first && tokens > batch_tokens) break;
      batch.push_back(&texts[order[last]]);
    }
    TV_RETURN_IF_ERROR(run(batch, std::span<const size_t>(order).subspan(first, last - first)));
    arena_->Reset();
    first = last;
  }
  return Status::Ok();
}

Result<std::vector<EncodedText>> PipelineRunner::EncodeAll(const std::vector<std::string>& texts,
                                                           const EncodeTextOptions& options) const {
  std::vector<EncodedText> encoded;
  for (size_t i = 0; i < texts.size(); ++i) {
    Result<EncodedText> one = pipeline_->Encode(texts[i], options);
    if (!one.ok()) return WithIndex(one.status(), i);
    encoded.push_back(std::move(one).value());
  }
  return encoded;
}

Result<std::vector<float>> PipelineRunner::Score(const std::vector<std::pair<std::string, std::string>>& pairs,
                                                 const EncodeTextOptions& options, const ScoreOptions& score) const {
  if (pipeline_->labels() == 0) {
    EncodeTextOptions query = options;
    EncodeTextOptions document = options;
    if (query.prompt.task.empty()) query.prompt.task = "query";
    document.prompt = {std::nullopt, std::nullopt, "document"};
    std::map<std::string, std::vector<size_t>> by_query;
    for (size_t i = 0; i < pairs.size(); ++i) by_query[pairs[i].first].push_back(i);
    std::vector<float> scores(pairs.size());
    for (const auto& [text, indices] : by_query) {
      std::vector<std::string> documents;
      for (const size_t i : indices) documents.push_back(pairs[i].second);
      TV_ASSIGN_OR_RETURN(const std::vector<double> values, Similarities(text, documents, "", query, document));
      for (size_t k = 0; k < indices.size(); ++k) scores[indices[k]] = static_cast<float>(values[k]);
    }
    return scores;
  }
  std::vector<EncodedText> encoded;
  for (size_t i = 0; i < pairs.size(); ++i) {
    Result<EncodedText> one = pipeline_->EncodePair(pairs[i].first, pairs[i].second, options);
    if (!one.ok()) return one.status().WithContext("pair " + std::to_string(i));
    encoded.push_back(std::move(one).value());
  }
  const int64_t labels = pipeline_->labels();
  std::vector<float> scores(pairs.size() * static_cast<size_t>(labels));
  const Status ran = Batches(encoded, kBatchTokens, [&](auto texts, auto indices) -> Status {
    const auto rows = static_cast<int64_t>(texts.size());
    std::vector<float> out(static_cast<size_t>(rows * labels));
    TV_RETURN_IF_ERROR(pipeline_->Score(texts, score, context_, {out.data(), rows, labels, labels}));
    for (size_t k = 0; k < indices.size(); ++k) {
      std::copy_n(out.begin() + static_cast<int64_t>(k) * labels, labels,
                  scores.begin() + static_cast<int64_t>(indices[k]) * labels);
    }
    return Status::Ok();
  });
  TV_RETURN_IF_ERROR(ran);
  return scores;
}

Result<std::vector<double>> PipelineRunner::Similarities(const std::string& text,
                                                         const std::vector<std::string>& others,
                                                         const std::string& function, const EncodeTextOptions& query,
                                                         const EncodeTextOptions& document) const {
  const ModelSpec& spec = pipeline_->spec();
  if (spec.as == "cross-encoder") return UsageError("the model is a cross-encoder, which gives no vectors: use rerank");
  TV_ASSIGN_OR_RETURN(const Similarity similarity, SimilarityByName(function.empty() ? spec.similarity : function));
  const bool tokens = similarity == Similarity::kMaxSim || similarity == Similarity::kMeanMaxSim;
  if (tokens != (spec.as == "multi-vector")) {
    return UsageError("similarity " + (function.empty() ? spec.similarity : function) + " does not fit a " + spec.as +
                      " model");
  }
  TV_ASSIGN_OR_RETURN(std::vector<EncodedText> encoded, EncodeAll({text}, query));
  TV_ASSIGN_OR_RETURN(std::vector<EncodedText> rest, EncodeAll(others, document));
  std::move(rest.begin(), rest.end(), std::back_inserter(encoded));
  std::vector<std::vector<float>> vectors(encoded.size());
  const int64_t width = tokens ? pipeline_->dimension() : pipeline_->OutputWidth({});
  const Status ran = Batches(encoded, kBatchTokens, [&](auto texts, auto indices) -> Status {
    if (tokens) {
      TV_ASSIGN_OR_RETURN(const TokenVectors many, pipeline_->EmbedMultiVector(texts, context_));
      for (size_t k = 0; k < indices.size(); ++k) {
        vectors[indices[k]].assign(many.values.begin() + many.offsets[k] * width,
                                   many.values.begin() + many.offsets[k + 1] * width);
      }
      return Status::Ok();
    }
    const auto rows = static_cast<int64_t>(texts.size());
    std::vector<float> out(static_cast<size_t>(rows * width));
    TV_RETURN_IF_ERROR(pipeline_->Embed(texts, {}, context_, {out.data(), rows, width, width}));
    for (size_t k = 0; k < indices.size(); ++k) {
      const auto start = out.begin() + static_cast<int64_t>(k) * width;
      vectors[indices[k]].assign(start, start + width);
    }
    return Status::Ok();
  });
  TV_RETURN_IF_ERROR(ran);
  const auto matrix = [&](size_t i) {
    return ConstMatrix(vectors[i].data(), static_cast<int64_t>(vectors[i].size()) / width, width, width);
  };
  std::vector<double> result;
  for (size_t i = 1; i < vectors.size(); ++i) {
    result.push_back(tokens ? MultiVectorSimilarity(similarity, matrix(0), matrix(i))
                            : VectorSimilarity(similarity, vectors[0].data(), vectors[i].data(), width));
  }
  return result;
}

}  // namespace truevec::cli
