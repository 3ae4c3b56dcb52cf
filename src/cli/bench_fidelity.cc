#include "cli/bench_fidelity.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "cli/bench_texts.h"

namespace truevec::cli {
namespace {

constexpr int64_t kTexts = 60;

struct Vectors {
  std::vector<float> values;
  size_t width = 0;
  std::vector<std::string> warnings;
};

Result<Vectors> EmbedIn(const std::string& dtype, const std::string& model, const CommonOptions& common,
                        const std::string& as) {
  CommonOptions options = common;
  options.dtype = dtype;
  std::shared_ptr<const Embedder> embedder;
  TV_RETURN_IF_ERROR(LoadEmbedder(model, options, as, &embedder));
  const std::vector<std::string> texts = MixedTexts(kTexts);
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  const EmbedParams params;
  Vectors vectors;
  vectors.width = embedder->width(params);
  vectors.values.resize(views.size() * vectors.width);
  TV_RETURN_IF_ERROR(FromError(embedder->Embed(views, params, vectors.values)));
  TV_ASSIGN_OR_RETURN(const json::value inspect, ParseJson(embedder->InspectJson(), "inspect"));
  const JsonRef warnings = JsonRef(&inspect, "inspect")["warnings"];
  for (size_t i = 0; i < warnings.size(); ++i) {
    TV_ASSIGN_OR_RETURN(std::string text, warnings.At(i).String());
    vectors.warnings.push_back(std::move(text));
  }
  return vectors;
}

double Cosine(const float* a, const float* b, size_t width) {
  double dot = 0;
  double aa = 0;
  double bb = 0;
  for (size_t i = 0; i < width; ++i) {
    dot += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
  }
  return aa > 0 && bb > 0 ? dot / std::sqrt(aa * bb) : (aa == bb ? 1 : 0);
}

}  // namespace

json::object Fidelity::ToJson() const {
  return {{"dtype", dtype},
          {"texts", texts},
          {"cosine", {{"worst", worst}, {"mean", mean}}},
          {"fallbacks", json::array(fallbacks.begin(), fallbacks.end())}};
}

void Fidelity::Print() const {
  std::printf("%s: cosine with float32 worst %.7f, mean %.7f (%lld sentences); %zu matrices kept in bfloat16\n",
              dtype.c_str(), worst, mean, static_cast<long long>(texts), fallbacks.size());
  for (const std::string& fallback : fallbacks) std::printf("  %s\n", fallback.c_str());
}

Result<std::vector<Fidelity>> MeasureFidelity(const std::string& model, const CommonOptions& common,
                                              const std::string& as, const std::vector<std::string>& dtypes) {
  std::vector<Fidelity> all;
  const bool any = std::any_of(dtypes.begin(), dtypes.end(), [](const auto& dtype) { return dtype != "float32"; });
  if (!any) return all;
  TV_ASSIGN_OR_RETURN(const Vectors exact, EmbedIn("float32", model, common, as));
  for (const std::string& dtype : dtypes) {
    if (dtype == "float32") continue;
    TV_ASSIGN_OR_RETURN(const Vectors vectors, EmbedIn(dtype, model, common, as));
    Fidelity fidelity{dtype, kTexts, 1, 0, {}};
    for (size_t i = 0; i < static_cast<size_t>(kTexts); ++i) {
      const double cosine =
          Cosine(exact.values.data() + i * exact.width, vectors.values.data() + i * exact.width, exact.width);
      fidelity.worst = std::min(fidelity.worst, cosine);
      fidelity.mean += cosine / static_cast<double>(kTexts);
    }
    for (const std::string& warning : vectors.warnings) {
      if (warning.find("bfloat16 is used") != std::string::npos) fidelity.fallbacks.push_back(warning);
    }
    all.push_back(std::move(fidelity));
  }
  return all;
}

}  // namespace truevec::cli
