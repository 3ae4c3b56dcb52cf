// LSTM over a text's word vectors, both directions, several layers. Equations: torch.nn.LSTM (gates i, f, g, o).
// Reference: sentence_transformer/modules/lstm.py. The recurrence runs in double per step.
#include <algorithm>

#include "pipeline/exact_math.h"
#include "pipeline/modules.h"

namespace truevec {
namespace {

double Sigmoid(double x) { return x >= 0 ? 1 / (1 + exact::Exp(-x)) : exact::Exp(x) / (1 + exact::Exp(x)); }
double Tanh(double x) {
  const double e = exact::Expm1(-2 * (x < 0 ? -x : x));
  return x < 0 ? e / (e + 2) : -e / (e + 2);
}

struct Direction {
  int64_t in = 0;
  std::vector<float> input_weight;   // [4 hidden, in]
  std::vector<float> hidden_weight;  // [4 hidden, hidden]
  std::vector<float> input_bias;     // [4 hidden]
  std::vector<float> hidden_bias;    // [4 hidden]
};

double Dot(const float* weight, const double* x, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(weight[i]) * x[i];
  return sum;
}

// x [length, in] -> out rows at columns [column, column + hidden).
void RunDirection(const Direction& d, int64_t hidden, const std::vector<double>& x, int64_t length, bool backward,
                  int64_t column, int64_t stride, std::vector<double>* out) {
  std::vector<double> h(static_cast<size_t>(hidden), 0.0);
  std::vector<double> c(static_cast<size_t>(hidden), 0.0);
  std::vector<double> gates(static_cast<size_t>(4 * hidden));
  for (int64_t step = 0; step < length; ++step) {
    const int64_t t = backward ? length - 1 - step : step;
    for (int64_t g = 0; g < 4 * hidden; ++g) {
      const auto row = static_cast<size_t>(g);
      gates[row] = Dot(&d.input_weight[row * static_cast<size_t>(d.in)], &x[static_cast<size_t>(t * d.in)], d.in) +
                   Dot(&d.hidden_weight[row * static_cast<size_t>(hidden)], h.data(), hidden) +
                   static_cast<double>(d.input_bias[row]) + static_cast<double>(d.hidden_bias[row]);
    }
    for (int64_t j = 0; j < hidden; ++j) {
      const auto k = static_cast<size_t>(j);
      const auto n = static_cast<size_t>(hidden);
      c[k] = Sigmoid(gates[n + k]) * c[k] + Sigmoid(gates[k]) * Tanh(gates[2 * n + k]);
      h[k] = Sigmoid(gates[3 * n + k]) * Tanh(c[k]);
      (*out)[static_cast<size_t>(t * stride + column + j)] = h[k];
    }
  }
}

class Lstm : public PipelineModule {
 public:
  Lstm(int64_t hidden, std::vector<std::vector<Direction>> layers) : hidden_(hidden), layers_(std::move(layers)) {}

  Status Forward(const ExecContext& ctx, Features* features) const override {
    const Matrix tokens = features->at("token_embeddings").matrix;
    const auto width = hidden_ * static_cast<int64_t>(layers_[0].size());
    const Matrix out = ctx.arena->NewMatrix(tokens.rows, width);
    ctx.pool->ParallelFor(features->count(), [&](int64_t text, int) {
      RunText(tokens.Rows(features->first(text), features->length(text)),
              out.Rows(features->first(text), features->length(text)));
    });
    features->Set("token_embeddings", out, true);
    return Status::Ok();
  }
  json::object Describe() const override {
    return {{"type", "LSTM"}, {"layers", layers_.size()}, {"directions", layers_[0].size()}};
  }

 private:
  void RunText(const Matrix& in, const Matrix& out) const {
    std::vector<double> x;
    for (int64_t r = 0; r < in.rows; ++r) x.insert(x.end(), in.row(r), in.row(r) + in.cols);
    for (const std::vector<Direction>& layer : layers_) {
      std::vector<double> y(static_cast<size_t>(in.rows * out.cols));
      for (size_t d = 0; d < layer.size(); ++d) {
        RunDirection(layer[d], hidden_, x, in.rows, d == 1, static_cast<int64_t>(d) * hidden_, out.cols, &y);
      }
      x = std::move(y);
    }
    for (int64_t r = 0; r < out.rows; ++r) {
      for (int64_t c = 0; c < out.cols; ++c)
        out.row(r)[c] = static_cast<float>(x[static_cast<size_t>(r * out.cols + c)]);
    }
  }

  int64_t hidden_;
  std::vector<std::vector<Direction>> layers_;
};

Result<Direction> LoadDirection(const WeightScope& scope, const std::string& suffix, int64_t in, int64_t hidden) {
  Direction d;
  d.in = in;
  TV_ASSIGN_OR_RETURN(d.input_weight, scope.GetFloats("weight_ih_" + suffix, {4 * hidden, in}));
  TV_ASSIGN_OR_RETURN(d.hidden_weight, scope.GetFloats("weight_hh_" + suffix, {4 * hidden, hidden}));
  TV_ASSIGN_OR_RETURN(d.input_bias, scope.GetFloats("bias_ih_" + suffix, {4 * hidden}));
  TV_ASSIGN_OR_RETURN(d.hidden_bias, scope.GetFloats("bias_hh_" + suffix, {4 * hidden}));
  return d;
}

}  // namespace

LoadedModule LoadLstm(const ModuleSpec& module, const LoadContext& context) {
  ConfigReader reader = context.Reader(module);
  TV_ASSIGN_OR_RETURN(const int64_t in, reader.IntIn({"embedding_dimension", "word_embedding_dimension"}, 1, 1 << 20));
  TV_ASSIGN_OR_RETURN(const int64_t hidden, reader.IntIn({"hidden_dim"}, 1, 1 << 20));
  TV_ASSIGN_OR_RETURN(const int64_t layers, reader.IntIn({"num_layers"}, 1, 64, 1));
  TV_ASSIGN_OR_RETURN(const bool bidirectional, reader.Bool({"bidirectional"}, true));
  reader.Ignore({"dropout"});
  TV_RETURN_IF_ERROR(context.Finish(module, reader));
  TV_ASSIGN_OR_RETURN(const FeatureWidth width, context.Width(module, "token_embeddings"));
  // The reference packs by "sentence_lengths", which only WordEmbeddings gives (it fails after a Transformer).
  TV_RETURN_IF_ERROR(context.Width(module, "sentence_lengths").status());
  if (width.width != in) {
    return ModelError(module.Config().file() + ": embedding_dimension: expected " + std::to_string(width.width) +
                      ", got " + std::to_string(in));
  }
  TV_ASSIGN_OR_RETURN(const WeightScope weights, context.Weights(module));
  const int64_t directions = bidirectional ? 2 : 1;
  std::vector<std::vector<Direction>> list;
  for (int64_t layer = 0; layer < layers; ++layer) {
    std::vector<Direction> both;
    for (int64_t d = 0; d < directions; ++d) {
      const std::string suffix = "l" + std::to_string(layer) + (d == 1 ? "_reverse" : "");
      TV_ASSIGN_OR_RETURN(Direction direction,
                          LoadDirection(weights.Sub("encoder"), suffix, layer == 0 ? in : hidden * directions, hidden));
      both.push_back(std::move(direction));
    }
    list.push_back(std::move(both));
  }
  TV_RETURN_IF_ERROR(context.FinishWeights(module, weights));
  (*context.widths)["token_embeddings"] = {hidden * directions, true};
  return LoadedModule(std::make_unique<Lstm>(hidden, std::move(list)));
}

}  // namespace truevec
