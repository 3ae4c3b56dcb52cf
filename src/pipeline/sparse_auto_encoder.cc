// SparseAutoEncoder: the k largest latents of a linear encoder, negative ones cut to zero (contrastive sparse
// representations). Reference: sparse_encoder/modules/sparse_auto_encoder.py. Ties keep the lower index.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "pipeline/modules.h"

namespace truevec {
namespace {

constexpr double kEps = 1e-5;

class SparseAutoEncoder : public PipelineModule {
 public:
  SparseAutoEncoder(Linear encoder, std::vector<float> pre_bias, int64_t k, bool normalize)
      : encoder_(std::move(encoder)), pre_bias_(std::move(pre_bias)), k_(k), normalize_(normalize) {}

  Status Forward(const ExecContext& ctx, Features* features) const override {
    const Matrix x = features->at("sentence_embedding").matrix;
    const Matrix centred = ctx.arena->NewMatrix(x.rows, x.cols);
    for (int64_t r = 0; r < x.rows; ++r) Centre(x.row(r), x.cols, centred.row(r));
    const Matrix z = ctx.arena->NewMatrix(x.rows, encoder_.out_features());
    Apply(ctx, encoder_, centred, z);
    const int64_t k = features->max_active > 0 ? std::min(features->max_active, z.cols) : k_;
    for (int64_t r = 0; r < z.rows; ++r) KeepLargest(z.row(r), z.cols, k);
    features->Set("sentence_embedding", z, false);
    return Status::Ok();
  }
  json::object Describe() const override {
    return {{"type", "SparseAutoEncoder"}, {"k", k_}, {"normalize", normalize_}};
  }

 private:
  // (x - mean) / (std + eps) with the n - 1 standard deviation, then minus pre_bias.
  void Centre(const float* x, int64_t n, float* out) const {
    double mean = 0;
    double scale = 1;
    if (normalize_) {
      mean = std::accumulate(x, x + n, 0.0) / static_cast<double>(n);
      double square = 0;
      for (int64_t i = 0; i < n; ++i) square += (static_cast<double>(x[i]) - mean) * (static_cast<double>(x[i]) - mean);
      scale = std::sqrt(square / static_cast<double>(n - 1)) + kEps;
    }
    for (int64_t i = 0; i < n; ++i) {
      out[i] = static_cast<float>((static_cast<double>(x[i]) - mean) / scale -
                                  static_cast<double>(pre_bias_[static_cast<size_t>(i)]));
    }
  }

  static void KeepLargest(float* z, int64_t n, int64_t k) {
    std::vector<int64_t> order(static_cast<size_t>(n));
    std::iota(order.begin(), order.end(), 0);
    std::nth_element(order.begin(), order.begin() + k, order.end(),
                     [&](int64_t a, int64_t b) { return z[a] != z[b] ? z[a] > z[b] : a < b; });
    for (auto it = order.begin() + k; it != order.end(); ++it) z[*it] = 0;
    for (int64_t i = 0; i < n; ++i) z[i] = std::max(z[i], 0.0f);
  }

  Linear encoder_;  // bias: latent_bias
  std::vector<float> pre_bias_;
  int64_t k_;
  bool normalize_;
};

}  // namespace

LoadedModule LoadSparseAutoEncoder(const ModuleSpec& module, const LoadContext& context) {
  ConfigReader reader = context.Reader(module);
  TV_ASSIGN_OR_RETURN(const int64_t in, reader.IntIn({"input_dim"}, 2, 1 << 20));
  TV_ASSIGN_OR_RETURN(const int64_t hidden, reader.IntIn({"hidden_dim"}, 1, 1 << 24, 512));
  TV_ASSIGN_OR_RETURN(const int64_t k, reader.IntIn({"k"}, 1, hidden, 8));
  TV_ASSIGN_OR_RETURN(const bool normalize, reader.Bool({"normalize"}, false));
  reader.Ignore({"k_aux", "dead_threshold"});
  TV_RETURN_IF_ERROR(context.Finish(module, reader));
  TV_ASSIGN_OR_RETURN(const FeatureWidth width, context.Width(module, "sentence_embedding"));
  if (width.width != in) {
    return ModelError(module.Config().file() + ": input_dim: expected " + std::to_string(width.width) + ", got " +
                      std::to_string(in));
  }
  TV_ASSIGN_OR_RETURN(const WeightScope weights, context.Weights(module));
  TV_ASSIGN_OR_RETURN(std::vector<float> pre_bias, weights.GetFloats("pre_bias", {in}));
  // The decoder is tied to the encoder, so a file holds the matrix under either name, or both.
  static constexpr std::string_view kTied = "decoder.linear.weight";
  const bool own = weights.Has("encoder.weight") || !weights.Has(kTied);
  TV_ASSIGN_OR_RETURN(const TensorView encoder, weights.Get(own ? "encoder.weight" : kTied, {hidden, in}));
  if (own) weights.Ignore(kTied);
  TV_ASSIGN_OR_RETURN(const TensorView bias, weights.Get("latent_bias", {hidden}));
  weights.Ignore("stats_last_nonzero");  // training statistics
  TV_RETURN_IF_ERROR(context.FinishWeights(module, weights));
  (*context.widths)["sentence_embedding"] = {hidden, false};
  return LoadedModule(std::make_unique<SparseAutoEncoder>(
      Linear::Pack({&encoder, 1}, {&bias, 1}, ComputeType::kFloat32), std::move(pre_bias), k, normalize));
}

}  // namespace truevec
