// CNN: one-dimensional convolutions over a text's tokens, outputs side by side, no activation. Each text is convolved
// alone (zeros around it), as the reference does for a batch of one. Reference: sentence_transformer/modules/cnn.py.
#include "pipeline/modules.h"

namespace truevec {
namespace {

struct Convolution {
  int64_t size = 1;  // odd
  Linear linear;     // [channels, size * in]: the kernel's taps side by side
};

class Cnn : public PipelineModule {
 public:
  Cnn(std::vector<Convolution> convolutions, json::object about)
      : convolutions_(std::move(convolutions)), about_(std::move(about)) {}

  Status Forward(const ExecContext& ctx, Features* features) const override {
    const Matrix x = features->at("token_embeddings").matrix;
    const int64_t channels = convolutions_[0].linear.out_features();
    const Matrix out = ctx.arena->NewMatrix(x.rows, channels * static_cast<int64_t>(convolutions_.size()));
    for (size_t k = 0; k < convolutions_.size(); ++k) {
      const Convolution& convolution = convolutions_[k];
      const Arena::Scope scope(ctx.arena);
      const Matrix windows = ctx.arena->NewMatrix(x.rows, convolution.size * x.cols);
      FillWindows(*features, x, convolution.size, windows);
      const Matrix y = ctx.arena->NewMatrix(x.rows, channels);
      Apply(ctx, convolution.linear, windows, y);
      for (int64_t r = 0; r < x.rows; ++r) {
        std::copy(y.row(r), y.row(r) + channels, out.row(r) + static_cast<int64_t>(k) * channels);
      }
    }
    features->Set("token_embeddings", out, true);
    return Status::Ok();
  }
  json::object Describe() const override { return about_; }

 private:
  // Row r: the inputs under the kernel's taps, tap by tap; zeros outside the text.
  static void FillWindows(const Features& f, const Matrix& x, int64_t size, const Matrix& windows) {
    for (int64_t text = 0; text < f.count(); ++text) {
      for (int64_t i = 0; i < f.length(text); ++i) {
        float* row = windows.row(f.first(text) + i);
        for (int64_t tap = 0; tap < size; ++tap) {
          const int64_t j = i + tap - (size - 1) / 2;
          float* target = row + tap * x.cols;
          if (j < 0 || j >= f.length(text)) {
            std::fill(target, target + x.cols, 0.0f);
          } else {
            std::copy(x.row(f.first(text) + j), x.row(f.first(text) + j) + x.cols, target);
          }
        }
      }
    }
  }

  std::vector<Convolution> convolutions_;
  json::object about_;
};

// torch.nn.Conv1d stores [channels, in, size]; the windows are [size, in].
Result<Linear> LoadConvolution(const WeightScope& scope, int64_t channels, int64_t in, int64_t size) {
  TV_ASSIGN_OR_RETURN(const std::vector<float> weight, scope.GetFloats("weight", {channels, in, size}));
  TV_ASSIGN_OR_RETURN(const TensorView bias, scope.Get("bias", {channels}));
  std::vector<float> taps(weight.size());
  for (int64_t o = 0; o < channels; ++o) {
    for (int64_t i = 0; i < in; ++i) {
      for (int64_t t = 0; t < size; ++t) {
        taps[static_cast<size_t>((o * size + t) * in + i)] = weight[static_cast<size_t>((o * in + i) * size + t)];
      }
    }
  }
  const TensorView view{taps.data(), DType::kF32, {channels, size * in}};
  return Linear::Pack({&view, 1}, {&bias, 1}, ComputeType::kFloat32);
}

}  // namespace

LoadedModule LoadCnn(const ModuleSpec& module, const LoadContext& context) {
  ConfigReader reader = context.Reader(module);
  TV_ASSIGN_OR_RETURN(const int64_t in,
                      reader.IntIn({"in_embedding_dimension", "in_word_embedding_dimension"}, 1, 1 << 20));
  TV_ASSIGN_OR_RETURN(const int64_t channels, reader.IntIn({"out_channels"}, 1, 1 << 20, 256));
  std::vector<int64_t> sizes = {1, 3, 5};
  if (const JsonRef list = reader.Raw({"kernel_sizes"}); list.present()) {
    sizes.clear();
    for (size_t i = 0; i < list.size(); ++i) {
      TV_ASSIGN_OR_RETURN(const int64_t size, list.At(i).Int());
      if (size < 1 || size > 1024 || size % 2 == 0) {
        return ModelError(list.At(i).Where() +
                          ": expected an odd kernel size (an even one changes the number of tokens), got " +
                          std::to_string(size));
      }
      sizes.push_back(size);
    }
    if (sizes.empty()) return ModelError(list.Where() + ": expected a list of kernel sizes");
  }
  const JsonRef strides = reader.Raw({"stride_sizes"});
  for (size_t i = 0; i < strides.size(); ++i) {
    TV_ASSIGN_OR_RETURN(const int64_t stride, strides.At(i).Int());
    if (stride != 1)
      return ModelError(strides.At(i).Where() + ": only stride 1 is supported, got " + std::to_string(stride));
  }
  TV_RETURN_IF_ERROR(context.Finish(module, reader));
  TV_ASSIGN_OR_RETURN(const FeatureWidth width, context.Width(module, "token_embeddings"));
  if (width.width != in) {
    return ModelError(module.Config().file() + ": in_embedding_dimension: expected " + std::to_string(width.width) +
                      ", got " + std::to_string(in));
  }
  TV_ASSIGN_OR_RETURN(const WeightScope weights, context.Weights(module));
  std::vector<Convolution> convolutions;
  json::array listed;
  for (size_t i = 0; i < sizes.size(); ++i) {
    TV_ASSIGN_OR_RETURN(Linear linear,
                        LoadConvolution(weights.Sub("convs", static_cast<int64_t>(i)), channels, in, sizes[i]));
    convolutions.push_back({sizes[i], std::move(linear)});
    listed.push_back(sizes[i]);
  }
  TV_RETURN_IF_ERROR(context.FinishWeights(module, weights));
  (*context.widths)["token_embeddings"] = {channels * static_cast<int64_t>(sizes.size()), true};
  return LoadedModule(std::make_unique<Cnn>(std::move(convolutions), json::object{{"type", "CNN"}, {"sizes", listed}}));
}

}  // namespace truevec
