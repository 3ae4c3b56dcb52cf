// HierarchicalTokenPooling: fewer token vectors per text, by Ward clustering of cosine distances. Reference:
// multi_vector_encoder/modules/token_pooling.py (_hierarchical_pool_one).
#include <algorithm>
#include <boost/json/value_from.hpp>
#include <cmath>
#include <set>

#include "pipeline/modules.h"
#include "pipeline/ward.h"

namespace truevec {
namespace {

struct PoolingConfig {
  double factor = 1;
  int64_t protected_tokens = 1;
  bool normalize = false;
  std::set<std::string> tasks;
};

class HierarchicalTokenPooling : public PipelineModule {
 public:
  explicit HierarchicalTokenPooling(PoolingConfig config) : config_(std::move(config)) {}

  Status Forward(const ExecContext& ctx, Features* features) const override {
    const std::string task = features->count() > 0 ? features->texts[0]->task : "";
    if (!config_.tasks.contains(task.empty() ? "document" : task)) return Status::Ok();
    const Matrix tokens = features->at("token_embeddings").matrix;
    if (config_.factor <= 1) {
      if (config_.normalize) L2Normalize(ctx, tokens);
      return Status::Ok();
    }
    std::vector<float> rows;
    std::vector<int32_t> offsets = {0};
    for (int64_t text = 0; text < features->count(); ++text) {
      PoolOne(KeptRows(*features, tokens, text), tokens.cols, &rows);
      offsets.push_back(static_cast<int32_t>(static_cast<int64_t>(rows.size()) / tokens.cols));
    }
    const Matrix out = ctx.arena->NewMatrix(offsets.back(), tokens.cols);
    for (int64_t r = 0; r < out.rows; ++r) {
      std::copy_n(rows.begin() + r * tokens.cols, tokens.cols, out.row(r));
    }
    if (config_.normalize) L2Normalize(ctx, out);
    features->Set("token_embeddings", out, true);
    features->token_offsets = std::move(offsets);
    features->keep.clear();
    return Status::Ok();
  }

  json::object Describe() const override {
    return {{"type", "HierarchicalTokenPooling"},
            {"factor", config_.factor},
            {"protected", config_.protected_tokens},
            {"normalize", config_.normalize},
            {"tasks", json::value_from(config_.tasks)}};
  }

 private:
  static std::vector<const float*> KeptRows(const Features& features, const Matrix& tokens, int64_t text) {
    std::vector<const float*> rows;
    const auto t = static_cast<size_t>(text);
    if (!features.token_offsets.empty()) {
      for (int32_t r = features.token_offsets[t]; r < features.token_offsets[t + 1]; ++r) rows.push_back(tokens.row(r));
      return rows;
    }
    for (int32_t i = 0; i < features.length(text); ++i) {
      if (!features.keep.empty() && features.keep[t][static_cast<size_t>(i)] == 0) continue;
      rows.push_back(tokens.row(features.first(text) + i));
    }
    return rows;
  }

  void PoolOne(const std::vector<const float*>& rows, int64_t width, std::vector<float>* out) const {
    const auto all = static_cast<int64_t>(rows.size());
    const int64_t first = std::min(config_.protected_tokens, all);
    const int64_t n = all - first;
    const int64_t clusters =
        std::max<int64_t>(static_cast<int64_t>(std::floor(static_cast<double>(n) / config_.factor)), 1);
    const int64_t whole = clusters < n ? first : all;
    for (int64_t i = 0; i < whole; ++i)
      out->insert(out->end(), rows[static_cast<size_t>(i)], rows[static_cast<size_t>(i)] + width);
    if (clusters >= n) return;
    std::vector<double> distances;
    distances.reserve(static_cast<size_t>(n * (n - 1) / 2));
    for (int64_t i = first; i < all; ++i) {
      for (int64_t j = i + 1; j < all; ++j) {
        double dot = 0;
        for (int64_t c = 0; c < width; ++c) {
          dot += static_cast<double>(rows[static_cast<size_t>(i)][c]) *
                 static_cast<double>(rows[static_cast<size_t>(j)][c]);
        }
        // float32, as the reference's distances are.
        distances.push_back(static_cast<double>(std::clamp(1.0f - static_cast<float>(dot), 0.0f, 2.0f)));
      }
    }
    const std::vector<int32_t> labels = WardClusters(std::move(distances), n, clusters);
    AppendMeans(rows, first, labels, width, out);
  }

  // The means in the order of the labels.
  static void AppendMeans(const std::vector<const float*>& rows, int64_t first, const std::vector<int32_t>& labels,
                          int64_t width, std::vector<float>* out) {
    const auto count = static_cast<size_t>(*std::max_element(labels.begin(), labels.end())) + 1;
    std::vector<double> sums(count * static_cast<size_t>(width), 0.0);
    std::vector<int64_t> sizes(count, 0);
    for (size_t i = 0; i < labels.size(); ++i) {
      const auto label = static_cast<size_t>(labels[i]);
      ++sizes[label];
      const float* row = rows[static_cast<size_t>(first) + i];
      for (int64_t c = 0; c < width; ++c)
        sums[label * static_cast<size_t>(width) + static_cast<size_t>(c)] += static_cast<double>(row[c]);
    }
    for (size_t label = 0; label < count; ++label) {
      for (int64_t c = 0; c < width; ++c) {
        out->push_back(static_cast<float>(sums[label * static_cast<size_t>(width) + static_cast<size_t>(c)] /
                                          static_cast<double>(sizes[label])));
      }
    }
  }

  PoolingConfig config_;
};

}  // namespace

LoadedModule LoadHierarchicalTokenPooling(const ModuleSpec& module, const LoadContext& context) {
  ConfigReader reader = context.Reader(module);
  PoolingConfig config;
  TV_ASSIGN_OR_RETURN(config.factor, reader.Double({"pool_factor"}, 1.0));
  TV_ASSIGN_OR_RETURN(config.protected_tokens, reader.IntIn({"num_protected_tokens"}, 0, 1 << 20, 1));
  // Saves that do not say are from before the setting existed.
  TV_ASSIGN_OR_RETURN(config.normalize, reader.Bool({"normalize_embeddings"}, false));
  TV_ASSIGN_OR_RETURN(config.tasks, ReadTasks(reader.Raw({"tasks"})));
  TV_RETURN_IF_ERROR(context.Finish(module, reader));
  if (!(config.factor >= 1) || !std::isfinite(config.factor)) {
    return reader.Refuse("pool_factor", "expected a number of at least 1");
  }
  TV_RETURN_IF_ERROR(context.Width(module, "token_embeddings").status());
  context.spec->settings.Record("token_pooling", json::value(config.factor),
                                SettingSource::File(module.config_file, "pool_factor"));
  return LoadedModule(std::make_unique<HierarchicalTokenPooling>(std::move(config)));
}

}  // namespace truevec
